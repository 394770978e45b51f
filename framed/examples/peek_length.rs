//! How much of this frame is still on its way? Tells it from the first four bytes, so that a reader can refuse a long
//! frame, or pass it on in parts: `cargo run -p framed --example peek_length`.

use framed::{HEAD_LEN, peek_len};

fn main() {
    // What reads from a socket might bring, each with what came before it.
    for read in [&b"\0\0"[..], b"\0\0\0\x1a", b"\0\0\0\x1a\x80\x01\0\x01\0\0\0\x04echo"] {
        match peek_len(read).and_then(|len| usize::try_from(len).ok()) {
            None => println!("{} bytes: LENGTH itself is not there yet", read.len()),
            Some(payload_len) => {
                let frame_len = HEAD_LEN.saturating_add(payload_len);
                println!("{} bytes of {frame_len}: {} to come", read.len(), frame_len.saturating_sub(read.len()));
            }
        }
    }
}
