//! Bytes that other implementations put on the wire, both ways. The vectors are those of the specification, checked
//! against Kitex 0.16.3; each says so in its file. Others are worked by hand from the section they name.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use testkit::{Vector, assert_every_cut_is_an_error, assert_split_invariant, from_hex, vector, vectors};
use thrift_codec::{
    ApplicationException, BufferedCodec, DecodeError, ErrorProto, MessageHeader, MessageType, Skipper, TType, Version,
    binary::{FieldHeader, Reader, Writer},
    set_seqid, skip_struct,
};
use tokio_util::codec::{Decoder, Encoder};

/// The messages in a vector, whatever stands around them, each with what it means.
fn messages(vector: &Vector) -> Vec<(Bytes, Value)> {
    let parts = match &vector.fields {
        Value::Array(parts) => parts.clone(),
        one => vec![one.clone()],
    };
    let mut start = 0;
    let mut messages = Vec::new();
    for part in &parts {
        let end = start + len(&part["total_bytes"]).unwrap_or_else(|| panic!("{}", vector.name));
        let mut at = start;
        if let Some(header) = part.get("ttheader") {
            at += 14 + len(&header["header_bytes"]).unwrap();
        }
        if let Some(header) = part.get("mesh_header") {
            at += 4 + len(&header["size"]).unwrap();
        }
        if part.get("frame_length").is_some_and(|length| !length.is_null()) {
            at += 4;
        }
        if let Some(message) = part.get("message").filter(|message| !message.is_null()) {
            messages.push((Bytes::copy_from_slice(&vector.bytes[at..end]), message.clone()));
        }
        start = end;
    }
    messages
}

fn len(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|len| usize::try_from(len).ok())
}

#[test]
fn envelopes_say_what_the_vectors_say_and_encode_to_the_same_bytes() {
    let mut seen = 0;
    for vector in vectors().iter().filter(|vector| !vector.fields.is_null()) {
        for (message, fields) in messages(vector) {
            let header = MessageHeader::parse(&message).unwrap();
            let is_thrift = fields["codec"] == "thrift-binary";
            assert_eq!(header.version == Version::THRIFT, is_thrift, "{}", vector.name);
            assert_eq!(header.version == Version::KITEX_PROTOBUF, !is_thrift, "{}", vector.name);
            assert_eq!(u64::from(header.message_type.0), fields["msg_type"], "{}", vector.name);
            assert_eq!(std::str::from_utf8(header.name).unwrap(), fields["method"], "{}", vector.name);
            assert_eq!(i64::from(header.seqid), fields["seq_id"], "{}", vector.name);

            let mut encoded = BytesMut::new();
            header.encode(&mut encoded).unwrap();
            assert_eq!(encoded, message[..header.encoded_len()], "{}", vector.name);
            assert_eq!(header.seqid.to_be_bytes(), message[header.seqid_offset()..][..4], "{}", vector.name);
            seen += 1;
        }
    }
    assert_eq!(seen, 43);
}

#[test]
fn every_thrift_body_ends_where_its_struct_ends() {
    for vector in vectors().iter().filter(|vector| !vector.fields.is_null()) {
        for (message, fields) in messages(vector).iter().filter(|(_, fields)| fields["codec"] == "thrift-binary") {
            let body = &message[MessageHeader::parse(message).unwrap().encoded_len()..];
            assert_eq!(skip_struct(body), Ok(body.len()), "{}", vector.name);
            assert_eq!(top_level_types(body), types_of(&fields["body"]), "{}", vector.name);
        }
    }
}

fn top_level_types(body: &[u8]) -> Vec<(i16, u8)> {
    let mut reader = Reader::new(body);
    let mut types = Vec::new();
    while let Some(FieldHeader { ttype, id }) = reader.field_header().unwrap() {
        types.push((id, ttype.0));
        reader.skip(ttype).unwrap();
    }
    assert!(reader.rest().is_empty());
    assert_eq!(reader.offset(), body.len());
    types
}

fn types_of(body: &Value) -> Vec<(i16, u8)> {
    body.as_object()
        .unwrap()
        .iter()
        .map(|(id, field)| (id.parse().unwrap(), u8::try_from(field["type"].as_u64().unwrap()).unwrap()))
        .collect()
}

#[test]
fn buffered_messages_of_every_vector_decode_to_themselves() {
    let mut wire = BytesMut::new();
    let mut sent = Vec::new();
    let mut codec = BufferedCodec::default();
    for vector in vectors().iter().filter(|vector| !vector.fields.is_null()) {
        for (message, _) in messages(vector).into_iter().filter(|(_, fields)| fields["codec"] == "thrift-binary") {
            codec.encode(message.clone(), &mut wire).unwrap();
            sent.push(message);
        }
    }
    assert_split_invariant(BufferedCodec::default, &wire);
    for message in sent {
        assert_every_cut_is_an_error(BufferedCodec::default, &message);
        assert_eq!(codec.decode(&mut wire).unwrap(), Some(message));
    }
    assert!(wire.is_empty());
}

#[test]
fn the_two_buffered_vectors_are_messages_as_they_are() {
    for name in ["buffered_call", "buffered_reply"] {
        let bytes = vector(name).bytes;
        let mut src = BytesMut::from(&bytes[..]);
        assert_eq!(BufferedCodec::default().decode(&mut src).unwrap().unwrap(), bytes);
    }
}

#[test]
fn a_message_is_a_view_of_the_read_buffer() {
    let bytes = vector("buffered_call").bytes;
    let mut src = BytesMut::from(&[&bytes[..], &bytes[..]].concat()[..]);
    let start = src.as_ptr().addr();
    let mut codec = BufferedCodec::default();
    assert_eq!(codec.decode(&mut src).unwrap().unwrap().as_ptr().addr(), start);
    assert_eq!(codec.decode(&mut src).unwrap().unwrap().as_ptr().addr(), start + bytes.len());
}

#[test]
fn an_envelope_and_an_exception_are_views_of_the_message() {
    let bytes = vector("framed_exception_internal_error").bytes;
    let message = &bytes[4..];
    let header = MessageHeader::parse(message).unwrap();
    assert_eq!(header.name.as_ptr(), message[8..].as_ptr());
    let exception = ApplicationException::parse(&message[header.encoded_len()..]).unwrap();
    assert_eq!(exception.message.as_ptr(), message[23..].as_ptr());
}

#[test]
fn exceptions_of_kitex_decode_and_encode_to_the_same_bytes() {
    let mut seen = 0;
    for vector in vectors().iter().filter(|vector| !vector.fields.is_null()) {
        for (message, fields) in messages(vector) {
            let header = MessageHeader::parse(&message).unwrap();
            let body = &message[header.encoded_len()..];
            if header.message_type != MessageType::EXCEPTION {
                continue;
            }
            let mut encoded = BytesMut::new();
            if header.version == Version::THRIFT {
                let exception = ApplicationException::parse(body).unwrap();
                assert_eq!(std::str::from_utf8(exception.message).unwrap(), fields["body"]["1"]["value"]);
                assert_eq!(i64::from(exception.code), fields["body"]["2"]["value"]);
                exception.encode(&mut encoded).unwrap();
                assert_eq!(exception.encoded_len(), body.len());
            } else {
                let error = ErrorProto::parse(body).unwrap();
                error.encode(&mut encoded);
                assert_eq!(error.encoded_len(), body.len());
            }
            assert_eq!(encoded, body, "{}", vector.name);
            seen += 1;
        }
    }
    assert_eq!(seen, 5);
}

#[test]
fn the_protobuf_errors_say_what_the_vectors_describe() {
    let bytes = vector("pb_framed_error").bytes;
    assert_eq!(ErrorProto::parse(&bytes[20..]), Ok(ErrorProto::new(6, b"biz error: boom")));
    let bytes = vector("pb_framed_error_unknown_method").bytes;
    assert_eq!(ErrorProto::parse(&bytes[20..]), Ok(ErrorProto::new(20, b"unknown service , method Nope")));
}

#[test]
fn what_kitex_refuses_is_refused_with_the_reason() {
    let bytes = vector("neg_framed_unversioned").bytes;
    assert_eq!(MessageHeader::parse(&bytes[4..]), Err(DecodeError::Unversioned { offset: 0 }));

    let bytes = vector("neg_pb_buffered").bytes;
    let error = BufferedCodec::default().decode(&mut BytesMut::from(&bytes[..])).unwrap_err();
    assert_eq!(error.to_string(), "version at offset 0: expected 0x8001, got 0x9001");

    // Who may send what is not the codec's to say: a server that gets a REPLY sees so in the message type.
    let bytes = vector("neg_framed_reply_type_to_server").bytes;
    assert_eq!(MessageHeader::parse(&bytes[4..]).unwrap().message_type, MessageType::REPLY);
}

#[test]
fn set_seqid_changes_four_bytes() {
    for vector in vectors().iter().filter(|vector| !vector.fields.is_null()) {
        for (message, _) in messages(vector) {
            let at = MessageHeader::parse(&message).unwrap().seqid_offset();
            let mut patched = message.to_vec();
            set_seqid(&mut patched, -2).unwrap();
            assert_eq!(MessageHeader::parse(&patched).unwrap().seqid, -2, "{}", vector.name);
            patched[at..at + 4].copy_from_slice(&message[at..at + 4]);
            assert_eq!(patched, message, "{}", vector.name);
        }
    }
}

// By hand, from section 1.6: fields in any order, unknown ones passed over, what is missing empty or 0.
#[test]
fn exceptions_are_read_in_any_order_and_with_fields_nobody_knows() {
    let code_first = from_hex("08 0002 00000007  0b 0001 00000001 78  00");
    assert_eq!(ApplicationException::parse(&code_first), Ok(ApplicationException::new(7, b"x")));
    let unknown = from_hex("0f 0003 0b 00000002 00000001 61 00000000  08 0002 00000014  0c 0004 00  00");
    assert_eq!(ApplicationException::parse(&unknown), Ok(ApplicationException::new(20, b"")));
    assert_eq!(ApplicationException::parse(&[0]), Ok(ApplicationException::new(0, b"")));
    let other_types = from_hex("08 0001 00000007  0b 0002 00000001 78  00");
    assert_eq!(ApplicationException::parse(&other_types), Ok(ApplicationException::new(0, b"")));
    let more_behind = from_hex("00 ffff");
    assert_eq!(ApplicationException::parse(&more_behind), Ok(ApplicationException::new(0, b"")));
}

// By hand, from section 4 and Protobuf's encoding: an int32 of less than 0 has ten bytes, zero fields are left out.
#[test]
fn protobuf_errors_are_read_and_written_as_proto3_has_it() {
    let negative = from_hex("08 faffffffffffffffff01");
    assert_eq!(ErrorProto::parse(&negative), Ok(ErrorProto::new(-6, b"")));
    let mut encoded = BytesMut::new();
    ErrorProto::new(-6, b"").encode(&mut encoded);
    assert_eq!(encoded, negative);
    encoded.clear();
    ErrorProto::new(0, b"").encode(&mut encoded);
    assert!(encoded.is_empty());
    let unknown = from_hex("1d 01020304  21 0102030405060708  2a 01 61  30 01  08 07  12 01 62");
    assert_eq!(ErrorProto::parse(&unknown), Ok(ErrorProto::new(7, b"b")));
    let twice = from_hex("08 01  08 02  12 01 61  12 01 62");
    assert_eq!(ErrorProto::parse(&twice), Ok(ErrorProto::new(2, b"b")));
}

// By hand, from section 1.7: one field of every type.
const EVERY_TYPE: &str = "
    02 0001 01
    03 0002 7f
    04 0003 3ff8000000000000   # 1.5
    06 0004 8000
    08 0005 01020304
    0a 0006 0102030405060708
    0b 0007 00000002 6869
    0c 0008 00
    0d 0009 0b08 00000001 00000001 61 00000007
    0e 000a 06 00000002 0001 0002
    0f 000b 0c 00000002 00 0200010000
    00";

#[test]
fn every_type_is_read_written_and_passed_over() {
    let bytes = from_hex(EVERY_TYPE);
    let mut reader = Reader::new(&bytes);
    let mut encoded = BytesMut::new();
    let mut writer = Writer::new(&mut encoded);
    while let Some(header) = reader.field_header().unwrap() {
        writer.field_header(header);
        match header.ttype {
            TType::BOOL => writer.bool(reader.bool().unwrap()),
            TType::I8 => writer.i8(reader.i8().unwrap()),
            TType::DOUBLE => writer.double(reader.double().unwrap()),
            TType::I16 => writer.i16(reader.i16().unwrap()),
            TType::I32 => writer.i32(reader.i32().unwrap()),
            TType::I64 => writer.i64(reader.i64().unwrap()),
            TType::STRING => writer.bytes(reader.bytes().unwrap()).unwrap(),
            TType::STRUCT => {
                assert_eq!(reader.field_header(), Ok(None));
                writer.stop();
            }
            TType::MAP => {
                let map = reader.map_header().unwrap();
                assert_eq!((map.key, map.value, map.count), (TType::STRING, TType::I32, 1));
                writer.map_header(map).unwrap();
                writer.bytes(reader.bytes().unwrap()).unwrap();
                writer.i32(reader.i32().unwrap());
            }
            TType::SET => {
                let set = reader.list_header().unwrap();
                assert_eq!((set.element, set.count), (TType::I16, 2));
                writer.list_header(set).unwrap();
                writer.i16(reader.i16().unwrap());
                writer.i16(reader.i16().unwrap());
            }
            _ => {
                let list = reader.list_header().unwrap();
                assert_eq!((header.ttype, list.element, list.count), (TType::LIST, TType::STRUCT, 2));
                writer.list_header(list).unwrap();
                let start = reader.rest();
                reader.skip(TType::STRUCT).unwrap();
                reader.skip(TType::STRUCT).unwrap();
                for byte in &start[..start.len() - reader.rest().len()] {
                    writer.i8(i8::from_be_bytes([*byte]));
                }
            }
        }
    }
    writer.stop();
    assert_eq!(encoded, bytes);
    assert_eq!(skip_struct(&bytes), Ok(bytes.len()));
}

#[test]
fn a_struct_may_be_cut_anywhere() {
    let bytes = from_hex(EVERY_TYPE);
    for cut in 0..bytes.len() {
        let mut skipper = Skipper::new_struct();
        assert_eq!(skipper.skip(&bytes[..cut]), Ok(None));
        assert!(skipper.pending() > 0);
        assert!(skipper.pending() <= u64::try_from(bytes.len() - cut).unwrap(), "more than there is");
        assert_eq!(skipper.skip(&bytes[cut..]), Ok(Some(bytes.len() - cut)));
        assert_eq!(skipper.pending(), 0);
        assert_eq!(skipper.skip(&bytes), Ok(Some(0)), "it is done");
        skipper.reset(TType::STRUCT);
        assert_eq!(skipper.skip(&bytes), Ok(Some(bytes.len())));
    }
}

#[test]
fn bool_is_true_for_1_alone() {
    assert_eq!(Reader::new(&[1]).bool(), Ok(true));
    for byte in [0, 2, 0xff] {
        assert_eq!(Reader::new(&[byte]).bool(), Ok(false));
    }
}

// Section 1.8: a container of nothing may say anything of its elements.
#[test]
fn an_empty_container_may_carry_any_element_type() {
    for bytes in ["0f 0001 63 00000000 00", "0e 0001 00 00000000 00", "0d 0001 0163 00000000 00"] {
        let bytes = from_hex(bytes);
        assert_eq!(skip_struct(&bytes), Ok(bytes.len()));
    }
    assert_eq!(Reader::new(&from_hex("63 00000000")).list_header().unwrap().element, TType(0x63));
    assert_eq!(Reader::new(&from_hex("0163 00000000")).map_header().unwrap().value, TType(0x63));
}
