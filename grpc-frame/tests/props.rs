//! Messages and values of any content go to the wire and back however they are cut, and no bytes make anything panic.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grpc_frame::{
    DecodeError,
    message::{Assembler, Boundaries, CompressedFlag, Head, Message, MessageCodec},
    metadata,
    path::{self, Path},
    status::{self, Code, RpcStatus, Status},
    timeout,
};
use proptest::{collection::vec, prelude::*};
use testkit::decode_in_reads;
use tokio_util::codec::Encoder;

const MAX: usize = 64;

proptest! {
    #[test]
    fn messages_come_back_as_they_went(messages in vec(message(), 0..8), reads in vec(1..64_usize, 1..32)) {
        let wire = encode(&messages);
        let chunks = cut(&wire, &reads);
        let (decoded, error) = decode_in_reads(&mut MessageCodec::default(), chunks.iter().map(|chunk| &chunk[..]));
        prop_assert_eq!(&decoded, &messages);
        prop_assert_eq!(error, None);
        prop_assert_eq!(assemble(&chunks), (messages.clone(), Ok(())));
        prop_assert_eq!(count(&chunks), (messages.len(), Ok(())));
    }

    #[test]
    fn any_bytes_are_read_alike_by_all_three(
        bytes in vec(prop_oneof![5 => Just(0), 1 => any::<u8>()], 0..256),
        reads in vec(1..64_usize, 1..32),
    ) {
        let bytes = Bytes::from(bytes);
        let chunks = cut(&bytes, &reads);
        let new = || MessageCodec::builder().max_message_len(MAX).build();
        let (messages, error) = decode_in_reads(&mut new(), [&bytes[..]]);
        let again = decode_in_reads(&mut new(), chunks.iter().map(|chunk| &chunk[..]));
        prop_assert_eq!(&again, &(messages.clone(), error.clone()));
        let (assembled, end) = assemble(&chunks);
        prop_assert_eq!(&assembled, &messages);
        prop_assert_eq!(end.err().map(|error| error.to_string()), error.clone());
        let (counted, end) = count(&chunks);
        prop_assert_eq!(end.err().map(|error| error.to_string()), error.clone());
        // What a chunk holds before an error is not counted.
        let agreed = if error.is_some() { counted <= messages.len() } else { counted == messages.len() };
        prop_assert!(agreed, "{} counted, {} read", counted, messages.len());
        let taken = encode(&messages);
        prop_assert!(bytes.starts_with(&taken));
        prop_assert_eq!(error.is_none(), taken.len() == bytes.len(), "what is left over is an error");
    }

    #[test]
    fn a_head_is_read_as_it_is_written(flag: u8, len: u32) {
        let head = Head { flag: CompressedFlag(flag), len };
        prop_assert_eq!(Head::peek(&head.encode()), Some(head));
    }

    #[test]
    fn a_timeout_comes_back_no_shorter_and_hardly_longer(nanos in any::<u64>(), shift in 0..64_u32) {
        let given = Duration::from_nanos(nanos >> shift).min(timeout::MAX);
        let text = timeout::encode(given);
        prop_assert!((2..=9).contains(&text.len()));
        let read = timeout::parse(text.as_bytes()).unwrap();
        prop_assert!(read >= given);
        prop_assert!(read.saturating_sub(given) <= given / 1_000, "{:?} became {}", given, text);
    }

    #[test]
    fn any_timeout_is_read_or_refused(value in vec(prop_oneof![b'0'..=b'9', Just(b'-'), Just(b'u'), any::<u8>()], 0..12)) {
        if let Ok(timeout) = timeout::parse(&value) {
            prop_assert!((2..=9).contains(&value.len()) && timeout <= timeout::MAX);
        }
    }

    #[test]
    fn a_text_comes_back_from_its_escaped_form(text in ".*") {
        let value = status::encode_message(text.as_bytes());
        prop_assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        prop_assert_eq!(&status::decode_message(value.as_bytes())[..], text.as_bytes());
    }

    #[test]
    fn any_bytes_are_a_text(bytes in vec(prop_oneof![Just(b'%'), b'0'..=b'f', any::<u8>()], 0..64)) {
        let decoded = status::decode_message(&bytes);
        prop_assert!(decoded.len() <= bytes.len());
        // As it is UTF-8 now, nothing is lost any more.
        let value = status::encode_message(&decoded);
        let lossless = status::decode_message(value.as_bytes());
        prop_assert_eq!(&status::encode_message(&lossless), &value);
    }

    #[test]
    fn a_code_comes_back(code: i32) {
        prop_assert_eq!(Code::parse(Code(code).encode().as_ref()), Ok(Code(code)));
        let text = status::rpc_error(Code(code), b"text");
        prop_assert_eq!(status::parse_rpc_error(&text), Some((Code(code), &b"text"[..])));
    }

    #[test]
    fn details_come_back(code: i32, message in vec(any::<u8>(), 0..200), details in vec(vec(any::<u8>(), 0..200), 0..4)) {
        let mut proto = BytesMut::new();
        RpcStatus::encode(Code(code), &message, details.iter().map(Vec::as_slice), &mut proto);
        let value = metadata::encode_bin(&proto);
        let status = Status::parse(Some(b"2"), None, Some(value.as_bytes())).unwrap();
        prop_assert_eq!((status.code, &status.message[..]), (Code(code), &message[..]));
        prop_assert_eq!(RpcStatus::parse(&proto).unwrap().details().collect::<Vec<_>>(), details);
        prop_assert_eq!(status.encode_details(), Some(value));
    }

    #[test]
    fn any_details_are_read_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        if let Ok(status) = RpcStatus::parse(&bytes) {
            let details: Vec<_> = status.details().collect();
            let mut proto = BytesMut::new();
            RpcStatus::encode(status.code, status.message, details.iter().copied(), &mut proto);
            let again = RpcStatus::parse(&proto).unwrap();
            prop_assert_eq!((again.code, again.message), (status.code, status.message));
            prop_assert_eq!(again.details().collect::<Vec<_>>(), details);
        }
    }

    #[test]
    fn a_binary_value_comes_back(bytes in vec(any::<u8>(), 0..64)) {
        let value = metadata::encode_bin(&bytes);
        prop_assert!(!value.ends_with('='));
        prop_assert_eq!(metadata::decode_bin("k-bin", value.as_bytes()).unwrap(), bytes);
    }

    #[test]
    fn a_path_is_built_from_its_parts(package in "([a-z.]*[a-z])?", service in "[A-Za-z]*", method in "[A-Za-z]*") {
        let built = path::build(&package, &service, &method);
        let path = Path::parse(&built).unwrap();
        prop_assert_eq!((path.package(), path.service(), path.method()), (&*package, &*service, &*method));
    }

    #[test]
    fn a_metainfo_key_survives_headers_if_it_says_so(name in "[A-Z0-9_a-z-]{1,12}") {
        let key = format!("RPC_PERSIST_{name}");
        let header = metadata::metainfo_header(key.as_bytes()).unwrap();
        let name_again = metadata::field_name(header.as_bytes());
        prop_assert_eq!(name_again.as_deref(), Some(&*header));
        let back = metadata::metainfo_key(&header).unwrap();
        prop_assert_eq!(back == key, metadata::survives_cgi(name.as_bytes()));
    }
}

fn message() -> impl Strategy<Value = Message> {
    (any::<u8>(), vec(any::<u8>(), 0..48))
        .prop_map(|(flag, payload)| Message { flag: CompressedFlag(flag), payload: payload.into() })
}

fn encode(messages: &[Message]) -> Bytes {
    let mut wire = BytesMut::new();
    for message in messages {
        MessageCodec::default().encode(message.clone(), &mut wire).unwrap();
    }
    wire.freeze()
}

/// Chunks of these lengths, over and over.
fn cut(wire: &Bytes, lens: &[usize]) -> Vec<Bytes> {
    let mut rest = wire.clone();
    let mut chunks = Vec::new();
    for len in lens.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        chunks.push(rest.split_to(rest.len().min(*len)));
    }
    chunks
}

fn assemble(chunks: &[Bytes]) -> (Vec<Message>, Result<(), DecodeError>) {
    let mut assembler = Assembler::new(MAX);
    let mut messages = Vec::new();
    for chunk in chunks {
        assembler.feed(chunk.clone());
        loop {
            match assembler.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, assembler.finish())
}

fn count(chunks: &[Bytes]) -> (usize, Result<(), DecodeError>) {
    let mut boundaries = Boundaries::new(MAX);
    let mut messages = 0_usize;
    for chunk in chunks {
        match boundaries.feed(chunk) {
            Ok(count) => messages = messages.saturating_add(count),
            Err(error) => return (messages, Err(error)),
        }
    }
    (messages, boundaries.finish())
}
