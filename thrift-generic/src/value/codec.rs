use thrift_codec::TType;

use crate::base::Base;
use crate::descriptor::{Descriptor, Function, Type};
use crate::error::{Error, ErrorKind};
use crate::options::Options;
use crate::outcome::Outcome;
use crate::path::Step;
use crate::value::Value;
use crate::value::kind::mismatch;
use crate::value::read::{ValueReader, wrong_type};
use crate::value::write::ValueWriter;
use crate::wire;

/// Between [`Value`]s and the structs that Thrift sends: Kitex's Map generic, both ends (generic-call 4).
///
/// What is written is appended to `out`, and is cut off again where it fails. All fields are written in the order of
/// their declaration.
///
/// ```
/// use thrift_generic::value::MapCodec;
/// use thrift_generic::{Descriptor, Options, Outcome, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let descriptor = Descriptor::from_text("struct Hi { 1: string name } service S { i32 Greet(1: Hi hi) }")?;
/// let greet = descriptor.function("Greet").unwrap();
/// let codec = MapCodec::new(Options::map());
///
/// let mut arguments = Vec::new();
/// codec.encode_request(&descriptor, greet, &Value::structure([("name", "you")]), None, &mut arguments)?;
/// let request = codec.decode_request(&descriptor, greet, &arguments)?;
/// assert_eq!(request.field::<&str>("name")?, "you");
///
/// let mut result = Vec::new();
/// codec.encode_response(&descriptor, greet, &Outcome::Value(&Value::I32(3)), &mut result)?;
/// assert_eq!(codec.decode_response(&descriptor, greet, &result)?, Outcome::Value(Value::I32(3)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MapCodec {
    options: Options,
}

impl Default for MapCodec {
    fn default() -> Self {
        Self::new(Options::map())
    }
}

impl MapCodec {
    /// A codec that converts as `options` say; start from [`Options::map`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// What it converts by.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Appends a bare value. Null is the zero value.
    ///
    /// # Errors
    ///
    /// The value, or something in it, is none of its type; the path says where.
    pub fn write(&self, d: &Descriptor, ty: Type, value: &Value, out: &mut Vec<u8>) -> Result<(), Error> {
        whole(out, |out| {
            let mut writer = ValueWriter::new(d, &self.options, out);
            if value.is_null() { writer.zero(ty) } else { writer.value(ty, value, false) }
        })
    }

    /// Reads a bare value, which is all there is in `thrift`.
    ///
    /// # Errors
    ///
    /// The bytes are none, or another type's; there are more of them than the value has; a required field is not there.
    pub fn read(&self, d: &Descriptor, ty: Type, thrift: &[u8]) -> Result<Value, Error> {
        let mut reader = ValueReader::new(d, &self.options, thrift);
        let value = reader.value(ty, false)?;
        reader.end()?;
        Ok(value)
    }

    /// Appends the struct of the arguments with the first one in it, or with none where `value` is null. A framework's
    /// `base` goes into the argument's fields of type `base.Base` (generic-call 3.8).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn encode_request(
        &self,
        d: &Descriptor,
        f: &Function,
        value: &Value,
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        whole(out, |out| {
            if let Some(argument) = d.structure(f.arguments).fields.first().filter(|_| !value.is_null()) {
                wire::field(out, argument.ty.ttype(), argument.id);
                ValueWriter::new(d, &self.options, out)
                    .request(argument.ty, value, base)
                    .map_err(|error| error.inside(Step::Field(argument.key.clone())))?;
            }
            wire::stop(out);
            Ok(())
        })
    }

    /// Appends the struct of the arguments with every argument from a [`Value::Struct`] by name. (Kitex knows the first
    /// argument only.)
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn encode_arguments(
        &self,
        d: &Descriptor,
        f: &Function,
        values: &Value,
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let Value::Struct(members) = values else { return Err(Error::expected("struct", values.type_name())) };
        let fields = &d.structure(f.arguments).fields;
        let unknown = members.iter().find(|(name, _)| fields.by_key(name).is_none());
        if let Some((name, _)) = unknown.filter(|_| self.options.deny_unknown) {
            return Err(Error::new(ErrorKind::UnknownField(name.clone())));
        }
        whole(out, |out| {
            for argument in fields.iter() {
                let inside = |error: Error| error.inside(Step::Field(argument.key.clone()));
                match values.get(&argument.key).filter(|value| !value.is_null()) {
                    Some(value) => {
                        wire::field(out, argument.ty.ttype(), argument.id);
                        ValueWriter::new(d, &self.options, out).request(argument.ty, value, base).map_err(inside)?;
                    }
                    None => ValueWriter::new(d, &self.options, out).missing(argument)?,
                }
            }
            wire::stop(out);
            Ok(())
        })
    }

    /// The first argument, from the struct of the arguments; null where it is not in it.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn decode_request(&self, d: &Descriptor, f: &Function, arguments: &[u8]) -> Result<Value, Error> {
        let first = d.structure(f.arguments).fields.first();
        let mut reader = ValueReader::new(d, &self.options, arguments);
        let mut request = Value::Null;
        while let Some(header) = reader.field_header()? {
            match first.filter(|argument| argument.id == header.id) {
                Some(argument) => {
                    let read = reader.field(argument, header.ttype, false);
                    let read = read.map_err(|error| error.inside(Step::Field(argument.key.clone())))?;
                    request = read.unwrap_or(request);
                }
                None => reader.skip(header.ttype)?,
            }
        }
        reader.end()?;
        Ok(request)
    }

    /// Every argument by name, from the struct of the arguments.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn decode_arguments(&self, d: &Descriptor, f: &Function, arguments: &[u8]) -> Result<Value, Error> {
        self.read(d, Type::Struct(f.arguments), arguments)
    }

    /// Appends the struct of the result. A void method succeeds with [`Outcome::Void`] as well as with a null value,
    /// and always by `00`, which every peer can read (generic-call 3.11).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and [`ErrorKind::Unsupported`] where `throws` has no such exception.
    pub fn encode_response(
        &self,
        d: &Descriptor,
        f: &Function,
        outcome: &Outcome<&Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        whole(out, |out| {
            let (id, value) = match *outcome {
                Outcome::Exception { id, value } => (id, value),
                Outcome::Value(value) => (0, value),
                Outcome::Void => (0, &Value::Void),
                Outcome::Empty => (0, &Value::Null),
            };
            let field = d.structure(f.result).fields.by_id(id);
            match field {
                None if id == 0 => match value {
                    Value::Void | Value::Null => {}
                    _ => return Err(mismatch(Type::Void, value)),
                },
                None => {
                    return Err(Error::new(ErrorKind::Unsupported(
                        format!("{} throws no exception with id {id}", f.name).into(),
                    )));
                }
                Some(field) if value.is_null() && id != 0 => {
                    return Err(mismatch(field.ty, value).inside(Step::Field(field.key.clone())));
                }
                Some(_) if value.is_null() => {}
                Some(field) => {
                    wire::field(out, field.ty.ttype(), field.id);
                    let written = ValueWriter::new(d, &self.options, out).value(field.ty, value, false);
                    written
                        .map_err(|error| if id == 0 { error } else { error.inside(Step::Field(field.key.clone())) })?;
                }
            }
            wire::stop(out);
            Ok(())
        })
    }

    /// How a call came back, from the struct of the result. An exception counts before a value.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn decode_response(&self, d: &Descriptor, f: &Function, result: &[u8]) -> Result<Outcome<Value>, Error> {
        let fields = &d.structure(f.result).fields;
        let mut reader = ValueReader::new(d, &self.options, result);
        let mut outcome = if f.response == Type::Void { Outcome::Void } else { Outcome::Empty };
        while let Some(header) = reader.field_header()? {
            let Some(field) = fields.by_id(header.id) else {
                // Kitex's generic servers end a void call with a field of type void, which is an empty struct.
                let is_void = header.id == 0 && header.ttype == Type::Void.ttype();
                reader.skip(if is_void { TType::STRUCT } else { header.ttype })?;
                continue;
            };
            let inside =
                |error: Error| if field.id == 0 { error } else { error.inside(Step::Field(field.key.clone())) };
            if header.ttype == Type::Void.ttype() {
                return Err(inside(wrong_type(field.ty, header.ttype)));
            }
            let Some(value) = reader.field(field, header.ttype, false).map_err(inside)? else { continue };
            if field.id != 0 {
                outcome = Outcome::Exception { id: field.id, value };
            } else if !matches!(outcome, Outcome::Exception { .. }) {
                outcome = Outcome::Value(value);
            }
        }
        reader.end()?;
        Ok(outcome)
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
        value: Option<&Value>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match value.filter(|value| !value.is_null()) {
            Some(value) => self.write(d, ty, value, out),
            None => {
                wire::stop(out);
                Ok(())
            }
        }
    }

    /// Reads a message of a stream, which is bare.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn decode_message(&self, d: &Descriptor, ty: Type, message: &[u8]) -> Result<Value, Error> {
        self.read(d, ty, message)
    }
}

/// All or nothing.
fn whole(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> Result<(), Error> {
    let len = out.len();
    let written = write(out);
    if written.is_err() {
        out.truncate(len);
    }
    written
}
