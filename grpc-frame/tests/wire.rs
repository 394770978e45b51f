//! Bytes and header values both ways: the golden vectors of the specification, which live Kitex peers sent, took or
//! worked out, their recorded traffic, and tables taken from the specification's sections by hand.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use bytes::{Bytes, BytesMut};
use grpc_frame::{
    DecodeError,
    compression::Encoding,
    content_type::{self, Codec, ContentType},
    message::{Assembler, Boundaries, CompressedFlag, HEAD_LEN, Head, Message, MessageCodec},
    metadata::{self, Metainfo, NameKind},
    path::{self, Path},
    status::{self, Code, Compat, RpcStatus, Status},
    timeout,
};
use serde_json::Value;
use testkit::{from_hex, streaming_captures, streaming_vectors};
use tokio_util::codec::{Decoder, Encoder};

// ---- messages

#[test]
fn every_message_vector_is_read_by_all_three_and_written_back() {
    let mut seen = 0;
    for frame in streaming_vectors()["grpc_frames"].as_array().unwrap() {
        let Some(message) = frame["message_hex"].as_str() else { continue };
        let (id, wire) = (&frame["id"], from_hex(frame["hex"].as_str().unwrap()));
        let data: Vec<Bytes> = http2_frames(&wire).into_iter().map(|frame| frame.payload.into()).collect();
        let flag = if id == "G26" { CompressedFlag::COMPRESSED } else { CompressedFlag::PLAIN };
        let expected = Message { flag, payload: from_hex(message).into() };

        let joined = data.concat();
        let mut src = BytesMut::from(&joined[..]);
        assert_eq!(MessageCodec::default().decode(&mut src).unwrap().as_ref(), Some(&expected), "{id}");
        assert!(src.is_empty(), "{id}");
        assert_eq!(assemble(data.iter().cloned()), (vec![expected.clone()], Ok(())), "{id}");
        assert_eq!(count(data.iter().map(|data| &data[..])), (1, Ok(())), "{id}");

        let mut dst = BytesMut::new();
        MessageCodec::default().encode(expected.clone(), &mut dst).unwrap();
        assert_eq!(dst, joined, "{id}: copied");
        let head = expected.head().unwrap().encode();
        assert_eq!([&head, &expected.payload[..]].concat(), joined, "{id}: head and payload apart");
        seen += 1;
    }
    assert_eq!(seen, 6, "the vectors with a message in them");
}

#[test]
fn a_head_is_the_bytes_worked_out_by_hand() {
    for (wire, flag, len) in
        [("00 00000000", 0, 0), ("01 00000007", 1, 7), ("02 01020304", 2, 0x0102_0304), ("ff ffffffff", 0xff, u32::MAX)]
    {
        let wire = from_hex(wire);
        let head = Head { flag: CompressedFlag(flag), len };
        assert_eq!(Head::peek(&wire), Some(head));
        assert_eq!(Head::peek(&[&wire[..], b"more"].concat()), Some(head));
        assert_eq!(head.encode(), wire[..]);
        assert_eq!(head.flag.is_compressed(), flag == 1, "values above 1 are plain, as in Kitex");
        for short in 0..HEAD_LEN {
            assert_eq!(Head::peek(&wire[..short]), None);
        }
    }
}

#[test]
fn an_empty_message_is_a_message_and_not_the_end() {
    let mut src = BytesMut::from(&[0; 10][..]);
    let mut codec = MessageCodec::default();
    let empty = Message::plain(Bytes::new());
    assert_eq!(codec.decode(&mut src).unwrap(), Some(empty.clone()));
    assert_eq!(codec.decode_eof(&mut src).unwrap(), Some(empty.clone()));
    assert_eq!(codec.decode_eof(&mut src).unwrap(), None);
    assert_eq!(assemble([Bytes::from_static(&[0; 10])]), (vec![empty.clone(), empty], Ok(())));
    assert_eq!(count([&[0; 10][..]]), (2, Ok(())));
}

#[test]
fn payload_is_a_view_of_the_read_buffer() {
    let wire = b"\0\0\0\0\x05first\x01\0\0\0\x06second";
    let mut src = BytesMut::from(&wire[..]);
    let start = src.as_ptr().addr();
    let mut codec = MessageCodec::default();
    for (at, payload) in [(5, "first"), (15, "second")] {
        let message = codec.decode(&mut src).unwrap().unwrap();
        assert_eq!(message.payload, payload);
        assert_eq!(message.payload.as_ptr().addr(), start + at);
    }
}

#[test]
fn a_message_within_one_chunk_is_a_view_of_it_wherever_its_head_lies() {
    let wire = Bytes::from(b"\0\0\0\0\x05first\x01\0\0\0\x06second\0\0\0\0\x05third".to_vec());
    let start = wire.as_ptr().addr();
    // Within the head of the second, and right behind it.
    for cut in 10..=15 {
        let mut assembler = Assembler::default();
        let mut messages = Vec::new();
        for chunk in [wire.slice(..cut), wire.slice(cut..)] {
            assembler.feed(chunk);
            while let Some(message) = assembler.next_message().unwrap() {
                messages.push(message);
            }
        }
        let places: Vec<_> = messages.iter().map(|message| message.payload.as_ptr().addr() - start).collect();
        assert_eq!(places, [5, 15, 26], "cut at {cut}");
    }
}

#[test]
fn chunks_may_be_fed_before_anybody_asks() {
    let wire = Bytes::from(b"\0\0\0\0\x05first\x01\0\0\0\x06second\0\0\0\0\x05third".to_vec());
    for size in 1..wire.len() {
        let mut assembler = Assembler::default();
        for at in (0..wire.len()).step_by(size) {
            assembler.feed(wire.slice(at..wire.len().min(at + size)));
        }
        assert_eq!(assembler.buffered_len(), wire.len());
        for payload in ["first", "second", "third"] {
            assert_eq!(assembler.next_message().unwrap().unwrap().payload, payload, "{size}");
        }
        assert!(assembler.is_between_messages());
        assert_eq!(assembler.next_message(), Ok(None));
        assert_eq!(assembler.finish(), Ok(()));
    }
}

#[test]
fn boundaries_are_small() {
    assert!(size_of::<Boundaries>() <= 16, "one stands beside every stream, in both directions");
}

/// 61 recorded connections and 38 probes: every stream's DATA, in each direction, through all three.
#[test]
fn recorded_streams_are_read_alike_by_all_three() {
    let captures = streaming_captures();
    let connections = captures["captures"].as_array().unwrap().iter().flat_map(|capture| {
        let name = capture["id"].as_str().unwrap();
        capture["connections"].as_array().unwrap().iter().filter(|c| c["protocol"] == "grpc").map(move |c| (name, c))
    });
    let probes = captures["probes"].as_array().unwrap().iter().filter(|probe| probe["protocol"] == "grpc");
    let probes = probes.map(|probe| (probe["id"].as_str().unwrap(), probe));

    let (mut streams, mut messages, mut compressed, mut unclean) = (0, 0, 0, Vec::new());
    for (name, connection) in connections.chain(probes) {
        for ((from, stream), data) in data_of_streams(connection) {
            let (items, end) = assemble(data.iter().cloned());
            assert_eq!(count(data.iter().map(|data| &data[..])), (items.len(), end), "{name} {from} {stream}");
            let mut src = BytesMut::from(&data.concat()[..]);
            let mut codec = MessageCodec::default();
            for item in &items {
                assert_eq!(codec.decode_eof(&mut src).unwrap().as_ref(), Some(item), "{name} {from} {stream}");
            }
            match end {
                Ok(()) => assert_eq!(codec.decode_eof(&mut src).unwrap(), None, "{name} {from} {stream}"),
                Err(error) => {
                    assert_eq!(codec.decode_eof(&mut src).unwrap_err().to_string(), error.to_string(), "{name}");
                    unclean.push((name, error));
                }
            }
            streams += 1;
            messages += items.len();
            for item in items.iter().filter(|item| item.flag.is_compressed()) {
                compressed += 1;
                // The probes' flag is a lie.
                if Encoding::Gzip.is_supported() && name.starts_with('C') {
                    let plain = Encoding::Gzip.decompress(&item.payload, 1 << 20).unwrap();
                    assert!(item.payload.len() < plain.len(), "{name} {from}");
                }
            }
        }
    }
    // The probe that ends inside a message on purpose.
    let cut = DecodeError::Truncated { field: "Message", offset: 5, expected: 9, actual: 6 };
    assert_eq!(unclean, [("PG16", cut)]);
    assert_eq!((streams, messages, compressed), (152, 193, 6));
}

struct Http2Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// RFC 9113 section 4.1 by hand, without padding, which nobody here sends.
fn http2_frames(mut wire: &[u8]) -> Vec<Http2Frame> {
    let mut frames = Vec::new();
    while let Some((&[a, b, c, kind, _flags, d, e, f, g], rest)) = wire.split_first_chunk() {
        let len = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        let (payload, rest) = rest.split_at(len.min(rest.len()));
        frames.push(Http2Frame { kind, stream: u32::from_be_bytes([d, e, f, g]), payload: payload.to_vec() });
        wire = rest;
    }
    frames
}

/// Payloads of the DATA frames of a recorded connection, by sender and stream.
fn data_of_streams(connection: &Value) -> BTreeMap<(String, u32), Vec<Bytes>> {
    const DATA: u8 = 0;
    let mut sent: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for chunk in connection["chunks"].as_array().unwrap() {
        if let Some(hex) = chunk["hex"].as_str() {
            sent.entry(chunk["from"].as_str().unwrap().to_owned()).or_default().extend(from_hex(hex));
        }
    }
    let mut streams: BTreeMap<_, Vec<Bytes>> = BTreeMap::new();
    for (from, wire) in sent {
        let wire = wire.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap_or(&wire);
        for frame in http2_frames(wire) {
            if frame.kind == DATA {
                streams.entry((from.clone(), frame.stream)).or_default().push(frame.payload.into());
            }
        }
    }
    streams
}

fn assemble(chunks: impl IntoIterator<Item = Bytes>) -> (Vec<Message>, Result<(), DecodeError>) {
    let mut assembler = Assembler::default();
    let mut messages = Vec::new();
    for chunk in chunks {
        assembler.feed(chunk);
        while let Some(message) = assembler.next_message().unwrap() {
            messages.push(message);
        }
    }
    (messages, assembler.finish())
}

fn count<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (usize, Result<(), DecodeError>) {
    let mut boundaries = Boundaries::default();
    let messages = chunks.into_iter().map(|chunk| boundaries.feed(chunk).unwrap()).sum();
    let end = boundaries.finish();
    assert_eq!(boundaries.is_between_messages(), end.is_ok());
    (messages, end)
}

// ---- scalars

#[test]
fn every_timeout_vector_encodes() {
    for row in table("timeout_encode_ns") {
        // Negative ones have no `Duration`.
        let nanos = u64::try_from(row[0].as_i64().unwrap()).unwrap_or_default();
        assert_eq!(&*timeout::encode(Duration::from_nanos(nanos)), row[1].as_str().unwrap());
    }
}

#[test]
fn every_timeout_vector_decodes() {
    for row in table("timeout_decode_ns") {
        let nanos = row[1].as_u64().unwrap();
        let text = row[0].as_str().unwrap();
        assert_eq!(timeout::parse(text.as_bytes()), Ok(Duration::from_nanos(nanos)), "{text}");
    }
    for text in table("timeout_decode_errors") {
        let text = text.as_str().unwrap();
        assert!(matches!(timeout::parse(text.as_bytes()), Err(DecodeError::Malformed { .. })), "{text}");
    }
}

/// Section B9: the decoder tolerates a sign; `0n` and negative ones are accepted and have passed already.
#[test]
fn a_timeout_may_have_a_sign_and_leading_zeros() {
    for (text, nanos) in [("0n", 0), ("-1S", 0), ("+1S", 1_000_000_000), ("00000007u", 7_000), ("-0n", 0)] {
        assert_eq!(timeout::parse(text.as_bytes()), Ok(Duration::from_nanos(nanos)), "{text}");
    }
    assert_eq!(timeout::parse(b"2562047H"), Ok(Duration::from_secs(2_562_047 * 3600)), "just below the maximum");
    assert_eq!(timeout::parse(b"2562048H"), Ok(timeout::MAX));
}

#[test]
fn timeouts_of_any_length_encode() {
    for (timeout, text) in [
        (Duration::from_secs(1), "1000000u"),
        (Duration::from_millis(100), "100000u"),
        (Duration::from_secs(100_000_000), "1666667M"),
        (Duration::from_secs(60 * 99_999_999), "99999999M"),
        (Duration::from_secs(60 * 100_000_000), "1666667H"),
        (timeout::MAX, "2562048H"),
        (Duration::MAX, "99999999H"),
    ] {
        assert_eq!(&*timeout::encode(timeout), text);
    }
}

#[test]
fn every_message_text_vector_goes_both_ways() {
    for row in table("grpc_message_encode") {
        let (text, value) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
        let encoded = status::encode_message(text.as_bytes());
        assert_eq!(encoded, value);
        assert_eq!(matches!(encoded, Cow::Borrowed(_)), text == value, "borrowed where nothing changes");
        assert_eq!(status::decode_message(value.as_bytes()), text.as_bytes());
    }
    for row in table("grpc_message_decode") {
        let (value, text) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
        let decoded = status::decode_message(value.as_bytes());
        assert_eq!(decoded, text.as_bytes(), "{value}");
        assert_eq!(matches!(decoded, Cow::Borrowed(_)), text == value, "borrowed where nothing changes");
    }
}

/// Section B7; the byte-wise reading of what is not UTF-8 is Go's.
#[test]
fn a_message_text_that_is_not_utf8_is_replaced_byte_by_byte() {
    for (text, value) in [
        (&b"a\xffb"[..], "a%EF%BF%BDb"),
        (b"\xe4\xbd", "%EF%BF%BD%EF%BF%BD"),
        (b"\xe4\xbd\xa0\x80", "%E4%BD%A0%EF%BF%BD"),
        (b"\0\x1f \x7e\x7f", "%00%1F ~%7F"),
    ] {
        assert_eq!(status::encode_message(text), value);
    }
    assert_eq!(status::decode_message(b"%ff%"), &b"\xff%"[..], "what comes back need not be UTF-8");
    assert_eq!(status::decode_message(b"%%41%4"), &b"%A%4"[..]);
    assert_eq!(status::decode_message(b"\xc3\xa9%41"), &b"\xc3\xa9A"[..], "raw bytes are left alone");
}

#[test]
fn every_path_vector_splits_and_builds() {
    for row in table("path_split") {
        let [text, package, service, method] = [0, 1, 2, 3].map(|at| row[at].as_str().unwrap());
        let path = Path::parse(text).unwrap();
        assert_eq!((path.package(), path.service(), path.method()), (package, service, method), "{text}");
        let built = path::build(package, service, method);
        assert_eq!(built.strip_prefix('/'), Some(text.strip_prefix('/').unwrap_or(text)));
        assert_eq!(Path::parse(&built), Ok(path));
    }
    for (text, full_service, package, service, method) in [
        ("/tenant.EchoService/Echo", "tenant.EchoService", "tenant", "EchoService", "Echo"),
        ("/a/b/c", "a/b", "", "a/b", "c"),
        ("//m", "", "", "", "m"),
        ("/s/", "s", "", "s", ""),
        ("/.s/m", ".s", "", "s", "m"),
        ("/p./m", "p.", "p", "", "m"),
    ] {
        let path = Path::parse(text).unwrap();
        assert_eq!(
            (path.full_service(), path.package(), path.service(), path.method()),
            (full_service, package, service, method)
        );
    }
}

#[test]
fn a_path_without_a_slash_before_the_method_is_refused() {
    for (path, len) in [("", 0), ("/", 1), ("Echo", 4), ("/Echo", 5)] {
        let error =
            DecodeError::Malformed { field: ":path", offset: len, expected: "a `/` before the method", actual: None };
        assert_eq!(Path::parse(path), Err(error), "{path}");
    }
}

#[test]
fn every_content_type_vector_is_told() {
    for row in table("content_type") {
        let text = row[0].as_str().unwrap();
        let parsed = ContentType::parse(text.as_bytes());
        assert_eq!(parsed.map(|parsed| parsed.sub_type()), row[1].as_str().map(str::as_bytes), "{text}");
        match row[2].as_str().unwrap() {
            "thrift" => assert_eq!(parsed.unwrap().codec(), Codec::Thrift, "{text}"),
            "protobuf" => assert_eq!(parsed.unwrap().codec(), Codec::Protobuf, "{text}"),
            _ => assert_eq!(parsed, None, "{text}"),
        }
    }
}

/// Section B4.
#[test]
fn a_response_repeats_the_sub_type() {
    for (request, response) in [
        ("application/grpc", "application/grpc"),
        ("application/grpc+", "application/grpc"),
        ("application/grpc;", "application/grpc"),
        ("application/grpc+thrift", "application/grpc+thrift"),
        ("application/grpc;thrift", "application/grpc+thrift"),
        ("application/grpc+json; charset=utf-8", "application/grpc+json; charset=utf-8"),
    ] {
        let answer = ContentType::parse(request.as_bytes()).unwrap().response();
        assert_eq!(answer, response.as_bytes());
        assert_eq!(matches!(answer, Cow::Owned(_)), request == "application/grpc;thrift");
    }
    assert_eq!(ContentType::parse(b"Application/grpc"), None, "in lower case");
    assert_eq!(ContentType::parse(content_type::GRPC_THRIFT.as_bytes()).unwrap().codec(), Codec::Thrift);
}

#[test]
fn every_metainfo_vector_goes_both_ways() {
    for row in table("metainfo_http2") {
        let [prefix, name, header] = [0, 1, 2].map(|at| row[at].as_str().unwrap());
        let key = format!("{prefix}{name}");
        assert_eq!(metadata::metainfo_header(key.as_bytes()).as_deref(), Some(header));
        assert_eq!(metadata::metainfo_key(header), Some(key));
        assert!(metadata::survives_cgi(name.as_bytes()));
    }
}

/// Section B8, name conversion.
#[test]
fn metainfo_names_lose_their_case_in_headers() {
    for (key, header, back) in [
        ("RPC_PERSIST_userId", "rpc-persist-userid", "RPC_PERSIST_USERID"),
        ("RPC_TRANSIT_pkLower-x", "rpc-transit-pklower-x", "RPC_TRANSIT_PKLOWER_X"),
        ("RPC_BACKWARD_K", "rpc-backward-k", "RPC_BACKWARD_K"),
        ("RPC_PERSIST__*", "rpc-persist--*", "RPC_PERSIST__*"),
    ] {
        assert_eq!(metadata::metainfo_header(key.as_bytes()).as_deref(), Some(header));
        assert_eq!(metadata::metainfo_key(header).as_deref(), Some(back));
        let name = key.splitn(3, '_').last().unwrap();
        assert_eq!(metadata::survives_cgi(name.as_bytes()), key == back);
    }
    for key in ["RPC_PERSIST_", "RPC_PERSIST_a b", "RPC_TRANSIT_é", "RPC_OTHER_K", "rpc_persist_k", ""] {
        assert_eq!(metadata::metainfo_header(key.as_bytes()), None, "{key}");
    }
    for header in ["rpc-persist-", "rpc-transit", "x-rpc-persist-a", ""] {
        assert_eq!(metadata::metainfo_key(header), None, "{header}");
    }
    for kind in [Metainfo::Persist, Metainfo::Transit, Metainfo::Backward] {
        assert_eq!(
            metadata::metainfo_key(&format!("{}k", kind.header_prefix())).unwrap(),
            kind.key_prefix().to_owned() + "K"
        );
    }
}

/// Section B8, reserved names, and what the header lists of the vectors hold.
#[test]
fn names_are_told_by_kind() {
    for (kind, names) in [
        (
            NameKind::Reserved,
            &[
                ":path",
                ":authority",
                ":x",
                "content-type",
                "user-agent",
                "te",
                "grpc-message-type",
                "grpc-encoding",
                "grpc-message",
                "grpc-status",
                "grpc-timeout",
                "grpc-status-details-bin",
            ][..],
        ),
        (NameKind::Consumed, &["grpc-accept-encoding", "biz-status", "biz-extra"]),
        (
            NameKind::ConnectionSpecific,
            &["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"],
        ),
        (NameKind::Persist, &["rpc-persist-pk", "rpc-persist-"]),
        (NameKind::Transit, &["rpc-transit-tk"]),
        (NameKind::Backward, &["rpc-backward-k"]),
        (
            NameKind::User,
            &[
                "grpc-tags-bin",
                "grpc-trace-bin",
                "source-service",
                "destination-method",
                "biz-message",
                "x-k",
                "grpc-x",
                "",
            ],
        ),
    ] {
        for name in names {
            assert_eq!(NameKind::of(name), kind, "{name}");
            assert_eq!(metadata::is_reserved(name), kind == NameKind::Reserved, "{name}");
        }
    }
    assert!(metadata::is_binary("grpc-trace-bin") && !metadata::is_binary("bin"));
}

/// Section D5.
#[test]
fn a_key_becomes_a_legal_field_name_or_none() {
    for (key, name) in [
        (&b"x-key"[..], Some("x-key")),
        (b"X-Key_1", Some("x-key_1")),
        (b"RPC_PERSIST_K", Some("rpc_persist_k")),
        (b"!#$%&'*+-.^_`|~", Some("!#$%&'*+-.^_`|~")),
        (b"", None),
        (b":path", None),
        (b"a b", None),
        (b"a:b", None),
        (b"a\n", None),
        (b"\xc3\xa9", None),
        (b"\xff", None),
        (b"a\"", None),
        (b"Connection", None),
    ] {
        assert_eq!(metadata::field_name(key).as_deref(), name, "{}", key.escape_ascii());
    }
    assert!(matches!(metadata::field_name(b"x"), Some(Cow::Borrowed("x"))));
    assert!(metadata::is_legal_value("{\"k\":\"é\"}\t \u{4f60}".as_bytes()));
    assert!(metadata::is_legal_value(b"\x80\xff"));
    for byte in (0..0x20).filter(|byte| *byte != b'\t').chain([0x7f]) {
        assert!(!metadata::is_legal_value(&[b'a', byte]), "{byte}");
    }
}

/// Section B8: unpadded out, either form in.
#[test]
fn binary_values_are_base64_without_padding() {
    for (bytes, unpadded, padded) in [
        (&b""[..], "", ""),
        (b"f", "Zg", "Zg=="),
        (b"fo", "Zm8", "Zm8="),
        (b"foo", "Zm9v", "Zm9v"),
        (b"\xfb\xff", "+/8", "+/8="),
    ] {
        assert_eq!(metadata::encode_bin(bytes), unpadded);
        assert_eq!(metadata::decode_bin("k-bin", unpadded.as_bytes()).unwrap(), bytes);
        assert_eq!(metadata::decode_bin("k-bin", padded.as_bytes()).unwrap(), bytes);
    }
    assert_eq!(metadata::decode_bin("k-bin", b"Zh").unwrap(), b"f", "left-over bits, as Go takes them");
    for (value, offset) in [(&b"Z"[..], 1), (b"Zg=", 2), (b"Z-8", 1), (b"Zg==Zg==", 2), (b"Zm9v,Zm9v", 4), (b"=", 0)] {
        let error = metadata::decode_bin("k-bin", value).unwrap_err();
        let DecodeError::Malformed { field: "k-bin", offset: at, .. } = error else { panic!("{error}") };
        assert_eq!(at, offset, "{}: {error}", value.escape_ascii());
    }
}

// ---- status

#[test]
fn header_lists_of_the_vectors_are_understood() {
    let (mut statuses, mut requests) = (0, 0);
    for frame in streaming_vectors()["grpc_frames"].as_array().unwrap() {
        let Some(headers) = frame["headers"].as_array() else { continue };
        let value = |name: &str| {
            let field = headers.iter().find(|field| field[0] == name)?;
            Some(field[1].as_str().unwrap().as_bytes())
        };
        if let Some(code) = value(status::STATUS) {
            let status = Status::parse(Some(code), value(status::MESSAGE), value(status::DETAILS)).unwrap();
            assert_eq!(status.code.encode().as_bytes(), code);
            assert_eq!(status.encode_message().as_bytes(), value(status::MESSAGE).unwrap());
            if let Some(text) = frame["decoded_message"].as_str() {
                assert_eq!(status.message, text.as_bytes());
            }
            assert_eq!(status.encode_details().as_deref().map(str::as_bytes), value(status::DETAILS));
            if let Some(hex) = frame["status_proto_hex"].as_str() {
                assert_eq!(status.details.as_deref(), Some(&from_hex(hex)[..]));
            }
            statuses += 1;
        }
        if let Some(path) = value(":path") {
            let path = Path::parse(str::from_utf8(path).unwrap()).unwrap();
            assert_eq!(value("destination-method").unwrap_or(path.method().as_bytes()), path.method().as_bytes());
            requests += 1;
        }
        if let Some(content_type) = value(content_type::NAME) {
            let content_type = ContentType::parse(content_type).unwrap();
            assert_eq!(Some(&content_type.response()[..]), value(content_type::NAME));
        }
        if let Some(value) = value(timeout::NAME) {
            assert_eq!(timeout::parse(value), Ok(Duration::from_secs(1)));
            assert_eq!(timeout::encode(Duration::from_secs(1)).as_bytes(), value);
        }
        if let Some(code) = value(metadata::BIZ_STATUS) {
            assert_eq!(metadata::parse_biz_status(code), Ok(502));
        }
    }
    assert_eq!((statuses, requests), (6, 2), "the vectors with a status, and with a request");
}

/// G17, a live peer's `google.rpc.Status`.
#[test]
fn details_of_a_live_peer_are_read_and_written_back() {
    let frame =
        streaming_vectors()["grpc_frames"].as_array().unwrap().iter().find(|frame| frame["id"] == "G17").unwrap();
    let bytes = from_hex(frame["status_proto_hex"].as_str().unwrap());
    let parsed = RpcStatus::parse(&bytes).unwrap();
    assert_eq!((parsed.code, parsed.message), (Code::FAILED_PRECONDITION, &b"Userspace error."[..]));
    let details: Vec<_> = parsed.details().collect();
    assert_eq!(details.len(), 1);
    assert!(details[0].windows(14).any(|window| window == b"type.googleapi"), "an `Any` begins with its type");
    let mut dst = BytesMut::new();
    RpcStatus::encode(parsed.code, parsed.message, details, &mut dst);
    assert_eq!(dst, bytes);
}

/// Section B7: when present, details replace code and message.
#[test]
fn details_have_the_last_word() {
    let mut proto = BytesMut::new();
    RpcStatus::encode(Code(-7), b"said twice", [&b"any"[..], b""], &mut proto);
    let details = metadata::encode_bin(&proto);
    let status = Status::parse(Some(b"9"), Some(b"said%20once"), Some(details.as_bytes())).unwrap();
    assert_eq!((status.code, &status.message[..]), (Code(-7), &b"said twice"[..]));
    let proto = status.details.as_deref().unwrap();
    assert_eq!(RpcStatus::parse(proto).unwrap().details().collect::<Vec<_>>(), [&b"any"[..], b""]);
    assert_eq!(status.clone().into_owned(), status);
}

#[test]
fn trailers_without_a_status_are_unknown() {
    let status = Status::parse(None, Some(b"text"), None).unwrap();
    assert_eq!((status.code, &status.message[..]), (Code::UNKNOWN, &b""[..]));
    let status = Status::parse(Some(b"0"), None, None).unwrap();
    assert_eq!((status.code, &status.message[..]), (Code::OK, &b""[..]));
}

/// Section B7: decimal, 32 bits, with a sign if any.
#[test]
fn codes_are_numbers_of_32_bits() {
    for (value, code) in [
        ("0", 0),
        ("16", 16),
        ("20", 20),
        ("-1", -1),
        ("+3", 3),
        ("2147483647", i32::MAX),
        ("-2147483648", i32::MIN),
        ("007", 7),
    ] {
        assert_eq!(Code::parse(value.as_bytes()), Ok(Code(code)), "{value}");
        assert_eq!(Code::parse(Code(code).encode().as_ref()), Ok(Code(code)));
    }
    for (value, offset) in [
        ("", 0),
        ("-", 1),
        ("+", 1),
        ("x", 0),
        ("1x", 1),
        ("1.0", 1),
        (" 1", 0),
        ("--1", 1),
        ("2147483648", 0),
        ("-2147483649", 0),
    ] {
        let error = Code::parse(value.as_bytes()).unwrap_err();
        let DecodeError::Malformed { field: "grpc-status", offset: at, .. } = error else { panic!("{error}") };
        assert_eq!(at, offset, "{value}: {error}");
    }
    assert_eq!(
        metadata::parse_biz_status(b"1e3").unwrap_err().to_string(),
        "biz-status at offset 1: expected a decimal number, got 0x65"
    );
}

#[test]
fn codes_have_the_names_of_the_specification() {
    let names = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
        "RECV_DEADLINE_EXCEEDED",
    ];
    for (number, name) in (0..).zip(names) {
        assert_eq!(Code(number).name(), Some(name));
        assert_eq!(Code(number).to_string(), name);
    }
    assert_eq!((Code(18).name(), Code(-1).name(), Code(20).to_string()), (None, None, "20".to_owned()));
}

/// Section B10, both tables and the one of HTTP.
#[test]
fn resets_and_http_statuses_are_codes() {
    let from_rst = [13, 13, 13, 8, 13, 13, 13, 14, 1, 13, 13, 8, 7, 13];
    for (error_code, code) in (0..).zip(from_rst) {
        assert_eq!(Code::from_rst(error_code), Code(code), "{error_code}");
    }
    assert_eq!(Code::from_rst(1000), Code::UNAVAILABLE);
    for other in [14, 15, 999, 1001, u32::MAX] {
        assert_eq!(Code::from_rst(other), Code::UNKNOWN);
    }
    for code in -1..=21 {
        let error_code = match code {
            13 => 2,
            1 => 8,
            14 => 7,
            8 => 11,
            7 => 12,
            _ => 0,
        };
        assert_eq!(Code(code).to_rst(), error_code, "{code}");
    }
    for (http, code) in [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14)] {
        assert_eq!(Code::from_http(Some(http)), Code(code), "{http}");
    }
    for other in [200, 204, 302, 402, 500, 501, 505] {
        assert_eq!(Code::from_http(Some(other)), Code::UNKNOWN);
    }
    assert_eq!(Code::from_http(None), Code::INTERNAL);
}

/// Section D3, the column of recommended codes.
#[test]
fn exceptions_are_codes() {
    let table = [
        (0..=0, 2),
        (1..=1, 12),
        (2..=10, 13),
        (11..=19, 2),
        (20..=21, 12),
        (22..=99, 2),
        (12000..=12000, 2),
        (12001..=12005, 13),
        (12006..=12006, 14),
        (12007..=12012, 1),
        (12013..=12013, 14),
        (12014..=12015, 4),
        (12016..=12016, 2),
    ];
    for (types, code) in table {
        for type_id in types {
            assert_eq!(Code::from_exception(type_id, Compat::Grpc), Code(code), "{type_id}");
            let compat = if matches!(type_id, 20 | 21) { 20 } else { code };
            assert_eq!(Code::from_exception(type_id, Compat::Kitex), Code(compat), "{type_id}");
        }
    }
    for type_id in [-1, i32::MIN, i32::MAX] {
        assert_eq!(Code::from_exception(type_id, Compat::Grpc), Code::UNKNOWN);
    }
}

/// Section D3: the text of an exception that was a status.
#[test]
fn a_status_goes_into_a_text_and_comes_back() {
    let text = status::rpc_error(Code::UNAVAILABLE, b"graceful shutdown");
    assert_eq!(text, b"rpc error: code = 14 desc = graceful shutdown");
    for (text, expected) in [
        (&text[..], Some((Code::UNAVAILABLE, &b"graceful shutdown"[..]))),
        (b"biz error: rpc error: code = 9 desc = x", Some((Code(9), b"x"))),
        (b"rpc error: code = -3 desc = ", Some((Code(-3), b""))),
        (b"rpc error: code = 1 desc = rpc error: code = 2 desc = y", Some((Code(1), b"rpc error: code = 2 desc = y"))),
        (b"rpc error: code = 1 desc =", None),
        (b"rpc error: code = x desc = y", None),
        (b"rpc error: code =  desc = y", None),
        (b"an rpc error: code = 1 desc = y", None),
        (b"", None),
    ] {
        assert_eq!(status::parse_rpc_error(text), expected, "{}", text.escape_ascii());
    }
}

// ---- compression

/// Section B5.
#[test]
fn encodings_are_told_by_name() {
    use Encoding::{Deflate, Gzip, Identity, Other, Zstd};
    let list = |value: &'static str| Encoding::parse_list(value.as_bytes()).collect::<Vec<_>>();
    assert_eq!(list("gzip"), [Gzip]);
    assert_eq!(list("identity, deflate ,gzip,zstd"), [Identity, Deflate, Gzip, Zstd]);
    assert_eq!(list("snappy,gzip;"), [Other(b"snappy"), Gzip]);
    assert_eq!(list("gzip;q=0.5, ,br"), [Gzip, Other(b"br")]);
    assert_eq!(list(""), []);
    assert_eq!(list(" ; , ;"), []);
    assert_eq!(Encoding::parse(b" gzip "), Gzip);
    assert_eq!(Encoding::parse(b""), Identity);
    assert_eq!(Encoding::parse(b"GZIP"), Other(b"GZIP"), "no peer knows it by this name");
    for encoding in [Identity, Gzip, Deflate, Zstd, Other(b"br")] {
        assert_eq!(Encoding::parse(encoding.name()), encoding);
    }
    assert_eq!(Other(b"b\xff").to_string(), "b\\xff");
    assert!(Identity.is_supported() && !Other(b"br").is_supported());
}

fn table(name: &str) -> &'static [Value] {
    streaming_vectors()["grpc_scalars"][name].as_array().unwrap()
}
