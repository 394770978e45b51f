//! Caller, proxy and backend on one stage: a test moves both ends by itself, one step after the other.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use grpc_frame::http2::SettingId;
use testkit::peer::RawServer;
use testkit::peer::http2::{Fields, RawH2, Request};

use crate::support::{Setup, TestProxy};

/// How long a step may take on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(10);
/// How long nothing has to come for it to count as nothing.
pub(crate) const QUIET: Duration = Duration::from_millis(150);
/// The method of most calls.
pub(crate) const PATH: &str = "/acme.wire.Live/Chat";
/// No field beyond the usual ones.
pub(crate) const NONE: [(&str, &str); 0] = [];

/// A backend whose connections are handed to the test, SETTINGS sent.
pub(crate) struct Backend {
    server: RawServer,
    accepted: Mutex<Receiver<RawH2>>,
}

impl Backend {
    pub(crate) fn start() -> Self {
        Self::with_settings(&[])
    }

    pub(crate) fn with_settings(settings: &[(SettingId, u32)]) -> Self {
        let (hand, accepted) = channel();
        let (settings, hand) = (settings.to_vec(), Mutex::new(hand));
        let server = RawServer::start(move |conn| {
            let mut conn = RawH2::accepted(conn).patience(LONG);
            conn.open(&settings);
            // A test that is over wants no more of them.
            let _over = hand.lock().unwrap().send(conn);
        });
        Self { server, accepted: Mutex::new(accepted) }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    pub(crate) fn connections(&self) -> usize {
        self.server.connections()
    }

    pub(crate) fn setup(&self) -> Setup {
        Setup::to(&self.server)
    }

    /// The next connection of the proxy.
    pub(crate) fn accept(&self) -> RawH2 {
        self.accepted.lock().unwrap().recv_timeout(LONG).expect("the proxy connects")
    }
}

/// A stream that has got through to the backend, its header list alone.
pub(crate) struct Open {
    pub(crate) caller: RawH2,
    /// The stream's number at the caller.
    pub(crate) stream: u32,
    pub(crate) conn: RawH2,
    pub(crate) request: Request,
    /// The stream's number at the backend.
    pub(crate) at: u32,
}

/// A caller of `proxy`.
pub(crate) fn caller(proxy: &TestProxy) -> RawH2 {
    RawH2::client(proxy.addr()).patience(LONG)
}

/// Opens a stream on connections of its own.
pub(crate) fn open(proxy: &TestProxy, backend: &Backend, extra: impl Into<Fields>) -> Open {
    open_at(proxy, backend, PATH, extra)
}

pub(crate) fn open_at(proxy: &TestProxy, backend: &Backend, path: &str, extra: impl Into<Fields>) -> Open {
    let mut caller = caller(proxy);
    let stream = caller.request(path, extra);
    let mut conn = backend.accept();
    let request = conn.next_request().expect("a request");
    assert!(!request.ended, "END_STREAM on HEADERS hangs a Kitex server");
    Open { caller, stream, conn, at: request.stream, request }
}

impl Open {
    /// Opens another stream on the same connections: its number at the caller and at the backend.
    pub(crate) fn another(&mut self) -> (u32, u32) {
        let stream = self.caller.request(PATH, NONE);
        (stream, self.conn.next_request().expect("a request").stream)
    }

    /// Shows that both connections are sound: a call of its own passes.
    pub(crate) fn still_works(&mut self) {
        let (stream, at) = self.another();
        self.conn.trailers(at, 0, "still works");
        assert_eq!(self.caller.read_answer(stream).message(), Some("still works"));
    }
}

/// Fields without regard to the order of different names; values of one name keep theirs.
pub(crate) fn by_name(fields: &Fields) -> Vec<(String, String)> {
    let text = |octets: &[u8]| octets.escape_ascii().to_string();
    let mut pairs: Vec<_> = fields.iter().map(|(name, value)| (text(name), text(value))).collect();
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    pairs
}

/// A backend that answers each message with itself, and says OK at the half close.
pub(crate) fn echo() -> RawServer {
    RawServer::start(|conn| {
        let mut conn = RawH2::server(conn).patience(LONG);
        conn.auto_credit(true);
        echo_on(&mut conn);
    })
}

/// Answers streams one after the other until the peer closes.
pub(crate) fn echo_on(conn: &mut RawH2) {
    while let Some(request) = conn.next_request() {
        let mut reset = false;
        while let Some(message) = conn.next_grpc_message(request.stream) {
            conn.respond(request.stream);
            let message = testkit::peer::http2::grpc_message(message);
            reset |= !conn.send_all(request.stream, message, false);
        }
        if !reset {
            conn.trailers(request.stream, 0, "");
        }
    }
}
