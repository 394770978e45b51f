//! Reading the envelope of a message, and an exception: `cargo bench --bench message`. Here the crate's `nom` grammar
//! stands beside a plain cursor that keeps field and offset just as well.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use peers::{Contest, CountingAllocator, plain};
use pilota::thrift::{TInputProtocol, binary::TBinaryProtocol};
use thrift::protocol::{TBinaryInputProtocol, TInputProtocol as _};
use thrift_codec::{ApplicationException, MessageHeader, MessageType, Version, exception, set_seqid};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() {
    envelope();
    application_exception();
}

fn envelope() {
    let mut message = BytesMut::new();
    MessageHeader::new(Version::THRIFT, MessageType::CALL, b"GetUserProfile", 7).encode(&mut message).unwrap();
    message.extend_from_slice(&[0]);
    let src = &message[..];
    let bytes = Bytes::copy_from_slice(src);
    let mut patched = src.to_vec();
    assert_eq!(plain::envelope(src).unwrap(), MessageHeader::parse(src).unwrap());

    Contest::new("envelope", src.len())
        .entry("plain cursor, field and offset kept", || plain::envelope(black_box(src)))
        .entry("thrift-codec `MessageHeader::parse`", || MessageHeader::parse(black_box(src)))
        .entry("thrift-codec `MessageHeader::peek`", || MessageHeader::peek(black_box(src), 4096))
        .entry("thrift-codec `set_seqid`", || set_seqid(black_box(&mut patched), 9))
        .entry("pilota, checked", || {
            TBinaryProtocol::new(&mut black_box(&bytes).clone(), false).read_message_begin().unwrap()
        })
        .entry("apache thrift", || TBinaryInputProtocol::new(black_box(src), true).read_message_begin().unwrap())
        .run();
}

fn application_exception() {
    let mut body = BytesMut::new();
    ApplicationException::new(exception::INTERNAL_ERROR, b"biz error: no such user").encode(&mut body).unwrap();
    let src = &body[..];
    let bytes = Bytes::copy_from_slice(src);
    assert_eq!(plain::application_exception(src).unwrap(), ApplicationException::parse(src).unwrap());

    Contest::new("application exception", src.len())
        .entry("plain cursor, field and offset kept", || plain::application_exception(black_box(src)))
        .entry("thrift-codec `ApplicationException::parse`", || ApplicationException::parse(black_box(src)))
        .entry("pilota, checked", || {
            use pilota::thrift::Message as _;
            let mut bytes = black_box(&bytes).clone();
            pilota::thrift::ApplicationException::decode(&mut TBinaryProtocol::new(&mut bytes, false)).unwrap()
        })
        .entry("apache thrift", || {
            let mut reader = TBinaryInputProtocol::new(black_box(src), true);
            thrift::Error::read_application_error_from_in_protocol(&mut reader).unwrap()
        })
        .run();
}
