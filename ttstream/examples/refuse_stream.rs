//! How does a server answer a stream that it cannot serve? A stock one says nothing and lets the caller wait for its
//! deadline; this one answers with header and trailer: `cargo run -p ttstream --example refuse_stream`.

use std::error::Error;

use bytes::BytesMut;
use tokio_util::codec::Decoder;
use ttstream::stream::{Server, opens};
use ttstream::{Code, Exception, Frame, StreamEncoder, TtStreamCodec};

fn main() -> Result<(), Box<dyn Error>> {
    let mut from_client = BytesMut::new();
    StreamEncoder::new(1, b"Nope")?.open(b"Live", [], &mut from_client)?;

    let mut to_client = BytesMut::new();
    while let Some(frame) = TtStreamCodec::default().decode(&mut from_client)? {
        if opens(&frame)? {
            refuse(&frame, &mut to_client)?;
        }
    }

    // What the caller reads.
    while let Some(frame) = TtStreamCodec::default().decode(&mut to_client)? {
        println!("{:?}: {:?}", frame.frame_type(), frame.outcome());
    }
    Ok(())
}

fn refuse(opening: &Frame, dst: &mut BytesMut) -> Result<(), Box<dyn Error>> {
    let encoder = StreamEncoder::new(opening.stream_id(), opening.method())?;
    let text = format!("unknown method {}", String::from_utf8_lossy(opening.method()));
    let writes = Server::new().finish();
    if writes.header {
        encoder.empty_header(dst);
    }
    if writes.trailer {
        encoder.exception_trailer([], &Exception::new(Code::UNKNOWN_METHOD, text.as_bytes()), dst)?;
    }
    Ok(())
}
