use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use thrift_generic::protobuf::prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor,
};
use thrift_generic::protobuf::{PbDescriptor, PbFunction, PbIdl, PbJsonCodec, PbOptions, PbServices};

use crate::cli::json::quote;
use crate::cli::schema::Part;

/// The services of .proto files or a descriptor set.
#[derive(Debug)]
pub(crate) struct Services {
    descriptor: PbDescriptor,
    codec: PbJsonCodec,
}

/// A method of one of them.
#[derive(Debug)]
pub(crate) struct Method<'s> {
    services: &'s Services,
    pub(crate) function: &'s PbFunction,
}

impl Services {
    pub(crate) fn load(path: &Path, include: &[PathBuf]) -> Result<Self, String> {
        let idl = if path.extension().is_some_and(|extension| extension == "proto") {
            PbIdl::from_file(path, include).map_err(|error| error.to_string())?
        } else {
            let set = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            PbIdl::from_set(&set).map_err(|error| format!("{}: {error}", path.display()))?
        };
        let all = PbDescriptor::new(&idl, &PbServices::All);
        let descriptor = all.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { descriptor, codec: PbJsonCodec::new(PbOptions::default()) })
    }

    fn pool(&self) -> &DescriptorPool {
        self.descriptor.idl().pool()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.pool().services().map(|service| service.full_name().to_owned())
    }

    fn service(&self, name: &str) -> Option<ServiceDescriptor> {
        self.pool().services().find(|service| service.full_name() == name || service.name() == name)
    }

    pub(crate) fn methods(&self, service: &str) -> Vec<String> {
        let service = self.service(service);
        service.iter().flat_map(ServiceDescriptor::methods).map(|method| method.name().to_owned()).collect()
    }

    pub(crate) fn method(&self, service: &str, name: &str) -> Option<Method<'_>> {
        let function = if service.is_empty() {
            self.descriptor.function(name)?
        } else {
            let service = self.service(service)?;
            self.descriptor.function_at(&format!("/{}/{name}", service.full_name()))?
        };
        Some(Method { services: self, function })
    }

    pub(crate) fn describe(&self, name: &str) -> Option<String> {
        if name.is_empty() {
            return Some(self.pool().services().map(|service| service_text(&service)).collect::<Vec<_>>().join("\n"));
        }
        if let Some((service, method)) = name.split_once('/') {
            let service = self.service(service)?;
            let method = service.methods().find(|found| found.name() == method)?;
            let mut text = method_text(&method);
            text.push('\n');
            for message in reached(&method) {
                let _infallible = write!(text, "\n{}", message_text(&message));
            }
            return Some(text);
        }
        if let Some(service) = self.service(name) {
            return Some(service_text(&service));
        }
        let name = name.strip_prefix('.').unwrap_or(name);
        let is_it = |full: &str, own: &str| full == name || own == name;
        let message = self.pool().all_messages().find(|message| is_it(message.full_name(), message.name()));
        let enumeration = || self.pool().all_enums().find(|found| is_it(found.full_name(), found.name()));
        message.map(|message| message_text(&message)).or_else(|| enumeration().map(|found| enum_text(&found)))
    }
}

impl Method<'_> {
    pub(crate) fn service(&self) -> &str {
        self.function.service.rsplit('.').next().unwrap_or(&self.function.service)
    }

    pub(crate) fn package(&self) -> &str {
        self.function.service.rsplit_once('.').map_or("", |(package, _)| package)
    }

    pub(crate) fn encode_request(&self, json: Option<&str>) -> Result<Vec<u8>, String> {
        let Services { descriptor, codec } = self.services;
        let mut bytes = Vec::new();
        let json = json.unwrap_or("{}").as_bytes();
        let encoded = codec.encode(descriptor, self.function.input, json, &mut bytes);
        encoded.map(|()| bytes).map_err(|error| format!("request: {error}"))
    }

    pub(crate) fn decode(&self, part: Part, bytes: &[u8]) -> Result<String, String> {
        let Services { descriptor, codec } = self.services;
        let message = match part {
            Part::Request => self.function.input,
            Part::Response => self.function.output,
        };
        let mut json = Vec::new();
        let decoded = codec.decode(descriptor, message, bytes, &mut json);
        decoded.map(|()| String::from_utf8_lossy(&json).into_owned()).map_err(|error| error.to_string())
    }

    pub(crate) fn example(&self) -> String {
        let mut text = String::new();
        let input = self.services.descriptor.reflect(self.function.input);
        example_of(&input, &mut Vec::new(), &mut text);
        text
    }
}

fn service_text(service: &ServiceDescriptor) -> String {
    let mut text = format!("service {} {{\n", service.full_name());
    for method in service.methods() {
        let _infallible = writeln!(text, "    {}", method_text(&method));
    }
    text.push_str("}\n");
    text
}

fn method_text(method: &MethodDescriptor) -> String {
    let stream = |streams: bool| if streams { "stream " } else { "" };
    let (input, output) = (method.input(), method.output());
    format!(
        "rpc {}({}{}) returns ({}{})",
        method.name(),
        stream(method.is_client_streaming()),
        input.full_name(),
        stream(method.is_server_streaming()),
        output.full_name()
    )
}

fn message_text(message: &MessageDescriptor) -> String {
    let mut text = format!("message {} {{\n", message.full_name());
    for field in message.fields() {
        let ty = match (field.is_map(), field.kind()) {
            (true, Kind::Message(entry)) => {
                let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
                format!("map<{}, {}>", kind_name(&key.kind()), kind_name(&value.kind()))
            }
            (_, kind) if field.cardinality() == Cardinality::Repeated => format!("repeated {}", kind_name(&kind)),
            (_, kind) if field.supports_presence() && field.containing_oneof().is_some() => {
                let oneof = field.containing_oneof().map_or_else(String::new, |oneof| oneof.name().to_owned());
                let own = oneof.starts_with('_');
                if own {
                    format!("optional {}", kind_name(&kind))
                } else {
                    format!("/* {oneof} */ {}", kind_name(&kind))
                }
            }
            (_, kind) => kind_name(&kind),
        };
        let _infallible = writeln!(text, "    {ty} {} = {};", field.name(), field.number());
    }
    text.push_str("}\n");
    text
}

fn enum_text(found: &EnumDescriptor) -> String {
    let mut text = format!("enum {} {{\n", found.full_name());
    for value in found.values() {
        let _infallible = writeln!(text, "    {} = {};", value.name(), value.number());
    }
    text.push_str("}\n");
    text
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(found) => found.full_name().to_owned(),
        Kind::Double => "double".into(),
        Kind::Float => "float".into(),
        Kind::Int32 => "int32".into(),
        Kind::Int64 => "int64".into(),
        Kind::Uint32 => "uint32".into(),
        Kind::Uint64 => "uint64".into(),
        Kind::Sint32 => "sint32".into(),
        Kind::Sint64 => "sint64".into(),
        Kind::Fixed32 => "fixed32".into(),
        Kind::Fixed64 => "fixed64".into(),
        Kind::Sfixed32 => "sfixed32".into(),
        Kind::Sfixed64 => "sfixed64".into(),
        Kind::Bool => "bool".into(),
        Kind::String => "string".into(),
        Kind::Bytes => "bytes".into(),
    }
}

/// The messages that a method reaches, each once; entries of maps apart.
fn reached(method: &MethodDescriptor) -> Vec<MessageDescriptor> {
    let mut found: Vec<MessageDescriptor> = Vec::new();
    let mut todo = vec![method.output(), method.input()];
    while let Some(message) = todo.pop() {
        if found.contains(&message) {
            continue;
        }
        let fields: Vec<FieldDescriptor> = message.fields().collect();
        for field in fields.iter().rev() {
            if let Kind::Message(inner) = field.kind() {
                todo.push(inner);
            }
        }
        found.push(message);
    }
    found.retain(|message| !message.is_map_entry());
    found
}

/// Appends JSON for a message. A message inside itself ends the example, and so does the second member of a `oneof`.
fn example_of(message: &MessageDescriptor, inside: &mut Vec<MessageDescriptor>, text: &mut String) {
    if inside.len() > MAX_LEVELS {
        return text.push_str("{}");
    }
    inside.push(message.clone());
    text.push('{');
    let mut oneofs = Vec::new();
    let mut first = true;
    for field in message.fields() {
        if let Some(oneof) = field.containing_oneof() {
            if oneofs.contains(&oneof) {
                continue;
            }
            oneofs.push(oneof);
        }
        if is_inside(&field, inside) || text.len() > MAX_EXAMPLE {
            continue;
        }
        if !std::mem::take(&mut first) {
            text.push(',');
        }
        text.push_str(&quote(field.json_name()));
        text.push(':');
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let mut key = String::new();
                scalar(&entry.map_entry_key_field().kind(), inside, &mut key);
                let key = if key.starts_with('"') { key } else { quote(&key) };
                let _infallible = write!(text, "{{{key}:");
                scalar(&entry.map_entry_value_field().kind(), inside, text);
                text.push('}');
            }
            kind if field.is_list() => {
                text.push('[');
                scalar(&kind, inside, text);
                text.push(']');
            }
            kind => scalar(&kind, inside, text),
        }
    }
    text.push('}');
    inside.pop();
}

fn is_inside(field: &FieldDescriptor, inside: &[MessageDescriptor]) -> bool {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => is_inside(&entry.map_entry_value_field(), inside),
        Kind::Message(message) => inside.contains(&message),
        _ => false,
    }
}

fn scalar(kind: &Kind, inside: &mut Vec<MessageDescriptor>, text: &mut String) {
    match kind {
        Kind::Message(message) => example_of(message, inside, text),
        Kind::Enum(found) => {
            let _infallible = write!(text, "{}", found.values().next().map_or(0, |value| value.number()));
        }
        Kind::Double | Kind::Float => text.push_str("0.5"),
        Kind::Bool => text.push_str("false"),
        Kind::String => text.push_str("\"text\""),
        // "bytes"
        Kind::Bytes => text.push_str("\"Ynl0ZXM=\""),
        _ => text.push('0'),
    }
}

/// An example longer than this helps nobody, in bytes.
const MAX_EXAMPLE: usize = 64 << 10;
/// Messages inside messages of an example.
const MAX_LEVELS: usize = 16;
