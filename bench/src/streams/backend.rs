//! The echo backend of streams: answers every message with itself.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use super::{Fault, Kind, Writes, grpc, ttstream};
use crate::poll::{Interest, Poller, Ready, listen};

const LISTENER: usize = 0;
const READ_LEN: usize = 256 << 10;

/// A bound listener that is ready to serve.
#[derive(Debug)]
pub struct StreamBackend {
    listener: TcpListener,
    grpc: bool,
    writes: Writes,
}

impl StreamBackend {
    /// Binds `address`, for gRPC or for ttstream as `kind` says; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr, kind: Kind, writes: Writes) -> io::Result<Self> {
        Ok(Self { listener: listen(address)?, grpc: kind.is_grpc(), writes })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the kernel cannot say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for `lifetime`. What goes wrong on a connection ends that connection, and is told to `complain`.
    ///
    /// # Errors
    /// When epoll or `accept` fail.
    pub fn serve(self, lifetime: Duration, mut complain: impl FnMut(&str)) -> io::Result<()> {
        let start = Instant::now();
        let mut poller = Poller::new()?;
        poller.add(&self.listener, LISTENER, Interest::Read)?;
        let mut connections: Vec<Option<Connection>> = Vec::new();
        let mut ready: Vec<Ready> = Vec::with_capacity(1024);
        let mut scratch = vec![0; READ_LEN];
        while let Some(left) = lifetime.checked_sub(start.elapsed()) {
            poller.wait(Some(left), &mut ready)?;
            for event in &ready {
                let Some(slot) = event.token.checked_sub(1) else {
                    self.accept(&poller, &mut connections)?;
                    continue;
                };
                let Some(place) = connections.get_mut(slot) else { continue };
                let Some(connection) = place else { continue };
                match connection.serve(*event, &mut scratch) {
                    Ok(None) => {}
                    Ok(Some(interest)) => poller.modify(&connection.stream, event.token, interest)?,
                    Err(End::Closed) => *place = None,
                    Err(End::Failed(why)) => {
                        complain(&why);
                        *place = None;
                    }
                }
            }
        }
        Ok(())
    }

    fn accept(&self, poller: &Poller, connections: &mut Vec<Option<Connection>>) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let free = connections.iter().position(Option::is_none);
            let slot = free.unwrap_or(connections.len());
            poller.add(&stream, slot.saturating_add(1), Interest::Read)?;
            let service = match self.grpc {
                true => Service::Grpc(Box::new(grpc::Server::new(self.writes))),
                false => Service::Ttstream(Box::new(ttstream::Server::new(self.writes))),
            };
            let connection = Some(Connection { stream, service, blocked: false });
            match connections.get_mut(slot) {
                Some(place) => *place = connection,
                None => connections.push(connection),
            }
        }
    }
}

#[derive(Debug)]
enum Service {
    Grpc(Box<grpc::Server>),
    Ttstream(Box<ttstream::Server>),
}

impl Service {
    fn take(&mut self, came: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Grpc(server) => server.take(came),
            Self::Ttstream(server) => server.take(came),
        }
    }

    fn out(&mut self) -> &mut Outbox {
        match self {
            Self::Grpc(server) => server.out(),
            Self::Ttstream(server) => server.out(),
        }
    }
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    service: Service,
    blocked: bool,
}

/// Why a connection is over.
#[derive(Debug)]
enum End {
    Closed,
    Failed(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Connection {
    /// Takes what came, answers it, writes the answers; what the socket has to wait for from now on, if that changes.
    fn serve(&mut self, event: Ready, scratch: &mut [u8]) -> Result<Option<Interest>, End> {
        if event.readable {
            match self.stream.read(scratch) {
                Ok(0) => return Err(End::Closed),
                Ok(len) => {
                    let came = scratch.get(..len).unwrap_or_default();
                    self.service.take(came).map_err(|fault| End::Failed(fault.to_string()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        let blocked = !self.service.out().flush(&self.stream)?;
        if std::mem::replace(&mut self.blocked, blocked) == blocked {
            return Ok(None);
        }
        Ok(Some(if blocked { Interest::ReadWrite } else { Interest::Read }))
    }
}
