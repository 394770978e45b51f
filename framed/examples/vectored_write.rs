//! How does a payload leave without being copied behind its LENGTH? `cargo run -p framed --example vectored_write`

use std::io::{self, ErrorKind, IoSlice, Write};

use framed::{encode_head, peek_len};

fn main() -> io::Result<()> {
    let payload = b"\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x01\0";
    // Stands for a socket.
    let mut sent = Vec::new();
    write_frame(&mut sent, payload)?;
    println!("{} bytes sent, LENGTH says {:?}: {}", sent.len(), peek_len(&sent), sent.escape_ascii());
    Ok(())
}

/// One call of the system as a rule; more when the socket takes only a part.
fn write_frame(socket: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let head = encode_head(payload.len()).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    let mut slices = &mut [IoSlice::new(&head), IoSlice::new(payload)][..];
    while slices.iter().any(|slice| !slice.is_empty()) {
        match socket.write_vectored(slices) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
