//! A service of an IDL, resolved once: names bound, typedefs gone, defaults worked out (generic-call 2).

mod annotation;
mod constant;
mod effect;
mod fields;
mod plan;
mod resolve;
mod tag;

use std::collections::HashMap;
use std::sync::Arc;

use thrift_codec::TType;

pub use annotation::{
    Annotation, Annotations, FieldMapping, Handler, HttpMapping, Mapped, Registry, RouteMapping, Source, ValueMapping,
};
pub use fields::FieldSet;
pub(crate) use plan::{KeyText, Plan, RankSets, Slot};
pub use resolve::{BuildError, Builder, ParseMode};

use crate::error::{Error, ErrorKind};
use crate::idl::Idl;
use crate::options::Profile;
use crate::value::Value;

/// One service as callers see it: its methods, and every type that they reach.
///
/// Immutable, `Send + Sync`, and shared by `Arc`: a call pins one for as long as it runs.
#[derive(Debug)]
pub struct Descriptor {
    pub(crate) name: Box<str>,
    pub(crate) combined: bool,
    pub(crate) profile: Profile,
    pub(crate) functions: Vec<Function>,
    pub(crate) functions_by_name: HashMap<Box<str>, usize>,
    pub(crate) types: Vec<Type>,
    pub(crate) structs: Vec<Struct>,
    pub(crate) enums: Vec<Enum>,
}

/// A method.
#[derive(Debug)]
#[non_exhaustive]
pub struct Function {
    /// Its name.
    pub name: Box<str>,
    /// The service that declares it: an ancestor's name where it is inherited.
    pub service: Box<str>,
    /// Whether no reply is expected.
    pub oneway: bool,
    /// The struct of all arguments, in declaration order; the first is what Kitex's generic calls know.
    pub arguments: StructId,
    /// The struct of the result: field 0 with an empty name unless void, then every entry of `throws`.
    pub result: StructId,
    /// The type of the first argument: what a streaming call sends bare. [`Type::Void`] without arguments.
    pub request: Type,
    /// The type of the result: what a streaming call receives bare. [`Type::Void`] for void.
    pub response: Type,
    /// How it streams.
    pub streaming: Streaming,
    /// Whether the first argument is a struct with a field written as `base.Base`: what a framework fills in
    /// (generic-call 2). It is false where the argument's type is the name of a typedef.
    pub has_base: bool,
    /// Its annotations.
    pub annotations: Annotations,
    /// Its HTTP routes, in the order of their annotations.
    pub routes: Vec<Route>,
}

/// An HTTP route of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The HTTP method, in capitals; `*` for any.
    pub method: Box<str>,
    /// The path, with `:name` and `*name` as placeholders.
    pub path: Box<str>,
}

impl Route {
    /// A route.
    #[must_use]
    pub fn new(method: impl Into<Box<str>>, path: impl Into<Box<str>>) -> Self {
        Self { method: method.into(), path: path.into() }
    }
}

/// How a method streams: the annotation `streaming.mode` (generic-call 1.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Streaming {
    /// A ping-pong method.
    #[default]
    None,
    /// One message each way on a stream, wrapped like a ping-pong call.
    Unary,
    /// Many requests, one response, all bare.
    Client,
    /// One request, many responses, all bare.
    Server,
    /// Many each way, all bare.
    Bidirectional,
}

impl Streaming {
    /// Whether messages are bare structs, without those of arguments and results around them.
    #[must_use]
    pub fn is_bare(self) -> bool {
        matches!(self, Self::Client | Self::Server | Self::Bidirectional)
    }
}

/// A type. Small and `Copy`: what it contains is looked up in its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// No value: the result of a void method.
    Void,
    /// `bool`.
    Bool,
    /// `byte` and `i8`.
    Byte,
    /// `i16`.
    I16,
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `double`.
    Double,
    /// `string`.
    String,
    /// `binary`.
    Binary,
    /// An enum, an i32 on the wire.
    Enum(EnumId),
    /// A struct, union or exception.
    Struct(StructId),
    /// `list`, with the type of its elements.
    List(TypeId),
    /// `set`, with the type of its elements.
    Set(TypeId),
    /// `map`, with the types of its keys and values.
    Map(TypeId, TypeId),
}

impl StructKind {
    /// Its name for messages: the IDL's keyword.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Struct | Self::Arguments | Self::Result => "struct",
            Self::Union => "union",
            Self::Exception => "exception",
        }
    }
}

impl Type {
    /// Its id on the wire.
    #[must_use]
    pub fn ttype(self) -> TType {
        match self {
            Self::Void => TType::VOID,
            Self::Bool => TType::BOOL,
            Self::Byte => TType::I8,
            Self::I16 => TType::I16,
            Self::I32 | Self::Enum(_) => TType::I32,
            Self::I64 => TType::I64,
            Self::Double => TType::DOUBLE,
            Self::String | Self::Binary => TType::STRING,
            Self::Struct(_) => TType::STRUCT,
            Self::Map(..) => TType::MAP,
            Self::Set(_) => TType::SET,
            Self::List(_) => TType::LIST,
        }
    }

    /// Its name for messages: the IDL's keyword, or `enum`, `struct`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Bool => "bool",
            Self::Byte => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Double => "double",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Enum(_) => "enum",
            Self::Struct(_) => "struct",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Map(..) => "map",
        }
    }
}

/// An element or key type within its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub(crate) u32);

/// A struct within its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StructId(pub(crate) u32);

/// An enum within its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnumId(pub(crate) u32);

/// An enum: names and numbers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Enum {
    /// Its name, with the prefix of its file where that is not the main one.
    pub name: Box<str>,
    /// In declaration order.
    pub values: Vec<(Box<str>, i32)>,
}

/// A struct, union or exception.
#[derive(Debug)]
#[non_exhaustive]
pub struct Struct {
    /// Its name, with the prefix of its file where that is not the main one.
    pub name: Box<str>,
    /// What it was declared as.
    pub kind: StructKind,
    /// Its fields, in declaration order, with the tables that find them.
    pub fields: FieldSet,
}

/// What a struct was declared as; on the wire they are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StructKind {
    /// `struct`.
    Struct,
    /// `union`: all fields are optional.
    Union,
    /// `exception`.
    Exception,
    /// The arguments of a method.
    Arguments,
    /// The result of a method: all fields are optional.
    Result,
}

/// A field.
#[derive(Debug)]
#[non_exhaustive]
pub struct Field {
    /// Its id.
    pub id: i16,
    /// Its name in the IDL.
    pub name: Box<str>,
    /// Its effective name: the alias if it has one, else `name`.
    pub key: Box<str>,
    /// Whether it must, should or may be there.
    pub requiredness: Requiredness,
    /// Its type.
    pub ty: Type,
    /// Its default, already of the field's type.
    pub default: Option<Value>,
    /// `api.js_conv`: a 64-bit integer travels as a JSON string (generic-call 3.7).
    pub js_conv: bool,
    /// Whether its type was written as `base.Base` or `base.BaseResp` (generic-call 2, 3.5).
    pub base: Option<BaseKind>,
    /// Where HTTP finds and puts it, in the order of its annotations; empty: the body, under `key`.
    pub http: Vec<Source>,
    /// A value mapping of the user's own.
    pub value_mapping: Option<Arc<dyn ValueMapping>>,
    /// `api.none`: in no response.
    pub hidden: bool,
    /// Its annotations.
    pub annotations: Annotations,
}

/// Which of the two well-known structs a field's type was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseKind {
    /// `base.Base`: what a framework may fill in.
    Base,
    /// `base.BaseResp`.
    BaseResp,
}

/// Whether a field must, should or may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the IDL has these three")]
pub enum Requiredness {
    /// `required`.
    Required,
    /// Neither word.
    Default,
    /// `optional`.
    Optional,
}

impl Descriptor {
    /// The last service of one file without includes: what [`Builder::default`] makes of [`Idl::from_text`].
    ///
    /// # Errors
    ///
    /// The text is no IDL, or has no service; or its defaults, annotations or routes can't be right.
    pub fn from_text(idl: &str) -> Result<Self, BuildError> {
        Builder::new().build(&Idl::from_text(idl)?)
    }

    /// The service's name, or `CombinedServices`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has the methods of several services of one file.
    #[must_use]
    pub fn is_combined(&self) -> bool {
        self.combined
    }

    /// Whose rules its annotations follow; those of the conversions should be the same.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The methods, ancestors' included, in declaration order.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The method of this name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions_by_name.get(name).and_then(|&at| self.functions.get(at))
    }

    /// The method of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownMethod`] where there is none.
    pub fn method(&self, name: &str) -> Result<&Function, Error> {
        self.function(name)
            .ok_or_else(|| Error::new(ErrorKind::UnknownMethod { service: self.name.clone(), method: name.into() }))
    }

    /// The type behind an id.
    #[must_use]
    pub fn ty(&self, id: TypeId) -> Type {
        self.types.get(index(id.0)).copied().unwrap_or(Type::Void)
    }

    /// The struct behind an id of this descriptor.
    ///
    /// # Panics
    ///
    /// The id is another descriptor's.
    #[expect(clippy::indexing_slicing, reason = "ids are made by a descriptor's builder alone")]
    #[must_use]
    pub fn structure(&self, id: StructId) -> &Struct {
        &self.structs[index(id.0)]
    }

    /// The enum behind an id of this descriptor.
    ///
    /// # Panics
    ///
    /// The id is another descriptor's.
    #[expect(clippy::indexing_slicing, reason = "ids are made by a descriptor's builder alone")]
    #[must_use]
    pub fn enumeration(&self, id: EnumId) -> &Enum {
        &self.enums[index(id.0)]
    }

    /// Every struct that some method reaches.
    pub fn structs(&self) -> impl Iterator<Item = (StructId, &Struct)> {
        (0u32..).map(StructId).zip(&self.structs)
    }
}

fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}
