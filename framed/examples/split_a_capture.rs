//! Which frames are in a capture of one direction of a connection?
//!
//! `cargo run -p framed --example split_a_capture < capture.bin`
#![allow(clippy::print_stdout, reason = "an example tells what it finds")]

use std::io::Read;

use bytes::BytesMut;
use framed::FramedCodec;
use tokio_util::codec::Decoder;

fn main() -> Result<(), framed::CodecError> {
    let mut capture = Vec::new();
    std::io::stdin().read_to_end(&mut capture)?;
    let mut src = BytesMut::from(&capture[..]);
    let mut codec = FramedCodec::default();
    // `decode_eof` decodes as `decode` does, and says what is missing of the last frame.
    while let Some(payload) = codec.decode_eof(&mut src)? {
        println!("{} bytes, beginning with {:02x?}", payload.len(), payload.iter().take(8).collect::<Vec<_>>());
    }
    Ok(())
}
