//! One thread with a runtime of its own, and everything that its connections share.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::rpc::drain::Drain;

/// A connection on its way to a worker.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Index of the listener.
    pub(crate) listener: usize,
    /// Held as long as the connection is open, to count against the listener's limit.
    #[expect(dead_code, reason = "it is held, not read")]
    pub(crate) open: Arc<()>,
}

/// A handle to a worker thread.
#[derive(Debug)]
pub(crate) struct Worker {
    queue: UnboundedSender<Order>,
    load: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<bool>>>,
}

#[derive(Debug)]
enum Order {
    Serve(Accepted),
    Drain(Duration),
}

/// What a worker's thread does with a connection; made inside the thread, so it need not be `Send`.
pub(crate) trait Serve: 'static {
    /// Serves one connection to its end.
    fn serve(self: Rc<Self>, accepted: Accepted, drain: Rc<Drain>) -> impl Future<Output = ()>;

    /// Called once a second, for what is due now and then.
    fn sweep(&self);
}

impl Worker {
    /// Starts thread number `index`; `make` runs in it.
    ///
    /// # Errors
    ///
    /// The system gives no thread or no runtime.
    pub(crate) fn start<S: Serve>(index: usize, make: impl FnOnce() -> S + Send + 'static) -> io::Result<Self> {
        let (mut worker, work) = Self::prepare();
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            let runtime = Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(run(Rc::new(make()), work)),
                Err(error) => {
                    tracing::error!(%error, "a worker can't start its runtime");
                    false
                }
            }
        })?;
        worker.thread = Mutex::new(Some(thread));
        Ok(worker)
    }

    /// A worker for the runtime that it is made in, which has to be a local one. It works while the future is polled,
    /// which says at the end whether every connection ended by itself.
    pub(crate) fn here<S: Serve>(make: impl FnOnce() -> S) -> (Self, impl Future<Output = bool>) {
        let (worker, work) = Self::prepare();
        (worker, run(Rc::new(make()), work))
    }

    fn prepare() -> (Self, Work) {
        let (queue, orders) = unbounded_channel();
        let load = Arc::new(AtomicUsize::new(0));
        (Self { queue, load: Arc::clone(&load), thread: Mutex::new(None) }, Work { orders, load })
    }

    /// Connections of this worker.
    pub(crate) fn connections(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Hands a connection over. A worker that has ended closes it.
    pub(crate) fn hand(&self, accepted: Accepted) {
        self.load.fetch_add(1, Ordering::Relaxed);
        let _closed = self.queue.send(Order::Serve(accepted));
    }

    /// Tells the worker to end, calls in flight within `limit`.
    pub(crate) fn drain(&self, limit: Duration) {
        let _ended = self.queue.send(Order::Drain(limit));
    }

    /// Waits for the thread. True when every connection ended by itself.
    pub(crate) fn join(&self) -> bool {
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        thread.is_none_or(|thread| thread.join().unwrap_or(false))
    }
}

/// What a worker's own side holds.
#[derive(Debug)]
struct Work {
    orders: UnboundedReceiver<Order>,
    load: Arc<AtomicUsize>,
}

async fn run<S: Serve>(serve: Rc<S>, Work { mut orders, load }: Work) -> bool {
    let drain = Rc::new(Drain::default());
    let mut sweep = tokio::time::interval(SWEEP);
    let limit = loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Serve(accepted)) => {
                    let serve = Rc::clone(&serve);
                    let drain = Rc::clone(&drain);
                    let load = Loaded(Arc::clone(&load));
                    tokio::task::spawn_local(async move {
                        let _load = load;
                        let _guard = poll_fn(|cx| std::task::Poll::Ready(drain.enter(cx.waker()))).await;
                        serve.serve(accepted, Rc::clone(&drain)).await;
                    });
                }
                Some(Order::Drain(limit)) => break limit,
                None => break Duration::ZERO,
            },
            _ = sweep.tick() => serve.sweep(),
        }
    };
    // What was handed over before the order to drain is in the tasks already; let them count themselves in.
    tokio::task::yield_now().await;
    drain.begin();
    let ended =
        tokio::time::timeout(limit.saturating_sub(LAST_WORDS), poll_fn(|cx| drain.poll_empty(cx))).await.is_ok();
    if !ended {
        drain.expire();
        let _told = tokio::time::timeout(limit.min(LAST_WORDS), poll_fn(|cx| drain.poll_empty(cx))).await;
    }
    ended
}

/// One connection's part of its worker's load.
struct Loaded(Arc<AtomicUsize>);

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The part of the drain's time in which streams that are still open are told that they end.
const LAST_WORDS: Duration = Duration::from_millis(200);
const SWEEP: Duration = Duration::from_secs(1);
