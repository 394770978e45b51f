//! What a peer sends that it must not, and what a caller asks for that cannot be.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use testkit::{assert_every_cut_is_an_error, assert_split_invariant, from_hex, streaming_vectors};
use tokio_util::codec::Decoder;
use ttheader::{Flags, HeaderWriter, IntKey, keys, set_seq};
use ttstream::stream::{Client, ClientEvent, ConnectionError, Refused, Server, ServerEvent, Writes, opens};
use ttstream::{
    Code, CodecError, DecodeError, EncodeError, Exception, ExceptionError, Frame, FrameType, FrameWriter, Outcome,
    StreamEncoder, TtStreamCodec,
};

#[test]
fn every_split_decodes_the_same() {
    for sequence in streaming_vectors()["ttstream_sequences"].as_array().unwrap() {
        assert_split_invariant(TtStreamCodec::default, from_hex(sequence["client_bytes_hex"].as_str().unwrap()));
        assert_split_invariant(TtStreamCodec::default, from_hex(sequence["server_bytes_hex"].as_str().unwrap()));
    }
    for verdict in streaming_vectors()["ttstream_decode_verdicts"].as_array().unwrap() {
        let mut wire = frame(FrameType::Data).raw().to_vec();
        wire.extend(from_hex(verdict["hex"].as_str().unwrap()));
        assert_split_invariant(TtStreamCodec::default, wire);
    }
}

#[test]
fn every_cut_is_an_error() {
    for vector in streaming_vectors()["ttstream_frames"].as_array().unwrap() {
        assert_every_cut_is_an_error(TtStreamCodec::default, from_hex(vector["hex"].as_str().unwrap()));
    }
}

#[test]
fn what_is_no_frame_of_a_stream_says_why() {
    let verdicts = streaming_vectors()["ttstream_decode_verdicts"].as_array().unwrap();
    let verdict = |id: &str| from_hex(verdicts.iter().find(|v| v["id"] == id).unwrap()["hex"].as_str().unwrap());
    #[rustfmt::skip]
    let cases = [
        ("N01", "HEADER MAGIC at offset 4: expected 0x1000, got 0x1001"),
        ("N02", "FLAGS at offset 6: expected 0x0002, got 0x0000"),
        ("N03", "FrameType: expected int key 27, there is none"),
        ("N04", "FrameType at offset 35: expected a digit from 1 to 5, got 1 bytes, the first 0x36"),
        ("N05", "INFO ID at offset 16: 0x02 is not known"),
        ("N06", "PROTOCOL ID at offset 14: 0x05 is not known"),
        ("N07", "HEADER SIZE at offset 12: expected at least 1, got 0"),
        ("N08", "INFO key length at offset 25: needs 2 bytes, 1 left"),
        ("N09", "LENGTH at offset 0: expected at least 34, got 20"),
    ];
    for (id, text) in cases {
        let error = TtStreamCodec::default().decode(&mut BytesMut::from(&verdict(id)[..])).unwrap_err();
        assert_eq!(error.to_string(), text, "{id}");
    }
    let error = Frame::parse(verdict("N02").into()).unwrap_err();
    assert_eq!(error, DecodeError::NotStreaming { actual: Flags(0) });
}

#[test]
fn just_the_five_digits_are_frame_types() {
    for value in (0..=u8::MAX).map(|digit| vec![digit]).chain([vec![], b"33".to_vec(), b"03".to_vec()]) {
        let mut dst = BytesMut::new();
        let mut writer = HeaderWriter::new(&mut dst, Flags::STREAMING, 1);
        // A duplicate in front, which does not count.
        writer.int(IntKey::FRAME_TYPE, b"3").unwrap();
        writer.int(IntKey::FRAME_TYPE, &value).unwrap();
        writer.finish(0).unwrap();
        let result = Frame::parse(dst.freeze());
        match value[..] {
            [digit @ b'1'..=b'5'] => {
                let frame = result.unwrap();
                assert_eq!(frame.frame_type().digit(), digit);
                assert_eq!(FrameType::from_digit(digit), Some(frame.frame_type()));
                assert_eq!(frame.method(), b"");
            }
            _ => {
                let actual = value.first().copied().unwrap_or(0);
                let error = DecodeError::UnknownFrameType { offset: 28, len: value.len(), actual };
                assert_eq!(result.unwrap_err(), error);
            }
        }
    }
}

#[test]
fn of_duplicates_the_last_counts() {
    let mut dst = BytesMut::new();
    let mut writer = HeaderWriter::new(&mut dst, Flags::STREAMING | Flags::OUT_OF_ORDER, 1);
    for (method, digit) in [(b"first", b"2"), (b"other", b"5")] {
        writer.int(IntKey::TO_METHOD, method).unwrap();
        writer.int(IntKey::FRAME_TYPE, digit).unwrap();
        writer.string(keys::CANCEL_PATH, method).unwrap();
    }
    writer.finish(0).unwrap();
    let frame = Frame::parse(dst.freeze()).unwrap();
    assert_eq!((frame.method(), frame.frame_type()), (&b"other"[..], FrameType::Rst));
    assert_eq!(frame.cancel_path(), Some(&b"other"[..]));
}

#[test]
fn a_frame_above_the_limit_is_refused_by_its_head() {
    let wire = frame(FrameType::Data);
    let length = wire.raw().len() - 4;
    for (limit, ok) in [(length - 1, false), (length, true)] {
        let mut codec = TtStreamCodec::builder().max_frame_len(limit).build();
        let mut src = BytesMut::from(&wire.raw()[..14]);
        let capacity = src.capacity();
        match codec.decode(&mut src) {
            Ok(None) => assert!(ok),
            Err(CodecError::Decode(DecodeError::Header(error))) => {
                let expected =
                    ttheader::DecodeError::TooLarge { field: "LENGTH", offset: 0, expected: limit, actual: length };
                assert_eq!(error, expected);
                assert!(!ok && src.capacity() == capacity, "nothing is reserved for it");
            }
            other => panic!("{other:?}"),
        }
    }
    let mut codec = TtStreamCodec::builder().max_header_len(15).build();
    let error = codec.decode(&mut BytesMut::from(&wire.raw()[..14])).unwrap_err();
    assert_eq!(error.to_string(), "HEADER SIZE at offset 12: expected at most 15, got 16");
    // The default, and little room for a claim within it.
    for (length, ok) in [(16 << 20, true), ((16 << 20) + 1, false), (u32::MAX, false)] {
        let mut src = BytesMut::from(&wire.raw()[..14]);
        src[..4].copy_from_slice(&u32::to_be_bytes(length));
        assert_eq!(TtStreamCodec::default().decode(&mut src).is_ok(), ok);
        assert!(src.capacity() <= 128 << 10);
    }
}

#[test]
fn an_exception_is_read_as_thrift_reads_it() {
    let head = "80010003 00000001 6d 00000007";
    #[rustfmt::skip]
    let cases: &[(&str, i32, &str)] = &[
        ("0b 0001 00000001 78 08 0002 00000006 00", 6, "x"),
        // The other way round, with one missing, with both.
        ("08 0002 00000006 0b 0001 00000001 78 00", 6, "x"),
        ("08 0002 fffffffa 00", -6, ""),
        ("0b 0001 00000001 78 00", 0, "x"),
        ("00", 0, ""),
        // Of two the last; bytes behind the struct.
        ("08 0002 00000001 08 0002 00000002 00 ff", 2, ""),
        // Known ids of another type, and unknown fields of every type there is.
        ("08 0001 00000009 0b 0002 00000001 78 00", 0, ""),
        ("02 0003 01 03 0004 02 04 0005 0000000000000000 06 0006 0001 08 0007 00000001 0a 0008 0000000000000001 \
          0b 0009 00000003 616263 08 0002 00000006 00", 6, ""),
        ("0c 0003 0c 0001 0b 0001 00000001 61 00 00 0f 0004 08 00000002 00000001 00000002 \
          0e 0005 0b 00000001 00000000 0d 0006 0b0c 00000001 00000001 6b 00 0d 0007 0000 00000000 \
          0f 0008 0c 00000002 00 00 0b 0001 00000001 78 00", 0, "x"),
    ];
    for &(body, code, message) in cases {
        let payload = from_hex(&format!("{head}{body}"));
        assert_eq!(Exception::parse(&payload), Ok(Exception::new(Code(code), message.as_bytes())), "{body}");
    }
}

#[test]
fn what_is_no_exception_says_why() {
    let head = "80010003 00000001 6d 00000007";
    let truncated = |field, offset, expected, actual| ExceptionError::Truncated { field, offset, expected, actual };
    let cases: &[(String, ExceptionError)] = &[
        (String::new(), truncated("version", 0, 4, 0)),
        ("8001".to_owned(), truncated("version", 0, 4, 2)),
        ("80010002".to_owned(), ExceptionError::NotAnException { offset: 0, actual: 0x8001_0002 }),
        ("80020003".to_owned(), ExceptionError::NotAnException { offset: 0, actual: 0x8002_0003 }),
        ("00000004 70696e67 03".to_owned(), ExceptionError::NotAnException { offset: 0, actual: 4 }),
        ("80010003 ffffffff".to_owned(), ExceptionError::Negative { field: "name", offset: 4, actual: -1 }),
        ("80010003 00000009 61".to_owned(), truncated("name", 8, 9, 1)),
        ("80010003 00000001 61 0000".to_owned(), truncated("seqid", 9, 4, 2)),
        (head.to_owned(), truncated("field type", 13, 1, 0)),
        (format!("{head} 0b 00"), truncated("field id", 14, 2, 1)),
        (format!("{head} 0b 0001 00000005 61"), truncated("message", 20, 5, 1)),
        (
            format!("{head} 0b 0001 80000000"),
            ExceptionError::Negative { field: "message", offset: 16, actual: i32::MIN },
        ),
        (format!("{head} 08 0002 000000"), truncated("type", 16, 4, 3)),
        (format!("{head} 0b 0001 00000000"), truncated("field type", 20, 1, 0)),
        (format!("{head} 05 0003"), ExceptionError::UnknownType { field: "field type", offset: 16, actual: 5 }),
        (
            format!("{head} 0f 0003 11 00000001"),
            ExceptionError::UnknownType { field: "field type", offset: 21, actual: 0x11 },
        ),
        (format!("{head} 10 0003"), ExceptionError::UnknownType { field: "field type", offset: 16, actual: 16 }),
        // A count is a claim.
        (format!("{head} 0f 0003 0a 7fffffff"), truncated("elements", 21, 8 * 0x7fff_ffff, 0)),
        (format!("{head} 0f 0003 0c 7fffffff 00"), truncated("field type", 22, 1, 0)),
        (format!("{head} 0d 0003 0808 ffffffff"), ExceptionError::Negative { field: "count", offset: 18, actual: -1 }),
    ];
    for (hex, error) in cases {
        let payload = from_hex(hex);
        assert_eq!(Exception::parse(&payload), Err(*error), "{hex}");
        let mut dst = BytesMut::new();
        let encoder = StreamEncoder::new(1, b"m").unwrap();
        encoder.writer(FrameType::Rst, &mut dst).unwrap().finish(payload.len()).unwrap();
        dst.extend_from_slice(&payload);
        let frame = Frame::parse(dst.freeze()).unwrap();
        assert_eq!(frame.reset().exception, Exception::new(Code(13), b"rst"), "{hex}");
        assert_eq!(frame.payload_for(9), payload, "{hex}: sent on as it is");
        let outcome = if payload.is_empty() { Outcome::Success } else { Outcome::Undecodable(*error) };
        assert_eq!(frame.outcome(), outcome);
    }
}

#[test]
fn depth_is_bounded() {
    for (levels, ok) in [(1, true), (63, true), (64, false), (100_000, false)] {
        let mut payload = from_hex("80010003 00000001 6d 00000007");
        payload.extend(from_hex("0c0003").repeat(levels));
        payload.extend(vec![0; levels + 1]);
        let result = Exception::parse(&payload);
        assert_eq!(result.is_ok(), ok, "{levels}");
        if !ok {
            assert_eq!(result, Err(ExceptionError::TooDeep { offset: 13 + 64 * 3, expected: 64 }));
        }
        let mut lists = from_hex("80010003 00000001 6d 00000007 0f0003");
        lists.extend(from_hex("0f 00000001").repeat(levels - 1));
        lists.extend(from_hex("08 00000000 00"));
        assert_eq!(Exception::parse(&lists).is_ok(), ok, "{levels} lists");
    }
}

#[test]
fn what_the_wire_cannot_carry_is_refused_before_anything_is_written() {
    let long = vec![b'x'; 65_536];
    let most = &long[..65_535];
    let encoder = StreamEncoder::new(1, b"m").unwrap();
    let exception = Exception::new(Code(6), b"text");
    let mut dst = BytesMut::from(&b"before"[..]);
    let value = |field| {
        let error = ttheader::EncodeError::StringTooLong { field, expected: 65_535, actual: 65_536 };
        Err(EncodeError::Header(error))
    };
    assert_eq!(encoder.open(&long, [], &mut dst), value("INFO value"));
    assert_eq!(encoder.open(b"s", [(&b"k"[..], &long[..])], &mut dst), value("INFO value"));
    assert_eq!(encoder.header([(&long[..], &b"v"[..])], &mut dst), value("INFO key"));
    assert_eq!(encoder.trailer([(keys::GDPR_TOKEN, &long[..])], &mut dst), value("ACL token"));
    assert_eq!(encoder.exception_trailer([(&b"k"[..], &long[..])], &exception, &mut dst), value("INFO value"));
    assert_eq!(encoder.rst(&exception, &long, &mut dst), value("INFO value"));
    assert_eq!(encoder.meta([(&b"k"[..], &long[..])], 0, &mut dst), value("INFO value"));
    assert_eq!(StreamEncoder::new(1, &long).map(|_| ()), value("INFO value"));
    let whole = [(&b"k"[..], most); 4];
    let too_long = ttheader::EncodeError::HeaderTooLong { expected: 262_140, actual: 2 + 3 + 4 * 65_540 + 3 + 5 + 5 };
    assert_eq!(encoder.trailer(whole, &mut dst), Err(EncodeError::Header(too_long)));
    assert!(matches!(encoder.data(usize::MAX, &mut dst), Err(EncodeError::Header(_))));
    assert!(matches!(encoder.data(0xffff_ffff, &mut dst), Err(EncodeError::Header(_))));
    assert_eq!(dst, b"before"[..]);
    // A text that is no pair may be as long as it likes.
    let exception = Exception::new(Code(6), &long);
    assert_eq!(encoder.exception_trailer(whole[..3].iter().copied(), &exception, &mut dst), Ok(()));
    let frame = Frame::parse(dst.split_off(6).freeze()).unwrap();
    assert_eq!((frame.exception(), frame.pairs().count()), (Ok(exception), 3));
    let longest = StreamEncoder::new(1, most).unwrap();
    longest.half_close(&mut dst);
    assert_eq!(Frame::parse(dst.split_off(6).freeze()).unwrap().method(), most);
    assert_eq!(encoder.data(0xffff_ffff - 26, &mut dst), Ok(()), "LENGTH is full");
    assert_eq!(dst[6..10], [0xff; 4]);
}

#[test]
fn a_writer_that_is_dropped_takes_back_what_it_wrote() {
    let mut dst = BytesMut::from(&b"before"[..]);
    let mut writer = FrameWriter::new(FrameType::Header, 1, b"m", &mut dst).unwrap();
    writer.string(b"k", b"v").unwrap();
    drop(writer);
    assert_eq!(dst, b"before"[..]);
}

#[test]
fn stream_id_0_is_not_written_and_opens_nothing() {
    assert_eq!(StreamEncoder::new(0, b"m"), Err(EncodeError::ReservedId));
    let mut dst = BytesMut::new();
    assert_eq!(FrameWriter::new(FrameType::Data, 0, b"m", &mut dst).map(|_| ()), Err(EncodeError::ReservedId));
    assert_eq!(frame(FrameType::Data).encode_head_with_id(0, &mut dst), Err(EncodeError::ReservedId));
    assert!(dst.is_empty());

    for kind in KINDS {
        let mut wire = BytesMut::from(&frame(kind).raw()[..]);
        set_seq(&mut wire, 0).unwrap();
        assert_eq!(opens(&frame(kind)), Ok(kind == FrameType::Header));
        let reserved = TtStreamCodec::default().decode(&mut wire).unwrap().unwrap();
        let expected = if kind == FrameType::Header { Err(ConnectionError::ReservedId) } else { Ok(false) };
        assert_eq!(opens(&reserved), expected);
    }
    assert_eq!(ConnectionError::ReservedId.code(), Code::ILLEGAL_FRAME);
}

#[test]
fn a_second_header_ends_the_connection() {
    let header = frame(FrameType::Header);
    let mut client = Client::new();
    assert_eq!(client.received(&header), Ok((ClientEvent::Header, Writes::NONE)));
    assert!(client.header_came() && client.is_open());
    let error = client.received(&header).unwrap_err();
    assert_eq!((error, error.code()), (ConnectionError::SecondHeader { id: 1 }, Code::UNEXPECTED_HEADER));
    assert!(client.is_closed());

    for half_closed in [false, true] {
        let mut server = Server::new();
        if half_closed {
            assert_eq!(server.received(&frame(FrameType::Trailer)), Ok(ServerEvent::HalfClose(Outcome::Success)));
        }
        let error = server.received(&header).unwrap_err();
        assert_eq!((error, error.code()), (ConnectionError::IdReused { id: 1 }, Code::ILLEGAL_FRAME));
        assert!(server.is_closed());
    }
}

#[test]
fn a_client_that_has_ended_ignores_and_refuses_everything() {
    let ends: [fn(&mut Client); 4] = [
        |client| assert!(!client.cancel().is_empty()),
        |client| assert!(client.lost()),
        |client| assert!(client.received(&frame(FrameType::Trailer)).is_ok()),
        |client| assert!(client.received(&frame(FrameType::Rst)).is_ok()),
    ];
    for end in ends {
        let mut client = Client::new();
        end(&mut client);
        assert!(client.is_closed() && !client.is_open());
        for kind in KINDS {
            assert_eq!(client.received(&frame(kind)), Ok((ClientEvent::Ignored, Writes::NONE)));
        }
        assert_eq!(client.send_message(), Err(Refused::Closed));
        assert_eq!((client.half_close(), client.cancel(), client.lost()), (Writes::NONE, Writes::NONE, false));
    }
}

#[test]
fn a_server_that_has_ended_ignores_and_refuses_everything() {
    let ends: [fn(&mut Server); 4] = [
        |server| assert!(!server.finish().is_empty()),
        |server| assert!(!server.reset().is_empty()),
        |server| assert!(server.lost()),
        |server| assert!(server.received(&frame(FrameType::Rst)).is_ok()),
    ];
    for end in ends {
        let mut server = Server::new();
        end(&mut server);
        assert!(server.is_closed() && !server.is_open());
        for kind in KINDS {
            assert_eq!(server.received(&frame(kind)), Ok(ServerEvent::Ignored));
        }
        assert_eq!(server.send_header(), Err(Refused::Closed));
        assert_eq!(server.send_message(), Err(Refused::Closed));
        assert_eq!((server.finish(), server.reset(), server.lost()), (Writes::NONE, Writes::NONE, false));
    }
}

#[test]
fn a_header_goes_before_whatever_comes_first() {
    let (header, data, trailer) = (FrameType::Header, FrameType::Data, FrameType::Trailer);
    let kinds = |writes: Writes| writes.kinds().collect::<Vec<_>>();

    let mut server = Server::new();
    assert_eq!(kinds(server.send_message().unwrap()), [header, data]);
    assert_eq!(kinds(server.send_message().unwrap()), [data]);
    assert_eq!(server.send_header(), Err(Refused::HeaderSent));
    assert_eq!(kinds(server.finish()), [trailer]);

    let mut server = Server::new();
    assert_eq!(kinds(server.send_header().unwrap()), [header]);
    assert!(server.header_sent());
    assert_eq!(kinds(server.send_message().unwrap()), [data]);
    assert_eq!(kinds(server.reset()), [FrameType::Rst]);

    assert_eq!(kinds(Server::new().finish()), [header, trailer]);
    assert_eq!(kinds(Server::new().reset()), [FrameType::Rst]);
}

#[test]
fn a_client_sends_one_trailer_however_it_ends() {
    let (rst, trailer) = (FrameType::Rst, FrameType::Trailer);
    for half_closed in [false, true] {
        let new = || {
            let mut client = Client::new();
            if half_closed {
                assert!(client.half_close().kinds().eq([trailer]));
                assert_eq!(client.half_close(), Writes::NONE);
                assert_eq!(client.send_message(), Err(Refused::HalfClosed));
            }
            client
        };
        let due = if half_closed { vec![] } else { vec![trailer] };
        for kind in [trailer, rst] {
            assert_eq!(new().received(&frame(kind)).unwrap().1.kinds().collect::<Vec<_>>(), due);
        }
        assert_eq!(new().cancel().kinds().collect::<Vec<_>>(), [vec![rst], due].concat());
    }
}

#[test]
fn data_may_come_before_the_header_and_stops_at_the_trailer() {
    let mut client = Client::new();
    assert_eq!(client.received(&frame(FrameType::Data)), Ok((ClientEvent::Message, Writes::NONE)));
    assert_eq!(client.received(&frame(FrameType::Meta)), Ok((ClientEvent::Meta, Writes::NONE)));
    assert_eq!(client.received(&frame(FrameType::Header)), Ok((ClientEvent::Header, Writes::NONE)));

    let mut server = Server::new();
    assert_eq!(server.received(&frame(FrameType::Meta)), Ok(ServerEvent::Ignored));
    assert_eq!(server.received(&frame(FrameType::Data)), Ok(ServerEvent::Message));
    assert_eq!(server.received(&frame(FrameType::Trailer)), Ok(ServerEvent::HalfClose(Outcome::Success)));
    for kind in [FrameType::Data, FrameType::Trailer, FrameType::Meta] {
        assert_eq!(server.received(&frame(kind)), Ok(ServerEvent::Ignored), "{kind:?}");
    }
    assert!(!server.is_closed());
    assert!(matches!(server.received(&frame(FrameType::Rst)), Ok(ServerEvent::Reset(_))));
    assert!(server.is_closed());
}

#[test]
fn a_machine_is_two_bytes() {
    assert_eq!((size_of::<Client>(), size_of::<Server>()), (2, 2));
}

#[test]
fn logs_show_what_a_frame_is() {
    let shown = format!("{:?}", frame(FrameType::Data));
    for part in ["Data", "stream_id: 1", "payload_len: 3", "\"m\""] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let mut dst = BytesMut::new();
    let encoder = StreamEncoder::new(1, b"m").unwrap();
    encoder.rst(&Exception::new(Code(7), b"why\xff"), b"A,B", &mut dst).unwrap();
    let shown = format!("{:?}", Frame::parse(dst.split().freeze()).unwrap().reset());
    assert_eq!(shown, r#"Reset { exception: Exception { code: 7, message: "why\xff" }, cancel_path: "A,B" }"#);
    encoder.trailer([(keys::BIZ_STATUS, &b"5"[..]), (keys::BIZ_EXTRA, b"{}")], &mut dst).unwrap();
    let shown = format!("{:?}", Frame::parse(dst.freeze()).unwrap().outcome());
    assert_eq!(shown, r#"Business(BusinessError { status: 5, message: "", extra: "{}" })"#);
}

/// Stream 1, method `m`; a message of three bytes in a data frame.
fn frame(kind: FrameType) -> Frame {
    let payload = if kind == FrameType::Data { Bytes::from_static(b"abc") } else { Bytes::new() };
    let mut dst = BytesMut::new();
    let encoder = StreamEncoder::new(1, b"m").unwrap();
    encoder.writer(kind, &mut dst).unwrap().finish(payload.len()).unwrap();
    dst.extend_from_slice(&payload);
    Frame::parse(dst.freeze()).unwrap()
}

const KINDS: [FrameType; 5] = [FrameType::Meta, FrameType::Header, FrameType::Data, FrameType::Trailer, FrameType::Rst];
