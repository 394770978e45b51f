//! Fields with a value mapping of the user's own: by way of a [`Value`], which is what such mappings are about.

use super::read::Reader;
use super::scan::Kind;
use super::write::Writer;
use crate::descriptor::Field;
use crate::error::Error;
use crate::options::Options;
use crate::value::Value;
use crate::value::read::ValueReader;
use crate::value::text::key_to_text;
use crate::value::write::ValueWriter;

/// Writes the field with the value that comes next, header and all; nothing if its mapping makes nothing of that.
#[inline(never)]
pub(super) fn write(writer: &mut Writer<'_, '_>, field: &Field, depth: usize) -> Result<(), Error> {
    let Some(mapping) = &field.value_mapping else { return Ok(()) };
    let offset = writer.scan.offset();
    let value = parse(writer, depth)?;
    let value = mapping.request(value, field).map_err(|error| error.at(offset))?;
    if value.is_null() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    let written = ValueWriter::new(writer.d, writer.options, &mut bytes).value(field.ty, &value, field.js_conv);
    written.map_err(|error| error.at(offset))?;
    let [high, low] = field.id.to_be_bytes();
    writer.out.put(&[field.ty.ttype().0, high, low]);
    writer.out.put_slice(&bytes);
    Ok(())
}

/// Shows the value of the field that comes next.
#[inline(never)]
pub(super) fn read(reader: &mut Reader<'_, '_>, field: &Field) -> Result<(), Error> {
    let offset = reader.offset();
    let ttype = field.ty.ttype();
    let from = reader.rest;
    reader.skip(ttype, reader.options.max_depth)?;
    let bytes = from.get(..from.len().wrapping_sub(reader.rest.len())).unwrap_or_default();
    let options = Options { map_keys_as_text: true, binary_as_bytes: false, ..reader.options.clone() };
    let value = ValueReader::new(reader.d, &options, bytes).field(field, ttype, false);
    show(reader, &value.map_err(|error| error.at(offset))?.unwrap_or(Value::Null));
    Ok(())
}

/// The value that comes next, numbers as text.
fn parse(writer: &mut Writer<'_, '_>, depth: usize) -> Result<Value, Error> {
    Ok(match writer.scan.kind()? {
        Kind::Null => writer.scan.word(b"null").map(|()| Value::Null)?,
        Kind::Bool => Value::Bool(writer.scan.boolean()?),
        Kind::Number => {
            let number = writer.scan.number()?;
            Value::Number(String::from_utf8_lossy(number.text).into())
        }
        Kind::String => match String::from_utf8(writer.unescaped()?) {
            Ok(text) => Value::String(text),
            Err(error) => Value::Bytes(error.into_bytes().into()),
        },
        Kind::List => {
            let depth = writer.scan.deeper(depth, writer.options.max_depth)?;
            let mut values = Vec::new();
            writer.elements(|writer| {
                values.push(parse(writer, depth)?);
                Ok(())
            })?;
            Value::List(values)
        }
        Kind::Object => {
            let mut members = Vec::new();
            writer.members(depth, |writer, key, depth| {
                let name = String::from_utf8_lossy(key).into();
                members.push((name, parse(writer, depth)?));
                Ok(())
            })?;
            Value::Struct(members)
        }
    })
}

/// Any value as JSON.
fn show(reader: &mut Reader<'_, '_>, value: &Value) {
    let mut separator = b'[';
    match value {
        Value::Null | Value::Void => reader.out.put(b"null"),
        Value::Bool(true) => reader.out.put(b"true"),
        Value::Bool(false) => reader.out.put(b"false"),
        Value::I8(number) => reader.out.put_slice(number.to_string().as_bytes()),
        Value::I16(number) => reader.out.put_slice(number.to_string().as_bytes()),
        Value::I32(number) => reader.out.put_slice(number.to_string().as_bytes()),
        Value::I64(number) => reader.out.put_slice(number.to_string().as_bytes()),
        Value::Double(number) => reader.plain_double(*number),
        Value::Number(text) => reader.out.put_slice(text.as_bytes()),
        Value::String(text) => reader.quoted(text.as_bytes()),
        Value::Bytes(bytes) => reader.quoted(bytes),
        Value::List(values) => {
            for value in values {
                reader.out.put(&[separator]);
                show(reader, value);
                separator = b',';
            }
            if values.is_empty() {
                reader.out.put(b"[");
            }
            reader.out.put(b"]");
        }
        Value::Struct(members) => {
            reader.out.put(b"{");
            for (at, (name, value)) in members.iter().enumerate() {
                show_member(reader, at, name, value);
            }
            reader.out.put(b"}");
        }
        Value::Map(pairs) => {
            reader.out.put(b"{");
            for (at, (key, value)) in pairs.iter().enumerate() {
                let name = key_to_text(key.clone()).unwrap_or_default();
                show_member(reader, at, &name, value);
            }
            reader.out.put(b"}");
        }
    }
}

fn show_member(reader: &mut Reader<'_, '_>, at: usize, name: &str, value: &Value) {
    if at > 0 {
        reader.out.put(b",");
    }
    reader.quoted(name.as_bytes());
    reader.out.put(b":");
    show(reader, value);
}
