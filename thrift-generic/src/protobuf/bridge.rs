//! HTTP requests whose body is a Protobuf message, to Thrift calls (generic-call 5.9).

use http::header::{CONTENT_TYPE, HeaderValue};
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value as PbValue,
};

use crate::base::Base;
use crate::descriptor::{Descriptor, Field, Function, Source, StructId, Type};
use crate::error::{Error, ErrorKind};
use crate::http::{HttpCodec, Request, Response};
use crate::options::{EnumNames, Options};
use crate::outcome::Outcome;
use crate::path::Step;
use crate::protobuf::descriptor::PbDescriptor;
use crate::protobuf::json::invalid;
use crate::value::Value;

/// How deep a message may be nested, for others to read it.
const MAX_DEPTH: usize = 100;

/// What the body of a request and of a response is.
const MIME: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Between HTTP with Protobuf messages as bodies and the structs that Thrift sends: Kitex's HTTPPb generic.
///
/// Routes, and what is not in the body, come from the Thrift IDL, as [`HttpCodec`] reads it. The method of the same name
/// in the Protobuf files says what messages the bodies are; their fields are those of the Thrift structs with the same
/// number, at every depth. A field of the Thrift struct that the message does not have set is missing.
#[derive(Clone, Debug)]
pub struct PbHttpCodec {
    http: HttpCodec,
}

impl PbHttpCodec {
    /// A codec with these options; start from [`Options::http`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        // Enums go by number, and bytes as they are; members are wanted as values.
        let values = Options { raw_response_body: false, enum_names: EnumNames::Off, base64: false, ..options };
        Self { http: HttpCodec::new(values) }
    }

    /// Appends the struct of a method's arguments, its first one filled from a request. The body is taken for a message
    /// whatever its content type says, and also if it is empty. `base` is what a framework adds to a `base.Base`.
    ///
    /// # Errors
    ///
    /// The Protobuf files have no such method, the body is no such message, or a value is none of its field's type.
    pub fn encode_request(
        &self,
        d: &Descriptor,
        f: &Function,
        pb: &PbDescriptor,
        request: Request<'_>,
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let message = DynamicMessage::decode(pb.reflect(method(f, pb)?.input), request.body())
            .map_err(|error| Error::new(ErrorKind::Unsupported(format!("the body is no message: {error}").into())))?;
        let argument = d.structure(f.arguments).fields.first();
        let members = match argument.map(|field| field.ty) {
            Some(Type::Struct(id)) => members(d, id, &message)?,
            _ => Vec::new(),
        };
        let members = members.into_iter().map(|(field, value)| (field.id, value)).collect();
        self.http.encode_request(d, f, &request.with_members(members), base, out)
    }

    /// The response that the struct of a method's result is: headers and status as [`HttpCodec`] has them, all else in
    /// the raw body, as a message, with the content type `application/x-protobuf`. What the message has no field for is
    /// left out.
    ///
    /// A declared exception is put in the message the same way, as Kitex does.
    ///
    /// # Errors
    ///
    /// The Protobuf files have no such method, the bytes are no such struct, the result is no struct, or a value is none
    /// of its field's type.
    pub fn decode_response(
        &self,
        d: &Descriptor,
        f: &Function,
        pb: &PbDescriptor,
        result: &[u8],
    ) -> Result<Outcome<Response>, Error> {
        let descriptor = pb.reflect(method(f, pb)?.output);
        let outcome = self.http.decode_response(d, f, result)?;
        Ok(match outcome {
            Outcome::Value(response) => Outcome::Value(with_message(d, f.response, &descriptor, response)?),
            Outcome::Exception { id, value } => {
                let ty = d.structure(f.result).fields.by_id(id).map_or(Type::Void, |field| field.ty);
                Outcome::Exception { id, value: with_message(d, ty, &descriptor, value)? }
            }
            Outcome::Void => Outcome::Void,
            Outcome::Empty => Outcome::Empty,
        })
    }
}

fn method<'p>(f: &Function, pb: &'p PbDescriptor) -> Result<&'p super::PbFunction, Error> {
    pb.function(&f.name)
        .ok_or_else(|| Error::new(ErrorKind::UnknownMethod { service: pb.name().into(), method: f.name.clone() }))
}

/// The members of the body as a message, in place of their values.
fn with_message(
    d: &Descriptor,
    ty: Type,
    descriptor: &MessageDescriptor,
    mut response: Response,
) -> Result<Response, Error> {
    let Type::Struct(id) = ty else {
        return Err(Error::expected("struct", ty.name()));
    };
    let fields = &d.structure(id).fields;
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in response.body() {
        if let Some(field) = fields.iter().find(|field| is_called(field, name)) {
            set(d, &mut message, field, value, 1)?;
        }
    }
    response.set_raw_body(message.encode_to_vec());
    response.headers_mut().insert(CONTENT_TYPE, MIME);
    Ok(response)
}

/// Whether this is the field's name in a body.
fn is_called(field: &Field, name: &str) -> bool {
    let bodies = field.http.iter().filter_map(|source| match source {
        Source::Body(name) => Some(name),
        _ => None,
    });
    let mut names = bodies.chain([&field.key]);
    names.any(|known| **known == *name)
}

/// The fields of a struct that a message has set, with their values.
fn members<'d>(d: &'d Descriptor, id: StructId, message: &DynamicMessage) -> Result<Vec<(&'d Field, Value)>, Error> {
    let fields = &d.structure(id).fields;
    let of_number = |number: u32| i16::try_from(number).ok().and_then(|id| fields.by_id(id));
    message
        .fields()
        .filter_map(|(of, value)| Some((of_number(of.number())?, value)))
        .map(|(field, value)| match from_pb(d, field.ty, value) {
            Ok(value) => Ok((field, value)),
            Err(error) => Err(error.inside(Step::Field(field.key.clone()))),
        })
        .collect()
}

/// A value of a message as one of Thrift. prost-reflect has limited how deep it is.
fn from_pb(d: &Descriptor, ty: Type, value: &PbValue) -> Result<Value, Error> {
    Ok(match value {
        PbValue::Bool(value) => Value::Bool(*value),
        PbValue::I32(value) | PbValue::EnumNumber(value) => Value::I64((*value).into()),
        PbValue::I64(value) => Value::I64(*value),
        PbValue::U32(value) => Value::I64((*value).into()),
        PbValue::U64(value) => match i64::try_from(*value) {
            Ok(value) => Value::I64(value),
            Err(_) => return Err(invalid(ty.name(), &value.to_string(), "out of range")),
        },
        PbValue::F32(value) => Value::Double((*value).into()),
        PbValue::F64(value) => Value::Double(*value),
        PbValue::String(value) => Value::from(value.as_str()),
        PbValue::Bytes(value) => Value::Bytes(value.clone()),
        PbValue::Message(message) => match ty {
            Type::Struct(id) => {
                let members = members(d, id, message)?;
                Value::Struct(members.into_iter().map(|(field, value)| (field.key.clone(), value)).collect())
            }
            _ => return Err(Error::expected(ty.name(), "message")),
        },
        PbValue::List(values) => match ty {
            Type::List(element) | Type::Set(element) => {
                let element = d.ty(element);
                let values = values
                    .iter()
                    .enumerate()
                    .map(|(at, value)| from_pb(d, element, value).map_err(|error| error.inside(Step::Index(at))));
                Value::List(values.collect::<Result<_, _>>()?)
            }
            _ => return Err(Error::expected(ty.name(), "list")),
        },
        PbValue::Map(pairs) => match ty {
            Type::Map(key, value) => {
                let mut pairs: Vec<_> = pairs.iter().collect();
                pairs.sort_by_key(|(key, _)| *key);
                let (key_type, value_type) = (d.ty(key), d.ty(value));
                let pairs = pairs.into_iter().map(|(key, value)| {
                    let label = || Step::Entry(label(key));
                    let value = from_pb(d, value_type, value).map_err(|error| error.inside(label()))?;
                    let key = from_pb(d, key_type, &PbValue::from(key.clone()));
                    Ok((key.map_err(|error| error.inside(label()))?, value))
                });
                Value::Map(pairs.collect::<Result<_, Error>>()?)
            }
            _ => return Err(Error::expected(ty.name(), "map")),
        },
    })
}

/// Sets the field of a message that has the number of this one of a struct, if it has one.
fn set(d: &Descriptor, message: &mut DynamicMessage, field: &Field, value: &Value, depth: usize) -> Result<(), Error> {
    let of = u32::try_from(field.id).ok().and_then(|number| message.descriptor().get_field(number));
    let Some(of) = of.filter(|_| !value.is_null()) else { return Ok(()) };
    let value = to_pb(d, field.ty, &of, value, depth).map_err(|error| error.inside(Step::Field(field.key.clone())))?;
    message.set_field(&of, value);
    Ok(())
}

/// A value of Thrift as one for a field of a message.
fn to_pb(d: &Descriptor, ty: Type, of: &FieldDescriptor, value: &Value, depth: usize) -> Result<PbValue, Error> {
    if of.is_map() {
        return map_to_pb(d, ty, of, value, depth);
    }
    if of.is_list() {
        let (Type::List(element) | Type::Set(element)) = ty else { return Err(Error::expected("list", ty.name())) };
        let values = value.as_list().ok_or_else(|| Error::expected("list", value.type_name()))?;
        let values = values.iter().enumerate().map(|(at, value)| {
            single(d, d.ty(element), &of.kind(), value, depth).map_err(|error| error.inside(Step::Index(at)))
        });
        return Ok(PbValue::List(values.collect::<Result<_, _>>()?));
    }
    single(d, ty, &of.kind(), value, depth)
}

fn map_to_pb(d: &Descriptor, ty: Type, of: &FieldDescriptor, value: &Value, depth: usize) -> Result<PbValue, Error> {
    let Kind::Message(entry) = of.kind() else { return Err(Error::expected("message", "map")) };
    let Type::Map(key_type, value_type) = ty else { return Err(Error::expected("map", ty.name())) };
    let pairs: Vec<(Value, &Value)> = match value {
        Value::Map(pairs) => pairs.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Struct(members) => members.iter().map(|(name, value)| (Value::from(&**name), value)).collect(),
        _ => return Err(Error::expected("map", value.type_name())),
    };
    let (key_kind, value_kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
        let key = single(d, d.ty(key_type), &key_kind, &key, depth).and_then(map_key)?;
        let value = single(d, d.ty(value_type), &value_kind, value, depth.saturating_add(1))
            .map_err(|error| error.inside(Step::Entry(label(&key))))?;
        Ok((key, value))
    });
    Ok(PbValue::Map(pairs.collect::<Result<_, Error>>()?))
}

/// One value: a field's, an element, a key or value of a map.
fn single(d: &Descriptor, ty: Type, kind: &Kind, value: &Value, depth: usize) -> Result<PbValue, Error> {
    let integer = || integer(kind, value);
    Ok(match kind {
        Kind::Double => PbValue::F64(double(value)?),
        #[expect(clippy::as_conversions, reason = "to the nearest")]
        Kind::Float => PbValue::F32(double(value)? as f32),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => PbValue::I32(narrow(integer()?, "int32")?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => PbValue::I64(integer()?),
        Kind::Uint32 | Kind::Fixed32 => PbValue::U32(narrow(integer()?, "uint32")?),
        Kind::Uint64 | Kind::Fixed64 => PbValue::U64(narrow(integer()?, "uint64")?),
        Kind::Bool => match (value, value.as_str()) {
            (Value::Bool(value), _) => PbValue::Bool(*value),
            // A key of a map is text.
            (_, Some("true")) => PbValue::Bool(true),
            (_, Some("false")) => PbValue::Bool(false),
            _ => return Err(Error::expected("bool", value.type_name())),
        },
        Kind::String => match value.as_str() {
            Some(text) => PbValue::String(text.to_owned()),
            None if value.as_bytes().is_some() => {
                return Err(Error::new(ErrorKind::Protobuf("a string that is no UTF-8")));
            }
            None => return Err(Error::expected("string", value.type_name())),
        },
        Kind::Bytes => match value.as_bytes() {
            Some(bytes) => PbValue::Bytes(bytes.to_vec().into()),
            None => return Err(Error::expected("bytes", value.type_name())),
        },
        Kind::Enum(_) => PbValue::EnumNumber(narrow(integer()?, "enum")?),
        Kind::Message(of) => {
            let Type::Struct(id) = ty else { return Err(Error::expected("struct", ty.name())) };
            let members = value.as_struct().ok_or_else(|| Error::expected("struct", value.type_name()))?;
            if depth >= MAX_DEPTH {
                return Err(Error::new(ErrorKind::Depth { limit: MAX_DEPTH }));
            }
            let mut message = DynamicMessage::new(of.clone());
            for (name, value) in members {
                if let Some(field) = d.structure(id).fields.by_key(name) {
                    set(d, &mut message, field, value, depth.saturating_add(1))?;
                }
            }
            PbValue::Message(message)
        }
    })
}

/// An integer, also one that is text because of `api.js_conv`, or as the key of a map.
fn integer(kind: &Kind, value: &Value) -> Result<i64, Error> {
    let of_text = || value.as_str().and_then(|text| text.parse().ok());
    let name = if matches!(kind, Kind::Enum(_)) { "enum" } else { "integer" };
    value.as_i64().or_else(of_text).ok_or_else(|| Error::expected(name, value.type_name()))
}

fn double(value: &Value) -> Result<f64, Error> {
    #[expect(clippy::as_conversions, reason = "to the nearest")]
    let of_integer = || value.as_i64().map(|value| value as f64);
    let of_text = || value.as_str().and_then(|text| text.parse().ok());
    let double = value.as_f64().or_else(of_integer).or_else(of_text);
    double.ok_or_else(|| Error::expected("double", value.type_name()))
}

fn narrow<T: TryFrom<i64>>(value: i64, ty: &'static str) -> Result<T, Error> {
    T::try_from(value).map_err(|_| invalid(ty, &value.to_string(), "out of range"))
}

fn map_key(value: PbValue) -> Result<MapKey, Error> {
    Ok(match value {
        PbValue::Bool(key) => MapKey::Bool(key),
        PbValue::I32(key) => MapKey::I32(key),
        PbValue::I64(key) => MapKey::I64(key),
        PbValue::U32(key) => MapKey::U32(key),
        PbValue::U64(key) => MapKey::U64(key),
        PbValue::String(key) => MapKey::String(key),
        _ => return Err(Error::new(ErrorKind::Protobuf("a key that no map has"))),
    })
}

/// A key for a path in an error.
#[cold]
fn label(key: &MapKey) -> Box<str> {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
    .into()
}
