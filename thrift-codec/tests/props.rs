//! What holds for all messages, and for all bytes.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::BytesMut;
use proptest::{collection::vec, prelude::*};
use testkit::decode_in_reads;
use thrift_codec::{
    ApplicationException, BufferedCodec, DecodeError, ErrorProto, MessageHeader, MessageType, Skipper, TType, Version,
    binary::{FieldHeader, ListHeader, MapHeader, Reader, Writer},
    set_seqid,
};

/// A value of Thrift. Elements of a container are of one type, which `sample` stands for when there are none.
#[derive(Clone, Debug)]
enum Value {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    Double(f64),
    Text(Vec<u8>),
    Struct(Vec<(i16, Self)>),
    List(Box<Self>, usize),
    Set(Box<Self>, usize),
    Map(Box<(Self, Self)>, usize),
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::I8),
        any::<i16>().prop_map(Value::I16),
        any::<i32>().prop_map(Value::I32),
        any::<i64>().prop_map(Value::I64),
        any::<f64>().prop_map(Value::Double),
        vec(any::<u8>(), 0..20).prop_map(Value::Text),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        let element = inner.clone().prop_map(Box::new);
        let pair = (inner.clone(), inner.clone()).prop_map(Box::new);
        prop_oneof![
            vec((any::<i16>(), inner), 0..5).prop_map(Value::Struct),
            (element.clone(), 0..4_usize).prop_map(|(element, count)| Value::List(element, count)),
            (element, 0..4_usize).prop_map(|(element, count)| Value::Set(element, count)),
            (pair, 0..4_usize).prop_map(|(pair, count)| Value::Map(pair, count)),
        ]
    })
}

fn structs() -> impl Strategy<Value = Value> {
    vec((any::<i16>(), values()), 0..6).prop_map(Value::Struct)
}

fn ttype(value: &Value) -> TType {
    match value {
        Value::Bool(_) => TType::BOOL,
        Value::I8(_) => TType::I8,
        Value::I16(_) => TType::I16,
        Value::I32(_) => TType::I32,
        Value::I64(_) => TType::I64,
        Value::Double(_) => TType::DOUBLE,
        Value::Text(_) => TType::STRING,
        Value::Struct(_) => TType::STRUCT,
        Value::List(..) => TType::LIST,
        Value::Set(..) => TType::SET,
        Value::Map(..) => TType::MAP,
    }
}

fn write(value: &Value, writer: &mut Writer<'_>) {
    match value {
        Value::Bool(value) => writer.bool(*value),
        Value::I8(value) => writer.i8(*value),
        Value::I16(value) => writer.i16(*value),
        Value::I32(value) => writer.i32(*value),
        Value::I64(value) => writer.i64(*value),
        Value::Double(value) => writer.double(*value),
        Value::Text(value) => writer.bytes(value).unwrap(),
        Value::Struct(fields) => {
            for (id, field) in fields {
                writer.field_header(FieldHeader { ttype: ttype(field), id: *id });
                write(field, writer);
            }
            writer.stop();
        }
        Value::List(element, count) | Value::Set(element, count) => {
            writer.list_header(ListHeader { element: ttype(element), count: *count }).unwrap();
            (0..*count).for_each(|_| write(element, writer));
        }
        Value::Map(pair, count) => {
            let (key, value) = &**pair;
            writer.map_header(MapHeader { key: ttype(key), value: ttype(value), count: *count }).unwrap();
            for _ in 0..*count {
                write(key, writer);
                write(value, writer);
            }
        }
    }
}

/// Reads a value of the shape of `value`, and says whether it is the same.
fn reads_as(value: &Value, reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    Ok(match value {
        Value::Bool(value) => reader.bool()? == *value,
        Value::I8(value) => reader.i8()? == *value,
        Value::I16(value) => reader.i16()? == *value,
        Value::I32(value) => reader.i32()? == *value,
        Value::I64(value) => reader.i64()? == *value,
        Value::Double(value) => reader.double()?.to_bits() == value.to_bits(),
        Value::Text(value) => reader.bytes()? == value,
        Value::Struct(fields) => {
            for (id, field) in fields {
                if reader.field_header()? != Some(FieldHeader { ttype: ttype(field), id: *id }) {
                    return Ok(false);
                }
                if !reads_as(field, reader)? {
                    return Ok(false);
                }
            }
            reader.field_header()?.is_none()
        }
        Value::List(element, count) | Value::Set(element, count) => {
            let header = reader.list_header()?;
            let mut same = header == ListHeader { element: ttype(element), count: *count };
            for _ in 0..*count {
                same &= reads_as(element, reader)?;
            }
            same
        }
        Value::Map(pair, count) => {
            let (key, value) = &**pair;
            let header = reader.map_header()?;
            let mut same = header == MapHeader { key: ttype(key), value: ttype(value), count: *count };
            for _ in 0..*count {
                same &= reads_as(key, reader)? & reads_as(value, reader)?;
            }
            same
        }
    })
}

fn bytes_of(value: &Value) -> BytesMut {
    let mut bytes = BytesMut::new();
    write(value, &mut Writer::new(&mut bytes));
    bytes
}

proptest! {
    #[test]
    fn a_value_reads_as_it_was_written(value in values()) {
        let bytes = bytes_of(&value);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reads_as(&value, &mut reader), Ok(true));
        prop_assert!(reader.rest().is_empty());
    }

    #[test]
    fn a_value_ends_where_it_was_written_to_in_pieces_of_any_size(
        value in values(),
        behind in vec(any::<u8>(), 0..12),
        sizes in vec(1..40_usize, 1..6),
    ) {
        let len = bytes_of(&value).len();
        let bytes = [&bytes_of(&value)[..], &behind].concat();
        let mut skipper = Skipper::new(ttype(&value));
        let mut seen = 0;
        for size in sizes.into_iter().cycle() {
            let piece = &bytes[seen..bytes.len().min(seen + size)];
            match skipper.skip(piece).unwrap() {
                Some(n) => {
                    prop_assert_eq!(seen + n, len);
                    break;
                }
                None => seen += piece.len(),
            }
            prop_assert!(seen < len);
            prop_assert_eq!(skipper.offset(), u64::try_from(seen).unwrap());
            prop_assert!(skipper.pending() <= u64::try_from(len - seen).unwrap());
        }
    }

    #[test]
    fn every_cut_of_a_value_is_truncated_where_it_is_cut(value in values(), cut in any::<prop::sample::Index>()) {
        let bytes = bytes_of(&value);
        let cut = cut.index(bytes.len());
        let mut skipper = Skipper::new(ttype(&value));
        prop_assert_eq!(skipper.skip(&bytes[..cut]), Ok(None));
        let DecodeError::Truncated { offset, expected, actual, .. } = skipper.truncated() else {
            return Err(TestCaseError::fail("another error"));
        };
        prop_assert_eq!(offset + actual, cut);
        prop_assert!(offset + expected <= bytes.len());
        prop_assert!(expected > actual);
    }

    #[test]
    fn messages_come_out_as_they_went_in(
        bodies in vec((structs(), vec(any::<u8>(), 0..30), any::<i32>()), 0..5),
        read in 1..200_usize,
    ) {
        let mut wire = BytesMut::new();
        let mut messages = Vec::new();
        for (body, name, seqid) in &bodies {
            let mut message = BytesMut::new();
            MessageHeader::new(Version::THRIFT, MessageType::CALL, name, *seqid).encode(&mut message).unwrap();
            message.extend_from_slice(&bytes_of(body));
            wire.extend_from_slice(&message);
            messages.push(message);
        }
        let (items, error) = decode_in_reads(&mut BufferedCodec::default(), wire.chunks(read));
        prop_assert_eq!(items, messages);
        prop_assert_eq!(error, None);
    }

    #[test]
    fn envelopes_come_out_as_they_went_in(
        protobuf in any::<bool>(),
        message_type in any::<u16>(),
        name in vec(any::<u8>(), 0..40),
        seqid in any::<i32>(),
        other in any::<i32>(),
    ) {
        let version = if protobuf { Version::KITEX_PROTOBUF } else { Version::THRIFT };
        let mut header = MessageHeader::new(version, MessageType(message_type), &name, seqid);
        let mut bytes = BytesMut::new();
        header.encode(&mut bytes).unwrap();
        prop_assert_eq!(bytes.len(), header.encoded_len());
        prop_assert_eq!(MessageHeader::parse(&bytes), Ok(header));
        prop_assert_eq!(MessageHeader::peek(&bytes, 40), Ok(Some(header)));
        for len in 0..bytes.len() {
            prop_assert_eq!(MessageHeader::peek(&bytes[..len], 40), Ok(None));
        }
        set_seqid(&mut bytes, other).unwrap();
        header.seqid = other;
        prop_assert_eq!(MessageHeader::parse(&bytes), Ok(header));
    }

    #[test]
    fn exceptions_come_out_as_they_went_in(code in any::<i32>(), message in vec(any::<u8>(), 0..300)) {
        let exception = ApplicationException::new(code, &message);
        let mut bytes = BytesMut::new();
        exception.encode(&mut bytes).unwrap();
        prop_assert_eq!(bytes.len(), exception.encoded_len());
        prop_assert_eq!(ApplicationException::parse(&bytes), Ok(exception));
        for len in 0..bytes.len() {
            prop_assert!(ApplicationException::parse(&bytes[..len]).is_err());
        }

        let error = ErrorProto::new(code, &message);
        bytes.clear();
        error.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), error.encoded_len());
        prop_assert_eq!(ErrorProto::parse(&bytes), Ok(error));
    }

    #[test]
    fn any_bytes_are_the_same_message_or_error_in_one_read_and_in_many(
        body in vec(prop_oneof![0..16_u8, any::<u8>()], 0..120),
        read in 1..30_usize,
    ) {
        let wire = [&b"\x80\x01\0\x01\0\0\0\x01m\0\0\0\x07"[..], &body].concat();
        for wire in [&wire, &body] {
            let new = || BufferedCodec::builder().max_message_len(100).build();
            prop_assert_eq!(decode_in_reads(&mut new(), [&wire[..]]), decode_in_reads(&mut new(), wire.chunks(read)));
            let _: Result<_, _> = MessageHeader::parse(wire);
            let _: Result<_, _> = ApplicationException::parse(wire);
            let _: Result<_, _> = ErrorProto::parse(wire);
        }
    }
}
