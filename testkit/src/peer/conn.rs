use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::server::Log;
use super::{Message, PATIENCE, message};

/// One connection of either side, driven by hand.
#[derive(Debug)]
pub struct RawConn {
    stream: TcpStream,
    inbox: Vec<u8>,
    patience: Duration,
    log: Option<Arc<Log>>,
    number: usize,
}

/// A connection that was made, not accepted.
pub type RawClient = RawConn;

pub(super) enum Came {
    Bytes,
    End,
    Nothing,
}

impl RawConn {
    /// Connects to `addr`.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    #[must_use]
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE).unwrap_or_else(|error| panic!("{addr}: {error}"));
        Self::new(stream)
    }

    pub(super) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self { stream, inbox: Vec::new(), patience: PATIENCE, log: None, number: 0 }
    }

    pub(super) fn accepted(stream: TcpStream, log: Arc<Log>, number: usize) -> Self {
        Self { log: Some(log), number, ..Self::new(stream) }
    }

    /// Sets how long each read waits.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Which of the server's connections it is, from zero.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The address of this side.
    ///
    /// # Panics
    ///
    /// When the connection is gone.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("an address")
    }

    /// The socket itself.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends `bytes`.
    ///
    /// # Panics
    ///
    /// When the peer is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("send");
    }

    /// Sends `bytes` if the peer takes them; false when it is gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends `bytes` in pieces of `piece` bytes with `pause` between them; false when the peer went away.
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>, piece: usize, pause: Duration) -> bool {
        for (index, bytes) in bytes.as_ref().chunks(piece).enumerate() {
            if index > 0 {
                std::thread::sleep(pause);
            }
            if !self.try_send(bytes) {
                return false;
            }
        }
        true
    }

    /// Reads `len` bytes.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub fn read_exact(&mut self, len: usize) -> Vec<u8> {
        let deadline = Instant::now() + self.patience;
        while self.inbox.len() < len {
            match self.fill(Some(deadline)) {
                Came::Bytes => {}
                Came::End => panic!("closed after {} of {len} bytes: {}", self.inbox.len(), self.head()),
                Came::Nothing => panic!("{} of {len} bytes within {:?}", self.inbox.len(), self.patience),
            }
        }
        let rest = self.inbox.split_off(len);
        std::mem::replace(&mut self.inbox, rest)
    }

    /// Reads as many bytes as `expected` has, and compares.
    ///
    /// # Panics
    ///
    /// When they differ or do not come.
    pub fn expect_bytes(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let got = self.read_exact(expected.len());
        assert!(got == expected, "got      {}\nexpected {}", crate::to_hex(&got), crate::to_hex(expected));
    }

    /// Reads one message, of whichever form it is.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn read_message(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(message) = self.take_message() {
                return message;
            }
            match self.fill(Some(deadline)) {
                Came::Bytes => {}
                Came::End => panic!("closed after {} bytes of a message: {}", self.inbox.len(), self.head()),
                Came::Nothing => panic!("no message within {:?}, but {}", self.patience, self.head()),
            }
        }
    }

    /// Reads one message and takes it apart.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn receive(&mut self) -> Message {
        Message::parse(&self.read_message())
    }

    /// Sends a message and reads the next.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn exchange(&mut self, message: &Message) -> Message {
        self.send(message.bytes());
        self.receive()
    }

    /// Reads one message however long it takes; `None` when the peer closes first.
    pub fn next_message(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(message) = self.take_message() {
                return Some(message);
            }
            match self.fill(None) {
                Came::Bytes => {}
                Came::End | Came::Nothing => return None,
            }
        }
    }

    /// As [`next_message`](Self::next_message), taken apart.
    pub fn next_call(&mut self) -> Option<Message> {
        self.next_message().map(|message| Message::parse(&message))
    }

    /// Reads up to the peer's close or reset: all that came, and nothing may be missing.
    ///
    /// # Panics
    ///
    /// When the peer does not close.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.fill(Some(deadline)) {
                Came::Bytes => {}
                Came::End => return std::mem::take(&mut self.inbox),
                Came::Nothing => panic!("not closed within {:?}, but {}", self.patience, self.head()),
            }
        }
    }

    /// Expects that the peer closes or resets without another byte.
    ///
    /// # Panics
    ///
    /// When a byte comes, or no close.
    pub fn expect_close(&mut self) {
        let came = self.read_to_close();
        assert!(came.is_empty(), "bytes before the close: {}", crate::to_hex(&came));
    }

    /// Expects that nothing comes within `time`, not even a close.
    ///
    /// # Panics
    ///
    /// When something does.
    pub fn expect_silence(&mut self, time: Duration) {
        assert!(self.inbox.is_empty(), "left over: {}", self.head());
        match self.fill(Some(Instant::now() + time)) {
            Came::Bytes => panic!("bytes where silence was expected: {}", self.head()),
            Came::End => panic!("a close where silence was expected"),
            Came::Nothing => {}
        }
    }

    /// Closes the sending side.
    pub fn half_close(&self) {
        // A peer that is gone has seen its end.
        let _gone = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends both directions at once: the peer sees an end, and what it still sends is refused.
    pub fn shut_down(&self) {
        // A peer that is gone has seen its end.
        let _gone = self.stream.shutdown(Shutdown::Both);
    }

    /// Closes both sides without a goodbye: the peer gets a reset.
    ///
    /// # Panics
    ///
    /// When the system refuses the option.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }

    fn take_message(&mut self) -> Option<Vec<u8>> {
        let len = message::len(&self.inbox)?;
        let rest = self.inbox.split_off(len);
        let message = std::mem::replace(&mut self.inbox, rest);
        if let Some(log) = &self.log {
            log.message(self.number, &message);
        }
        Some(message)
    }

    /// Everything that was read and not taken.
    pub(super) fn drain(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.inbox)
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    pub(super) fn fill(&mut self, deadline: Option<Instant>) -> Came {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Came::Nothing;
            }
            self.stream.set_read_timeout(left).expect("SO_RCVTIMEO");
            match self.stream.read(&mut chunk) {
                Ok(0) => return self.ended(),
                Ok(read) => {
                    self.inbox.extend(&chunk[..read]);
                    return Came::Bytes;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.ended(),
            }
        }
    }

    fn ended(&self) -> Came {
        if let Some(log) = &self.log {
            log.closed(self.number, self.inbox.len());
        }
        Came::End
    }

    fn head(&self) -> String {
        crate::to_hex(&self.inbox[..self.inbox.len().min(64)])
    }
}
