//! Hooks: each message is seen once, in its order, and what a hook says happens.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use grpc_frame::compression::Encoding;
use proxy::Proxy;
use proxy::hook::{Direction, Hook, Seen, Verdict};
use proxy::rpc::{Fault, FaultKind, Head};
use testkit::peer::http2::{Fields, RawH2, grpc_message};
use testkit::peer::ttstream::{TtConn, TtFrame};
use testkit::peer::{Form, Message, RawServer, text_struct};
use thrift_codec::MessageType;

use crate::support::{ON_PURPOSE, Setup, TestProxy};

/// Does to the text in a message what the text says, and notes what it saw.
#[derive(Clone, Default)]
struct Obeys {
    seen: Arc<Mutex<Vec<(Direction, Bytes)>>>,
}

impl Hook for Obeys {
    fn watches(&self, head: &dyn Head) -> bool {
        head.method() != b"Unwatched"
    }

    fn message(&self, _: &dyn Head, message: Seen<'_>) -> Verdict {
        self.seen.lock().unwrap().push((message.direction, message.bytes.clone()));
        let says = |word: &str| {
            let word = if message.direction == Direction::Request { word.to_owned() } else { format!("{word}-back") };
            message.bytes.windows(word.len()).any(|part| part == word.as_bytes())
                && !(message.direction == Direction::Request && message.bytes.windows(5).any(|part| part == b"-back"))
        };
        if says("replace") {
            let id = i16::from(message.direction == Direction::Request);
            return Verdict::Replace(text_struct(id, &"another text ".repeat(1000)).into());
        }
        if says("drop") {
            return Verdict::Drop;
        }
        if says("reject") {
            return Verdict::Reject(Fault::unsent(FaultKind::BadArguments, "a hook says no"));
        }
        if says("panic") {
            panic!("{ON_PURPOSE}");
        }
        Verdict::Forward
    }
}

impl Obeys {
    fn take(&self) -> Vec<(Direction, Bytes)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn hooked(setup: &Setup) -> (TestProxy, Obeys) {
    let hook = Obeys::default();
    (TestProxy::run(&setup.text(), Proxy::builder().hook(hook.clone())), hook)
}

fn long_text(id: i16) -> Vec<u8> {
    text_struct(id, &"another text ".repeat(1000))
}

#[test]
fn a_call_is_seen_both_ways_and_changed_in_every_form() {
    for form in [Form::Buffered, Form::Framed, Form::TtHeader, Form::TtHeaderFramed, Form::MeshFramed] {
        let backend = RawServer::echo();
        let (proxy, hook) = hooked(&Setup::to(&backend));
        let mut client = proxy.connect();
        let call = |text: &str| Message::call("Ask", 5).form(form).body(text_struct(1, text));
        let reply = client.exchange(&call("plain"));
        assert_eq!(reply.body, text_struct(0, "plain"));
        let (request, response) = (text_struct(1, "plain").into(), text_struct(0, "plain").into());
        assert_eq!(hook.take(), [(Direction::Request, request), (Direction::Response, response)], "{form:?}");

        let reply = client.exchange(&call("replace").seqid(6));
        assert_eq!((reply.seqid, reply.body), (6, long_text(0)), "the backend saw and echoed the other text");
        assert_eq!(backend.messages().last().unwrap().body, long_text(1));
        let reply = client.exchange(&call("replace-back").seqid(7));
        assert_eq!((reply.seqid, reply.body), (7, long_text(0)));
        assert_eq!(backend.messages().last().unwrap().body, text_struct(1, "replace-back"));

        let reached = backend.messages().len();
        assert_eq!(client.exchange(&call("reject")).code_and_text(), (7, "a hook says no".into()));
        assert_eq!(client.exchange(&call("panic")).code_and_text(), (6, "panic in a hook".into()));
        assert_eq!(client.exchange(&call("drop")).message_type, MessageType::EXCEPTION);
        assert_eq!(backend.messages().len(), reached, "none of these reached the backend");
        assert_eq!(client.exchange(&call("reject-back")).code_and_text().1, "a hook says no");
    }
}

#[test]
fn a_changed_message_has_a_right_checksum() {
    let backend = RawServer::echo();
    let (proxy, _hook) = hooked(&Setup::to(&backend));
    let call = Message::call("Ask", 5).form(Form::TtHeader).body(text_struct(1, "replace")).checksummed();
    assert_eq!(proxy.connect().exchange(&call).body, long_text(0));
    let arrived = backend.messages().pop().unwrap();
    assert_eq!(arrived.body, long_text(1));
    assert_eq!(arrived.string_value(b"crc32c"), Some(&arrived.checksum()[..]));
}

#[test]
fn a_signed_message_is_not_changed() {
    let backend = RawServer::echo();
    let (proxy, _hook) = hooked(&Setup::to(&backend));
    let call = Message::call("Ask", 5).form(Form::TtHeader).string("PV_hash", "x");
    let text = proxy.connect().exchange(&call.clone().body(text_struct(1, "replace"))).code_and_text().1;
    assert!(text.contains("signed"), "{text}");
    assert_eq!(proxy.connect().exchange(&call).body, text_struct(0, "hi"));
}

#[test]
fn who_is_not_watched_is_not_shown() {
    let backend = RawServer::echo();
    let (proxy, hook) = hooked(&Setup::to(&backend));
    let call = Message::call("Unwatched", 5).body(text_struct(1, "reject"));
    assert_eq!(proxy.connect().exchange(&call).body, text_struct(0, "reject"));
    assert_eq!(hook.take(), []);
}

/// A ttstream backend that echoes.
fn tt_echo() -> RawServer {
    RawServer::start(|conn| {
        let mut conn = TtConn::new(conn);
        while let Some(frame) = conn.next_frame() {
            match frame.frame_type() {
                ttstream::FrameType::Header => conn.send(&TtFrame::header(frame.id, "Chat")),
                ttstream::FrameType::Data => conn.send(&TtFrame::data(frame.id, "Chat", &frame.payload)),
                _ => conn.send(&TtFrame::trailer(frame.id, "Chat")),
            }
        }
    })
}

#[test]
fn messages_of_ttstream_are_seen_changed_and_dropped() {
    let backend = tt_echo();
    let (proxy, hook) = hooked(&Setup::to(&backend));
    let mut client = TtConn::connect(proxy.addr());
    client.send(&TtFrame::header(1, "Chat"));
    for text in ["one", "drop", "replace", "drop-back", "two"] {
        client.send(&TtFrame::data(1, "Chat", text));
    }
    client.send(&TtFrame::trailer(1, "Chat"));
    let mut payloads = Vec::new();
    loop {
        let frame = client.read();
        match frame.frame_type() {
            ttstream::FrameType::Data => payloads.push(frame.payload),
            ttstream::FrameType::Trailer => break,
            _ => {}
        }
    }
    assert_eq!(payloads, [b"one".to_vec(), long_text(1), b"two".to_vec()]);
    assert_eq!(hook.take().len(), 5 + 4);

    client.send(&TtFrame::header(2, "Chat"));
    client.send(&TtFrame::data(2, "Chat", "reject"));
    let (_code, text) = loop {
        let frame = client.read();
        if frame.frame_type() == ttstream::FrameType::Trailer {
            break frame.code_and_text();
        }
    };
    assert!(text.contains("a hook says no"), "{text}");
}

/// A gRPC backend that echoes messages, compressed where the caller's are.
fn grpc_echo() -> RawServer {
    RawServer::start(|conn| {
        let mut server = RawH2::server(conn);
        server.auto_credit(true);
        while let Some(request) = server.next_request() {
            let stream = request.stream;
            server.respond(stream);
            while let Some(message) = server.next_grpc_message(stream) {
                server.send_all(stream, grpc_message(message), false);
            }
            server.trailers(stream, 0, "");
        }
    })
}

#[test]
fn messages_of_grpc_are_seen_whole_however_they_are_cut() {
    let backend = grpc_echo();
    let (proxy, hook) = hooked(&Setup::to(&backend));
    let mut client = RawH2::client(proxy.addr());
    client.auto_credit(true);
    let stream = client.request("/Live/Chat", Fields::from([("content-type", "application/grpc")]));
    let messages = [grpc_message("one"), grpc_message("drop"), grpc_message("replace"), grpc_message("two")].concat();
    for byte in &messages {
        client.send_data(stream, [*byte], false);
    }
    client.send_data(stream, [], true);
    let answer = client.read_answer(stream);
    assert_eq!(answer.status(), Some(0));
    assert_eq!(answer.messages(), [b"one".to_vec(), long_text(1), b"two".to_vec()]);
    let seen: Vec<_> =
        hook.take().into_iter().filter(|(way, _)| *way == Direction::Request).map(|(_, it)| it).collect();
    assert_eq!(seen, ["one", "drop", "replace", "two"]);

    let answer = client.call("/Live/Chat", Fields::from([("content-type", "application/grpc")]), "reject");
    assert_eq!(answer.status(), Some(13));
    assert!(answer.message().unwrap().contains("a hook says no"));
    let answer = client.call("/Live/Chat", Fields::from([("content-type", "application/grpc")]), "panic");
    assert!(answer.message().unwrap().contains("panic in a hook"), "{answer:?}");
    let answer = client.call("/Live/Chat", Fields::from([("content-type", "application/grpc")]), "reject-back");
    assert!(answer.message().unwrap().contains("a hook says no"), "{answer:?}");
}

#[test]
fn a_compressed_message_is_shown_uncompressed_and_goes_on_as_it_came() {
    let backend = RawServer::start(|conn| {
        let mut server = RawH2::server(conn);
        while let Some(request) = server.next_request() {
            let data = server.wait_for_data(request.stream).data;
            server.respond(request.stream);
            server.send_data(request.stream, grpc_message(data), false);
            server.trailers(request.stream, 0, "");
        }
    });
    let (proxy, hook) = hooked(&Setup::to(&backend));
    let mut client = RawH2::client(proxy.addr());
    let fields = || Fields::from([("content-type", "application/grpc"), ("grpc-encoding", "gzip")]);
    let packed = Encoding::from_name(b"gzip").compress(&Bytes::from_static(b"a compressed text")).unwrap();
    let mut wire = vec![1];
    wire.extend(u32::try_from(packed.len()).unwrap().to_be_bytes());
    wire.extend(&packed);
    let stream = client.request("/Live/Ask", fields());
    client.send_data(stream, &wire, true);
    let answer = client.read_answer(stream);
    assert_eq!(answer.messages(), [wire], "the backend saw the very bytes");
    assert_eq!(hook.take()[0], (Direction::Request, Bytes::from_static(b"a compressed text")));
}
