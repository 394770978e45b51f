//! The echo backend: answers every call with its own argument, in the transport of the request, in order.
//!
//! All that one read brings is answered by one write, so that a proxy which keeps many calls in flight on a connection
//! finds a backend that can follow it.

mod connection;
pub(crate) mod request;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use connection::{Connection, Outcome};

use crate::poll::{Interest, Poller, Ready, listen};

const LISTENER: usize = 0;
const READ_LEN: usize = 256 << 10;

/// A bound listener that is ready to serve.
#[derive(Debug)]
pub struct Backend {
    listener: TcpListener,
}

impl Backend {
    /// Binds `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: listen(address)? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the kernel cannot say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for `lifetime`, then returns.
    ///
    /// # Errors
    /// When epoll or `accept` fail; what goes wrong on a connection only ends that connection.
    pub fn serve(self, lifetime: Duration) -> io::Result<()> {
        let start = Instant::now();
        let mut server = Server::new(self)?;
        while let Some(left) = lifetime.checked_sub(start.elapsed()) {
            server.turn(left)?;
        }
        Ok(())
    }
}

/// A backend at work.
pub(crate) struct Server {
    listener: TcpListener,
    poller: Poller,
    connections: Slots,
    scratch: Vec<u8>,
    ready: Vec<Ready>,
}

impl Server {
    pub(crate) fn new(backend: Backend) -> io::Result<Self> {
        let listener = backend.listener;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER, Interest::Read)?;
        let ready = Vec::with_capacity(1024);
        Ok(Self { listener, poller, connections: Slots::default(), scratch: vec![0; READ_LEN], ready })
    }

    /// Waits for work, `patience` at most, and does it; whether there was any.
    pub(crate) fn turn(&mut self, patience: Duration) -> io::Result<bool> {
        self.poller.wait(Some(patience), &mut self.ready)?;
        for event in &self.ready {
            let Some(slot) = event.token.checked_sub(1) else {
                accept(&self.listener, &self.poller, &mut self.connections)?;
                continue;
            };
            let Some(connection) = self.connections.get(slot) else { continue };
            match connection.serve(*event, &mut self.scratch) {
                Outcome::Unchanged => {}
                Outcome::Wants(interest) => self.poller.modify(connection.stream(), event.token, interest)?,
                Outcome::Finished => self.connections.remove(slot),
            }
        }
        Ok(!self.ready.is_empty())
    }
}

fn accept(listener: &TcpListener, poller: &Poller, connections: &mut Slots) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let slot = connections.insert(Connection::new(stream));
        if let Some(connection) = connections.get(slot) {
            poller.add(connection.stream(), slot.saturating_add(1), Interest::Read)?;
        }
    }
}

/// Connections by number, with the free numbers used again.
#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
}

impl Slots {
    fn get(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot)?.as_mut()
    }

    fn insert(&mut self, connection: Connection) -> usize {
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.slots.get_mut(slot)
        {
            *place = Some(connection);
            return slot;
        }
        self.slots.push(Some(connection));
        self.slots.len().saturating_sub(1)
    }

    fn remove(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot)
            && place.take().is_some()
        {
            self.free.push(slot);
        }
    }
}
