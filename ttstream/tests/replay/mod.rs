use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write as _};

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use testkit::from_hex;
use tokio_util::codec::Decoder;
use ttheader::Header;
use ttstream::stream::{Client, ClientEvent, Server, ServerEvent, Writes, opens};
use ttstream::{Code, Exception, Frame, FrameType, Outcome, Reset, StreamEncoder, TtStreamCodec};

/// A recorded connection, seen by machines at both of its ends.
#[derive(Default)]
pub(crate) struct Replay {
    from_client: BytesMut,
    from_server: BytesMut,
    clients: BTreeMap<i32, ClientStream>,
    servers: BTreeMap<i32, ServerStream>,
    /// The side that is a script, which need not do what the machine would.
    scripted: Option<Side>,
    /// Why the connection would have been closed by us.
    broken: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

#[derive(Default)]
struct ClientStream {
    machine: Client,
    /// Frames that the machine has called for.
    due: VecDeque<FrameType>,
    sees: Vec<String>,
    /// What a Kitex client tells its application about the end.
    told: Option<String>,
}

#[derive(Default)]
struct ServerStream {
    machine: Server,
    sees: Vec<String>,
}

impl Replay {
    /// A recording of two live peers.
    pub(crate) fn of_capture(chunks: &Value) -> Self {
        let mut replay = Self::default();
        replay.run(chunks, "client");
        replay
    }

    /// A recording of one live peer and a script.
    pub(crate) fn of_probe(chunks: &Value, scripted: Side) -> Self {
        let mut replay = Self { scripted: Some(scripted), ..Self::default() };
        replay.run(chunks, if scripted == Side::Client { "probe" } else { "kitex" });
        replay
    }

    /// Replays chunks in the order of recording.
    fn run(&mut self, chunks: &Value, client: &str) {
        let chunks = chunks.as_array().unwrap();
        for chunk in chunks {
            let from_client = chunk["from"] == client;
            match chunk["hex"].as_str() {
                Some(hex) => self.bytes(from_client, &from_hex(hex)),
                None => self.end(),
            }
        }
        if self.broken.is_none() && self.scripted != Some(Side::Client) {
            for (id, stream) in &self.clients {
                assert!(stream.due.is_empty(), "stream {id}: {:?} was due and never came", stream.due);
            }
        }
    }

    /// Why we would have closed the connection.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn bytes(&mut self, from_client: bool, bytes: &[u8]) {
        let wire = if from_client { &mut self.from_client } else { &mut self.from_server };
        wire.extend_from_slice(bytes);
        while self.broken.is_none() {
            let wire = if from_client { &mut self.from_client } else { &mut self.from_server };
            let frame = match TtStreamCodec::default().decode(wire) {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => {
                    self.broken = Some(error.to_string());
                    return;
                }
            };
            assert_goes_back(&frame, self.scripted.is_none_or(|side| from_client != (side == Side::Client)));
            let done = if from_client {
                self.client_wrote(&frame);
                self.server_got(&frame)
            } else {
                self.server_wrote(&frame);
                self.client_got(&frame)
            };
            if let Err(error) = done {
                self.broken = Some(error);
            }
        }
    }

    fn client_wrote(&mut self, frame: &Frame) {
        let id = frame.stream_id();
        if frame.frame_type() == FrameType::Header {
            self.clients.insert(id, ClientStream::default());
            return;
        }
        let scripted = self.scripted == Some(Side::Client);
        let Some(stream) = self.clients.get_mut(&id) else {
            assert!(scripted, "stream {id} has not been opened");
            return;
        };
        if stream.due.front() == Some(&frame.frame_type()) {
            stream.due.pop_front();
            return;
        }
        let writes = match frame.frame_type() {
            FrameType::Data => stream.machine.send_message().unwrap_or_default(),
            FrameType::Trailer => stream.machine.half_close(),
            FrameType::Rst => {
                let Reset { exception, .. } = frame.reset();
                stream.told = Some(format!("{} {}", kitex(exception.code), text(exception.message)));
                stream.sees.push(format!("cancels, {}", reset(&frame.reset())));
                stream.machine.cancel()
            }
            _ => Writes::NONE,
        };
        let mut kinds = writes.kinds();
        assert!(kinds.next() == Some(frame.frame_type()) || scripted, "stream {id}: {:?}", frame.frame_type());
        stream.due.extend(kinds);
    }

    fn server_got(&mut self, frame: &Frame) -> Result<(), String> {
        let id = frame.stream_id();
        let Some(stream) = self.servers.get_mut(&id).filter(|stream| !stream.machine.is_closed()) else {
            if opens(frame).map_err(|error| error.to_string())? {
                self.servers.insert(id, ServerStream::default());
            }
            return Ok(());
        };
        stream.sees.push(match stream.machine.received(frame).map_err(|error| error.to_string())? {
            ServerEvent::Message => format!("message of {}", frame.payload().len()),
            ServerEvent::HalfClose(Outcome::Success) => "half close".to_owned(),
            ServerEvent::HalfClose(other) => format!("half close with {}", outcome(&other)),
            ServerEvent::Reset(why) => format!("cancelled, {}", reset(&why)),
            ServerEvent::Ignored => "nothing".to_owned(),
            other => panic!("{other:?}"),
        });
        Ok(())
    }

    fn server_wrote(&mut self, frame: &Frame) {
        let id = frame.stream_id();
        let scripted = self.scripted == Some(Side::Server);
        let Some(stream) = self.servers.get_mut(&id) else {
            assert!(scripted, "stream {id} has not been opened");
            return;
        };
        let kind = frame.frame_type();
        if stream.machine.is_closed() {
            // A stock server that was reset still says how its handler ended.
            let late = matches!(kind, FrameType::Header | FrameType::Trailer);
            assert!(late || scripted, "stream {id}: {kind:?} behind the end");
            return;
        }
        let writes = match kind {
            FrameType::Header => stream.machine.send_header().unwrap_or_default(),
            FrameType::Data => stream.machine.send_message().unwrap(),
            FrameType::Trailer => stream.machine.finish(),
            FrameType::Rst => stream.machine.reset(),
            FrameType::Meta => Writes::NONE,
        };
        // This and nothing before it: a header that is due and was not sent would show here.
        assert!(writes.kinds().eq([kind]) || scripted, "stream {id}: {writes:?} for {kind:?}");
    }

    fn client_got(&mut self, frame: &Frame) -> Result<(), String> {
        let Some(stream) = self.clients.get_mut(&frame.stream_id()) else { return Ok(()) };
        let (event, writes) = stream.machine.received(frame).map_err(|error| error.to_string())?;
        stream.due.extend(writes.kinds());
        match &event {
            ClientEvent::End(outcome) => stream.told = Some(told(outcome)),
            ClientEvent::Reset(Reset { exception, cancel_path, .. }) => {
                let (code, path) = (kitex(exception.code), text(cancel_path));
                stream.told = Some(format!("{code} [canceled path: {path}] {}", text(exception.message)));
            }
            _ => {}
        }
        stream.sees.push(match event {
            ClientEvent::Header => format!("header{}", pairs(frame)),
            ClientEvent::Message => format!("message of {}", frame.payload().len()),
            ClientEvent::Meta => format!("meta{}", pairs(frame)),
            ClientEvent::End(how) => format!("{}{}", outcome(&how), pairs(frame)),
            ClientEvent::Reset(why) => format!("reset, {}", reset(&why)),
            ClientEvent::Ignored => return Ok(()),
            other => panic!("{other:?}"),
        });
        Ok(())
    }

    /// What a Kitex client would have told the application of each stream that has ended.
    pub(crate) fn told(&self) -> Vec<&str> {
        self.clients.values().filter_map(|stream| stream.told.as_deref()).collect()
    }

    /// One side has closed.
    pub(crate) fn end(&mut self) {
        for stream in self.clients.values_mut() {
            if stream.machine.lost() {
                stream.told = Some("[ttstream error, code=12004] EOF".to_owned());
                stream.sees.push("lost".to_owned());
            }
        }
        for stream in self.servers.values_mut() {
            if stream.machine.lost() {
                stream.sees.push("lost".to_owned());
            }
        }
    }
}

/// What both applications of every stream saw, a line each.
impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, stream) in &self.servers {
            writeln!(f, "  {id} server: {}{}", stream.sees.join(", "), open(stream.machine.is_closed()))?;
        }
        for (id, stream) in &self.clients {
            writeln!(f, "  {id} client: {}{}", stream.sees.join(", "), open(stream.machine.is_closed()))?;
        }
        match &self.broken {
            Some(error) => writeln!(f, "  connection: {error}"),
            None => Ok(()),
        }
    }
}

/// A Kitex client's sentence about an end; of what its decoder has words of its own for, the part before them.
fn told(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Success => "EOF".to_owned(),
        Outcome::Business(error) => format!("biz error: code={}, msg={}", error.status, text(error.message)),
        Outcome::Exception(exception) => format!("{} {}", kitex(Code::APPLICATION_EXCEPTION), text(exception.message)),
        Outcome::Undecodable(_) => kitex(Code::ILLEGAL_FRAME),
        other => panic!("{other:?}"),
    }
}

fn kitex(code: Code) -> String {
    format!("[ttstream error, code={}] [client-side stream]", code.0)
}

/// Through every way there is from a frame to bytes.
fn assert_goes_back(frame: &Frame, live: bool) {
    let raw = frame.raw();
    assert_eq!(&Frame::parse(raw.clone()).unwrap(), frame);
    let id = frame.stream_id();

    let mut sent_on = BytesMut::new();
    if id != 0 {
        frame.encode_head_with_id(id, &mut sent_on).unwrap();
        sent_on.extend_from_slice(&frame.payload_for(id));
        assert_eq!(sent_on, raw);
    }

    let mut by_header = BytesMut::new();
    Header::from(frame.header()).encode(frame.payload().len(), &mut by_header).unwrap();
    by_header.extend_from_slice(&frame.payload());
    assert_eq!(by_header, raw, "entry by entry, in their order");

    if id != 0 {
        let written = write_anew(frame);
        assert_eq!(written.len(), raw.len());
        assert_eq!(facts(&Frame::parse(written).unwrap()), facts(frame));
    }
    if let Ok(exception) = frame.exception() {
        if exception.encoded_len(frame.method()) < frame.payload().len() {
            // Only a script writes more than the two fields.
            assert!(!live, "{exception}");
            return;
        }
        let mut again = BytesMut::new();
        exception.encode(frame.method(), id, &mut again).unwrap();
        assert_eq!(again, frame.payload());
    }
}

/// By the encoder, with the pairs in their order. Method and type come where it puts them.
pub(crate) fn write_anew(frame: &Frame) -> Bytes {
    let mut wire = BytesMut::new();
    let encoder = StreamEncoder::new(frame.stream_id(), frame.method()).unwrap();
    let mut writer = encoder.writer(frame.frame_type(), &mut wire).unwrap();
    writer.strings(frame.pairs()).unwrap();
    for (key, value) in frame.header().ints() {
        writer.int(key, value).unwrap();
    }
    writer.finish(frame.payload().len()).unwrap();
    wire.extend_from_slice(&frame.payload());
    wire.freeze()
}

type Facts = (FrameType, i32, Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, BTreeMap<u16, Vec<u8>>, Bytes);

fn facts(frame: &Frame) -> Facts {
    let pairs = frame.pairs().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    let ints = frame.header().ints().map(|(key, value)| (key.0, value.to_vec())).collect();
    (frame.frame_type(), frame.stream_id(), frame.method().to_vec(), pairs, ints, frame.payload())
}

fn open(closed: bool) -> &'static str {
    if closed { "" } else { " …" }
}

pub(crate) fn outcome(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Success => "success".to_owned(),
        Outcome::Business(error) => {
            let mut text = format!("business error {} {:?}", error.status, text(error.message));
            if !error.extra.is_empty() {
                write!(text, " extra {}", self::text(error.extra)).unwrap();
            }
            text
        }
        Outcome::Exception(exception) => self::exception(exception),
        Outcome::Undecodable(error) => format!("undecodable: {error}"),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn reset(reset: &Reset<'_>) -> String {
    let exception = exception(&reset.exception);
    if reset.cancel_path.is_empty() { exception } else { format!("{exception} by {}", text(reset.cancel_path)) }
}

fn exception(exception: &Exception<'_>) -> String {
    format!("exception {} {:?}", exception.code.0, text(exception.message))
}

/// Keys and values that are not those of a business error, in the order of the keys.
fn pairs(frame: &Frame) -> String {
    let pairs: BTreeMap<_, _> = frame
        .pairs()
        .map(|(key, value)| (text(key), text(value)))
        .filter(|(key, _)| !key.starts_with("biz-"))
        .collect();
    pairs.iter().fold(String::new(), |mut all, (key, value)| {
        write!(all, " {key}={value}").unwrap();
        all
    })
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
