//! From messages to JSON, in two steps per message: where its fields are, then what they are. The second goes by
//! number, so that it does not matter in which order and in how many pieces the first found them.

use std::ops::Range;

use crate::error::{Error, ErrorKind};
use crate::path::Step;
use crate::protobuf::json::{invalid, push_text};
use crate::protobuf::options::PbOptions;
use crate::protobuf::schema::{Field, Kind, Message, PbMessage, Schema, Shape};
use crate::protobuf::wire::{Part, Raw, Reader, WireType, low_u32, unzigzag};

pub(super) struct Decoder<'d, 'a> {
    schema: &'d Schema,
    options: &'d PbOptions,
    out: &'d mut Vec<u8>,
    /// What was found of the messages that are being read, the outermost first.
    found: Vec<Found<'a>>,
}

/// A field's value, or a packed piece of a list.
#[derive(Clone, Copy, Debug)]
struct Found<'a> {
    /// The field's place in its message.
    field: usize,
    raw: Raw<'a>,
    /// Whether it is a packed piece.
    packed: bool,
    at: usize,
}

/// The key of a map's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    Text(&'a str),
}

impl<'d, 'a> Decoder<'d, 'a> {
    pub(super) fn new(schema: &'d Schema, options: &'d PbOptions, out: &'d mut Vec<u8>) -> Self {
        Self { schema, options, out, found: Vec::new() }
    }

    pub(super) fn root(&mut self, message: PbMessage, bytes: &'a [u8]) -> Result<(), Error> {
        self.message(message, &[Part { bytes, at: 0 }], 1)
    }

    /// A message, in one piece or in several that are merged.
    fn message(&mut self, message: PbMessage, parts: &[Part<'a>], depth: usize) -> Result<(), Error> {
        if depth > self.options.max_depth {
            return Err(Error::new(ErrorKind::Depth { limit: self.options.max_depth }));
        }
        let message = self.schema.message(message);
        let base = self.scan(message, parts, depth)?;
        self.out.push(b'{');
        let mut first = true;
        let mut at = base;
        while let Some(&Found { field, .. }) = self.found.get(at) {
            let same = self.found.iter().skip(at).take_while(|found| found.field == field).count();
            let range = at..at.saturating_add(same);
            at = range.end;
            let Some(field) = message.fields.get(field) else { continue };
            // A packed list may be there, and empty.
            if field.shape == Shape::List && self.is_empty_list(range.clone()) {
                continue;
            }
            if !first {
                self.out.push(b',');
            }
            first = false;
            self.out.extend_from_slice(&field.json_key);
            self.field(field, range, depth).map_err(|error| error.inside(Step::Field(field.json_name.clone())))?;
        }
        self.out.push(b'}');
        self.found.truncate(base);
        Ok(())
    }

    /// Finds the fields of a message, by number, and in one field in order; they are behind what was found before.
    fn scan(&mut self, message: &Message, parts: &[Part<'a>], depth: usize) -> Result<usize, Error> {
        let base = self.found.len();
        let mut next = 0_usize;
        let mut last = 0_usize;
        let mut sorted = true;
        for part in parts {
            let mut reader = Reader::new(*part);
            while !reader.is_empty() {
                let at = reader.at();
                let (number, ty) = reader.tag()?;
                let raw = reader.value(number, ty, self.options.max_depth.saturating_sub(depth))?;
                let Some(place) = message.position(number, next) else { continue };
                let Some(field) = message.fields.get(place) else { continue };
                let packed = ty == WireType::Len && field.shape == Shape::List && field.kind.is_packable();
                if ty != field.wire_type() && !packed {
                    continue;
                }
                sorted &= place >= last;
                last = place;
                // What comes next is the same field or the one behind it, mostly.
                next = if field.shape == Shape::Singular { place.saturating_add(1) } else { place };
                self.found.push(Found { field: place, raw, packed, at });
            }
        }
        if message.oneofs > 0 {
            self.settle_oneofs(message, base);
        }
        if !sorted && let Some(found) = self.found.get_mut(base..) {
            found.sort_by_key(|found| found.field);
        }
        Ok(base)
    }

    /// Of a oneof the member that came last counts, and of that only what came after all others.
    fn settle_oneofs(&mut self, message: &Message, base: usize) {
        let mut winners: Vec<(Option<usize>, bool)> = vec![(None, false); message.oneofs];
        let keep = |found: &Found<'_>| {
            let oneof = message.fields.get(found.field).and_then(|field| field.oneof);
            let Some((winner, beaten)) = oneof.and_then(|oneof| winners.get_mut(oneof)) else { return true };
            *beaten |= *winner.get_or_insert(found.field) != found.field;
            !*beaten
        };
        let mut kept: Vec<_> = self.found.drain(base..).rev().filter(keep).collect();
        kept.reverse();
        self.found.append(&mut kept);
    }

    /// Only packed pieces can be without elements, and only those of no bytes are.
    fn is_empty_list(&self, range: Range<usize>) -> bool {
        let is_empty =
            |found: &Found<'_>| found.packed && matches!(found.raw, Raw::Bytes(part) if part.bytes.is_empty());
        self.found.get(range).unwrap_or_default().iter().all(is_empty)
    }

    fn field(&mut self, field: &Field, range: Range<usize>, depth: usize) -> Result<(), Error> {
        match field.shape {
            Shape::Singular => self.singular(field.kind, range, depth),
            Shape::List => self.list(field, range, depth),
            Shape::Map => self.map(field.kind, range, depth),
        }
    }

    /// The last of several values; all of them, if they are messages.
    fn singular(&mut self, kind: Kind, range: Range<usize>, depth: usize) -> Result<(), Error> {
        if let Kind::Message(message) = kind
            && range.len() > 1
        {
            let parts: Vec<_> = range.filter_map(|at| self.part(at)).collect();
            return self.message(message, &parts, depth.saturating_add(1));
        }
        match range.last().and_then(|at| self.found.get(at)) {
            Some(&Found { raw, at, .. }) => self.value(kind, raw, depth).map_err(|error| error.at(at)),
            None => Ok(()),
        }
    }

    fn list(&mut self, field: &Field, range: Range<usize>, depth: usize) -> Result<(), Error> {
        self.out.push(b'[');
        let mut index = 0_usize;
        for at in range {
            let Some(&Found { raw, packed, at, .. }) = self.found.get(at) else { continue };
            match raw {
                Raw::Bytes(part) if packed => {
                    let mut reader = Reader::new(part);
                    while !reader.is_empty() {
                        let at = reader.at();
                        let value = reader.bits(field.wire_type()).map(Raw::Bits);
                        let element = value.and_then(|value| self.element(field.kind, value, index, depth));
                        element.map_err(|error| error.at(at).inside(Step::Index(index)))?;
                        index = index.saturating_add(1);
                    }
                }
                _ => {
                    let element = self.element(field.kind, raw, index, depth);
                    element.map_err(|error| error.at(at).inside(Step::Index(index)))?;
                    index = index.saturating_add(1);
                }
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn element(&mut self, kind: Kind, raw: Raw<'a>, index: usize, depth: usize) -> Result<(), Error> {
        if index > 0 {
            self.out.push(b',');
        }
        self.value(kind, raw, depth)
    }

    /// Entries by key; of those with one key the last counts.
    fn map(&mut self, kind: Kind, range: Range<usize>, depth: usize) -> Result<(), Error> {
        let Kind::Message(id) = kind else { return Ok(()) };
        let depth = depth.saturating_add(1);
        if depth > self.options.max_depth {
            return Err(Error::new(ErrorKind::Depth { limit: self.options.max_depth }));
        }
        let entry = self.schema.message(id);
        let (Some(key_field), Some(value_field)) = (entry.field(1), entry.field(2)) else { return Ok(()) };
        let mut entries = Vec::with_capacity(range.len());
        for at in range {
            let Some(part) = self.part(at) else { continue };
            let key = self.key(entry, key_field.kind, part, depth).map_err(|error| error.at(part.at))?;
            entries.push((key, part));
        }
        entries.sort_by_key(|(key, _)| *key);
        self.out.push(b'{');
        let mut entries = entries.into_iter().peekable();
        let mut first = true;
        while let Some((key, part)) = entries.next() {
            if entries.peek().is_some_and(|(next, _)| *next == key) {
                continue;
            }
            if !first {
                self.out.push(b',');
            }
            first = false;
            self.put_key(key);
            self.out.push(b':');
            self.entry(entry, value_field.kind, part, depth)
                .map_err(|error| error.at(part.at).inside(Step::Entry(key.to_string().into())))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn key(&mut self, entry: &Message, kind: Kind, part: Part<'a>, depth: usize) -> Result<Key<'a>, Error> {
        let base = self.scan(entry, &[part], depth)?;
        let of_key = self.found.iter().skip(base).take_while(|found| found.field == 0);
        let raw = of_key.last().map(|found| found.raw);
        self.found.truncate(base);
        key(kind, raw.unwrap_or(Raw::Bits(0)))
    }

    /// An entry's value: that of its kind for nothing, if there is none.
    fn entry(&mut self, entry: &Message, kind: Kind, part: Part<'a>, depth: usize) -> Result<(), Error> {
        let base = self.scan(entry, &[part], depth)?;
        let end = self.found.len();
        let keys = self.found.iter().skip(base).take_while(|found| found.field == 0).count();
        let values = base.saturating_add(keys)..end;
        if values.is_empty() {
            self.nothing(kind, part, depth)?;
        } else {
            self.singular(kind, values, depth)?;
        }
        self.found.truncate(base);
        Ok(())
    }

    fn nothing(&mut self, kind: Kind, entry: Part<'a>, depth: usize) -> Result<(), Error> {
        let empty = Part { bytes: &[], at: entry.at };
        match kind {
            Kind::String | Kind::Bytes | Kind::Message(_) => self.value(kind, Raw::Bytes(empty), depth),
            Kind::Enum(of) => {
                self.put_enum(kind, self.schema.enumeration(of).default);
                Ok(())
            }
            _ => self.value(kind, Raw::Bits(0), depth),
        }
    }

    fn value(&mut self, kind: Kind, raw: Raw<'a>, depth: usize) -> Result<(), Error> {
        match raw {
            Raw::Bytes(part) => match kind {
                Kind::Message(message) => self.message(message, &[part], depth.saturating_add(1)),
                Kind::Bytes => {
                    self.out.push(b'"');
                    base64_simd::STANDARD.encode_append(part.bytes, self.out);
                    self.out.push(b'"');
                    Ok(())
                }
                _ => {
                    push_text(self.out, text(part)?);
                    Ok(())
                }
            },
            Raw::Bits(bits) => match kind {
                Kind::Bool => {
                    self.out.extend_from_slice(if bits == 0 { b"false" } else { b"true" });
                    Ok(())
                }
                Kind::Double => {
                    let value = f64::from_bits(bits);
                    self.put_float(value, zmij::Buffer::new().format(value), "double")
                }
                Kind::Float => {
                    let value = f32::from_bits(low_u32(bits));
                    self.put_float(value.into(), zmij::Buffer::new().format(value), "float")
                }
                Kind::Enum(_) => {
                    self.put_enum(kind, low_u32(bits).cast_signed());
                    Ok(())
                }
                _ => {
                    self.put_integer(kind, bits);
                    Ok(())
                }
            },
        }
    }

    fn put_integer(&mut self, kind: Kind, bits: u64) {
        let wide = matches!(kind, Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64);
        let quoted = wide && self.options.i64_as_text;
        if quoted {
            self.out.push(b'"');
        }
        self.put_number(integer(kind, bits));
        if quoted {
            self.out.push(b'"');
        }
    }

    fn put_number(&mut self, number: Key<'_>) {
        let mut buffer = itoa::Buffer::new();
        let text = match number {
            Key::Signed(value) => buffer.format(value),
            Key::Unsigned(value) => buffer.format(value),
            Key::Bool(true) => "true",
            Key::Bool(false) => "false",
            Key::Text(text) => text,
        };
        self.out.extend_from_slice(text.as_bytes());
    }

    fn put_key(&mut self, key: Key<'_>) {
        if let Key::Text(text) = key {
            return push_text(self.out, text);
        }
        self.out.push(b'"');
        self.put_number(key);
        self.out.push(b'"');
    }

    fn put_enum(&mut self, kind: Kind, number: i32) {
        let name = match kind {
            Kind::Enum(of) if self.options.enum_names => self.schema.enumeration(of).name(number),
            _ => None,
        };
        match name {
            Some(name) => push_text(self.out, name),
            None => self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    fn put_float(&mut self, value: f64, digits: &str, ty: &'static str) -> Result<(), Error> {
        if value.is_finite() {
            // `7.0` is written `7`, as Go does.
            let digits = digits.strip_suffix(".0").unwrap_or(digits);
            self.out.extend_from_slice(digits.as_bytes());
            return Ok(());
        }
        let name = match value {
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => "NaN",
        };
        if !self.options.nan_as_text {
            return Err(invalid(ty, name, "JSON has no such number"));
        }
        push_text(self.out, name);
        Ok(())
    }

    fn part(&self, at: usize) -> Option<Part<'a>> {
        match self.found.get(at)?.raw {
            Raw::Bytes(part) => Some(part),
            Raw::Bits(_) => None,
        }
    }
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signed(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn key(kind: Kind, raw: Raw<'_>) -> Result<Key<'_>, Error> {
    Ok(match (raw, kind) {
        (Raw::Bytes(part), _) => Key::Text(text(part)?),
        (_, Kind::String) => Key::Text(""),
        (Raw::Bits(bits), Kind::Bool) => Key::Bool(bits != 0),
        (Raw::Bits(bits), _) => integer(kind, bits),
    })
}

/// The key of an entry as text: `entry` begins with it.
#[cold]
pub(super) fn key_text(kind: Kind, entry: &[u8]) -> Box<str> {
    let mut reader = Reader::new(Part { bytes: entry, at: 0 });
    let raw = reader.tag().and_then(|(number, ty)| reader.value(number, ty, 0));
    raw.and_then(|raw| key(kind, raw).map(|key| key.to_string().into())).unwrap_or_default()
}

/// What bits mean as an integer of this kind. Those of 32 bits have the low half of what a varint says.
fn integer(kind: Kind, bits: u64) -> Key<'static> {
    match kind {
        Kind::Int32 | Kind::Sfixed32 => Key::Signed(low_u32(bits).cast_signed().into()),
        Kind::Sint32 => Key::Signed(unzigzag(low_u32(bits).into())),
        Kind::Sint64 => Key::Signed(unzigzag(bits)),
        Kind::Int64 | Kind::Sfixed64 => Key::Signed(bits.cast_signed()),
        Kind::Uint32 | Kind::Fixed32 => Key::Unsigned(low_u32(bits).into()),
        _ => Key::Unsigned(bits),
    }
}

fn text(part: Part<'_>) -> Result<&str, Error> {
    if let Ok(text) = simdutf8::basic::from_utf8(part.bytes) {
        return Ok(text);
    }
    let valid = part.bytes.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    Err(Error::new(ErrorKind::Protobuf("a string that is no UTF-8")).at(part.at.saturating_add(valid)))
}
