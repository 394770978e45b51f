//! How the proxy stops with streams under way (streaming-wire A15, C5.12).

use std::time::{Duration, Instant};

use proxy::Ended;
use testkit::peer::ttstream::TtServer;
use ttstream::FrameType;

use crate::support::{Setup, TestProxy};
use crate::way::{Stream, Way, data, end, header, opened, opening};

/// A proxy that drains for this long.
fn draining_for(backend: &TtServer, drain: &str, cluster: &str) -> TestProxy {
    let text = Setup::to_addr(backend.addr()).cluster(cluster).text();
    TestProxy::start(&text.replace("drain = \"3s\"", &format!("name = \"p1\"\ndrain = \"{drain}\"")))
}

fn open(proxy: &TestProxy, backend: &TtServer) -> Stream {
    let mut caller = testkit::peer::ttstream::TtConn::connect(proxy.addr());
    caller.send(&opening(7));
    let mut backend = backend.accept();
    let up = opened(&mut backend);
    Stream { caller, backend, id: 7, up }
}

#[test]
fn streams_under_way_are_finished() {
    for pool in ["long", "mux", "short"] {
        let mut way = Way::with(|setup| setup.cluster(&format!("stream_pool = \"{pool}\"")));
        let mut stream = way.open();
        stream.up_to_down(&header());
        way.proxy.begin_drain();
        testkit::peer::eventually("nobody new is taken", || std::net::TcpStream::connect(way.addr()).is_err());
        for _ in 0..5 {
            stream.down_to_up(&data("a"));
            stream.up_to_down(&data("b"));
        }
        stream.finish();
        stream.caller.expect_close();
        assert_eq!(way.proxy.ended(), Ended::Drained);
    }
}

#[test]
fn a_caller_without_streams_does_not_hold_the_end_up() {
    let mut way = Way::new();
    let mut stream = way.open();
    stream.finish();
    way.proxy.begin_drain();
    stream.caller.expect_close();
    assert_eq!(way.proxy.ended(), Ended::Drained);
}

#[test]
fn streams_that_outlast_the_drain_are_told() {
    for pool in ["long", "mux"] {
        let backend = TtServer::start();
        let mut proxy = draining_for(&backend, "700ms", &format!("stream_pool = \"{pool}\""));
        let mut stream = open(&proxy, &backend);
        stream.up_to_down(&header());
        stream.down_to_up(&data("a"));
        let begun = Instant::now();
        proxy.begin_drain();
        let trailer = stream.caller.read();
        assert!(begun.elapsed() >= Duration::from_millis(400));
        assert_eq!((trailer.id, trailer.frame_type()), (7, FrameType::Trailer));
        let (code, text) = trailer.code_and_text();
        assert_eq!(code, 6);
        assert!(text.starts_with("proxy: ") && text.contains("shutting down"), "{text}");
        stream.caller.expect_close();
        let reset = stream.backend.read();
        assert_eq!((reset.frame_type(), reset.string_value("ttscp")), (FrameType::Rst, Some("p1")));
        stream.backend.expect(&end().with_id(stream.up));
        stream.backend.expect_close();
        assert_eq!(proxy.ended(), Ended::CutOff);
    }
}
