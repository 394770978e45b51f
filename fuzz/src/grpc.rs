use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grpc_frame::{
    CodecError, DecodeError,
    compression::{CompressionError, Encoding},
    content_type::{self, ContentType},
    message::{Assembler, Boundaries, Message, MessageCodec},
    metadata::{self, NameKind},
    path::{self, Path},
    status::{self, Code, RpcStatus, Status},
    timeout,
};
use testkit::decode_in_reads;
use tokio_util::codec::Encoder;

const MAX: usize = 1 << 12;

/// [`MessageCodec`], [`Assembler`] and [`Boundaries`]: the same messages and the same end, however the bytes are split;
/// what is read is written to the bytes it came from.
pub fn grpc_message(data: &[u8]) {
    let new = || MessageCodec::builder().max_message_len(MAX).build();
    let whole = decode_in_reads(&mut new(), [data]);
    let (messages, error) = &whole;
    let encoded = encode(&mut new(), messages).expect("what was read is within the limit");
    assert!(data.starts_with(&encoded), "messages are not written to what they came from");
    assert_eq!(error.is_none(), encoded.len() == data.len(), "bytes are left over and nobody said so");

    // The last length is the input's own choice.
    let chosen = data.last().map_or(2, |&last| usize::from(last).max(1));
    for len in [usize::MAX, data.len() / 2 + 1, 1, 4, 7, chosen] {
        assert_eq!(decode_in_reads(&mut new(), data.chunks(len)), whole, "{len} bytes at a time");

        let mut assembler = Assembler::new(MAX);
        let mut waiting = Assembler::new(MAX);
        let mut boundaries = Boundaries::new(MAX);
        let mut assembled = Vec::new();
        let mut counted = Ok(0);
        for chunk in data.chunks(len) {
            let chunk = Bytes::copy_from_slice(chunk);
            counted = counted.and_then(|count| Ok(count + boundaries.feed(&chunk)?));
            waiting.feed(chunk.clone());
            assembler.feed(chunk);
            let end = drain(&mut assembler, &mut assembled);
            assert_eq!(end.err(), counted.as_ref().err().copied(), "assembler and boundaries");
            if let Ok(counted) = counted {
                assert_eq!(assembled.len(), counted, "messages there are after a chunk");
                assert_eq!(assembler.is_between_messages(), boundaries.is_between_messages());
            }
        }
        let mut at_once = Vec::new();
        let _refused_as_before = drain(&mut waiting, &mut at_once);
        assert_eq!((&assembled, &at_once), (messages, messages), "{len} bytes at a time");
        let text = |end: Result<(), DecodeError>| end.err().map(|error| error.to_string());
        assert_eq!((&text(assembler.finish()), &text(waiting.finish())), (error, error), "{len} bytes at a time");
        assert_eq!(&text(counted.and_then(|_| boundaries.finish())), error, "{len} bytes at a time");
    }
}

fn drain(assembler: &mut Assembler, messages: &mut Vec<Message>) -> Result<(), DecodeError> {
    while let Some(message) = assembler.next_message()? {
        messages.push(message);
    }
    Ok(())
}

fn encode(codec: &mut MessageCodec, messages: &[Message]) -> Result<BytesMut, CodecError> {
    let mut dst = BytesMut::new();
    for message in messages {
        codec.encode(message.clone(), &mut dst)?;
    }
    Ok(dst)
}

/// Values of headers, each as every kind there is: none panics, and what is read comes back from what is written.
pub fn grpc_scalars(data: &[u8]) {
    if let Ok(read) = timeout::parse(data) {
        let again = timeout::parse(timeout::encode(read).as_bytes()).expect("ours");
        assert!((read..=read + read / 1_000).contains(&again) || read == timeout::MAX, "{read:?} became {again:?}");
    }
    if let Some(nanos) = data.first_chunk() {
        let given = Duration::from_nanos(u64::from_be_bytes(*nanos));
        let read = timeout::parse(timeout::encode(given).as_bytes()).expect("ours");
        assert!(read >= given.min(timeout::MAX));
    }

    let text = status::decode_message(data);
    assert!(text.len() <= data.len());
    let value = status::encode_message(&text);
    assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    let read = status::decode_message(value.as_bytes());
    match str::from_utf8(&text) {
        Ok(_) => assert_eq!(read, text, "a text that is UTF-8 comes back"),
        Err(_) => assert!(str::from_utf8(&read).is_ok_and(|read| read.contains('\u{fffd}'))),
    }

    if let Ok(code) = Code::parse(data) {
        assert_eq!(Code::parse(code.encode().as_ref()), Ok(code));
        let text = status::rpc_error(code, data);
        assert_eq!(status::parse_rpc_error(&text), Some((code, data)));
    }
    if let Some((code, text)) = status::parse_rpc_error(data) {
        assert!(data.ends_with(text));
        assert_eq!(status::parse_rpc_error(&status::rpc_error(code, text)), Some((code, text)));
    }
    rpc_status(data);

    let value = metadata::encode_bin(data);
    assert_eq!(metadata::decode_bin("k-bin", value.as_bytes()).as_deref(), Ok(data));
    if let Ok(bytes) = metadata::decode_bin("k-bin", data) {
        let value = metadata::encode_bin(&bytes);
        let given = data.strip_suffix(b"==").or(data.strip_suffix(b"=")).unwrap_or(data);
        assert_eq!(value.len(), given.len(), "padding and the bits of the last character apart");
        assert!(value.is_empty() || value.as_bytes()[..value.len() - 1] == given[..given.len() - 1]);
    }
    if let Ok(number) = metadata::parse_biz_status(data) {
        assert_eq!(metadata::parse_biz_status(number.to_string().as_bytes()), Ok(number));
    }

    names(data);
    if let Some(content_type) = ContentType::parse(data) {
        let response = content_type.response();
        let again = ContentType::parse(&response).expect("ours");
        assert_eq!((again.sub_type(), again.codec()), (content_type.sub_type(), content_type.codec()));
        assert_eq!(again.response(), response);
        assert!(response.starts_with(content_type::GRPC.as_bytes()));
    }
    for encoding in Encoding::parse_list(data).chain([Encoding::parse(data)]) {
        assert_eq!(Encoding::parse(encoding.name()), encoding);
    }
}

fn rpc_status(data: &[u8]) {
    let Ok(read) = RpcStatus::parse(data) else { return };
    let details: Vec<_> = read.details().collect();
    let mut written = BytesMut::new();
    RpcStatus::encode(read.code, read.message, details.iter().copied(), &mut written);
    let again = RpcStatus::parse(&written).expect("ours");
    assert_eq!((again.code, again.message), (read.code, read.message));
    assert_eq!(again.details().collect::<Vec<_>>(), details);

    let value = metadata::encode_bin(data);
    let status = Status::parse(Some(b"2"), Some(data), Some(value.as_bytes())).expect("its details are sound");
    assert_eq!((status.code, &*status.message), (read.code, read.message), "details have the last word");
    assert_eq!(status.encode_details(), Some(value));
}

fn names(data: &[u8]) {
    if let Some(name) = metadata::field_name(data) {
        assert!(name.eq_ignore_ascii_case(str::from_utf8(data).expect("it is ASCII")));
        assert_eq!(metadata::field_name(name.as_bytes()), Some(name.clone()));
        assert_ne!(NameKind::of(&name), NameKind::ConnectionSpecific);
    }
    if let Some(header) = metadata::metainfo_header(data) {
        assert_eq!(metadata::field_name(header.as_bytes()).as_deref(), Some(&*header));
        let key = metadata::metainfo_key(&header).expect("it is metainfo");
        assert_eq!(metadata::metainfo_header(key.as_bytes()), Some(header));
        // All three prefixes end with their second `_`.
        let name = data.splitn(3, |&byte| byte == b'_').last().expect("a prefix and a name");
        assert_eq!(key.as_bytes() == data, metadata::survives_cgi(name));
    }
    let _any_bytes_will_do = metadata::is_legal_value(data);
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(path) = Path::parse(text) {
        let dot = if path.package().is_empty() && !path.full_service().starts_with('.') { 0 } else { 1 };
        assert_eq!(path.package().len() + dot + path.service().len(), path.full_service().len());
        let built = path::build(path.package(), path.service(), path.method());
        let again = Path::parse(&built).expect("ours");
        assert_eq!((again.service(), again.method()), (path.service(), path.method()));
        if !path.full_service().starts_with('.') {
            assert_eq!(again, path);
        }
    }
    if let Some(key) = metadata::metainfo_key(text) {
        assert_eq!(key.len(), text.len());
    }
}

/// [`Encoding`]: no format makes more of any bytes than the limit allows, and what is compressed comes back.
pub fn grpc_compression(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
        assert!(encoding.is_supported(), "{encoding}: the fuzzer is built with all formats");
        match encoding.decompress(&data, MAX) {
            Ok(message) => {
                assert!(message.len() <= MAX);
                assert_eq!(encoding.decompress(&data, message.len()), Ok(message.clone()), "{encoding}: at the limit");
                if let Some(max) = message.len().checked_sub(1) {
                    assert_eq!(encoding.decompress(&data, max), Err(CompressionError::TooLong { max }), "{encoding}");
                }
            }
            Err(CompressionError::TooLong { max: MAX } | CompressionError::Corrupt) => {}
            Err(error) => panic!("{encoding}: {error}"),
        }
        let compressed = encoding.compress(&data).expect("it is supported");
        assert_eq!(encoding.decompress(&compressed, data.len()), Ok(data.clone()), "{encoding}");
    }
}
