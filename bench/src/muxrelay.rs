//! The lower bound of a multiplexing proxy: frames of all callers on one upstream connection, sequence ids replaced on
//! the way there and restored on the way back, one write per connection and turn. It routes nothing, times nothing out,
//! and ends with its upstream connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::backend::request::{Found, find};
use crate::poll::{Interest, Poller, Ready, listen};

const LISTENER: usize = 0;
const UPSTREAM: usize = 1;
const FIRST_CALLER: usize = 2;
const READ_LEN: usize = 256 << 10;

/// A bound relay with its upstream connection.
#[derive(Debug)]
pub struct MuxRelay {
    listener: TcpListener,
    upstream: TcpStream,
}

impl MuxRelay {
    /// Binds `address` and connects to `upstream`.
    ///
    /// # Errors
    /// When either fails.
    pub fn bind(address: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        let listener = listen(address)?;
        let upstream = TcpStream::connect(upstream)?;
        upstream.set_nodelay(true)?;
        upstream.set_nonblocking(true)?;
        Ok(Self { listener, upstream })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the kernel cannot say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Relays for `lifetime`, or until the upstream connection ends.
    ///
    /// # Errors
    /// When epoll, `accept` or the upstream connection fail; a caller that breaks ends alone.
    pub fn serve(self, lifetime: Duration) -> io::Result<()> {
        let start = Instant::now();
        let mut poller = Poller::new()?;
        poller.add(&self.listener, LISTENER, Interest::Read)?;
        poller.add(&self.upstream, UPSTREAM, Interest::Read)?;
        let mut hub =
            Hub { upstream: Peer::new(self.upstream), callers: Vec::new(), calls: Vec::new(), free: Vec::new() };
        let mut scratch = vec![0; READ_LEN];
        let mut ready: Vec<Ready> = Vec::with_capacity(1024);
        // Who has something to be written at the end of the turn.
        let mut due: Vec<usize> = Vec::new();
        while let Some(left) = lifetime.checked_sub(start.elapsed()) {
            poller.wait(Some(left), &mut ready)?;
            due.clear();
            for event in &ready {
                match event.token {
                    LISTENER => accept(&self.listener, &poller, &mut hub)?,
                    UPSTREAM if event.readable => hub.replies(&mut scratch, &mut due)?,
                    UPSTREAM => {}
                    token => hub.requests(token, event.readable, &mut scratch),
                }
                if event.writable {
                    due.push(event.token);
                }
            }
            hub.flush(&poller, &due)?;
        }
        Ok(())
    }
}

fn accept(listener: &TcpListener, poller: &Poller, hub: &mut Hub) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        poller.add(&stream, FIRST_CALLER.saturating_add(hub.callers.len()), Interest::Read)?;
        // Numbers are not used again, so that a late reply never reaches a stranger.
        hub.callers.push(Some(Peer::new(stream)));
    }
}

/// A call between request and reply.
#[derive(Clone, Copy, Debug)]
struct Call {
    caller: usize,
    seqid: u32,
}

#[derive(Debug)]
struct Hub {
    upstream: Peer,
    callers: Vec<Option<Peer>>,
    /// By sequence id on the upstream connection, less one.
    calls: Vec<Call>,
    free: Vec<u32>,
}

impl Hub {
    fn caller(&mut self, token: usize) -> Option<&mut Peer> {
        self.callers.get_mut(token.checked_sub(FIRST_CALLER)?)?.as_mut()
    }

    /// Passes on what a caller has sent.
    fn requests(&mut self, token: usize, readable: bool, scratch: &mut [u8]) {
        if !readable {
            return;
        }
        let Some(mut caller) = token.checked_sub(FIRST_CALLER).and_then(|slot| self.callers.get_mut(slot)?.take())
        else {
            return;
        };
        let result = caller.read(scratch, |message, request| {
            let start = self.upstream.out.len();
            self.upstream.out.extend_from_slice(message);
            let call = Call { caller: token, seqid: 0 };
            let slot = match self.free.pop() {
                Some(slot) => slot,
                None => {
                    self.calls.push(call);
                    u32::try_from(self.calls.len()).unwrap_or(u32::MAX)
                }
            };
            let copy = self.upstream.out.get_mut(start..).unwrap_or_default();
            if let (Some(seqid), Some(place)) = (request.swap_seqid(copy, slot), entry(&mut self.calls, slot)) {
                *place = Call { caller: token, seqid };
            }
        });
        if let Some(place) = token.checked_sub(FIRST_CALLER).and_then(|slot| self.callers.get_mut(slot))
            && result.is_ok()
        {
            *place = Some(caller);
        }
    }

    /// Passes on what the backend has answered.
    fn replies(&mut self, scratch: &mut [u8], due: &mut Vec<usize>) -> io::Result<()> {
        let Self { upstream, callers, calls, free } = self;
        upstream.read(scratch, |message, reply| {
            let mut head = [0; 256];
            let len = message.len().min(head.len());
            // The sequence id is read from a copy of the head, and restored in the caller's buffer.
            let Some(copy) = head.get_mut(..len) else { return };
            copy.copy_from_slice(message.get(..len).unwrap_or_default());
            let Some(slot) = reply.swap_seqid(copy, 0) else { return };
            let Some(call) = entry(calls, slot).copied() else { return };
            free.push(slot);
            let caller = call.caller.checked_sub(FIRST_CALLER).and_then(|slot| callers.get_mut(slot)?.as_mut());
            let Some(caller) = caller else { return };
            let start = caller.out.len();
            if start == 0 {
                due.push(call.caller);
            }
            caller.out.extend_from_slice(message);
            reply.swap_seqid(caller.out.get_mut(start..).unwrap_or_default(), call.seqid);
        })
    }

    fn flush(&mut self, poller: &Poller, due: &[usize]) -> io::Result<()> {
        if let Some(interest) = self.upstream.flush()? {
            poller.modify(&self.upstream.stream, UPSTREAM, interest)?;
        }
        for &token in due {
            let Some(caller) = self.caller(token) else { continue };
            match caller.flush() {
                Ok(Some(interest)) => poller.modify(&caller.stream, token, interest)?,
                Ok(None) => {}
                Err(_) => {
                    if let Some(place) = token.checked_sub(FIRST_CALLER).and_then(|slot| self.callers.get_mut(slot)) {
                        *place = None;
                    }
                }
            }
        }
        Ok(())
    }
}

fn entry(calls: &mut [Call], slot: u32) -> Option<&mut Call> {
    calls.get_mut(usize::try_from(slot).ok()?.checked_sub(1)?)
}

/// A connection with what has come in part and what has to go out.
#[derive(Debug)]
struct Peer {
    stream: TcpStream,
    stash: Vec<u8>,
    out: Vec<u8>,
    written: usize,
    blocked: bool,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        Self { stream, stash: Vec::new(), out: Vec::new(), written: 0, blocked: false }
    }

    /// Reads once, and hands every whole message to `each`.
    fn read(
        &mut self,
        scratch: &mut [u8],
        mut each: impl FnMut(&[u8], crate::backend::request::Request),
    ) -> io::Result<()> {
        let len = match self.stream.read(scratch) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let came = scratch.get(..len).unwrap_or_default();
        let mut stash = std::mem::take(&mut self.stash);
        let mut rest = if stash.is_empty() {
            came
        } else {
            stash.extend_from_slice(came);
            stash.as_slice()
        };
        loop {
            match find(rest) {
                Found::Request(request) => {
                    let (message, after) = rest.split_at_checked(request.len).unwrap_or((rest, &[]));
                    each(message, request);
                    rest = after;
                }
                Found::Needs(_) => break,
                Found::Garbage => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        self.stash.extend_from_slice(rest);
        Ok(())
    }

    /// Writes what there is; what the socket has to wait for from now on, if that changes.
    fn flush(&mut self) -> io::Result<Option<Interest>> {
        let unsent = self.out.get(self.written..).unwrap_or_default();
        if !unsent.is_empty() {
            match self.stream.write(unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.written = self.written.saturating_add(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let done = self.written == self.out.len();
        if done {
            self.out.clear();
            self.written = 0;
        }
        let changed = self.blocked == done;
        self.blocked = !done;
        Ok(changed.then_some(if done { Interest::Read } else { Interest::ReadWrite }))
    }
}
