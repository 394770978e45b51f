//! The Protobuf half of a model: methods by their paths on gRPC, `POST /{package.Service}/{Method}`, JSON both ways. Calls
//! are Kitex-Protobuf ones, which a cluster may send as gRPC.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};
use thrift_codec::Version;
use thrift_generic::protobuf::prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use thrift_generic::protobuf::{PbDescriptor, PbFunction, PbIdl, PbJsonCodec, PbOptions, PbServices};

use crate::config::{self, IdlKind};
use crate::gateway::Error;
use crate::gateway::error::JSON;
use crate::gateway::load::{LoadError, Loaded};
use crate::gateway::model::{Called, Target};
use crate::gateway::openapi::error_schema;
use crate::gateway::page::{Escaped, HOST, Page, count, put};

/// One state of Protobuf files.
#[derive(Debug)]
pub(super) struct Protobuf {
    descriptor: PbDescriptor,
    codec: PbJsonCodec,
    path: PathBuf,
    i64_as_text: bool,
}

impl Protobuf {
    /// Reads the files; none where the IDL is Thrift's.
    ///
    /// # Errors
    ///
    /// They can't be read, say something wrong, or have nothing to serve.
    pub(super) fn load(config: &config::Gateway) -> Result<Option<Self>, LoadError> {
        let path = &config.idl;
        let idl = match config.kind {
            IdlKind::Thrift => return Ok(None),
            IdlKind::Proto => PbIdl::from_file(path, &config.include),
            IdlKind::DescriptorSet => {
                let bytes = std::fs::read(path).map_err(|source| LoadError::Read { path: path.clone(), source })?;
                PbIdl::from_set(&bytes)
            }
        };
        let descriptor = idl.and_then(|idl| PbDescriptor::new(&idl, &PbServices::All));
        let descriptor = descriptor.map_err(|source| LoadError::Protobuf { path: path.clone(), source })?;
        let i64_as_text = config.i64_as_string;
        let mut options = PbOptions::default();
        (options.i64_as_text, options.nan_as_text) = (i64_as_text, true);
        Ok(Some(Self { descriptor, codec: PbJsonCodec::new(options), path: path.clone(), i64_as_text }))
    }

    /// The files; there is no service of Thrift.
    pub(super) fn loaded(&self) -> Loaded {
        let files: Vec<_> = self.descriptor.idl().files().map(Path::to_path_buf).collect();
        let files = if files.is_empty() { vec![self.path.clone()] } else { files };
        Loaded { services: Vec::new(), files }
    }

    pub(super) fn services(&self) -> usize {
        self.descriptor.functions().chunk_by(|a, b| a.service == b.service).count()
    }

    pub(super) fn methods(&self) -> usize {
        self.descriptor.functions().len()
    }

    /// Every method in words, one a line.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.descriptor.functions().iter().map(|function| {
            let how = if function.is_streaming() {
                "streams, not over HTTP".into()
            } else {
                format!("POST {}", function.path())
            };
            format!("{}.{}: {how}", function.service, function.name)
        })
    }

    /// The method with this path.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn find(&self, path: &str) -> Result<Target, Error> {
        let functions = self.descriptor.functions();
        if let Some(function) = functions.iter().position(|function| function.path() == path) {
            return Ok(Target { service: 0, function, params: None });
        }
        let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let known = names.filter(|(service, _)| functions.iter().any(|function| *function.service == **service));
        Err(Error::not_found(match known {
            Some((service, method)) => format!("service {service} has no method {method:?}"),
            None => format!("no service of that name for {path}"),
        }))
    }

    /// What the call says of its method: the service without its package, as Kitex names it.
    ///
    /// # Errors
    ///
    /// It streams.
    pub(super) fn called(&self, target: &Target) -> Result<Called<'_>, Error> {
        let function = self.function(target)?;
        if function.is_streaming() {
            return Err(Error::streaming(&function.service, &function.name));
        }
        let (package, service) = function.service.rsplit_once('.').unwrap_or(("", &function.service));
        let (method, version) = (&*function.name, Version::KITEX_PROTOBUF);
        Ok(Called { service, method, oneway: false, version, package: Some(package) })
    }

    /// The message that a body stands for; none stands for an empty one.
    ///
    /// # Errors
    ///
    /// It does not make one; names field and offset.
    pub(super) fn message(&self, target: &Target, body: &[u8]) -> Result<Vec<u8>, Error> {
        let input = self.function(target)?.input;
        let mut message = Vec::with_capacity(body.len());
        let body: &[u8] = if body.is_empty() { b"null" } else { body };
        let made = self.codec.encode(&self.descriptor, input, body, &mut message);
        made.map_err(|error| Error::arguments(&error))?;
        Ok(message)
    }

    /// A reply's message as JSON.
    ///
    /// # Errors
    ///
    /// It is no such message.
    pub(super) fn answer(&self, target: &Target, message: &[u8]) -> Result<Vec<u8>, Error> {
        let output = self.function(target)?.output;
        let mut json = Vec::with_capacity(message.len().saturating_mul(2));
        let made = self.codec.decode(&self.descriptor, output, message, &mut json);
        made.map_err(|error| Error::result(&error))?;
        Ok(json)
    }

    fn function(&self, target: &Target) -> Result<&PbFunction, Error> {
        let function = self.descriptor.functions().get(target.function);
        function.ok_or_else(|| Error::not_found("the method is another model's"))
    }

    /// The list for people.
    pub(super) fn page(&self) -> Page {
        let d = &self.descriptor;
        let mut body = String::new();
        let file = self.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        for functions in d.functions().chunk_by(|a, b| a.service == b.service) {
            let service = functions.first().map(|function| &*function.service).unwrap_or_default();
            put(&mut body, format_args!("<section><h2>{}<small>{}</small></h2>", Escaped(service), Escaped(&file)));
            for function in functions {
                let (input, output) = (d.reflect(function.input), d.reflect(function.output));
                let signature = format!(
                    "<span class=s>{}.<b>{}</b>({}) → {}</span>",
                    Escaped(service),
                    Escaped(&function.name),
                    Escaped(input.full_name()),
                    Escaped(output.full_name())
                );
                if function.is_streaming() {
                    let what = "streams: not over HTTP";
                    put(&mut body, format_args!("<div class=off>{signature}<span>{what}</span></div>"));
                    continue;
                }
                let mut left = MAX_VALUES;
                let example = self.example(&input, 0, &mut left);
                let pretty = serde_json::to_string_pretty(&example).unwrap_or_default();
                let path = function.path();
                let request = format!(
                    "curl 'http://{HOST}{path}' \\\n  -H 'content-type: application/json' \\\n  -d '{}'",
                    example.to_string().replace('\'', "'\\''")
                );
                put(&mut body, format_args!("<details><summary><b class=\"m post\">POST</b>"));
                put(&mut body, format_args!("<code class=p>{}</code>{signature}</summary>", Escaped(path)));
                put(&mut body, format_args!("<h3>Request</h3><pre>{}</pre>", Escaped(&request)));
                put(&mut body, format_args!("<h3>Body</h3><pre>{}</pre></details>", Escaped(&pretty)));
            }
            body.push_str("</section>");
        }
        let summary = format!("{}, {}", count(self.services(), "service"), count(self.methods(), "method"));
        Page::of(&summary, &body)
    }

    /// A message with a value in each field, of a oneof in its first.
    fn example(&self, message: &MessageDescriptor, depth: usize, left: &mut usize) -> Json {
        let mut members = Map::new();
        for field in message.fields() {
            let is_first = |field: &FieldDescriptor| {
                field.containing_oneof().is_none_or(|of| of.fields().next().is_some_and(|first| first == *field))
            };
            let too_deep = depth >= MAX_DEPTH && matches!(field.kind(), Kind::Message(_));
            if *left == 0 || too_deep || !is_first(&field) {
                continue;
            }
            *left = left.saturating_sub(1);
            let value = match field.kind() {
                Kind::Message(entry) if field.is_map() => {
                    let key = match self.example_of(&entry.map_entry_key_field(), depth, left) {
                        Json::String(key) => key,
                        key => key.to_string(),
                    };
                    json!({ key: self.example_of(&entry.map_entry_value_field(), depth, left) })
                }
                _ if field.is_list() => json!([self.example_of(&field, depth, left)]),
                _ => self.example_of(&field, depth, left),
            };
            members.insert(field.json_name().to_owned(), value);
        }
        members.into()
    }

    fn example_of(&self, field: &FieldDescriptor, depth: usize, left: &mut usize) -> Json {
        match field.kind() {
            Kind::Double | Kind::Float => 1.5.into(),
            Kind::Bool => true.into(),
            Kind::String => field.name().into(),
            // "hello"
            Kind::Bytes => "aGVsbG8=".into(),
            Kind::Enum(of) => of.default_value().number().into(),
            Kind::Message(message) => self.example(&message, depth.saturating_add(1), left),
            kind if self.i64_as_text && is_wide(&kind) => "1".into(),
            _ => 1.into(),
        }
    }

    /// The list for machines: an OpenAPI 3.1 document.
    pub(super) fn openapi(&self) -> Json {
        let d = &self.descriptor;
        let mut schemas = Map::new();
        let mut paths = Map::new();
        let unary = d.functions().iter().filter(|function| !function.is_streaming());
        for function in unary {
            let input = self.component(&d.reflect(function.input), &mut schemas);
            let output = self.component(&d.reflect(function.output), &mut schemas);
            let operation = json!({
                "operationId": format!("{}.{}", function.service, function.name),
                "tags": [function.service],
                "requestBody": { "content": { JSON: { "schema": input } } },
                "responses": {
                    "200": { "description": "The result", "content": { JSON: { "schema": output } } },
                    "default": { "$ref": "#/components/responses/Error" },
                },
            });
            paths.insert(function.path().to_owned(), json!({ "post": operation }));
        }
        schemas.insert("Error".into(), error_schema());
        let names = d.functions().chunk_by(|a, b| a.service == b.service).filter_map(|functions| functions.first());
        let title: Vec<_> = names.map(|function| &*function.service).collect();
        json!({
            "openapi": "3.1.0",
            "info": { "title": title.join(", "), "version": "0" },
            "servers": [{ "url": "/" }],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": {
                    "Error": {
                        "description": "No result, and why",
                        "content": { JSON: { "schema": { "$ref": "#/components/schemas/Error" } } },
                    },
                },
            },
        })
    }

    /// A reference to the schema of a message, which is made, with all that it refers to, if it is not there.
    fn component(&self, message: &MessageDescriptor, schemas: &mut Map<String, Json>) -> Json {
        let mut waiting = vec![message.clone()];
        while let Some(message) = waiting.pop() {
            if schemas.contains_key(message.full_name()) {
                continue;
            }
            let mut properties = Map::new();
            for field in message.fields() {
                properties.insert(field.json_name().to_owned(), self.schema(&field, &mut waiting));
            }
            schemas.insert(message.full_name().to_owned(), json!({ "type": "object", "properties": properties }));
        }
        reference(message)
    }

    /// The schema of a field; messages that it refers to are put in `waiting`.
    fn schema(&self, field: &FieldDescriptor, waiting: &mut Vec<MessageDescriptor>) -> Json {
        let one = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = self.schema(&entry.map_entry_value_field(), waiting);
                return json!({ "type": "object", "additionalProperties": value });
            }
            Kind::Message(message) => {
                let reference = reference(&message);
                waiting.push(message);
                reference
            }
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Enum(of) => {
                let (numbers, names): (Vec<_>, Vec<_>) =
                    of.values().map(|value| (value.number(), value.name().to_owned())).unzip();
                let told: Vec<_> = of.values().map(|value| format!("{} {}", value.number(), value.name())).collect();
                json!({ "type": "integer", "enum": numbers, "x-enum-varnames": names, "description": told.join(", ") })
            }
            kind if is_wide(&kind) && self.i64_as_text => {
                json!({ "type": ["string", "integer"], "format": "int64", "description": "a string in responses" })
            }
            kind if is_wide(&kind) => json!({ "type": "integer", "format": "int64" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            _ => json!({ "type": "integer", "format": "int32" }),
        };
        if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
    }
}

fn is_wide(kind: &Kind) -> bool {
    matches!(kind, Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64)
}

fn reference(message: &MessageDescriptor) -> Json {
    json!({ "$ref": format!("#/components/schemas/{}", message.full_name()) })
}

/// How deep an example goes, and how many fields it has at the most.
const MAX_DEPTH: usize = 3;
const MAX_VALUES: usize = 200;
