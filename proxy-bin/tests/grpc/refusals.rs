//! Where a stream goes, and what it is told when it goes nowhere (issue 3; streaming-wire B3, B7, B13).

use testkit::peer::http2::{Answer, Fields, RawH2, grpc_request};

use crate::stage::{Backend, NONE, PATH, QUIET, caller, open_at};
use crate::support::TestProxy;

/// A proxy with these routes to clusters `a` and `b`.
fn routed(a: &Backend, b: &Backend, listener: &str, routes: &str) -> TestProxy {
    TestProxy::start(&format!(
        "workers = 1\ndrain = \"3s\"\n[[listener]]\nname = \"in\"\nbind = \"127.0.0.1:0\"\n{listener}\n{routes}\n[cluster.a]\nendpoints = \
         [\"{}\"]\n[cluster.b]\nendpoints = [\"{}\"]\n",
        a.addr(),
        b.addr()
    ))
}

fn refused(caller: &mut RawH2, path: &str, extra: impl Into<Fields>) -> Answer {
    let stream = caller.request(path, extra);
    caller.read_answer(stream)
}

#[test]
fn streams_are_routed_by_full_and_short_service_name() {
    let (a, b) = (Backend::start(), Backend::start());
    let routes = "[[route]]\nservice = \"acme.wire.Live\"\ncluster = \"a\"\n[[route]]\nservice = \"Live\"\ncluster = \
                  \"b\"\n[[route]]\nservice = \"other.*\"\ncluster = \"a\"\n";
    for (path, backend) in
        [("/acme.wire.Live/Chat", &a), ("/Live/Chat", &b), ("/livet.Live/Chat", &b), ("/other.x.Some/Chat", &a)]
    {
        // A proxy of its own has no connection yet.
        let proxy = routed(&a, &b, "", routes);
        let mut opened = open_at(&proxy, backend, path, NONE);
        assert_eq!(opened.request.fields.text(":path"), Some(path));
        opened.conn.trailers(opened.at, 0, "here");
        assert_eq!(opened.caller.read_answer(opened.stream).message(), Some("here"), "{path}");
    }
}

#[test]
fn streams_are_routed_by_method_metadata_and_caller() {
    let (a, b) = (Backend::start(), Backend::start());
    let routes = [
        "method = \"Chat\"\n",
        "metadata = { x-stage = \"canary\", rpc-persist-user = \"7*\" }\n",
        "caller = \"live.*\"\n",
        "listener = \"in\"\nservice = \"acme.wire.*\"\nmethod = \"Ch*\"\ncaller = \"live.caller\"\nmetadata = { x-stage = \"canary\" }\n",
    ];
    let there = [("x-stage", "canary"), ("rpc-persist-user", "77"), ("source-service", "live.caller")];
    let elsewhere = [("x-stage", "stable"), ("source-service", "dead.caller")];
    for route in routes {
        let routes = format!("[[route]]\n{route}cluster = \"a\"\n[[route]]\nname = \"rest\"\ncluster = \"b\"\n");
        let proxy = routed(&a, &b, "", &routes);
        let mut opened = open_at(&proxy, &a, PATH, there);
        opened.conn.trailers(opened.at, 0, "a");
        assert_eq!(opened.caller.read_answer(opened.stream).message(), Some("a"), "{route}");
        let mut opened = open_at(&proxy, &b, "/acme.wire.Live/Other", elsewhere);
        opened.conn.trailers(opened.at, 0, "b");
        assert_eq!(opened.caller.read_answer(opened.stream).message(), Some("b"), "{route}");
    }
}

#[test]
fn an_unknown_service_or_method_is_unimplemented() {
    let (a, b) = (Backend::start(), Backend::start());
    let route = "[[route]]\nservice = \"acme.wire.Live\"\nmethod = \"Chat\"\ncluster = \"a\"\n";
    let texts = ["unknown service Dead", "unknown method Nothing"];
    let paths = ["/acme.wire.Dead/Chat", "/acme.wire.Live/Nothing"];
    for (listener, codes) in [("", [12, 12]), ("kitex_status = true", [20, 1])] {
        let proxy = routed(&a, &b, listener, route);
        let mut caller = caller(&proxy);
        for ((path, code), text) in paths.into_iter().zip(codes).zip(texts) {
            for content_type in ["application/grpc", "application/grpc+thrift"] {
                let answer = refused(&mut caller, path, [("content-type", content_type)]);
                assert_eq!((answer.status(), answer.is_trailers_only()), (Some(code), true), "{path}: {answer:?}");
                assert!(answer.message().unwrap().contains(text), "{answer:?}");
                assert!(answer.message().unwrap().starts_with("proxy: "), "C5 rule 9: {answer:?}");
                let headers = answer.headers.unwrap();
                assert_eq!(headers.text("content-type"), Some(content_type));
                assert_eq!(headers.text(":status"), Some("200"));
            }
        }
    }
    assert_eq!(a.connections() + b.connections(), 0);
}

#[test]
fn a_request_that_is_refused_while_it_goes_on_is_told_to_stop() {
    let (a, b) = (Backend::start(), Backend::start());
    let proxy = routed(&a, &b, "", "[[route]]\nservice = \"none\"\ncluster = \"a\"\n");
    let mut caller = caller(&proxy);
    let stream = caller.request(PATH, NONE);
    assert_eq!(caller.read_answer(stream).status(), Some(12));
    let code = caller.wait_for_reset(stream);
    assert_eq!(code, grpc_frame::http2::ErrorCode::NO_ERROR);
}

#[test]
fn what_is_none_of_grpc_gets_an_answer_of_http() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    let json = [("content-type", "application/json")];
    let cases: Vec<(Fields, &str)> = vec![
        (grpc_request("/", [(":method", "GET")]), "405"),
        (grpc_request(PATH, [(":method", "PUT")]), "405"),
        (grpc_request(PATH, json), "415"),
        (grpc_request(PATH, [("content-type", "application/grpcx")]), "415"),
        (grpc_request(PATH, [("content-type", "")]), "415"),
        (grpc_request(PATH, NONE).without("content-type"), "415"),
    ];
    for (index, (fields, status)) in cases.into_iter().enumerate() {
        let stream = u32::try_from(index).unwrap() * 2 + 1;
        caller.send_headers(stream, fields.clone(), true);
        let answer = caller.read_answer(stream);
        assert_eq!(answer.headers.as_ref().and_then(|headers| headers.text(":status")), Some(status), "{fields:?}");
        assert!(answer.is_trailers_only(), "{answer:?}");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn content_types_of_grpc_are_taken_in_every_form_and_passed_on() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    let mut conn = None;
    for content_type in
        ["application/grpc", "application/grpc+proto", "application/grpc+json", "application/grpc;charset=utf-8"]
    {
        caller.request(PATH, [("content-type", content_type)]);
        let request = conn.get_or_insert_with(|| backend.accept()).next_request().unwrap();
        assert_eq!(request.fields.text("content-type"), Some(content_type));
    }
}

#[test]
fn a_bad_path_or_timeout_gets_a_status() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    for path in ["/", "/nomethod"] {
        let answer = refused(&mut caller, path, NONE);
        assert_eq!((answer.status(), answer.is_trailers_only()), (Some(13), true), "{path}: {answer:?}");
        assert!(answer.message().unwrap().contains("malformed method name"), "{answer:?}");
    }
    for timeout in ["", "5", "S", "5s", "123456789S", "1x", "-", "1.5S", " 5S"] {
        let answer = refused(&mut caller, PATH, [("grpc-timeout", timeout)]);
        assert_eq!((answer.status(), answer.is_trailers_only()), (Some(13), true), "{timeout}: {answer:?}");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_timeout_that_has_passed_already_is_over_at_once() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    for timeout in ["0n", "0H", "1n", "-5S"] {
        let answer = refused(&mut caller, PATH, [("grpc-timeout", timeout)]);
        assert_eq!(answer.status(), Some(4), "{timeout}: {answer:?}");
    }
}

#[test]
fn more_fields_than_allowed_are_refused() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    // `content-type`, `user-agent` and `te` are three of them.
    let fields = |count: u32| (0..count).fold(Fields::default(), |all, n| all.with(format!("x-{n}"), "v"));
    let stream = caller.request(PATH, fields(253));
    let mut conn = backend.accept();
    assert_eq!(conn.next_request().unwrap().fields.iter().count(), 260);
    let answer = refused(&mut caller, PATH, fields(254));
    assert_eq!(answer.status(), Some(8), "{answer:?}");
    // Not one name with many values either.
    let same = (0..254).fold(Fields::default(), |all, _| all.with("x-same", "v"));
    assert_eq!(refused(&mut caller, PATH, same).status(), Some(8));
    conn.trailers(1, 0, "unharmed");
    assert_eq!(caller.read_answer(stream).message(), Some("unharmed"));
}

#[test]
fn a_header_list_over_its_limit_is_refused_and_the_connection_lives() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    let stream = caller.request(PATH, NONE);
    let mut conn = backend.accept();
    let at = conn.next_request().unwrap().stream;
    let long = grpc_request(PATH, [("x-long", "v".repeat(70_000).as_str())]);
    caller.send_block_in_pieces(3, long.literal_block(), 16_000, true);
    let answer = caller.read_answer(3);
    let status = answer.headers.as_ref().and_then(|headers| headers.text(":status"));
    assert!(status == Some("431") || answer.reset.is_some(), "{answer:?}");
    conn.expect_silence(&[at + 2], QUIET / 5);
    conn.trailers(at, 0, "unharmed");
    assert_eq!(caller.read_answer(stream).message(), Some("unharmed"));
}

#[test]
fn a_listener_without_grpc_refuses_with_no_backend_asked() {
    let backend = Backend::start();
    let proxy = backend.setup().listener("protocols = [\"ttheader\", \"ttstream\"]").start();
    let mut caller = caller(&proxy);
    caller.request(PATH, NONE);
    caller.read_to_close();
    assert_eq!(backend.connections(), 0);
}

#[test]
fn more_streams_than_the_listener_allows_are_refused_and_may_be_tried_again() {
    let backend = Backend::start();
    let proxy = backend.setup().listener("max_streams = 2").start();
    let mut caller = caller(&proxy);
    let settings = caller.wait_for_settings();
    assert_eq!(settings.value(grpc_frame::http2::SettingId::MAX_CONCURRENT_STREAMS), Some(2));
    // Known to both sides only now.
    caller.send_ping(*b"settled?");
    caller.wait_for_pong(*b"settled?");
    let streams = [caller.request(PATH, NONE), caller.request(PATH, NONE)];
    let mut conn = backend.accept();
    let ats = streams.map(|_| conn.next_request().unwrap().stream);
    let over = caller.request(PATH, NONE);
    assert_eq!(caller.wait_for_reset(over), grpc_frame::http2::ErrorCode::REFUSED_STREAM);
    // Which of them is which at the backend is nobody's business.
    for at in ats {
        conn.trailers(at, 0, "");
    }
    for stream in streams {
        assert_eq!(caller.read_answer(stream).status(), Some(0));
        caller.send_data(stream, "", true);
    }
    // There is room again.
    let stream = caller.request(PATH, NONE);
    let at = conn.next_request().unwrap().stream;
    conn.trailers(at, 0, "");
    assert_eq!(caller.read_answer(stream).status(), Some(0));
}

#[test]
fn a_full_listener_says_so_before_it_closes() {
    let backend = Backend::start();
    let proxy = backend.setup().listener("protocols = [\"grpc\"]\nmax_connections = 1").start();
    let _only = caller(&proxy);
    // It says nothing itself, so that what comes is not lost to a reset.
    let mut over = RawH2::connect(proxy.addr());
    over.wait_for_settings();
    let goaway = over.wait_for_goaway();
    assert_eq!(goaway.code, grpc_frame::http2::ErrorCode::ENHANCE_YOUR_CALM);
    over.read_to_close();
}
