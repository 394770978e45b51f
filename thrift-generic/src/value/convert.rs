//! Between [`Value`] and Rust's own types.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::path::Step;
use crate::value::Value;
use crate::value::text::label;

/// Views: `None` where the value is something else.
impl Value {
    /// A bool.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// An integer of any width.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            Self::Number(ref text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A double.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Double(value) => Some(*value),
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Text, also where it came as bytes.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Bytes, also where they came as text.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(text) => Some(text.as_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The elements of a list or set.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The pairs of a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The members of a struct.
    #[must_use]
    pub fn as_struct(&self) -> Option<&[(Box<str>, Self)]> {
        match self {
            Self::Struct(members) => Some(members),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    bool => Bool,
    i8 => I8,
    i16 => I16,
    i32 => I32,
    i64 => I64,
    f64 => Double,
    &str => String,
    String => String,
    Bytes => Bytes,
    Vec<u8> => Bytes,
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Void
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Self::list(elements)
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Value {
    fn from(elements: [T; N]) -> Self {
        Self::list(elements)
    }
}

impl<K: Into<Self>, V: Into<Self>, S> From<HashMap<K, V, S>> for Value {
    fn from(map: HashMap<K, V, S>) -> Self {
        Self::map(map)
    }
}

impl<K: Into<Self>, V: Into<Self>> From<BTreeMap<K, V>> for Value {
    fn from(map: BTreeMap<K, V>) -> Self {
        Self::map(map)
    }
}

impl TryFrom<&Value> for bool {
    type Error = Error;

    fn try_from(value: &Value) -> Result<Self, Error> {
        value.as_bool().ok_or_else(|| Error::expected("bool", value.type_name()))
    }
}

impl TryFrom<&Value> for i64 {
    type Error = Error;

    /// From an integer of any width.
    fn try_from(value: &Value) -> Result<Self, Error> {
        value.as_i64().ok_or_else(|| Error::expected("i64", value.type_name()))
    }
}

macro_rules! narrow {
    ($($ty:ident),*) => {$(
        impl TryFrom<&Value> for $ty {
            type Error = Error;

            /// From an integer of any width, as long as it fits.
            fn try_from(value: &Value) -> Result<Self, Error> {
                let wide = value.as_i64().ok_or_else(|| Error::expected(stringify!($ty), value.type_name()))?;
                Self::try_from(wide)
                    .map_err(|_| Error::new(ErrorKind::Range { ty: stringify!($ty), value: wide }))
            }
        }
    )*};
}

narrow!(i8, i16, i32);

impl TryFrom<&Value> for f64 {
    type Error = Error;

    fn try_from(value: &Value) -> Result<Self, Error> {
        value.as_f64().ok_or_else(|| Error::expected("double", value.type_name()))
    }
}

impl<'a> TryFrom<&'a Value> for &'a str {
    type Error = Error;

    fn try_from(value: &'a Value) -> Result<Self, Error> {
        value.as_str().ok_or_else(|| Error::expected("string", value.type_name()))
    }
}

impl TryFrom<&Value> for String {
    type Error = Error;

    fn try_from(value: &Value) -> Result<Self, Error> {
        <&str>::try_from(value).map(Self::from)
    }
}

impl<'a> TryFrom<&'a Value> for &'a [u8] {
    type Error = Error;

    fn try_from(value: &'a Value) -> Result<Self, Error> {
        value.as_bytes().ok_or_else(|| Error::expected("binary", value.type_name()))
    }
}

impl TryFrom<&Value> for Bytes {
    type Error = Error;

    /// Without a copy where the value has bytes.
    fn try_from(value: &Value) -> Result<Self, Error> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.clone()),
            _ => <&[u8]>::try_from(value).map(Self::copy_from_slice),
        }
    }
}

impl<T: for<'a> TryFrom<&'a Value, Error = Error>> TryFrom<&Value> for Vec<T> {
    type Error = Error;

    fn try_from(value: &Value) -> Result<Self, Error> {
        let elements = value.as_list().ok_or_else(|| Error::expected("list", value.type_name()))?;
        let convert = |(index, element)| T::try_from(element).map_err(|error| error.inside(Step::Index(index)));
        elements.iter().enumerate().map(convert).collect()
    }
}

impl<K, V, S> TryFrom<&Value> for HashMap<K, V, S>
where
    K: for<'a> TryFrom<&'a Value, Error = Error> + Eq + Hash,
    V: for<'a> TryFrom<&'a Value, Error = Error>,
    S: BuildHasher + Default,
{
    type Error = Error;

    fn try_from(value: &Value) -> Result<Self, Error> {
        pairs(value)
    }
}

impl<K, V> TryFrom<&Value> for BTreeMap<K, V>
where
    K: for<'a> TryFrom<&'a Value, Error = Error> + Ord,
    V: for<'a> TryFrom<&'a Value, Error = Error>,
{
    type Error = Error;

    fn try_from(value: &Value) -> Result<Self, Error> {
        pairs(value)
    }
}

/// The pairs of a map, and those of a map that has text as keys and is a struct therefore.
fn pairs<K, V, M: FromIterator<(K, V)>>(value: &Value) -> Result<M, Error>
where
    K: for<'a> TryFrom<&'a Value, Error = Error>,
    V: for<'a> TryFrom<&'a Value, Error = Error>,
{
    let pair = |key: &Value, value: &Value| {
        let text = label(key);
        Ok((
            K::try_from(key).map_err(|error| error.inside(Step::Key(text.clone())))?,
            V::try_from(value).map_err(|error| error.inside(Step::Entry(text)))?,
        ))
    };
    match value {
        Value::Map(pairs) => pairs.iter().map(|(key, value)| pair(key, value)).collect(),
        Value::Struct(members) => members.iter().map(|(key, value)| pair(&Value::from(&**key), value)).collect(),
        _ => Err(Error::expected("map", value.type_name())),
    }
}

impl Value {
    /// The member of a struct with this name, as this type.
    ///
    /// ```
    /// use thrift_generic::Value;
    ///
    /// let order = Value::structure([("price", Value::from("ten"))]);
    /// assert_eq!(order.field::<i64>("price").unwrap_err().to_string(), "price: expected i64, got string");
    /// ```
    ///
    /// # Errors
    ///
    /// There is none, or it is of another type; the path says which.
    pub fn field<'a, T: TryFrom<&'a Self, Error = Error>>(&'a self, name: &str) -> Result<T, Error> {
        let inside = |error: Error| error.inside(Step::Field(name.into()));
        T::try_from(self.get(name).unwrap_or(&Self::Null)).map_err(inside)
    }

    /// The element of a list, counted from 0, as this type.
    ///
    /// # Errors
    ///
    /// As [`field`](Self::field).
    pub fn element<'a, T: TryFrom<&'a Self, Error = Error>>(&'a self, index: usize) -> Result<T, Error> {
        T::try_from(self.at(index).unwrap_or(&Self::Null)).map_err(|error| error.inside(Step::Index(index)))
    }
}

macro_rules! owned {
    ($($ty:ty),*) => {$(
        impl TryFrom<Value> for $ty {
            type Error = Error;

            fn try_from(value: Value) -> Result<Self, Error> {
                Self::try_from(&value)
            }
        }
    )*};
}

owned!(bool, i8, i16, i32, i64, f64, Bytes);

impl TryFrom<Value> for String {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self, Error> {
        match value {
            Value::String(text) => Ok(text),
            _ => Self::try_from(&value),
        }
    }
}
