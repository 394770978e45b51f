//! A proxy in a thread of its own that is drained when it is dropped, and one in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proxy::telemetry::Totals;
use proxy::{Config, Ended, Proxy, ProxyBuilder};
use testkit::peer::{RawClient, RawServer, eventually};

/// A configuration with one listener, one route and one cluster, to which lines are added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    listener: String,
    route: String,
    cluster: String,
    endpoint: Option<SocketAddr>,
}

impl Setup {
    pub(crate) fn to(backend: &RawServer) -> Self {
        Self::to_addr(backend.addr())
    }

    pub(crate) fn to_addr(endpoint: SocketAddr) -> Self {
        Self { endpoint: Some(endpoint), ..Self::default() }
    }

    /// Adds lines to the listener.
    pub(crate) fn listener(mut self, lines: &str) -> Self {
        self.listener = format!("{}{lines}\n", self.listener);
        self
    }

    /// Adds lines to the route.
    pub(crate) fn route(mut self, lines: &str) -> Self {
        self.route = format!("{}{lines}\n", self.route);
        self
    }

    /// Adds lines to the cluster.
    pub(crate) fn cluster(mut self, lines: &str) -> Self {
        self.cluster = format!("{}{lines}\n", self.cluster);
        self
    }

    pub(crate) fn text(&self) -> String {
        let Self { listener, route, cluster, endpoint } = self;
        let endpoint = endpoint.expect("a backend");
        format!(
            "workers = 1\ndrain = \"3s\"\n[[listener]]\nbind = \"127.0.0.1:0\"\n{listener}[[route]]\ncluster = \
             \"backend\"\n{route}[cluster.backend]\nendpoints = [\"{endpoint}\"]\n{cluster}"
        )
    }

    pub(crate) fn start(&self) -> TestProxy {
        TestProxy::start(&self.text())
    }
}

/// A running proxy. Dropped, it drains, and has to come to a clean end.
pub(crate) struct TestProxy {
    addrs: Vec<SocketAddr>,
    totals: Box<dyn Fn() -> Totals + Send + Sync>,
    shutdown: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<Ended>>,
}

impl TestProxy {
    pub(crate) fn start(config: &str) -> Self {
        Self::run(config, Proxy::builder())
    }

    /// A proxy with handlers or hooks.
    pub(crate) fn run(config: &str, builder: ProxyBuilder) -> Self {
        count_worker_panics();
        let config = Config::parse(config, "test.toml").unwrap();
        let proxy = builder.config(config).build().unwrap();
        let (addrs, totals) = (proxy.local_addrs().to_vec(), Box::new(proxy.totals()));
        let (shutdown, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let run = proxy.run(async {
                // Dropping the sender says the same.
                let _told = told.await;
            });
            runtime.block_on(run).unwrap()
        });
        Self { addrs, totals, shutdown: Some(shutdown), thread: Some(thread) }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addrs[0]
    }

    /// Where the listeners are, in the order of the file.
    pub(crate) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    pub(crate) fn connect(&self) -> RawClient {
        RawClient::connect(self.addr())
    }

    pub(crate) fn totals(&self) -> Totals {
        (self.totals)()
    }

    /// Waits until the counters are as `holds` wants them.
    pub(crate) fn eventually(&self, what: &str, holds: impl Fn(&Totals) -> bool) {
        eventually(what, || holds(&self.totals()));
    }

    /// Begins the drain.
    pub(crate) fn begin_drain(&mut self) {
        drop(self.shutdown.take());
    }

    /// How the run ended, once it has.
    pub(crate) fn ended(mut self) -> Ended {
        self.begin_drain();
        self.thread.take().expect("it runs").join().unwrap()
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.begin_drain();
        let Some(thread) = self.thread.take() else { return };
        let ended = thread.join();
        if !std::thread::panicking() {
            assert_eq!(ended.unwrap(), Ended::Drained, "{:?}", self.totals());
            assert_eq!(WORKER_PANICS.load(Ordering::Relaxed), 0, "a worker has panicked, of this test or another");
        }
    }
}

/// What the text of a panic ends with that a test wants.
pub(crate) const ON_PURPOSE: &str = "on purpose";

/// Panics in threads of proxies. A task that panics takes its connection along and nothing else, so that it would go
/// unseen.
static WORKER_PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_worker_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let on_purpose = info.payload_as_str().is_some_and(|text| text.ends_with(ON_PURPOSE));
            if !on_purpose && std::thread::current().name().is_some_and(|name| name.starts_with("worker-")) {
                WORKER_PANICS.fetch_add(1, Ordering::Relaxed);
            }
            report(info);
        }));
    });
}

/// The binary, running. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    addr: SocketAddr,
    log: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts `run` on a file with this text, and waits until it listens.
    pub(crate) fn run(config: &str) -> Self {
        let file = config_file(config);
        let mut child = Command::new(BINARY)
            .args(["--log-format", "json", "run", "--config"])
            .arg(&file)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let addr = lines
            .find_map(|line| Some(line.split_once("\"addr\":\"")?.1.split_once('"')?.0.parse().unwrap()))
            .expect("it says where it listens");
        // Read to the end, so that the process never waits for its log.
        let log = std::thread::spawn(move || lines.collect::<Vec<_>>().join("\n"));
        Self { child, addr, log: Some(log) }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn connect(&self) -> RawClient {
        RawClient::connect(self.addr)
    }

    /// A size of `/proc/<pid>/status` in KiB: `VmRSS`, `VmHWM`.
    pub(crate) fn kib(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end: the status, and what was logged.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + Duration::from_secs(10);
        eventually("the process ends", || {
            assert!(Instant::now() < deadline);
            self.child.try_wait().unwrap().is_some()
        });
        (self.child.wait().unwrap(), self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended can't be killed, and need not be.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_proxy-bin");

/// A file of its own with this text.
pub(crate) fn config_file(text: &str) -> PathBuf {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}.toml", std::process::id()));
    std::fs::write(&file, text).unwrap();
    file
}
