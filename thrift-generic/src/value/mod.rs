//! Thrift values without generated code: Kitex's Map generic (generic-call 4).

mod codec;
mod convert;
pub(crate) mod js_conv;
pub(crate) mod kind;
pub(crate) mod read;
pub(crate) mod text;
pub(crate) mod write;

use bytes::Bytes;

pub use codec::MapCodec;

/// A value of any Thrift type.
///
/// ```
/// use thrift_generic::Value;
///
/// let order = Value::structure([("id", Value::from(7_i64)), ("tags", Value::list(["new", "paid"]))]);
/// assert_eq!(order.get("id").and_then(Value::as_i64), Some(7));
/// assert_eq!(order.get("tags").and_then(|tags| tags.at(1)).and_then(Value::as_str), Some("paid"));
/// assert_eq!(i64::try_from(order.get("tags").unwrap()).unwrap_err().to_string(), "expected i64, got list");
/// ```
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
    List(Vec<Self>),
    /// `map`: pairs in order, keys of any type.
    Map(Vec<(Self, Self)>),
    /// A struct: members by effective name, in order. Also accepted for a map with text as keys.
    Struct(Vec<(Box<str>, Self)>),
    /// The result of a void method.
    Void,
}

impl Value {
    /// A list or set of these.
    pub fn list<T: Into<Self>>(elements: impl IntoIterator<Item = T>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }

    /// A map of these pairs.
    pub fn map<K: Into<Self>, V: Into<Self>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// A struct of these members.
    pub fn structure<K: Into<Box<str>>, V: Into<Self>>(members: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Struct(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Whether it is [`Value::Null`].
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The member of a struct with this name, or what a map has under this text; of several the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Struct(members) => members.iter().rev().find_map(|(key, value)| (**key == *name).then_some(value)),
            Self::Map(pairs) => {
                pairs.iter().rev().find_map(|(key, value)| (key.as_str() == Some(name)).then_some(value))
            }
            _ => None,
        }
    }

    /// As [`get`](Self::get), to be changed.
    #[must_use]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Struct(members) => {
                members.iter_mut().rev().find_map(|(key, value)| (**key == *name).then_some(value))
            }
            Self::Map(pairs) => {
                pairs.iter_mut().rev().find_map(|(key, value)| (key.as_str() == Some(name)).then_some(value))
            }
            _ => None,
        }
    }

    /// Gives the member of a struct, or what a map has under this text, a new value, and says what it was. A value that
    /// is neither becomes a struct.
    pub fn insert(&mut self, name: &str, value: impl Into<Self>) -> Option<Self> {
        if let Some(place) = self.get_mut(name) {
            return Some(std::mem::replace(place, value.into()));
        }
        match self {
            Self::Struct(members) => members.push((name.into(), value.into())),
            Self::Map(pairs) => pairs.push((Self::from(name), value.into())),
            _ => *self = Self::structure([(name, value.into())]),
        }
        None
    }

    /// Takes the member of a struct, or what a map has under this text, out of it; of several all, the last is given.
    pub fn remove(&mut self, name: &str) -> Option<Self> {
        let mut removed = None;
        match self {
            Self::Struct(members) => {
                removed = members.extract_if(.., |(key, _)| **key == *name).last().map(|(_, value)| value);
            }
            Self::Map(pairs) => {
                let found = pairs.extract_if(.., |(key, _)| key.as_str() == Some(name));
                removed = found.last().map(|(_, value)| value);
            }
            _ => {}
        }
        removed
    }

    /// The element of a list, counted from 0.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&Self> {
        self.as_list()?.get(index)
    }

    /// As [`at`](Self::at), to be changed.
    #[must_use]
    pub fn at_mut(&mut self, index: usize) -> Option<&mut Self> {
        match self {
            Self::List(elements) => elements.get_mut(index),
            _ => None,
        }
    }

    /// What a map has under this key; of several the last.
    #[must_use]
    pub fn entry(&self, key: &Self) -> Option<&Self> {
        self.as_map()?.iter().rev().find_map(|(k, value)| (k == key).then_some(value))
    }
}
