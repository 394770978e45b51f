//! JSON text to Thrift Binary (generic-call 3.4, 3.5, 3.7).

mod base;
mod error;
mod key;
mod scalar;
mod structure;

use self::error::{at_entry, dismatched, too_long};
use crate::base::Base;
use crate::descriptor::{Descriptor, Field, Type, TypeId};
use crate::error::{Error, ErrorKind};
use crate::json::keys::Keys;
use crate::json::out::Out;
use crate::json::scan::{COMMA_OR_BRACE, COMMA_OR_BRACKET, Kind, Scanner};
use crate::json::text;
use crate::options::{Options, Profile};
use crate::path::Step;

pub(in crate::json) use self::error::shortened;

/// Writes one JSON text.
#[derive(Debug)]
pub(crate) struct Writer<'a, 'o> {
    pub(in crate::json) d: &'a Descriptor,
    pub(in crate::json) options: &'a Options,
    /// The default profile: what can be made a value of the type becomes one.
    pub(in crate::json) lenient: bool,
    pub(in crate::json) scan: Scanner<'a>,
    pub(in crate::json) out: Out<'o>,
    /// Bits of the fields that were written, beyond the first 64, of every struct that is open.
    spill: Vec<u64>,
    /// What the framework adds to the outermost struct.
    base: Option<&'a Base>,
    /// Fields with `api.none` are not there.
    hide: bool,
    /// Nothing is taken for what it is not, whatever the profile (HTTP, below the top level of a body).
    strict: bool,
    /// A key came twice, where the first counts.
    pub(in crate::json) repeated: bool,
}

impl<'a, 'o> Writer<'a, 'o> {
    pub(crate) fn new(d: &'a Descriptor, options: &'a Options, json: &'a [u8], out: &'o mut Vec<u8>) -> Self {
        Self {
            d,
            options,
            lenient: options.profile == Profile::Default,
            scan: Scanner::new(json),
            out: Out::new(out, json.len().saturating_add(64)),
            spill: Vec::new(),
            base: None,
            hide: false,
            strict: false,
            repeated: false,
        }
    }

    /// A writer of a part of a text: in the default profile by the rules of the Map mapping.
    pub(in crate::json) fn strict(
        d: &'a Descriptor,
        options: &'a Options,
        json: &'a [u8],
        out: &'o mut Vec<u8>,
    ) -> Self {
        // How much of the text it is nobody knows yet.
        const GUESS: usize = 256;
        let lenient = options.profile == Profile::Default;
        Self {
            d,
            options,
            lenient,
            scan: Scanner::new(json),
            out: Out::new(out, json.len().min(GUESS)),
            spill: Vec::new(),
            base: None,
            hide: false,
            strict: lenient,
            repeated: false,
        }
    }

    /// The outermost struct has a base, to which the framework adds this.
    pub(crate) fn with_base(mut self, base: Option<&'a Base>) -> Self {
        self.base = base;
        self
    }

    /// This is a response.
    pub(crate) fn response(mut self) -> Self {
        self.hide = !self.lenient;
        self
    }

    /// Ends the buffer, or leaves it as it was.
    pub(crate) fn finish(self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Ok(()) => self.out.finish(),
            Err(_) => self.out.abandon(),
        }
        result
    }

    /// The one argument or result in a struct around it. Text need not be quoted.
    pub(crate) fn wrapped(&mut self, field: &Field) -> Result<(), Error> {
        let [high, low] = field.id.to_be_bytes();
        self.out.put(&[field.ty.ttype().0, high, low]);
        let js = field.js_conv && self.options.value_mapping;
        let written = self.verbatim(field.ty).unwrap_or_else(|| self.root(field.ty, js));
        if let Err(error) = written {
            return Err(if field.key.is_empty() { error } else { error.inside(Step::Field(field.key.clone())) });
        }
        self.out.put(&[0]);
        Ok(())
    }

    /// Text and binary that are not quoted.
    fn verbatim(&mut self, ty: Type) -> Option<Result<(), Error>> {
        if !matches!(ty, Type::String | Type::Binary) || self.scan.rest.first() == Some(&b'"') {
            return None;
        }
        let text = self.scan.rest;
        self.scan.rest = &[];
        if ty == Type::Binary && self.options.base64 {
            return Some(self.base64(text));
        }
        let at = self.begin_bytes();
        self.out.put_slice(text);
        Some(self.end_bytes(at))
    }

    /// A value that is all of the text.
    pub(crate) fn root(&mut self, ty: Type, js: bool) -> Result<(), Error> {
        let depth = self.options.max_depth;
        if !matches!(ty, Type::Struct(_)) {
            self.base = None;
        }
        match self.scan.peek() {
            None if !self.lenient => return Err(self.scan.syntax("a value")),
            Some(b'n') => self.scan.word(b"null")?,
            Some(_) => return self.value(ty, js, depth),
            None => {}
        }
        match ty {
            Type::Struct(id) => self.empty_struct(id),
            _ => {
                self.zero(ty);
                Ok(())
            }
        }
    }

    /// A value that is not null.
    #[inline]
    pub(crate) fn value(&mut self, ty: Type, js: bool, depth: usize) -> Result<(), Error> {
        // What nests is apart from what does not, so that the stack of an unoptimized build holds as deep.
        match ty {
            Type::Struct(id) => self.structure(id, depth),
            Type::List(element) | Type::Set(element) => self.list(ty, element, js, depth),
            Type::Map(key, value) => self.map(ty, key, value, js, depth),
            _ => self.scalar(ty, js),
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn scalar(&mut self, ty: Type, js: bool) -> Result<(), Error> {
        match ty {
            Type::Bool => {
                let value = match self.scan.peek() {
                    Some(b't') => self.scan.word(b"true").map(|()| true)?,
                    Some(b'f') => self.scan.word(b"false").map(|()| false)?,
                    _ => self.bool_of_another_kind()?,
                };
                self.out.put(&[u8::from(value)]);
            }
            Type::Byte => {
                let [.., byte] = self.integer(ty, js)?.to_be_bytes();
                self.out.put(&[byte]);
            }
            Type::I16 => {
                let [.., a, b] = self.integer(ty, js)?.to_be_bytes();
                self.out.put(&[a, b]);
            }
            Type::I32 | Type::Enum(_) => {
                let [.., a, b, c, d] = self.integer(ty, js)?.to_be_bytes();
                self.out.put(&[a, b, c, d]);
            }
            Type::I64 => {
                let bytes = self.integer(ty, js)?.to_be_bytes();
                self.out.put(&bytes);
            }
            Type::Double => {
                let bytes = self.double(js)?.to_be_bytes();
                self.out.put(&bytes);
            }
            Type::String => return self.string(ty, js),
            Type::Binary => return self.binary(),
            _ => return Err(Error::new(ErrorKind::Unsupported("void has no value".into()))),
        }
        Ok(())
    }

    fn list(&mut self, ty: Type, element: TypeId, js: bool, depth: usize) -> Result<(), Error> {
        let depth = self.scan.deeper(depth, self.options.max_depth)?;
        let element = self.d.ty(element);
        let at = self.out.pos();
        self.out.put(&[element.ttype().0, 0, 0, 0, 0]);
        if self.scan.peek() != Some(b'[') {
            return self.list_of_one(ty, element, js, depth, at);
        }
        self.scan.pass();
        if self.scan.peek() == Some(b']') {
            self.scan.pass();
            return Ok(());
        }
        let mut count = 0usize;
        let mut dropped = 0usize;
        loop {
            if self.scan.peek() == Some(b'n') {
                self.scan.word(b"null").map_err(|error| error.inside(Step::Index(count)))?;
                if self.lenient {
                    self.zero(element);
                } else {
                    dropped = dropped.wrapping_add(1);
                }
            } else if let Err(error) = self.value(element, js, depth) {
                return Err(error.inside(Step::Index(count)));
            }
            count = count.wrapping_add(1);
            if !self.scan.another(b']', COMMA_OR_BRACKET)? {
                break;
            }
        }
        self.count(at.wrapping_add(1), count.wrapping_sub(dropped))
    }

    /// What is no list is the only element of one.
    #[inline(never)]
    fn list_of_one(&mut self, ty: Type, element: Type, js: bool, depth: usize, at: usize) -> Result<(), Error> {
        if self.strict {
            return Err(self.refused(ty));
        }
        let kind = self.scan.kind()?;
        if !self.lenient {
            return Err(self.mismatch(ty, kind, self.scan.offset()));
        }
        self.value(element, js, depth)?;
        self.count(at.wrapping_add(1), 1)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn count(&mut self, at: usize, count: usize) -> Result<(), Error> {
        let Ok(short) = i32::try_from(count) else { return Err(too_long("count", count)) };
        self.out.patch(at, short.to_be_bytes());
        Ok(())
    }

    fn map(&mut self, ty: Type, key: TypeId, value: TypeId, js: bool, depth: usize) -> Result<(), Error> {
        let depth = self.scan.deeper(depth, self.options.max_depth)?;
        let (key, value) = (self.d.ty(key), self.d.ty(value));
        let at = self.out.pos();
        self.out.put(&[key.ttype().0, value.ttype().0, 0, 0, 0, 0]);
        if self.scan.peek() != Some(b'{') {
            let kind = self.scan.kind()?;
            if self.strict {
                return Err(self.refused(ty));
            }
            return if self.lenient { self.skip() } else { Err(self.mismatch(ty, kind, self.scan.offset())) };
        }
        self.scan.pass();
        if self.scan.peek() == Some(b'}') {
            self.scan.pass();
            return Ok(());
        }
        let count =
            if self.lenient { self.entries_once(key, value, js, depth)? } else { self.entries(key, value, js, depth)? };
        self.count(at.wrapping_add(2), count)
    }

    /// Every entry that has a value.
    fn entries(&mut self, key: Type, value: Type, js: bool, depth: usize) -> Result<usize, Error> {
        let mut count = 0usize;
        loop {
            let start = self.scan;
            let at = self.out.pos();
            self.key(key)?;
            self.scan.expect(b':', "a colon")?;
            if self.scan.peek() == Some(b'n') {
                self.scan.word(b"null")?;
                self.out.back_to(at);
            } else if let Err(error) = self.value(value, js, depth) {
                return Err(at_entry(error, start));
            } else {
                count = count.wrapping_add(1);
            }
            if !self.scan.another(b'}', COMMA_OR_BRACE)? {
                return Ok(count);
            }
        }
    }

    /// Of entries with the same key the first; null is zero.
    fn entries_once(&mut self, key: Type, value: Type, js: bool, depth: usize) -> Result<usize, Error> {
        let mut keys = Keys::default();
        let mut count = 0usize;
        loop {
            let start = self.scan;
            let at = self.out.pos();
            self.key(key)?;
            self.scan.expect(b':', "a colon")?;
            if !keys.is_new(at, &self.out) {
                self.repeated = true;
                self.out.back_to(at);
                self.scan.skip(depth, self.options.max_depth).map_err(|error| at_entry(error, start))?;
            } else {
                count = count.wrapping_add(1);
                if self.scan.peek() == Some(b'n') {
                    self.scan.word(b"null")?;
                    self.zero(value);
                } else if let Err(error) = self.value(value, js, depth) {
                    return Err(at_entry(error, start));
                }
            }
            if !self.scan.another(b'}', COMMA_OR_BRACE)? {
                return Ok(count);
            }
        }
    }

    /// Gives every member of an object to `each`, which is to pass its value. What is no object has no members, where
    /// that is allowed.
    pub(in crate::json) fn members(
        &mut self,
        depth: usize,
        mut each: impl FnMut(&mut Self, &[u8], usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let kind = self.scan.kind()?;
        if kind != Kind::Object {
            return if self.lenient {
                self.skip()
            } else {
                Err(dismatched("struct", "STRUCT", kind.name(), self.scan.offset()))
            };
        }
        let depth = self.scan.deeper(depth, self.options.max_depth)?;
        self.scan.pass();
        if self.scan.peek() == Some(b'}') {
            self.scan.pass();
            return Ok(());
        }
        loop {
            if self.scan.peek() != Some(b'"') {
                return Err(self.scan.syntax("a key"));
            }
            let key = self.unescaped()?;
            self.scan.expect(b':', "a colon")?;
            each(self, &key, depth)?;
            if !self.scan.another(b'}', COMMA_OR_BRACE)? {
                return Ok(());
            }
        }
    }

    /// Calls `each` in front of every element of a list.
    pub(in crate::json) fn elements(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.scan.expect(b'[', "a list")?;
        if self.scan.peek() == Some(b']') {
            self.scan.pass();
            return Ok(());
        }
        loop {
            each(self)?;
            if !self.scan.another(b']', COMMA_OR_BRACKET)? {
                return Ok(());
            }
        }
    }

    /// Passes a value.
    pub(in crate::json) fn skip(&mut self) -> Result<(), Error> {
        self.scan.skip(self.options.max_depth, self.options.max_depth)
    }

    /// The string that comes next.
    pub(in crate::json) fn unescaped(&mut self) -> Result<Vec<u8>, Error> {
        self.scan.expect(b'"', "a string")?;
        let at = self.out.pos();
        match text::unescape(self.scan.rest, self.lenient, &mut self.out) {
            Ok(rest) => self.scan.rest = rest,
            Err(bad) => return Err(self.scan.bad_string(bad)),
        }
        let text = self.out.since(at).to_vec();
        self.out.back_to(at);
        Ok(text)
    }

    /// Another kind of value than the type wants.
    #[cold]
    #[inline(never)]
    fn mismatch(&self, ty: Type, found: Kind, offset: usize) -> Error {
        if self.lenient {
            return Error::expected(ty.name(), found.name()).at(offset);
        }
        let kitex = ty.ttype().name().unwrap_or("void").to_uppercase();
        dismatched(ty.name(), &kitex, found.name(), offset)
    }
}
