//! What a peer sends that it must not, rule by rule of RFC 9113 section 6, and what a caller asks for that cannot be.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use grpc_frame::http2::{
    Assembler, CodecError, Continuation, Data, DecodeError, Dependency, EncodeError, ErrorCode, Flags, Frame,
    FrameType, GoAway, Head, Headers, Http2Codec, Http2CodecBuilder, PREFACE, Peer, Ping, Priority, PushPromise,
    RstStream, Scope, SettingId, Settings, StreamId, Unknown, WindowUpdate,
};
use testkit::{assert_every_cut_is_an_error, assert_split_invariant, from_hex};
use tokio_util::codec::{Decoder, Encoder};

const CONNECTION: Scope = Scope::Connection;

// Section 3.4: the preface.

#[test]
fn another_preface_is_refused_at_the_first_octet_that_differs() {
    let from_client = || Http2Codec::builder().expect_preface(Peer::Client);
    let error = refused_by(from_client(), "505249202a20485454502f322e310d0a");
    assert_eq!(error, DecodeError::WrongPreface { offset: 13, expected: b'0', actual: b'1' });
    assert_eq!(answer(&error), (ErrorCode::PROTOCOL_ERROR, CONNECTION));
    assert!(matches!(refused_by(from_client(), "47"), DecodeError::WrongPreface { offset: 0, actual: b'G', .. }));
}

#[test]
fn behind_the_preface_and_from_a_server_settings_come_first() {
    let preface = testkit::to_hex(&PREFACE);
    for (peer, preface) in [(Peer::Client, preface.as_str()), (Peer::Server, "")] {
        let builder = || Http2Codec::builder().expect_preface(peer);
        // A PING, and an acknowledgement of settings that were never sent.
        for (first, actual) in
            [("0000080600000000000102030405060708", FrameType::PING), ("000000040100000000", FrameType::SETTINGS)]
        {
            let error = refused_by(builder(), &[preface, first].concat());
            assert_eq!(error, DecodeError::SettingsExpected { actual });
            assert_eq!((answer(&error), error.offset()), ((ErrorCode::PROTOCOL_ERROR, CONNECTION), 3));
        }
        let frames = taken_by(builder(), &[preface, "000000040000000000 0000080600000000000102030405060708"].concat());
        assert_eq!(frames.len(), 2);
    }
}

#[test]
fn a_connection_that_ends_inside_its_preface_is_an_error() {
    let wire = [&PREFACE[..], &from_hex("000000040000000000")].concat();
    assert_every_cut_is_an_error(|| Http2Codec::builder().expect_preface(Peer::Client).build(), &wire);
    assert_every_cut_is_an_error(|| Http2Codec::builder().expect_preface(Peer::Server).build(), &wire[24..]);
    let mut codec = Http2Codec::builder().expect_preface(Peer::Client).build();
    let error = decode_error(codec.decode_eof(&mut BytesMut::from(&PREFACE[..])));
    assert_eq!(error, DecodeError::Truncated { field: "SETTINGS", offset: 0, expected: 9, actual: 0 });
}

#[test]
fn a_client_does_not_push() {
    let wire = [testkit::to_hex(&PREFACE).as_str(), "000000040000000000 000005050400000001 00000002 82"].concat();
    let error = refused_by(Http2Codec::builder().expect_preface(Peer::Client), &wire);
    assert_eq!((error, answer(&error)), (DecodeError::PushFromClient, (ErrorCode::PROTOCOL_ERROR, CONNECTION)));
}

// Section 4.2: sizes of frames.

#[test]
fn a_frame_of_the_largest_size_is_taken_and_one_octet_more_is_not() {
    for (max, builder) in [
        (16_384, Http2Codec::builder()),
        (20_000, Http2Codec::builder().max_frame_size(20_000)),
        (10, Http2Codec::builder().max_frame_size(10)),
    ] {
        for len in [max - 1, max] {
            assert_eq!(taken_by(builder.clone(), &data_of(len)).len(), 1);
        }
        let error = refused_by(builder, &data_of(max + 1));
        assert_eq!(error, DecodeError::FrameTooLarge { frame_type: FrameType::DATA, expected: max, actual: max + 1 });
        assert_eq!((answer(&error), error.offset()), ((ErrorCode::FRAME_SIZE_ERROR, CONNECTION), 0));
    }
}

#[test]
fn the_size_is_refused_before_the_payload_is_there() {
    let mut codec = Http2Codec::default();
    let mut src = BytesMut::from(&from_hex("ffffff000000000001")[..]);
    let error = decode_error(codec.decode(&mut src));
    assert_eq!(error, DecodeError::FrameTooLarge { frame_type: FrameType::DATA, expected: 16_384, actual: 0xff_ffff });
    assert!(src.capacity() < 1 << 10, "{}", src.capacity());
}

#[test]
fn a_bare_head_reserves_no_more_than_is_believed() {
    let mut codec = Http2Codec::builder().max_frame_size(usize::MAX).build();
    assert_eq!(codec.max_frame_size(), 0xff_ffff);
    let mut src = BytesMut::from(&from_hex("ffffff000000000001")[..]);
    assert!(codec.decode(&mut src).unwrap().is_none());
    assert!(src.capacity() <= (64 << 10) + 9, "{}", src.capacity());
}

#[test]
fn limits_can_change_on_the_way() {
    let mut codec = Http2Codec::default();
    codec.set_max_frame_size(20_000);
    codec.set_max_send_frame_size(20_000);
    let mut wire = BytesMut::new();
    let data = Frame::from(Data::new(StreamId::new(1), vec![0; 20_000].into()));
    codec.encode(&data, &mut wire).unwrap();
    assert_eq!(codec.decode(&mut wire).unwrap(), Some(data));
    assert_eq!(codec.max_send_frame_size(), 20_000);
}

#[test]
fn fields_that_are_cut_off_are_missing() {
    for (wire, field, offset, expected, actual) in [
        ("000000000800000001", "Pad Length", 9, 1, 0),
        ("000000010800000001", "Pad Length", 9, 1, 0),
        ("000000050800000001", "Pad Length", 9, 1, 0),
        ("000003012000000001 000000", "Stream Dependency", 9, 4, 3),
        ("000004012000000001 00000000", "Weight", 13, 1, 0),
        ("000004012800000001 00 000000", "Stream Dependency", 10, 4, 3),
        ("000005012800000001 00 00000000", "Weight", 14, 1, 0),
        ("000003050000000001 000000", "Promised Stream ID", 9, 4, 3),
        ("000004050800000001 00 000000", "Promised Stream ID", 10, 4, 3),
        ("000000070000000000", "Last-Stream-ID", 9, 4, 0),
        ("000007070000000000 00000001 000000", "Error Code", 13, 4, 3),
    ] {
        let error = refused(wire);
        let frame_type = Head::peek(&from_hex(wire)).unwrap().frame_type;
        assert_eq!(error, DecodeError::FieldMissing { frame_type, field, offset, expected, actual }, "{wire}");
        assert_eq!((answer(&error), error.offset()), ((ErrorCode::FRAME_SIZE_ERROR, CONNECTION), offset));
    }
}

// Sections 6.1, 6.2, 6.6: padding.

#[test]
fn padding_as_long_as_the_rest_is_taken_and_one_octet_more_is_not() {
    for (type_and_flags, fields) in [("0008", ""), ("010c", ""), ("012c", "0000000010"), ("050c", "00000002")] {
        let frame = |pad_len: u8| {
            let rest = 1 + fields.len() / 2 + 3;
            format!("{rest:06x} {type_and_flags} 00000001 {pad_len:02x} {fields} 616263")
        };
        for pad_len in [0, 2, 3] {
            assert_eq!(taken(&frame(pad_len)).len(), 1);
        }
        for pad_len in [4, 255] {
            let error = refused(&frame(pad_len));
            let frame_type = Head::peek(&from_hex(&frame(0))).unwrap().frame_type;
            assert_eq!(error, DecodeError::PaddingTooLong { frame_type, expected: 3, actual: pad_len.into() });
            assert_eq!((answer(&error), error.offset()), ((ErrorCode::PROTOCOL_ERROR, CONNECTION), 9));
        }
    }
}

#[test]
fn padding_need_not_be_zero() {
    let [Frame::Data(data)] = &taken("000006000800000001 03 6162 ffeeff")[..] else { panic!() };
    assert_eq!((&data.data[..], data.flow_len()), (&b"ab"[..], 6));
}

// Stream identifiers, type by type.

#[test]
fn frames_of_a_stream_are_refused_on_the_connection() {
    for (frame_type, wire) in [
        (FrameType::DATA, "000000000000000000"),
        (FrameType::HEADERS, "000000010400000000"),
        (FrameType::PRIORITY, "000005020000000000 0000000010"),
        (FrameType::RST_STREAM, "000004030000000000 00000008"),
        (FrameType::PUSH_PROMISE, "000004050400000000 00000002"),
        // The reserved bit does not make a stream of it.
        (FrameType::DATA, "000000000080000000"),
    ] {
        let error = refused(wire);
        assert_eq!(error, DecodeError::StreamIdZero { frame_type });
        assert_eq!((answer(&error), error.offset()), ((ErrorCode::PROTOCOL_ERROR, CONNECTION), 5));
    }
    // A header block cannot be open on the connection, so that the order is what CONTINUATION breaks.
    assert_eq!(refused("000000090400000000"), DecodeError::ContinuationUnexpected { actual: StreamId::CONNECTION });
    let head = Head::peek(&from_hex("000000090400000000")).unwrap();
    let error = DecodeError::StreamIdZero { frame_type: FrameType::CONTINUATION };
    assert_eq!(Continuation::parse(head, Bytes::new()), Err(error));
}

#[test]
fn frames_of_the_connection_are_refused_on_a_stream() {
    for (frame_type, wire) in [
        (FrameType::SETTINGS, "000000040000000003"),
        (FrameType::PING, "000008060000000003 0000000000000000"),
        (FrameType::GOAWAY, "000008070000000003 0000000000000000"),
    ] {
        let error = refused(wire);
        assert_eq!(error, DecodeError::StreamIdNotZero { frame_type, actual: StreamId::new(3) });
        assert_eq!((answer(&error), error.offset()), ((ErrorCode::PROTOCOL_ERROR, CONNECTION), 5));
    }
}

#[test]
fn a_window_update_and_an_unknown_frame_go_with_either() {
    for wire in
        ["000004080000000000 00000001", "000004080000000001 00000001", "000000100000000000", "000000100000000001"]
    {
        assert_eq!(taken(wire).len(), 1);
    }
}

#[test]
fn the_reserved_bit_is_ignored_wherever_it_stands() {
    let [Frame::WindowUpdate(update)] = taken("000004080080000001 80000005")[..] else { panic!() };
    assert_eq!((update.stream_id, update.increment), (StreamId::new(1), 5));
    let [Frame::GoAway(goaway)] = &taken("000008070080000000 80000007 00000000")[..] else { panic!() };
    assert_eq!(goaway.last_stream_id, StreamId::new(7));
    let [Frame::PushPromise(promise)] = &taken("000004050480000001 80000002")[..] else { panic!() };
    assert_eq!(promise.promised_id, StreamId::new(2));
}

// Sections 6.3, 6.4, 6.5, 6.7, 6.9: lengths.

#[test]
fn a_priority_of_another_length_is_the_streams_error_alone() {
    for len in [0, 4, 6] {
        let mut codec = Http2Codec::default();
        let mut src = BytesMut::from(&from_hex(&format!("{len:06x}020000000005"))[..]);
        src.resize(9 + len, 0);
        src.extend_from_slice(&from_hex("000000000100000007"));
        let error = decode_error(codec.decode(&mut src));
        let (frame_type, stream_id) = (FrameType::PRIORITY, StreamId::new(5));
        assert_eq!(error, DecodeError::WrongLength { frame_type, stream_id, expected: 5, actual: len });
        assert_eq!(answer(&error), (ErrorCode::FRAME_SIZE_ERROR, Scope::Stream(stream_id)));
        // The connection goes on behind it.
        assert!(matches!(codec.decode(&mut src).unwrap(), Some(Frame::Data(_))));
    }
}

#[test]
fn frames_of_another_length_than_their_types_end_the_connection() {
    for (frame_type, stream_id, expected) in [
        (FrameType::RST_STREAM, 1, 4),
        (FrameType::PING, 0, 8),
        (FrameType::WINDOW_UPDATE, 0, 4),
        (FrameType::WINDOW_UPDATE, 1, 4),
    ] {
        for actual in [0, expected - 1, expected + 1] {
            let zeros = "00".repeat(actual);
            let error = refused(&format!("{actual:06x}{:02x}00{stream_id:08x}{zeros}", frame_type.0));
            let stream_id = StreamId::new(stream_id);
            assert_eq!(error, DecodeError::WrongLength { frame_type, stream_id, expected, actual });
            assert_eq!((answer(&error), error.offset()), ((ErrorCode::FRAME_SIZE_ERROR, CONNECTION), 0));
        }
    }
}

#[test]
fn settings_are_whole() {
    for (actual, expected) in [(1, 0), (5, 0), (7, 6), (17, 12)] {
        let error = refused(&format!("{actual:06x}040000000000{}", "00".repeat(actual)));
        let (frame_type, stream_id) = (FrameType::SETTINGS, StreamId::CONNECTION);
        assert_eq!(error, DecodeError::WrongLength { frame_type, stream_id, expected, actual });
        assert_eq!(answer(&error), (ErrorCode::FRAME_SIZE_ERROR, CONNECTION));
    }
}

#[test]
fn an_acknowledgement_of_settings_holds_none() {
    let error = refused("000006040100000000 000400000001");
    let (frame_type, stream_id) = (FrameType::SETTINGS, StreamId::CONNECTION);
    assert_eq!(error, DecodeError::WrongLength { frame_type, stream_id, expected: 0, actual: 6 });
    assert_eq!(answer(&error), (ErrorCode::FRAME_SIZE_ERROR, CONNECTION));
    assert_eq!(taken("000000040100000000"), [Frame::from(Settings::ack())]);
}

// Section 6.5.2: values of settings.

#[test]
fn settings_are_held_against_their_ranges() {
    let (protocol, flow) = (ErrorCode::PROTOCOL_ERROR, ErrorCode::FLOW_CONTROL_ERROR);
    for (id, min, max, code) in [
        (SettingId::ENABLE_PUSH, 0, 1, protocol),
        (SettingId::INITIAL_WINDOW_SIZE, 0, 0x7fff_ffff, flow),
        (SettingId::MAX_FRAME_SIZE, 16_384, 0xff_ffff, protocol),
    ] {
        // Behind another one, so that the offset is not always the same.
        let frame = |value: u32| format!("00000c040000000000 00030000000a {:04x}{value:08x}", id.0);
        for value in [min, max] {
            assert_eq!(taken(&frame(value)).len(), 1);
        }
        for actual in [min.wrapping_sub(1), max + 1, u32::MAX] {
            let error = refused(&frame(actual));
            assert_eq!(error, DecodeError::SettingOutOfRange { id, offset: 17, min, max, actual });
            assert_eq!((answer(&error), error.offset()), ((code, CONNECTION), 17));
        }
    }
}

#[test]
fn settings_without_a_range_take_any_value() {
    for id in [0x0000, 0x0001, 0x0003, 0x0006, 0x0008, 0x0009, 0xffff] {
        assert_eq!(taken(&format!("000006040000000000{id:04x}ffffffff")).len(), 1);
    }
}

#[test]
fn a_server_does_not_offer_to_be_pushed_to() {
    let from = |peer| Http2Codec::builder().expect_preface(peer);
    let wire = "00000c040000000000 000300000001 000200000001";
    let error = refused_by(from(Peer::Server), wire);
    let id = SettingId::ENABLE_PUSH;
    assert_eq!(error, DecodeError::SettingOutOfRange { id, offset: 17, min: 0, max: 0, actual: 1 });
    assert_eq!(answer(&error), (ErrorCode::PROTOCOL_ERROR, CONNECTION));
    assert_eq!(taken_by(from(Peer::Server), "000006040000000000 000200000000").len(), 1);
    assert_eq!(taken_by(from(Peer::Client), &[&testkit::to_hex(&PREFACE), wire].concat()).len(), 1);
}

// Section 6.6: promises.

#[test]
fn a_promise_is_of_a_stream_that_a_server_opens() {
    for (wire, offset, actual) in [
        ("000004050400000001 00000000", 9, 0),
        ("000004050400000001 00000003", 9, 3),
        ("000005050c00000001 00 80000000", 10, 0),
    ] {
        let error = refused(wire);
        assert_eq!(error, DecodeError::WrongPromise { offset, actual: StreamId::new(actual) });
        assert_eq!((answer(&error), error.offset()), ((ErrorCode::PROTOCOL_ERROR, CONNECTION), offset));
    }
}

// Section 6.9: windows.

#[test]
fn a_window_does_not_grow_by_nothing() {
    for (stream_id, scope) in [(0, CONNECTION), (3, Scope::Stream(StreamId::new(3)))] {
        for increment in ["00000000", "80000000"] {
            let error = refused(&format!("0000040800{stream_id:08x}{increment}"));
            assert_eq!(error, DecodeError::ZeroIncrement { stream_id: StreamId::new(stream_id) });
            assert_eq!((answer(&error), error.offset()), ((ErrorCode::PROTOCOL_ERROR, scope), 9));
        }
        assert_eq!(taken(&format!("0000040800{stream_id:08x}7fffffff")).len(), 1);
    }
}

// Section 6.10: header blocks in pieces.

#[test]
fn nothing_comes_between_the_pieces_of_a_header_block() {
    let open = "000001010000000003 82";
    for (next, frame_type, actual) in [
        ("000000000000000003", FrameType::DATA, 3),
        ("000000010400000003", FrameType::HEADERS, 3),
        ("000000040000000000", FrameType::SETTINGS, 0),
        ("000004080000000000 00000001", FrameType::WINDOW_UPDATE, 0),
        ("000000ff0000000003", FrameType(0xff), 3),
        ("000000090400000005", FrameType::CONTINUATION, 5),
        // Its own length would be the stream's error alone.
        ("000001020000000003 00", FrameType::PRIORITY, 3),
    ] {
        for builder in [Http2Codec::builder(), Http2Codec::builder().join_header_blocks(false)] {
            let error = refused_by(builder, &[open, next].concat());
            let (expected, actual) = (StreamId::new(3), StreamId::new(actual));
            assert_eq!(error, DecodeError::ContinuationExpected { expected, frame_type, actual });
            assert_eq!((answer(&error), error.offset()), ((ErrorCode::PROTOCOL_ERROR, CONNECTION), 3));
        }
    }
}

#[test]
fn the_order_is_refused_before_the_payload_is_there() {
    let mut codec = Http2Codec::default();
    let mut src = BytesMut::from(&from_hex("000001010000000003 82  000fff000000000003")[..]);
    assert!(matches!(decode_error(codec.decode(&mut src)), DecodeError::ContinuationExpected { .. }));
}

#[test]
fn a_continuation_has_something_to_continue() {
    for before in ["", "000000010400000001", "000000010000000001 000000090400000001", "000000000000000001"] {
        let error = refused(&[before, "000000090400000001"].concat());
        assert_eq!(error, DecodeError::ContinuationUnexpected { actual: StreamId::new(1) });
        assert_eq!(answer(&error), (ErrorCode::PROTOCOL_ERROR, CONNECTION));
    }
}

#[test]
fn a_header_block_of_the_largest_size_is_taken_and_one_octet_more_is_not() {
    let block = |first: usize, rest: &[usize]| {
        let mut wire = format!("{first:06x}010000000001{}", "82".repeat(first));
        for (i, len) in rest.iter().enumerate() {
            let flags = if i + 1 == rest.len() { 4 } else { 0 };
            wire += &format!("{len:06x}09{flags:02x}00000001{}", "82".repeat(*len));
        }
        wire
    };
    for join in [true, false] {
        let builder = || Http2Codec::builder().max_header_block(100).join_header_blocks(join);
        for (first, rest) in [(50, [49, 0]), (50, [50, 0]), (0, [99, 1]), (100, [0, 0])] {
            assert_eq!(taken_by(builder(), &block(first, &rest)).len(), if join { 1 } else { 3 });
        }
        let error = refused_by(builder(), &block(50, &[50, 1]));
        assert_eq!(error, DecodeError::HeaderBlockTooLarge { offset: 9, expected: 100, actual: 101 });
        assert_eq!((answer(&error), error.offset()), ((ErrorCode::ENHANCE_YOUR_CALM, CONNECTION), 9));
    }
}

#[test]
fn the_size_of_a_header_block_leaves_padding_and_priority_out() {
    let builder = || Http2Codec::builder().max_header_block(2);
    for (wire, offset) in [
        ("000008012400000001 00000000 10 828282", 14),
        ("00000b012c00000001 02 00000000 10 828282 0000", 15),
        ("000006010c00000001 02 828282 0000", 10),
        ("000007050400000001 00000002 828282", 13),
        ("00000a050c00000001 02 00000002 828282 0000", 14),
    ] {
        let error = refused_by(builder(), wire);
        assert_eq!(error, DecodeError::HeaderBlockTooLarge { offset, expected: 2, actual: 3 });
        assert_eq!(taken_by(builder().max_header_block(3), wire).len(), 1);
    }
}

#[test]
fn a_flood_of_continuations_is_refused_at_the_limit() {
    let flood = |frames: usize| {
        let mut wire = "000001010000000001 82".to_owned();
        wire += &"000000090000000001 ".repeat(frames - 1);
        wire + "000000090400000001"
    };
    for join in [true, false] {
        let builder = || Http2Codec::builder().join_header_blocks(join);
        for frames in [15, 16] {
            taken_by(builder(), &flood(frames));
        }
        let error = refused_by(builder(), &flood(17));
        assert_eq!(error, DecodeError::TooManyContinuations { expected: 16, actual: 17 });
        assert_eq!((answer(&error), error.offset()), ((ErrorCode::ENHANCE_YOUR_CALM, CONNECTION), 3));
        assert!(matches!(
            refused_by(builder().max_continuations(0), &flood(1)),
            DecodeError::TooManyContinuations { expected: 0, actual: 1 }
        ));
        taken_by(builder().max_continuations(1000), &flood(1000));
    }
}

#[test]
fn counts_begin_anew_with_each_header_block() {
    let block = "000001010000000001 82".to_owned() + &"000001090000000001 82".repeat(15) + "000001090400000001 82";
    let wire = block.repeat(20);
    assert_eq!(taken_by(Http2Codec::builder().max_header_block(17), &wire).len(), 20);
}

#[test]
fn an_assembler_can_be_used_without_the_codec() {
    let mut assembler = Assembler::default();
    let headers = Headers { flags: Flags::NONE, ..Headers::new(StreamId::new(1), Bytes::from_static(b"\x82")) };
    assert_eq!(assembler.push(headers.into()), Ok(None));
    assert_eq!(assembler.open(), Some(StreamId::new(1)));
    let (stream_id, flags) = (StreamId::new(1), Flags::END_HEADERS);
    let next = Continuation { stream_id, flags, fragment: Bytes::from_static(b"\x84") };
    let whole = Headers::new(stream_id, Bytes::from_static(b"\x82\x84"));
    assert_eq!(assembler.push(next.into()), Ok(Some(whole.into())));
    assert_eq!(assembler.open(), None);
}

// Ends and splits.

#[test]
fn a_connection_that_ends_inside_a_frame_or_a_header_block_is_an_error() {
    for wire in [
        "000005000100000001 68656c6c6f",
        "000000010400000001",
        "000001010000000001 82 000001090000000001 84 000000090400000001",
        "000008060000000000 0102030405060708",
        "00000c040000000000 00030000000a 000400000001",
    ] {
        assert_every_cut_is_an_error(Http2Codec::default, from_hex(wire));
    }
}

#[test]
fn a_cut_says_what_is_missing() {
    let wire = from_hex("000005000100000001 68656c6c6f");
    for (len, field, expected) in [(1, "head", 9), (8, "head", 9), (9, "frame", 14), (13, "frame", 14)] {
        let error = decode_error(Http2Codec::default().decode_eof(&mut BytesMut::from(&wire[..len])));
        assert_eq!(error, DecodeError::Truncated { field, offset: 0, expected, actual: len });
        assert_eq!((error.code(), error.scope(), error.offset()), (ErrorCode::PROTOCOL_ERROR, CONNECTION, 0));
    }
    let error =
        decode_error(Http2Codec::default().decode_eof(&mut BytesMut::from(&from_hex("000000010000000001")[..])));
    assert_eq!(error, DecodeError::Truncated { field: "CONTINUATION", offset: 0, expected: 9, actual: 0 });
}

#[test]
fn every_split_decodes_the_same() {
    let good = "000006040000000000 000400000001 000003012400000003 80000001 0f 82 000004000900000003 01 6162 00";
    for bad in ["", "000001010000000001 82 000001090400000001 84", "000000090400000001", "000003060000000000 000000"] {
        let wire = from_hex(&[good, bad].concat());
        assert_split_invariant(Http2Codec::default, &wire);
        assert_split_invariant(|| Http2Codec::builder().join_header_blocks(false).build(), &wire);
        let wire = [&PREFACE[..], &wire].concat();
        assert_split_invariant(|| Http2Codec::builder().expect_preface(Peer::Client).build(), &wire);
        assert_split_invariant(|| Http2Codec::builder().expect_preface(Peer::Server).build(), &wire[24..]);
    }
}

#[test]
fn an_error_of_a_stream_leaves_the_connection_usable() {
    let mut codec = Http2Codec::default();
    let mut src = BytesMut::from(&from_hex("000004080000000003 00000000 000000000100000001")[..]);
    assert!(matches!(decode_error(codec.decode(&mut src)).scope(), Scope::Stream(_)));
    assert!(matches!(codec.decode(&mut src).unwrap(), Some(Frame::Data(_))));
}

// What a caller asks for.

#[test]
fn frames_on_the_wrong_stream_are_not_written() {
    let zero = StreamId::CONNECTION;
    let (octets, promised) = (Bytes::new, StreamId::new(2));
    let dependency = Dependency { exclusive: false, stream_id: zero, weight: 15 };
    for frame in [
        Frame::from(Data::new(zero, octets())),
        Headers::new(zero, octets()).into(),
        Priority { stream_id: zero, flags: Flags::NONE, dependency }.into(),
        RstStream::new(zero, ErrorCode::CANCEL).into(),
        PushPromise::new(zero, promised, octets()).into(),
        Continuation { stream_id: zero, flags: Flags::END_HEADERS, fragment: octets() }.into(),
    ] {
        let error = EncodeError::StreamId { frame_type: frame.frame_type(), actual: zero };
        assert_eq!(not_written(&mut Http2Codec::default(), &frame), error);
    }
    for promised in [0, 3] {
        let promised = StreamId::new(promised);
        let promise = Frame::from(PushPromise::new(StreamId::new(1), promised, octets()));
        let error = EncodeError::StreamId { frame_type: FrameType::PUSH_PROMISE, actual: promised };
        assert_eq!(not_written(&mut Http2Codec::default(), &promise), error);
    }
}

#[test]
fn a_window_update_out_of_range_is_not_written() {
    for actual in [0, 1 << 31] {
        let field = "Window Size Increment";
        let error = EncodeError::OutOfRange { field, min: 1, max: 0x7fff_ffff, actual };
        let frame = WindowUpdate::new(StreamId::new(1), actual).into();
        assert_eq!(not_written(&mut Http2Codec::default(), &frame), error);
    }
}

#[test]
fn a_frame_longer_than_the_peer_takes_is_not_written() {
    let mut codec = Http2Codec::builder().max_send_frame_size(100).build();
    let data = |len: usize| Data::new(StreamId::new(1), vec![0; len].into());
    for len in [99, 100] {
        codec.encode(Frame::from(data(len)), &mut BytesMut::new()).unwrap();
    }
    let too_long = |actual| EncodeError::TooLong { field: "Length", expected: 100, actual };
    assert_eq!(not_written(&mut codec, &data(101).into()), too_long(101));
    assert_eq!(not_written(&mut codec, &Data { padding: Some(50), ..data(50) }.into()), too_long(101));
    let goaway = GoAway::new(StreamId::MAX, ErrorCode::NO_ERROR, vec![0; 93].into());
    assert_eq!(not_written(&mut codec, &goaway.into()), too_long(101));
    // A piece of a header block is the caller's own division.
    let piece = Headers { flags: Flags::NONE, ..Headers::new(StreamId::new(1), vec![0; 101].into()) };
    assert_eq!(not_written(&mut codec, &piece.into()), too_long(101));
    // Fields that leave no room for a block at all.
    let padded = Headers { padding: Some(100), ..Headers::new(StreamId::new(1), Bytes::new()) };
    assert_eq!(not_written(&mut codec, &padded.into()), too_long(101));
}

#[test]
fn a_header_block_longer_than_the_peers_frames_is_written_in_pieces() {
    let mut codec = Http2Codec::builder().max_send_frame_size(100).build();
    let block = Bytes::from((0..=255).collect::<Vec<u8>>());
    let dependency = Some(Dependency { exclusive: true, stream_id: StreamId::new(3), weight: 1 });
    let flags = Flags::END_STREAM | Flags::END_HEADERS;
    let headers = Headers { dependency, padding: Some(4), ..Headers::new(StreamId::new(5), block.clone()) };
    let promise = PushPromise::new(StreamId::new(5), StreamId::new(6), block);
    for (frame, pieces) in
        [(Frame::from(headers.with_flags(flags)), [100, 100, 66]), (Frame::from(promise), [100, 100, 60])]
    {
        let mut wire = BytesMut::new();
        codec.encode(&frame, &mut wire).unwrap();
        let mut split = Http2Codec::builder().build();
        let mut rest = wire.clone();
        let lens = std::iter::from_fn(|| split.split(&mut rest).unwrap()).map(|(head, _)| head.payload_len());
        assert_eq!(lens.collect::<Vec<_>>(), pieces);
        // It comes back as it was, but for padding, which belongs to a frame and not to a block.
        let expected = match frame {
            Frame::Headers(headers) => {
                Frame::Headers(Headers { padding: None, flags: flags | Flags::PRIORITY, ..headers })
            }
            other => other,
        };
        assert_eq!(codec.decode(&mut wire).unwrap(), Some(expected));
        assert!(wire.is_empty());
    }
}

#[test]
fn whatever_breaks_a_rule_can_be_written_on_purpose() {
    let ping = Unknown {
        frame_type: FrameType::PING,
        flags: Flags::NONE,
        stream_id: StreamId::new(3),
        payload: Bytes::from_static(b"abc"),
    };
    let mut wire = BytesMut::new();
    ping.encode(&mut wire).unwrap();
    assert_eq!(wire, from_hex("000003060000000003 616263"));
}

#[test]
fn a_question_is_answered_with_its_own_octets() {
    let ping = Ping::new(*b"question");
    assert!(!ping.is_ack() && ping.to_ack().is_ack());
    assert_eq!(ping.to_ack().data, *b"question");
}

#[test]
fn errors_tell_what_they_are_about() {
    for (wire, text) in [
        ("000003060000000000 000000", "Length at offset 0: expected 8 octets in PING, got 3"),
        ("000000000000000000", "Stream Identifier at offset 5: expected a stream for DATA, got 0"),
        ("000000090400000007", "Type at offset 3: CONTINUATION of stream 7, where no header block is open"),
        ("000001000800000001 01", "Pad Length at offset 9: expected at most 0 in DATA, got 1"),
    ] {
        assert_eq!(refused(wire).to_string(), text);
    }
}

fn data_of(len: usize) -> String {
    format!("{len:06x}000000000001{}", "61".repeat(len))
}

fn answer(error: &DecodeError) -> (ErrorCode, Scope) {
    (error.code(), error.scope())
}

fn refused(wire: &str) -> DecodeError {
    refused_by(Http2Codec::builder(), wire)
}

/// The first error.
fn refused_by(builder: Http2CodecBuilder, wire: &str) -> DecodeError {
    let mut codec = builder.build();
    let mut src = BytesMut::from(&from_hex(wire)[..]);
    loop {
        match codec.decode_eof(&mut src) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("taken: {wire}"),
            Err(CodecError::Decode(error)) => return error,
            Err(error) => panic!("{error}"),
        }
    }
}

fn taken(wire: &str) -> Vec<Frame> {
    taken_by(Http2Codec::builder(), wire)
}

fn taken_by(builder: Http2CodecBuilder, wire: &str) -> Vec<Frame> {
    let (frames, error) = testkit::decode_in_reads(&mut builder.build(), [&from_hex(wire)[..]]);
    assert_eq!(error, None, "{wire}");
    frames
}

fn decode_error(result: Result<Option<Frame>, CodecError>) -> DecodeError {
    match result {
        Err(CodecError::Decode(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn not_written(codec: &mut Http2Codec, frame: &Frame) -> EncodeError {
    let mut dst = BytesMut::from(&b"before"[..]);
    match codec.encode(frame, &mut dst) {
        Err(CodecError::Encode(error)) => {
            assert_eq!(&dst[..], b"before");
            error
        }
        other => panic!("{other:?}"),
    }
}
