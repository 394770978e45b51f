//! ttstream callers of gRPC backends (streaming-wire D1 to D5).

use std::time::Duration;

use bytes::Bytes;
use grpc_frame::compression::Encoding;
use grpc_frame::http2::ErrorCode;
use proxy::rpc::FaultKind;
use testkit::peer::http2::{Fields, RawH2, Request, grpc_message, grpc_response, grpc_trailers};
use testkit::peer::ttstream::{TtConn, TtFrame};
use ttstream::{FrameType, IntKey};

use crate::support::Setup;
use crate::way::{METHOD, Way, data, end, header, opening};

/// A stream that crosses, seen from both of its ends.
struct Crossing {
    caller: TtConn,
    backend: RawH2,
    /// On the backend's connection.
    request: Request,
}

const ID: i32 = 7;

fn crossing_way() -> Way {
    crossing_with(|setup| setup)
}

fn crossing_with(configure: impl FnOnce(Setup) -> Setup) -> Way {
    Way::named("name = \"p1\"", |setup| configure(setup.cluster("streaming = \"grpc\"")))
}

fn open(way: &Way) -> Crossing {
    open_with(way, &opening(ID))
}

fn open_with(way: &Way, opening: &TtFrame) -> Crossing {
    let mut caller = way.caller();
    caller.send(opening);
    let mut backend = RawH2::server(way.backend.accept_raw()).patience(PATIENCE);
    let request = backend.next_request().expect("a request");
    Crossing { caller, backend, request }
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Crossing {
    fn stream(&self) -> u32 {
        self.request.stream
    }

    /// Answers with headers, which reach the caller.
    fn respond(&mut self) {
        let stream = self.stream();
        self.backend.respond(stream);
        self.caller.expect(&header().with_id(ID));
    }

    fn answer(&mut self, payload: &str) {
        let stream = self.stream();
        self.backend.send_data(stream, grpc_message(payload), false);
        self.caller.expect(&data(payload).with_id(ID));
    }

    /// Ends the stream: the caller's trailer.
    fn end_with(&mut self, fields: impl Into<Fields>) -> TtFrame {
        let stream = self.stream();
        self.backend.send_headers(stream, fields, true);
        self.trailer()
    }

    #[track_caller]
    fn trailer(&mut self) -> TtFrame {
        let frame = self.caller.read();
        assert_eq!((frame.id, frame.frame_type()), (ID, FrameType::Trailer), "{frame:?}");
        frame
    }
}

/// What came at once: the fields of a request that are not the transport's.
fn metadata(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    let own = [":method", ":scheme", ":path", ":authority", "content-type", "te"];
    let mut pairs = fields
        .iter()
        .map(|(name, value)| (String::from_utf8(name.to_vec()).unwrap(), value.to_vec()))
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .collect::<Vec<_>>();
    pairs.sort();
    pairs
}

#[test]
fn a_stream_is_opened_by_a_request_of_thrift() {
    let way = crossing_with(|setup| setup.cluster("package = \"acme.wire\""));
    let stream = open(&way);
    let fields = &stream.request.fields;
    assert!(!stream.request.ended, "END_STREAM here would hang a Kitex server (B2)");
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/acme.wire.Live/Chat"),
        (":authority", "Live"),
        ("content-type", "application/grpc+thrift"),
        ("te", "trailers"),
    ] {
        assert_eq!(fields.text(name), Some(value), "{name}");
    }
    assert_eq!(metadata(fields), [], "nothing is invented, no deadline either");
}

#[test]
fn without_a_package_the_path_has_none() {
    let way = crossing_way();
    assert_eq!(open(&way).request.fields.text(":path"), Some("/Live/Chat"));
}

#[test]
fn who_calls_whom_crosses() {
    let way = crossing_way();
    let named = opening(ID)
        .int(IntKey::TO_SERVICE, "acme.live")
        .int(IntKey::FROM_SERVICE, "live.caller")
        .int(IntKey::FROM_METHOD, "Start");
    let stream = open_with(&way, &named);
    let fields = &stream.request.fields;
    assert_eq!(fields.text(":authority"), Some("acme.live"));
    let expected = [("source-method", "Start"), ("source-service", "live.caller")];
    assert_eq!(metadata(fields), expected.map(|(name, value)| (name.to_owned(), value.into())));
}

#[test]
fn metadata_crosses_under_the_names_of_http2() {
    let way = crossing_way();
    let full = opening(ID)
        .string("RPC_PERSIST_USER_ID", "42")
        .string("RPC_TRANSIT_A", "b")
        .string("stream-log-id", "log")
        .string("X-Mixed-Case", "kept \u{fc}")
        .string("trace-bin", [0, 1, 0xff]);
    let stream = open_with(&way, &full);
    let expected: [(&str, &[u8]); 5] = [
        ("rpc-persist-user-id", b"42"),
        ("rpc-transit-a", b"b"),
        ("stream-log-id", b"log"),
        ("trace-bin", b"AAH/"),
        ("x-mixed-case", "kept \u{fc}".as_bytes()),
    ];
    assert_eq!(metadata(&stream.request.fields), expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
    assert_eq!(way.proxy.totals().metadata_dropped, 0);
}

#[test]
fn metadata_that_can_not_cross_is_dropped_and_counted() {
    let way = crossing_way();
    let hostile = opening(ID)
        .string("with space", "v")
        .string("col:on", "v")
        .string("", "v")
        .string("line", "a\nb")
        .string("connection", "close")
        .string("fine", "v");
    let stream = open_with(&way, &hostile);
    assert_eq!(metadata(&stream.request.fields), [("fine".to_owned(), b"v".to_vec())]);
    way.eventually("they are counted", |totals| totals.metadata_dropped == 5);
}

#[test]
fn keys_of_grpc_itself_do_not_come_from_a_caller() {
    let way = crossing_way();
    let posing = opening(ID)
        .string("grpc-timeout", "1n")
        .string("grpc-encoding", "gzip")
        .string("grpc-status", "0")
        .string("content-type", "text/html")
        .string("te", "gzip")
        .string("user-agent", "me")
        .string(":path", "/other/path");
    let stream = open_with(&way, &posing);
    assert_eq!(metadata(&stream.request.fields), []);
    assert_eq!(stream.request.fields.values("content-type").len(), 1);
    assert_eq!(stream.request.fields.text(":path"), Some("/Live/Chat"));
}

#[test]
fn a_header_of_the_largest_size_crosses() {
    let way = crossing_way();
    let value = "x".repeat(60_000);
    let large = (0..4).fold(opening(ID), |frame, index| frame.string(format!("x-{index}"), &value));
    let stream = open_with(&way, &large);
    assert_eq!(metadata(&stream.request.fields).len(), 4);
    assert_eq!(stream.request.fields.text("x-3").map(str::len), Some(60_000));
}

#[test]
fn a_name_that_is_none_of_a_path_is_refused() {
    let way = crossing_way();
    let mut caller = way.caller();
    for (service, method) in
        [("Live/Other", "Chat"), ("Live", "Chat/More"), ("Li ve", "Chat"), ("Live", "Ch?at"), ("Live#", "Chat")]
    {
        caller.send(&TtFrame::header(ID, method).string("isn", service));
        caller.expect(&TtFrame::header(ID, method));
        let (code, text) = caller.read().code_and_text();
        assert_eq!(code, 6, "{service} {method}");
        assert!(text.starts_with("proxy: "), "{text}");
    }
    // The first request that a backend hears of is a good one.
    caller.send(&opening(ID));
    let mut backend = RawH2::server(way.backend.accept_raw()).patience(PATIENCE);
    assert_eq!(backend.next_request().unwrap().fields.text(":path"), Some("/Live/Chat"));
}

#[test]
fn a_routes_timeout_is_told_to_the_backend() {
    let way = crossing_with(|setup| setup.route("timeout = \"5s\""));
    let stream = open(&way);
    let value = stream.request.fields.text("grpc-timeout").expect("a timeout").to_owned();
    let left = grpc_frame::timeout::parse(value.as_bytes()).unwrap();
    assert!(left <= Duration::from_secs(5) && left > Duration::from_secs(1), "{value}");
}

#[test]
fn messages_cross_and_half_closes_both_ways() {
    let way = crossing_way();
    let mut stream = open(&way);
    let id = stream.stream();
    for payload in ["a", "bb", "\0"] {
        stream.caller.send(&data(payload).with_id(ID));
        assert_eq!(stream.backend.next_grpc_message(id), Some(payload.into()));
    }
    stream.respond();
    stream.answer("first");
    stream.caller.send(&end().with_id(ID));
    assert_eq!(stream.backend.next_grpc_message(id), None, "END_STREAM");
    // The caller's half close ends nothing.
    stream.answer("second");
    assert_eq!(stream.end_with(grpc_trailers(0, "", [("", ""); 0])), end().with_id(ID));
    way.eventually("it is counted", |totals| totals.streams_ok == 1);
}

#[test]
fn messages_arrive_whole_however_data_is_cut() {
    let way = crossing_way();
    let mut stream = open(&way);
    let id = stream.stream();
    stream.respond();
    let messages = ["one", "two\0", &"long ".repeat(4000)];
    let bytes = messages.iter().flat_map(grpc_message).collect::<Vec<_>>();
    for piece in [1, 3, 5, 7, 4096] {
        for piece in bytes.chunks(piece.max(bytes.len() / 300)) {
            stream.backend.send_all(id, piece, false);
        }
        for message in messages {
            stream.caller.expect(&data(message).with_id(ID));
        }
    }
    assert_eq!(stream.end_with(grpc_trailers(0, "", [("", ""); 0])), end().with_id(ID));
}

#[test]
fn a_message_of_a_mebibyte_crosses() {
    let way = crossing_way();
    let mut stream = open(&way);
    let id = stream.stream();
    stream.backend.auto_credit(true);
    let payload = (0..1 << 20).map(|index| (index >> 3) as u8).collect::<Vec<_>>();
    stream.caller.send(&data(&payload).with_id(ID));
    assert!(stream.backend.next_grpc_message(id).as_ref() == Some(&payload));
    stream.respond();
    assert!(stream.backend.send_all(id, grpc_message(&payload), false));
    assert!(stream.caller.read() == data(&payload).with_id(ID));
}

#[test]
fn headers_cross_at_once() {
    let way = crossing_way();
    let mut stream = open(&way);
    let id = stream.stream();
    let extra = Fields::from([
        ("x-key", "value"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("some-bin", "AAH/"),
        ("some-bin", "AAAA"),
        ("broken-bin", "?"),
        ("rip", "10.0.0.9"),
        ("rpc-backward-a-b", "back"),
        ("grpc-encoding", "identity"),
        ("grpc-accept-encoding", "gzip"),
    ]);
    stream.backend.send_headers(id, grpc_response(extra), false);
    let came = stream.caller.read();
    assert_eq!(came.frame_type(), FrameType::Header);
    for (key, value) in
        [("x-key", &b"value"[..]), ("x-twice", b"a,b"), ("some-bin", &[0, 1, 0xff]), ("rip", b"10.0.0.9")]
    {
        let found = came.strings.iter().find(|(known, _)| known == key.as_bytes()).map(|(_, value)| &value[..]);
        assert_eq!(found, Some(value), "{key}");
    }
    for key in ["content-type", ":status", "grpc-encoding", "grpc-accept-encoding", "broken-bin"] {
        assert_eq!(came.string_value(key), None, "{key}");
    }
    // Two that were second, one that is none.
    way.eventually("they are counted", |totals| totals.metadata_dropped == 3);
}

#[test]
fn metadata_that_is_too_long_for_a_frame_is_dropped_and_counted() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.respond();
    let id = stream.stream();
    let half = "x".repeat(40_000);
    let long = Fields::from([("x-twice", half.as_str()), ("x-twice", &half), ("t", "v")]);
    // A stock encoder that tries to write such a value kills its connection (F7).
    let block = grpc_trailers(0, "", long).literal_block();
    stream.backend.send_block_in_pieces(id, block, 16_000, true);
    assert_eq!(stream.trailer(), end().with_id(ID).string("x-twice", &half).string("t", "v"));
    way.eventually("it is counted", |totals| totals.metadata_dropped == 1);
}

#[test]
fn success_crosses_with_its_trailers() {
    let way = crossing_way();
    for answered in [false, true] {
        let mut stream = open(&way);
        stream.respond();
        if answered {
            stream.answer("a");
        }
        let trailer = stream.end_with(grpc_trailers(0, "", [("t", "v"), ("t-bin", "AAH/")]));
        assert_eq!(trailer, end().with_id(ID).string("t", "v").string("t-bin", [0, 1, 0xff]));
    }
}

#[test]
fn a_status_crosses_as_the_exception_that_kitex_makes_of_it() {
    let way = crossing_way();
    for (status, message, told) in [
        (5, "not here", "rpc error: code = 5 desc = not here"),
        (1, "", "rpc error: code = 1 desc = "),
        (16, "50%25 f%C3%BCr dich", "rpc error: code = 16 desc = 50% f\u{fc}r dich"),
        (99, "custom", "rpc error: code = 99 desc = custom"),
    ] {
        let details = ("grpc-status-details-bin", "CAUSBG5vcGU");
        for only in [false, true] {
            let mut stream = open(&way);
            let trailers = grpc_trailers(status, message, Fields::from([("t", "v"), details]));
            let trailer = if only {
                let id = stream.stream();
                stream.backend.send_headers(id, grpc_response(trailers), true);
                stream.caller.expect(&header().with_id(ID));
                stream.trailer()
            } else {
                stream.respond();
                stream.end_with(trailers)
            };
            assert_eq!(trailer, end().with_id(ID).string("t", "v").exception(6, told));
        }
    }
    way.eventually("they are counted", |totals| totals.streams_failed == 8);
}

#[test]
fn keys_of_ttstream_itself_do_not_come_from_a_backend() {
    let way = crossing_way();
    let mut stream = open(&way);
    let id = stream.stream();
    let posing = Fields::from([("isn", "Other"), ("ttscp", "a"), ("biz-status", "1"), ("biz-extra", "{}"), ("k", "v")]);
    stream.backend.send_headers(id, grpc_response(posing.clone()), false);
    stream.caller.expect(&header().with_id(ID).string("k", "v"));
    // With status 0 nothing is a business error.
    let trailer = stream.end_with(grpc_trailers(0, "", posing.with("biz-message", "no")));
    assert_eq!(trailer, end().with_id(ID).string("k", "v"));
    way.eventually("it counts as success", |totals| totals.streams_ok == 1);
}

#[test]
fn a_business_error_crosses() {
    let way = crossing_way();
    for extra in [None, Some("{\"k\":\"\u{fc}\"}")] {
        let mut stream = open(&way);
        stream.respond();
        let mut fields = grpc_trailers(13, "not today, f%C3%BCr dich", [("biz-status", "502"), ("t", "v")]);
        if let Some(extra) = extra {
            fields = fields.with("biz-extra", extra);
        }
        let trailer = stream.end_with(fields);
        assert_eq!(trailer.payload, b"");
        assert_eq!(trailer.string_value("biz-status"), Some("502"));
        assert_eq!(trailer.string_value("biz-message"), Some("not today, f\u{fc}r dich"));
        assert_eq!(trailer.string_value("biz-extra"), extra);
        assert_eq!(trailer.string_value("t"), Some("v"));
        assert_eq!(trailer.strings.len(), 3 + usize::from(extra.is_some()));
    }
}

#[test]
fn a_backends_reset_is_told_as_its_status() {
    let way = crossing_way();
    let named = |code: &str| format!("stream terminated by RST_STREAM with error code: {code}");
    for (code, status, text) in [
        (0, 13, named("NO_ERROR")),
        (1, 13, named("PROTOCOL_ERROR")),
        (2, 13, named("INTERNAL_ERROR")),
        (3, 8, named("FLOW_CONTROL_ERROR")),
        (8, 1, named("CANCEL")),
        (11, 8, named("ENHANCE_YOUR_CALM")),
        (12, 7, named("INADEQUATE_SECURITY")),
        (1000, 14, "graceful shutdown".to_owned()),
    ] {
        let mut stream = open(&way);
        stream.respond();
        stream.answer("before");
        let id = stream.stream();
        stream.backend.send_reset(id, ErrorCode(code));
        let (exception, told) = stream.trailer().code_and_text();
        assert_eq!(exception, 6);
        assert_eq!(told, format!("rpc error: code = {status} desc = {text}"));
    }
    way.eventually("they are counted", |totals| totals.streams_reset == 8);
}

#[test]
fn a_lost_backend_is_told_as_unavailable() {
    let way = crossing_way();
    for goaway in [false, true] {
        let mut stream = open(&way);
        stream.respond();
        stream.answer("before");
        if goaway {
            stream.backend.send_goaway(0, ErrorCode(2), "going");
        }
        drop(stream.backend);
        let trailer = stream.caller.read();
        let (exception, told) = trailer.code_and_text();
        assert_eq!(exception, 6);
        assert!(told.starts_with("rpc error: code = 14 desc = proxy: "), "{told}");
    }
    way.eventually("they are counted", |totals| totals.faults_of(FaultKind::UpstreamClosed) == 2);
}

#[test]
fn an_end_without_trailers_is_no_clean_end() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.respond();
    let id = stream.stream();
    stream.backend.send_data(id, grpc_message("a"), true);
    stream.caller.expect(&data("a").with_id(ID));
    assert_eq!(stream.trailer().code_and_text().0, 6);
}

#[test]
fn an_end_inside_a_message_is_no_clean_end() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.respond();
    let id = stream.stream();
    stream.backend.send_data(id, &grpc_message("never whole")[..9], false);
    let trailer = stream.end_with(grpc_trailers(0, "", [("", ""); 0]));
    assert_eq!(trailer.code_and_text().0, 6);
}

#[test]
fn a_message_without_a_form_in_ttstream_ends_its_stream() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.respond();
    let id = stream.stream();
    // No thrift struct is empty (D2).
    stream.backend.send_data(id, grpc_message(""), false);
    let (code, text) = stream.trailer().code_and_text();
    assert_eq!(code, 6);
    assert!(text.contains("empty"), "{text}");
    assert_eq!(stream.backend.wait_for_reset(id), ErrorCode(8));
}

#[test]
fn a_message_over_the_limit_ends_its_stream() {
    let way = crossing_with(|setup| setup.listener("max_message = \"10000B\""));
    let mut stream = open(&way);
    stream.respond();
    let id = stream.stream();
    stream.backend.send_data(id, grpc_message(vec![7; 10_001]), false);
    assert_eq!(stream.trailer().code_and_text().0, 6);
    assert_eq!(stream.backend.wait_for_reset(id), ErrorCode(8));
}

#[test]
fn compressed_answers_are_decompressed() {
    let way = crossing_way();
    for encoding in ["gzip", "deflate", "zstd"] {
        let mut stream = open(&way);
        let id = stream.stream();
        stream.backend.send_headers(id, grpc_response([("grpc-encoding", encoding)]), false);
        stream.caller.expect(&header().with_id(ID));
        let text = "compressed ".repeat(500);
        let payload = Encoding::parse(encoding.as_bytes()).compress(&Bytes::from(text.clone())).unwrap();
        let mut message = grpc_message(&payload);
        message[0] = 1;
        stream.backend.send_data(id, message, false);
        stream.backend.send_data(id, grpc_message("plain"), false);
        stream.caller.expect(&data(text).with_id(ID));
        stream.caller.expect(&data("plain").with_id(ID));
    }
}

#[test]
fn a_cancel_crosses_as_cancel() {
    let way = crossing_way();
    for (code, half_closed) in [(12_007, false), (12_015, true), (1204, false), (12_014, true)] {
        let mut stream = open(&way);
        let id = stream.stream();
        stream.caller.send(&data("a").with_id(ID));
        assert_eq!(stream.backend.next_grpc_message(id), Some(b"a".to_vec()));
        if half_closed {
            stream.caller.send(&end().with_id(ID));
            assert_eq!(stream.backend.next_grpc_message(id), None);
        }
        stream.caller.send(&TtFrame::rst(ID, METHOD, code, "why", "a"));
        assert_eq!(stream.backend.wait_for_reset(id), ErrorCode(8));
    }
    way.eventually("they are counted", |totals| totals.streams_cancelled == 4);
}

#[test]
fn a_lost_caller_crosses_as_cancel() {
    let way = crossing_way();
    for reset in [false, true] {
        let mut stream = open(&way);
        let id = stream.stream();
        stream.respond();
        if reset {
            stream.caller.reset();
        } else {
            stream.caller.half_close();
        }
        assert_eq!(stream.backend.wait_for_reset(id), ErrorCode(8));
    }
}

#[test]
fn the_routes_timeout_is_told_both() {
    let way = crossing_with(|setup| setup.route("timeout = \"200ms\""));
    let mut stream = open(&way);
    let id = stream.stream();
    stream.caller.expect(&header().with_id(ID));
    assert_eq!(stream.trailer().code_and_text().0, 12_015);
    assert_eq!(stream.backend.wait_for_reset(id), ErrorCode(8));
}

#[test]
fn many_streams_share_a_connection() {
    let way = crossing_way();
    let mut caller = way.caller();
    caller.send_all(&(1..=50).map(opening).collect::<Vec<_>>());
    let mut backend = RawH2::server(way.backend.accept_raw()).patience(PATIENCE);
    for _ in 1..=50 {
        let request = backend.next_request().unwrap();
        backend.respond(request.stream);
        backend.send_data(request.stream, grpc_message(request.stream.to_string()), false);
        backend.trailers(request.stream, 0, "");
    }
    let mut ended = 0;
    while ended < 50 {
        ended += usize::from(caller.read().frame_type() == FrameType::Trailer);
    }
    assert_eq!(way.backend.connections(), 1);
    way.eventually("they are counted", |totals| totals.streams_ok == 50);
}

#[test]
fn a_backend_is_held_up_by_a_caller_that_does_not_read() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.respond();
    let id = stream.stream();
    let message = grpc_message(vec![7; 16_000]);
    let mut sent = 0;
    // As long as the windows of stream and connection are given back.
    while sent * 16_000 < 256 << 20 {
        if stream.backend.window(id) >= message.len() as i64 {
            stream.backend.send_data(id, &message, false);
            sent += 1;
        } else if stream.backend.poll_frame(Duration::from_millis(500)).is_none() {
            break;
        }
    }
    assert!(sent * 16_000 < 64 << 20, "{sent} messages were taken from the backend, and none by the caller");
    pass_beside(&way, &mut stream.backend);
    for _ in 0..sent {
        assert_eq!(stream.caller.read().payload.len(), 16_000);
    }
    assert_eq!(stream.end_with(grpc_trailers(0, "", [("", ""); 0])), end().with_id(ID));
}

/// Another stream passes, of a caller of its own and on the same connection to the backend.
fn pass_beside(way: &Way, backend: &mut RawH2) {
    let mut caller = way.caller();
    caller.send(&opening(ID));
    let request = backend.next_request().expect("a request");
    backend.respond(request.stream);
    backend.send_headers(request.stream, grpc_trailers(0, "", [("", ""); 0]), true);
    caller.expect(&header().with_id(ID));
    caller.expect(&end().with_id(ID));
}
