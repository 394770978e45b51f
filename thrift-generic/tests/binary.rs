//! Rows B of the acceptance list (generic-call 7.10), as far as they need no transport.

use bytes::Bytes;
use thrift_codec::{DecodeError, MessageType, exception};
use thrift_generic::binary::{BinaryError, Message, Variant, protobuf, v2};

/// `{1: "hello world", 2: i32(123456)}`
const STRUCT: &[u8] = b"\x0b\0\x01\0\0\0\x0bhello world\x08\0\x02\0\x01\xe2\x40\0";

#[test]
fn b_01_seqid_is_replaced_in_a_copy_and_the_payload_is_intact() {
    let callers = Message::new(MessageType::CALL, "Test", 100, STRUCT).unwrap().into_bytes();
    let call = Message::parse(Some(callers.clone())).unwrap();
    assert_eq!(call.seqid(), 100);
    let sent = call.with_seqid(1);
    assert_eq!((sent.seqid(), sent.method(), sent.body()), (1, &b"Test"[..], Bytes::from_static(STRUCT)));
    assert_eq!(Message::parse(Some(sent.clone().into_bytes())).unwrap(), sent);
    // The caller's buffer is what it was.
    assert_eq!(Message::parse(Some(callers)).unwrap().seqid(), 100);

    let served = Message::parse(Some(sent.into_bytes())).unwrap().into_call().unwrap();
    let reply = served.reply(STRUCT).unwrap();
    assert_eq!((reply.message_type(), reply.seqid(), reply.method()), (MessageType::REPLY, 1, &b"Test"[..]));
    assert_eq!(reply.into_result("Test", 1).unwrap(), STRUCT);
}

#[test]
fn b_01_a_buffer_that_nobody_shares_is_not_copied() {
    let call = Message::new(MessageType::CALL, "Test", 100, STRUCT).unwrap();
    let place = call.as_bytes().as_ptr();
    let call = call.with_seqid(7);
    assert_eq!(call.as_bytes().as_ptr(), place);
    // The body is a view.
    assert_eq!(call.body().as_ptr().addr(), place.addr() + 16);
    let (head, body) = call.split_with_seqid(9).unwrap();
    assert_eq!(body.as_ptr(), call.body().as_ptr());
    let whole = Bytes::from([head, body].concat());
    assert_eq!(whole, *call.clone().with_seqid(9).as_bytes());
    assert_eq!(call.seqid(), 7);
}

#[test]
fn b_02_a_handlers_error_is_an_exception_message() {
    let text = "biz error: no such thing";
    let reply = Message::exception("Test", 3, exception::INTERNAL_ERROR, text).unwrap();
    let reply = Message::parse(Some(reply.into_bytes())).unwrap();
    let error = reply.into_result("Test", 3).unwrap_err();
    assert_eq!(error, BinaryError::Exception { code: 6, message: text.into() });
    assert_eq!(error.to_string(), text);
}

#[test]
fn b_02_a_business_error_is_a_reply_with_an_empty_result() {
    let call = Message::new(MessageType::CALL, "Test", 3, STRUCT).unwrap();
    let reply = call.reply(&v2::EMPTY).unwrap();
    assert_eq!(reply.into_result("Test", 3).unwrap(), &[0][..]);
}

#[test]
fn b_03_what_is_no_message_is_said_in_kitexs_words() {
    let parse = |bytes: &'static [u8]| Message::parse(Some(Bytes::from_static(bytes))).unwrap_err().to_string();
    assert_eq!(Message::parse(None).unwrap_err().to_string(), "invalid marshal data in rawThriftBinaryCodec: nil");
    let short = "invalid trans buffer in binaryThriftCodec Unmarshal, size=7 less than 8 bytes";
    assert_eq!(parse(b"\x80\x01\0\x01\0\0\0"), short);
    assert_eq!(parse(b"\0\0\0\x04Test\x01\0\0\0\0\0"), "missing version in Thrift Message");
    assert_eq!(parse(b"\x90\x01\0\x01\0\0\0\x04Test\0\0\0\x01\0"), "bad version in Thrift Message");
    assert_eq!(parse(b"\x80\x01\0\x01\0\0\0\0\0\0\0\x01\0"), "method len[0] invalid in binaryThriftCodec Unmarshal");
    assert_eq!(parse(b"\x80\x01\0\x01\xff\xff\xff\xffTest"), "method len[-1] invalid in binaryThriftCodec Unmarshal");
    assert_eq!(
        parse(b"\x80\x01\0\x01\0\0\0\x09Test\0\0\0\x01"),
        "method len[9] invalid in binaryThriftCodec Unmarshal"
    );
    assert!(parse(b"\x80\x01\0\x01\0\0\0\x04Test\0\0").starts_with("invalid trans buffer"));
}

#[test]
fn b_03_every_cut_of_an_envelope_is_an_error() {
    let message = Message::new(MessageType::CALL, "Test", 1, b"").unwrap().into_bytes();
    for len in 0..message.len() {
        assert!(Message::parse(Some(message.slice(..len))).is_err(), "{len}");
    }
    assert!(Message::parse(Some(message)).is_ok());
}

#[test]
fn b_03_a_reply_to_something_else_is_refused() {
    let reply = |message_type| Message::new(message_type, "Test", 3, &v2::EMPTY).unwrap();
    let wrong = reply(MessageType::REPLY).into_result("Echo", 3).unwrap_err();
    assert_eq!(wrong.to_string(), "wrong method name, expect=Echo, actual=Test");
    let late = reply(MessageType::REPLY).into_result("Test", 4).unwrap_err();
    assert_eq!(late.to_string(), "method[Test] out of order sequence response, expect[4], receive[3]");
    assert_eq!(reply(MessageType::CALL).into_result("Test", 3).unwrap_err(), BinaryError::MessageType(1));
    assert_eq!(reply(MessageType::REPLY).into_call().unwrap_err(), BinaryError::MessageType(2));
    assert!(reply(MessageType::ONEWAY).into_call().is_ok());
}

#[test]
fn b_04_a_reply_of_type_exception_is_an_error_whatever_its_name_and_seqid() {
    let text = "unknown method Foo";
    let reply = Message::exception("Other", 77, exception::UNKNOWN_METHOD, text).unwrap();
    let expected = BinaryError::Exception { code: exception::UNKNOWN_METHOD, message: text.into() };
    assert_eq!(reply.into_result("Test", 1).unwrap_err(), expected);
    let broken = Message::new(MessageType::EXCEPTION, "Test", 1, b"\x0b").unwrap();
    assert!(matches!(broken.into_result("Test", 1).unwrap_err(), BinaryError::BadException(_)));
}

#[test]
fn b_05_exactly_one_struct_is_taken_where_no_length_is_known() {
    let mut arrived = Bytes::from([STRUCT, b"other bytes"].concat());
    let place = arrived.as_ptr();
    let taken = v2::take_struct(&mut arrived).unwrap();
    assert_eq!(taken, STRUCT);
    assert_eq!(taken.as_ptr(), place);
    assert_eq!(arrived, &b"other bytes"[..]);
    for len in 0..STRUCT.len() {
        let mut cut = Bytes::from_static(&STRUCT[..len]);
        assert!(matches!(v2::take_struct(&mut cut), Err(DecodeError::Truncated { .. })), "{len}");
        assert_eq!(cut.len(), len);
    }
}

#[test]
fn b_06_nothing_is_written_as_a_stop_and_bytes_as_they_are() {
    assert_eq!(v2::body(None), &[0][..]);
    assert_eq!(v2::body(Some(Bytes::from_static(b"hello world"))), &b"hello world"[..]);
    let whole = v2::wrap(MessageType::CALL, "Test", 5, None).unwrap();
    let call = Message::parse(Some(whole.clone())).unwrap();
    assert_eq!((call.body(), call.seqid()), (v2::EMPTY, 5));
    assert_eq!(whole, [v2::envelope(MessageType::CALL, "Test", 5).unwrap(), v2::EMPTY].concat());
    let reply = v2::wrap(MessageType::REPLY, "Test", 5, Some(STRUCT)).unwrap();
    assert_eq!(v2::unwrap_reply(reply, "Test", 5).unwrap(), STRUCT);
}

#[test]
fn b_11_a_protobuf_call_without_a_message_is_an_error() {
    assert_eq!(protobuf(None).unwrap_err().to_string(), "invalid marshal data in protobufBinaryCodec: nil");
    assert_eq!(protobuf(Some(Bytes::new())).unwrap(), Bytes::new());
}

#[test]
fn b_12_complete_messages_share_a_server_with_nobody() {
    let refused = |others, unknown| Variant::V1.check_company(others, unknown).unwrap_err().to_string();
    assert_eq!(refused(1, false), "binary thrift generic v1 doesn't support multi services");
    assert_eq!(refused(0, true), "binary thrift generic v1 doesn't support unknown service");
    assert_eq!(Variant::V1.check_company(0, false), Ok(()));
    assert_eq!(Variant::V2.check_company(3, true), Ok(()));
    let names = [Variant::V1, Variant::V2, Variant::Protobuf].map(Variant::name);
    assert_eq!(names, ["RawThriftBinary", "BinaryThriftV2", "BinaryPb"]);
}
