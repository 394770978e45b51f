use std::borrow::Cow;

use thrift_codec::{Skipper, TType};

use crate::access::Path;
use crate::access::cursor::{Cursor, mismatch};
use crate::access::tree::{Child, Key, Node, Select};
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind};
use crate::json::JsonCodec;
use crate::value::{MapCodec, Value};
use crate::wire;

/// What is to become of the value at a path.
#[derive(Clone, Debug)]
pub struct Change<'a>(Option<New<'a>>);

#[derive(Clone, Debug)]
struct New<'a> {
    ttype: TType,
    bytes: Cow<'a, [u8]>,
    /// The bytes are a text, without its length.
    is_text: bool,
}

impl<'a> Change<'a> {
    /// The field is taken out of its struct, the element out of its list, the pair out of its map.
    #[must_use]
    pub const fn unset() -> Self {
        Self(None)
    }

    /// A new value, as on the wire.
    ///
    /// # Errors
    ///
    /// The bytes are not one value of this type.
    pub fn raw(ttype: TType, bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, Error> {
        let bytes = bytes.into();
        let mut skipper = Skipper::new(ttype);
        match skipper.skip(&bytes)? {
            Some(len) if len == bytes.len() => Ok(Self::new(ttype, bytes)),
            Some(len) => Err(Error::new(ErrorKind::Trailing(bytes.len().saturating_sub(len))).at(len)),
            None => Err(skipper.truncated().into()),
        }
    }

    /// A new value for where `path` leads, by the rules of the Map mapping. `d` is the path's descriptor.
    ///
    /// # Errors
    ///
    /// As [`MapCodec::write`]; the path knows no types.
    pub fn value(d: &Descriptor, path: &Path, codec: &MapCodec, value: &Value) -> Result<Self, Error> {
        let ty = path.ty().ok_or_else(|| Error::unsupported("a path without a descriptor knows no types"))?;
        let mut bytes = Vec::new();
        codec.write(d, ty, value, &mut bytes)?;
        Ok(Self::new(ty.ttype(), bytes.into()))
    }

    /// A new value for where `path` leads, from JSON text. `d` is the path's descriptor.
    ///
    /// # Errors
    ///
    /// As [`JsonCodec::write`]; the path knows no types.
    pub fn json(d: &Descriptor, path: &Path, codec: &JsonCodec, json: &[u8]) -> Result<Self, Error> {
        let ty = path.ty().ok_or_else(|| Error::unsupported("a path without a descriptor knows no types"))?;
        let mut bytes = Vec::new();
        codec.write(d, ty, json, &mut bytes)?;
        Ok(Self::new(ty.ttype(), bytes.into()))
    }

    /// A new integer, in the width of the field that `path` leads to; 64 bits where the path knows no types.
    ///
    /// # Errors
    ///
    /// The field is too narrow, or no integer.
    pub fn integer(path: &Path, value: i64) -> Result<Self, Error> {
        let Some(ty) = path.ty() else { return Ok(Self::from(value)) };
        let mut bytes = Vec::new();
        new_integer(ty.ttype(), value, &mut bytes)?;
        Ok(Self::new(ty.ttype(), bytes.into()))
    }

    fn new(ttype: TType, bytes: Cow<'a, [u8]>) -> Self {
        Self(Some(New { ttype, bytes, is_text: false }))
    }
}

macro_rules! from {
    ($($from:ty => $ttype:ident),*) => {$(
        impl From<$from> for Change<'_> {
            fn from(value: $from) -> Self {
                Self::new(TType::$ttype, value.to_be_bytes().to_vec().into())
            }
        }
    )*};
}

from!(i8 => I8, i16 => I16, i32 => I32, i64 => I64, f64 => DOUBLE);

impl From<bool> for Change<'_> {
    fn from(value: bool) -> Self {
        Self::new(TType::BOOL, vec![u8::from(value)].into())
    }
}

/// A new text.
impl<'a> From<&'a str> for Change<'a> {
    fn from(text: &'a str) -> Self {
        Self::from(text.as_bytes())
    }
}

/// A new text or binary.
impl<'a> From<&'a [u8]> for Change<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Some(New { ttype: TType::STRING, bytes: bytes.into(), is_text: true }))
    }
}

/// `bytes` with the changes made where the paths below `root` end, of which no two meet.
pub(crate) fn set(root: &Node, bytes: &[u8], changes: &[Change<'_>]) -> Result<Vec<u8>, Error> {
    let mut walk = Walk { cursor: Cursor::new(bytes), changes, edits: Vec::new() };
    let ttype = root.ttype.unwrap_or(TType::STRUCT);
    if matches!(walk.change(root), Some(Change(None))) {
        return Err(Error::unsupported("the whole value can't be unset"));
    }
    walk.value(root, ttype)?;
    walk.cursor.end()?;
    Ok(walk.finish(bytes))
}

impl New<'_> {
    /// What stands before the bytes.
    fn head(&self) -> Result<Vec<u8>, Error> {
        if self.is_text { Ok(wire::i32_len("string length", self.bytes.len())?.to_vec()) } else { Ok(Vec::new()) }
    }
}

struct Walk<'a, 'c> {
    cursor: Cursor<'a>,
    changes: &'c [Change<'c>],
    edits: Vec<Edit<'c>>,
}

/// Bytes that others take the place of.
struct Edit<'c> {
    start: usize,
    end: usize,
    /// What comes before `body`.
    head: Vec<u8>,
    body: &'c [u8],
    /// Of a field that another one has taken the place of.
    is_void: bool,
}

/// Where a field or a pair was seen, and which edits were made in it.
#[derive(Clone)]
struct Seen {
    start: usize,
    end: usize,
    edits: std::ops::Range<usize>,
}

impl<'c> Walk<'_, 'c> {
    fn value(&mut self, node: &Node, ttype: TType) -> Result<(), Error> {
        let start = self.cursor.offset();
        self.cursor.check(node.ttype, ttype)?;
        match (node.children.first().map(|child| &child.select), ttype) {
            (None, _) => {
                self.cursor.skip(ttype)?;
                if let Some(Change(Some(new))) = self.change(node) {
                    if new.ttype != ttype {
                        return Err(mismatch(ttype, new.ttype));
                    }
                    self.edit(start, self.cursor.offset(), new.head()?, &new.bytes);
                }
                Ok(())
            }
            (Some(Select::Field(_)), TType::STRUCT) => self.fields(node),
            (Some(Select::Index(_)), TType::LIST | TType::SET) => self.elements(node),
            (Some(Select::Key(..) | Select::Index(_)), TType::MAP) => self.pairs(node),
            _ => Err(self.cursor.no_parts(node, ttype)),
        }
    }

    fn fields(&mut self, node: &Node) -> Result<(), Error> {
        let mut seen = vec![None; node.children.len()];
        let stop = loop {
            let start = self.cursor.offset();
            let Some(header) = self.cursor.field_header()? else { break start };
            match node.children.iter().position(|child| child.select == Select::Field(header.id)) {
                Some(at) => _ = self.part(node, at, header.ttype, start, &mut seen)?,
                None => self.cursor.skip(header.ttype)?,
            }
        };
        let mut head = Vec::new();
        for (child, _) in node.children.iter().zip(&seen).filter(|(_, seen)| seen.is_none()) {
            self.new_field(child, &mut head).map_err(|error| error.inside(child.step.clone()))?;
        }
        if !head.is_empty() {
            self.edit(stop, stop, head, &[]);
        }
        Ok(())
    }

    fn elements(&mut self, node: &Node) -> Result<(), Error> {
        let at_count = self.cursor.offset().saturating_add(1);
        let header = self.cursor.list_header()?;
        let mut seen = vec![None; node.children.len()];
        let mut next = 0;
        let mut gone = 0_usize;
        for (at, child) in node.children.iter().enumerate() {
            let Select::Index(index) = child.select else { continue };
            if index < header.count {
                self.cursor.skip_elements(header.element, index.saturating_sub(next))?;
                let start = self.cursor.offset();
                gone = gone.saturating_add(self.part(node, at, header.element, start, &mut seen)?);
                next = index.saturating_add(1);
            } else if self.puts(&child.node) {
                let count = header.count;
                let error = Error::unsupported(format!("there are {count} elements"));
                return Err(error.inside(child.step.clone()).at(self.cursor.offset()));
            }
        }
        self.cursor.skip_elements(header.element, header.count.saturating_sub(next))?;
        if gone > 0 {
            self.count(at_count, header.count.saturating_sub(gone))?;
        }
        Ok(())
    }

    fn pairs(&mut self, node: &Node) -> Result<(), Error> {
        let start = self.cursor.offset();
        let mut header = self.cursor.map_header()?;
        self.cursor.check_keys(node, &header).map_err(|error| error.at(start))?;
        let is_empty = header.count == 0;
        let mut seen = vec![None; node.children.len()];
        let mut gone = 0_usize;
        for _ in 0..header.count {
            let start = self.cursor.offset();
            match self.cursor.key(node, header.key)? {
                Some(at) => gone = gone.saturating_add(self.part(node, at, header.value, start, &mut seen)?),
                None => self.cursor.skip(header.value)?,
            }
        }
        let mut head = Vec::new();
        let mut new = 0_usize;
        for (child, _) in node.children.iter().zip(&seen).filter(|(_, seen)| seen.is_none()) {
            if !self.puts(&child.node) {
                continue;
            }
            let inside = |error: Error| error.inside(child.step.clone());
            let value = self.new_type(&child.node);
            if is_empty && new == 0 {
                (header.key, header.value) = (key_type(&child.select).map_err(inside)?, value);
            } else if header.value != value {
                return Err(inside(mismatch(header.value, value)));
            }
            new_key(&child.select, header.key, &mut head).map_err(inside)?;
            self.new_value(&child.node, &mut head).map_err(inside)?;
            new = new.saturating_add(1);
        }
        let end = self.cursor.offset();
        let count = header.count.saturating_sub(gone).saturating_add(new);
        if new > 0 && is_empty {
            let mut types = Vec::new();
            wire::map_header(&mut types, header.key, header.value, count)?;
            self.edit(start, end, types, &[]);
        } else if count != header.count {
            self.count(start.saturating_add(2), count)?;
        }
        if new > 0 {
            self.edit(end, end, head, &[]);
        }
        Ok(())
    }

    /// Goes into a field, element or pair that begins at `start`, and whose value comes next. How many of them are gone
    /// afterwards.
    fn part(
        &mut self,
        node: &Node,
        at: usize,
        ttype: TType,
        start: usize,
        seen: &mut [Option<Seen>],
    ) -> Result<usize, Error> {
        let (Some(child), Some(seen)) = (node.children.get(at), seen.get_mut(at)) else { return Ok(0) };
        let mut gone = 0_usize;
        if let Some(before) = seen.take() {
            // Of two the last counts, and whoever takes the first must not be told something else.
            gone = self.replace(before);
        }
        let first = self.edits.len();
        self.value(&child.node, ttype).map_err(|error| error.inside(child.step.clone()))?;
        let end = self.cursor.offset();
        if matches!(self.change(&child.node), Some(Change(None))) {
            if child.is_required {
                return Err(Error::unsupported("a required field can't be unset").inside(child.step.clone()));
            }
            self.edit(start, end, Vec::new(), &[]);
            gone = gone.saturating_add(1);
            // All of them are taken out as they come.
            return Ok(gone);
        }
        *seen = Some(Seen { start, end, edits: first..self.edits.len() });
        Ok(gone)
    }

    /// Takes out what was seen before, with the edits in it.
    fn replace(&mut self, before: Seen) -> usize {
        for edit in self.edits.get_mut(before.edits).into_iter().flatten() {
            edit.is_void = true;
        }
        self.edit(before.start, before.end, Vec::new(), &[]);
        1
    }

    fn new_field(&self, child: &Child, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.puts(&child.node) {
            return Ok(());
        }
        let Select::Field(id) = child.select else { return Ok(()) };
        wire::field(out, self.new_type(&child.node), id);
        self.new_value(&child.node, out)
    }

    /// Writes a value that was not there: the change, or what is needed around it.
    fn new_value(&self, node: &Node, out: &mut Vec<u8>) -> Result<(), Error> {
        if let Some(Change(Some(new))) = self.change(node) {
            if let Some(wanted) = node.ttype.filter(|wanted| *wanted != new.ttype) {
                return Err(mismatch(wanted, new.ttype));
            }
            out.extend_from_slice(&new.head()?);
            out.extend_from_slice(&new.bytes);
            return Ok(());
        }
        let children = || node.children.iter().filter(|child| self.puts(&child.node));
        match children().next().map(|child| &child.select) {
            Some(Select::Field(_)) => {
                for child in children() {
                    self.new_field(child, out).map_err(|error| error.inside(child.step.clone()))?;
                }
                wire::stop(out);
            }
            Some(select @ Select::Key(..)) => {
                let key = key_type(select)?;
                let value = children().next().map_or(TType::STRUCT, |child| self.new_type(&child.node));
                wire::map_header(out, key, value, children().count())?;
                for child in children() {
                    let inside = |error: Error| error.inside(child.step.clone());
                    let other = self.new_type(&child.node);
                    if other != value {
                        return Err(inside(mismatch(value, other)));
                    }
                    new_key(&child.select, key, out).map_err(inside)?;
                    self.new_value(&child.node, out).map_err(inside)?;
                }
            }
            Some(Select::Index(index)) => {
                return Err(Error::unsupported("there are 0 elements").inside(crate::path::Step::Index(*index)));
            }
            None => {}
        }
        Ok(())
    }

    /// The type of a value that was not there.
    fn new_type(&self, node: &Node) -> TType {
        match (self.change(node), node.children.first().map(|child| &child.select)) {
            (Some(Change(Some(new))), _) => new.ttype,
            (_, Some(Select::Index(_))) => node.ttype.unwrap_or(TType::LIST),
            (_, Some(Select::Key(..))) => TType::MAP,
            _ => TType::STRUCT,
        }
    }

    /// Whether there is anything to be put at the node or below.
    fn puts(&self, node: &Node) -> bool {
        matches!(self.change(node), Some(Change(Some(_)))) || node.children.iter().any(|child| self.puts(&child.node))
    }

    fn change(&self, node: &Node) -> Option<&'c Change<'c>> {
        self.changes.get(*node.ends.first()?)
    }

    fn count(&mut self, at: usize, count: usize) -> Result<(), Error> {
        let count = wire::i32_len("element count", count)?;
        self.edit(at, at.saturating_add(4), count.to_vec(), &[]);
        Ok(())
    }

    fn edit(&mut self, start: usize, end: usize, head: Vec<u8>, body: &'c [u8]) {
        self.edits.push(Edit { start, end, head, body, is_void: false });
    }

    fn finish(mut self, src: &[u8]) -> Vec<u8> {
        // What is put in at a place comes before what is taken out there, which is the order in which they were found.
        self.edits.retain(|edit| !edit.is_void);
        self.edits.sort_by_key(|edit| edit.start);
        let new: usize =
            self.edits.iter().fold(0, |len, edit| len.saturating_add(edit.head.len()).saturating_add(edit.body.len()));
        let mut out = Vec::with_capacity(src.len().saturating_add(new));
        let mut at = 0;
        for edit in &self.edits {
            out.extend_from_slice(src.get(at..edit.start).unwrap_or_default());
            out.extend_from_slice(&edit.head);
            out.extend_from_slice(edit.body);
            at = edit.end;
        }
        out.extend_from_slice(src.get(at..).unwrap_or_default());
        out
    }
}

/// The type of a key that a map without pairs does not tell.
fn key_type(select: &Select) -> Result<TType, Error> {
    match select {
        Select::Key(_, Some(ttype)) => Ok(*ttype),
        Select::Key(Key::Text(_), None) => Ok(TType::STRING),
        Select::Key(Key::Bool(_), None) => Ok(TType::BOOL),
        Select::Key(Key::Double(_), None) => Ok(TType::DOUBLE),
        _ => Err(Error::unsupported("without a descriptor nobody knows the type of the key of an empty map")),
    }
}

fn new_key(select: &Select, ttype: TType, out: &mut Vec<u8>) -> Result<(), Error> {
    let number = match select {
        Select::Key(Key::Text(text), _) if ttype == TType::STRING => return wire::bytes(out, text),
        Select::Key(Key::Bool(value), _) if ttype == TType::BOOL => {
            out.push(u8::from(*value));
            return Ok(());
        }
        Select::Key(Key::Double(value), _) if ttype == TType::DOUBLE => {
            out.extend_from_slice(&value.to_be_bytes());
            return Ok(());
        }
        Select::Key(Key::Integer(number), _) => *number,
        Select::Index(index) => i64::try_from(*index).unwrap_or(i64::MAX),
        _ => return Err(Error::expected(ttype.name().unwrap_or("another type"), "another key")),
    };
    new_integer(ttype, number, out)
}

fn new_integer(ttype: TType, number: i64, out: &mut Vec<u8>) -> Result<(), Error> {
    let range = |ty| Error::new(ErrorKind::Range { ty, value: number });
    match ttype {
        TType::I8 => out.extend_from_slice(&i8::try_from(number).map_err(|_| range("i8"))?.to_be_bytes()),
        TType::I16 => out.extend_from_slice(&i16::try_from(number).map_err(|_| range("i16"))?.to_be_bytes()),
        TType::I32 => out.extend_from_slice(&i32::try_from(number).map_err(|_| range("i32"))?.to_be_bytes()),
        TType::I64 => out.extend_from_slice(&number.to_be_bytes()),
        _ => return Err(Error::expected(ttype.name().unwrap_or("another type"), "integer")),
    }
    Ok(())
}
