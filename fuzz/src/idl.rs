use std::collections::HashMap;

use thrift_generic::descriptor::{Builder, Descriptor, ParseMode, Type};
use thrift_generic::idl::{Idl, IdlError};
use thrift_generic::json::JsonCodec;
use thrift_generic::{MAX_IDL_DEPTH, Options, Profile, Value};

/// [`Idl`] and [`Builder`]: files apart by NUL bytes, the first one the main one, the others `a.thrift`, `b.thrift` and
/// so on. A comment in front changes nothing but lines; errors are within the text; a descriptor's tables agree with
/// each other, its types are not too deep, and its defaults are of their fields' types and can be written.
pub fn thrift_idl(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut files = text.split('\0');
    let main = files.next().unwrap_or_default();
    let includes: HashMap<String, String> =
        ('a'..='z').zip(files).map(|(name, text)| (format!("{name}.thrift"), text.to_owned())).collect();
    let read = Idl::from_content(main, &includes);
    if !main.is_empty() {
        let below = Idl::from_content(&format!("# in front\r\n{main}"), &includes);
        assert_eq!(told(read.as_ref().err(), 1), told(below.as_ref().err(), 0));
    }
    let idl = match read {
        Ok(idl) => idl,
        Err(error) => return check_error(&error, main, &includes),
    };
    for profile in [Profile::Default, Profile::Dynamic] {
        let builder = Builder::new().mode(ParseMode::Combine).profile(profile).allow_no_arguments(true);
        match builder.build(&idl) {
            Ok(descriptor) => check(&descriptor),
            Err(error) => check_error(&error, main, &includes),
        }
    }
}

/// What an error says, with the lines of the main file counted from further up.
fn told(error: Option<&IdlError>, shift: usize) -> Option<String> {
    let error = error?;
    let main = error.file().is_some_and(|file| file.as_os_str() == "main.thrift");
    let line = error.line().map(|line| if main { line + shift } else { line });
    Some(format!("{:?} {:?} {line:?} {:?}", error.kind(), error.file(), error.column()))
}

fn check_error(error: &IdlError, main: &str, includes: &HashMap<String, String>) {
    assert!(!error.to_string().is_empty());
    let Some(file) = error.file().and_then(|file| file.to_str()) else { return };
    let text = if file == "main.thrift" { main } else { &includes[file] };
    let line = error.line().expect("a file and no line").checked_sub(1).expect("lines are counted from 1");
    let line = text.split('\n').nth(line).expect("no such line");
    assert!((1..=line.chars().count() + 1).contains(&error.column().expect("a line and no column")));
}

fn check(d: &Descriptor) {
    for (number, function) in d.functions().iter().enumerate() {
        let found = d.function(&function.name).expect("a function is not found");
        assert!(std::ptr::eq(found, &d.functions()[number]));
        let arguments = &d.structure(function.arguments).fields;
        assert_eq!(arguments.first().map_or(Type::Void, |field| field.ty), function.request);
        assert_eq!(
            d.structure(function.result).fields.by_id(0).map_or(Type::Void, |field| field.ty),
            function.response
        );
        let mut thrift = Vec::new();
        let mut options = Options::json(d.profile());
        options.write_optional = true;
        let codec = JsonCodec::new(options);
        // Nothing at all makes a request of some methods, and what it makes may lack required fields further down.
        if codec.encode_arguments(d, function, b"{}", None, &mut thrift).is_ok() {
            _ = codec.decode_request(d, function, &thrift, &mut Vec::new());
        }
    }
    for (_, structure) in d.structs() {
        for (at, field) in structure.fields.iter().enumerate() {
            let found = structure.fields.index_of_id(field.id).expect("a field is not found by its id");
            assert_eq!(found, at, "ids are unique");
            let found = structure.fields.by_key(&field.key).expect("a field is not found by its name");
            assert_eq!(found.key, field.key);
            assert!(depth(d, field.ty) <= MAX_IDL_DEPTH);
            if let Some(default) = &field.default {
                assert!(fits(d, field.ty, default), "{default:?} is no {:?}", field.ty);
            }
        }
    }
}

fn depth(d: &Descriptor, ty: Type) -> usize {
    match ty {
        Type::List(element) | Type::Set(element) => 1 + depth(d, d.ty(element)),
        Type::Map(key, value) => 1 + depth(d, d.ty(key)).max(depth(d, d.ty(value))),
        _ => 0,
    }
}

fn fits(d: &Descriptor, ty: Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::Bool, Value::Bool(_))
        | (Type::Byte, Value::I8(_))
        | (Type::I16, Value::I16(_))
        | (Type::I32 | Type::Enum(_), Value::I32(_))
        | (Type::I64, Value::I64(_))
        | (Type::Double, Value::Double(_))
        | (Type::String, Value::String(_))
        | (Type::Binary, Value::Bytes(_)) => true,
        (Type::List(element) | Type::Set(element), Value::List(values)) => {
            values.iter().all(|value| fits(d, d.ty(element), value))
        }
        (Type::Map(key, value), Value::Map(pairs)) => {
            pairs.iter().all(|(k, v)| fits(d, d.ty(key), k) && fits(d, d.ty(value), v))
        }
        (Type::Struct(id), Value::Struct(members)) => members
            .iter()
            .all(|(name, value)| d.structure(id).fields.by_key(name).is_some_and(|field| fits(d, field.ty, value))),
        _ => false,
    }
}
