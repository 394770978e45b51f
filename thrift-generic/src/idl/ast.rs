//! A file, parsed: names are still text.

use crate::descriptor::{Annotations, Requiredness, StructKind};

/// A byte offset within the file.
pub(crate) type Offset = usize;

/// A name, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: Box<str>,
    pub(crate) at: Offset,
}

/// A file.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// Paths as written; repeated ones once.
    pub(crate) includes: Vec<Name>,
    pub(crate) definitions: Vec<Definition>,
}

#[derive(Debug)]
pub(crate) enum Definition {
    Const(Const),
    Typedef(Typedef),
    Enum(Enum),
    Struct(Struct),
    Service(Service),
}

#[derive(Debug)]
pub(crate) struct Const {
    pub(crate) name: Name,
    pub(crate) ty: Type,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) struct Typedef {
    pub(crate) name: Name,
    pub(crate) ty: Type,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: Name,
    pub(crate) values: Vec<(Box<str>, i64)>,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: Name,
    pub(crate) kind: StructKind,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) id: i16,
    pub(crate) name: Name,
    pub(crate) requiredness: Requiredness,
    pub(crate) ty: Type,
    pub(crate) default: Option<Value>,
    pub(crate) annotations: Annotations,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: Name,
    pub(crate) extends: Option<Name>,
    pub(crate) functions: Vec<Function>,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Name,
    pub(crate) oneway: bool,
    /// None for void.
    pub(crate) result: Option<Type>,
    pub(crate) arguments: Vec<Field>,
    pub(crate) throws: Vec<Field>,
    pub(crate) annotations: Annotations,
}

#[derive(Debug)]
pub(crate) enum Type {
    Base(crate::descriptor::Type),
    Named(Name),
    List(Box<Self>),
    Set(Box<Self>),
    Map(Box<(Self, Self)>),
}

/// A constant, and where it stands.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) kind: ValueKind,
    pub(crate) at: Offset,
}

#[derive(Debug)]
pub(crate) enum ValueKind {
    Int(i64),
    Double(f64),
    Literal(Box<str>),
    Name(Box<str>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}
