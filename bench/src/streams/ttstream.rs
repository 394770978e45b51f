//! ttstream on both sides: the streams of a connection, and their echo. Frames are those of stock Kitex peers: integer
//! keys 9 (method) and 27 (frame type) on every frame, `isn` on the caller's header.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::grpc::{join, keep};
use super::http2::IdHasher;
use super::message::{Check, Message, be32};
use super::outbox::Outbox;
use super::{Fault, Kind, Progress, Writes};

const METHOD: &[u8] = b"Chat";
const SERVICE: &[u8] = b"Echo";

/// LENGTH, magic, flags, stream id, header size.
const FIXED_LEN: usize = 14;
/// What LENGTH counts of them.
const COUNTED_LEN: usize = 10;
const MAGIC_AND_FLAGS: [u8; 4] = [0x10, 0x00, 0x00, 0x02];
/// Far above anything sent here.
const PAYLOAD_MAX: usize = 32 << 20;

/// Integer key 27, the frame's type.
const FRAME_TYPE: u16 = 27;
const TO_METHOD: u16 = 9;

const HEADER: u8 = b'2';
const DATA: u8 = b'3';
const TRAILER: u8 = b'4';
const RST: u8 = b'5';

/// A whole frame.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    id: u32,
    info: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    fn take(bytes: &mut &'a [u8]) -> Result<Option<Self>, Fault> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_LEN>() else { return Ok(None) };
        let [l0, l1, l2, l3, m0, m1, f0, f1, i0, i1, i2, i3, w0, w1] = *fixed;
        if [m0, m1] != [0x10, 0x00] || f1 & 0x02 == 0 || f0 & 0x80 != 0 {
            return Err(Fault::Ttstream("not a frame"));
        }
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let info_len = usize::from(u16::from_be_bytes([w0, w1])).saturating_mul(4);
        let Some(payload_len) = length.checked_sub(COUNTED_LEN).and_then(|len| len.checked_sub(info_len)) else {
            return Err(Fault::Ttstream("LENGTH is smaller than the header"));
        };
        if payload_len > PAYLOAD_MAX {
            return Err(Fault::Ttstream("a frame over 32 MiB"));
        }
        let Some((info, rest)) = rest.split_at_checked(info_len) else { return Ok(None) };
        let Some((payload, rest)) = rest.split_at_checked(payload_len) else { return Ok(None) };
        *bytes = rest;
        Ok(Some(Self { id: u32::from_be_bytes([i0, i1, i2, i3]), info, payload }))
    }
}

/// What the info of a frame says, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Info {
    kind: u8,
    /// Integer key 9 is the method of the harness.
    is_method: bool,
    /// `isn` is its service.
    is_service: bool,
    biz_status: Option<String>,
}

/// Reads infos; most are the same bytes as one before.
#[derive(Debug, Default)]
struct Reader {
    known: Vec<(Vec<u8>, Info)>,
}

impl Reader {
    fn read(&mut self, info: &[u8]) -> Result<&Info, Fault> {
        const KNOWN_MAX: usize = 8;
        if let Some(place) = self.known.iter().position(|(bytes, _)| bytes == info) {
            return self.known.get(place).map(|(_, info)| info).ok_or(Fault::Ttstream("no such info"));
        }
        let parsed = parse_info(info).ok_or(Fault::Ttstream("info does not decode"))?;
        self.known.truncate(KNOWN_MAX.saturating_sub(1));
        self.known.insert(0, (info.to_vec(), parsed));
        self.known.first().map(|(_, info)| info).ok_or(Fault::Ttstream("no such info"))
    }
}

fn parse_info(info: &[u8]) -> Option<Info> {
    let mut parsed = Info::default();
    let (head, mut rest) = info.split_first_chunk::<2>()?;
    let [_, transforms] = *head;
    rest = rest.get(usize::from(transforms)..)?;
    while let Some((&block, after)) = rest.split_first() {
        rest = after;
        match block {
            0x00 => {}
            0x01 => {
                for _ in 0..take_u16(&mut rest)? {
                    let (key, value) = (take_string(&mut rest)?, take_string(&mut rest)?);
                    match key {
                        b"isn" => parsed.is_service = value == SERVICE,
                        b"biz-status" => parsed.biz_status = Some(String::from_utf8_lossy(value).into_owned()),
                        _ => {}
                    }
                }
            }
            0x10 => {
                for _ in 0..take_u16(&mut rest)? {
                    let (key, value) = (take_u16(&mut rest)?, take_string(&mut rest)?);
                    match (key, value) {
                        (TO_METHOD, value) => parsed.is_method = value == METHOD,
                        (FRAME_TYPE, [kind]) => parsed.kind = *kind,
                        _ => {}
                    }
                }
            }
            0x11 => {
                take_string(&mut rest)?;
            }
            _ => return None,
        }
    }
    Some(parsed)
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    let (value, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u16::from_be_bytes(*value))
}

fn take_string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::from(take_u16(bytes)?);
    let (value, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(value)
}

/// The bytes in front of a payload, ready but for LENGTH and the stream id.
#[derive(Debug)]
struct Template(Vec<u8>);

impl Template {
    fn new(kind: u8, service: Option<&[u8]>) -> Self {
        const PROTOCOL_STRUCT: u8 = 0x10;
        let mut info = vec![PROTOCOL_STRUCT, 0];
        if let Some(service) = service {
            info.extend_from_slice(&[0x01, 0, 1]);
            push_string(b"isn", &mut info);
            push_string(service, &mut info);
        }
        info.extend_from_slice(&[0x10, 0, 2]);
        info.extend_from_slice(&TO_METHOD.to_be_bytes());
        push_string(METHOD, &mut info);
        info.extend_from_slice(&FRAME_TYPE.to_be_bytes());
        push_string(&[kind], &mut info);
        info.resize(info.len().next_multiple_of(4), 0);

        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&MAGIC_AND_FLAGS);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&u16::try_from(info.len() / 4).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&info);
        Self(bytes)
    }

    /// Appends the frame; stock peers flush each frame as they write it.
    fn send(&self, id: u32, payload: &[u8], out: &mut Outbox) {
        self.push(id, payload, &mut out.bytes);
        out.end_message();
    }

    fn push(&self, id: u32, payload: &[u8], out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&self.0);
        out.extend_from_slice(payload);
        let length = out.len().saturating_sub(at).saturating_sub(4);
        let Some(fixed) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<FIXED_LEN>()) else { return };
        let [l0, l1, l2, l3, _, _, _, _, i0, i1, i2, i3, ..] = fixed;
        [*l0, *l1, *l2, *l3] = be32(length);
        [*i0, *i1, *i2, *i3] = id.to_be_bytes();
    }
}

fn push_string(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value);
}

/// A connection of the load generator. The stream of a slot has the slot's number plus one as its id.
#[derive(Debug)]
pub(super) struct Client {
    out: Outbox,
    stash: Vec<u8>,
    infos: Reader,
    message: Message,
    slots: Vec<Slot>,
    header: Template,
    data: Template,
    trailer: Template,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    opened: bool,
    check: Check,
    answered: bool,
    has_header: bool,
    half_closed: bool,
    ended: bool,
}

impl Client {
    pub(super) fn new(size: usize, slots: usize, writes: Writes) -> Self {
        Self {
            out: Outbox::new(writes),
            stash: Vec::new(),
            infos: Reader::default(),
            message: Message::new(Kind::Ttstream, size),
            slots: vec![Slot::default(); slots],
            header: Template::new(HEADER, Some(SERVICE)),
            data: Template::new(DATA, None),
            trailer: Template::new(TRAILER, None),
        }
    }

    pub(super) fn out(&mut self) -> &mut Outbox {
        &mut self.out
    }

    /// Sends the next message of a slot, behind the header of its stream the first time.
    pub(super) fn send(&mut self, index: usize, stamp: u64) {
        let id = id_of(index);
        let Some(slot) = self.slots.get_mut(index) else { return };
        if !std::mem::replace(&mut slot.opened, true) {
            self.header.send(id, &[], &mut self.out);
        }
        slot.check = Check::new(stamp);
        slot.answered = false;
        self.data.send(id, self.message.stamped(stamp), &mut self.out);
    }

    /// Half closes the stream of a slot.
    pub(super) fn finish(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.half_closed = true;
            self.trailer.send(id_of(index), &[], &mut self.out);
        }
    }

    /// Takes what came from the socket.
    pub(super) fn take(&mut self, came: &[u8], progress: &mut Vec<Progress>) -> Result<(), Fault> {
        let mut whole = std::mem::take(&mut self.stash);
        let mut rest = join(&mut whole, came);
        while let Some(frame) = Frame::take(&mut rest)? {
            let info = self.infos.read(frame.info)?;
            let index = usize::try_from(frame.id).ok().and_then(|id| id.checked_sub(1)).unwrap_or(usize::MAX);
            let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.opened && !slot.ended) else {
                return Err(Fault::Ttstream("a frame of a stream that is not open"));
            };
            match info.kind {
                HEADER if !slot.has_header => slot.has_header = true,
                DATA if slot.has_header => {
                    slot.check.feed(frame.payload, &mut self.message)?;
                    slot.check.end(&self.message)?;
                    if std::mem::replace(&mut slot.answered, true) {
                        return Err(Fault::Ttstream("two answers"));
                    }
                    progress.push(Progress::Answered(index));
                }
                TRAILER if slot.has_header => {
                    if let Some(status) = &info.biz_status {
                        return Err(Fault::Failed(format!("biz-status {status}")));
                    }
                    if !frame.payload.is_empty() {
                        return Err(Fault::Failed(letters(frame.payload)));
                    }
                    if !slot.half_closed {
                        return Err(Fault::Ttstream("a trailer in front of the caller's"));
                    }
                    slot.ended = true;
                    progress.push(Progress::Ended(index));
                }
                RST => return Err(Fault::Failed(format!("rst {}", letters(frame.payload)))),
                TRAILER => return Err(Fault::Failed(format!("trailer without header: {}", letters(frame.payload)))),
                _ => return Err(Fault::Ttstream("a frame at the wrong time")),
            }
        }
        let left = rest.len();
        self.stash = keep(whole, came, left);
        Ok(())
    }
}

/// A connection of the backend.
#[derive(Debug)]
pub(super) struct Server {
    out: Outbox,
    stash: Vec<u8>,
    infos: Reader,
    /// Live streams, and whether their header was sent.
    streams: HashMap<u32, bool, BuildHasherDefault<IdHasher>>,
    header: Template,
    data: Template,
    trailer: Template,
}

impl Server {
    pub(super) fn new(writes: Writes) -> Self {
        Self {
            out: Outbox::new(writes),
            stash: Vec::new(),
            infos: Reader::default(),
            streams: HashMap::default(),
            header: Template::new(HEADER, None),
            data: Template::new(DATA, None),
            trailer: Template::new(TRAILER, None),
        }
    }

    pub(super) fn out(&mut self) -> &mut Outbox {
        &mut self.out
    }

    /// Takes what came from the socket, and answers what is whole.
    pub(super) fn take(&mut self, came: &[u8]) -> Result<(), Fault> {
        let mut whole = std::mem::take(&mut self.stash);
        let mut rest = join(&mut whole, came);
        while let Some(frame) = Frame::take(&mut rest)? {
            let info = self.infos.read(frame.info)?;
            if info.kind == HEADER {
                if !info.is_method || !info.is_service {
                    return Err(Fault::Ttstream("not a stream of ours"));
                }
                if self.streams.insert(frame.id, false).is_some() {
                    return Err(Fault::Ttstream("a second header"));
                }
                continue;
            }
            let Some(header_sent) = self.streams.get_mut(&frame.id) else {
                // A caller that is told to end by an rst, or that ends twice, says something about a stream that is over.
                continue;
            };
            match info.kind {
                DATA | TRAILER => {
                    if !std::mem::replace(header_sent, true) {
                        self.header.send(frame.id, &[], &mut self.out);
                    }
                    if info.kind == DATA {
                        self.data.send(frame.id, frame.payload, &mut self.out);
                        continue;
                    }
                    if !frame.payload.is_empty() {
                        return Err(Fault::Failed(letters(frame.payload)));
                    }
                    self.trailer.send(frame.id, &[], &mut self.out);
                    self.streams.remove(&frame.id);
                }
                RST => {
                    self.streams.remove(&frame.id);
                }
                _ => return Err(Fault::Ttstream("a frame of an unknown type")),
            }
        }
        let left = rest.len();
        self.stash = keep(whole, came, left);
        Ok(())
    }
}

fn id_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(0).saturating_add(1)
}

/// The letters of an exception, so that its text can be read.
fn letters(payload: &[u8]) -> String {
    let letter = |&byte: &u8| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '.' };
    payload.iter().take(200).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back() {
        for (kind, service) in [(HEADER, Some(SERVICE)), (DATA, None), (TRAILER, None)] {
            let mut out = Vec::new();
            Template::new(kind, service).push(7, b"xyz", &mut out);
            for cut in 0..out.len() {
                assert!(Frame::take(&mut &out[..cut]).unwrap().is_none());
            }
            let frame = Frame::take(&mut &out[..]).unwrap().unwrap();
            assert_eq!((frame.id, frame.payload), (7, &b"xyz"[..]));
            let info = parse_info(frame.info).unwrap();
            assert_eq!((info.kind, info.is_method, info.is_service), (kind, true, service.is_some()));
        }
    }

    #[test]
    fn an_echo_is_told_from_an_exception() {
        let mut client = Client::new(64, 1, Writes::Each);
        let mut server = Server::new(Writes::Each);
        let mut progress = Vec::new();
        client.send(0, 1);
        server.take(&std::mem::take(&mut client.out().bytes)).unwrap();
        client.take(&std::mem::take(&mut server.out().bytes), &mut progress).unwrap();
        client.send(0, 2);
        client.finish(0);
        server.take(&std::mem::take(&mut client.out().bytes)).unwrap();
        client.take(&std::mem::take(&mut server.out().bytes), &mut progress).unwrap();
        assert_eq!(progress, [Progress::Answered(0), Progress::Answered(0), Progress::Ended(0)]);

        let mut client = Client::new(64, 1, Writes::Each);
        client.send(0, 1);
        let mut answer = Vec::new();
        Template::new(HEADER, None).push(1, &[], &mut answer);
        Template::new(TRAILER, None).push(1, b"\x80\x01\0\x03gone", &mut answer);
        assert!(matches!(client.take(&answer, &mut progress), Err(Fault::Failed(_))));
    }
}
