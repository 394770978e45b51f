//! JSON text to Thrift Binary and back, straight between the two (generic-call 3).

mod base64;
mod fill;
mod go;
mod keys;
mod mapped;
mod number;
mod out;
pub(crate) mod part;
pub(crate) mod read;
mod scan;
mod text;
pub(crate) mod write;

use self::write::Writer;
use crate::base::Base;
use crate::descriptor::{Descriptor, Field, Function, Type};
use crate::error::{Error, ErrorKind};
use crate::options::{Options, Profile};
use crate::outcome::Outcome;

pub use go::go_syntax;

/// Converts between JSON text and Thrift Binary.
///
/// Output is appended; where a conversion fails, the buffer is left as it was. Give the same buffer again (cleared) and
/// nothing is allocated once it is large enough.
///
/// ```
/// use thrift_generic::{Descriptor, Options, Profile, json::JsonCodec};
///
/// let d = Descriptor::from_text("struct Order { 1: i64 id, 2: list<string> tags } service Shop { Order Get(1: Order o) }")?;
/// let f = d.function("Get").ok_or("no such method")?;
/// let codec = JsonCodec::new(Options::json(Profile::Dynamic));
///
/// let mut thrift = Vec::new();
/// codec.encode_request(&d, f, Some(br#"{"id": 7, "tags": ["new"]}"#), None, &mut thrift)?;
/// let mut json = Vec::new();
/// codec.decode_request(&d, f, &thrift, &mut json)?;
/// assert_eq!(json, br#"{"id":7,"tags":["new"]}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct JsonCodec {
    options: Options,
}

impl JsonCodec {
    /// Converts by these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// By which options it converts.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Appends the value that a JSON text is. What follows the value is not looked at, as in Kitex.
    ///
    /// `null` is an empty struct, or zero; so is empty text in the default profile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Syntax`] for what is no JSON; [`ErrorKind::Type`], [`ErrorKind::Dismatched`], [`ErrorKind::Value`]
    /// and the like for what is not of the type; each with the path and the offset in `json`.
    pub fn write(&self, d: &Descriptor, ty: Type, json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut writer = Writer::new(d, &self.options, json, out);
        let result = writer.root(ty, false);
        writer.finish(result)
    }

    /// Appends the JSON text of a Thrift value, which is all of `thrift`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Thrift`] and [`ErrorKind::Trailing`] for what is no Thrift value, [`ErrorKind::Type`] for one of
    /// another type, [`ErrorKind::Required`]; each with the path and the offset in `thrift`.
    pub fn read(&self, d: &Descriptor, ty: Type, thrift: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        read::run(d, &self.options, false, thrift, out, |reader| reader.root(ty))
    }

    /// Appends the struct of the arguments with the first one in it, or with none where there is no `json`.
    ///
    /// A `string` or `binary` need not be quoted: text that does not begin with a quote is taken as it is
    /// (generic-call 3.2). A framework's `base` goes into the argument's field of type `base.Base` (3.8).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn encode_request(
        &self,
        d: &Descriptor,
        f: &Function,
        json: Option<&[u8]>,
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match (json, d.structure(f.arguments).fields.first()) {
            (Some(json), Some(argument)) => {
                let base = base.filter(|_| f.has_base);
                let mut writer = Writer::new(d, &self.options, json, out).with_base(base);
                let result = writer.wrapped(argument);
                writer.finish(result)
            }
            _ => {
                out.push(0);
                Ok(())
            }
        }
    }

    /// Appends the struct of the arguments with every argument from one object, by name. (Kitex knows the first
    /// argument only.)
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn encode_arguments(
        &self,
        d: &Descriptor,
        f: &Function,
        json: &[u8],
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut writer = Writer::new(d, &self.options, json, out).with_base(base);
        let result = writer.root(Type::Struct(f.arguments), false);
        writer.finish(result)
    }

    /// Appends the JSON text of the first argument; of a `string` or `binary` without quotes. Where the argument is not
    /// there it is `null`, or in the dynamic profile `{}` for a struct, as in Kitex.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn decode_request(
        &self,
        d: &Descriptor,
        f: &Function,
        arguments: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let argument = d.structure(f.arguments).fields.first();
        let none: &[u8] = match argument.map(|argument| argument.ty) {
            Some(Type::Struct(_)) if self.options.profile == Profile::Dynamic => b"{}",
            _ => b"null",
        };
        let found = read::run(d, &self.options, false, arguments, out, |reader| {
            let mut found = false;
            while let Some((ttype, id)) = reader.field_header()? {
                match argument.filter(|argument| argument.id == id && !found) {
                    Some(argument) => found = reader.wrapped(argument, ttype)?,
                    None => reader.skip(ttype, self.options.max_depth)?,
                }
            }
            Ok(found)
        })?;
        if !found {
            out.extend_from_slice(none);
        }
        Ok(())
    }

    /// Appends the JSON text of all arguments: an object, by name.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn decode_arguments(
        &self,
        d: &Descriptor,
        f: &Function,
        arguments: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.read(d, Type::Struct(f.arguments), arguments, out)
    }

    /// Appends the struct of the result.
    ///
    /// A void method succeeds with [`Outcome::Void`] as well as with any value, and always by `00`, which every peer
    /// can read (generic-call 3.11).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); [`ErrorKind::Unsupported`] where `throws` has no such exception, or where a method
    /// that is not void is to end as one.
    pub fn encode_response(
        &self,
        d: &Descriptor,
        f: &Function,
        outcome: &Outcome<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let fields = &d.structure(f.result).fields;
        let (field, json) = match *outcome {
            Outcome::Exception { id, value } => {
                let field = fields.by_id(id).filter(|field| field.id != 0);
                let none = || unsupported(format!("{} throws no exception with id {id}", f.name));
                (Some(field.ok_or_else(none)?), value)
            }
            Outcome::Value(value) => (fields.by_id(0), value),
            Outcome::Void if f.response != Type::Void => {
                return Err(Error::expected(f.response.name(), "void"));
            }
            Outcome::Void | Outcome::Empty => (None, &b""[..]),
        };
        let Some(field) = field else {
            out.push(0);
            return Ok(());
        };
        let mut writer = Writer::new(d, &self.options, json, out).response();
        let result = writer.wrapped(field);
        writer.finish(result)
    }

    /// Appends the JSON text of the result or of the exception, if there is one: what came back. A `string` or
    /// `binary` is without quotes. An exception counts before a value.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn decode_response(
        &self,
        d: &Descriptor,
        f: &Function,
        result: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Outcome<()>, Error> {
        let fields = &d.structure(f.result).fields;
        read::run(d, &self.options, true, result, out, |reader| {
            let mut outcome = if f.response == Type::Void { Outcome::Void } else { Outcome::Empty };
            while let Some((ttype, id)) = reader.field_header()? {
                let field = fields.by_id(id).filter(|field| is_news(&outcome, field));
                match field {
                    Some(field) => {
                        reader.start_over();
                        if reader.wrapped(field, ttype)? {
                            outcome = match id {
                                0 => Outcome::Value(()),
                                id => Outcome::Exception { id, value: () },
                            };
                        }
                    }
                    // Kitex's generic servers end a void call with a field of type void, which is an empty struct.
                    None if id == 0 && ttype == Type::Void.ttype() => {
                        reader.skip(thrift_codec::TType::STRUCT, self.options.max_depth)?;
                    }
                    None => reader.skip(ttype, self.options.max_depth)?,
                }
            }
            Ok(outcome)
        })
    }

    /// Appends a message of a stream, which is bare; none is a struct without fields.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn encode_message(
        &self,
        d: &Descriptor,
        ty: Type,
        json: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match json {
            Some(json) => self.write(d, ty, json, out),
            None => {
                out.push(0);
                Ok(())
            }
        }
    }

    /// Appends the JSON text of a message of a stream, which is bare.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn decode_message(&self, d: &Descriptor, ty: Type, message: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.read(d, ty, message, out)
    }

    /// What a Kitex client's error says of a declared exception, given its JSON text: the text itself in the dynamic
    /// profile, what Go prints of its map in the default one. At the caller of a Kitex client it is preceded by
    /// `remote or network error[remote]: `.
    #[must_use]
    pub fn exception_text(&self, json: &str) -> String {
        match self.options.profile {
            Profile::Default => go_syntax(json),
            Profile::Dynamic => json.to_owned(),
        }
    }
}

/// Whether a field says more than what is known so far: the first exception counts, then the value.
fn is_news(outcome: &Outcome<()>, field: &Field) -> bool {
    match outcome {
        Outcome::Exception { .. } => false,
        Outcome::Value(()) => field.id != 0,
        Outcome::Void | Outcome::Empty => true,
    }
}

fn unsupported(text: String) -> Error {
    Error::new(ErrorKind::Unsupported(text.into()))
}
