//! How is one field read out of a struct that nobody has an IDL for?
//!
//! `cargo run -p thrift-codec --example skip_a_field`
#![allow(clippy::print_stdout, reason = "an example tells what it finds")]

use thrift_codec::{
    DecodeError, TType,
    binary::{FieldHeader, Reader},
};

/// The text in field `id` of `body`.
fn text(body: &[u8], id: i16) -> Result<Option<&[u8]>, DecodeError> {
    let mut reader = Reader::new(body);
    while let Some(header) = reader.field_header()? {
        if header == (FieldHeader { ttype: TType::STRING, id }) {
            return reader.bytes().map(Some);
        }
        reader.skip(header.ttype)?;
    }
    Ok(None)
}

fn main() -> Result<(), DecodeError> {
    let body = b"\x0f\0\x01\x0b\0\0\0\x02\0\0\0\x01a\0\0\0\x01b\x0b\0\x02\0\0\0\x05hello\0";
    for id in [2, 3] {
        println!("field {id}: {:?}", text(body, id)?.map(String::from_utf8_lossy));
    }
    Ok(())
}
