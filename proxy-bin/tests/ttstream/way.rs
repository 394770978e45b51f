//! A proxy with both of its sides in hand.

use std::net::SocketAddr;

use proxy::telemetry::Totals;
use testkit::peer::ttstream::{TtConn, TtFrame, TtServer};

use crate::support::{Setup, TestProxy};

/// A backend, and a proxy before it. Connections are to be dropped before it: it drains when it is dropped.
pub(crate) struct Way {
    pub(crate) proxy: TestProxy,
    pub(crate) backend: TtServer,
}

/// One stream, seen from both of its ends.
pub(crate) struct Stream {
    pub(crate) caller: TtConn,
    pub(crate) backend: TtConn,
    /// Its id on the caller's connection.
    pub(crate) id: i32,
    /// Its id on the backend's.
    pub(crate) up: i32,
}

impl Way {
    /// A way that is configured in nothing.
    pub(crate) fn new() -> Self {
        Self::with(|setup| setup)
    }

    /// A way with lines added to its configuration.
    pub(crate) fn with(configure: impl FnOnce(Setup) -> Setup) -> Self {
        Self::named("", configure)
    }

    /// A way with lines at the head of its configuration.
    pub(crate) fn named(head: &str, configure: impl FnOnce(Setup) -> Setup) -> Self {
        let backend = TtServer::start();
        let text = configure(Setup::to_addr(backend.addr())).text();
        Self { proxy: TestProxy::start(&format!("{head}\n{text}")), backend }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.proxy.addr()
    }

    pub(crate) fn caller(&self) -> TtConn {
        TtConn::connect(self.addr())
    }

    pub(crate) fn eventually(&self, what: &str, holds: impl Fn(&Totals) -> bool) {
        self.proxy.eventually(what, holds);
    }

    /// Opens a stream on connections of its own.
    pub(crate) fn open(&self) -> Stream {
        self.open_as(7)
    }

    /// As [`open`](Self::open), with this id.
    pub(crate) fn open_as(&self, id: i32) -> Stream {
        let mut caller = self.caller();
        caller.send(&opening(id));
        let mut backend = self.backend.accept();
        let up = opened(&mut backend);
        Stream { caller, backend, id, up }
    }
}

impl Stream {
    /// The caller sends a frame, and the backend gets it.
    pub(crate) fn down_to_up(&mut self, frame: &TtFrame) {
        self.caller.send(&frame.clone().with_id(self.id));
        self.backend.expect(&frame.clone().with_id(self.up));
    }

    /// The backend sends a frame, and the caller gets it.
    pub(crate) fn up_to_down(&mut self, frame: &TtFrame) {
        self.backend.send(&frame.clone().with_id(self.up));
        self.caller.expect(&frame.clone().with_id(self.id));
    }

    /// One message there and one back, and the end: what is left is a clean connection.
    pub(crate) fn finish(&mut self) {
        self.down_to_up(&data("last"));
        self.backend.send_all([&data("answer").with_id(self.up), &end().with_id(self.up)]);
        let mut answer = self.caller.read();
        if answer == header().with_id(self.id) {
            answer = self.caller.read();
        }
        assert_eq!(answer, data("answer").with_id(self.id));
        self.caller.expect(&end().with_id(self.id));
        self.backend.expect(&end().with_id(self.up));
    }
}

/// What opens every stream here.
pub(crate) fn opening(id: i32) -> TtFrame {
    TtFrame::header(id, METHOD).string("isn", SERVICE)
}

/// The id under which the stream came.
#[track_caller]
pub(crate) fn opened(backend: &mut TtConn) -> i32 {
    let frame = backend.read();
    assert_eq!(frame, opening(frame.id));
    frame.id
}

/// A server's header frame without headers; its id is set on the way.
pub(crate) fn header() -> TtFrame {
    TtFrame::header(0, METHOD)
}

/// A message; its id is set on the way.
pub(crate) fn data(payload: impl AsRef<[u8]>) -> TtFrame {
    TtFrame::data(0, METHOD, payload)
}

/// The end of either side, without a word; its id is set on the way.
pub(crate) fn end() -> TtFrame {
    TtFrame::trailer(0, METHOD)
}

pub(crate) const METHOD: &str = "Chat";
pub(crate) const SERVICE: &str = "Live";
