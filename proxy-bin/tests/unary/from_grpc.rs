//! A gRPC caller, a ping-pong backend: the route says that the method is unary.

use std::time::Duration;

use bytes::Bytes;
use grpc_frame::compression::Encoding;
use grpc_frame::http2::ErrorCode;
use testkit::peer::http2::{Answer, Fields, RawH2, grpc_message};
use testkit::peer::{Form, Message, RawServer, text_struct};
use thrift_codec::{MessageType, Version};
use ttheader::IntKey;

use crate::support::{Setup, TestProxy};
use crate::{PATH, thrift};

/// What a caller of gRPC was told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: Option<u32>,
    pub(crate) message: Option<String>,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) trailers_only: bool,
    pub(crate) headers: Fields,
    pub(crate) trailers: Fields,
}

impl From<Answer> for Told {
    fn from(answer: Answer) -> Self {
        assert!(answer.ended, "{answer:?}");
        Self {
            status: answer.status(),
            message: answer.message().map(str::to_owned),
            messages: answer.messages(),
            trailers_only: answer.is_trailers_only(),
            headers: answer.headers.unwrap_or_default(),
            trailers: answer.trailers.unwrap_or_default(),
        }
    }
}

fn setup(backend: &RawServer, transport: &str) -> Setup {
    Setup::to(backend).route("unary = [\"Ask\"]").cluster(&format!("pingpong = \"{transport}\""))
}

fn ask(proxy: &TestProxy, fields: Fields, payload: impl AsRef<[u8]>) -> Told {
    let mut client = RawH2::client(proxy.addr());
    client.auto_credit(true);
    client.call(PATH, fields, payload).into()
}

fn hi() -> Vec<u8> {
    text_struct(1, "hi")
}

/// A backend that answers with what `reply` makes of the call.
fn replying(reply: impl Fn(&Message) -> Message + Send + Sync + 'static) -> RawServer {
    RawServer::replying(move |call| reply(call).bytes())
}

const TRANSPORTS: [(&str, Form); 4] = [
    ("buffered", Form::Buffered),
    ("framed", Form::Framed),
    ("ttheader", Form::TtHeader),
    ("ttheader-framed", Form::TtHeaderFramed),
];

#[test]
fn a_call_is_made_of_the_stream_in_every_form() {
    for (transport, form) in TRANSPORTS {
        let backend = RawServer::echo();
        let proxy = setup(&backend, transport).start();
        let told = ask(&proxy, thrift([("source-service", "caller"), ("source-method", "Outer")]), hi());
        assert_eq!((told.status, told.message.as_deref()), (Some(0), Some("")), "{transport}");
        assert_eq!(told.messages, [text_struct(0, "hi")]);
        assert_eq!(told.headers.text("content-type"), Some("application/grpc+thrift"));
        assert!(!told.trailers_only);

        let call = &backend.wait_for_messages(1)[0];
        assert_eq!((call.form, call.version, call.message_type), (form, Version::THRIFT, MessageType::CALL));
        assert_eq!((&call.method[..], &call.body), (&b"Ask"[..], &hi()));
        if form.has_ttheader() {
            assert_eq!(call.header_seqid, call.seqid);
            assert_eq!(call.string_value(b"isn"), Some(&b"Live"[..]));
            assert!(call.string_value(b"rip").is_some_and(|address| address.starts_with(b"127.0.0.1:")));
            for (key, value) in [
                (IntKey::FROM_SERVICE, "caller"),
                (IntKey::FROM_METHOD, "Outer"),
                (IntKey::TO_SERVICE, "raw.dest"),
                (IntKey::TO_METHOD, "Ask"),
                (IntKey::MSG_TYPE, "1"),
            ] {
                assert_eq!(call.int_value(key), Some(value.as_bytes()), "{key:?}");
            }
            assert_eq!(call.int_value(IntKey::RPC_TIMEOUT), None, "the caller gave none");
        }
        proxy.eventually("counted", |totals| totals.streams_ok == 1);
    }
}

#[test]
fn void_results_and_declared_exceptions_are_results() {
    let backend = replying(|call| match &call.body {
        body if *body == text_struct(1, "void") => call.reply().body([0]),
        _ => call.reply().body(text_struct(1, "declared")),
    });
    let proxy = setup(&backend, "ttheader").start();
    let told = ask(&proxy, thrift([]), text_struct(1, "void"));
    assert_eq!((told.status, told.messages), (Some(0), vec![vec![0]]));
    let told = ask(&proxy, thrift([]), hi());
    assert_eq!((told.status, told.messages), (Some(0), vec![text_struct(1, "declared")]));
}

#[test]
fn exceptions_become_statuses() {
    for (compat, code, text, status, message) in [
        (false, 0, "nothing", 2, "nothing"),
        (false, 1, "unknown method Ask", 12, "unknown method Ask"),
        (false, 20, "unknown service Live", 12, "unknown service Live"),
        (true, 20, "unknown service Live", 20, "unknown service Live"),
        (false, 6, "biz error: no", 13, "biz error: no"),
        (false, 7, "bad", 13, "bad"),
        (false, 99, "own", 2, "own"),
        (false, 6, "rpc error: code = 5 desc = gone", 5, "gone"),
        (false, 6, "biz error: rpc error: code = 8 desc = full", 8, "full"),
        (false, 6, "größe %", 13, "gr%C3%B6%C3%9Fe %25"),
    ] {
        let backend = replying(move |call| call.exception(code, text));
        let proxy = setup(&backend, "framed").listener(&format!("kitex_status = {compat}")).start();
        let told = ask(&proxy, thrift([]), hi());
        assert_eq!((told.status, told.message.as_deref()), (Some(status), Some(message)), "{code} {text}");
        assert!(told.messages.is_empty() && told.trailers_only, "{told:?}");
        assert_eq!(told.headers.text("content-type"), Some("application/grpc+thrift"));
    }
}

#[test]
fn a_business_error_keeps_its_code_text_and_extra() {
    let backend = replying(|call| {
        let reply = call.reply().body([0]).string("biz-status", "502").string("biz-message", "no money: größe");
        reply.string("biz-extra", "{\"k\":\"ü\"}").string("x-cost", "3")
    });
    let proxy = setup(&backend, "ttheader").start();
    let told = ask(&proxy, thrift([]), hi());
    assert_eq!((told.status, told.message.as_deref()), (Some(13), Some("no money: gr%C3%B6%C3%9Fe")));
    assert_eq!(told.trailers.text("biz-status"), Some("502"));
    assert_eq!(told.trailers.value("biz-extra"), Some("{\"k\":\"ü\"}".as_bytes()));
    assert!(!told.trailers.contains("biz-message") && !told.headers.contains("biz-status"));
    assert_eq!(told.headers.text("x-cost"), Some("3"));
    assert!(told.messages.is_empty(), "no message with it");
}

#[test]
fn metadata_goes_both_ways() {
    let backend = replying(|call| {
        let reply = call.reply().string("X-Back", "b").string("RPC_BACKWARD_SEEN", "1").string("rip", "10.0.0.1:1");
        reply.string("crrst", "1").string("raw-bin", b"\xff\0")
    });
    let proxy = setup(&backend, "ttheader").start();
    let fields = thrift([
        ("x-key", "v"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("x-raw-bin", "AP8"),
        ("rpc-persist-user-id", "p"),
        ("rpc-transit-t", "t"),
        ("stream-log-id", "log"),
        ("grpc-accept-encoding", "gzip"),
        ("isn", "Forged"),
        ("crc32c", "00000000"),
        ("biz-message", "forged"),
    ]);
    let told = ask(&proxy, fields, hi());
    assert_eq!(told.status, Some(0), "{told:?}");
    let call = &backend.wait_for_messages(1)[0];
    for (key, value) in [
        ("isn", "Live"),
        ("x-key", "v"),
        ("x-many", "1,2"),
        ("x-raw-bin", "\0\u{ff}"),
        ("RPC_PERSIST_USER_ID", "p"),
        ("RPC_TRANSIT_T", "t"),
        ("stream-log-id", "log"),
    ] {
        let value: Vec<u8> = value.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let came: Vec<_> = call.strings.iter().filter(|(k, _)| k == key.as_bytes()).map(|(_, value)| value).collect();
        assert_eq!(came, [&value], "{key}");
    }
    for key in ["crc32c", "biz-message", "content-type", "te", "user-agent", "grpc-accept-encoding"] {
        assert_eq!(call.string_value(key.as_bytes()), None, "{key}");
    }
    for (name, value) in [("x-back", "b"), ("rpc-backward-seen", "1"), ("rip", "10.0.0.1:1"), ("raw-bin", "/wA")] {
        assert_eq!(told.headers.text(name), Some(value), "{name}");
    }
    assert!(!told.headers.contains("crrst"));
    // The second value of `x-many`, and three keys that are not the caller's to set.
    assert_eq!(proxy.totals().metadata_dropped, 4);
}

#[test]
fn what_a_plain_transport_can_not_carry_is_counted() {
    let backend = RawServer::echo();
    let proxy = setup(&backend, "framed").start();
    assert_eq!(ask(&proxy, thrift([("x-key", "v"), ("rpc-persist-a", "p")]), hi()).status, Some(0));
    assert_eq!(proxy.totals().metadata_dropped, 2);
}

#[test]
fn the_deadline_travels_lowered() {
    let backend = RawServer::echo();
    let proxy = setup(&backend, "ttheader").route("timeout = \"2s\"").start();
    assert_eq!(ask(&proxy, thrift([("grpc-timeout", "800m")]), hi()).status, Some(0));
    assert_eq!(ask(&proxy, thrift([("grpc-timeout", "9S")]), hi()).status, Some(0));
    let limits = backend.wait_for_messages(2).into_iter().map(|call| {
        let value = call.int_value(IntKey::RPC_TIMEOUT).unwrap().to_vec();
        String::from_utf8(value).unwrap().parse::<u64>().unwrap()
    });
    let limits: Vec<_> = limits.collect();
    assert!((1..=800).contains(&limits[0]) && (801..=2000).contains(&limits[1]), "{limits:?}");
}

#[test]
fn a_deadline_that_passes_is_status_4_and_ends_the_call() {
    let backend = RawServer::silent();
    let proxy = setup(&backend, "ttheader").start();
    let told = ask(&proxy, thrift([("grpc-timeout", "200m")]), hi());
    assert_eq!(told.status, Some(4), "{told:?}");
    backend.wait_until("the connection is closed", |received| received.iter().any(|conn| conn.closed.is_some()));
}

#[test]
fn a_caller_that_cancels_ends_the_call() {
    let backend = RawServer::silent();
    let proxy = setup(&backend, "framed").start();
    let mut client = RawH2::client(proxy.addr());
    let stream = client.request(PATH, thrift([]));
    client.send_data(stream, grpc_message(hi()), true);
    backend.wait_for_messages(1);
    client.send_reset(stream, ErrorCode::CANCEL);
    backend.wait_until("the connection is closed", |received| received.iter().any(|conn| conn.closed.is_some()));
    proxy.eventually("counted", |totals| totals.streams_cancelled == 1);
}

#[test]
fn kitex_protobuf_is_what_is_not_thrift() {
    for (transport, form) in
        [("framed", Form::Framed), ("ttheader", Form::TtHeaderFramed), ("ttheader-framed", Form::TtHeaderFramed)]
    {
        let backend = RawServer::echo();
        let proxy = setup(&backend, transport).start();
        for payload in [&b"\x0a\x02hi"[..], b""] {
            let told = ask(&proxy, Fields::default(), payload);
            assert_eq!((told.status, told.messages), (Some(0), vec![payload.to_vec()]), "{transport}");
            assert_eq!(told.headers.text("content-type"), Some("application/grpc"));
        }
        let call = &backend.wait_for_messages(2)[0];
        assert_eq!((call.form, call.version), (form, Version::KITEX_PROTOBUF));
    }
    let backend = RawServer::echo();
    let proxy = setup(&backend, "buffered").start();
    assert_eq!(ask(&proxy, Fields::default(), b"\x0a\x02hi").status, Some(12), "it has no form without a length");
    assert_eq!(backend.messages(), []);
}

#[test]
fn a_protobuf_exception_is_a_status() {
    let backend = replying(|call| call.exception(6, "boom"));
    let proxy = setup(&backend, "ttheader").start();
    let told = ask(&proxy, Fields::default(), b"\x0a\x02hi");
    assert_eq!((told.status, told.message.as_deref()), (Some(13), Some("boom")));
}

#[test]
fn a_compressed_request_is_uncompressed() {
    let backend = RawServer::echo();
    let proxy = setup(&backend, "ttheader").start();
    let payload = Encoding::parse(b"gzip").compress(&Bytes::from(hi())).unwrap();
    let mut message = grpc_message(&payload);
    message[0] = 1;
    let mut client = RawH2::client(proxy.addr());
    let stream = client.request(PATH, thrift([("grpc-encoding", "gzip")]));
    client.send_data(stream, &message, true);
    let told = Told::from(client.read_answer(stream));
    assert_eq!((told.status, told.messages), (Some(0), vec![text_struct(0, "hi")]));
    assert!(!told.headers.contains("grpc-encoding"));
    assert_eq!(backend.wait_for_messages(1)[0].body, hi());

    let stream = client.request(PATH, thrift([("grpc-encoding", "lzma")]));
    client.send_data(stream, &message, true);
    let told = Told::from(client.read_answer(stream));
    assert!(matches!(told.status, Some(12 | 13)), "as a stream that crosses is answered: {told:?}");
}

#[test]
fn a_unary_call_has_one_message() {
    let backend = RawServer::echo();
    let proxy = setup(&backend, "ttheader").start();
    let mut client = RawH2::client(proxy.addr());
    let two = [grpc_message(hi()), grpc_message(hi())].concat();
    for (data, why) in [
        (Vec::new(), "none"),
        (two, "two"),
        (grpc_message(hi())[..7].to_vec(), "a part of one"),
        (grpc_message(b""), "an empty one, which is no struct"),
    ] {
        let stream = client.request(PATH, thrift([]));
        client.send_data(stream, &data, true);
        assert_eq!(client.read_answer(stream).status(), Some(13), "{why}");
    }
    // Said before the caller has half closed.
    let stream = client.request(PATH, thrift([]));
    client.send_data(stream, grpc_message(hi()), false);
    client.send_data(stream, b"\0", false);
    assert_eq!(client.read_answer(stream).status(), Some(13));
    assert_eq!(backend.messages(), []);
    // The half close may come by itself, and the message in pieces.
    let stream = client.request(PATH, thrift([]));
    grpc_message(hi()).chunks(3).for_each(|piece| client.send_data(stream, piece, false));
    client.send_data(stream, b"", true);
    assert_eq!(client.read_answer(stream).status(), Some(0));
}

#[test]
fn long_messages_pass_up_to_the_limit() {
    let backend = RawServer::echo();
    let proxy = setup(&backend, "ttheader").listener("max_message = \"1MiB\"\ncut_through = \"64KiB\"").start();
    let long = text_struct(1, &"x".repeat(1_000_000));
    let told = ask(&proxy, thrift([]), &long);
    assert_eq!(told.status, Some(0), "{:?}", told.message);
    assert!(told.messages == [text_struct(0, &"x".repeat(1_000_000))]);
    assert!(backend.wait_for_messages(1)[0].body == long);

    let told = ask(&proxy, thrift([]), text_struct(1, &"x".repeat(1 << 20)));
    assert_eq!(told.status, Some(8), "over the limit");

    let backend = replying(|call| call.reply().text(&"x".repeat(2 << 20)));
    let proxy = setup(&backend, "framed").listener("max_message = \"1MiB\"").start();
    let told = ask(&proxy, thrift([]), hi());
    assert!(matches!(told.status, Some(8 | 13)), "the reply is over the limit: {told:?}");
}

#[test]
fn a_reply_that_breaks_off_is_no_clean_end() {
    let backend = RawServer::start(|mut conn| {
        let Some(call) = conn.next_call() else { return };
        let reply = call.reply().text(&"x".repeat(1 << 20)).bytes();
        conn.send(&reply[..reply.len() - 10]);
    });
    let proxy = setup(&backend, "framed").start();
    let mut client = RawH2::client(proxy.addr());
    client.auto_credit(true);
    let answer = client.call(PATH, thrift([]), hi());
    assert!(answer.reset.is_some() || answer.status() == Some(14), "{:?}", answer.status());
}

#[test]
fn a_backend_that_can_not_be_reached_is_status_14() {
    let addr = RawServer::echo().addr();
    let proxy = Setup::to_addr(addr).route("unary = [\"Ask\"]").cluster("pingpong = \"ttheader\"").start();
    let told = ask(&proxy, thrift([]), hi());
    assert_eq!(told.status, Some(14));
    assert!(told.message.is_some_and(|text| text.starts_with("proxy: ")));

    let backend = RawServer::start(|mut conn| drop(conn.next_message()));
    let proxy = setup(&backend, "ttheader").start();
    assert_eq!(ask(&proxy, thrift([]), hi()).status, Some(14), "closed without a reply");
}

#[test]
fn an_unreadable_reply_is_status_13() {
    let backend = RawServer::start(|mut conn| {
        while conn.next_message().is_some() {
            conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let proxy = setup(&backend, "framed").start();
    assert_eq!(ask(&proxy, thrift([]), hi()).status, Some(13));

    let backend = replying(|call| call.exception(6, "cut").body([0x0b, 0, 1, 0]));
    let proxy = setup(&backend, "ttheader").start();
    assert_eq!(ask(&proxy, thrift([]), hi()).status, Some(13), "an exception cut off");
}

#[test]
fn what_stands_behind_the_struct_is_no_second_call() {
    let smuggled = Message::call("Delete", 1).form(Form::Buffered).bytes();
    let backend = RawServer::echo();
    let proxy = setup(&backend, "buffered").start();
    let told = ask(&proxy, thrift([]), [hi(), smuggled].concat());
    assert_eq!((told.status, told.messages), (Some(0), vec![text_struct(0, "hi")]));
    let calls = backend.messages();
    assert_eq!((calls.len(), &calls[0].method[..], &calls[0].body), (1, &b"Ask"[..], &hi()));
}

#[test]
fn other_methods_of_the_route_stay_streams() {
    let backend = RawServer::start(|mut conn| {
        let mut first = conn.read_exact(8);
        first.extend(b" seen");
        assert_eq!(first, b"PRI * HT seen");
        // What a backend without gRPC does.
    });
    let proxy = setup(&backend, "ttheader").start();
    let answer = RawH2::client(proxy.addr()).call("/livet.Live/Chat", thrift([]), hi());
    assert_eq!(answer.status(), Some(14), "{answer:?}");
    assert!(backend.connections() > 0);
}

#[test]
fn calls_share_connections_where_the_cluster_says_so() {
    let backend = RawServer::start(|mut conn| {
        // Answered in the other order.
        let calls: Vec<_> = std::iter::from_fn(|| conn.next_call()).take(8).collect();
        for call in calls.iter().rev() {
            conn.send(call.reply().bytes());
        }
        while conn.next_message().is_some() {}
    });
    let proxy = setup(&backend, "ttheader").cluster("mux = true").start();
    let mut client = RawH2::client(proxy.addr());
    let streams: Vec<_> = (0..8)
        .map(|n| {
            let stream = client.request(PATH, thrift([]));
            client.send_data(stream, grpc_message(text_struct(1, &n.to_string())), true);
            stream
        })
        .collect();
    for (n, stream) in streams.into_iter().enumerate() {
        assert_eq!(client.read_answer(stream).messages(), [text_struct(0, &n.to_string())]);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_connection_is_used_again() {
    let backend = RawServer::echo();
    let proxy = setup(&backend, "ttheader").start();
    for _ in 0..3 {
        assert_eq!(ask(&proxy, thrift([]), hi()).status, Some(0));
    }
    assert_eq!(backend.connections(), 1);
    let seqids: Vec<_> = backend.messages().iter().map(|call| call.seqid).collect();
    assert!(seqids.windows(2).all(|pair| pair[0] != pair[1]), "{seqids:?}");
}

#[test]
fn what_waits_for_a_half_close_is_bounded() {
    let backend = RawServer::echo();
    let config = format!("stream_memory = \"64KiB\"\n{}", setup(&backend, "ttheader").text());
    let proxy = TestProxy::start(&config);
    let mut client = RawH2::client(proxy.addr()).patience(Duration::from_secs(5));
    client.auto_credit(true);
    let long = grpc_message(vec![0; 60_000]);
    let held = client.request(PATH, thrift([]));
    client.send_all(held, &long[..50_000], false);
    let other = client.request(PATH, thrift([]));
    client.send_all(other, &long[..40_000], false);
    assert_eq!(client.read_answer(other).status(), Some(8));
    // The first one goes on.
    client.send_reset(held, ErrorCode::CANCEL);
    assert_eq!(ask(&proxy, thrift([]), hi()).status, Some(0));
}
