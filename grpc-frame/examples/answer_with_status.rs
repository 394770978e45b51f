//! How does a call end with an error and its details? `cargo run -p grpc-frame --example answer_with_status`
#![allow(clippy::print_stdout, reason = "an example talks")]

use bytes::BytesMut;
use grpc_frame::{
    DecodeError,
    status::{self, Code, RpcStatus, Status},
};

fn main() -> Result<(), DecodeError> {
    // `google.protobuf.Any` with a type and no value, as `prost` would write it.
    let any = b"\x0a\x1etype.googleapis.com/acme.Empty";
    let message = "100 % of the café is taken";
    let mut details = BytesMut::new();
    RpcStatus::encode(Code::RESOURCE_EXHAUSTED, message.as_bytes(), [&any[..]], &mut details);

    let mut status = Status::new(Code::RESOURCE_EXHAUSTED, message.as_bytes());
    status.details = Some(details.to_vec());
    let (code, text, details) = (status.code.encode(), status.encode_message(), status.encode_details());
    println!("{}: {code}\n{}: {text}\n{}: {details:?}", status::STATUS, status::MESSAGE, status::DETAILS);

    // The caller's side.
    let details = details.as_deref().map(str::as_bytes);
    let received = Status::parse(Some(code.as_ref()), Some(text.as_bytes()), details)?;
    assert_eq!(received, status);
    println!("{} {}", received.code, received.message.escape_ascii());
    Ok(())
}
