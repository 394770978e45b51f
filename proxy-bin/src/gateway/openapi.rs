//! The OpenAPI 3.1 document of a model: every route, every method by name, every struct that they reach.

use http::header::HeaderName;
use serde_json::{Map, Value as Json, json};
use thrift_generic::descriptor::{Field, Function, Requiredness, Route, Source, Streaming, Type};

use crate::gateway::error::{BUSINESS_STATUS, JSON};
use crate::gateway::model::{Model, Service};
use crate::gateway::schema::{Schemas, flat, source};

/// The whole document.
pub(super) fn document(model: &Model) -> Json {
    let mut paths = Paths { model, schemas: Schemas::new(model), paths: Map::new() };
    for service in model.services() {
        for function in service.descriptor.functions() {
            if function.streaming != Streaming::None {
                continue;
            }
            for (index, route) in function.routes.iter().enumerate() {
                paths.route(service, function, route, index);
            }
            paths.name(service, function);
        }
    }
    let Paths { schemas, paths, .. } = paths;
    let mut components = schemas.into_components();
    components.insert("Error".into(), error_schema());
    let names: Vec<_> = model.services().iter().map(Service::name).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": names.join(", "), "version": "0" },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                "Error": {
                    "description": "No result, and why",
                    "content": { JSON: { "schema": { "$ref": "#/components/schemas/Error" } } },
                },
            },
        },
    })
}

struct Paths<'a> {
    model: &'a Model,
    schemas: Schemas<'a>,
    paths: Map<String, Json>,
}

impl Paths<'_> {
    fn add(&mut self, path: String, method: &str, operation: Json) {
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.entry(method).or_insert(operation);
        }
    }

    /// `POST /{service}/{method}`.
    fn name(&mut self, service: &Service, function: &Function) {
        let arguments = &service.descriptor.structure(function.arguments).fields;
        let body = match arguments.len() {
            0 => None,
            1 => arguments.first().map(|field| self.schemas.of_field(service, field)),
            _ => {
                let fields = arguments.iter().map(|field| (field.key.to_string(), field));
                Some(self.schemas.object(service, fields))
            }
        };
        let mut responses = Map::new();
        if function.oneway {
            responses.insert("202".into(), json!({ "description": "Handed to a backend" }));
        } else {
            let result = self.schemas.of(service, function.response);
            responses.insert("200".into(), content("The result", &result));
            let thrown = self.thrown(service, function);
            if !thrown.is_empty() {
                let what = "A declared exception, or a business error";
                responses.insert(BUSINESS_STATUS.as_str().into(), content(what, &thrown_schema(thrown)));
            }
        }
        responses.insert("default".into(), json!({ "$ref": "#/components/responses/Error" }));
        let (service, method) = (service.name(), &function.name);
        let mut operation = json!({ "operationId": format!("{service}.{method}"), "tags": [service] });
        if let Some(members) = operation.as_object_mut() {
            members.extend(body.map(|schema| ("requestBody".to_owned(), request_body(&schema, JSON))));
            members.insert("responses".into(), responses.into());
        }
        self.add(format!("/{service}/{method}"), "post", operation);
    }

    /// A route. Of one for any HTTP method the usual ones are told.
    fn route(&mut self, service: &Service, function: &Function, route: &Route, index: usize) {
        let (path, mut parameters) = path(&route.path);
        let body = self.request(service, function, &mut parameters);
        let responses = self.responses(service, function);
        let methods: Vec<String> = match &*route.method {
            "*" => ["get", "post", "put", "patch", "delete"].map(str::to_owned).into(),
            method => vec![method.to_ascii_lowercase()],
        };
        for method in methods.iter().filter(|method| KNOWN_METHODS.contains(&method.as_str())) {
            let (service, name) = (service.name(), &function.name);
            let id = format!("{service}.{name}.{method}{index}");
            let mut operation = json!({ "operationId": id, "tags": [service], "summary": format!("{service}.{name}") });
            if let Some(members) = operation.as_object_mut() {
                if !parameters.is_empty() {
                    members.insert("parameters".into(), parameters.clone().into());
                }
                members.extend(body.clone().map(|body| ("requestBody".to_owned(), body)));
                members.insert("responses".into(), responses.clone());
            }
            self.add(path.clone(), method, operation);
        }
    }

    /// What a request has: `parameters` are told what is known of them, and what is in the body is the result.
    fn request(&mut self, service: &Service, function: &Function, parameters: &mut Vec<Json>) -> Option<Json> {
        let Type::Struct(id) = function.request else { return None };
        let profile = self.model.options().profile;
        let (mut body, mut form) = (Vec::new(), false);
        for field in flat(&service.descriptor, id, profile) {
            match source(field, profile) {
                Some(Source::Query(name)) => parameters.push(self.parameter(service, field, "query", name)),
                Some(Source::Header(name)) => parameters.push(self.parameter(service, field, "header", name)),
                Some(Source::Cookie(name)) => parameters.push(self.parameter(service, field, "cookie", name)),
                Some(Source::Path(name)) => {
                    let known = parameters.iter_mut().find(|known| known["in"] == "path" && known["name"] == **name);
                    if let Some(known) = known.and_then(Json::as_object_mut) {
                        known.insert("schema".into(), self.schemas.of_field(service, field));
                    }
                }
                Some(Source::RawBody) => {
                    let bytes = json!({ "description": "bytes, as they are" });
                    return Some(request_body(&bytes, "application/octet-stream"));
                }
                Some(Source::Body(name)) => body.push((name.to_string(), field)),
                Some(Source::Form(name)) => {
                    form = true;
                    body.push((name.to_string(), field));
                }
                None => body.push((field.key.to_string(), field)),
                Some(_) => {}
            }
        }
        if body.is_empty() {
            return None;
        }
        let schema = self.schemas.object(service, body.into_iter());
        Some(request_body(&schema, if form { "application/x-www-form-urlencoded" } else { JSON }))
    }

    fn parameter(&mut self, service: &Service, field: &Field, place: &str, name: &str) -> Json {
        let required = field.requiredness == Requiredness::Required;
        let mut parameter = json!({
            "name": name, "in": place, "required": required, "schema": self.schemas.of_field(service, field),
        });
        // `a,b`, not `x=a&x=b`.
        if place != "header"
            && matches!(field.ty, Type::List(_) | Type::Set(_))
            && let Some(members) = parameter.as_object_mut()
        {
            members.insert("style".into(), "form".into());
            members.insert("explode".into(), false.into());
        }
        parameter
    }

    /// What a route answers with: a declared exception is a normal answer.
    fn responses(&mut self, service: &Service, function: &Function) -> Json {
        let mut responses = Map::new();
        if function.oneway {
            responses.insert("202".into(), json!({ "description": "Handed to a backend" }));
        } else if function.response == Type::Void {
            responses.insert("204".into(), json!({ "description": "Done" }));
        } else {
            let mut headers = Map::new();
            let mut any = vec![self.response_body(service, function.response, &mut headers)];
            let result = service.descriptor.structure(function.result).fields.iter().filter(|field| field.id != 0);
            any.extend(result.map(|field| self.response_body(service, field.ty, &mut headers)));
            if any.len() > 1 {
                let text = "The name of the exception that the method threw, if it threw one";
                headers
                    .insert("thrift-exception".into(), json!({ "description": text, "schema": { "type": "string" } }));
            }
            let schema = match <[Json; 1]>::try_from(any) {
                Ok([only]) => only,
                Err(any) => json!({ "anyOf": any }),
            };
            let mut response = content("The result", &schema);
            if !headers.is_empty()
                && let Some(members) = response.as_object_mut()
            {
                members.insert("headers".into(), headers.into());
            }
            responses.insert("200".into(), response);
        }
        responses.insert("default".into(), json!({ "$ref": "#/components/responses/Error" }));
        responses.into()
    }

    fn response_body(&mut self, service: &Service, ty: Type, headers: &mut Map<String, Json>) -> Json {
        let Type::Struct(id) = ty else { return self.schemas.of(service, ty) };
        let profile = self.model.options().profile;
        let mut body = Vec::new();
        for field in service.descriptor.structure(id).fields.iter().filter(|field| !field.hidden) {
            match source(field, profile) {
                Some(Source::Header(name)) => {
                    if HeaderName::from_bytes(name.as_bytes()).is_ok() {
                        headers.insert(name.to_string(), json!({ "schema": self.schemas.of_field(service, field) }));
                    }
                }
                Some(Source::Body(name)) => body.push((name.to_string(), field)),
                None => body.push((field.key.to_string(), field)),
                Some(_) => {}
            }
        }
        self.schemas.object(service, body.into_iter())
    }

    /// Name and schema of each declared exception.
    fn thrown(&mut self, service: &Service, function: &Function) -> Vec<(String, Json)> {
        let d = &service.descriptor;
        let mut thrown = Vec::new();
        for field in d.structure(function.result).fields.iter().filter(|field| field.id != 0) {
            let name = match field.ty {
                Type::Struct(id) => d.structure(id).name.to_string(),
                _ => field.name.to_string(),
            };
            thrown.push((name, self.schemas.of(service, field.ty)));
        }
        thrown
    }
}

/// A path in the form of OpenAPI, and its parameters.
fn path(path: &str) -> (String, Vec<Json>) {
    let mut parameters = Vec::new();
    let segment = |segment: &str| {
        let Some((before, name)) = segment.split_once([':', '*']) else { return segment.to_owned() };
        let schema = json!({ "type": "string" });
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        format!("{before}{{{name}}}")
    };
    (path.split('/').map(segment).collect::<Vec<_>>().join("/"), parameters)
}

fn request_body(schema: &Json, content_type: &str) -> Json {
    json!({ "content": { content_type: { "schema": schema } } })
}

fn content(description: &str, schema: &Json) -> Json {
    json!({ "description": description, "content": { JSON: { "schema": schema } } })
}

/// The error that a declared exception of a call by name is.
fn thrown_schema(thrown: Vec<(String, Json)>) -> Json {
    let one = |(name, value): (String, Json)| {
        json!({
            "properties": {
                "error": { "type": "object", "properties": { "exception": { "const": name }, "value": value } },
            },
        })
    };
    let any: Vec<_> = thrown.into_iter().map(one).chain([json!({})]).collect();
    json!({ "allOf": [{ "$ref": "#/components/schemas/Error" }, { "anyOf": any }] })
}

pub(super) fn error_schema() -> Json {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "kind", "message", "request_id"],
                "properties": {
                    "code": { "type": "integer", "description": "the backend's where it said one, else the status" },
                    "kind": { "type": "string", "description": "the class of the error" },
                    "message": { "type": "string" },
                    "path": { "type": "string", "description": "the field that is wrong" },
                    "offset": { "type": "integer", "description": "the byte of the body at which it is wrong" },
                    "extra": { "type": "object", "description": "what a business error says besides" },
                    "exception": { "type": "string", "description": "the name of a declared exception" },
                    "value": { "description": "its fields" },
                    "request_id": { "type": "string" },
                },
            },
        },
    })
}

/// The HTTP methods that OpenAPI has.
const KNOWN_METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
