//! How does a proxy add the caller's address and lower the timeout, and leave everything else as it came?
//! `cargo run -p ttheader --example add_key`

use bytes::BytesMut;
use ttheader::{CodecError, Entry, Flags, Header, HeaderView, IntKey, Patch, keys};

fn main() -> Result<(), CodecError> {
    let mut header = Header::new(Flags::default(), 7);
    header.append_string(keys::IDL_SERVICE_NAME, b"EchoService")?;
    header.append_string(b"of-nobody-we-know", b"\x00\xff")?;
    header.append_int(IntKey::RPC_TIMEOUT, b"250")?;
    let payload = b"stays where it is";
    let mut received = BytesMut::new();
    header.encode(payload.len(), &mut received)?;

    let (mut timeout, mut has_address) = (None, false);
    let view = HeaderView::parse_with(&received, |entry| match entry {
        Entry::Str { key: keys::REMOTE_ADDRESS, .. } => has_address = true,
        Entry::Int { key: IntKey::RPC_TIMEOUT, .. } => timeout = Some(entry),
        _ => {}
    })?;

    let mut patch = Patch::new();
    if let Some(entry) = timeout {
        patch.replace(&entry, b"238");
    }
    if !has_address {
        patch.append_string(keys::REMOTE_ADDRESS, b"192.0.2.1:50000");
    }
    let mut head = BytesMut::new();
    patch.encode(&view, payload.len(), &mut head)?;
    // Now one vectored write of `head` and the payload.

    println!("before: {view:#?}\nafter: {:#?}", HeaderView::parse(&head)?);
    Ok(())
}
