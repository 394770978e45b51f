//! Types of an IDL as JSON Schema, as the JSON mapping reads and writes them.

use serde_json::{Map, Value as Json, json};
use thrift_generic::Descriptor;
use thrift_generic::descriptor::{Field, Requiredness, Source, StructId, Type};
use thrift_generic::{Profile, Value};

use crate::gateway::model::{Model, Service};

/// The schemas of all structs that something refers to, by name.
pub(super) struct Schemas<'a> {
    model: &'a Model,
    components: Map<String, Json>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        Self { model, components: Map::new() }
    }

    pub(super) fn into_components(self) -> Map<String, Json> {
        self.components
    }

    /// The schema of a type.
    pub(super) fn of(&mut self, service: &Service, ty: Type) -> Json {
        self.of_type(service, ty, false)
    }

    /// The schema of a field's value, its default and description with it.
    pub(super) fn of_field(&mut self, service: &Service, field: &Field) -> Json {
        let mut schema = self.of_type(service, field.ty, field.js_conv);
        if let Some(default) = field.default.as_ref().and_then(json_of)
            && let Some(members) = schema.as_object_mut()
        {
            members.insert("default".into(), default);
        }
        schema
    }

    /// An object of these fields, under the names that `key` gives them; those without a name are left out.
    pub(super) fn object<'f>(&mut self, service: &Service, fields: impl Iterator<Item = (String, &'f Field)>) -> Json {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, field) in fields {
            let schema = self.of_field(service, field);
            if field.requiredness == Requiredness::Required {
                required.push(Json::from(name.as_str()));
            }
            properties.insert(name, schema);
        }
        let mut object = json!({ "type": "object", "properties": properties });
        if !required.is_empty()
            && let Some(members) = object.as_object_mut()
        {
            members.insert("required".into(), required.into());
        }
        object
    }

    fn of_type(&mut self, service: &Service, ty: Type, js_conv: bool) -> Json {
        let d = &service.descriptor;
        match ty {
            Type::Bool => json!({ "type": "boolean" }),
            Type::Byte => json!({ "type": "integer", "minimum": -128, "maximum": 127 }),
            Type::I16 => json!({ "type": "integer", "minimum": -32768, "maximum": 32767 }),
            Type::I32 => json!({ "type": "integer", "format": "int32" }),
            Type::I64 if js_conv || self.model.options().i64_as_string => {
                json!({ "type": ["string", "integer"], "format": "int64", "description": "a string in responses" })
            }
            Type::I64 => json!({ "type": "integer", "format": "int64" }),
            Type::Double => json!({ "type": "number", "format": "double" }),
            Type::String => json!({ "type": "string" }),
            Type::Binary if self.model.options().base64 => json!({ "type": "string", "contentEncoding": "base64" }),
            Type::Binary => json!({ "type": "string" }),
            Type::Enum(id) => {
                let values = &d.enumeration(id).values;
                let numbers: Vec<_> = values.iter().map(|(_, number)| *number).collect();
                let names: Vec<_> = values.iter().map(|(name, _)| &**name).collect();
                let told: Vec<_> = values.iter().map(|(name, number)| format!("{number} {name}")).collect();
                json!({ "type": "integer", "enum": numbers, "x-enum-varnames": names, "description": told.join(", ") })
            }
            Type::Struct(id) => {
                let name = self.component(service, id);
                json!({ "$ref": format!("#/components/schemas/{name}") })
            }
            Type::List(element) => json!({ "type": "array", "items": self.of_type(service, d.ty(element), js_conv) }),
            Type::Set(element) => {
                json!({ "type": "array", "items": self.of_type(service, d.ty(element), js_conv), "uniqueItems": true })
            }
            Type::Map(_, value) => {
                json!({ "type": "object", "additionalProperties": self.of_type(service, d.ty(value), js_conv) })
            }
            _ => json!({ "type": "null" }),
        }
    }

    /// The component of a struct, made when it is first needed: structs may contain themselves.
    fn component(&mut self, service: &Service, id: StructId) -> String {
        let name = self.name(service, &service.descriptor.structure(id).name);
        if !self.components.contains_key(&name) {
            self.components.insert(name.clone(), Json::Null);
            let fields = service.descriptor.structure(id).fields.iter();
            let schema = self.object(service, fields.map(|field| (field.key.to_string(), field)));
            self.components.insert(name.clone(), schema);
        }
        name
    }

    /// A struct's name, with its file's in front where another file has one of the same name.
    fn name(&self, service: &Service, name: &str) -> String {
        let elsewhere = |other: &Service| {
            other.file != service.file && other.descriptor.structs().any(|(_, structure)| *structure.name == *name)
        };
        // A prefixed one is of an included file already.
        let name = if !name.contains('.') && self.model.services().iter().any(elsewhere) {
            let file = service.file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
            format!("{file}.{name}")
        } else {
            name.to_owned()
        };
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
    }
}

/// Where a field of a request or response has its place in HTTP: of several annotations the one that the profile takes.
pub(super) fn source(field: &Field, profile: Profile) -> Option<&Source> {
    match profile {
        Profile::Default => field.http.last(),
        Profile::Dynamic => field.http.first(),
    }
}

/// The fields of a struct, those of structs that are put together from the request included.
pub(super) fn flat(d: &Descriptor, id: StructId, profile: Profile) -> Vec<&Field> {
    let mut fields = Vec::new();
    gather(d, id, profile, 0, &mut fields);
    fields
}

fn gather<'a>(d: &'a Descriptor, id: StructId, profile: Profile, depth: usize, fields: &mut Vec<&'a Field>) {
    for field in d.structure(id).fields.iter() {
        match (source(field, profile), field.ty) {
            (Some(Source::StepInto), Type::Struct(inner)) if depth < MAX_STEPS => {
                gather(d, inner, profile, depth.saturating_add(1), fields);
            }
            _ => fields.push(field),
        }
    }
}

/// A default as JSON.
pub(super) fn json_of(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Bool(value) => (*value).into(),
        Value::I8(value) => (*value).into(),
        Value::I16(value) => (*value).into(),
        Value::I32(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::Double(value) => (*value).into(),
        Value::String(value) => value.as_str().into(),
        Value::List(values) => values.iter().map(json_of).collect::<Option<Vec<_>>>()?.into(),
        Value::Map(pairs) => {
            let pair = |(key, value): &(Value, Value)| {
                let key = match json_of(key)? {
                    Json::String(key) => key,
                    Json::Object(_) | Json::Array(_) => return None,
                    key => key.to_string(),
                };
                Some((key, json_of(value)?))
            };
            Json::Object(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
        Value::Struct(members) => {
            let member = |(name, value): &(Box<str>, Value)| Some((name.to_string(), json_of(value)?));
            Json::Object(members.iter().map(member).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// How deep structs are looked into that are put together from a request: they may contain themselves.
const MAX_STEPS: usize = 8;
