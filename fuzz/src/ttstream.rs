use bytes::{Bytes, BytesMut};
use testkit::decode_in_reads;
use thrift_codec::{ApplicationException, MessageHeader, MessageType, Version};
use tokio_util::codec::Decoder;
use ttheader::{HeaderView, IntKey, keys};
use ttstream::stream::{Client, ClientEvent, Refused, Server, ServerEvent, Writes, opens};
use ttstream::{Code, DecodeError, Exception, Frame, FrameType, Outcome, StreamEncoder, TtStreamCodec};

/// [`TtStreamCodec`], [`Frame`] and [`StreamEncoder`]: the same frames and the same error however the bytes are split;
/// what a frame says is what its header says, and it goes back to the wire as it is, under another id, and anew.
pub fn ttstream(data: &[u8]) {
    let new = || TtStreamCodec::builder().max_frame_len(1 << 12).max_header_len(1 << 11).build();
    let whole = decode_in_reads(&mut new(), [data]);
    assert_eq!(decode_in_reads(&mut new(), data.chunks(1)), whole, "one byte at a time");
    assert_eq!(decode_in_reads(&mut new(), data.chunks(7)), whole, "seven bytes at a time");
    let (frames, error) = whole;
    let raw: Vec<u8> = frames.iter().flat_map(|frame| frame.raw().to_vec()).collect();
    assert!(data.starts_with(&raw), "frames are not the bytes they came from");
    assert_eq!(error.is_none(), raw.len() == data.len(), "bytes are left over and nobody said so");
    for frame in &frames {
        assert_eq!(Frame::parse(frame.raw().clone()).as_ref(), Ok(frame));
        facts(frame);
        sent_on(frame);
        written_anew(frame);
    }
    // Whatever is no frame is refused for what its header says.
    if let Ok(header) = HeaderView::parse(data)
        && data.len() == header.head().frame_len()
    {
        let (streaming, kind) = (header.flags().0 & 2 != 0, header.int(IntKey(27)));
        match Frame::parse(data.to_vec().into()) {
            Ok(_) => assert!(streaming && kind.is_some()),
            Err(DecodeError::NotStreaming { .. }) => assert!(!streaming),
            Err(DecodeError::NoFrameType) => assert!(kind.is_none()),
            Err(DecodeError::UnknownFrameType { offset, len, .. }) => {
                assert_eq!(kind, Some(&data[offset..offset + len]));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn facts(frame: &Frame) {
    let header = frame.header();
    assert_eq!(header.int(IntKey(27)), Some(&[frame.frame_type().digit()][..]));
    assert_eq!(header.int(IntKey(9)).unwrap_or_default(), frame.method());
    assert_eq!(header.seq(), frame.stream_id());
    assert_eq!([frame.head(), frame.payload_slice()].concat(), frame.raw()[..]);
    assert_eq!(frame.clone().into_payload(), frame.payload());
    let status = header.string(b"biz-status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    assert_eq!(frame.business_error().map(|error| error.status), status.filter(|status| *status != 0));
    match frame.outcome() {
        Outcome::Success => assert!(frame.payload().is_empty() && frame.business_error().is_none()),
        Outcome::Business(error) => {
            assert!(frame.payload().is_empty());
            assert_eq!(error.message, header.string(b"biz-message").unwrap_or_default());
            assert_eq!(error.extra, header.string(b"biz-extra").unwrap_or_default());
        }
        Outcome::Exception(exception) => assert_eq!(frame.reset().exception, exception),
        Outcome::Undecodable(_) => assert_eq!(frame.reset().exception, Exception::new(Code(13), b"rst")),
        other => panic!("{other:?}"),
    }
}

fn sent_on(frame: &Frame) {
    let mut dst = BytesMut::new();
    frame.encode_head_with_id(-2, &mut dst).expect("an id");
    dst.extend_from_slice(&frame.payload_for(-2));
    let moved = Frame::parse(dst.freeze()).expect("ours");
    assert_eq!((moved.stream_id(), moved.frame_type(), moved.method()), (-2, frame.frame_type(), frame.method()));
    assert_eq!(moved.exception(), frame.exception());
    assert!(moved.header().entries().eq(frame.header().entries()));
}

fn written_anew(frame: &Frame) {
    let Ok(encoder) = StreamEncoder::new(frame.stream_id(), frame.method()) else {
        return assert_eq!(frame.stream_id(), 0);
    };
    let mut dst = BytesMut::new();
    encoder.data(frame.payload().len(), &mut dst).expect("it came with a length");
    dst.extend_from_slice(&frame.payload());
    let data = TtStreamCodec::default().decode(&mut dst).expect("ours").expect("whole");
    assert_eq!((data.frame_type(), data.method(), data.payload()), (FrameType::Data, frame.method(), frame.payload()));

    let mut writer = encoder.writer(frame.frame_type(), &mut dst).expect("the encoder has its id");
    writer.strings(frame.pairs()).expect("they came with lengths");
    for (key, value) in frame.header().ints() {
        writer.int(key, value).expect("it came with a length");
    }
    writer.finish(frame.payload().len()).expect("it is not much longer than it was");
    dst.extend_from_slice(&frame.payload());
    let anew = Frame::parse(dst.freeze()).expect("ours");
    assert_eq!((anew.frame_type(), anew.method()), (frame.frame_type(), frame.method()));
    assert!(anew.pairs().eq(frame.pairs()));
}

/// [`Exception`]: what `thrift-codec` reads, and back to the wire.
pub fn ttstream_exception(data: &[u8]) {
    let theirs = MessageHeader::parse(data).ok().and_then(|header| {
        let is_exception = header.version == Version::THRIFT && header.message_type == MessageType::EXCEPTION;
        let body = is_exception.then(|| &data[header.encoded_len()..])?;
        Some((header, ApplicationException::parse(body).ok()?))
    });
    match (Exception::parse(data), theirs) {
        (Ok(exception), Some((header, theirs))) => {
            assert_eq!((exception.code.0, exception.message), (theirs.code, theirs.message));
            let mut dst = BytesMut::new();
            exception.encode(header.name, header.seqid, &mut dst).expect("it came with lengths");
            assert_eq!(dst.len(), exception.encoded_len(header.name));
            assert_eq!(Exception::parse(&dst), Ok(exception));
            assert!(data.starts_with(&dst[..header.encoded_len()]));
        }
        (Err(_), None) => {}
        (ours, theirs) => panic!("{ours:?}, and thrift-codec says {theirs:?}"),
    }
}

/// [`Client`] and [`Server`]: whatever comes and whatever their applications want, they do what the tables of the
/// specification say.
pub fn ttstream_state(data: &[u8]) {
    let (mut client, mut client_table) = (Client::new(), Table::default());
    let (mut server, mut server_table) = (Server::new(), Table::default());
    for step in data.iter().take(256) {
        let frame = frame(step >> 4);
        match step & 0x0f {
            0..=5 => {
                let expected = client_table.client_received(&frame);
                let got = client.received(&frame).ok().map(|(event, writes)| (client_event(event), kinds(writes)));
                assert_eq!(got, expected, "{frame:?}");
            }
            6 => assert_eq!(client.send_message().map(kinds), client_table.client_sends()),
            7 => assert_eq!(kinds(client.half_close()), client_table.client_half_closes()),
            8 => assert_eq!(kinds(client.cancel()), client_table.client_cancels()),
            9 => {
                assert_eq!(client.lost(), client_table.close());
                assert_eq!(server.lost(), server_table.close());
            }
            10..=12 => {
                let expected = server_table.server_received(&frame);
                assert_eq!(server.received(&frame).ok().map(server_event), expected, "{frame:?}");
            }
            13 => assert_eq!(server.send_message().map(kinds), server_table.server_sends()),
            14 => assert_eq!(server.send_header().map(kinds), server_table.server_sends_header()),
            _ if step >> 4 < 8 => assert_eq!(kinds(server.finish()), server_table.server_finishes()),
            _ => assert_eq!(kinds(server.reset()), if server_table.close() { vec![FrameType::Rst] } else { vec![] }),
        }
        assert_eq!((client.is_open(), client.is_closed()), (client_table.is_open(), client_table.closed));
        assert_eq!((server.is_open(), server.is_closed()), (server_table.is_open(), server_table.closed));
        assert_eq!((client.header_came(), server.header_sent()), (client_table.header, server_table.header));
        assert_eq!(opens(&frame), Ok(frame.frame_type() == FrameType::Header));
    }
}

/// A side's state as the rows of specification A7 have it.
#[derive(Default)]
struct Table {
    /// A client's own half close, or that of the client of a server.
    half_closed: bool,
    closed: bool,
    header: bool,
}

type Kinds = Vec<FrameType>;

impl Table {
    fn is_open(&self) -> bool {
        !self.half_closed && !self.closed
    }

    /// Whether it was live.
    fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }

    fn client_received(&mut self, frame: &Frame) -> Option<(&'static str, Kinds)> {
        if self.closed {
            return Some(("ignored", vec![]));
        }
        match frame.frame_type() {
            FrameType::Header if self.header => {
                self.closed = true;
                None
            }
            FrameType::Header => {
                self.header = true;
                Some(("header", vec![]))
            }
            FrameType::Data => Some(("message", vec![])),
            FrameType::Meta => Some(("meta", vec![])),
            FrameType::Trailer => Some((how(&frame.outcome()), self.client_closes())),
            FrameType::Rst => Some(("reset", self.client_closes())),
        }
    }

    fn client_closes(&mut self) -> Kinds {
        self.closed = true;
        if self.half_closed { vec![] } else { vec![FrameType::Trailer] }
    }

    fn client_sends(&self) -> Result<Kinds, Refused> {
        match (self.closed, self.half_closed) {
            (true, _) => Err(Refused::Closed),
            (_, true) => Err(Refused::HalfClosed),
            _ => Ok(vec![FrameType::Data]),
        }
    }

    fn client_half_closes(&mut self) -> Kinds {
        let due = self.is_open();
        self.half_closed |= due;
        if due { vec![FrameType::Trailer] } else { vec![] }
    }

    fn client_cancels(&mut self) -> Kinds {
        if self.closed { vec![] } else { [vec![FrameType::Rst], self.client_closes()].concat() }
    }

    fn server_received(&mut self, frame: &Frame) -> Option<&'static str> {
        match frame.frame_type() {
            _ if self.closed => Some("ignored"),
            FrameType::Header => {
                self.closed = true;
                None
            }
            FrameType::Meta => Some("ignored"),
            FrameType::Data if self.half_closed => Some("ignored"),
            FrameType::Data => Some("message"),
            FrameType::Trailer if self.half_closed => Some("ignored"),
            FrameType::Trailer => {
                self.half_closed = true;
                Some(how(&frame.outcome()))
            }
            FrameType::Rst => {
                self.closed = true;
                Some("reset")
            }
        }
    }

    fn server_sends(&mut self) -> Result<Kinds, Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        Ok(self.behind_a_header(FrameType::Data))
    }

    fn server_sends_header(&mut self) -> Result<Kinds, Refused> {
        match (self.closed, self.header) {
            (true, _) => Err(Refused::Closed),
            (_, true) => Err(Refused::HeaderSent),
            _ => {
                self.header = true;
                Ok(vec![FrameType::Header])
            }
        }
    }

    fn server_finishes(&mut self) -> Kinds {
        if self.close() { self.behind_a_header(FrameType::Trailer) } else { vec![] }
    }

    fn behind_a_header(&mut self, kind: FrameType) -> Kinds {
        if std::mem::replace(&mut self.header, true) { vec![kind] } else { vec![FrameType::Header, kind] }
    }
}

fn kinds(writes: Writes) -> Kinds {
    assert_eq!(writes.is_empty(), writes.kinds().next().is_none());
    writes.kinds().collect()
}

fn client_event(event: ClientEvent<'_>) -> &'static str {
    match event {
        ClientEvent::Header => "header",
        ClientEvent::Message => "message",
        ClientEvent::Meta => "meta",
        ClientEvent::End(outcome) => how(&outcome),
        ClientEvent::Reset(_) => "reset",
        ClientEvent::Ignored => "ignored",
        other => panic!("{other:?}"),
    }
}

fn server_event(event: ServerEvent<'_>) -> &'static str {
    match event {
        ServerEvent::Message => "message",
        ServerEvent::HalfClose(outcome) => how(&outcome),
        ServerEvent::Reset(_) => "reset",
        ServerEvent::Ignored => "ignored",
        other => panic!("{other:?}"),
    }
}

fn how(outcome: &Outcome<'_>) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Business(_) => "business error",
        Outcome::Exception(_) => "exception",
        Outcome::Undecodable(_) => "undecodable",
        other => panic!("{other:?}"),
    }
}

/// One of each kind, and trailers of each outcome.
fn frame(which: u8) -> Frame {
    let encoder = StreamEncoder::new(1, b"m").expect("an id");
    let exception = Exception::new(Code::INTERNAL_ERROR, b"text");
    let mut dst = BytesMut::new();
    let status = [(keys::BIZ_STATUS, &b"7"[..])];
    let written = match which {
        0 => encoder.header([], &mut dst),
        1 => encoder.open(b"s", status, &mut dst),
        2 => encoder.meta([], 0, &mut dst),
        3 => encoder.trailer([], &mut dst),
        4 => encoder.trailer(status, &mut dst),
        5 => encoder.exception_trailer(status, &exception, &mut dst),
        6 => encoder.rst(&exception, b"a,b", &mut dst),
        7 => encoder.writer(FrameType::Rst, &mut dst).and_then(|writer| writer.finish(0)),
        8 => encoder.writer(FrameType::Trailer, &mut dst).and_then(|writer| writer.finish(1)),
        _ => encoder.data(1, &mut dst),
    };
    written.expect("short texts");
    if which >= 8 {
        dst.extend_from_slice(&Bytes::from_static(b"\0"));
    }
    Frame::parse(dst.freeze()).expect("ours")
}
