//! What a connection has to write.

use std::io::{self, Write};
use std::net::TcpStream;

use super::Writes;

/// Bytes for a socket, and whether they may go out together.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Appended to by who has something to say.
    pub(super) bytes: Vec<u8>,
    written: usize,
    /// Where a write has to end, in ascending order; past the last one all that is left goes out together.
    cuts: Vec<usize>,
    next_cut: usize,
    each: bool,
}

impl Outbox {
    pub(super) fn new(writes: Writes) -> Self {
        Self { each: writes == Writes::Each, bytes: Vec::with_capacity(64 << 10), ..Self::default() }
    }

    /// Says that a message ends here.
    pub(super) fn end_message(&mut self) {
        if self.each {
            self.cuts.push(self.bytes.len());
        }
    }

    /// Writes what there is; whether all of it went out.
    pub(super) fn flush(&mut self, mut stream: &TcpStream) -> io::Result<bool> {
        while self.written < self.bytes.len() {
            let end = self.cuts.get(self.next_cut).copied().unwrap_or(self.bytes.len());
            match stream.write(self.bytes.get(self.written..end).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.written = self.written.saturating_add(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.written == end {
                self.next_cut = self.next_cut.saturating_add(1);
            }
        }
        self.bytes.clear();
        self.cuts.clear();
        self.written = 0;
        self.next_cut = 0;
        Ok(true)
    }
}
