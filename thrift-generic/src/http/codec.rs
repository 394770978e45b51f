use thrift_codec::TType;

use crate::base::Base;
use crate::descriptor::{Descriptor, Field, FieldSet, Function, Requiredness, Source, StructId, Type};
use crate::error::{Error, ErrorKind};
use crate::http::bind::Binder;
use crate::http::response::Response;
use crate::http::set::Set;
use crate::http::{Request, print};
use crate::json::read::{self, Reader as JsonReader};
use crate::options::{Options, Profile};
use crate::outcome::Outcome;
use crate::path::Step;
use crate::value::Value;
use crate::value::read::{ValueReader, wrong_type};
use crate::wire;

/// Between HTTP and the structs that Thrift sends: Kitex's HTTP generic, which is a client's (generic-call 5).
///
/// What is written is appended to `out`, and is cut off again where it fails.
#[derive(Clone, Debug)]
pub struct HttpCodec {
    options: Options,
}

impl Default for HttpCodec {
    /// With what Kitex's default converter does.
    fn default() -> Self {
        Self::new(Options::http(Profile::Default))
    }
}

impl HttpCodec {
    /// A codec with these options; start from [`Options::http`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Its options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Appends the struct of a method's arguments, its first one filled from a request (generic-call 5.4). `base` is what
    /// a framework adds to a `base.Base` among the argument's fields.
    ///
    /// # Errors
    ///
    /// The argument is no struct; the body is no JSON object; a value is none of its field's type.
    pub fn encode_request(
        &self,
        d: &Descriptor,
        f: &Function,
        request: &Request<'_>,
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let start = out.len();
        let Some(argument) = d.structure(f.arguments).fields.first() else {
            wire::stop(out);
            return Ok(());
        };
        wire::field(out, argument.ty.ttype(), argument.id);
        match Binder::new(d, &self.options, request, out).argument(argument.ty, base) {
            Ok(()) => {
                wire::stop(out);
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error.inside(Step::Field(argument.key.clone())))
            }
        }
    }

    /// The response that the struct of a method's result is (generic-call 5.7). A declared exception is a response like
    /// any other, its fields mapped by their annotations; the outcome says that it is one. Results that are no structs
    /// are JSON in the raw body.
    ///
    /// # Errors
    ///
    /// The bytes are no such struct; a required field is missing (default profile); a value has no form in a header or
    /// in JSON.
    pub fn decode_response(&self, d: &Descriptor, f: &Function, result: &[u8]) -> Result<Outcome<Response>, Error> {
        self.decode(d, f, result, self.options.raw_response_body, !self.is_raw_only())
    }

    /// As [`decode_response`](Self::decode_response), with the body as JSON text only, whatever the options say: what a
    /// gateway needs. It is made straight from the bytes.
    ///
    /// # Errors
    ///
    /// As [`decode_response`](Self::decode_response).
    pub fn decode_raw_response(&self, d: &Descriptor, f: &Function, result: &[u8]) -> Result<Outcome<Response>, Error> {
        if self.options.profile == Profile::Dynamic && !self.options.raw_response_body {
            // With members in the body Kitex reads by its default converter, with text only by dynamicgo.
            let options = Options { raw_response_body: true, ..self.options.clone() };
            return Self { options }.decode_raw_response(d, f, result);
        }
        let mut json = Vec::new();
        let mut has_repetition = false;
        let outcome = read::run(d, &self.options, true, result, &mut json, |reader| {
            has_repetition = false;
            self.decode_text(d, f, reader, &mut has_repetition)
        })?;
        if has_repetition {
            return self.decode(d, f, result, true, false);
        }
        let with_body = |mut response: Response| {
            response.set_raw_body(json);
            response
        };
        Ok(match outcome {
            Outcome::Value(response) => Outcome::Value(with_body(response)),
            Outcome::Exception { id, value } => Outcome::Exception { id, value: with_body(value) },
            outcome => outcome,
        })
    }

    /// The response without its body, which is what the reader shows.
    fn decode_text(
        &self,
        d: &Descriptor,
        f: &Function,
        reader: &mut JsonReader<'_, '_>,
        has_repetition: &mut bool,
    ) -> Result<Outcome<Response>, Error> {
        let fields = &d.structure(f.result).fields;
        let mut outcome = if f.response == Type::Void { Outcome::Void } else { Outcome::Empty };
        while let Some((ttype, id)) = reader.field_header()? {
            let is_exception = matches!(outcome, Outcome::Exception { .. });
            let Some(field) = fields.by_id(id).filter(|field| field.id != 0 || !is_exception) else {
                // Kitex's generic servers end a void call with a field of type void, which is an empty struct.
                let is_void = id == 0 && ttype == Type::Void.ttype();
                reader.skip(if is_void { TType::STRUCT } else { ttype }, self.options.max_depth)?;
                continue;
            };
            let inside =
                |error: Error| if field.id == 0 { error } else { error.inside(Step::Field(field.key.clone())) };
            if !reader.is_type(field.ty, ttype).map_err(inside)? {
                reader.skip(ttype, self.options.max_depth)?;
                continue;
            }
            reader.start_over();
            let mut response = Response::new();
            match field.ty {
                Type::Struct(id) => self.structure_text(d, id, reader, &mut response, has_repetition),
                ty => reader.shown(ty, self.is_js(field)),
            }
            .map_err(inside)?;
            outcome = match field.id {
                0 => Outcome::Value(response),
                id => Outcome::Exception { id, value: response },
            };
        }
        Ok(outcome)
    }

    /// Shows the members of the body, and puts all else into the response.
    fn structure_text(
        &self,
        d: &Descriptor,
        id: StructId,
        reader: &mut JsonReader<'_, '_>,
        response: &mut Response,
        has_repetition: &mut bool,
    ) -> Result<(), Error> {
        let fields = &d.structure(id).fields;
        let slots = fields.plan().slots();
        let mut set = Set::new(fields.len());
        let begin = reader.begin_object();
        while let Some((ttype, id)) = reader.field_header()? {
            let known = fields.index_of_id(id).and_then(|index| Some((index, fields.get(index)?, slots.get(index)?)));
            let Some((index, field, slot)) = known else {
                reader.skip(ttype, self.options.max_depth)?;
                continue;
            };
            let inside = |error: Error| error.inside(Step::Field(field.key.clone()));
            if !reader.is_type(field.ty, ttype).map_err(inside)? {
                reader.skip(ttype, self.options.max_depth)?;
                continue;
            }
            *has_repetition |= set.contains(index);
            set.insert(index);
            let has_mapping = field.value_mapping.is_some() && self.options.value_mapping;
            let shown = match self.member_of_body(field).filter(|_| !has_mapping) {
                Some(Member::Own) => reader.member(&slot.key, field.ty, self.is_js(field)),
                Some(Member::Named(name)) => reader.named_member(name, field.ty, self.is_js(field)),
                None => self.place_next(d, field, ttype, reader, response),
            };
            shown.map_err(inside)?;
        }
        self.absent(d, fields, &set, &ValueReader::new(d, &self.options, &[]), response)?;
        for (name, value) in response.body() {
            let mut json = b",".to_vec();
            self.json(&mut json).member(name, value)?;
            reader.members(&json);
        }
        response.clear();
        reader.end_object(begin);
        Ok(())
    }

    /// Puts the next value where its field's mapping wants it.
    fn place_next(
        &self,
        d: &Descriptor,
        field: &Field,
        ttype: TType,
        reader: &mut JsonReader<'_, '_>,
        response: &mut Response,
    ) -> Result<(), Error> {
        let from = reader.rest();
        reader.skip(ttype, self.options.max_depth)?;
        let bytes = from.get(..from.len().saturating_sub(reader.rest().len())).unwrap_or_default();
        match ValueReader::new(d, &self.options, bytes).field(field, ttype, false)? {
            Some(value) => self.place(field, value, response),
            None => Ok(()),
        }
    }

    /// Under which name a field is a member of the body, if that is so whatever its value is.
    fn member_of_body<'f>(&self, field: &'f Field) -> Option<Member<'f>> {
        if field.hidden {
            return None;
        }
        let first = if self.is_raw_only() { 0 } else { field.http.len().saturating_sub(1) };
        match field.http.get(first..) {
            None | Some([]) => Some(Member::Own),
            Some([Source::Body(name), ..]) => Some(Member::Named(name)),
            Some(_) => None,
        }
    }

    /// `raw`: with the body as text. `values`: with its members.
    fn decode(
        &self,
        d: &Descriptor,
        f: &Function,
        result: &[u8],
        raw: bool,
        values: bool,
    ) -> Result<Outcome<Response>, Error> {
        let fields = &d.structure(f.result).fields;
        let mut reader = ValueReader::new(d, &self.options, result);
        let mut outcome = if f.response == Type::Void { Outcome::Void } else { Outcome::Empty };
        while let Some(header) = reader.field_header()? {
            let is_exception = matches!(outcome, Outcome::Exception { .. });
            let Some(field) = fields.by_id(header.id).filter(|field| field.id != 0 || !is_exception) else {
                // Kitex's generic servers end a void call with a field of type void, which is an empty struct.
                let is_void = header.id == 0 && header.ttype == Type::Void.ttype();
                reader.skip(if is_void { TType::STRUCT } else { header.ttype })?;
                continue;
            };
            let inside =
                |error: Error| if field.id == 0 { error } else { error.inside(Step::Field(field.key.clone())) };
            if header.ttype != field.ty.ttype() {
                if self.options.skip_mismatched {
                    reader.skip(header.ttype)?;
                    continue;
                }
                return Err(inside(wrong_type(field.ty, header.ttype)));
            }
            let response = self.response(d, field, &mut reader, raw, values).map_err(inside)?;
            outcome = match field.id {
                0 => Outcome::Value(response),
                id => Outcome::Exception { id, value: response },
            };
        }
        reader.end()?;
        Ok(outcome)
    }

    fn response(
        &self,
        d: &Descriptor,
        field: &Field,
        reader: &mut ValueReader<'_>,
        raw: bool,
        values: bool,
    ) -> Result<Response, Error> {
        let mut response = Response::new();
        let Type::Struct(id) = field.ty else {
            let value = reader.value(field.ty, self.is_js(field))?;
            let mut json = Vec::new();
            self.json(&mut json).value(&value)?;
            response.set_raw_body(json);
            return Ok(response);
        };
        self.structure(d, id, reader, &mut response)?;
        if raw {
            let json = response.json(self.options.profile, self.options.null_for_nan)?;
            response.set_raw_body(json);
        }
        if !values {
            response.clear();
        }
        Ok(response)
    }

    fn structure(
        &self,
        d: &Descriptor,
        id: StructId,
        reader: &mut ValueReader<'_>,
        response: &mut Response,
    ) -> Result<(), Error> {
        let fields = &d.structure(id).fields;
        let mut set = Set::new(fields.len());
        while let Some(header) = reader.field_header()? {
            let Some((index, field)) =
                fields.index_of_id(header.id).and_then(|index| Some((index, fields.get(index)?)))
            else {
                reader.skip(header.ttype)?;
                continue;
            };
            let inside = |error: Error| error.inside(Step::Field(field.key.clone()));
            let Some(value) = reader.field(field, header.ttype, false).map_err(inside)? else { continue };
            set.insert(index);
            self.place(field, value, response).map_err(inside)?;
        }
        self.absent(d, fields, &set, reader, response)
    }

    /// Fields that are not there (generic-call 3.10).
    fn absent(
        &self,
        d: &Descriptor,
        fields: &FieldSet,
        set: &Set,
        reader: &ValueReader<'_>,
        response: &mut Response,
    ) -> Result<(), Error> {
        for (index, field) in fields.iter().enumerate() {
            if set.contains(index) {
                continue;
            }
            let default = reader.default_of(field)?;
            let value = if !self.is_raw_only() {
                if default.is_none() && field.requiredness == Requiredness::Required {
                    return Err(Error::new(ErrorKind::Required { id: field.id, name: field.key.clone() }));
                }
                default
            } else {
                match field.requiredness {
                    Requiredness::Optional => default.filter(|_| !is_container(field.ty)),
                    _ => match default.filter(|_| !is_container(field.ty)) {
                        None => Some(self.zero(d, field)?),
                        default => default,
                    },
                }
            };
            if let Some(value) = value {
                self.place(field, value, response).map_err(|error| error.inside(Step::Field(field.key.clone())))?;
            }
        }
        Ok(())
    }

    /// What stands for no value, as it would have been read.
    fn zero(&self, d: &Descriptor, field: &Field) -> Result<Value, Error> {
        if is_container(field.ty) {
            return Ok(match field.ty {
                Type::List(_) | Type::Set(_) => Value::List(Vec::new()),
                _ => Value::Struct(Vec::new()),
            });
        }
        let mut zero = Vec::new();
        crate::value::write::ValueWriter::new(d, &self.options, &mut zero).zero(field.ty)?;
        ValueReader::new(d, &self.options, &zero).value(field.ty, self.is_js(field))
    }

    /// Puts a value where its field's mapping wants it.
    fn place(&self, field: &Field, value: Value, response: &mut Response) -> Result<(), Error> {
        if field.hidden {
            return Ok(());
        }
        // The default profile knows the last annotation only.
        let first = if self.is_raw_only() { 0 } else { field.http.len().saturating_sub(1) };
        for source in field.http.get(first..).unwrap_or_default() {
            match source {
                Source::Header(name) => return response.set_header(name, &self.header(&value)?),
                Source::HttpCode => {
                    if let Some(status) = status(&value, self.is_raw_only()) {
                        response.set_status(status);
                        return Ok(());
                    }
                }
                Source::Body(name) => {
                    response.insert(name, value);
                    return Ok(());
                }
                Source::Custom(mapping) => return mapping.response(response, field, value),
                Source::Cookie(_) | Source::RawBody | Source::RawUri | Source::None => return Ok(()),
                Source::Query(_) | Source::Path(_) | Source::Form(_) | Source::StepInto => {}
            }
        }
        if field.http.is_empty() || self.options.write_body_fallback {
            response.insert(&field.key, value);
        }
        Ok(())
    }

    /// A value as text for a header.
    fn header(&self, value: &Value) -> Result<Vec<u8>, Error> {
        match value {
            Value::Map(_) | Value::Struct(_) if self.options.json_headers => {
                let mut json = Vec::new();
                self.json(&mut json).value(value)?;
                Ok(json)
            }
            _ => Ok(print::header(value)),
        }
    }

    fn is_js(&self, field: &Field) -> bool {
        field.js_conv && self.options.value_mapping
    }

    fn json<'o>(&self, out: &'o mut Vec<u8>) -> print::Json<'o> {
        print::Json { profile: self.options.profile, null_for_nan: self.options.null_for_nan, out }
    }

    /// Whether responses are read by dynamicgo in Kitex: only into raw bodies.
    fn is_raw_only(&self) -> bool {
        self.options.profile == Profile::Dynamic && self.options.raw_response_body
    }
}

/// The name of a member of the body.
enum Member<'f> {
    /// The field's effective name.
    Own,
    Named(&'f str),
}

fn is_container(ty: Type) -> bool {
    matches!(ty, Type::List(_) | Type::Set(_) | Type::Map(..) | Type::Struct(_))
}

/// A status; where `strict`, `None` for what is no decimal number.
fn status(value: &Value, strict: bool) -> Option<i32> {
    match value {
        Value::String(text) if strict => text.parse().ok(),
        Value::I8(_) | Value::I16(_) | Value::I32(_) | Value::I64(_) => Some(print::status(value)),
        _ if strict => None,
        _ => Some(print::status(value)),
    }
}
