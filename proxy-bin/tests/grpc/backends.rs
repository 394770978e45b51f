//! Hostile and broken backends: their streams end, never well, and the next one gets a connection of its own.

use bytes::Bytes;
use grpc_frame::http2::{Continuation, Flags, FrameType, Headers, StreamId};
use testkit::peer::http2::{RawH2, grpc_message, grpc_response};

use crate::stage::{Backend, NONE, Open, PATH, open};

/// What a backend does on a stream with this number. It may find the connection closed before it is through.
type Deed = fn(&mut RawH2, u32);

const DEEDS: [(&str, Deed); 11] = [
    ("a header list of references to a long field", |conn, at| {
        let mut block = grpc_response(NONE).literal_block().to_vec();
        block.extend([0x40, 1, b'x', 0x7f, 0x80 | 33, 30]);
        block.extend([b'v'; 4000]);
        block.extend(std::iter::repeat_n(0x80 | 62, 12_000));
        conn.send_block(at, block, false);
    }),
    ("CONTINUATION without end", |conn, at| {
        conn.send_frame(Headers::new(StreamId::new(at), grpc_response(NONE).literal_block()).with_flags(Flags::NONE));
        let frame = Continuation { stream_id: StreamId::new(at), flags: Flags::NONE, fragment: Bytes::new() };
        let mut octets = bytes::BytesMut::new();
        frame.encode(&mut octets).unwrap();
        let _closed = conn.try_send(octets.repeat(20_000));
    }),
    ("empty DATA without end", |conn, at| {
        conn.respond(at);
        let [.., low] = at.to_be_bytes();
        let _closed = conn.try_send([0, 0, 0, 0, 0, 0, 0, 0, low].repeat(5_000));
    }),
    ("DATA beyond the window", |conn, at| {
        conn.respond(at);
        let [.., low] = at.to_be_bytes();
        let frame = [&[0, 0x40, 0, 0, 0, 0, 0, 0, low, 0, 0, 0xff, 0xff, 0xff][..], &[0; 16_379]].concat();
        let _closed = conn.try_send(frame.repeat(700));
    }),
    ("a frame over the limit", |conn, _| conn.send([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])),
    ("PUSH_PROMISE", |conn, at| {
        let block = grpc_response(NONE).literal_block();
        conn.send_any(FrameType::PUSH_PROMISE, Flags::END_HEADERS, at, [&[0, 0, 0, 2][..], &block].concat());
    }),
    ("a header block that is none", |conn, at| conn.send_block(at, vec![0xff, 0xff, 0xff], false)),
    ("a stream that nobody opened", |conn, _| conn.send_headers(999, grpc_response(NONE), false)),
    ("WINDOW_UPDATE of nothing", |conn, _| conn.send_any(FrameType::WINDOW_UPDATE, Flags::NONE, 0, [0; 4])),
    ("a window over 2^31-1", |conn, _| conn.send_any(FrameType::WINDOW_UPDATE, Flags::NONE, 0, [0x7f, 255, 255, 255])),
    ("an answer of HTTP/1", |conn, _| conn.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
];

#[test]
fn a_backend_that_breaks_the_rules_is_never_a_clean_end() {
    for (deed, done) in DEEDS {
        let backend = Backend::start();
        let proxy = backend.setup().start();
        let Open { mut caller, stream, mut conn, at, .. } = open(&proxy, &backend, NONE);
        // An end comes behind the data before it.
        caller.auto_credit(true);
        caller.send_data(stream, grpc_message("hi"), true);
        conn.wait_for_data(at);
        done(&mut conn, at);
        let answer = caller.read_answer(stream);
        let well = answer.status() == Some(0) || (answer.status().is_none() && answer.reset.is_none());
        assert!(!well, "{deed}: {answer:?}");
        println!("{deed}: status {:?} {:?}, reset {:?}", answer.status(), answer.message(), answer.reset);
        assert_eq!(backend.connections(), 1, "{deed}: it is not tried again");
        // The same connection where only the stream was at fault, else a fresh one.
        let next = caller.request(PATH, NONE);
        let mut fresh = None;
        testkit::peer::eventually("the next stream comes", || {
            if backend.connections() > 1 {
                let conn = fresh.get_or_insert_with(|| backend.accept());
                let at = conn.next_request().unwrap().stream;
                conn.trailers(at, 0, "next");
                return true;
            }
            let came = conn.poll_frame(std::time::Duration::from_millis(5));
            came.filter(|frame| frame.fields.contains(":path")).is_some_and(|frame| {
                conn.trailers(frame.stream(), 0, "next");
                true
            })
        });
        assert_eq!(caller.read_answer(next).message(), Some("next"), "{deed}");
    }
}

#[test]
fn a_backend_that_floods_with_questions_disturbs_no_other() {
    let (quiet, loud) = (Backend::start(), Backend::start());
    let proxy = crate::support::TestProxy::start(&format!(
        "workers = 1\ndrain = \"3s\"\n[[listener]]\nbind = \"127.0.0.1:0\"\n[[route]]\nmethod = \"Loud\"\ncluster = \
         \"loud\"\n[[route]]\ncluster = \"quiet\"\n[cluster.loud]\nendpoints = [\"{}\"]\n[cluster.quiet]\nendpoints = \
         [\"{}\"]",
        loud.addr(),
        quiet.addr()
    ));
    let mut loud = crate::stage::open_at(&proxy, &loud, "/acme.wire.Live/Loud", NONE);
    let mut quiet = open(&proxy, &quiet, NONE);
    let socket = loud.conn.conn().stream();
    socket.set_write_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(1000);
    for _ in 0..100 {
        if !loud.conn.try_send(&ping) {
            break;
        }
    }
    for _ in 0..5 {
        quiet.still_works();
    }
}
