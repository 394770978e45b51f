//! Thrift structs by hand.

use bytes::BytesMut;
use thrift_codec::TType;
use thrift_codec::binary::{FieldHeader, Writer};

/// A struct in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Struct(BytesMut);

impl Struct {
    fn field(mut self, id: i16, ttype: TType, value: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut writer = Writer::new(&mut self.0);
        writer.field_header(FieldHeader { ttype, id });
        value(&mut writer);
        self
    }

    pub(crate) fn text(self, id: i16, value: &str) -> Self {
        self.field(id, TType::STRING, |writer| writer.bytes(value.as_bytes()).unwrap())
    }

    pub(crate) fn i32(self, id: i16, value: i32) -> Self {
        self.field(id, TType::I32, |writer| writer.i32(value))
    }

    pub(crate) fn i64(self, id: i16, value: i64) -> Self {
        self.field(id, TType::I64, |writer| writer.i64(value))
    }

    /// A struct in this one.
    pub(crate) fn inner(mut self, id: i16, inner: Self) -> Self {
        self = self.field(id, TType::STRUCT, |_| {});
        self.0.extend_from_slice(&inner.bytes());
        self
    }

    /// A list of texts.
    pub(crate) fn texts(mut self, id: i16, texts: &[&str]) -> Self {
        self = self.field(id, TType::LIST, |_| {});
        self.0.extend_from_slice(&[TType::STRING.0]);
        self.0.extend_from_slice(&i32::try_from(texts.len()).unwrap().to_be_bytes());
        for text in texts {
            self.0.extend_from_slice(&i32::try_from(text.len()).unwrap().to_be_bytes());
            self.0.extend_from_slice(text.as_bytes());
        }
        self
    }

    /// The struct, its end with it.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0]);
        self.0.to_vec()
    }
}

/// The only argument, or the result (id 0), that is a struct with this text in field 1.
pub(crate) fn msg(id: i16, text: &str) -> Vec<u8> {
    Struct::default().inner(id, Struct::default().text(1, text)).bytes()
}
