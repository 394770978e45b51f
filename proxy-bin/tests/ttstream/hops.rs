//! Two proxies in a row, with the same protocol between them or the other one: what crosses back is what it was.

use std::time::Duration;

use testkit::peer::http2::{Fields, RawH2, grpc_message};
use testkit::peer::ttstream::{TtConn, TtFrame, TtServer};
use ttstream::{FrameType, IntKey};

use crate::support::{Setup, TestProxy};
use crate::way::{METHOD, Stream, data, end, header, opening};

/// Proxies `p1` and `p2`, the second before the backend.
struct Hops {
    first: TestProxy,
    _second: TestProxy,
    backend: TtServer,
}

impl Hops {
    /// `between` is what they speak with each other; towards the backend it is ttstream.
    fn speaking(between: &str) -> Self {
        let backend = TtServer::start();
        let proxy = |name: &str, endpoint, streaming: &str| {
            let setup = Setup::to_addr(endpoint).cluster(&format!("streaming = \"{streaming}\""));
            TestProxy::start(&format!("name = \"{name}\"\n{}", setup.text()))
        };
        let second = proxy("p2", backend.addr(), "ttstream");
        let first = proxy("p1", second.addr(), between);
        Self { first, _second: second, backend }
    }

    fn open(&self) -> Stream {
        let mut caller = TtConn::connect(self.first.addr());
        caller.send(&opening(7));
        let mut backend = self.backend.accept();
        let up = backend.read().id;
        Stream { caller, backend, id: 7, up }
    }
}

const BETWEEN: [&str; 2] = ["ttstream", "grpc"];

#[test]
fn a_stream_passes_two_proxies() {
    for between in BETWEEN {
        let hops = Hops::speaking(between);
        let mut stream = hops.open();
        stream.down_to_up(&data("a"));
        stream.up_to_down(&header().string("k", "v"));
        stream.up_to_down(&data("b"));
        stream.down_to_up(&end());
        stream.up_to_down(&data("c"));
        stream.up_to_down(&end().string("t", "v"));
        // And another one on the same connections.
        stream.caller.send(&opening(8));
        let came = stream.backend.read();
        Stream { id: 8, up: came.id, ..stream }.finish();
    }
}

#[test]
fn metadata_is_the_same_behind_two_proxies() {
    for between in BETWEEN {
        let hops = Hops::speaking(between);
        let mut caller = TtConn::connect(hops.first.addr());
        let sent = opening(7)
            .string("RPC_PERSIST_USER_ID", "42")
            .string("RPC_TRANSIT_A", "b")
            .string("x-key", "v\u{fc}")
            .string("some-bin", [0, 1, 0xff])
            .int(IntKey::FROM_SERVICE, "live.caller")
            .int(IntKey::FROM_METHOD, "Start")
            .int(IntKey::TO_SERVICE, "acme.live");
        caller.send(&sent);
        let came = hops.backend.accept().read();
        let sorted = |frame: &TtFrame| {
            let (mut strings, mut ints) = (frame.strings.clone(), frame.ints.clone());
            strings.sort();
            ints.sort();
            (strings, ints)
        };
        assert_eq!(sorted(&came), sorted(&sent), "{between}");
    }
}

#[test]
fn every_end_is_the_same_behind_two_proxies() {
    for between in BETWEEN {
        let hops = Hops::speaking(between);
        for trailer in [
            end(),
            end().string("t", "v").string("t-bin", [0, 0xff]),
            end()
                .string("biz-status", "502")
                .string("biz-message", "f\u{fc}r dich")
                .string("biz-extra", "{\"k\":\"v\"}"),
            end().string("biz-status", "-1").string("biz-message", ""),
        ] {
            let mut stream = hops.open();
            stream.up_to_down(&header());
            stream.up_to_down(&data("a"));
            stream.backend.send(&trailer.clone().with_id(stream.up));
            let mut came = stream.caller.read();
            let mut expected = trailer.with_id(7);
            came.strings.sort();
            expected.strings.sort();
            assert_eq!(came, expected, "{between}");
        }
        let status = "rpc error: code = 5 desc = not here";
        let mut stream = hops.open();
        stream.backend.send(&TtFrame::trailer(stream.up, METHOD).exception(6, status));
        stream.caller.expect(&header().with_id(7));
        stream.caller.expect(&TtFrame::trailer(7, METHOD).exception(6, status));
    }
}

#[test]
fn a_cancel_names_everyone_on_its_way() {
    let hops = Hops::speaking("ttstream");
    let mut stream = hops.open();
    stream.caller.send(&TtFrame::rst(7, METHOD, 12_015, "time is up", "live.caller"));
    stream.backend.expect(&TtFrame::rst(stream.up, METHOD, 12_015, "time is up", "live.caller,p1,p2"));
    stream.backend.expect(&end().with_id(stream.up));
    drop(stream);
    let mut stream = hops.open();
    drop(stream.caller);
    let rst = TtFrame::rst(stream.up, METHOD, 12_013, "canceled by connection closed", "p1,p2");
    stream.backend.expect(&rst);
}

#[test]
fn a_cancel_reaches_the_backend_over_grpc_too() {
    let hops = Hops::speaking("grpc");
    let mut stream = hops.open();
    stream.caller.send(&TtFrame::rst(7, METHOD, 12_007, "why", "live.caller"));
    let rst = stream.backend.read();
    assert_eq!((rst.frame_type(), rst.string_value("ttscp")), (FrameType::Rst, Some("non-ttstream path,p2")));
    assert_eq!(rst.code_and_text().0, 12_011);
    stream.backend.expect(&end().with_id(stream.up));
}

#[test]
fn a_lost_backend_is_no_clean_end_behind_two_proxies() {
    for between in BETWEEN {
        let hops = Hops::speaking(between);
        let mut stream = hops.open();
        stream.up_to_down(&header());
        stream.up_to_down(&data("a"));
        drop(stream.backend);
        let (code, text) = stream.caller.read().code_and_text();
        assert_eq!(code, 6);
        assert!(text.contains("lost"), "{text}");
    }
}

#[test]
fn a_grpc_call_crosses_ttstream_and_is_itself_again() {
    // The first proxy turns it into ttstream, the second into gRPC again.
    let backend = TtServer::start();
    let proxy = |name: &str, endpoint, cluster: &str| {
        TestProxy::start(&format!("name = \"{name}\"\n{}", Setup::to_addr(endpoint).cluster(cluster).text()))
    };
    let second = proxy("p2", backend.addr(), "streaming = \"grpc\"\npackage = \"acme.wire\"");
    let first = proxy("p1", second.addr(), "streaming = \"ttstream\"");
    let patience = Duration::from_secs(10);
    let mut caller = RawH2::client(first.addr()).patience(patience);
    let stream = caller.request(
        "/acme.wire.Live/Chat",
        Fields::from([
            ("content-type", "application/grpc+thrift"),
            ("x-key", "v"),
            ("some-bin", "AAH/"),
            ("rpc-persist-user-id", "42"),
            ("source-service", "live.caller"),
            ("source-method", "Start"),
        ]),
    );
    caller.send_data(stream, grpc_message("a"), true);
    let mut backend = RawH2::server(backend.accept_raw()).patience(patience);
    let request = backend.next_request().unwrap();
    for (name, value) in [
        (":path", "/acme.wire.Live/Chat"),
        (":authority", "raw.dest"),
        ("content-type", "application/grpc+thrift"),
        ("x-key", "v"),
        ("some-bin", "AAH/"),
        ("rpc-persist-user-id", "42"),
        ("source-service", "live.caller"),
        ("source-method", "Start"),
    ] {
        assert_eq!(request.fields.text(name), Some(value), "{name}");
    }
    assert_eq!(backend.next_grpc_message(request.stream), Some(b"a".to_vec()));
    assert_eq!(backend.next_grpc_message(request.stream), None);
    backend.respond(request.stream);
    backend.send_data(request.stream, grpc_message("b"), false);
    backend.trailers(request.stream, 9, "not now%2C later");
    let answer = caller.read_answer(stream);
    assert_eq!(answer.messages(), [b"b"]);
    assert_eq!(answer.status(), Some(9));
    assert_eq!(answer.message().map(|text| text.replace("%2C", ",")), Some("not now, later".to_owned()));
}

#[test]
fn a_stream_opened_by_nobody_we_know_is_answered_through_both() {
    let backend = TtServer::start();
    let second = Setup::to_addr(backend.addr()).route("service = \"Other\"").start();
    for between in BETWEEN {
        let first = Setup::to_addr(second.addr()).cluster(&format!("streaming = \"{between}\"")).start();
        let mut caller = TtConn::connect(first.addr());
        caller.send(&opening(7));
        caller.expect(&header().with_id(7));
        let (code, text) = caller.read().code_and_text();
        // Over gRPC the exception's type has become a status.
        assert_eq!(code, if between == "ttstream" { 20 } else { 6 }, "{text}");
        assert!(text.contains("unknown service Live"), "{text}");
    }
    let mut known = TtConn::connect(second.addr());
    known.send(&TtFrame::header(7, METHOD).string("isn", "Other"));
    let came = backend.accept().read();
    assert_eq!(came.string_value("isn"), Some("Other"));
}
