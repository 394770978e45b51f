//! The scripted raw peer for TTHeader Streaming, on either side of a connection.
//!
//! [`TtFrame`] makes frames byte by byte, also such as break the rules, and reads them with the codec crate, so that a
//! peer whose frames do not decode fails the test. [`TtConn`] is a connection driven by hand; [`TtServer`] is a backend
//! whose connections are taken by the test itself, so that one script plays both ends:
//!
//! ```
//! use testkit::peer::ttstream::{TtConn, TtFrame, TtServer};
//!
//! let backend = TtServer::start();
//! let mut client = TtConn::connect(backend.addr());
//! client.send(&TtFrame::header(1, "Chat").string("isn", "Live"));
//! let mut server = backend.accept();
//! assert_eq!(server.read().method(), b"Chat");
//! server.send(&TtFrame::trailer(1, "Chat").exception(1, "unknown method"));
//! assert_eq!(client.read().code_and_text(), (1, "unknown method".to_owned()));
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use ttheader::Entry;
use ttstream::{Frame, FrameType, IntKey};

use super::conn::Came as Read;
use super::{PATIENCE, RawConn};

/// One frame, in parts (streaming-wire A1, A2).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TtFrame {
    /// The stream.
    pub id: i32,
    /// Pairs of section 0x10, in order; method (9) and frame type (27) among them.
    pub ints: Vec<(u16, Vec<u8>)>,
    /// Pairs of section 0x01, in order.
    pub strings: Vec<(Vec<u8>, Vec<u8>)>,
    /// Section 0x11.
    pub token: Option<Vec<u8>>,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// Made.
impl TtFrame {
    /// A frame of any type; the type is the text of integer key 27.
    #[must_use]
    pub fn new(frame_type: &str, id: i32, method: &str) -> Self {
        let ints = vec![(METHOD, method.as_bytes().to_vec()), (FRAME_TYPE, frame_type.as_bytes().to_vec())];
        Self { id, ints, strings: Vec::new(), token: None, payload: Vec::new() }
    }

    /// A header frame without strings.
    #[must_use]
    pub fn header(id: i32, method: &str) -> Self {
        Self::new("2", id, method)
    }

    /// A data frame.
    #[must_use]
    pub fn data(id: i32, method: &str, payload: impl AsRef<[u8]>) -> Self {
        Self::new("3", id, method).payload(payload)
    }

    /// A trailer frame: a caller's half close, or a backend's success.
    #[must_use]
    pub fn trailer(id: i32, method: &str) -> Self {
        Self::new("4", id, method)
    }

    /// An rst frame; no `ttscp` where the path is empty.
    #[must_use]
    pub fn rst(id: i32, method: &str, code: i32, text: &str, path: &str) -> Self {
        let frame = Self::new("5", id, method).exception(code, text);
        if path.is_empty() { frame } else { frame.string("ttscp", path) }
    }

    /// A meta frame.
    #[must_use]
    pub fn meta(id: i32, method: &str) -> Self {
        Self::new("1", id, method)
    }

    /// Adds a string pair.
    #[must_use]
    pub fn string(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.strings.push((key.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Adds an integer pair.
    #[must_use]
    pub fn int(mut self, key: IntKey, value: impl AsRef<[u8]>) -> Self {
        self.ints.push((key.0, value.as_ref().to_vec()));
        self
    }

    /// Adds the ACL token.
    #[must_use]
    pub fn token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.token = Some(token.as_ref().to_vec());
        self
    }

    /// Sets the payload.
    #[must_use]
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = payload.as_ref().to_vec();
        self
    }

    /// Sets the payload to an exception with the frame's method and id (streaming-wire A5).
    #[must_use]
    pub fn exception(mut self, code: i32, text: &str) -> Self {
        let method = self.method().to_vec();
        let mut payload = vec![0x80, 0x01, 0x00, 0x03];
        payload.extend(len32(&method));
        payload.extend(&method);
        payload.extend(self.id.to_be_bytes());
        payload.extend([0x0b, 0, 1]);
        payload.extend(len32(text.as_bytes()));
        payload.extend(text.as_bytes());
        payload.extend([0x08, 0, 2]);
        payload.extend(code.to_be_bytes());
        payload.push(0);
        self.payload = payload;
        self
    }

    /// The same frame on another hop.
    #[must_use]
    pub fn with_id(mut self, id: i32) -> Self {
        self.id = id;
        self
    }

    /// The frame as it is sent.
    ///
    /// # Panics
    ///
    /// When a part is longer than its length can say.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut info = vec![0x10, 0];
        if let Some(token) = &self.token {
            info.push(0x11);
            put16(&mut info, token);
        }
        if !self.strings.is_empty() {
            info.push(0x01);
            info.extend(len16(self.strings.len()));
            for (key, value) in &self.strings {
                put16(&mut info, key);
                put16(&mut info, value);
            }
        }
        info.push(0x10);
        info.extend(len16(self.ints.len()));
        for (key, value) in &self.ints {
            info.extend(key.to_be_bytes());
            put16(&mut info, value);
        }
        info.resize(info.len().next_multiple_of(4), 0);
        let length = u32::try_from(10 + info.len() + self.payload.len()).expect("32 bits");
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend([0x10, 0x00, 0x00, 0x02]);
        frame.extend(self.id.to_be_bytes());
        frame.extend(len16(info.len() / 4));
        frame.extend(info);
        frame.extend(&self.payload);
        frame
    }
}

/// Read.
impl TtFrame {
    /// Takes a frame apart.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[must_use]
    pub fn parse(raw: impl Into<Bytes>) -> Self {
        let raw = raw.into();
        let frame = match Frame::parse(raw.clone()) {
            Ok(frame) => frame,
            Err(error) => panic!("the peer sent no frame: {error}: {}", crate::to_hex(&raw[..raw.len().min(256)])),
        };
        let mut parsed = Self {
            id: frame.stream_id(),
            ints: Vec::new(),
            strings: Vec::new(),
            token: None,
            payload: frame.payload().to_vec(),
        };
        for entry in frame.header().entries() {
            match entry {
                Entry::Str { key, value, .. } => parsed.strings.push((key.to_vec(), value.to_vec())),
                Entry::Int { key, value, .. } => parsed.ints.push((key.0, value.to_vec())),
                Entry::Acl { value, .. } => parsed.token = Some(value.to_vec()),
                other => panic!("an entry of a new kind: {other:?}"),
            }
        }
        parsed
    }

    /// Its type.
    ///
    /// # Panics
    ///
    /// When it has none that is known.
    #[must_use]
    pub fn frame_type(&self) -> FrameType {
        match self.int_value(FRAME_TYPE) {
            Some(b"1") => FrameType::Meta,
            Some(b"2") => FrameType::Header,
            Some(b"3") => FrameType::Data,
            Some(b"4") => FrameType::Trailer,
            Some(b"5") => FrameType::Rst,
            other => panic!("frame type {other:?}"),
        }
    }

    /// Integer key 9; empty where it is missing.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.int_value(METHOD).unwrap_or_default()
    }

    /// The value of a string key.
    #[must_use]
    pub fn string_value(&self, key: &str) -> Option<&str> {
        let (_, value) = self.strings.iter().find(|(known, _)| known == key.as_bytes())?;
        str::from_utf8(value).ok()
    }

    /// The value of an integer key.
    #[must_use]
    pub fn int_value(&self, key: u16) -> Option<&[u8]> {
        self.ints.iter().find_map(|(known, value)| (*known == key).then_some(&value[..]))
    }

    /// The exception in the payload.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn code_and_text(&self) -> (i32, String) {
        match ttstream::Exception::parse(&self.payload) {
            Ok(exception) => (exception.code.0, String::from_utf8_lossy(exception.message).into_owned()),
            Err(error) => panic!("no exception in {self:?}: {error}"),
        }
    }
}

/// Short where the payload is long.
impl fmt::Debug for TtFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let ints = self.ints.iter().map(|(key, value)| (*key, lossy(value))).collect::<Vec<_>>();
        let strings = self.strings.iter().map(|(key, value)| (lossy(key), lossy(value))).collect::<Vec<_>>();
        let mut shown = f.debug_struct("TtFrame");
        shown.field("id", &self.id).field("ints", &ints).field("strings", &strings).field("token", &self.token);
        shown.field("payload", &format_args!("{} bytes, {:?}", self.payload.len(), lossy(&self.payload))).finish()
    }
}

/// One connection of either side, driven by hand. Reads wait for ten seconds unless told otherwise and then fail their
/// test; what is right comes long before.
#[derive(Debug)]
pub struct TtConn {
    conn: RawConn,
    inbox: BytesMut,
    patience: Duration,
}

impl TtConn {
    /// Connects to `addr`.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    #[must_use]
    pub fn connect(addr: SocketAddr) -> Self {
        Self::new(RawConn::connect(addr))
    }

    /// Takes a connection over.
    ///
    /// # Panics
    ///
    /// When the system refuses a limit on its writes.
    #[must_use]
    pub fn new(conn: RawConn) -> Self {
        // A peer that takes nothing must not hold its test up for ever.
        conn.stream().set_write_timeout(Some(FRAME_PATIENCE)).expect("SO_SNDTIMEO");
        Self { conn: conn.patience(FRAME_PATIENCE), inbox: BytesMut::new(), patience: FRAME_PATIENCE }
    }

    /// Sets how long each read waits.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { conn: self.conn.patience(patience), patience, ..self }
    }

    /// The connection beneath; frames that were read in part are not there any more.
    #[must_use]
    pub fn conn(&self) -> &RawConn {
        &self.conn
    }

    /// Sends a frame.
    ///
    /// # Panics
    ///
    /// When the peer is gone.
    pub fn send(&mut self, frame: &TtFrame) {
        self.conn.send(frame.bytes());
    }

    /// Sends frames in one write.
    ///
    /// # Panics
    ///
    /// When the peer is gone.
    pub fn send_all<'a>(&mut self, frames: impl IntoIterator<Item = &'a TtFrame>) {
        self.conn.send(frames.into_iter().flat_map(TtFrame::bytes).collect::<Vec<_>>());
    }

    /// Sends any bytes.
    ///
    /// # Panics
    ///
    /// When the peer is gone.
    pub fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        self.conn.send(bytes);
    }

    /// Sends any bytes if the peer takes them; false when it is gone, or took nothing for ten seconds.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.conn.try_send(bytes)
    }

    /// Reads one frame.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn read(&mut self) -> TtFrame {
        TtFrame::parse(self.read_raw())
    }

    /// Reads one frame and compares.
    ///
    /// # Panics
    ///
    /// When it is another one, or none comes.
    pub fn expect(&mut self, expected: &TtFrame) {
        let came = self.read();
        assert!(came == *expected, "came     {came:?}\nexpected {expected:?}");
    }

    /// Reads the bytes of one frame.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn read_raw(&mut self) -> Bytes {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(frame) = self.take_frame() {
                return frame;
            }
            match self.conn.fill(Some(deadline)) {
                Read::Bytes => self.inbox.extend_from_slice(&self.conn.drain()),
                Read::End => panic!("closed where a frame was expected, after {} bytes of one", self.inbox.len()),
                Read::Nothing => panic!("no frame within {:?}, but {} bytes", self.patience, self.inbox.len()),
            }
        }
    }

    /// Reads one frame however long it takes; `None` when the peer closes first.
    pub fn next_frame(&mut self) -> Option<TtFrame> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(TtFrame::parse(frame));
            }
            match self.conn.fill(None) {
                Read::Bytes => self.inbox.extend_from_slice(&self.conn.drain()),
                Read::End | Read::Nothing => return None,
            }
        }
    }

    /// Reads up to the peer's close or reset: the frames that came.
    ///
    /// # Panics
    ///
    /// When the peer does not close, or does so inside a frame.
    pub fn read_to_close(&mut self) -> Vec<TtFrame> {
        let rest = self.conn.read_to_close();
        self.inbox.extend_from_slice(&rest);
        let frames = std::iter::from_fn(|| self.take_frame()).map(TtFrame::parse).collect();
        assert!(self.inbox.is_empty(), "closed inside a frame, after {} bytes", self.inbox.len());
        frames
    }

    /// Expects that the peer closes or resets without another byte.
    ///
    /// # Panics
    ///
    /// When a byte comes, or no close.
    pub fn expect_close(&mut self) {
        let frames = self.read_to_close();
        assert!(frames.is_empty(), "frames before the close: {frames:?}");
    }

    /// Expects that nothing comes within `time`, not even a close.
    ///
    /// # Panics
    ///
    /// When something does.
    pub fn expect_silence(&mut self, time: Duration) {
        if let Some(frame) = self.take_frame() {
            panic!("a frame where silence was expected: {:?}", TtFrame::parse(frame));
        }
        assert!(self.inbox.is_empty(), "{} bytes where silence was expected", self.inbox.len());
        self.conn.expect_silence(time);
    }

    /// Closes the sending side.
    pub fn half_close(&self) {
        self.conn.half_close();
    }

    /// Ends both directions at once.
    pub fn shut_down(&self) {
        self.conn.shut_down();
    }

    /// Closes without a goodbye: the peer gets a reset of the connection.
    pub fn reset(self) {
        self.conn.reset();
    }

    fn take_frame(&mut self) -> Option<Bytes> {
        let length = u32::from_be_bytes(*self.inbox.first_chunk()?);
        let len = usize::try_from(length).expect("32 bits") + 4;
        (self.inbox.len() >= len).then(|| self.inbox.split_to(len).freeze())
    }
}

/// A backend on a free port of loopback whose connections the test takes and drives itself. They end with whoever took
/// them.
#[derive(Debug)]
pub struct TtServer {
    listener: TcpListener,
    accepted: Mutex<Accepted>,
}

/// Connections that were accepted.
#[derive(Debug, Default)]
struct Accepted {
    waiting: VecDeque<RawConn>,
    count: usize,
}

impl TtServer {
    /// Listens.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        // Accepted when asked for; until then they wait in the kernel, where they are open to whoever connected.
        listener.set_nonblocking(true).expect("O_NONBLOCK");
        Self { listener, accepted: Mutex::default() }
    }

    /// Where it listens.
    ///
    /// # Panics
    ///
    /// When the listener is gone.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }

    /// The next connection.
    ///
    /// # Panics
    ///
    /// When none comes within ten seconds.
    #[must_use]
    pub fn accept(&self) -> TtConn {
        TtConn::new(self.accept_raw())
    }

    /// The next connection, for whichever protocol.
    ///
    /// # Panics
    ///
    /// When none comes within ten seconds.
    #[must_use]
    pub fn accept_raw(&self) -> RawConn {
        let deadline = Instant::now() + FRAME_PATIENCE;
        loop {
            if let Some(conn) = self.take().waiting.pop_front() {
                return conn;
            }
            assert!(Instant::now() < deadline, "no connection within {FRAME_PATIENCE:?}");
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// How many connections came so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.take().count
    }

    /// Accepts all that wait.
    fn take(&self) -> MutexGuard<'_, Accepted> {
        // A test that failed with the lock held has said so already.
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(false).expect("no O_NONBLOCK");
            accepted.waiting.push_back(RawConn::new(stream));
            accepted.count += 1;
        }
        accepted
    }
}

fn put16(info: &mut Vec<u8>, bytes: &[u8]) {
    info.extend(len16(bytes.len()));
    info.extend(bytes);
}

fn len16(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("16 bits").to_be_bytes()
}

fn len32(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("32 bits").to_be_bytes()
}

const METHOD: u16 = 9;
const FRAME_TYPE: u16 = 27;
const FRAME_PATIENCE: Duration = PATIENCE.saturating_mul(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_as_it_was_made() {
        let frames = [
            TtFrame::header(-7, "Chat").string("isn", "Live").token("t").int(IntKey::LOG_ID, "log"),
            TtFrame::data(i32::MAX, "Chat", [0]),
            TtFrame::trailer(1, "Chat").string("biz-status", "502"),
            TtFrame::rst(2, "Chat", 12_007, "why", "a,b"),
            TtFrame::meta(3, "").payload("any"),
        ];
        for frame in frames {
            assert_eq!(TtFrame::parse(frame.bytes()), frame);
        }
        assert_eq!(TtFrame::trailer(9, "Chat").exception(6, "no").code_and_text(), (6, "no".to_owned()));
    }
}
