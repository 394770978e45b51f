use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use thrift_generic::descriptor::{
    Builder, Field, Function, Requiredness, Streaming, Struct, StructId, StructKind, Type,
};
use thrift_generic::idl::Idl;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Outcome, Profile, Value};

use crate::cli::json::quote;
use crate::cli::schema::Answer;

/// The services of a .thrift file.
#[derive(Debug)]
pub(crate) struct Services {
    /// Each with what it inherits, in the order of the file.
    descriptors: Vec<Descriptor>,
    codec: JsonCodec,
}

/// A method of one of them.
#[derive(Debug)]
pub(crate) struct Method<'s> {
    descriptor: &'s Descriptor,
    pub(crate) function: &'s Function,
    codec: &'s JsonCodec,
}

impl Services {
    pub(crate) fn load(path: &Path, include: &[PathBuf], profile: Profile) -> Result<Self, String> {
        let idl = Idl::from_file(path, include).map_err(|error| error.to_string())?;
        let build =
            |service: &str| Builder::new().service(service).profile(profile).allow_no_arguments(true).build(&idl);
        let descriptors =
            idl.services().map(build).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        if descriptors.is_empty() {
            return Err(format!("{}: no service in the file", path.display()));
        }
        Ok(Self { descriptors, codec: JsonCodec::new(Options::json(profile)) })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.descriptors.iter().map(Descriptor::name)
    }

    pub(crate) fn methods(&self, service: &str) -> Vec<String> {
        let descriptor = self.service(service);
        descriptor.into_iter().flat_map(Descriptor::functions).map(|function| function.name.to_string()).collect()
    }

    /// The service of this name; a package in front of it is the transport's, not the IDL's.
    fn service(&self, name: &str) -> Option<&Descriptor> {
        let name = name.rsplit('.').next().unwrap_or(name);
        self.descriptors.iter().find(|descriptor| descriptor.name() == name)
    }

    pub(crate) fn method(&self, service: &str, name: &str) -> Option<Method<'_>> {
        let found = |descriptor: &'_ Descriptor| descriptor.function(name).is_some();
        let descriptor = if service.is_empty() {
            // A service has what it inherits: the last is the one that Kitex takes.
            self.descriptors.iter().rev().find(|descriptor| found(descriptor))?
        } else {
            self.service(service)?
        };
        let function = descriptor.function(name)?;
        Some(Method { descriptor, function, codec: &self.codec })
    }

    pub(crate) fn describe(&self, name: &str) -> Option<String> {
        if name.is_empty() {
            return Some(self.descriptors.iter().map(service_text).collect::<Vec<_>>().join("\n"));
        }
        if let Some((service, method)) = name.split_once('/') {
            let method = self.method(service, method)?;
            let mut text = format!("{}\n", function_text(method.descriptor, method.function));
            for id in reached(method.descriptor, method.function) {
                let _infallible = write!(text, "\n{}", struct_text(method.descriptor, method.descriptor.structure(id)));
            }
            return Some(text);
        }
        if let Some(descriptor) = self.descriptors.iter().find(|descriptor| descriptor.name() == name) {
            return Some(service_text(descriptor));
        }
        // A type; its name may have the prefix of its file, and in front of that the service that reaches it.
        let of_service =
            |descriptor: &&Descriptor| name.strip_prefix(descriptor.name()).is_some_and(|rest| rest.starts_with('.'));
        let (descriptors, ty) = match self.descriptors.iter().find(of_service) {
            Some(descriptor) => {
                (std::slice::from_ref(descriptor), name.strip_prefix(descriptor.name()).unwrap_or(name))
            }
            None => (&self.descriptors[..], name),
        };
        let ty = ty.strip_prefix('.').unwrap_or(ty);
        descriptors.iter().find_map(|descriptor| type_text(descriptor, ty))
    }
}

impl Method<'_> {
    pub(crate) fn service(&self) -> &str {
        self.descriptor.name()
    }

    pub(crate) fn streams(&self) -> (bool, bool) {
        match self.function.streaming {
            Streaming::Client => (true, false),
            Streaming::Server => (false, true),
            Streaming::Bidirectional => (true, true),
            _ => (false, false),
        }
    }

    fn is_bare(&self) -> bool {
        self.function.streaming.is_bare()
    }

    /// Whether JSON says all arguments by name: Kitex's generic calls know the first alone.
    fn takes_several(&self) -> bool {
        self.descriptor.structure(self.function.arguments).fields.len() > 1
    }

    pub(crate) fn encode_request(&self, json: Option<&str>) -> Result<Vec<u8>, String> {
        let (descriptor, function, codec) = (self.descriptor, self.function, self.codec);
        let json = json.map(str::as_bytes);
        let mut bytes = Vec::new();
        let encoded = if self.is_bare() {
            codec.encode_message(descriptor, function.request, json, &mut bytes)
        } else if self.takes_several() {
            codec.encode_arguments(descriptor, function, json.unwrap_or(b"{}"), None, &mut bytes)
        } else {
            codec.encode_request(descriptor, function, json, None, &mut bytes)
        };
        encoded.map(|()| bytes).map_err(|error| format!("request: {error}"))
    }

    pub(crate) fn decode_response(&self, bytes: &[u8]) -> Result<Answer, String> {
        let (descriptor, function, codec) = (self.descriptor, self.function, self.codec);
        let mut json = Vec::new();
        let outcome = if self.is_bare() {
            codec.decode_message(descriptor, function.response, bytes, &mut json).map(Outcome::Value)
        } else {
            codec.decode_response(descriptor, function, bytes, &mut json)
        };
        let text = String::from_utf8_lossy(&json).into_owned();
        Ok(match outcome.map_err(|error| format!("response: {error}"))? {
            Outcome::Value(()) => Answer::Value(text),
            Outcome::Void => Answer::Void,
            Outcome::Exception { id, .. } => {
                let field = descriptor.structure(function.result).fields.by_id(id);
                let (name, ty) = field
                    .map_or_else(Default::default, |field| (field.name.to_string(), type_name(descriptor, field.ty)));
                Answer::Declared { name, ty, json: text }
            }
            _ => Answer::Empty,
        })
    }

    pub(crate) fn decode_request(&self, bytes: &[u8]) -> Result<String, String> {
        let (descriptor, function, codec) = (self.descriptor, self.function, self.codec);
        let mut json = Vec::new();
        let decoded = if self.is_bare() {
            codec.decode_message(descriptor, function.request, bytes, &mut json)
        } else if self.takes_several() {
            codec.decode_arguments(descriptor, function, bytes, &mut json)
        } else {
            codec.decode_request(descriptor, function, bytes, &mut json)
        };
        decoded.map(|()| String::from_utf8_lossy(&json).into_owned()).map_err(|error| error.to_string())
    }

    pub(crate) fn example(&self) -> String {
        let arguments = self.descriptor.structure(self.function.arguments);
        let mut text = String::new();
        match &*arguments.fields {
            [only] if !self.takes_several() => example(self.descriptor, only.ty, &mut Vec::new(), &mut text),
            _ => example_of(self.descriptor, self.function.arguments, &mut Vec::new(), &mut text),
        }
        text
    }
}

fn service_text(descriptor: &Descriptor) -> String {
    let mut text = format!("service {} {{\n", descriptor.name());
    for function in descriptor.functions() {
        let _infallible = writeln!(text, "    {}", function_text(descriptor, function));
    }
    text.push_str("}\n");
    text
}

fn function_text(descriptor: &Descriptor, function: &Function) -> String {
    let fields = |id, skip_result: bool| {
        let fields = descriptor.structure(id).fields.iter().filter(|field| !(skip_result && field.id == 0));
        fields
            .map(|field| format!("{}: {} {}", field.id, type_name(descriptor, field.ty), field.name))
            .collect::<Vec<_>>()
    };
    let oneway = if function.oneway { "oneway " } else { "" };
    let result = type_name(descriptor, function.response);
    let arguments = fields(function.arguments, false).join(", ");
    let throws = fields(function.result, true);
    let throws = if throws.is_empty() { String::new() } else { format!(" throws ({})", throws.join(", ")) };
    let streaming = match function.streaming {
        Streaming::None => "",
        Streaming::Unary => " (streaming.mode=\"unary\")",
        Streaming::Client => " (streaming.mode=\"client\")",
        Streaming::Server => " (streaming.mode=\"server\")",
        _ => " (streaming.mode=\"bidirectional\")",
    };
    format!("{oneway}{result} {}({arguments}){throws}{streaming}", function.name)
}

fn type_text(descriptor: &Descriptor, name: &str) -> Option<String> {
    let is_it = |full: &str| full == name || full.rsplit('.').next() == Some(name);
    let named = |(_, found): &(StructId, &Struct)| {
        is_it(&found.name) && !matches!(found.kind, StructKind::Arguments | StructKind::Result)
    };
    if let Some((_, found)) = descriptor.structs().find(named) {
        return Some(struct_text(descriptor, found));
    }
    // Enums are found by the fields that have them.
    let mut enums = descriptor
        .structs()
        .flat_map(|(_, found)| found.fields.iter())
        .flat_map(|field| enums_of(descriptor, field.ty));
    let found = enums.find(|id| is_it(&descriptor.enumeration(*id).name)).map(|id| descriptor.enumeration(id))?;
    let mut text = format!("enum {} {{\n", found.name);
    for (name, value) in &found.values {
        let _infallible = writeln!(text, "    {name} = {value}");
    }
    text.push_str("}\n");
    Some(text)
}

fn struct_text(descriptor: &Descriptor, found: &Struct) -> String {
    let kind = match found.kind {
        StructKind::Union => "union",
        StructKind::Exception => "exception",
        _ => "struct",
    };
    let mut text = format!("{kind} {} {{\n", found.name);
    for Field { id, name, requiredness, ty, default, .. } in found.fields.iter() {
        let requiredness = match requiredness {
            Requiredness::Required => "required ",
            Requiredness::Optional => "optional ",
            Requiredness::Default => "",
        };
        let default = default.as_ref().map_or_else(String::new, |default| format!(" = {}", value_text(default)));
        let _infallible = writeln!(text, "    {id}: {requiredness}{} {name}{default}", type_name(descriptor, *ty));
    }
    text.push_str("}\n");
    text
}

/// A default, as the IDL writes it; what is made of several values is only hinted at.
fn value_text(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I8(value) => value.to_string(),
        Value::I16(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::Double(value) => format!("{value:?}"),
        Value::String(value) => quote(value),
        Value::List(elements) if elements.is_empty() => "[]".to_owned(),
        Value::Map(pairs) if pairs.is_empty() => "{}".to_owned(),
        Value::List(_) => "[…]".to_owned(),
        _ => "{…}".to_owned(),
    }
}

/// A type as the IDL writes it.
fn type_name(descriptor: &Descriptor, ty: Type) -> String {
    match ty {
        Type::Enum(id) => descriptor.enumeration(id).name.to_string(),
        Type::Struct(id) => descriptor.structure(id).name.to_string(),
        Type::List(element) => format!("list<{}>", type_name(descriptor, descriptor.ty(element))),
        Type::Set(element) => format!("set<{}>", type_name(descriptor, descriptor.ty(element))),
        Type::Map(key, value) => {
            let (key, value) = (descriptor.ty(key), descriptor.ty(value));
            format!("map<{}, {}>", type_name(descriptor, key), type_name(descriptor, value))
        }
        ty => ty.name().to_owned(),
    }
}

/// The structs that a method's arguments and results reach, each once, in the order of their first mention.
fn reached(descriptor: &Descriptor, function: &Function) -> Vec<StructId> {
    let mut found = Vec::new();
    let mut todo = vec![function.result, function.arguments];
    while let Some(id) = todo.pop() {
        if found.contains(&id) {
            continue;
        }
        let fields = &descriptor.structure(id).fields;
        for inner in fields.iter().rev().flat_map(|field| structs_of(descriptor, field.ty)) {
            todo.push(inner);
        }
        if id != function.arguments && id != function.result {
            found.push(id);
        }
    }
    found
}

fn structs_of(descriptor: &Descriptor, ty: Type) -> Vec<StructId> {
    match ty {
        Type::Struct(id) => vec![id],
        Type::List(element) | Type::Set(element) => structs_of(descriptor, descriptor.ty(element)),
        Type::Map(key, value) => {
            [structs_of(descriptor, descriptor.ty(key)), structs_of(descriptor, descriptor.ty(value))].concat()
        }
        _ => Vec::new(),
    }
}

fn enums_of(descriptor: &Descriptor, ty: Type) -> Vec<thrift_generic::descriptor::EnumId> {
    match ty {
        Type::Enum(id) => vec![id],
        Type::List(element) | Type::Set(element) => enums_of(descriptor, descriptor.ty(element)),
        Type::Map(key, value) => {
            [enums_of(descriptor, descriptor.ty(key)), enums_of(descriptor, descriptor.ty(value))].concat()
        }
        _ => Vec::new(),
    }
}

/// Appends JSON for a value of this type. A struct inside itself ends the example.
fn example(descriptor: &Descriptor, ty: Type, inside: &mut Vec<StructId>, text: &mut String) {
    match ty {
        Type::Void => text.push_str("null"),
        Type::Bool => text.push_str("false"),
        Type::Byte | Type::I16 | Type::I32 | Type::I64 => text.push('0'),
        Type::Double => text.push_str("0.5"),
        Type::String => text.push_str("\"text\""),
        // "bytes"
        Type::Binary => text.push_str("\"Ynl0ZXM=\""),
        Type::Enum(id) => {
            let first = descriptor.enumeration(id).values.first().map_or(0, |(_, value)| *value);
            let _infallible = write!(text, "{first}");
        }
        Type::Struct(id) => example_of(descriptor, id, inside, text),
        Type::List(element) | Type::Set(element) => {
            text.push('[');
            if !structs_of(descriptor, ty).iter().any(|id| inside.contains(id)) {
                example(descriptor, descriptor.ty(element), inside, text);
            }
            text.push(']');
        }
        Type::Map(key, value) => {
            text.push('{');
            if !structs_of(descriptor, ty).iter().any(|id| inside.contains(id)) {
                let mut name = String::new();
                example(descriptor, descriptor.ty(key), inside, &mut name);
                // A key is text, whatever its type.
                text.push_str(&if name.starts_with('"') { name } else { quote(&name) });
                text.push(':');
                example(descriptor, descriptor.ty(value), inside, text);
            }
            text.push('}');
        }
        _ => text.push_str("null"),
    }
}

fn example_of(descriptor: &Descriptor, id: StructId, inside: &mut Vec<StructId>, text: &mut String) {
    let found = descriptor.structure(id);
    if inside.len() > MAX_LEVELS {
        return text.push_str("{}");
    }
    inside.push(id);
    text.push('{');
    let fields =
        found.fields.iter().filter(|field| !structs_of(descriptor, field.ty).iter().any(|id| inside.contains(id)));
    // One field of a union, and what a framework fills in by itself is nobody's to say.
    let fields: Vec<&Field> = fields
        .filter(|field| field.base.is_none())
        .take(if found.kind == StructKind::Union { 1 } else { usize::MAX })
        .collect();
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&quote(&field.key));
        text.push(':');
        if field.js_conv {
            text.push_str("\"0\"");
        } else {
            example(descriptor, field.ty, inside, text);
        }
        if text.len() > MAX_EXAMPLE {
            break;
        }
    }
    text.push('}');
    inside.pop();
}

/// An example longer than this helps nobody, in bytes.
const MAX_EXAMPLE: usize = 64 << 10;
/// Structs inside structs of an example.
const MAX_LEVELS: usize = 16;
