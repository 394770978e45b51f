use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Message, RawConn, message};

/// A backend on a free port of loopback whose every accepted connection runs the same closure in a thread of its own.
///
/// The closure ends the connection by returning. Dropped, the server closes all that is open.
#[derive(Debug)]
pub struct RawServer {
    addr: SocketAddr,
    log: Arc<Log>,
    stopping: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// What one connection brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The messages that were read, in order.
    pub messages: Vec<Vec<u8>>,
    /// Once the peer closed or reset: how many bytes came behind the last message.
    pub closed: Option<usize>,
}

impl RawServer {
    /// Serves each connection with `behaviour`.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    #[must_use]
    pub fn start(behaviour: impl Fn(RawConn) + Send + Sync + 'static) -> Self {
        Self::with_log(behaviour, Log::default())
    }

    /// Answers each call with the reply that `reply` makes of it, oneway calls with nothing.
    #[must_use]
    pub fn replying(reply: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |conn| answer_all(conn, &reply))
    }

    /// Answers each call with its argument.
    #[must_use]
    pub fn echo() -> Self {
        Self::replying(|call| call.reply().bytes())
    }

    /// Turns each call around: the same bytes as a REPLY. Keeps nothing of what comes, and is fast.
    #[must_use]
    pub fn mirror() -> Self {
        let mirror = |mut conn: RawConn| {
            while let Some(mut message) = conn.next_message() {
                if message::turn_around(&mut message) && !conn.try_send(message) {
                    return;
                }
            }
        };
        Self::with_log(mirror, Log { forgetful: true, ..Log::default() })
    }

    /// Takes everything and never answers.
    #[must_use]
    pub fn silent() -> Self {
        Self::start(|mut conn| while conn.next_message().is_some() {})
    }

    fn with_log(behaviour: impl Fn(RawConn) + Send + Sync + 'static, log: Log) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let (log, stopping, behaviour) = (Arc::new(log), Arc::new(AtomicBool::new(false)), Arc::new(behaviour));
        let accepting = std::thread::spawn({
            let (log, stopping) = (Arc::clone(&log), Arc::clone(&stopping));
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    let number = log.opened(&stream);
                    let conn = RawConn::accepted(stream, Arc::clone(&log), number);
                    let (behaviour, log) = (Arc::clone(&behaviour), Arc::clone(&log));
                    std::thread::spawn(move || {
                        behaviour(conn);
                        log.ended(number);
                    });
                }
            }
        });
        Self { addr, log, stopping, accepting: Some(accepting) }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What each connection brought so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.log.lock().received.clone()
    }

    /// Every message so far, by connection.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.received().iter().flat_map(|conn| &conn.messages).map(|message| Message::parse(message)).collect()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.lock().received.len()
    }

    /// Waits until what was received is as `holds` wants it.
    ///
    /// # Panics
    ///
    /// When it is not within five seconds.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut state = self.log.lock();
        while !holds(&state.received) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within 5 s: {what}; received {:?}", state.received);
            state = self.log.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.received.clone()
    }

    /// Waits for `count` messages over all connections.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub fn wait_for_messages(&self, count: usize) -> Vec<Message> {
        let came = |received: &[Received]| received.iter().map(|conn| conn.messages.len()).sum::<usize>() >= count;
        let received = self.wait_until(&format!("{count} messages"), came);
        received.iter().flat_map(|conn| &conn.messages).map(|message| Message::parse(message)).collect()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The accepting thread looks at the flag with its next connection.
        drop(TcpStream::connect(self.addr));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().expect("no panic while accepting");
        }
        for stream in self.log.lock().open.iter().flatten() {
            // Those that have ended by themselves refuse.
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }
}

fn answer_all(mut conn: RawConn, reply: &impl Fn(&Message) -> Vec<u8>) {
    while let Some(call) = conn.next_call() {
        let answered = call.message_type != thrift_codec::MessageType::ONEWAY;
        if answered && !conn.try_send(reply(&call)) {
            return;
        }
    }
}

/// What a server's connections have in common.
#[derive(Debug, Default)]
pub(super) struct Log {
    state: Mutex<State>,
    changed: Condvar,
    forgetful: bool,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    /// For a server that is dropped to close.
    open: Vec<Option<TcpStream>>,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed with the lock held has said so already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self, stream: &TcpStream) -> usize {
        let mut state = self.lock();
        state.received.push(Received::default());
        state.open.push(stream.try_clone().ok());
        self.changed.notify_all();
        state.received.len() - 1
    }

    pub(super) fn message(&self, number: usize, message: &[u8]) {
        if !self.forgetful {
            self.lock().received[number].messages.push(message.to_vec());
            self.changed.notify_all();
        }
    }

    pub(super) fn closed(&self, number: usize, left: usize) {
        self.lock().received[number].closed = Some(left);
        self.changed.notify_all();
    }

    /// The closure has returned; its own end was closed with it, and the clone must not keep the connection open.
    fn ended(&self, number: usize) {
        self.lock().open[number] = None;
    }
}
