//! What does an IDL offer? Prints the services of a file, and their methods with their types.
//!
//! ```text
//! cargo run -p thrift-generic --example describe -- [FILE [INCLUDE_DIR…]]
//! ```
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::env;
use std::error::Error;
use std::path::PathBuf;

use thrift_generic::descriptor::{Builder, Descriptor, Function, Type};
use thrift_generic::idl::Idl;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let fixture = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/biz.thrift"));
    let path = arguments.next().unwrap_or_else(fixture);
    let include_dirs: Vec<PathBuf> = arguments.collect();
    let idl = Idl::from_file(path, &include_dirs)?;
    for service in idl.services() {
        let descriptor = Builder::new().service(service).build(&idl)?;
        println!("service {}", descriptor.name());
        for function in descriptor.functions() {
            println!("    {}", signature(&descriptor, function));
            for route in &function.routes {
                println!("        {} {}", route.method, route.path);
            }
        }
    }
    Ok(())
}

fn signature(descriptor: &Descriptor, function: &Function) -> String {
    let arguments = descriptor.structure(function.arguments).fields.iter();
    let arguments: Vec<_> =
        arguments.map(|field| format!("{}: {} {}", field.id, type_name(descriptor, field.ty), field.name)).collect();
    let oneway = if function.oneway { "oneway " } else { "" };
    format!("{oneway}{} {}({})", type_name(descriptor, function.response), function.name, arguments.join(", "))
}

fn type_name(descriptor: &Descriptor, ty: Type) -> String {
    match ty {
        Type::Enum(id) => descriptor.enumeration(id).name.to_string(),
        Type::Struct(id) => descriptor.structure(id).name.to_string(),
        Type::List(element) => format!("list<{}>", type_name(descriptor, descriptor.ty(element))),
        Type::Set(element) => format!("set<{}>", type_name(descriptor, descriptor.ty(element))),
        Type::Map(key, value) => {
            let [key, value] = [key, value].map(|ty| type_name(descriptor, descriptor.ty(ty)));
            format!("map<{key}, {value}>")
        }
        ty => ty.name().to_owned(),
    }
}
