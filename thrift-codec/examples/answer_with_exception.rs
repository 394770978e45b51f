//! How does a proxy answer a call that it cannot deliver? With the caller's method and seqid, and in the form the call
//! came in: `cargo run -p thrift-codec --example answer_with_exception`.

use bytes::BytesMut;
use thrift_codec::{ApplicationException, CodecError, ErrorProto, MessageHeader, MessageType, Version, exception};

fn main() -> Result<(), CodecError> {
    let thrift = b"\x80\x01\0\x01\0\0\0\x04nope\0\0\0\x07\0";
    let protobuf = b"\x90\x01\0\x01\0\0\0\x04Nope\0\0\0\x08";
    for call in [&thrift[..], protobuf] {
        let mut reply = BytesMut::new();
        answer(call, exception::UNKNOWN_METHOD, b"unknown method", &mut reply)?;
        println!("{}\n  -> {}", call.escape_ascii(), reply.escape_ascii());

        // What the caller reads.
        let header = MessageHeader::parse(&reply)?;
        let body = reply.get(header.encoded_len()..).unwrap_or_default();
        match header.version {
            Version::THRIFT => println!("  {:?}", ApplicationException::parse(body)?),
            _ => println!("  {:?}", ErrorProto::parse(body)?),
        }
    }
    Ok(())
}

/// Appends one whole message: envelope and exception.
fn answer(call: &[u8], code: i32, message: &[u8], dst: &mut BytesMut) -> Result<(), CodecError> {
    let header = MessageHeader::parse(call)?;
    MessageHeader::new(header.version, MessageType::EXCEPTION, header.name, header.seqid).encode(dst)?;
    match header.version {
        Version::THRIFT => ApplicationException::new(code, message).encode(dst)?,
        _ => ErrorProto::new(code, message).encode(dst),
    }
    Ok(())
}
