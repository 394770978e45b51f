//! JSON text to Thrift Binary (generic-call 3.4, 3.5, 3.7).

use super::out::Out;
use super::scan::{COMMA_OR_BRACE, COMMA_OR_BRACKET, Kind, Scanner};
use super::{base64, fill, keys::Keys, mapped, number, text};
use crate::base::Base;
use crate::descriptor::{
    BaseKind, Descriptor, Field, Plan, RankSets, Slot, Struct, StructId, StructKind, Type, TypeId,
};
use crate::error::{Error, ErrorKind};
use crate::options::{EnumNames, Options, Profile};
use crate::path::Step;

/// Writes one JSON text.
#[derive(Debug)]
pub(crate) struct Writer<'a, 'o> {
    pub(super) d: &'a Descriptor,
    pub(super) options: &'a Options,
    /// The default profile: what can be made a value of the type becomes one.
    pub(super) lenient: bool,
    pub(super) scan: Scanner<'a>,
    pub(super) out: Out<'o>,
    /// Bits of the fields that were written, beyond the first 64, of every struct that is open.
    spill: Vec<u64>,
    /// What the framework adds to the outermost struct.
    base: Option<&'a Base>,
    /// Fields with `api.none` are not there.
    hide: bool,
    /// Nothing is taken for what it is not, whatever the profile (HTTP, below the top level of a body).
    strict: bool,
    /// A key came twice, where the first counts.
    pub(super) repeated: bool,
}

/// The fields of one struct that were written, as bits by rank: the first 64, and where the others are in `spill`.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: u64,
    spilled: usize,
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
    pub(super) fn strict(d: &'a Descriptor, options: &'a Options, json: &'a [u8], out: &'o mut Vec<u8>) -> Self {
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

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn integer(&mut self, ty: Type, js: bool) -> Result<i64, Error> {
        self.scan.peek();
        match number::integer(self.scan.rest) {
            Some((value, rest)) => {
                self.scan.rest = rest;
                Ok(value)
            }
            None => self.integer_of_another_kind(ty, js),
        }
    }

    #[inline(never)]
    fn integer_of_another_kind(&mut self, ty: Type, js: bool) -> Result<i64, Error> {
        if self.strict {
            return self.strict_integer(ty, js);
        }
        let offset = self.scan.offset();
        match self.scan.kind()? {
            Kind::Number => {
                let number = self.scan.number()?;
                Ok(if self.lenient { number.to_i64_wrapping() } else { number.to_i64_cutting() })
            }
            Kind::String => {
                let text = self.unescaped()?;
                if let Some(value) = self.enum_named(ty, &text) {
                    return Ok(value);
                }
                if !(self.options.strings_as_numbers || js) {
                    return Err(self.mismatch(ty, Kind::String, offset));
                }
                if self.lenient {
                    return Ok(number::wrapping(&text).unwrap_or_default());
                }
                match number::number(&text) {
                    _ if text.is_empty() => Ok(0),
                    Some((number, [])) => Ok(number.to_i64_cutting()),
                    _ => Err(no_number(ty, &text, "invalid char", offset)),
                }
            }
            Kind::Bool if self.lenient => self.scan.boolean().map(i64::from),
            Kind::Null | Kind::List | Kind::Object if self.lenient => self.skip().map(|()| 0),
            kind => Err(self.mismatch(ty, kind, offset)),
        }
    }

    /// The number of an enum's value, where names are accepted.
    pub(super) fn enum_named(&self, ty: Type, name: &[u8]) -> Option<i64> {
        let Type::Enum(id) = ty else { return None };
        if self.options.enum_names == EnumNames::Off {
            return None;
        }
        let values = &self.d.enumeration(id).values;
        values.iter().find_map(|(known, number)| (known.as_bytes() == name).then_some(i64::from(*number)))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn double(&mut self, js: bool) -> Result<f64, Error> {
        self.scan.peek();
        let rest = self.scan.rest;
        match number::double(rest) {
            Some((value, after)) if value.is_finite() && value != 0.0 => {
                self.scan.rest = after;
                Ok(value)
            }
            _ => self.double_of_another_kind(js),
        }
    }

    #[inline(never)]
    fn double_of_another_kind(&mut self, js: bool) -> Result<f64, Error> {
        if self.strict {
            return self.strict_double();
        }
        let offset = self.scan.offset();
        match self.scan.kind()? {
            Kind::Number => {
                let number = self.scan.number()?;
                self.checked_double(number, offset)
            }
            Kind::String if self.options.strings_as_numbers || js => {
                let text = self.unescaped()?;
                if self.lenient {
                    return Ok(match number::parse_float(&text) {
                        Err("value out of range") if text.starts_with(b"-") => f64::NEG_INFINITY,
                        Err("value out of range") => f64::INFINITY,
                        parsed => parsed.unwrap_or_default(),
                    });
                }
                match number::number(&text) {
                    _ if text.is_empty() => Ok(0.0),
                    Some((number, [])) => self.checked_double(number, offset),
                    _ => Err(no_number(Type::Double, &text, "invalid char", offset)),
                }
            }
            Kind::Bool if self.lenient => self.scan.boolean().map(|value| if value { 1.0 } else { 0.0 }),
            Kind::Null | Kind::List | Kind::Object if self.lenient => self.skip().map(|()| 0.0),
            kind => Err(self.mismatch(Type::Double, kind, offset)),
        }
    }

    fn checked_double(&self, number: number::Number<'_>, offset: usize) -> Result<f64, Error> {
        let value = number.to_f64();
        if self.lenient {
            return Ok(value);
        }
        if value.is_infinite() {
            return Err(no_number(Type::Double, number.text, "float number is infinity", offset));
        }
        // An integer, to dynamicgo, and those have no negative zero.
        Ok(if number.integral && value == 0.0 { 0.0 } else { value })
    }

    #[inline(never)]
    fn bool_of_another_kind(&mut self) -> Result<bool, Error> {
        if self.strict {
            return Err(self.refused(Type::Bool));
        }
        let offset = self.scan.offset();
        match self.scan.kind()? {
            Kind::Bool => self.scan.boolean(),
            Kind::Number if self.lenient => Ok(self.scan.number()?.to_f64() != 0.0),
            Kind::String if self.lenient => {
                Ok(matches!(&*self.unescaped()?.to_ascii_lowercase(), b"1" | b"t" | b"true"))
            }
            Kind::Null | Kind::List | Kind::Object if self.lenient => self.skip().map(|()| false),
            kind => Err(self.mismatch(Type::Bool, kind, offset)),
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn string(&mut self, ty: Type, js: bool) -> Result<(), Error> {
        if self.scan.peek() != Some(b'"') {
            return self.string_of_another_kind(ty, js);
        }
        self.scan.pass();
        let at = self.begin_bytes();
        match text::unescape(self.scan.rest, self.lenient, &mut self.out) {
            Ok(rest) => self.scan.rest = rest,
            Err(bad) => return Err(self.scan.bad_string(bad)),
        }
        self.end_bytes(at)
    }

    #[inline(never)]
    fn string_of_another_kind(&mut self, ty: Type, js: bool) -> Result<(), Error> {
        if self.strict {
            return Err(self.refused(ty));
        }
        let offset = self.scan.offset();
        let kind = self.scan.kind()?;
        let number_as_text = kind == Kind::Number && js && ty == Type::String;
        if !(self.lenient || number_as_text) {
            return Err(self.mismatch(ty, kind, offset));
        }
        let at = self.begin_bytes();
        match kind {
            Kind::Number => {
                let number = self.scan.number()?;
                if number.integral || !self.lenient {
                    self.out.put_slice(number.text);
                } else {
                    self.out.put_slice(number::without_exponent(number.to_f64()).as_bytes());
                }
            }
            Kind::Null => self.skip()?,
            _ => {
                self.skip()?;
                self.out.put_slice(self.scan.since(offset));
            }
        }
        self.end_bytes(at)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn binary(&mut self) -> Result<(), Error> {
        if !self.options.base64 {
            return self.string(Type::Binary, false);
        }
        if self.scan.peek() != Some(b'"') {
            return self.binary_of_another_kind();
        }
        let before = self.scan;
        let (raw, escaped) = self.scan.raw_string()?;
        if escaped && self.lenient {
            self.scan = before;
            return self.binary_of_another_kind();
        }
        self.base64(raw)
    }

    /// By way of the text that a string would be.
    #[inline(never)]
    fn binary_of_another_kind(&mut self) -> Result<(), Error> {
        let at = self.out.pos();
        self.string(Type::Binary, false)?;
        let text = self.out.since(at.saturating_add(4)).to_vec();
        self.out.back_to(at);
        self.base64(&text)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn base64(&mut self, text: &[u8]) -> Result<(), Error> {
        let at = self.begin_bytes();
        match base64::decode(text, &mut self.out) {
            Ok(()) => self.end_bytes(at),
            Err(end) => {
                let reason = format!("illegal base64 data at input byte {end}");
                Err(no_value("binary", text, &reason, self.scan.offset()))
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn begin_bytes(&mut self) -> usize {
        let at = self.out.pos();
        self.out.put(&[0; 4]);
        at
    }

    /// Puts the length in front of what was written since [`Writer::begin_bytes`].
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn end_bytes(&mut self, at: usize) -> Result<(), Error> {
        let len = self.out.pos().wrapping_sub(at).wrapping_sub(4);
        let Ok(short) = i32::try_from(len) else { return Err(too_long("string", len)) };
        self.out.patch(at, short.to_be_bytes());
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

    /// A key, which is always text.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn key(&mut self, ty: Type) -> Result<(), Error> {
        if self.scan.peek() != Some(b'"') {
            return Err(self.scan.syntax("a key"));
        }
        let start = self.scan;
        match ty {
            Type::String => return self.string(ty, false).map_err(|error| at_key(error, start)),
            Type::I64 | Type::I32 => {
                if let Some((value, [b'"', rest @ ..])) = number::integer(start.rest.get(1..).unwrap_or_default()) {
                    if ty == Type::I64 {
                        self.scan.rest = rest;
                        self.out.put(&value.to_be_bytes());
                        return Ok(());
                    }
                    if let Ok(value) = i32::try_from(value) {
                        self.scan.rest = rest;
                        self.out.put(&value.to_be_bytes());
                        return Ok(());
                    }
                }
            }
            _ => {}
        }
        self.key_slowly(ty).map_err(|error| at_key(error, start))
    }

    #[inline(never)]
    fn key_slowly(&mut self, ty: Type) -> Result<(), Error> {
        let offset = self.scan.offset();
        if ty == Type::Binary {
            return self.binary();
        }
        let text = self.unescaped()?;
        self.key_of_text(ty, &text, offset)
    }

    /// A key of this type from its text.
    pub(crate) fn key_of_text(&mut self, ty: Type, text: &[u8], offset: usize) -> Result<(), Error> {
        match ty {
            Type::String => {
                let at = self.begin_bytes();
                self.out.put_slice(text);
                return self.end_bytes(at);
            }
            Type::Binary if self.options.base64 => return self.base64(text),
            Type::Binary => return self.key_of_text(Type::String, text, offset),
            Type::Byte | Type::I16 | Type::I32 | Type::Enum(_) | Type::I64 => {
                let bytes = self.integer_key(ty, text, offset)?.to_be_bytes();
                let (_, len) = fill::zero(self.d, ty);
                self.out.put_slice(bytes.get(8usize.saturating_sub(len)..).unwrap_or_default());
            }
            Type::Bool => match text {
                b"true" => self.out.put(&[1]),
                b"false" => self.out.put(&[0]),
                _ => {
                    return Err(no_value(
                        "bool",
                        text,
                        "unsupported type:BOOL for parse buildin types from string",
                        offset,
                    ));
                }
            },
            Type::Double => {
                let value = if self.lenient {
                    number::parse_float(text)
                        .map_err(|reason| parse_error("double", "ParseFloat", text, reason, offset))?
                } else {
                    match number::number(text) {
                        Some((number, [])) => self.checked_double(number, offset)?,
                        _ => return Err(no_number(ty, text, "invalid char", offset)),
                    }
                };
                self.out.put(&value.to_be_bytes());
            }
            Type::Void | Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) => {
                let name = ty.name().to_uppercase();
                let text = format!("unsupported type:{name} for parse buildin types from string");
                return Err(Error::new(ErrorKind::Unsupported(text.into())).at(offset));
            }
        }
        Ok(())
    }

    fn integer_key(&self, ty: Type, text: &[u8], offset: usize) -> Result<i64, Error> {
        if let Some(value) = self.enum_named(ty, text) {
            return Ok(value);
        }
        if !self.lenient {
            return match number::number(text) {
                Some((number, [])) => Ok(number.to_i64_cutting()),
                _ => Err(no_number(ty, text, "invalid char", offset)),
            };
        }
        let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(parse_error(ty.name(), "ParseInt", text, "invalid syntax", offset));
        }
        let parsed = str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
        let fits = |value: i64| match ty {
            Type::Byte => i8::try_from(value).is_ok(),
            Type::I16 => i16::try_from(value).is_ok(),
            Type::I64 => true,
            _ => i32::try_from(value).is_ok(),
        };
        parsed
            .filter(|&value| fits(value))
            .ok_or_else(|| parse_error(ty.name(), "ParseInt", text, "value out of range", offset))
    }

    fn structure(&mut self, id: StructId, depth: usize) -> Result<(), Error> {
        let d = self.d;
        let depth = self.scan.deeper(depth, self.options.max_depth)?;
        let structure = d.structure(id);
        let plan = structure.fields.plan();
        let base = self.base.take();
        // A framework's base belongs into arguments, not among them.
        let (base, for_arguments) = if structure.kind == StructKind::Arguments { (None, base) } else { (base, None) };
        if self.scan.peek() != Some(b'{') {
            return self.structure_of_another_kind(structure, base);
        }
        self.scan.pass();
        let mut seen = self.begin(plan);
        if self.scan.peek() == Some(b'}') {
            self.scan.pass();
            return self.end(structure, seen, base);
        }
        let mut expected = 0usize;
        loop {
            // Members mostly come in the order of the fields.
            let guess = plan.slots().get(expected);
            let slot = match guess.and_then(|slot| Some((slot, slot.key.strip(self.scan.rest)?))) {
                Some((slot, rest)) => {
                    self.scan.rest = rest;
                    slot
                }
                None => match self.member(plan, &mut expected)? {
                    Some(slot) => slot,
                    None if self.unknown(depth)? => continue,
                    None => break,
                },
            };
            if for_arguments.is_some() {
                self.base = for_arguments;
            }
            if let Err(error) = self.field(slot, structure, expected, &mut seen, base, depth) {
                return Err(at_field(error, structure, expected));
            }
            expected = expected.wrapping_add(1);
            if !self.scan.another(b'}', COMMA_OR_BRACE)? {
                break;
            }
            self.scan.peek();
        }
        self.end(structure, seen, base)
    }

    /// The value of a field, which may be null.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn field(
        &mut self,
        slot: &Slot,
        structure: &'a Struct,
        index: usize,
        seen: &mut Seen,
        base: Option<&Base>,
        depth: usize,
    ) -> Result<(), Error> {
        if self.scan.peek() == Some(b'n') {
            self.repeated |= self.is_seen(seen, slot.rank);
            return self.scan.word(b"null");
        }
        if self.lenient && self.is_seen(seen, slot.rank) {
            self.repeated = true;
            return self.scan.skip(depth, self.options.max_depth);
        }
        if slot.special {
            let Some(field) = structure.fields.get(index) else { return Ok(()) };
            if self.special(field, base, depth)? {
                self.see(seen, slot.rank);
                return Ok(());
            }
            if field.hidden && self.hide {
                return self.scan.skip(depth, self.options.max_depth);
            }
        }
        self.out.put(&slot.head);
        self.value(slot.ty, slot.js_conv && self.options.value_mapping, depth)?;
        self.see(seen, slot.rank);
        Ok(())
    }

    /// A field that is written in a way of its own: whether it was.
    #[inline(never)]
    fn special(&mut self, field: &'a Field, base: Option<&Base>, depth: usize) -> Result<bool, Error> {
        if let (Some(BaseKind::Base), Some(base)) = (field.base, base) {
            self.base(field, base, true, depth)?;
            return Ok(true);
        }
        if field.value_mapping.is_some() && self.options.value_mapping {
            return mapped::write(self, field, depth).map(|()| true);
        }
        Ok(false)
    }

    /// A member that is not the expected one: its field, whose index `expected` becomes.
    #[inline(never)]
    fn member<'p>(&mut self, plan: &'p Plan, expected: &mut usize) -> Result<Option<&'p Slot>, Error> {
        if self.scan.peek() != Some(b'"') {
            return Err(self.scan.syntax("a key"));
        }
        let start = self.scan;
        let (raw, escaped) = self.scan.raw_string()?;
        let index = if escaped {
            self.scan = start;
            plan.index_of_key(&self.unescaped()?)
        } else {
            plan.index_of_key(raw)
        };
        self.scan.expect(b':', "a colon")?;
        let Some(index) = index else {
            if self.options.deny_unknown {
                let name = String::from_utf8_lossy(raw).into_owned();
                return Err(Error::new(ErrorKind::UnknownField(name.into())).at(start.offset()));
            }
            return Ok(None);
        };
        *expected = index;
        Ok(plan.slots().get(index))
    }

    /// Passes the value of a member that has no field; whether there is another member.
    #[inline(never)]
    fn unknown(&mut self, depth: usize) -> Result<bool, Error> {
        self.scan.skip(depth, self.options.max_depth)?;
        let another = self.scan.another(b'}', COMMA_OR_BRACE)?;
        self.scan.peek();
        Ok(another)
    }

    /// What is no object has no members.
    #[inline(never)]
    fn structure_of_another_kind(&mut self, structure: &'a Struct, base: Option<&Base>) -> Result<(), Error> {
        let kind = self.scan.kind()?;
        if self.strict {
            return Err(Error::new(ErrorKind::Mismatch { need: "STRUCT", got: kind.kitex() }).at(self.scan.offset()));
        }
        if !self.lenient {
            let ty = structure.kind.name();
            return Err(dismatched(ty, "STRUCT", kind.name(), self.scan.offset()));
        }
        self.skip()?;
        let seen = self.begin(structure.fields.plan());
        self.end(structure, seen, base)
    }

    /// A struct without any members.
    pub(crate) fn empty_struct(&mut self, id: StructId) -> Result<(), Error> {
        let structure = self.d.structure(id);
        let base = self.base.take();
        let seen = self.begin(structure.fields.plan());
        self.end(structure, seen, base)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn begin(&mut self, plan: &Plan) -> Seen {
        let seen = Seen { first: 0, spilled: self.spill.len() };
        let more = plan.sets().len().wrapping_sub(1);
        if more > 0 {
            self.spill.resize(seen.spilled.wrapping_add(more), 0);
        }
        seen
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn see(&mut self, seen: &mut Seen, rank: u16) {
        let bit = 1u64 << (rank & 63);
        if rank < 64 {
            seen.first |= bit;
        } else if let Some(word) = self.spill.get_mut(word_of(seen, rank)) {
            *word |= bit;
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn is_seen(&self, seen: &Seen, rank: u16) -> bool {
        let bit = 1u64 << (rank & 63);
        if rank < 64 {
            return seen.first & bit != 0;
        }
        self.spill.get(word_of(seen, rank)).is_some_and(|word| word & bit != 0)
    }

    /// Writes the fields that must be there and are not, and ends the struct.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn end(&mut self, structure: &'a Struct, seen: Seen, base: Option<&Base>) -> Result<(), Error> {
        let sets = structure.fields.plan().sets();
        if let ([only], None) = (sets, base) {
            if self.must(only, None) & !seen.first != 0 {
                self.fill(structure, seen, None)?;
            }
        } else {
            self.fill(structure, seen, base)?;
            self.spill.truncate(seen.spilled);
        }
        self.out.put(&[0]);
        Ok(())
    }

    /// The fields that may not be left out.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn must(&self, sets: &RankSets, base: Option<&Base>) -> u64 {
        let when = |yes: bool| if yes { u64::MAX } else { 0 };
        // Those that are to be refused are among them.
        let must = sets.required
            | (sets.default & when(self.options.write_default))
            | (sets.optional & when(self.options.write_optional));
        let base = when(base.is_some()) & sets.base;
        if self.lenient { must | base } else { (must & !sets.base & !(sets.hidden & when(self.hide))) | base }
    }

    #[inline(never)]
    fn fill(&mut self, structure: &'a Struct, seen: Seen, base: Option<&Base>) -> Result<(), Error> {
        let plan = structure.fields.plan();
        for (word, sets) in plan.sets().iter().enumerate() {
            let written = match word.checked_sub(1) {
                None => seen.first,
                Some(more) => self.spill.get(seen.spilled.wrapping_add(more)).copied().unwrap_or_default(),
            };
            let mut missing = self.must(sets, base) & !written;
            while missing != 0 {
                let bit = usize::try_from(missing.trailing_zeros()).unwrap_or_default();
                missing &= missing.wrapping_sub(1);
                let index = plan.index_of_rank(word.wrapping_mul(64).wrapping_add(bit));
                let (Some(slot), Some(field)) = (plan.slots().get(index), structure.fields.get(index)) else {
                    continue;
                };
                self.missing(slot, field, sets.required >> bit & 1 == 1, base)?;
            }
        }
        Ok(())
    }

    /// Writes a field that nobody gave.
    fn missing(&mut self, slot: &Slot, field: &Field, required: bool, base: Option<&Base>) -> Result<(), Error> {
        match (field.base, base) {
            (Some(BaseKind::Base), Some(base)) => return self.base(field, base, false, 1),
            // Looked at only for the sake of the base beside it.
            (Some(BaseKind::BaseResp), Some(_)) if !self.must_without_base(field) => return Ok(()),
            _ => {}
        }
        if required && !self.options.write_required {
            let kind = ErrorKind::Required { id: field.id, name: field.key.clone() };
            return Err(Error::new(kind).at(self.scan.offset()));
        }
        self.out.put(&slot.head);
        let container = matches!(field.ty, Type::List(_) | Type::Set(_) | Type::Map(..) | Type::Struct(_));
        if self.options.idl_defaults_on_write
            && (self.lenient || !container)
            && let Some(bytes) = fill::default(self.d, field, slot)
        {
            self.out.put_slice(bytes);
            return Ok(());
        }
        self.zero(field.ty);
        Ok(())
    }

    fn must_without_base(&self, field: &Field) -> bool {
        use crate::descriptor::Requiredness;
        self.lenient
            && match field.requiredness {
                Requiredness::Required => true,
                Requiredness::Default => self.options.write_default,
                Requiredness::Optional => self.options.write_optional,
            }
    }

    #[inline]
    pub(super) fn zero(&mut self, ty: Type) {
        let (bytes, len) = fill::zero(self.d, ty);
        self.out.put_part(&bytes, len);
    }

    /// The framework's base; if `given`, merged with the caller's, which comes next (generic-call 3.8).
    #[inline(never)]
    fn base(&mut self, field: &Field, base: &Base, given: bool, depth: usize) -> Result<(), Error> {
        let Type::Struct(id) = field.ty else {
            return Err(Error::expected("struct", field.ty.name()));
        };
        let structure = self.d.structure(id);
        let [high, low] = field.id.to_be_bytes();
        self.out.put(&[field.ty.ttype().0, high, low]);
        let has = |id| structure.fields.by_id(id);
        for (id, text, always) in
            [(1, &base.log_id, true), (2, &base.caller, true), (3, &base.addr, true), (4, &base.client, false)]
        {
            if has(id).is_some_and(|field| field.ty == Type::String) && (always || !text.is_empty()) {
                self.text_field(id, text)?;
            }
        }
        if let (Some((open, env)), Some(_)) = (&base.traffic_env, has(5)) {
            self.out.put(&[Type::Struct(id).ttype().0, 0, 5, Type::Bool.ttype().0, 0, 1, u8::from(*open)]);
            self.text_field(2, env)?;
            self.out.put(&[0]);
        }
        let extra = has(6).map(|field| &*field.key);
        self.extra(extra, base, given, depth)?;
        self.out.put(&[0]);
        Ok(())
    }

    fn text_field(&mut self, id: i16, text: &str) -> Result<(), Error> {
        let [high, low] = id.to_be_bytes();
        self.out.put(&[Type::String.ttype().0, high, low]);
        self.text(text)
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        let at = self.begin_bytes();
        self.out.put_slice(text.as_bytes());
        self.end_bytes(at)
    }

    /// Field 6: the caller's entries that the framework does not have, and the framework's.
    fn extra(&mut self, name: Option<&str>, base: &Base, given: bool, depth: usize) -> Result<(), Error> {
        let start = self.out.pos();
        let string = Type::String.ttype().0;
        self.out.put(&[13, 0, 6, string, string, 0, 0, 0, 0]);
        let mut count = 0usize;
        if given {
            count = self.extra_of_caller(name, base, depth)?;
        }
        if name.is_some() {
            for (key, value) in &base.extra {
                self.text(key)?;
                self.text(value)?;
                count = count.saturating_add(1);
            }
        }
        if count == 0 {
            self.out.back_to(start);
            return Ok(());
        }
        self.count(start.saturating_add(5), count)
    }

    fn extra_of_caller(&mut self, name: Option<&str>, base: &Base, depth: usize) -> Result<usize, Error> {
        let mut count = 0usize;
        self.members(depth, |this, key, depth| {
            if name.map(str::as_bytes) != Some(key) {
                return this.scan.skip(depth, this.options.max_depth);
            }
            if this.scan.peek() == Some(b'n') {
                return this.scan.word(b"null");
            }
            this.members(depth, |this, key, depth| {
                if base.extra.iter().any(|(name, _)| name.as_bytes() == key) || this.scan.peek() == Some(b'n') {
                    return this.scan.skip(depth, this.options.max_depth);
                }
                let at = this.begin_bytes();
                this.out.put_slice(key);
                this.end_bytes(at)?;
                count = count.saturating_add(1);
                this.string(Type::String, false)
            })
        })?;
        Ok(count)
    }

    /// Gives every member of an object to `each`, which is to pass its value. What is no object has no members, where
    /// that is allowed.
    pub(super) fn members(
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
    pub(super) fn elements(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
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
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        self.scan.skip(self.options.max_depth, self.options.max_depth)
    }

    /// The string that comes next.
    pub(super) fn unescaped(&mut self) -> Result<Vec<u8>, Error> {
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

fn word_of(seen: &Seen, rank: u16) -> usize {
    seen.spilled.wrapping_add(usize::from(rank >> 6)).wrapping_sub(1)
}

#[cold]
#[inline(never)]
fn at_field(error: Error, structure: &Struct, index: usize) -> Error {
    match structure.fields.get(index) {
        Some(field) => error.inside(Step::Field(field.key.clone())),
        None => error,
    }
}

#[cold]
#[inline(never)]
fn at_entry(error: Error, start: Scanner<'_>) -> Error {
    error.inside(Step::Entry(key_at(start)))
}

#[cold]
#[inline(never)]
fn at_key(error: Error, start: Scanner<'_>) -> Error {
    error.inside(Step::Key(key_at(start)))
}

/// The key that is to be found here, as it stands in the text.
fn key_at(mut start: Scanner<'_>) -> Box<str> {
    start.peek();
    let raw = start.raw_string().map(|(raw, _)| raw).unwrap_or_default();
    shortened(raw)
}

/// A text for messages.
pub(super) fn shortened(text: &[u8]) -> Box<str> {
    const MOST: usize = 64;
    match text.get(..MOST) {
        Some(start) => format!("{}…", String::from_utf8_lossy(start).trim_end_matches('\u{fffd}')).into(),
        None => String::from_utf8_lossy(text).into(),
    }
}

#[cold]
#[inline(never)]
fn no_value(expected: &'static str, text: &[u8], reason: &str, offset: usize) -> Error {
    Error::new(ErrorKind::Value { expected, found: shortened(text), reason: reason.into() }).at(offset)
}

#[cold]
fn no_number(ty: Type, text: &[u8], reason: &str, offset: usize) -> Error {
    no_value(ty.name(), text, reason, offset)
}

/// In the words of Go's `strconv`.
#[cold]
fn parse_error(expected: &'static str, function: &str, text: &[u8], reason: &str, offset: usize) -> Error {
    let found = shortened(text);
    no_value(expected, text, &format!("strconv.{function}: parsing {found:?}: {reason}"), offset)
}

#[cold]
#[inline(never)]
fn dismatched(expected: &'static str, kitex: &str, found: &'static str, offset: usize) -> Error {
    Error::new(ErrorKind::Dismatched { expected, kitex: kitex.into(), found }).at(offset)
}

#[cold]
fn too_long(field: &'static str, actual: usize) -> Error {
    let max = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
    Error::from(thrift_codec::EncodeError::TooLong { field, max, actual })
}
