//! What does a request say before its first message? `cargo run -p grpc-frame --example peek_call`
#![allow(clippy::print_stdout, reason = "an example talks")]

use grpc_frame::{DecodeError, content_type::ContentType, metadata, metadata::NameKind, path::Path, timeout};

/// As a Kitex client sends them.
const HEADERS: [(&str, &str); 8] = [
    (":path", "/tenant.EchoService/Echo"),
    (":authority", "echoService"),
    ("content-type", "application/grpc+thrift"),
    ("te", "trailers"),
    ("grpc-timeout", "999828u"),
    ("rpc-persist-user-id", "7"),
    ("source-service", "ServiceA"),
    ("x-token-bin", "AAEC"),
];

fn main() -> Result<(), DecodeError> {
    for (name, value) in HEADERS {
        match (name, NameKind::of(name)) {
            (":path", _) => {
                let path = Path::parse(value)?;
                println!("method {} of {} in package {:?}", path.method(), path.service(), path.package());
            }
            ("content-type", _) => match ContentType::parse(value.as_bytes()) {
                Some(content_type) => println!("messages are {:?}", content_type.codec()),
                None => println!("not gRPC"),
            },
            (timeout::NAME, _) => println!("the caller waits for {:?} more", timeout::parse(value.as_bytes())?),
            (_, NameKind::Reserved) => {}
            (_, NameKind::Persist | NameKind::Transit) => {
                println!("metainfo {} = {value}", metadata::metainfo_key(name).unwrap_or_default());
            }
            _ if metadata::is_binary(name) => {
                println!("metadata {name} = {:?}", metadata::decode_bin("metadata", value.as_bytes())?);
            }
            _ => println!("metadata {name} = {value}"),
        }
    }
    Ok(())
}
