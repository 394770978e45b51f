//! How is a stream carried on to another connection, where it has another id, and who writes which frame on the way?
//! `cargo run -p ttstream --example relay`.

use std::error::Error;

use bytes::BytesMut;
use tokio_util::codec::Decoder;
use ttstream::stream::{Client, ClientEvent, Server, ServerEvent};
use ttstream::{Exception, FrameType, StreamEncoder, TtStreamCodec};

/// The stream's id towards the caller, and towards the backend.
const CALLER_ID: i32 = 41;
const BACKEND_ID: i32 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let method = b"Chat";
    let caller = StreamEncoder::new(CALLER_ID, method)?;
    let backend = StreamEncoder::new(BACKEND_ID, method)?;

    // The caller opens a stream, sends a message and cancels before an answer is there.
    let mut from_caller = BytesMut::new();
    caller.open(b"Live", [(&b"RPC_PERSIST_user"[..], &b"u1"[..])], &mut from_caller)?;
    caller.data(1, &mut from_caller)?;
    from_caller.extend_from_slice(b"\0");
    caller.rst(&Exception::built_in(ttstream::Code::CANCELLED), b"caller", &mut from_caller)?;
    caller.half_close(&mut from_caller);

    let mut to_backend = BytesMut::new();
    let (mut server, mut client) = (Server::new(), Client::new());
    while let Some(frame) = TtStreamCodec::default().decode(&mut from_caller)? {
        if frame.frame_type() == FrameType::Header {
            // As it came, unknown keys included, but for the id. The payload, none here, would follow.
            frame.encode_head_with_id(BACKEND_ID, &mut to_backend)?;
            continue;
        }
        match server.received(&frame)? {
            ServerEvent::Message => {
                let _data = client.send_message()?;
                frame.encode_head_with_id(BACKEND_ID, &mut to_backend)?;
                to_backend.extend_from_slice(&frame.into_payload());
            }
            ServerEvent::HalfClose(_) => {
                if client.half_close().trailer {
                    backend.half_close(&mut to_backend);
                }
            }
            // A cancel stays a cancel, with its code and text, and the path grows by this hop.
            ServerEvent::Reset(why) => {
                let writes = client.cancel();
                if writes.rst {
                    backend.rst(&why.exception, &[why.cancel_path, b",relay"].concat(), &mut to_backend)?;
                }
                if writes.trailer {
                    backend.half_close(&mut to_backend);
                }
            }
            _ => println!("ignored: {:?}", frame.frame_type()),
        }
    }

    // What the backend reads. Whatever it answers now is for a stream that both sides have forgotten.
    while let Some(frame) = TtStreamCodec::default().decode(&mut to_backend)? {
        println!("{frame:?}");
    }
    let mut late = BytesMut::new();
    backend.trailer([], &mut late)?;
    let late = TtStreamCodec::default().decode(&mut late)?.ok_or("it is whole")?;
    assert_eq!(client.received(&late)?.0, ClientEvent::Ignored);
    Ok(())
}
