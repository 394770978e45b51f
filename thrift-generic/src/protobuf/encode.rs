//! From JSON to messages, straight from text to bytes: member by member in the order of the text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, ErrorKind};
use crate::path::Step;
use crate::protobuf::decode::key_text;
use crate::protobuf::json::invalid;
use crate::protobuf::options::PbOptions;
use crate::protobuf::schema::{Field, Kind, Message, PbMessage, Schema, Shape};
use crate::protobuf::wire::{WireType, begin_len, end_len, put_bytes, put_tag, put_varint, zigzag};

pub(super) fn encode(
    schema: &Schema,
    options: &PbOptions,
    message: PbMessage,
    json: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let text =
        simdutf8::compat::from_utf8(json).map_err(|error| syntax("text that is no UTF-8").at(error.valid_up_to()))?;
    let message = schema.message(message);
    let mut cx = Context { schema, options, out, failure: None, steps: Vec::new() };
    let mut json = serde_json::Deserializer::from_str(text);
    // Depth is counted here, and what is passed over takes no stack.
    json.disable_recursion_limit();
    let result = Root { cx: &mut cx, message }.deserialize(&mut json).and_then(|()| json.end());
    let Err(error) = result else { return Ok(()) };
    let failure = cx.failure.take().unwrap_or_else(|| syntax(what(&error.to_string())));
    let failure = cx.steps.drain(..).fold(failure, Error::inside).inside(Step::Field(message.name.clone()));
    Err(failure.at(offset(text, error.line(), error.column())))
}

/// What goes along. serde's errors are text; what is wrong stays here meanwhile.
struct Context<'c> {
    schema: &'c Schema,
    options: &'c PbOptions,
    out: &'c mut Vec<u8>,
    failure: Option<Error>,
    /// Where it is, the innermost first.
    steps: Vec<Step>,
}

impl Context<'_> {
    #[cold]
    fn fail<E: serde::de::Error>(&mut self, error: Error) -> E {
        self.failure = Some(error);
        E::custom("")
    }

    fn check_depth<E: serde::de::Error>(&mut self, depth: usize) -> Result<(), E> {
        let limit = self.options.max_depth;
        if depth > limit { Err(self.fail(Error::new(ErrorKind::Depth { limit }))) } else { Ok(()) }
    }
}

/// The whole text.
struct Root<'c, 's> {
    cx: &'c mut Context<'s>,
    message: &'s Message,
}

impl<'de> DeserializeSeed<'de> for Root<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        write_message(self.cx, self.message, 1, members)
    }
}

/// A place that takes a value: a field, an element of a list, a value of a map.
struct Place<'c, 's> {
    cx: &'c mut Context<'s>,
    field: &'s Field,
    shape: Shape,
    /// Whether values are written without their tag.
    bare: bool,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    /// Whether there is a value; `null` is none.
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<bool, E> {
        match (self.shape, self.field.kind) {
            (Shape::Singular, Kind::Bool) => self.put_bits(value.into()),
            _ => self.mismatch("bool"),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<bool, E> {
        self.number(Number::Signed(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<bool, E> {
        self.number(Number::Unsigned(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<bool, E> {
        self.number(Number::Float(value))
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<bool, E> {
        if self.shape != Shape::Singular {
            return self.mismatch("string");
        }
        match self.field.kind {
            Kind::String => {
                self.put_tag();
                put_bytes(self.cx.out, text.as_bytes());
                Ok(true)
            }
            Kind::Bytes => {
                self.put_tag();
                self.base64(text)
            }
            Kind::Bool | Kind::Message(_) => self.mismatch("string"),
            Kind::Enum(of) => match self.cx.schema.enumeration(of).number(text) {
                Some(number) => self.number(Number::Signed(number.into())),
                None => Err(self.cx.fail(invalid("enum", text, "no value has this name"))),
            },
            kind => match bits_of_text(kind, text) {
                Ok(bits) => self.put_bits(bits),
                Err(error) => Err(self.cx.fail(error)),
            },
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        if self.shape != Shape::List {
            return self.mismatch("list");
        }
        let start = self.cx.out.len();
        let packed = self.field.packed.then(|| {
            put_tag(self.cx.out, self.field.number, WireType::Len);
            begin_len(self.cx.out)
        });
        let mut index = 0_usize;
        loop {
            let element = Place {
                cx: &mut *self.cx,
                field: self.field,
                shape: Shape::Singular,
                bare: packed.is_some(),
                depth: self.depth,
            };
            match elements.next_element_seed(element) {
                Ok(Some(_)) => index = index.saturating_add(1),
                Ok(None) => break,
                Err(error) => {
                    self.cx.steps.push(Step::Index(index));
                    return Err(error);
                }
            }
        }
        match packed {
            // A list of nothing is not written.
            Some(content) if self.cx.out.len() == content => self.cx.out.truncate(start),
            Some(content) => end_len(self.cx.out, content),
            None => {}
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, members: A) -> Result<bool, A::Error> {
        match (self.shape, self.field.kind) {
            (Shape::Map, Kind::Message(entry)) => self.entries(entry, members),
            (Shape::Singular, Kind::Message(message)) => {
                let message = self.cx.schema.message(message);
                self.put_tag();
                let depth = self.depth.saturating_add(1);
                if self.field.group {
                    write_message(self.cx, message, depth, members)?;
                    put_tag(self.cx.out, self.field.number, WireType::EndGroup);
                } else {
                    let content = begin_len(self.cx.out);
                    write_message(self.cx, message, depth, members)?;
                    end_len(self.cx.out, content);
                }
                Ok(true)
            }
            _ => self.mismatch("object"),
        }
    }
}

impl Place<'_, '_> {
    fn entries<'de, A: MapAccess<'de>>(self, entry: PbMessage, mut members: A) -> Result<bool, A::Error> {
        let Self { cx, field, depth, .. } = self;
        let depth = depth.saturating_add(1);
        cx.check_depth(depth)?;
        let entry = cx.schema.message(entry);
        let (Some(key), Some(value)) = (entry.field(1), entry.field(2)) else { return Ok(true) };
        loop {
            let start = cx.out.len();
            put_tag(cx.out, field.number, WireType::Len);
            let content = begin_len(cx.out);
            let Some(()) = members.next_key_seed(EntryKey { cx: &mut *cx, field: key })? else {
                cx.out.truncate(start);
                return Ok(true);
            };
            let key_end = cx.out.len();
            let place = Place { cx: &mut *cx, field: value, shape: Shape::Singular, bare: false, depth };
            match members.next_value_seed(place) {
                Ok(true) => end_len(cx.out, content),
                Ok(false) => cx.out.truncate(start),
                Err(error) => {
                    let key = key_text(key.kind, cx.out.get(content..key_end).unwrap_or_default());
                    cx.steps.push(Step::Entry(key));
                    return Err(error);
                }
            }
        }
    }

    fn number<E: serde::de::Error>(self, number: Number) -> Result<bool, E> {
        if self.shape != Shape::Singular {
            return self.mismatch("number");
        }
        match number.bits(self.field.kind) {
            Some(Ok(bits)) => self.put_bits(bits),
            Some(Err(error)) => Err(self.cx.fail(error)),
            None => self.mismatch("number"),
        }
    }

    /// A number, as it lies on the wire.
    fn put_bits<E: serde::de::Error>(mut self, bits: Bits) -> Result<bool, E> {
        self.put_tag();
        bits.put(self.cx.out);
        Ok(true)
    }

    fn base64<E: serde::de::Error>(self, text: &str) -> Result<bool, E> {
        // Padding says nothing that is not known without.
        let digits = text.trim_end_matches('=');
        let url = digits.bytes().any(|byte| matches!(byte, b'-' | b'_'));
        let alphabet = if url { base64_simd::URL_SAFE_NO_PAD } else { base64_simd::STANDARD_NO_PAD };
        let padding = text.len().saturating_sub(digits.len());
        let padded = padding == 0 || padding <= 2 && text.len().is_multiple_of(4);
        let content = begin_len(self.cx.out);
        if !padded || alphabet.decode_append(digits, self.cx.out).is_err() {
            return Err(self.cx.fail(invalid("base64", text, "illegal base64 data")));
        }
        end_len(self.cx.out, content);
        Ok(true)
    }

    fn put_tag(&mut self) {
        if !self.bare {
            put_tag(self.cx.out, self.field.number, self.field.wire_type());
        }
    }

    #[cold]
    fn mismatch<E: serde::de::Error>(self, found: &'static str) -> Result<bool, E> {
        Err(self.cx.fail(Error::expected(self.expected(), found)))
    }

    fn expected(&self) -> &'static str {
        match self.shape {
            Shape::Singular => self.field.kind.name(),
            Shape::List => "list",
            Shape::Map => "map",
        }
    }
}

/// The key of a map's entry.
struct EntryKey<'c, 's> {
    cx: &'c mut Context<'s>,
    field: &'s Field,
}

impl<'de> DeserializeSeed<'de> for EntryKey<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for EntryKey<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let Self { cx, field } = self;
        put_tag(cx.out, field.number, field.wire_type());
        let bits = match (field.kind, text) {
            (Kind::String, _) => {
                put_bytes(cx.out, text.as_bytes());
                return Ok(());
            }
            (Kind::Bool, "true") => Ok(true.into()),
            (Kind::Bool, "false") => Ok(false.into()),
            (Kind::Bool, _) => Err(invalid("bool", text, "expected true or false")),
            (kind, _) => bits_of_text(kind, text),
        };
        match bits {
            Ok(bits) => bits.put(cx.out),
            Err(error) => {
                cx.steps.push(Step::Key(text.into()));
                return Err(cx.fail(error));
            }
        }
        Ok(())
    }
}

/// The name of a member.
struct Name<'s>(&'s Message);

impl<'de, 's> DeserializeSeed<'de> for Name<'s> {
    type Value = Result<&'s Field, Box<str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for Name<'s> {
    type Value = Result<&'s Field, Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field_named(name).ok_or_else(|| name.into()))
    }
}

fn write_message<'de, 's, A: MapAccess<'de>>(
    cx: &mut Context<'s>,
    message: &'s Message,
    depth: usize,
    mut members: A,
) -> Result<(), A::Error> {
    cx.check_depth(depth)?;
    while let Some(field) = members.next_key_seed(Name(message))? {
        match field {
            Ok(field) => {
                let place = Place { cx: &mut *cx, field, shape: field.shape, bare: false, depth };
                if let Err(error) = members.next_value_seed(place) {
                    cx.steps.push(Step::Field(field.json_name.clone()));
                    return Err(error);
                }
            }
            Err(name) if cx.options.deny_unknown => {
                return Err(cx.fail(Error::new(ErrorKind::UnknownField(name))));
            }
            Err(_) => _ = members.next_value::<IgnoredAny>()?,
        }
    }
    Ok(())
}

/// A number of JSON.
#[derive(Clone, Copy, Debug)]
enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// A number of Protobuf, in the form in which it is written.
#[derive(Clone, Copy, Debug)]
enum Bits {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
}

impl Number {
    /// Nothing, if the kind takes no numbers.
    fn bits(self, kind: Kind) -> Option<Result<Bits, Error>> {
        Some(match kind {
            Kind::Double => Ok(Bits::Fixed64(self.float().to_le_bytes())),
            Kind::Float => self.narrow_float().map(|value| Bits::Fixed32(value.to_le_bytes())),
            Kind::Int32 | Kind::Enum(_) => {
                self.signed::<i32>(kind).map(|value| Bits::Varint(i64::from(value).cast_unsigned()))
            }
            Kind::Int64 => self.signed::<i64>(kind).map(|value| Bits::Varint(value.cast_unsigned())),
            Kind::Uint32 => self.unsigned::<u32>(kind).map(|value| Bits::Varint(value.into())),
            Kind::Uint64 => self.unsigned::<u64>(kind).map(Bits::Varint),
            Kind::Sint32 => self.signed::<i32>(kind).map(|value| Bits::Varint(zigzag(value.into()))),
            Kind::Sint64 => self.signed::<i64>(kind).map(|value| Bits::Varint(zigzag(value))),
            Kind::Fixed32 => self.unsigned::<u32>(kind).map(|value| Bits::Fixed32(value.to_le_bytes())),
            Kind::Fixed64 => self.unsigned::<u64>(kind).map(|value| Bits::Fixed64(value.to_le_bytes())),
            Kind::Sfixed32 => self.signed::<i32>(kind).map(|value| Bits::Fixed32(value.to_le_bytes())),
            Kind::Sfixed64 => self.signed::<i64>(kind).map(|value| Bits::Fixed64(value.to_le_bytes())),
            Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) => return None,
        })
    }

    fn signed<T: TryFrom<i64>>(self, kind: Kind) -> Result<T, Error> {
        let value = match self.integer() {
            Self::Signed(value) => Some(value),
            Self::Unsigned(value) => i64::try_from(value).ok(),
            Self::Float(_) => None,
        };
        value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| self.misfit(kind))
    }

    fn unsigned<T: TryFrom<u64>>(self, kind: Kind) -> Result<T, Error> {
        let value = match self.integer() {
            Self::Signed(value) => u64::try_from(value).ok(),
            Self::Unsigned(value) => Some(value),
            Self::Float(_) => None,
        };
        value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| self.misfit(kind))
    }

    /// An integer in place of a float that is one. Beyond 2^53 it can't be said which one the text meant.
    fn integer(self) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            #[expect(clippy::as_conversions, reason = "a float without a fraction, within i64")]
            Self::Float(value) if value.trunc() == value && value.abs() <= EXACT => Self::Signed(value as i64),
            number => number,
        }
    }

    #[expect(clippy::as_conversions, reason = "to the nearest, as every JSON reader does")]
    fn float(self) -> f64 {
        match self {
            Self::Signed(value) => value as f64,
            Self::Unsigned(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    #[expect(clippy::as_conversions, reason = "to the nearest; what is beyond is found to be")]
    fn narrow_float(self) -> Result<f32, Error> {
        let value = match self {
            Self::Signed(value) => value as f32,
            Self::Unsigned(value) => value as f32,
            Self::Float(value) => value as f32,
        };
        if value.is_infinite() && self.float().is_finite() { Err(self.misfit(Kind::Float)) } else { Ok(value) }
    }

    #[cold]
    fn misfit(self, kind: Kind) -> Error {
        let text = match self {
            Self::Signed(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
        };
        let whole = !matches!(self.integer(), Self::Float(value) if value.trunc() != value);
        invalid(kind.name(), &text, if whole { "out of range" } else { "not an integer" })
    }
}

impl Bits {
    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Varint(value) => put_varint(out, value),
            Self::Fixed32(bytes) => out.extend_from_slice(&bytes),
            Self::Fixed64(bytes) => out.extend_from_slice(&bytes),
        }
    }
}

impl From<bool> for Bits {
    fn from(value: bool) -> Self {
        Self::Varint(value.into())
    }
}

/// A number that is written as text.
fn bits_of_text(kind: Kind, text: &str) -> Result<Bits, Error> {
    let is_float = matches!(kind, Kind::Double | Kind::Float);
    let number = match text {
        "NaN" if is_float => Some(Number::Float(f64::NAN)),
        "Infinity" if is_float => Some(Number::Float(f64::INFINITY)),
        "-Infinity" if is_float => Some(Number::Float(f64::NEG_INFINITY)),
        // The same texts as bare ones, and no more.
        _ => serde_json::from_str(text).ok().and_then(|number: serde_json::Number| {
            let signed = number.as_i64().map(Number::Signed);
            signed.or_else(|| number.as_u64().map(Number::Unsigned)).or_else(|| number.as_f64().map(Number::Float))
        }),
    };
    let bits = number.filter(|_| !text.starts_with(|c: char| c.is_ascii_whitespace())).and_then(|n| n.bits(kind));
    bits.unwrap_or_else(|| Err(invalid(kind.name(), text, "no such number")))
}

#[cold]
fn syntax(found: &str) -> Error {
    Error::new(ErrorKind::Syntax { expected: "an object", found: found.into() })
}

/// serde_json's words without the place, which is told otherwise.
fn what(error: &str) -> &str {
    error.rsplit_once(" at line ").map_or(error, |(what, _)| what)
}

/// The offset of a place that is told by line and column, both counted from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
    lines.map(str::len).sum::<usize>().saturating_add(column).saturating_sub(1).min(text.len())
}
