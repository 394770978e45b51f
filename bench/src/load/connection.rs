//! One connection of the load generator: what it still has to send, and which calls it waits for.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::reply::ReplyReader;
use crate::poll::Interest;
use crate::wire::{Template, Violation};

/// Up to here a request is copied into one buffer; above, head and shared body go out by `writev`.
const COPY_MAX: usize = 32 << 10;

/// What a write left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The socket waits for the same as before.
    Unchanged,
    /// The socket has to wait for something else.
    Wants(Interest),
}

/// A call without its reply.
#[derive(Clone, Copy, Debug)]
struct Flight {
    seqid: u32,
    /// When it was due, in nanoseconds since the start.
    due: u64,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    open: bool,
    next_seqid: u32,
    /// Calls that are due but may not be sent yet, by the time they were due.
    waiting: VecDeque<u64>,
    /// Calls sent, oldest first: replies on a connection come in order.
    flights: VecDeque<Flight>,
    /// Heads, and small bodies with them.
    out: Vec<u8>,
    written: usize,
    /// Bytes of the shared body still to be sent after `out`.
    body_left: usize,
    blocked: bool,
    reader: ReplyReader,
}

impl Connection {
    pub(super) fn open(target: SocketAddr, template: &Template) -> io::Result<Self> {
        let stream = TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            open: true,
            next_seqid: 1,
            waiting: VecDeque::new(),
            flights: VecDeque::new(),
            out: Vec::with_capacity(template.request_len().min(COPY_MAX)),
            written: 0,
            body_left: 0,
            blocked: false,
            reader: ReplyReader::new(template),
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Calls without a reply, sent or not.
    pub(super) fn pending(&self) -> usize {
        self.flights.len().saturating_add(self.waiting.len())
    }

    /// Adds a call that is due at `due`.
    pub(super) fn enqueue(&mut self, due: u64) {
        self.waiting.push_back(due);
    }

    /// Sends what may be sent, all of it with as few writes as possible.
    pub(super) fn pump(&mut self, template: &Template, depth: usize) -> io::Result<Progress> {
        if !self.open {
            return Ok(Progress::Unchanged);
        }
        let shared_body = template.body().len() > COPY_MAX;
        loop {
            while self.flights.len() < depth && self.body_left == 0 {
                let Some(due) = self.waiting.pop_front() else { break };
                let seqid = self.next_seqid;
                // A Kitex client counts from 1 and skips 0.
                self.next_seqid = self.next_seqid.checked_add(1).unwrap_or(1);
                template.push_head(seqid, &mut self.out);
                self.flights.push_back(Flight { seqid, due });
                if shared_body {
                    self.body_left = template.body().len();
                } else {
                    self.out.extend_from_slice(template.body());
                }
            }
            if self.out.is_empty() && self.body_left == 0 {
                return Ok(self.wait_for(false));
            }
            if !self.write(template.body())? {
                return Ok(self.wait_for(true));
            }
        }
    }

    /// Takes one reply off the front of `chunk`, and says when its call was due.
    pub(super) fn take_reply(&mut self, chunk: &mut &[u8], template: &Template) -> Result<Option<u64>, Violation> {
        let Some(actual) = self.reader.take(chunk, template)? else { return Ok(None) };
        let flight = self.flights.pop_front().ok_or(Violation::Unasked)?;
        if flight.seqid != actual {
            return Err(Violation::Seqid { expected: flight.seqid, actual });
        }
        Ok(Some(flight.due))
    }

    /// Shuts the socket down; the number of calls lost with it, the first time.
    pub(super) fn close(&mut self) -> Option<usize> {
        if !self.open {
            return None;
        }
        self.open = false;
        // Whoever looks at the socket next finds it closed; that the shutdown worked changes nothing.
        let _ = self.stream.shutdown(Shutdown::Both);
        let lost = self.pending();
        self.waiting.clear();
        self.flights.clear();
        Some(lost)
    }

    /// One write; whether everything went out.
    fn write(&mut self, body: &[u8]) -> io::Result<bool> {
        let head = self.out.get(self.written..).unwrap_or_default();
        let tail = body.get(body.len().saturating_sub(self.body_left)..).unwrap_or_default();
        let wanted = head.len().saturating_add(tail.len());
        let result = if tail.is_empty() {
            self.stream.write(head)
        } else {
            self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(tail)])
        };
        let sent = match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let of_head = sent.min(head.len());
        self.body_left = self.body_left.saturating_sub(sent.saturating_sub(of_head));
        self.written = self.written.saturating_add(of_head);
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Ok(sent == wanted)
    }

    fn wait_for(&mut self, blocked: bool) -> Progress {
        if self.blocked == blocked {
            return Progress::Unchanged;
        }
        self.blocked = blocked;
        Progress::Wants(if blocked { Interest::ReadWrite } else { Interest::Read })
    }
}
