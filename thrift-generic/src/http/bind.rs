//! A request's parts into the argument of a method (generic-call 5.4, 5.5).

use std::borrow::Cow;
use std::collections::HashMap;

use ::http::header::CONTENT_TYPE;

use crate::base::Base;
use crate::descriptor::{BaseKind, Descriptor, Field, FieldSet, Mapped, Requiredness, Source, StructId, Type};
use crate::error::{Error, ErrorKind};
use crate::http::Request;
use crate::http::cursor::{Cursor, Kind, string_value};
use crate::http::plan::{Plan, Taker};
use crate::http::set::Set;
use crate::http::text;
use crate::json::part;
use crate::json::write::Writer as JsonWriter;
use crate::options::{Options, Profile};
use crate::path::Step;
use crate::value::Value;
use crate::value::kind::mismatch;
use crate::value::read::ValueReader;
use crate::value::text::key_from_text;
use crate::value::write::ValueWriter;
use crate::wire;

/// Appends structs that are filled from a request.
pub(super) struct Binder<'r, 'b> {
    d: &'r Descriptor,
    options: &'r Options,
    request: &'r Request<'b>,
    out: &'r mut Vec<u8>,
    /// Structs that are being put together from the request: none may do so within itself.
    stepping: Vec<StructId>,
    /// How many more levels there may be.
    depth: usize,
}

/// Where the fields of a struct are looked for by name.
enum Members<'c, 'j> {
    /// In the object at the cursor.
    Json(&'c mut Cursor<'j>),
    /// In the body, which is a form.
    Form,
    /// In the body, by their ids.
    Ids(&'c [(i16, Value)]),
    /// There is no body: in all parts of the head (dynamic profile).
    Head,
    /// Nowhere: only what has a place of its own is found.
    Nowhere,
}

/// The deepest nesting of structs whose fields have places in HTTP of their own: they take more of the stack than others.
const MAX_MAPPED_DEPTH: usize = 128;

/// The last place of each key in an object.
type LastPlaces<'j> = HashMap<Cow<'j, [u8]>, usize>;

impl<'r, 'b> Binder<'r, 'b> {
    pub(super) fn new(d: &'r Descriptor, options: &'r Options, request: &'r Request<'b>, out: &'r mut Vec<u8>) -> Self {
        Self { d, options, request, out, stepping: Vec::new(), depth: options.max_depth }
    }

    /// Appends the argument.
    pub(super) fn argument(&mut self, ty: Type, base: Option<&'r Base>) -> Result<(), Error> {
        match ty {
            Type::Struct(id) => self.root(id, base),
            _ => Err(mismatch(ty, &Value::Struct(Vec::new()))),
        }
    }

    /// A struct whose fields are those of the body, or have places of their own.
    fn root(&mut self, id: StructId, base: Option<&'r Base>) -> Result<(), Error> {
        let body = self.request.body();
        let fields = &self.d.structure(id).fields;
        if let Some(members) = self.request.members() {
            return self.fill(id, Members::Ids(members), base, None).map(|_| ());
        }
        let plan = fields.http_plan(self.options.profile, |profile| Plan::new(self.d, fields, profile));
        if plan.is_plain() && self.is_dynamic() && !body.is_empty() && !self.request.is_form() {
            let mut writer = JsonWriter::new(self.d, self.options, body, self.out).with_base(base);
            let written = writer.root(Type::Struct(id), false);
            return writer.finish(written);
        }
        if self.request.is_form() {
            return self.fill(id, Members::Form, base, None).map(|_| ());
        }
        if self.is_raw(fields) {
            return self.fill(id, Members::Nowhere, base, None).map(|_| ());
        }
        if body.is_empty() {
            let members = if self.is_dynamic() { Members::Head } else { Members::Nowhere };
            return self.fill(id, members, base, None).map(|_| ());
        }
        let mut cursor = Cursor::new(body, self.options.max_depth);
        if cursor.null()? {
            cursor.end()?;
            return self.fill(id, Members::Nowhere, base, None).map(|_| ());
        }
        let (start, before) = (self.out.len(), cursor);
        if !self.fill(id, Members::Json(&mut cursor), base, None)? {
            // A member came twice: of the whole body the last one counts.
            self.out.truncate(start);
            cursor = before;
            let last = last_places(&mut cursor)?;
            cursor = before;
            self.fill(id, Members::Json(&mut cursor), base, Some(&last))?;
        }
        // What follows is not looked at by dynamicgo.
        if self.is_dynamic() { Ok(()) } else { cursor.end() }
    }

    /// Whether the body is taken as it is, and says by its content type that there is no JSON in it.
    fn is_raw(&self, fields: &FieldSet) -> bool {
        let has_raw_body = |field: &Field| field.http.iter().any(|source| matches!(source, Source::RawBody));
        fields.iter().any(has_raw_body)
            && self.request.header_bytes(CONTENT_TYPE.as_str()).is_some_and(|value| {
                let essence = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
                let essence = essence.to_ascii_lowercase();
                !(essence.ends_with(b"/json") || essence.ends_with(b"+json") || essence.is_empty())
            })
    }

    /// `false`: a member came twice, and which one counts must be found out first (default profile).
    fn fill(
        &mut self,
        id: StructId,
        members: Members<'_, '_>,
        base: Option<&Base>,
        last: Option<&LastPlaces<'_>>,
    ) -> Result<bool, Error> {
        let d = self.d;
        let fields = &d.structure(id).fields;
        let plan = fields.http_plan(self.options.profile, |profile| Plan::new(d, fields, profile));
        let mut set = Set::new(fields.len());
        for sourced in &plan.sourced {
            let Some(field) = fields.get(sourced.field) else { continue };
            if self.try_sources(field, field.http.get(sourced.before.clone()).unwrap_or_default())? {
                set.insert(sourced.field);
            }
        }
        let mut fallbacks = Vec::new();
        match members {
            Members::Json(cursor) => {
                let mut object = Object { plan, fields, base, last, set: &mut set, fallbacks: &mut fallbacks };
                if !self.members(&mut object, cursor)? {
                    return Ok(false);
                }
            }
            Members::Form => self.form(plan, fields, &mut set)?,
            Members::Ids(members) => self.ids(plan, fields, members, base, &mut set)?,
            Members::Head => self.head(fields, plan, &mut set)?,
            Members::Nowhere => {}
        }
        for sourced in &plan.sourced {
            let Some(field) = fields.get(sourced.field).filter(|_| !set.contains(sourced.field)) else { continue };
            if self.try_sources(field, field.http.get(sourced.after.clone()).unwrap_or_default())? {
                set.insert(sourced.field);
            }
        }
        for (index, cursor) in &mut fallbacks {
            let Some(field) = fields.get(*index).filter(|_| !set.contains(*index)) else { continue };
            self.header(field);
            self.dynamic(field, plan.is_deep(*index), cursor).map_err(|error| inside(field, error))?;
            set.insert(*index);
        }
        for (index, field) in fields.iter().enumerate() {
            if !set.contains(index) && plan.reachable.get(index) == Some(&true) {
                match base {
                    Some(base) if field.base == Some(BaseKind::Base) => {
                        ValueWriter::new(d, self.options, self.out).base(field, None, base)?;
                    }
                    _ => self.missing(field)?,
                }
            }
        }
        wire::stop(self.out);
        Ok(true)
    }

    /// Members of the object at the cursor.
    fn members<'j>(&mut self, object: &mut Object<'_, '_, 'j>, cursor: &mut Cursor<'j>) -> Result<bool, Error> {
        let (mut hint, mut is_first) = (0_usize, true);
        // Fields that came from the body: what came from elsewhere is no repetition.
        let mut given = Set::new(object.fields.len());
        cursor.open(Kind::Object)?;
        loop {
            let place = cursor.offset();
            let Some(key) = cursor.member(&mut is_first)? else { return Ok(true) };
            let Some(entry) = object.plan.entry(&key, &mut hint) else {
                if self.options.deny_unknown {
                    return Err(Error::new(ErrorKind::UnknownField(String::from_utf8_lossy(&key).into())).at(place));
                }
                cursor.skip()?;
                continue;
            };
            if object.last.is_some_and(|last| last.get(&key) != Some(&place)) {
                cursor.skip()?;
                continue;
            }
            let (mut end, value) = (None, *cursor);
            for taker in &entry.takers {
                if given.contains(taker.field) && !self.is_dynamic() {
                    return Ok(false);
                }
                *cursor = value;
                if self.taker(object, *taker, cursor)? {
                    given.insert(taker.field);
                    end = Some(*cursor);
                }
            }
            match end {
                Some(end) => *cursor = end,
                None => {
                    *cursor = value;
                    cursor.skip()?;
                }
            }
        }
    }

    /// A field that takes the value at the cursor. `false`: it does not, and the cursor may be anywhere.
    fn taker<'j>(
        &mut self,
        object: &mut Object<'_, '_, 'j>,
        taker: Taker,
        cursor: &mut Cursor<'j>,
    ) -> Result<bool, Error> {
        let Some(field) = object.fields.get(taker.field).filter(|_| !object.set.contains(taker.field)) else {
            return Ok(false);
        };
        if let Some(base) = object.base.filter(|_| field.base == Some(BaseKind::Base)) {
            let value = cursor.value()?;
            ValueWriter::new(self.d, self.options, self.out).base(field, Some(&value), base)?;
            object.set.insert(taker.field);
            return Ok(true);
        }
        if taker.fallback && !taker.annotated {
            if self.options.read_body_fallback {
                object.fallbacks.push((taker.field, *cursor));
            }
            return Ok(false);
        }
        let start = self.out.len();
        if cursor.null()? {
            return Ok(false);
        }
        let written = if field.value_mapping.is_some() && self.options.value_mapping {
            cursor.value().and_then(|value| self.mapped_field(field, value)).map(|()| true)
        } else {
            self.header(field);
            if self.is_dynamic() {
                self.dynamic_member(field, taker, object.plan.is_deep(taker.field), cursor)
            } else {
                self.member(field, cursor).map(|()| true)
            }
        };
        match written {
            Ok(true) => object.set.insert(taker.field),
            Ok(false) => self.out.truncate(start),
            Err(error) => return Err(inside(field, error.at(cursor.offset()))),
        }
        Ok(object.set.contains(taker.field))
    }

    /// A member of the body in the default profile: text and numbers are converted as if they had come in a query, all
    /// else as by the Map mapping.
    fn member(&mut self, field: &Field, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        let js = self.is_js(field);
        match (field.ty, cursor.kind()?) {
            (Type::String, Kind::String) => wire::bytes(self.out, &cursor.string()?),
            (_, Kind::String) => text::write(self.d, self.options, field.ty, &cursor.string()?, js, self.out),
            (Type::String | Type::Binary, Kind::Number) => {
                text::write(self.d, self.options, field.ty, cursor.number()?.as_bytes(), js, self.out)
            }
            (Type::List(_), Kind::Number) => {
                let number = cursor.number()?;
                text::write(self.d, self.options, field.ty, number.as_bytes(), js, self.out)
                    .map_err(|_| mismatch(field.ty, &Value::Number(number.into())))
            }
            _ => self.value_at(field.ty, cursor, js),
        }
    }

    /// A member of the body in the dynamic profile. `false`: it is empty text, which counts as nothing.
    fn dynamic_member(
        &mut self,
        field: &Field,
        taker: Taker,
        is_deep: bool,
        cursor: &mut Cursor<'_>,
    ) -> Result<bool, Error> {
        if taker.annotated {
            let kind = cursor.kind()?;
            let value = *cursor;
            let text = match kind {
                Kind::String => cursor.string()?,
                Kind::Number | Kind::Bool => Cow::Borrowed(cursor.skip()?),
                Kind::Null | Kind::Array | Kind::Object => Cow::Borrowed(&b""[..]),
            };
            if !text.is_empty() {
                return self.dynamic_text(field, &text).map(|()| true);
            }
            // What is no text has no other place to be looked for; Kitex does not find it at all.
            if kind == Kind::String && !(taker.fallback && self.options.read_body_fallback) {
                return Ok(false);
            }
            *cursor = value;
        }
        self.dynamic(field, is_deep, cursor).map(|()| true)
    }

    /// The value at the cursor by the rules of JSON in the dynamic profile.
    fn dynamic(&mut self, field: &Field, is_deep: bool, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        if is_deep {
            return self.deep(field.ty, cursor);
        }
        self.value_at(field.ty, cursor, self.is_js(field))
    }

    /// Text in the dynamic profile: containers and structs may be JSON.
    fn dynamic_text(&mut self, field: &Field, text: &[u8]) -> Result<(), Error> {
        let is_complex = matches!(field.ty, Type::List(_) | Type::Set(_) | Type::Map(..) | Type::Struct(_));
        let json = text.trim_ascii();
        let brackets = json.first().zip(json.last());
        if is_complex && matches!(brackets, Some((b'[', b']') | (b'{', b'}'))) {
            return self.json(field.ty, json, self.is_js(field));
        }
        text::write(self.d, self.options, field.ty, text, false, self.out)
    }

    /// A value that has fields with places in HTTP of their own.
    fn deep(&mut self, ty: Type, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        let limit = self.options.max_depth.min(MAX_MAPPED_DEPTH);
        if self.options.max_depth.saturating_sub(self.depth) >= limit {
            return Err(Error::new(ErrorKind::Depth { limit }).at(cursor.offset()));
        }
        self.depth = self.depth.saturating_sub(1);
        match ty {
            Type::Struct(id) => _ = self.fill(id, Members::Json(cursor), None, None)?,
            Type::List(element) | Type::Set(element) => self.deep_list(self.d.ty(element), cursor)?,
            Type::Map(key, value) => self.deep_map(self.d.ty(key), self.d.ty(value), cursor)?,
            _ => self.value_at(ty, cursor, false)?,
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn deep_list(&mut self, element: Type, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        wire::list_header(self.out, element.ttype(), 0)?;
        let count_at = self.out.len().saturating_sub(4);
        let (mut count, mut is_first) = (0_usize, true);
        cursor.open(Kind::Array)?;
        while cursor.element(&mut is_first)? {
            if !cursor.null()? {
                self.deep(element, cursor).map_err(|error| error.inside(Step::Index(count)))?;
                count = count.saturating_add(1);
            }
        }
        patch_count(self.out, count_at, count)
    }

    fn deep_map(&mut self, key_type: Type, value: Type, cursor: &mut Cursor<'_>) -> Result<(), Error> {
        wire::map_header(self.out, key_type.ttype(), value.ttype(), 0)?;
        let count_at = self.out.len().saturating_sub(4);
        let (mut count, mut is_first) = (0_usize, true);
        cursor.open(Kind::Object)?;
        while let Some(key) = cursor.member(&mut is_first)? {
            if !cursor.null()? {
                let label = || String::from_utf8_lossy(&key).into_owned().into_boxed_str();
                write_key(self.d, self.options, key_type, &key, self.out)
                    .map_err(|error| error.inside(Step::Key(label())))?;
                self.deep(value, cursor).map_err(|error| error.inside(Step::Entry(label())))?;
                count = count.saturating_add(1);
            }
        }
        patch_count(self.out, count_at, count)
    }

    /// Fields that have no place of their own, from a form.
    fn form(&mut self, plan: &Plan, fields: &FieldSet, set: &mut Set) -> Result<(), Error> {
        let request = self.request;
        for entry in plan.entries() {
            let key = String::from_utf8_lossy(&entry.key);
            let Some(text) = request.form_bytes(&key).filter(|text| !text.is_empty()) else { continue };
            for taker in &entry.takers {
                let Some(field) = fields.get(taker.field).filter(|_| !set.contains(taker.field)) else { continue };
                if taker.fallback && !taker.annotated && !self.options.read_body_fallback {
                    continue;
                }
                self.text_field(field, text)?;
                set.insert(taker.field);
            }
        }
        Ok(())
    }

    /// Fields that have no place of their own, from a body that knows them by id.
    fn ids(
        &mut self,
        plan: &Plan,
        fields: &FieldSet,
        members: &[(i16, Value)],
        base: Option<&Base>,
        set: &mut Set,
    ) -> Result<(), Error> {
        for taker in plan.entries().iter().flat_map(|entry| &entry.takers) {
            let Some(field) = fields.get(taker.field).filter(|_| !set.contains(taker.field)) else { continue };
            let is_last_resort = taker.fallback && !taker.annotated && !self.options.read_body_fallback;
            let value = members.iter().find_map(|(id, value)| (*id == field.id).then_some(value));
            let Some(value) = value.filter(|_| !is_last_resort) else { continue };
            match base {
                Some(base) if field.base == Some(BaseKind::Base) => {
                    ValueWriter::new(self.d, self.options, self.out).base(field, Some(value), base)?;
                }
                _ => self.mapped_field(field, value.clone()).map_err(|error| inside(field, error))?,
            }
            set.insert(taker.field);
        }
        Ok(())
    }

    /// Fields that have no place of their own, from wherever in the head something has their name.
    fn head(&mut self, fields: &FieldSet, plan: &Plan, set: &mut Set) -> Result<(), Error> {
        if !self.options.read_body_fallback {
            return Ok(());
        }
        let request = self.request;
        for (index, field) in fields.iter().enumerate() {
            if !field.http.is_empty() || plan.reachable.get(index) != Some(&true) || field.base == Some(BaseKind::Base)
            {
                continue;
            }
            let found = [
                request.param_bytes(&field.key),
                request.query_bytes(&field.key),
                request.header_bytes(&field.key),
                request.cookie_bytes(&field.key),
            ];
            if let Some(text) = found.into_iter().flatten().find(|text| !text.is_empty()) {
                self.text_field(field, text)?;
                set.insert(index);
            }
        }
        Ok(())
    }

    /// Writes the field from the first of these places that has something. `false`: none has.
    fn try_sources(&mut self, field: &Field, sources: &[Source]) -> Result<bool, Error> {
        let request = self.request;
        for source in sources {
            let text = match source {
                Source::Query(key) => request.query_bytes(key),
                Source::Path(name) => request.param_bytes(name),
                Source::Header(name) => request.header_bytes(name),
                Source::Cookie(name) => request.cookie_bytes(name),
                Source::Form(key) => request.form_bytes(key),
                Source::RawBody if self.is_dynamic() => Some(request.body()),
                Source::RawBody => {
                    self.raw_body(field)?;
                    return Ok(true);
                }
                Source::RawUri => {
                    let uri = request.uri();
                    self.text_field(field, uri.as_bytes())?;
                    return Ok(true);
                }
                Source::Body(_) | Source::HttpCode | Source::None => None,
                Source::StepInto => {
                    self.step_into(field)?;
                    return Ok(true);
                }
                Source::Custom(mapping) => {
                    match mapping.request(request, field).map_err(|error| inside(field, error))? {
                        Mapped::Missing | Mapped::Value(Value::Null) => continue,
                        Mapped::Value(value) => {
                            self.mapped_field(field, value).map_err(|error| inside(field, error))?
                        }
                        Mapped::StepInto => self.step_into(field)?,
                    }
                    return Ok(true);
                }
            };
            // An empty text counts as none.
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.text_field(field, text)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn text_field(&mut self, field: &Field, text: &[u8]) -> Result<(), Error> {
        let written = if field.value_mapping.is_some() && self.options.value_mapping {
            self.mapped_field(field, string_value(Cow::Borrowed(text)))
        } else {
            self.header(field);
            if self.is_dynamic() {
                self.dynamic_text(field, text)
            } else {
                text::write(self.d, self.options, field.ty, text, self.is_js(field), self.out)
            }
        };
        written.map_err(|error| inside(field, error))
    }

    /// The body as it is, also if it is empty, and without base64.
    fn raw_body(&mut self, field: &Field) -> Result<(), Error> {
        let body = self.request.body();
        if field.value_mapping.is_some() && self.options.value_mapping {
            return self.mapped_field(field, Value::from(body)).map_err(|error| inside(field, error));
        }
        self.header(field);
        let written = match field.ty {
            Type::String | Type::Binary => wire::bytes(self.out, body),
            _ => ValueWriter::new(self.d, self.options, self.out).value(field.ty, &Value::from(body), false),
        };
        written.map_err(|error| inside(field, error))
    }

    /// The field's struct, from the request by the mappings of its own fields.
    fn step_into(&mut self, field: &Field) -> Result<(), Error> {
        let Type::Struct(id) = field.ty else {
            return Err(inside(field, mismatch(field.ty, &Value::Struct(Vec::new()))));
        };
        if self.stepping.contains(&id) {
            let text = format!("{} would be put together from within itself", self.d.structure(id).name);
            return Err(inside(field, Error::new(ErrorKind::Unsupported(text.into()))));
        }
        self.header(field);
        self.stepping.push(id);
        let written = if self.is_dynamic() {
            self.fill(id, Members::Nowhere, None, None).map(|_| ())
        } else {
            self.root(id, None)
        };
        self.stepping.pop();
        written.map_err(|error| inside(field, error))
    }

    /// A field with this value, text and numbers converted to its type if they can be, after its value mapping.
    fn mapped_field(&mut self, field: &Field, value: Value) -> Result<(), Error> {
        let value = match &value {
            Value::String(text) => self.converted(field.ty, text.as_bytes()).unwrap_or(value),
            Value::Bytes(text) if !matches!(field.ty, Type::List(_)) => self.converted(field.ty, text).unwrap_or(value),
            Value::Number(text) => self.converted(field.ty, text.as_bytes()).unwrap_or(value),
            _ => value,
        };
        ValueWriter::new(self.d, self.options, self.out).field(field, &value, false)
    }

    /// What a text stands for; `None` where it is nothing of that type, or text already.
    fn converted(&self, ty: Type, text: &[u8]) -> Option<Value> {
        if matches!(ty, Type::Binary) {
            return None;
        }
        let mut bytes = Vec::new();
        text::write(self.d, self.options, ty, text, false, &mut bytes).ok()?;
        ValueReader::new(self.d, self.options, &bytes).value(ty, false).ok()
    }

    /// The value at the cursor by the rules of JSON: in the default profile nothing is taken for what it is not.
    fn value_at(&mut self, ty: Type, cursor: &mut Cursor<'_>, js: bool) -> Result<(), Error> {
        let start = self.out.len();
        let written = part::write(self.d, self.options, ty, cursor.rest(), js, self.depth, self.out);
        let written = written.map_err(|error| error.shifted(cursor.offset()))?;
        if written.repeated && !self.is_dynamic() {
            // A key came twice. The last one counts: of all that are there, not of those that were written.
            self.out.truncate(start);
            let value = cursor.value()?;
            return ValueWriter::new(self.d, self.options, self.out).value(ty, &value, js);
        }
        cursor.pass(written.len);
        Ok(())
    }

    /// JSON text that is a value of this type, by the rules of the dynamic profile.
    fn json(&mut self, ty: Type, json: &[u8], js: bool) -> Result<(), Error> {
        let mut writer = JsonWriter::new(self.d, self.options, json, self.out);
        let written = writer.root(ty, js);
        writer.finish(written)
    }

    /// A field without a value (generic-call 3.5).
    fn missing(&mut self, field: &Field) -> Result<(), Error> {
        if self.is_dynamic() {
            if field.base.is_some() {
                return Ok(());
            }
            let is_container = matches!(field.ty, Type::List(_) | Type::Set(_) | Type::Map(..) | Type::Struct(_));
            let is_filled = match field.requiredness {
                Requiredness::Required => self.options.write_required,
                Requiredness::Default => self.options.write_default,
                Requiredness::Optional => self.options.write_optional,
            };
            if is_container && is_filled {
                self.header(field);
                return ValueWriter::new(self.d, self.options, self.out).zero(field.ty);
            }
        }
        ValueWriter::new(self.d, self.options, self.out).missing(field)
    }

    fn header(&mut self, field: &Field) {
        wire::field(self.out, field.ty.ttype(), field.id);
    }

    fn is_js(&self, field: &Field) -> bool {
        field.js_conv && self.options.value_mapping
    }

    fn is_dynamic(&self) -> bool {
        self.options.profile == Profile::Dynamic
    }
}

/// A struct that is filled from an object.
struct Object<'o, 'l, 'j> {
    plan: &'o Plan,
    fields: &'o FieldSet,
    base: Option<&'o Base>,
    last: Option<&'o LastPlaces<'l>>,
    /// Fields that are written.
    set: &'o mut Set,
    /// What was found by name for fields whose own places come first.
    fallbacks: &'o mut Vec<(usize, Cursor<'j>)>,
}

/// Appends a key of a map, given as text.
fn write_key(d: &Descriptor, options: &Options, ty: Type, key: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    match ty {
        Type::String => wire::bytes(out, key),
        Type::Binary if !options.base64 => wire::bytes(out, key),
        _ => {
            let value = key_from_text(d, options, ty, &String::from_utf8_lossy(key))?;
            ValueWriter::new(d, options, out).value(ty, &value, false)
        }
    }
}

/// Overwrites a count that was not known when it was written.
fn patch_count(out: &mut [u8], at: usize, count: usize) -> Result<(), Error> {
    let count = wire::i32_len("element count", count)?;
    if let Some(place) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = count;
    }
    Ok(())
}

fn last_places<'j>(cursor: &mut Cursor<'j>) -> Result<LastPlaces<'j>, Error> {
    let mut last = LastPlaces::new();
    let mut is_first = true;
    cursor.open(Kind::Object)?;
    loop {
        let place = cursor.offset();
        let Some(key) = cursor.member(&mut is_first)? else { return Ok(last) };
        last.insert(key, place);
        cursor.skip()?;
    }
}

#[cold]
fn inside(field: &Field, error: Error) -> Error {
    error.inside(Step::Field(field.key.clone()))
}
