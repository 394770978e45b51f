//! One connection of the echo backend.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;

use super::request::{Found, find};
use crate::poll::{Interest, Ready};

/// From this size on a request is read straight into its place and answered where it stands.
const IN_PLACE_MIN: usize = 64 << 10;

/// How it goes on with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Unchanged,
    Wants(Interest),
    Finished,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// The beginning of a request whose end has not come: `stash[..filled]`.
    stash: Vec<u8>,
    filled: usize,
    /// Length that request will have at least.
    needs: usize,
    /// Replies to send, unless one stands ready in the stash.
    out: Vec<u8>,
    /// A reply within the stash that has to be sent.
    in_place: Option<Range<usize>>,
    /// Bytes sent of `out`.
    written: usize,
    blocked: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            stash: Vec::new(),
            filled: 0,
            needs: 0,
            out: Vec::new(),
            in_place: None,
            written: 0,
            blocked: false,
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Goes on: takes what came, answers it, writes the answers.
    pub(super) fn serve(&mut self, event: Ready, scratch: &mut [u8]) -> Outcome {
        match self.try_serve(event, scratch) {
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => Outcome::Finished,
        }
    }

    /// `None` when the peer is done, or speaks no protocol of ours.
    fn try_serve(&mut self, event: Ready, scratch: &mut [u8]) -> io::Result<Option<Outcome>> {
        if self.blocked {
            if event.writable && self.flush()? {
                self.blocked = false;
                return Ok(Some(Outcome::Wants(Interest::Read)));
            }
            return Ok(Some(Outcome::Unchanged));
        }
        if event.readable && !self.read(scratch)? {
            return Ok(None);
        }
        if self.flush()? {
            return Ok(Some(Outcome::Unchanged));
        }
        self.blocked = true;
        Ok(Some(Outcome::Wants(Interest::Write)))
    }

    fn read(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        if self.filled > 0 && self.needs >= IN_PLACE_MIN {
            return self.read_in_place();
        }
        let len = match self.stream.read(scratch) {
            Ok(0) => return Ok(false),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        let came = scratch.get(..len).unwrap_or_default();
        if self.filled == 0 {
            return Ok(self.answer_all(came));
        }
        let mut whole = std::mem::take(&mut self.stash);
        whole.truncate(self.filled);
        whole.extend_from_slice(came);
        self.filled = 0;
        Ok(self.answer_all(&whole))
    }

    /// Answers the requests in `bytes` and keeps the rest; whether they were requests.
    fn answer_all(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match find(bytes) {
                Found::Request(request) => {
                    request.push_reply(bytes, &mut self.out);
                    bytes = bytes.get(request.len..).unwrap_or_default();
                }
                Found::Needs(len) => {
                    self.needs = len;
                    self.filled = bytes.len();
                    self.stash.clear();
                    self.stash.extend_from_slice(bytes);
                    return true;
                }
                Found::Garbage => return false,
            }
        }
        true
    }

    /// Reads on into a large request, never past its end, and turns it into its reply when it is whole.
    fn read_in_place(&mut self) -> io::Result<bool> {
        if self.stash.len() < self.needs {
            self.stash.resize(self.needs, 0);
        }
        while self.filled < self.needs {
            let room = self.stash.get_mut(self.filled..self.needs).unwrap_or_default();
            match self.stream.read(room) {
                Ok(0) => return Ok(false),
                Ok(len) => self.filled = self.filled.saturating_add(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        match find(self.stash.get(..self.filled).unwrap_or_default()) {
            Found::Request(request) if request.len == self.filled => {
                match request.reply_in_place(self.stash.get_mut(..self.filled).unwrap_or_default()) {
                    Some(range) => self.in_place = Some(range),
                    None => request.push_reply(self.stash.get(..self.filled).unwrap_or_default(), &mut self.out),
                }
                self.filled = 0;
                Ok(true)
            }
            Found::Needs(len) => {
                self.needs = len;
                Ok(true)
            }
            Found::Request(_) | Found::Garbage => Ok(false),
        }
    }

    /// Writes what there is; whether all of it went out.
    fn flush(&mut self) -> io::Result<bool> {
        loop {
            let unsent = match &self.in_place {
                // What was answered before the large request has to go out first.
                Some(range) if self.out.is_empty() => self.stash.get(range.clone()),
                _ => self.out.get(self.written..),
            };
            let unsent = unsent.unwrap_or_default();
            if unsent.is_empty() {
                self.in_place = None;
                return Ok(true);
            }
            let sent = match self.stream.write(unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            if self.out.is_empty() {
                if let Some(range) = &mut self.in_place {
                    range.start = range.start.saturating_add(sent);
                }
            } else {
                self.written = self.written.saturating_add(sent);
                if self.written == self.out.len() {
                    self.out.clear();
                    self.written = 0;
                }
            }
        }
    }
}
