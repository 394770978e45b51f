use crate::descriptor::Type;
use crate::error::{Error, ErrorKind};
use crate::value::Value;

impl Value {
    /// What it is, in the IDL's words: `i64`, `string`, `list`. For messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::I8(_) => "i8",
            Self::I16(_) => "i16",
            Self::I32(_) => "i32",
            Self::I64(_) => "i64",
            Self::Double(_) => "double",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Bytes(_) => "binary",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Struct(_) => "struct",
            Self::Void => "void",
        }
    }

    /// What it is, in Kitex's words: `I64`, `STRING`, `LIST`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "BOOL",
            Self::I8(_) => "BYTE",
            Self::I16(_) => "I16",
            Self::I32(_) => "I32",
            Self::I64(_) => "I64",
            Self::Double(_) => "DOUBLE",
            Self::Number(_) => "NUMBER",
            Self::String(_) => "STRING",
            Self::Bytes(_) => "BYTES",
            Self::List(_) => "LIST",
            Self::Map(_) => "MAP",
            Self::Struct(_) => "STRUCT",
            Self::Void => "VOID",
        }
    }
}

/// A type, in Kitex's words.
pub(crate) fn kind(ty: Type) -> &'static str {
    match ty {
        Type::Void => "VOID",
        Type::Bool => "BOOL",
        Type::Byte => "BYTE",
        Type::I16 => "I16",
        Type::I32 | Type::Enum(_) => "I32",
        Type::I64 => "I64",
        Type::Double => "DOUBLE",
        Type::String | Type::Binary => "STRING",
        Type::Struct(_) => "STRUCT",
        Type::List(_) => "LIST",
        Type::Set(_) => "SET",
        Type::Map(..) => "MAP",
    }
}

/// The value is none that is written as this type.
#[cold]
pub(crate) fn mismatch(ty: Type, value: &Value) -> Error {
    Error::new(ErrorKind::Mismatch { need: kind(ty), got: value.kind() })
}
