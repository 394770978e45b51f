//! Processes under test: started on their core, waited for, ended.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::{Candidate, Tools, run_dir};
use crate::backend::Backend;
use crate::wire::Transport;

/// Name of the process under test among the watched ones.
pub(super) const PROXY: &str = "proxy";
/// Name of the backend among the watched ones.
pub(super) const BACKEND: &str = "backend";

const PROXY_CORE: usize = 0;
const LOAD_CORE: usize = 1;
/// How long a process may take until it accepts connections.
const START_MAX: Duration = Duration::from_secs(10);

/// Pins this process (load generator) to its core, and allows as many sockets as the system does.
pub(super) fn prepare() -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(LOAD_CORE);
    sched_setaffinity(None, &cores)?;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(())
}

/// Waits until no other run measures from the same folder, and keeps others from it as long as the file lives: two runs
/// at once would share the cores, and one could take the other's proxy for its own.
pub(super) fn alone(tools: &Tools, progress: &mut impl FnMut(&str)) -> io::Result<File> {
    let dir = run_dir(tools);
    std::fs::create_dir_all(&dir)?;
    let file = File::create(dir.join("lock"))?;
    if file.try_lock().is_err() {
        progress("waiting for another run to end");
        file.lock()?;
    }
    Ok(file)
}

/// A program with its arguments.
#[derive(Debug)]
pub(super) struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, &'static str)>,
}

impl Command {
    pub(super) fn new(program: impl AsRef<OsStr>) -> Self {
        Self { program: program.as_ref().to_owned(), args: Vec::new(), env: Vec::new() }
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// Starts it on `core`, with its output in `log`. It dies with us, whatever becomes of us.
    fn spawn(self, core: usize, log: &Path) -> io::Result<Guard> {
        let log = File::create(log)?;
        if self.program.as_encoded_bytes().contains(&b'/') && !Path::new(&self.program).exists() {
            let program = self.program.display();
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{program} is not there; see bench/README.md"),
            ));
        }
        // Both tools replace themselves by the program, so that the process id is the program's.
        let child = std::process::Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "taskset", "--cpu-list", &core.to_string()])
            .arg(&self.program)
            .args(&self.args)
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Guard { child })
    }
}

/// A running process that is ended when the guard goes.
#[derive(Debug)]
struct Guard {
    child: Child,
}

impl Guard {
    /// Waits until `address` accepts a connection.
    fn wait_for(&mut self, address: SocketAddr) -> io::Result<()> {
        let start = Instant::now();
        loop {
            self.is_alive()?;
            match TcpStream::connect(address) {
                // Asked for a port that nobody listens on yet, the kernel may pick that very port for this end and
                // connect the socket with itself.
                Ok(stream) if stream.local_addr()? != address => break,
                Ok(_) => {}
                Err(error) if start.elapsed() > START_MAX => return Err(error),
                Err(_) => {}
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Whoever answered may be somebody else, who took the port first.
        self.is_alive()
    }

    fn is_alive(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(io::Error::other(format!("ended with {status}; see its log"))),
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Either may fail only because the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A backend, and a candidate in front of it.
#[derive(Debug)]
pub(super) struct Bench {
    target: SocketAddr,
    backend: Option<Guard>,
    proxy: Option<Guard>,
}

impl Bench {
    /// Starts a backend and `candidate`, and waits until they accept connections.
    pub(super) fn start(tools: &Tools, candidate: Candidate, transport: Transport) -> io::Result<Self> {
        let dir = run_dir(tools);
        std::fs::create_dir_all(&dir)?;
        let upstream = free_port()?;
        let command = Command::new(&tools.bench).args(["backend", "--listen", &upstream.to_string()]);
        let mut backend = command.spawn(LOAD_CORE, &dir.join("backend.log"))?;
        backend.wait_for(upstream)?;
        Self::start_before(tools, candidate, transport, upstream, Some(backend))
    }

    /// Starts what `backend` says, and in front of it what `proxy` says, if anything; each gets the ports it is to use.
    pub(super) fn launch(
        tools: &Tools,
        name: &str,
        backend: impl FnOnce(&str) -> Command,
        proxy: impl FnOnce(u16, u16) -> io::Result<Option<Command>>,
    ) -> io::Result<Self> {
        let dir = run_dir(tools);
        std::fs::create_dir_all(&dir)?;
        let upstream = free_port()?;
        let mut backend = backend(&upstream.to_string()).spawn(LOAD_CORE, &dir.join("backend.log"))?;
        backend.wait_for(upstream)?;
        let backend = Some(backend);
        let target = free_port()?;
        let Some(command) = proxy(target.port(), upstream.port())? else {
            return Ok(Self { target: upstream, backend, proxy: None });
        };
        let mut proxy = command.spawn(PROXY_CORE, &dir.join(format!("{name}.log")))?;
        proxy.wait_for(target)?;
        Ok(Self { target, backend, proxy: Some(proxy) })
    }

    /// Starts `candidate` in front of a backend that this process will serve.
    pub(super) fn start_without_backend(
        tools: &Tools,
        candidate: Candidate,
        transport: Transport,
    ) -> io::Result<(Self, Backend)> {
        std::fs::create_dir_all(run_dir(tools))?;
        let backend = Backend::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let upstream = backend.local_addr()?;
        Ok((Self::start_before(tools, candidate, transport, upstream, None)?, backend))
    }

    fn start_before(
        tools: &Tools,
        candidate: Candidate,
        transport: Transport,
        upstream: SocketAddr,
        backend: Option<Guard>,
    ) -> io::Result<Self> {
        if !candidate.is_proxy() {
            return Ok(Self { target: upstream, backend, proxy: None });
        }
        let target = free_port()?;
        let command = candidate.command(tools, target.port(), upstream.port(), transport)?;
        let mut proxy = command.spawn(PROXY_CORE, &run_dir(tools).join(format!("{candidate}.log")))?;
        proxy.wait_for(target)?;
        Ok(Self { target, backend, proxy: Some(proxy) })
    }

    /// Where the load goes.
    pub(super) fn target(&self) -> SocketAddr {
        self.target
    }

    /// # Errors
    /// When the candidate has ended: what was measured then was something else.
    pub(super) fn is_alive(&mut self) -> io::Result<()> {
        self.proxy.as_mut().map_or(Ok(()), Guard::is_alive)
    }

    /// Process id of the candidate.
    pub(super) fn proxy_pid(&self) -> Option<u32> {
        self.proxy.as_ref().map(|proxy| proxy.child.id())
    }

    /// The processes by name.
    pub(super) fn watch(&self) -> Vec<(String, u32)> {
        let backend = self.backend.as_ref().map(|backend| (BACKEND.to_owned(), backend.child.id()));
        let proxy = self.proxy_pid().map(|pid| (PROXY.to_owned(), pid));
        backend.into_iter().chain(proxy).collect()
    }
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
