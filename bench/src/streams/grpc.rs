//! gRPC on both sides: the calls of a connection, and their echo.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;

use super::http2::decode::Reader;
use super::http2::encode::{CHAT_REQUEST, RESPONSE, TRAILERS, UNARY_REQUEST};
use super::http2::frame::Frame;
use super::http2::{Event, Http2, IdHasher, Then};
use super::message::{Check, Message};
use super::outbox::Outbox;
use super::{Fault, Kind, Progress, Writes};

/// gRPC's flag and length.
const PREFIX_LEN: usize = 5;

/// A connection of the load generator.
pub(super) struct Client {
    http2: Http2,
    headers: Reader,
    unary: bool,
    message: Message,
    next_id: u32,
    slots: Vec<Slot>,
    /// The beginning of a frame whose end has not come.
    stash: Vec<u8>,
}

/// A place for one stream at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    id: u32,
    check: Check,
    answered: bool,
    has_headers: bool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("http2", &self.http2).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(kind: Kind, size: usize, slots: usize, writes: Writes) -> Self {
        Self {
            http2: Http2::client(writes),
            headers: Reader::default(),
            unary: kind.is_unary(),
            message: Message::new(kind, size),
            next_id: 1,
            slots: vec![Slot::default(); slots],
            stash: Vec::new(),
        }
    }

    pub(super) fn out(&mut self) -> &mut Outbox {
        &mut self.http2.out
    }

    /// Sends the next message of a slot, on a new stream where there is none.
    pub(super) fn send(&mut self, index: usize, stamp: u64) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if self.unary || slot.id == 0 {
            slot.id = self.next_id;
            slot.has_headers = false;
            self.next_id = self.next_id.saturating_add(2);
            self.http2.open(slot.id, index, if self.unary { UNARY_REQUEST } else { CHAT_REQUEST });
        }
        slot.check = Check::new(stamp);
        slot.answered = false;
        let then = if self.unary { Then::End } else { Then::Stay };
        self.http2.send(slot.id, self.message.stamped(stamp), then);
    }

    /// Half closes the stream of a slot.
    pub(super) fn finish(&mut self, index: usize) {
        if let Some(slot) = self.slots.get(index) {
            self.http2.finish(slot.id, Then::End);
        }
    }

    /// Takes what came from the socket.
    pub(super) fn take(&mut self, came: &[u8], progress: &mut Vec<Progress>) -> Result<(), Fault> {
        let mut whole = std::mem::take(&mut self.stash);
        let mut rest = join(&mut whole, came);
        while let Some(frame) = Frame::take(&mut rest)? {
            match self.http2.handle(frame)? {
                None => {}
                Some(Event::Headers { id, tag, block, end }) => self.on_headers(id, tag, block, end, progress)?,
                Some(Event::Data { tag, bytes, end, .. }) => self.on_data(tag, bytes, end, progress)?,
                Some(Event::Reset { code }) => return Err(Fault::Reset(code)),
                Some(Event::GoAway { code }) => return Err(Fault::GoAway(code)),
            }
        }
        let left = rest.len();
        self.stash = keep(whole, came, left);
        Ok(())
    }

    fn on_headers(
        &mut self,
        id: u32,
        tag: usize,
        block: &[u8],
        end: bool,
        progress: &mut Vec<Progress>,
    ) -> Result<(), Fault> {
        // Read in any case: the table must not miss a block.
        let head = self.headers.read(block)?;
        let Some(slot) = self.slots.get_mut(tag).filter(|slot| slot.id == id) else {
            return Err(Fault::Http2("headers of a stream that is not open"));
        };
        if !std::mem::replace(&mut slot.has_headers, true) {
            if head.status != Some(200) || !head.is_grpc {
                return Err(Fault::Headers(format!("not the headers of a gRPC answer: {head:?}")));
            }
            if !end {
                return Ok(());
            }
        } else if !end {
            return Err(Fault::Http2("headers in the middle of a stream"));
        }
        match head.grpc_status {
            Some(0) => {}
            Some(status) => return Err(Fault::Status(status)),
            None => return Err(Fault::Headers("trailers without grpc-status".to_owned())),
        }
        slot.check.end(&self.message)?;
        self.http2.close(id);
        progress.push(if self.unary { Progress::Answered(tag) } else { Progress::Ended(tag) });
        Ok(())
    }

    fn on_data(&mut self, tag: usize, bytes: &[u8], end: bool, progress: &mut Vec<Progress>) -> Result<(), Fault> {
        let Some(slot) = self.slots.get_mut(tag).filter(|slot| slot.has_headers) else {
            return Err(Fault::Http2("DATA in front of headers"));
        };
        if end {
            return Err(Fault::Http2("an answer that ends without trailers"));
        }
        slot.check.feed(bytes, &mut self.message)?;
        if !self.unary && slot.check.is_whole(&self.message) && !std::mem::replace(&mut slot.answered, true) {
            progress.push(Progress::Answered(tag));
        }
        Ok(())
    }
}

/// A connection of the backend.
pub(super) struct Server {
    http2: Http2,
    headers: Reader,
    greeted: bool,
    calls: HashMap<u32, Call, BuildHasherDefault<IdHasher>>,
    stash: Vec<u8>,
}

#[derive(Debug)]
struct Call {
    unary: bool,
    has_headers: bool,
    /// A message whose end, or whose stream's end, has not come.
    inbox: Vec<u8>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("http2", &self.http2).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(writes: Writes) -> Self {
        Self {
            http2: Http2::server(writes),
            headers: Reader::default(),
            greeted: false,
            calls: HashMap::default(),
            stash: Vec::new(),
        }
    }

    pub(super) fn out(&mut self) -> &mut Outbox {
        &mut self.http2.out
    }

    /// Takes what came from the socket, and answers what is whole.
    pub(super) fn take(&mut self, mut came: &[u8]) -> Result<(), Fault> {
        if !self.greeted {
            self.greeted = self.http2.take_preface(&mut came)?;
        }
        let mut whole = std::mem::take(&mut self.stash);
        let mut rest = join(&mut whole, came);
        while let Some(frame) = Frame::take(&mut rest)? {
            match self.http2.handle(frame)? {
                None => {}
                Some(Event::Headers { id, block, end, .. }) => self.on_headers(id, block, end)?,
                Some(Event::Data { id, bytes, end, .. }) => self.on_data(id, bytes, end)?,
                Some(Event::Reset { code }) => return Err(Fault::Reset(code)),
                // What is under way is still answered.
                Some(Event::GoAway { .. }) => {}
            }
        }
        let left = rest.len();
        self.stash = keep(whole, came, left);
        Ok(())
    }

    fn on_headers(&mut self, id: u32, block: &[u8], end: bool) -> Result<(), Fault> {
        let head = self.headers.read(block)?;
        if self.calls.contains_key(&id) {
            return Err(Fault::Http2("a request with trailers"));
        }
        let Some(unary) = head.unary.filter(|_| head.is_grpc) else {
            return Err(Fault::Headers(format!("not a request of ours: {head:?}")));
        };
        if end {
            return Err(Fault::Http2("a request without a message"));
        }
        self.http2.accept(id, 0);
        self.calls.insert(id, Call { unary, has_headers: false, inbox: Vec::new() });
        Ok(())
    }

    fn on_data(&mut self, id: u32, bytes: &[u8], end: bool) -> Result<(), Fault> {
        let Some(call) = self.calls.get_mut(&id) else { return Err(Fault::Http2("DATA of an unknown call")) };
        let mut inbox = std::mem::take(&mut call.inbox);
        if inbox.capacity() == 0
            && let Some(prefix) = bytes.first_chunk()
        {
            inbox.reserve(message_len(prefix).filter(|&len| len > bytes.len()).unwrap_or(0));
        }
        let mut rest = join(&mut inbox, bytes);
        while let Some(message) = whole_message(&mut rest, call.unary && !end)? {
            if !std::mem::replace(&mut call.has_headers, true) {
                self.http2.headers(id, RESPONSE, false);
            }
            self.http2.send(id, message, if call.unary { TRAIL } else { Then::Stay });
        }
        let left = rest.len();
        if !end {
            call.inbox = keep(inbox, bytes, left);
            return Ok(());
        }
        if left > 0 || !call.has_headers {
            return Err(Fault::Http2("a request that ends within a message"));
        }
        if !call.unary {
            self.http2.finish(id, TRAIL);
        }
        self.calls.remove(&id);
        Ok(())
    }
}

const TRAIL: Then = Then::Trailers(TRAILERS);

/// Takes a message with its prefix off the front; none if it is not whole, or is to be kept.
fn whole_message<'a>(bytes: &mut &'a [u8], keep: bool) -> Result<Option<&'a [u8]>, Fault> {
    let Some(prefix) = bytes.first_chunk::<PREFIX_LEN>() else { return Ok(None) };
    let len = message_len(prefix).ok_or(Fault::Http2("a compressed message"))?;
    if keep {
        return Ok(None);
    }
    let Some((message, rest)) = bytes.split_at_checked(len) else { return Ok(None) };
    *bytes = rest;
    Ok(Some(message))
}

/// Length of a message with its prefix; none if it is compressed.
fn message_len(prefix: &[u8; PREFIX_LEN]) -> Option<usize> {
    let [flag, length @ ..] = *prefix;
    if flag != 0 {
        return None;
    }
    usize::try_from(u32::from_be_bytes(length)).ok()?.checked_add(PREFIX_LEN)
}

/// `came` behind what was kept; without a copy if nothing was.
pub(super) fn join<'a>(kept: &'a mut Vec<u8>, came: &'a [u8]) -> &'a [u8] {
    if kept.is_empty() {
        return came;
    }
    kept.extend_from_slice(came);
    kept
}

/// The last `left` bytes of what [`join`] gave, in the buffer they are kept in.
pub(super) fn keep(mut buffer: Vec<u8>, came: &[u8], left: usize) -> Vec<u8> {
    if buffer.is_empty() {
        buffer.extend_from_slice(came.get(came.len().saturating_sub(left)..).unwrap_or_default());
    } else {
        buffer.drain(..buffer.len().saturating_sub(left));
    }
    buffer
}
