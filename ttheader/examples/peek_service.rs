//! Where is this message meant to go? Reads service, method and timeout off a request's first bytes, in one pass and
//! without the payload being there: `cargo run -p ttheader --example peek_service`.

use ttheader::{DecodeError, Entry, Head, HeaderView, IntKey, keys};

fn main() -> Result<(), DecodeError> {
    // What a read from the socket might bring: the header, and a payload of which the rest is still on its way.
    let read = b"\0\0\0\x50\x10\x00\0\0\0\0\0\x07\0\x0b\
        \0\0\x01\0\x01\0\x03isn\0\x0bEchoService\x10\0\x02\0\x09\0\x04echo\0\x0c\0\x03250\0\0\0\
        \x80\x01\0\x01";
    let Some(head) = Head::peek(read)? else { return Ok(()) };
    println!("call {} of {} bytes, {} of them payload", head.seq, head.frame_len(), head.payload_len());

    let (mut service, mut method, mut timeout): (&[u8], &[u8], &[u8]) = (b"?", b"?", b"none");
    HeaderView::parse_with(read, |entry| match entry {
        Entry::Str { key: keys::IDL_SERVICE_NAME, value, .. } => service = value,
        Entry::Int { key: IntKey::TO_METHOD, value, .. } => method = value,
        Entry::Int { key: IntKey::RPC_TIMEOUT, value, .. } => timeout = value,
        _ => {}
    })?;
    println!("{}.{}, timeout {} ms", service.escape_ascii(), method.escape_ascii(), timeout.escape_ascii());
    Ok(())
}
