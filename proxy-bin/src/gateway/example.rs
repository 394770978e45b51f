//! Requests that could be made: a value for every field, as a reader might type it.

use std::cell::Cell;

use serde_json::{Map, Value as Json, json};
use thrift_generic::Descriptor;
use thrift_generic::descriptor::{Field, Function, Requiredness, Route, Source, StructId, Type};

use crate::gateway::model::Model;
use crate::gateway::schema::{flat, json_of, source};

/// A request as it could be made.
#[derive(Debug, Default)]
pub(super) struct Example {
    pub(super) method: String,
    /// With its query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Json>,
    /// Whether the body is bytes as they are.
    pub(super) raw: bool,
}

impl Example {
    /// Of a call by name.
    pub(super) fn by_name(d: &Descriptor, function: &Function) -> Self {
        let (maker, arguments) = (Maker::new(d), &d.structure(function.arguments).fields);
        let body = match arguments.len() {
            0 => None,
            1 => arguments.first().map(|field| maker.field(field, 0)),
            _ => Some(maker.object(arguments.iter().map(|field| (field.key.to_string(), field)), 0)),
        };
        let target = format!("/{}/{}", d.name(), function.name);
        Self { method: "POST".into(), target, body, ..Self::default() }
    }

    /// By a route.
    pub(super) fn by_route(model: &Model, d: &Descriptor, function: &Function, route: &Route) -> Self {
        let method = if &*route.method == "*" { "GET" } else { &route.method };
        let mut example = Self { method: method.into(), target: route.path.to_string(), ..Self::default() };
        let Type::Struct(request) = function.request else { return example };
        let (mut query, mut body, mut cookies) = (Vec::new(), Vec::new(), Vec::new());
        let (maker, mut path) = (Maker::new(d), Vec::new());
        for field in flat(d, request, model.options().profile) {
            let text = || text_of(&maker.field(field, 0));
            match source(field, model.options().profile) {
                Some(Source::Query(name)) => query.push(format!("{}={}", escaped(name), escaped(&text()))),
                Some(Source::Path(name)) => path.push((name.to_string(), escaped(&text()))),
                Some(Source::Header(name)) => example.headers.push((name.to_string(), text())),
                Some(Source::Cookie(name)) => cookies.push(format!("{name}={}", text())),
                Some(Source::Body(name) | Source::Form(name)) => body.push((name.to_string(), field)),
                None => body.push((field.key.to_string(), field)),
                Some(Source::RawBody) => example.raw = true,
                Some(_) => {}
            }
        }
        example.target = filled(&route.path, &path);
        if !query.is_empty() {
            example.target = format!("{}?{}", example.target, query.join("&"));
        }
        if !cookies.is_empty() {
            example.headers.push(("cookie".into(), cookies.join("; ")));
        }
        if !body.is_empty() && !example.raw {
            example.body = Some(maker.object(body.into_iter(), 0));
        }
        example
    }

    /// The same as a line for a shell.
    pub(super) fn curl(&self, host: &str) -> String {
        let mut line = String::from("curl");
        let has_body = self.body.is_some() || self.raw;
        if self.method != "GET" && !(self.method == "POST" && has_body) {
            line.push_str(&format!(" -X {}", self.method));
        }
        line.push_str(&format!(" {}", quoted(&format!("http://{host}{}", self.target))));
        for (name, value) in &self.headers {
            line.push_str(&format!(" \\\n  -H {}", quoted(&format!("{name}: {value}"))));
        }
        if let Some(body) = &self.body {
            line.push_str(&format!(
                " \\\n  -H 'content-type: application/json' \\\n  -d {}",
                quoted(&body.to_string())
            ));
        }
        if self.raw {
            line.push_str(" \\\n  -H 'content-type: application/octet-stream' \\\n  --data-binary 'hello'");
        }
        line
    }
}

/// The path with its placeholders filled.
fn filled(path: &str, values: &[(String, String)]) -> String {
    let segment = |segment: &str| {
        let Some((before, name)) = segment.split_once([':', '*']) else { return segment.to_owned() };
        let value = values.iter().find_map(|(known, value)| (known == name).then_some(value.as_str()));
        format!("{before}{}", value.unwrap_or(name))
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// Makes values, at most so many: an IDL may describe more than anybody wants to read.
struct Maker<'a> {
    d: &'a Descriptor,
    left: Cell<usize>,
}

impl<'a> Maker<'a> {
    fn new(d: &'a Descriptor) -> Self {
        Self { d, left: Cell::new(MAX_VALUES) }
    }

    fn object<'f>(&self, fields: impl Iterator<Item = (String, &'f Field)>, depth: usize) -> Json {
        let mut members = Map::new();
        for (name, field) in fields {
            if self.left.get() == 0 {
                break;
            }
            members.insert(name, self.field(field, depth));
        }
        Json::Object(members)
    }

    fn field(&self, field: &Field, depth: usize) -> Json {
        self.left.set(self.left.get().saturating_sub(1));
        match field.default.as_ref().and_then(json_of) {
            Some(default) => default,
            None => self.value(field.ty, &field.key, field.js_conv, depth),
        }
    }

    fn value(&self, ty: Type, name: &str, js_conv: bool, depth: usize) -> Json {
        let d = self.d;
        match ty {
            Type::Bool => true.into(),
            Type::I64 if js_conv => "1".into(),
            Type::Byte | Type::I16 | Type::I32 | Type::I64 => 1.into(),
            Type::Double => 1.5.into(),
            Type::String => name.into(),
            // "hello"
            Type::Binary => "aGVsbG8=".into(),
            Type::Enum(id) => d.enumeration(id).values.first().map_or(0, |(_, number)| *number).into(),
            Type::Struct(id) => self.structure(id, depth),
            Type::List(_) | Type::Set(_) if depth >= MAX_DEPTH => json!([]),
            Type::Map(..) if depth >= MAX_DEPTH => json!({}),
            Type::List(element) | Type::Set(element) => {
                json!([self.value(d.ty(element), name, js_conv, depth.saturating_add(1))])
            }
            Type::Map(key, of) => {
                let key = text_of(&self.value(d.ty(key), "key", false, MAX_DEPTH));
                json!({ key: self.value(d.ty(of), name, js_conv, depth.saturating_add(1)) })
            }
            _ => Json::Null,
        }
    }

    /// Deeper down only what has to be there; a struct that contains itself ends somewhere.
    fn structure(&self, id: StructId, depth: usize) -> Json {
        if depth >= MAX_DEPTH {
            return json!({});
        }
        let fields = self.d.structure(id).fields.iter().filter(|field| {
            depth == 0 || field.requiredness != Requiredness::Optional || !matches!(field.ty, Type::Struct(_))
        });
        self.object(fields.map(|field| (field.key.to_string(), field)), depth.saturating_add(1))
    }
}

/// Text for a place that has no JSON: lists with commas, as the HTTP mapping reads them.
fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

/// With percent-escapes for whatever a URI gives a meaning.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b',' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// In quotes for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

const MAX_DEPTH: usize = 4;
/// How many fields an example has at the most.
const MAX_VALUES: usize = 200;
