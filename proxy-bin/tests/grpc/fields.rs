//! Header lists arrive as they were sent: everything that is there, and nothing else (streaming-wire C2, C5).

use std::time::Duration;

use grpc_frame::timeout;
use testkit::peer::http2::{Fields, grpc_request, grpc_response, grpc_trailers};

use crate::stage::{Backend, NONE, PATH, QUIET, by_name, caller, open};

/// Every kind of request field that Kitex and gRPC know (streaming-wire B2, B8).
fn many() -> Fields {
    Fields::from([
        (":authority", "live.service"),
        ("content-type", "application/grpc+thrift"),
        ("user-agent", "kitex/v0.16.3"),
        ("grpc-previous-rpc-attempts", "2"),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "gzip,zstd"),
        ("x-multi", "one"),
        ("x-between", "kept"),
        ("x-multi", "two"),
        ("x-multi", "one"),
        ("x-empty", ""),
        ("x-blob-bin", "AAEC/w"),
        ("x-blob-bin", "AAEC/w=="),
        ("x-broken-bin", "not base64!"),
        ("grpc-trace-bin", "AAAA"),
        ("grpc-tags-bin", "AAAA"),
        ("rpc-persist-user-id", "7"),
        ("rpc-transit-stage", "canary"),
        ("stream-log-id", "log-1"),
        ("source-service", "live.caller"),
        ("source-method", "Ask"),
        ("destination-service", "live.service"),
        ("destination-method", "Chat"),
        ("authorization", "Bearer token"),
        ("cookie", "a=b; c=d"),
        ("x-comma", "a, b,c"),
    ])
    .with("x-raw", b"caf\xc3\xa9 \xff")
}

#[test]
fn request_fields_arrive_as_sent_and_nothing_is_added() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let opened = open(&proxy, &backend, many());
    assert_eq!(by_name(&opened.request.fields), by_name(&grpc_request(PATH, many())));
}

#[test]
fn a_request_with_the_usual_fields_alone_gets_no_other() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    let mut conn = None;
    for path in [PATH, "/Live/Chat", "/a.b.c.d.Live/Chat_1", "/livet.Live/%41b", "/Live/Chat?x=1"] {
        caller.request(path, NONE);
        let request = conn.get_or_insert_with(|| backend.accept()).next_request().unwrap();
        assert_eq!(by_name(&request.fields), by_name(&grpc_request(path, NONE)));
    }
}

#[test]
fn fields_that_were_compressed_arrive_the_same() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    let fields = grpc_request(PATH, many());
    let mut conn = None;
    for stream in [1, 3, 5] {
        // From the second on, most of them are references into the table.
        let block = caller.encode_fields(fields.clone());
        caller.send_block(stream, block, false);
        let conn = conn.get_or_insert_with(|| backend.accept());
        let request = conn.next_request().unwrap();
        assert_eq!(by_name(&request.fields), by_name(&fields), "stream {stream}");
    }
}

#[test]
fn a_header_block_in_pieces_arrives_whole() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut caller = caller(&proxy);
    let long = Fields::from([("x-long", "v".repeat(30_000).as_str())]);
    let fields = grpc_request(PATH, long);
    caller.send_block_in_pieces(1, fields.literal_block(), 7000, false);
    let request = backend.accept().next_request().unwrap();
    assert_eq!(by_name(&request.fields), by_name(&fields));
}

#[test]
fn the_timeout_is_told_as_what_is_left_of_it() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let opened = open(&proxy, &backend, [("grpc-timeout", "50S")]);
    let left = opened.request.fields.value("grpc-timeout").map(timeout::parse).unwrap().unwrap();
    assert!(left < Duration::from_secs(50) && left > Duration::from_secs(40), "{left:?}");
    let rest = grpc_request(PATH, NONE);
    assert_eq!(by_name(&opened.request.fields.without("grpc-timeout")), by_name(&rest));
}

#[test]
fn the_routes_timeout_lowers_the_callers_and_stands_in_for_one_that_is_missing() {
    for (route, asked, at_most) in [("20s", Some("50S"), 20), ("20s", None, 20), ("50s", Some("20S"), 20)] {
        let backend = Backend::start();
        let proxy = backend.setup().route(&format!("timeout = \"{route}\"")).start();
        let extra = asked.map_or(Fields::default(), |asked| Fields::from([("grpc-timeout", asked)]));
        let opened = open(&proxy, &backend, extra);
        let left = opened.request.fields.value("grpc-timeout").map(timeout::parse).unwrap().unwrap();
        let at_most = Duration::from_secs(at_most);
        assert!(left <= at_most && left > at_most / 2, "{route}, {asked:?}: {left:?}");
    }
}

#[test]
fn response_headers_come_before_any_message() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let headers = [("x-early", "yes"), ("x-multi", "1"), ("x-multi", "2"), ("rip", "10.0.0.1:1"), ("x-b-bin", "/w")];
    let response = grpc_response(headers).with("x-raw", b"\x80\xfe");
    opened.conn.send_headers(opened.at, response.clone(), false);
    let came = opened.caller.wait_for_headers(opened.stream);
    assert_eq!(by_name(&came.fields), by_name(&response));
    assert!(!came.ends_stream());
    opened.caller.expect_silence(&[opened.stream], QUIET);
}

#[test]
fn response_headers_without_any_of_the_applications_come_at_once_too() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    opened.conn.respond(opened.at);
    let came = opened.caller.wait_for_headers(opened.stream);
    assert_eq!(by_name(&came.fields), by_name(&grpc_response(NONE)));
}

#[test]
fn response_headers_come_before_an_error_that_has_no_message() {
    let backend = Backend::start();
    let proxy = backend.setup().start();
    let mut opened = open(&proxy, &backend, NONE);
    let (headers, trailers) = (grpc_response([("x-head", "h")]), grpc_trailers(9, "no", [("x-tail", "t")]));
    opened.conn.send_headers(opened.at, headers.clone(), false);
    opened.conn.send_headers(opened.at, trailers.clone(), true);
    let answer = opened.caller.read_answer(opened.stream);
    assert_eq!(by_name(&answer.headers.unwrap()), by_name(&headers));
    assert_eq!(by_name(&answer.trailers.unwrap()), by_name(&trailers));
    assert!(answer.data_frames.is_empty());
}
