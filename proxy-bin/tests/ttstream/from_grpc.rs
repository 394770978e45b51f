//! gRPC callers of ttstream backends (streaming-wire D1 to D5).

use std::time::Duration;

use bytes::Bytes;
use grpc_frame::compression::Encoding;
use grpc_frame::http2::ErrorCode;
use proxy::Ended;
use proxy::rpc::FaultKind;
use testkit::peer::http2::{Answer, Fields, RawH2, grpc_message};
use testkit::peer::ttstream::{TtConn, TtFrame};
use ttstream::{FrameType, IntKey};

use crate::support::{Setup, TestProxy};
use crate::way::{METHOD, SERVICE, Way, data, end, header};

/// A stream that crosses, seen from both of its ends.
struct Crossing {
    caller: RawH2,
    /// On the caller's connection.
    stream: u32,
    backend: TtConn,
    /// On the backend's connection.
    id: i32,
    /// What opened it there.
    opening: TtFrame,
}

const PATH: &str = "/acme.wire.Live/Chat";
const THRIFT: (&str, &str) = ("content-type", "application/grpc+thrift");
const PATIENCE: Duration = Duration::from_secs(10);

fn crossing_way() -> Way {
    crossing_with(|setup| setup)
}

fn crossing_with(configure: impl FnOnce(Setup) -> Setup) -> Way {
    Way::named("name = \"p1\"", |setup| configure(setup.cluster("streaming = \"ttstream\"")))
}

fn connect(way: &Way) -> RawH2 {
    RawH2::client(way.addr()).patience(PATIENCE)
}

fn open(way: &Way) -> Crossing {
    open_with(way, &[])
}

fn open_with(way: &Way, extra: &[(&str, &str)]) -> Crossing {
    let mut caller = connect(way);
    let stream = caller.request(PATH, Fields::new([THRIFT].iter().chain(extra).copied()));
    let mut backend = way.backend.accept();
    let opening = backend.read();
    assert_eq!((opening.frame_type(), opening.method()), (FrameType::Header, METHOD.as_bytes()));
    Crossing { caller, stream, backend, id: opening.id, opening }
}

impl Crossing {
    fn say(&mut self, frame: TtFrame) {
        self.backend.send(&frame.with_id(self.id));
    }

    fn send(&mut self, payload: impl AsRef<[u8]>, last: bool) {
        let message = grpc_message(payload);
        assert!(self.caller.send_all(self.stream, message, last));
    }

    #[track_caller]
    fn expect(&mut self, frame: TtFrame) {
        self.backend.expect(&frame.with_id(self.id));
    }

    /// The backend ends the stream: what the caller got in all.
    fn end_with(&mut self, trailer: TtFrame) -> Answer {
        self.say(trailer);
        self.caller.read_answer(self.stream)
    }

    #[track_caller]
    fn expect_rst(&mut self, code: i32, path: &str, trailer: bool) -> String {
        let rst = self.backend.read();
        assert_eq!((rst.id, rst.frame_type()), (self.id, FrameType::Rst), "{rst:?}");
        assert_eq!(rst.string_value("ttscp"), Some(path));
        let (came, text) = rst.code_and_text();
        assert_eq!(came, code, "{text}");
        if trailer {
            self.expect(end());
        }
        text
    }
}

/// The pairs of an answer's last block that are no status.
fn trailers(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let fields = answer.trailers.as_ref().or(answer.headers.as_ref()).expect("fields");
    let own = [":status", "content-type", "grpc-status", "grpc-message"];
    let pairs = fields.iter().map(|(name, value)| (String::from_utf8(name.to_vec()).unwrap(), value.to_vec()));
    pairs.filter(|(name, _)| !own.contains(&name.as_str())).collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, Vec<u8>)> {
    pairs.map(|(name, value)| (name.to_owned(), value.into())).into()
}

#[test]
fn a_request_of_thrift_opens_a_stream() {
    let way = crossing_way();
    let stream = open(&way);
    assert_eq!(stream.opening.string_value("isn"), Some(SERVICE), "without its package");
    assert_eq!(stream.opening.strings.len(), 1);
    assert_eq!(stream.opening.int_value(IntKey::TO_SERVICE.0), Some(&b"raw.dest"[..]), "the authority");
    assert_eq!(stream.opening.payload, b"");
}

#[test]
fn a_service_without_a_package_is_known_too() {
    let way = crossing_way();
    let mut caller = connect(&way);
    caller.request("/Live/Chat", [THRIFT]);
    assert_eq!(way.backend.accept().read().string_value("isn"), Some(SERVICE));
}

#[test]
fn who_calls_whom_crosses() {
    let way = crossing_way();
    let stream = open_with(
        &way,
        &[
            ("source-service", "live.caller"),
            ("source-service", "a proxy on the way"),
            ("source-method", "Start"),
            ("destination-service", "acme.live"),
            ("destination-method", "Chat"),
        ],
    );
    for (key, value) in
        [(IntKey::FROM_SERVICE, "live.caller"), (IntKey::FROM_METHOD, "Start"), (IntKey::TO_SERVICE, "acme.live")]
    {
        assert_eq!(stream.opening.int_value(key.0), Some(value.as_bytes()), "{key:?}");
    }
    assert_eq!(stream.opening.strings.len(), 1, "{:?}", stream.opening);
}

#[test]
fn metadata_crosses_under_the_names_of_ttstream() {
    let way = crossing_way();
    let stream = open_with(
        &way,
        &[
            ("rpc-persist-user-id", "42"),
            ("rpc-transit-a", "b"),
            ("rpc-persist-empty", ""),
            ("stream-log-id", "log"),
            ("x-key", "kept \u{fc}"),
            ("some-bin", "AAH/"),
            ("padded-bin", "AAE="),
        ],
    );
    let expected: [(&str, &[u8]); 7] = [
        ("isn", SERVICE.as_bytes()),
        ("RPC_PERSIST_USER_ID", b"42"),
        ("RPC_TRANSIT_A", b"b"),
        ("stream-log-id", b"log"),
        ("x-key", "kept \u{fc}".as_bytes()),
        ("some-bin", &[0, 1, 0xff]),
        ("padded-bin", &[0, 1]),
    ];
    let mut came = stream.opening.strings.clone();
    let mut expected = expected.map(|(key, value)| (key.as_bytes().to_vec(), value.to_vec()));
    came.sort();
    expected.sort();
    assert_eq!(came, expected);
}

#[test]
fn what_comes_several_times_is_joined_or_the_first() {
    let way = crossing_way();
    let stream = open_with(
        &way,
        &[
            ("x-key", "a"),
            ("x-key", "b"),
            ("x-key", "c"),
            ("some-bin", "AAH/"),
            ("some-bin", "AAAA"),
            ("rpc-persist-a", "first"),
            ("rpc-persist-a", "second"),
            ("rpc-transit-b", "first"),
            ("rpc-transit-b", "second"),
        ],
    );
    let value = |key: &str| {
        stream.opening.strings.iter().find(|(known, _)| known == key.as_bytes()).map(|(_, value)| value.clone())
    };
    assert_eq!(value("x-key"), Some(b"a,b,c".to_vec()));
    assert_eq!(value("some-bin"), Some(vec![0, 1, 0xff]));
    assert_eq!(value("RPC_PERSIST_A"), Some(b"first".to_vec()));
    assert_eq!(value("RPC_TRANSIT_B"), Some(b"first".to_vec()));
    assert_eq!(stream.opening.strings.len(), 5);
    way.eventually("they are counted", |totals| totals.metadata_dropped == 5);
}

#[test]
fn what_is_grpcs_own_does_not_cross() {
    let way = crossing_way();
    let stream = open_with(
        &way,
        &[
            ("grpc-timeout", "10S"),
            ("grpc-encoding", "identity"),
            ("grpc-accept-encoding", "gzip"),
            ("grpc-previous-rpc-attempts", "1"),
            ("broken-bin", "?"),
        ],
    );
    let keys = stream.opening.strings.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned());
    let crossed = keys.filter(|key| key != "grpc-previous-rpc-attempts").collect::<Vec<_>>();
    assert_eq!(crossed, ["isn"]);
    way.eventually("the unreadable one is counted", |totals| totals.metadata_dropped == 1);
}

#[test]
fn keys_of_ttstream_itself_do_not_come_from_a_caller() {
    let way = crossing_way();
    let posing = [("isn", "Other"), ("ttscp", "a"), ("biz-status", "1"), ("biz-message", "no"), ("biz-extra", "{}")];
    let stream = open_with(&way, &posing);
    assert_eq!(stream.opening.strings, [(b"isn".to_vec(), SERVICE.as_bytes().to_vec())]);
}

#[test]
fn messages_cross_and_half_closes_both_ways() {
    let way = crossing_way();
    for half_close_alone in [false, true] {
        let mut stream = open(&way);
        stream.send("a", false);
        stream.expect(data("a"));
        stream.say(header());
        let headers = stream.caller.wait_for_headers(stream.stream);
        assert_eq!(headers.fields.text(":status"), Some("200"));
        assert_eq!(headers.fields.text("content-type"), Some("application/grpc+thrift"));
        stream.say(data("b"));
        assert_eq!(stream.caller.wait_for_data(stream.stream).data, grpc_message("b"));
        stream.send("last", !half_close_alone);
        stream.expect(data("last"));
        if half_close_alone {
            stream.caller.send_data(stream.stream, "", true);
        }
        stream.expect(end());
        // The caller's half close ends nothing.
        stream.say(data("c"));
        let answer = stream.end_with(end());
        assert_eq!((answer.messages(), answer.status()), (vec![b"c".to_vec()], Some(0)));
    }
    way.eventually("they are counted", |totals| totals.streams_ok == 2);
}

#[test]
fn messages_arrive_whole_however_data_is_cut() {
    let way = crossing_way();
    let mut stream = open(&way);
    let messages = ["one", "two\0", "three"];
    let bytes = messages.iter().flat_map(grpc_message).collect::<Vec<_>>();
    for cut in 1..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert!(stream.caller.send_all(stream.stream, head, false));
        assert!(stream.caller.send_all(stream.stream, tail, false));
        for message in messages {
            stream.expect(data(message));
        }
    }
    let large = "large ".repeat(100_000);
    stream.send(&large, false);
    assert!(stream.backend.read() == data(&large).with_id(stream.id));
}

#[test]
fn a_server_may_end_while_the_caller_is_open() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.send("a", false);
    stream.expect(data("a"));
    stream.say(header());
    stream.say(data("b"));
    let answer = stream.end_with(end().string("t", "v"));
    assert_eq!((answer.messages(), answer.status()), (vec![b"b".to_vec()], Some(0)));
    assert_eq!(trailers(&answer), pairs([("t", "v")]));
    stream.expect(end());
    // The caller learns that nothing more is read (B6).
    assert_eq!(stream.caller.wait_for_reset(stream.stream), ErrorCode(0));
}

#[test]
fn headers_cross_at_once() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.say(
        header()
            .string("UPPER", "v")
            .string("some-bin", [0, 1, 0xff])
            .string("x-key", "f\u{fc}r")
            .string("with space", "v")
            .string("col:on", "v")
            .string("content-type", "text/html")
            .string("grpc-status", "7"),
    );
    let fields = stream.caller.wait_for_headers(stream.stream).fields;
    let value = |name: &str| fields.values(name).into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert_eq!(value("upper"), [b"v"]);
    assert_eq!(value("some-bin"), [b"AAH/"]);
    assert_eq!(value("x-key"), ["f\u{fc}r".as_bytes()]);
    assert_eq!(value("content-type"), [b"application/grpc+thrift"]);
    assert_eq!(fields.iter().count(), 5, "{fields:?}");
    let answer = stream.end_with(end());
    assert_eq!(answer.status(), Some(0));
    way.eventually("they are counted", |totals| totals.metadata_dropped == 4);
}

#[test]
fn a_business_error_crosses() {
    let way = crossing_way();
    for answered in [false, true] {
        let mut stream = open(&way);
        if answered {
            stream.say(header());
            stream.say(data("a"));
        }
        let business =
            end().string("biz-status", "502").string("biz-message", "not today, f\u{fc}r dich").string("t", "v");
        let answer = stream.end_with(business.string("biz-extra", "{\"k\":\"v\"}"));
        assert_eq!((answer.status(), answer.message()), (Some(13), Some("not today, f%C3%BCr dich")));
        let mut came = trailers(&answer);
        came.sort();
        assert_eq!(came, pairs([("biz-extra", "{\"k\":\"v\"}"), ("biz-status", "502"), ("t", "v")]));
        assert_eq!(answer.messages().len(), usize::from(answered));
    }
    way.eventually("they are counted", |totals| totals.streams_failed == 2);
}

#[test]
fn keys_of_grpc_itself_do_not_come_from_a_backend() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.say(header());
    let posing = TtFrame::trailer(stream.id, METHOD)
        .string("grpc-status", "0")
        .string("Grpc-Message", "fine")
        .string("grpc-status-details-bin", "x")
        .string(":status", "500")
        .string("t", "v");
    let answer = stream.end_with(posing.exception(1, "unknown method"));
    assert_eq!((answer.status(), answer.message()), (Some(12), Some("unknown method")));
    assert_eq!(trailers(&answer), pairs([("t", "v")]));
    assert_eq!(answer.trailers.unwrap().values("grpc-status").len(), 1);
}

#[test]
fn a_business_error_without_one_is_success() {
    let way = crossing_way();
    for status in ["0", "many", "2147483648"] {
        let mut stream = open(&way);
        stream.say(header());
        let answer = stream.end_with(end().string("biz-status", status).string("biz-message", "no"));
        assert_eq!(answer.status(), Some(0));
        assert_eq!(trailers(&answer), [], "and its keys are not shown");
    }
}

#[test]
fn an_exception_crosses_as_a_status() {
    let table: [(&[i32], u32); 8] = [
        (&[0, 99, -1, i32::MAX], 2),
        (&[1, 20, 21], 12),
        (&[2, 3, 4, 5, 6, 7, 8, 9, 10], 13),
        (&[12_001, 12_002, 12_003, 12_004, 12_005], 13),
        (&[12_006, 12_013], 14),
        (&[12_007, 12_008, 12_009, 12_010, 12_011, 12_012], 1),
        (&[12_014, 12_015], 4),
        (&[12_016], 2),
    ];
    let way = crossing_way();
    for (codes, status) in table {
        for &code in codes {
            let mut stream = open(&way);
            stream.say(header());
            let trailer = TtFrame::trailer(stream.id, METHOD).string("t", "v").exception(code, "boom, 100%");
            let answer = stream.end_with(trailer);
            assert_eq!((answer.status(), answer.message()), (Some(status), Some("boom, 100%25")), "{code}");
            assert_eq!(trailers(&answer), pairs([("t", "v")]));
        }
    }
}

#[test]
fn a_listener_in_compatibility_mode_keeps_kitexs_own_codes() {
    let way = crossing_with(|setup| setup.listener("kitex_status = true"));
    for (code, status) in [(20, 20), (21, 20), (6, 13), (12_015, 4)] {
        let mut stream = open(&way);
        let answer = stream.end_with(TtFrame::trailer(stream.id, METHOD).exception(code, "boom"));
        assert_eq!(answer.status(), Some(status), "{code}");
    }
}

#[test]
fn a_status_that_kitex_wrote_into_an_exception_is_the_status_again() {
    let way = crossing_way();
    for (text, status, message) in [
        ("rpc error: code = 5 desc = not here", 5, "not here"),
        ("biz error: rpc error: code = 9 desc = first this, then that", 9, "first this, then that"),
        ("rpc error: code = 0 desc = no error", 13, "rpc error: code = 0 desc = no error"),
        ("rpc error: code = x desc = y", 13, "rpc error: code = x desc = y"),
    ] {
        let mut stream = open(&way);
        let answer = stream.end_with(TtFrame::trailer(stream.id, METHOD).exception(6, text));
        assert_eq!((answer.status(), answer.message()), (Some(status), Some(message)));
    }
}

#[test]
fn a_trailer_that_can_not_be_read_is_internal() {
    let way = crossing_way();
    let mut stream = open(&way);
    let answer = stream.end_with(end().payload("garbage"));
    assert_eq!(answer.status(), Some(13));
}

#[test]
fn a_backends_reset_crosses_as_a_status_with_its_path() {
    let way = crossing_way();
    for (code, status) in [(12_007, 1), (1204, 1), (13, 1), (12_014, 4), (12_015, 4)] {
        for answered in [false, true] {
            let mut stream = open(&way);
            if answered {
                stream.say(header());
                stream.say(data("a"));
            }
            let answer = stream.end_with(TtFrame::rst(stream.id, METHOD, code, "mesh says no", "a,b"));
            assert_eq!(answer.status(), Some(status), "{code}");
            let message = answer.message().unwrap();
            assert!(message.starts_with("mesh says no") && message.contains("a,b"), "{message}");
            stream.expect(end());
        }
    }
    way.eventually("they are counted", |totals| totals.streams_reset == 10);
}

#[test]
fn a_lost_backend_is_unavailable() {
    let way = crossing_way();
    for (answered, reset) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut stream = open(&way);
        if answered {
            stream.say(header());
            stream.say(data("a"));
            stream.caller.wait_for_headers(stream.stream);
        }
        if reset {
            stream.backend.reset();
        } else {
            drop(stream.backend);
        }
        let answer = stream.caller.read_answer(stream.stream);
        assert_eq!(answer.status(), Some(14));
        assert!(answer.message().unwrap().starts_with("proxy: "), "{answer:?}");
    }
    way.eventually("they are counted", |totals| totals.faults_of(FaultKind::UpstreamClosed) == 4);
}

#[test]
fn a_callers_reset_crosses_as_rst() {
    let way = crossing_way();
    for (code, half_closed, text) in [
        (8, false, "rpc error: code = 1 desc = transport: RSTStream Frame received with error code: CANCEL"),
        (8, true, "rpc error: code = 1 desc = transport: RSTStream Frame received with error code: CANCEL"),
        (2, false, "rpc error: code = 1 desc = transport: RSTStream Frame received with error code: INTERNAL_ERROR"),
        (1000, false, "rpc error: code = 14 desc = graceful shutdown"),
    ] {
        let mut stream = open(&way);
        stream.send("a", half_closed);
        stream.expect(data("a"));
        if half_closed {
            stream.expect(end());
        }
        stream.caller.send_reset(stream.stream, ErrorCode(code));
        let told = stream.expect_rst(12_011, "non-ttstream path,p1", !half_closed);
        assert!(told.starts_with(text), "{told}");
    }
    way.eventually("they are counted", |totals| totals.streams_cancelled == 4);
}

#[test]
fn a_lost_caller_crosses_as_rst() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.send("a", false);
    stream.expect(data("a"));
    stream.caller.shut_down();
    let told = stream.expect_rst(12_011, "non-ttstream path,p1", true);
    assert!(told.contains("connection EOF"), "{told}");
}

#[test]
fn a_callers_deadline_is_kept_by_the_proxy() {
    let way = crossing_way();
    for half_closed in [false, true] {
        let mut stream = open_with(&way, &[("grpc-timeout", "200m")]);
        assert_eq!(stream.opening.string_value("grpc-timeout"), None);
        if half_closed {
            stream.send("a", true);
            stream.expect(data("a"));
            stream.expect(end());
        }
        let answer = stream.caller.read_answer(stream.stream);
        assert_eq!(answer.status(), Some(4));
        stream.expect_rst(12_015, "p1", !half_closed);
    }
    way.eventually("they are counted", |totals| totals.faults_of(FaultKind::Timeout) == 2);
}

#[test]
fn the_routes_timeout_holds_where_it_is_shorter() {
    let way = crossing_with(|setup| setup.route("timeout = \"200ms\""));
    let mut stream = open_with(&way, &[("grpc-timeout", "20S")]);
    let answer = stream.caller.read_answer(stream.stream);
    assert_eq!(answer.status(), Some(4));
    stream.expect_rst(12_015, "p1", true);
}

#[test]
fn protobuf_has_no_form_in_ttstream() {
    let way = crossing_way();
    let mut caller = connect(&way);
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc+json"] {
        let answer = caller.call(PATH, [("content-type", content_type)], "any");
        assert_eq!(answer.status(), Some(12));
        assert!(answer.is_trailers_only());
        assert!(answer.message().unwrap().contains("Thrift"), "{answer:?}");
    }
    assert_eq!(way.backend.connections(), 0, "no backend hears of it");
    way.eventually("they are counted", |totals| totals.faults_of(FaultKind::NotConvertible) == 3);
}

#[test]
fn compressed_requests_are_decompressed() {
    let way = crossing_way();
    for encoding in ["gzip", "deflate", "zstd"] {
        let mut stream = open_with(&way, &[("grpc-encoding", encoding)]);
        let text = "compressed ".repeat(500);
        let payload = Encoding::parse(encoding.as_bytes()).compress(&Bytes::from(text.clone())).unwrap();
        let mut message = grpc_message(&payload);
        message[0] = 1;
        let (head, tail) = message.split_at(7);
        assert!(stream.caller.send_all(stream.stream, head, false));
        assert!(stream.caller.send_all(stream.stream, tail, false));
        stream.expect(data(text));
        stream.send("plain", true);
        stream.expect(data("plain"));
        stream.expect(end());
        stream.say(header());
        stream.say(data("answer"));
        let answer = stream.end_with(end());
        assert_eq!((answer.status(), answer.data.clone()), (Some(0), grpc_message("answer")));
    }
}

#[test]
fn a_message_that_can_not_be_decompressed_ends_its_stream() {
    let way = crossing_with(|setup| setup.listener("max_message = \"100000B\""));
    let bomb = Encoding::parse(b"gzip").compress(&Bytes::from(vec![0; 100_001])).unwrap();
    for (encoding, payload, status) in
        [("gzip", &b"garbage"[..], 13), ("snappy", b"any", 13), ("identity", b"any", 13), ("gzip", &bomb, 8)]
    {
        let mut stream = open_with(&way, &[("grpc-encoding", encoding)]);
        let mut message = grpc_message(payload);
        message[0] = 1;
        assert!(stream.caller.send_all(stream.stream, message, false));
        let answer = stream.caller.read_answer(stream.stream);
        assert_eq!(answer.status(), Some(status), "{encoding}: {answer:?}");
        assert_eq!(stream.backend.read().frame_type(), FrameType::Rst);
    }
}

#[test]
fn an_empty_message_ends_its_stream_with_internal() {
    let way = crossing_way();
    for before in [false, true] {
        let mut stream = open(&way);
        if before {
            stream.send("a", false);
            stream.expect(data("a"));
        }
        stream.send("", before);
        let answer = stream.caller.read_answer(stream.stream);
        assert_eq!(answer.status(), Some(13));
        assert!(answer.message().unwrap().contains("empty"), "{answer:?}");
        let rst = stream.backend.read();
        assert_eq!((rst.frame_type(), rst.string_value("ttscp")), (FrameType::Rst, Some("p1")));
    }
}

#[test]
fn a_message_over_the_limit_is_resource_exhausted() {
    let way = crossing_with(|setup| setup.listener("max_message = \"10000B\""));
    let mut stream = open(&way);
    stream.send(vec![7; 10_000], false);
    stream.expect(data(vec![7; 10_000]));
    stream.send(vec![7; 10_001], false);
    let answer = stream.caller.read_answer(stream.stream);
    assert_eq!(answer.status(), Some(8));
    assert_eq!(stream.backend.read().frame_type(), FrameType::Rst);
}

#[test]
fn a_half_close_inside_a_message_is_none() {
    let way = crossing_way();
    let mut stream = open(&way);
    assert!(stream.caller.send_all(stream.stream, &grpc_message("never whole")[..9], true));
    let answer = stream.caller.read_answer(stream.stream);
    assert_eq!(answer.status(), Some(13));
    assert_eq!(stream.backend.read().frame_type(), FrameType::Rst);
}

#[test]
fn notes_on_the_way_have_no_form_in_grpc() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.say(TtFrame::meta(0, METHOD).string("rip", "10.0.0.9"));
    stream.say(header());
    stream.say(data("a"));
    let answer = stream.end_with(end());
    assert_eq!((answer.messages().len(), answer.status()), (1, Some(0)));
}

#[test]
fn a_slow_caller_holds_its_own_stream_up_and_no_memory() {
    let way = crossing_way();
    let mut stream = open(&way);
    stream.say(header());
    stream.caller.wait_for_headers(stream.stream);
    // More than the window of 65,535 octets: the rest waits.
    let message = data(vec![7; 50_000]);
    for _ in 0..4 {
        stream.say(message.clone());
    }
    stream.say(end());
    let mut came = 0;
    while came < 65_535 {
        came += stream.caller.wait_for_data(stream.stream).data.len();
    }
    assert_eq!(came, 65_535);
    stream.caller.expect_silence(&[stream.stream], Duration::from_millis(100));
    stream.caller.grant(0, 200_000);
    stream.caller.grant(stream.stream, 200_000);
    let answer = stream.caller.read_answer(stream.stream);
    assert_eq!((answer.data.len() + came, answer.status()), (4 * 50_005, Some(0)));
}

#[test]
fn streams_that_outlast_the_drain_are_told() {
    let backend = testkit::peer::ttstream::TtServer::start();
    let text = Setup::to_addr(backend.addr()).cluster("streaming = \"ttstream\"").text();
    let mut proxy = TestProxy::start(&text.replace("drain = \"3s\"", "name = \"p1\"\ndrain = \"700ms\""));
    let mut caller = RawH2::client(proxy.addr()).patience(PATIENCE);
    let stream = caller.request(PATH, [THRIFT]);
    let mut backend = backend.accept();
    let id = backend.read().id;
    proxy.begin_drain();
    let answer = caller.read_answer(stream);
    assert_eq!(answer.status(), Some(14));
    assert!(answer.message().unwrap().contains("shutting down"), "{answer:?}");
    let rst = backend.read();
    assert_eq!((rst.id, rst.frame_type(), rst.string_value("ttscp")), (id, FrameType::Rst, Some("p1")));
    assert_eq!(proxy.ended(), Ended::CutOff);
}

#[test]
fn a_caller_is_held_up_by_a_backend_that_does_not_read() {
    let way = crossing_way();
    let mut stream = open(&way);
    let message = grpc_message(vec![7; 16_000]);
    let mut sent = 0;
    // As long as the windows of stream and connection are given back.
    while sent * 16_000 < 256 << 20 {
        if stream.caller.window(stream.stream) >= message.len() as i64 {
            stream.caller.send_data(stream.stream, &message, false);
            sent += 1;
        } else if stream.caller.poll_frame(Duration::from_millis(500)).is_none() {
            break;
        }
    }
    assert!(sent * 16_000 < 64 << 20, "{sent} messages were taken from the caller, and none by the backend");
    // Another call on the same connection is not held up by it.
    let other = stream.caller.request(PATH, [THRIFT]);
    stream.caller.send_data(other, "", true);
    let mut backend = way.backend.accept();
    let id = backend.read().id;
    backend.send(&end().with_id(id));
    assert_eq!(stream.caller.read_answer(other).status(), Some(0));
    for _ in 0..sent {
        stream.expect(data(vec![7; 16_000]));
    }
    assert_eq!(stream.end_with(end()).status(), Some(0));
}
