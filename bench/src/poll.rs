//! A level-triggered epoll loop, as thin as it gets.
//!
//! Load generator and backend share one core, so what they cost decides how far the proxy on the other core can be
//! driven. A task per connection pays a wake-up list, a waker and a poll per event; here an event is an index.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

/// A listener that holds a whole run's connections while they wait: the standard library's backlog of 128 is less than
/// a proxy opens at once, and what does not fit is refused or sent again a second later.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: i32 = 4096;
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What a socket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes to read, or the end of the stream.
    Read,
    /// As `Read`, and room to write.
    ReadWrite,
    /// Room to write only: the peer must take its replies before more is read from it.
    Write,
}

/// One socket that can go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// The number it was registered under.
    pub(crate) token: usize,
    /// There may be bytes, an end of stream or an error to read.
    pub(crate) readable: bool,
    /// There may be room to write.
    pub(crate) writable: bool,
}

/// An epoll instance.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// An empty set that reports up to 1,024 sockets at a time.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(1024) })
    }

    /// Waits until something is ready or `timeout` is over, and fills `ready`.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = timeout.map(timespec);
        ready.clear();
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().filter_map(|event| {
            let flags = event.flags;
            let broken = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR | epoll::EventFlags::RDHUP);
            Some(Ready {
                token: usize::try_from(event.data.u64()).ok()?,
                readable: broken || flags.contains(epoll::EventFlags::IN),
                writable: flags.contains(epoll::EventFlags::OUT),
            })
        }));
        Ok(())
    }

    /// Registers `source` under `token`.
    pub(crate) fn add(&self, source: impl AsFd, token: usize, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, data(token), flags(interest))?)
    }

    /// Changes what a registered `source` waits for.
    pub(crate) fn modify(&self, source: impl AsFd, token: usize, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, source, data(token), flags(interest))?)
    }
}

fn data(token: usize) -> epoll::EventData {
    epoll::EventData::new_u64(u64::try_from(token).unwrap_or(u64::MAX))
}

fn flags(interest: Interest) -> epoll::EventFlags {
    match interest {
        Interest::Read => epoll::EventFlags::IN,
        Interest::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        Interest::Write => epoll::EventFlags::OUT,
    }
}

fn timespec(timeout: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX), tv_nsec: timeout.subsec_nanos().into() }
}
