//! Thrift values without generated code: Kitex's Map generic (generic-call 4).

use bytes::Bytes;

/// A value of any Thrift type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value: a missing field, a null element.
    Null,
    /// `bool`.
    Bool(bool),
    /// `byte`, `i8`.
    I8(i8),
    /// `i16`.
    I16(i16),
    /// `i32`, enums.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `double`.
    Double(f64),
    /// A number as decimal text, as JSON carries it; accepted on write only.
    Number(Box<str>),
    /// `string`.
    String(String),
    /// `binary`, and strings that are no UTF-8.
    Bytes(Bytes),
    /// `list` and `set`.
    List(Vec<Value>),
    /// `map`: pairs in order, keys of any type.
    Map(Vec<(Value, Value)>),
    /// A struct: members by effective name, in order. Also accepted for a map with text as keys.
    Struct(Vec<(Box<str>, Value)>),
    /// The result of a void method.
    Void,
}
