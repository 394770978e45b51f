use thrift_codec::TType;
use thrift_codec::binary::Reader;

use crate::descriptor::{Descriptor, Type};
use crate::error::Error;
use crate::json::JsonCodec;
use crate::value::{MapCodec, Value};

/// A value where it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) ttype: TType,
    pub(crate) offset: usize,
    pub(crate) ty: Option<Type>,
}

impl<'a> Found<'a> {
    /// Its bytes, as on the wire: a text has its length in front.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its type on the wire.
    #[must_use]
    pub fn ttype(&self) -> TType {
        self.ttype
    }

    /// Its type, where the path knows it.
    #[must_use]
    pub fn ty(&self) -> Option<Type> {
        self.ty
    }

    /// Where it begins, in bytes from the first one of what was looked through.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// A bool.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        (self.ttype == TType::BOOL).then(|| self.bytes == [1])
    }

    /// An integer of any width, or an enum.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        integer(&mut Reader::new(self.bytes), self.ttype)
    }

    /// A double.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if self.ttype == TType::DOUBLE { Reader::new(self.bytes).double().ok() } else { None }
    }

    /// Text; none where the bytes are no UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        self.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The bytes of a text or binary.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        if self.ttype == TType::STRING { Reader::new(self.bytes).bytes().ok() } else { None }
    }

    /// How many elements or pairs a list, set or map has.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        match self.ttype {
            TType::LIST | TType::SET => Reader::new(self.bytes).list_header().ok().map(|header| header.count),
            TType::MAP => Reader::new(self.bytes).map_header().ok().map(|header| header.count),
            _ => None,
        }
    }

    /// All of it, decoded. `d` is the path's descriptor.
    ///
    /// # Errors
    ///
    /// As [`MapCodec::read`]; the path knows no types.
    pub fn value(&self, d: &Descriptor, codec: &MapCodec) -> Result<Value, Error> {
        codec.read(d, self.typed()?, self.bytes)
    }

    /// All of it as JSON text, appended to `out`. `d` is the path's descriptor.
    ///
    /// # Errors
    ///
    /// As [`JsonCodec::read`]; the path knows no types.
    pub fn json(&self, d: &Descriptor, codec: &JsonCodec, out: &mut Vec<u8>) -> Result<(), Error> {
        codec.read(d, self.typed()?, self.bytes, out)
    }

    fn typed(&self) -> Result<Type, Error> {
        self.ty.ok_or_else(|| Error::unsupported("a path without a descriptor knows no types"))
    }
}

/// An integer off the front.
pub(crate) fn integer(reader: &mut Reader<'_>, ttype: TType) -> Option<i64> {
    match ttype {
        TType::I8 => reader.i8().ok().map(i64::from),
        TType::I16 => reader.i16().ok().map(i64::from),
        TType::I32 => reader.i32().ok().map(i64::from),
        TType::I64 => reader.i64().ok(),
        _ => None,
    }
}
