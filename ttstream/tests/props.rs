//! Frames of any content go to the wire and back, no bytes make anything panic, and two end points that do what their
//! machines say keep the rules whatever their applications do.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use testkit::{assert_every_cut_is_an_error, assert_split_invariant, decode_in_reads, from_hex, streaming_vectors};
use tokio_util::codec::Decoder;
use ttheader::{IntKey, keys};
use ttstream::stream::{Client, ClientEvent, Server, ServerEvent, Writes, opens};
use ttstream::{Code, Exception, Frame, FrameType, Outcome, StreamEncoder, TtStreamCodec};

proptest! {
    #[test]
    fn frames_go_to_the_wire_and_back(frames in vec(content(), 1..6), cuts in vec(any::<prop::sample::Index>(), 0..8)) {
        let wire: Vec<u8> = frames.iter().flat_map(Content::wire).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
        cuts.sort_unstable();
        let mut reads = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.iter().rev() {
            let (head, tail) = rest.split_at(*cut.min(&rest.len()));
            reads.push(tail);
            rest = head;
        }
        reads.push(rest);
        reads.reverse();
        let (decoded, error) = decode_in_reads(&mut TtStreamCodec::default(), reads);
        prop_assert_eq!(error, None);
        prop_assert_eq!(decoded.len(), frames.len());
        for (frame, content) in decoded.iter().zip(&frames) {
            content.assert_is(frame);
        }
    }

    #[test]
    fn a_frame_is_split_and_cut_anywhere(content in content()) {
        assert_split_invariant(TtStreamCodec::default, content.wire());
        assert_every_cut_is_an_error(TtStreamCodec::default, content.wire());
    }

    #[test]
    fn a_frame_keeps_all_but_its_id_on_another_hop(content in content(), id in id()) {
        let frame = Frame::parse(content.wire().into()).unwrap();
        let mut head = BytesMut::new();
        frame.encode_head_with_id(id, &mut head).unwrap();
        let moved = Frame::parse([&head[..], &frame.payload_for(id)].concat().into()).unwrap();
        prop_assert_eq!(moved.stream_id(), id);
        let moved_back = [&{
            let mut head = BytesMut::new();
            moved.encode_head_with_id(content.id, &mut head).unwrap();
            head
        }[..], &moved.payload_for(content.id)].concat();
        prop_assert_eq!(&moved_back, frame.raw());
        prop_assert_eq!(&moved.head()[12..], &frame.head()[12..]);
    }

    #[test]
    fn exceptions_go_to_the_wire_and_back(
        code in any::<i32>(), message in vec(any::<u8>(), 0..40), method in vec(any::<u8>(), 0..20), id in id(),
        path in vec(any::<u8>(), 0..20), pairs in vec((text(), text()), 0..3),
    ) {
        let exception = Exception::new(Code(code), &message);
        let mut payload = BytesMut::new();
        exception.encode(&method, id, &mut payload).unwrap();
        prop_assert_eq!(payload.len(), exception.encoded_len(&method));
        prop_assert_eq!(Exception::parse(&payload), Ok(exception));
        for cut in 0..payload.len() {
            prop_assert!(Exception::parse(&payload[..cut]).is_err());
        }

        let encoder = StreamEncoder::new(id, &method).unwrap();
        let mut wire = BytesMut::new();
        encoder.rst(&exception, &path, &mut wire).unwrap();
        let frame = Frame::parse(wire.split().freeze()).unwrap();
        prop_assert_eq!(frame.payload(), &payload);
        prop_assert_eq!(frame.reset().exception, exception);
        prop_assert_eq!(frame.reset().cancel_path, &path);
        encoder.exception_trailer(borrowed(&pairs), &exception, &mut wire).unwrap();
        let frame = Frame::parse(wire.freeze()).unwrap();
        prop_assert_eq!(frame.outcome(), Outcome::Exception(exception));
        prop_assert!(frame.pairs().eq(borrowed(&pairs)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        look_at(&bytes);
    }

    #[test]
    fn no_change_of_a_vector_makes_it_panic(
        which in any::<prop::sample::Index>(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let vectors = streaming_vectors()["ttstream_frames"].as_array().unwrap();
        let mut wire = from_hex(which.get(vectors)["hex"].as_str().unwrap());
        for (at, byte) in changes {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        look_at(&wire);
    }

    #[test]
    fn two_ends_keep_the_rules(steps in vec(step(), 0..60)) {
        let mut link = Link::default();
        for step in steps {
            link.take(step);
        }
        link.settle();
    }
}

/// Everything there is to see of bytes.
fn look_at(bytes: &[u8]) {
    let (frames, _) = decode_in_reads(&mut TtStreamCodec::default(), [bytes]);
    for frame in frames {
        let _seen = (frame.outcome(), frame.reset(), frame.business_error(), frame.pairs().count());
        let _seen = (frame.method(), frame.service(), format!("{frame:?}"));
        assert_eq!(Frame::parse(frame.raw().clone()), Ok(frame));
    }
    let _seen = Exception::parse(bytes).map(|exception| exception.to_string());
}

/// What a frame says, owned.
#[derive(Clone, Debug)]
struct Content {
    kind: FrameType,
    id: i32,
    method: Vec<u8>,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    ints: Vec<(u16, Vec<u8>)>,
    payload: Vec<u8>,
}

impl Content {
    fn wire(&self) -> Vec<u8> {
        let mut dst = BytesMut::new();
        let encoder = StreamEncoder::new(self.id, &self.method).unwrap();
        let mut writer = encoder.writer(self.kind, &mut dst).unwrap();
        writer.strings(borrowed(&self.pairs)).unwrap();
        for (key, value) in &self.ints {
            writer.int(IntKey(*key), value).unwrap();
        }
        writer.finish(self.payload.len()).unwrap();
        [&dst[..], &self.payload].concat()
    }

    fn assert_is(&self, frame: &Frame) {
        assert_eq!((frame.frame_type(), frame.stream_id()), (self.kind, self.id));
        assert_eq!((frame.method(), frame.payload_slice()), (&self.method[..], &self.payload[..]));
        assert!(frame.pairs().eq(borrowed(&self.pairs)));
        let ints = frame.header().ints().filter(|(key, _)| ![9, 27].contains(&key.0));
        assert!(ints.eq(self.ints.iter().map(|(key, value)| (IntKey(*key), &value[..]))));
        let last = |key: &[u8]| self.pairs.iter().rev().find(|(other, _)| other == key).map(|(_, value)| &value[..]);
        assert_eq!(frame.service(), last(b"isn"));
        assert_eq!(frame.cancel_path(), last(b"ttscp"));
    }
}

fn content() -> impl Strategy<Value = Content> {
    let ints = vec((any::<u16>().prop_filter("its own", |key| ![9, 27].contains(key)), text()), 0..3);
    let pairs = vec((prop_oneof![text(), key()], text()), 0..4);
    (kind(), id(), text(), pairs, ints, vec(any::<u8>(), 0..40))
        .prop_map(|(kind, id, method, pairs, ints, payload)| Content { kind, id, method, pairs, ints, payload })
}

fn kind() -> impl Strategy<Value = FrameType> {
    use FrameType::{Data, Header, Meta, Rst, Trailer};
    prop::sample::select(vec![Meta, Header, Data, Trailer, Rst])
}

fn id() -> impl Strategy<Value = i32> {
    prop_oneof![any::<i32>(), Just(1), Just(-1), Just(i32::MAX), Just(i32::MIN)].prop_filter("reserved", |id| *id != 0)
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![keys::GDPR_TOKEN, b"isn", b"ttscp", b"biz-status", b""]).prop_map(<[u8]>::to_vec)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..12)
}

fn borrowed(pairs: &[(Vec<u8>, Vec<u8>)]) -> impl Iterator<Item = (&[u8], &[u8])> {
    pairs.iter().map(|(key, value)| (&key[..], &value[..]))
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    ClientSends,
    ClientHalfCloses,
    ClientCancels,
    ServerSendsHeader,
    ServerSends,
    ServerFinishes,
    ServerResets,
    ToServer,
    ToClient,
    Lost,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{
        ClientCancels, ClientHalfCloses, ClientSends, Lost, ServerFinishes, ServerResets, ServerSends,
        ServerSendsHeader, ToClient, ToServer,
    };
    prop_oneof![
        8 => Just(ToServer), 8 => Just(ToClient), 6 => Just(ClientSends), 6 => Just(ServerSends),
        2 => Just(ServerSendsHeader), 1 => Just(ClientHalfCloses), 1 => Just(ClientCancels), 1 => Just(ServerFinishes),
        1 => Just(ServerResets), 1 => Just(Lost),
    ]
}

/// One stream between two applications that want anything at any time, over a connection that takes its time.
struct Link {
    client: Client,
    server: Option<Server>,
    to_server: Wire,
    to_client: Wire,
    lost: bool,
    ends: Ends,
}

/// How the stream ended on either side.
#[derive(Default)]
struct Ends {
    client: Option<&'static str>,
    server: Option<&'static str>,
    half_closed: bool,
}

/// One direction: the frames under way, those that were written, and the messages at both ends.
#[derive(Default)]
struct Wire {
    under_way: VecDeque<Bytes>,
    written: Vec<FrameType>,
    sent: u32,
    delivered: u32,
}

impl Default for Link {
    fn default() -> Self {
        let mut link = Self {
            client: Client::new(),
            server: None,
            to_server: Wire::default(),
            to_client: Wire::default(),
            lost: false,
            ends: Ends::default(),
        };
        link.to_server.write(FrameType::Header);
        link
    }
}

impl Wire {
    fn write_all(&mut self, writes: Writes) {
        writes.kinds().for_each(|kind| self.write(kind));
    }

    fn write(&mut self, kind: FrameType) {
        let encoder = StreamEncoder::new(5, b"m").unwrap();
        let mut wire = BytesMut::new();
        match kind {
            FrameType::Header => encoder.empty_header(&mut wire),
            FrameType::Data => {
                encoder.data(4, &mut wire).unwrap();
                wire.extend_from_slice(&self.sent.to_be_bytes());
                self.sent += 1;
            }
            FrameType::Trailer => encoder.half_close(&mut wire),
            FrameType::Rst => encoder.rst(&Exception::built_in(Code::CANCELLED), b"a", &mut wire).unwrap(),
            FrameType::Meta => panic!("nobody writes it"),
        }
        self.written.push(kind);
        self.under_way.push_back(wire.freeze());
    }

    fn next(&mut self) -> Option<Frame> {
        let mut src = BytesMut::from(&self.under_way.pop_front()?[..]);
        Some(TtStreamCodec::default().decode(&mut src).unwrap().unwrap())
    }

    fn deliver(&mut self, frame: &Frame) {
        assert_eq!(frame.payload_slice(), self.delivered.to_be_bytes(), "in order, none left out");
        self.delivered += 1;
    }
}

impl Link {
    fn take(&mut self, step: Step) {
        if self.lost {
            return;
        }
        match step {
            Step::ClientSends => {
                if let Ok(writes) = self.client.send_message() {
                    self.to_server.write_all(writes);
                }
            }
            Step::ClientHalfCloses => {
                let writes = self.client.half_close();
                self.to_server.write_all(writes);
            }
            Step::ClientCancels => {
                let writes = self.client.cancel();
                if !writes.is_empty() {
                    end(&mut self.ends.client, "cancelled");
                }
                self.to_server.write_all(writes);
            }
            Step::ServerSendsHeader | Step::ServerSends | Step::ServerFinishes | Step::ServerResets => self.serve(step),
            Step::ToServer => self.deliver_to_server(),
            Step::ToClient => self.deliver_to_client(),
            Step::Lost => {
                self.lost = true;
                if self.client.lost() {
                    end(&mut self.ends.client, "lost");
                }
                if self.server.as_mut().is_some_and(Server::lost) {
                    end(&mut self.ends.server, "lost");
                }
            }
        }
    }

    fn serve(&mut self, step: Step) {
        let Some(server) = &mut self.server else { return };
        let writes = match step {
            Step::ServerSendsHeader => server.send_header().unwrap_or_default(),
            Step::ServerSends => server.send_message().unwrap_or_default(),
            Step::ServerFinishes => server.finish(),
            _ => server.reset(),
        };
        if writes.trailer || writes.rst {
            end(&mut self.ends.server, if writes.rst { "reset" } else { "finished" });
        }
        self.to_client.write_all(writes);
    }

    fn deliver_to_server(&mut self) {
        let Some(frame) = self.to_server.next() else { return };
        let Some(server) = &mut self.server else {
            assert_eq!(opens(&frame), Ok(true), "the header is the first");
            self.server = Some(Server::new());
            return;
        };
        if server.is_closed() {
            assert_eq!(opens(&frame), Ok(false), "a forgotten id is not opened again");
        }
        match server.received(&frame).unwrap() {
            ServerEvent::Message => self.to_server.deliver(&frame),
            ServerEvent::HalfClose(Outcome::Success) => {
                assert!(!self.ends.half_closed);
                self.ends.half_closed = true;
            }
            ServerEvent::Reset(_) => end(&mut self.ends.server, "cancelled"),
            ServerEvent::Ignored => assert!(server.is_closed(), "{:?}", frame.frame_type()),
            other => panic!("{other:?}"),
        }
    }

    fn deliver_to_client(&mut self) {
        let Some(frame) = self.to_client.next() else { return };
        let closed = self.client.is_closed();
        let (event, writes) = self.client.received(&frame).unwrap();
        match event {
            ClientEvent::Header => {}
            ClientEvent::Message => self.to_client.deliver(&frame),
            ClientEvent::End(Outcome::Success) => end(&mut self.ends.client, "finished"),
            ClientEvent::Reset(_) => end(&mut self.ends.client, "reset"),
            ClientEvent::Ignored => assert!(closed),
            other => panic!("{other:?}"),
        }
        self.to_server.write_all(writes);
    }

    /// Both applications come to an end, and everything under way arrives.
    fn settle(&mut self) {
        self.take(Step::ClientHalfCloses);
        for _ in 0..2 {
            // More than can be under way.
            for _ in 0..100 {
                self.take(Step::ToServer);
                self.take(Step::ToClient);
            }
            self.take(Step::ServerFinishes);
        }
        assert!(self.client.is_closed());
        assert!(self.server.as_ref().is_none_or(Server::is_closed));
        let server_end = if self.server.is_some() { self.ends.server } else { Some("lost") };
        match (self.ends.client.unwrap(), server_end.unwrap()) {
            ("finished", "finished") => {
                assert_eq!(self.to_client.delivered, self.to_client.sent, "all messages came before the end");
            }
            ("reset", "reset") => assert_eq!(self.to_client.delivered, self.to_client.sent),
            // They crossed: each side knows its own end.
            ("cancelled", "cancelled" | "finished" | "reset") => {}
            (_, "lost") | ("lost", _) => assert!(self.lost),
            ends => panic!("{ends:?}"),
        }
        if self.ends.half_closed {
            assert_eq!(self.to_server.delivered, self.to_server.sent, "all messages came before the half close");
        }
        assert_client_order(&self.to_server.written);
        assert_server_order(&self.to_client.written);
    }
}

fn end(end: &mut Option<&'static str>, how: &'static str) {
    assert_eq!(*end, None, "a stream ends once, and not by {how}");
    *end = Some(how);
}

/// H D* T, H D* R T or H D* T R (specification A8), or a part of it where the connection was lost.
fn assert_client_order(written: &[FrameType]) {
    let (header, rest) = written.split_first().unwrap();
    assert_eq!(*header, FrameType::Header);
    let messages = rest.iter().take_while(|kind| **kind == FrameType::Data).count();
    use FrameType::{Rst, Trailer};
    assert!(matches!(rest[messages..], [] | [Trailer] | [Rst, Trailer] | [Trailer, Rst]), "{written:?}");
}

/// H D* T, H D* R or R, or a part of it where the connection was lost.
fn assert_server_order(written: &[FrameType]) {
    use FrameType::{Data, Header, Rst, Trailer};
    let end = written.iter().position(|kind| matches!(kind, Rst | Trailer)).unwrap_or(written.len());
    assert!(written.len() <= end + 1, "nothing follows the end: {written:?}");
    match written.split_first() {
        Some((Header, rest)) => {
            assert!(rest[..end - 1].iter().all(|kind| *kind == Data), "{written:?}");
        }
        Some((Rst, [])) | None => {}
        other => panic!("the header is missing: {other:?}"),
    }
}
