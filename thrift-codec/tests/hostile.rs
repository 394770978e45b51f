//! What a peer may try, and the exact error it gets.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use testkit::from_hex;
use thrift_codec::{
    ApplicationException, BufferedCodec, BufferedCodecBuilder, CodecError, DecodeError, EncodeError, ErrorProto,
    MAX_DEPTH, MAX_EAGER_RESERVE, MessageHeader, MessageType, Skipper, TType, Version,
    binary::{ListHeader, MapHeader, Reader, Writer},
    set_seqid, skip_struct,
};
use tokio_util::codec::{Decoder, Encoder};

/// The envelope of `m`, thirteen bytes long.
const ENVELOPE: &str = "8001 0001 00000001 6d 00000007";
const ENVELOPE_LEN: usize = 13;

fn message(body: &str) -> Vec<u8> {
    from_hex(&format!("{ENVELOPE} {body}"))
}

fn decode(codec: BufferedCodecBuilder, src: &[u8]) -> Result<Option<Bytes>, DecodeError> {
    told(codec.build().decode(&mut BytesMut::from(src)))
}

fn told(result: Result<Option<Bytes>, CodecError>) -> Result<Option<Bytes>, DecodeError> {
    result.map_err(|error| match error {
        CodecError::Decode(error) => error,
        error => panic!("{error}"),
    })
}

/// The one error of `body`, which must be the same in one piece and byte by byte.
fn skip_error(body: &[u8]) -> DecodeError {
    let whole = Skipper::new_struct().skip(body).unwrap_err();
    let mut skipper = Skipper::new_struct();
    let split = body.chunks(1).find_map(|byte| skipper.skip(byte).err()).unwrap();
    assert_eq!(split, whole);
    assert_eq!(skipper.skip(body), Err(whole), "there is no going on");
    assert_eq!(skip_struct(body), Err(whole));
    whole
}

#[test]
fn other_protocols_are_told_as_soon_as_they_are_certain() {
    for (prefix, verdict) in [
        ("", Ok(())),
        ("80", Ok(())),
        ("90", Ok(())),
        ("8001 0001 0000", Ok(())),
        ("82", Err(DecodeError::Compact { offset: 0 })),
        ("00", Err(DecodeError::Unversioned { offset: 0 })),
        ("8002", Err(DecodeError::BadVersion { offset: 0, expected: 0x8001, actual: 0x8002 })),
        ("9002", Err(DecodeError::BadVersion { offset: 0, expected: 0x8001, actual: 0x9002 })),
        ("4745 5420", Err(DecodeError::BadVersion { offset: 0, expected: 0x8001, actual: 0x4745 })),
        ("1603 0102", Err(DecodeError::BadVersion { offset: 0, expected: 0x8001, actual: 0x1603 })),
    ] {
        let prefix = from_hex(prefix);
        assert_eq!(MessageHeader::peek(&prefix, 16).map(|header| assert!(header.is_none())), verdict, "{prefix:02x?}");
    }
}

#[test]
fn a_name_may_have_the_limit_and_not_a_byte_more() {
    for (len, verdict) in [(3, Ok(())), (4, Ok(()))] {
        let src = from_hex(&format!("80010001 {len:08x}"));
        assert_eq!(MessageHeader::peek(&src, 4).map(drop), verdict);
    }
    let error = DecodeError::TooLong { field: "method name length", offset: 4, max: 4, actual: 5 };
    let src = from_hex("80010001 00000005");
    assert_eq!(MessageHeader::peek(&src, 4), Err(error));
    assert_eq!(decode(BufferedCodec::builder().max_name_len(4), &src), Err(error));
    let error = DecodeError::TooLong { field: "method name length", offset: 4, max: 4096, actual: 0x7fff_ffff };
    assert_eq!(decode(BufferedCodec::builder(), &from_hex("80010001 7fffffff")), Err(error));
}

#[test]
fn a_name_is_not_of_negative_length() {
    let error = DecodeError::Negative { field: "method name length", offset: 4, actual: -1 };
    let mut src = from_hex("80010001 ffffffff 00000000");
    assert_eq!(MessageHeader::peek(&src, usize::MAX), Err(error));
    assert_eq!(MessageHeader::parse(&src), Err(error));
    assert_eq!(set_seqid(&mut src, 1), Err(error));
    assert_eq!(error.to_string(), "method name length at offset 4: -1 is negative");
}

#[test]
fn a_whole_message_that_ends_in_its_envelope_says_where() {
    let src = message("");
    let fields = [
        ("version", 0, 2),
        ("message type", 2, 2),
        ("method name length", 4, 4),
        ("method name", 8, 1),
        ("seqid", 9, 4),
    ];
    for (field, offset, expected) in fields {
        for actual in 0..expected {
            let error = DecodeError::Truncated { field, offset, expected, actual };
            assert_eq!(MessageHeader::parse(&src[..offset + actual]), Err(error));
            assert_eq!(MessageHeader::peek(&src[..offset + actual], 16), Ok(None));
        }
    }
    assert!(MessageHeader::parse(&src).is_ok());
    assert_eq!(
        MessageHeader::parse(&src[..8]).unwrap_err().to_string(),
        "method name at offset 8: needs 1 bytes, 0 left"
    );
}

#[test]
fn all_sixteen_bits_of_the_message_type_are_kept() {
    let src = from_hex("80010101 00000000 00000007");
    let header = MessageHeader::parse(&src).unwrap();
    assert_eq!(header.message_type, MessageType(0x0101));
    assert_eq!(header, MessageHeader::new(Version::THRIFT, MessageType(0x0101), b"", 7));
}

#[test]
fn a_failed_patch_leaves_the_message_alone() {
    let whole = message("");
    for len in 0..whole.len() {
        let mut cut = whole[..len].to_vec();
        assert!(set_seqid(&mut cut, 1).is_err());
        assert_eq!(cut, whole[..len]);
    }
}

#[test]
fn sixty_four_levels_are_passed_over_and_sixty_five_are_not() {
    let nested = |levels: usize| [vec![[0x0c, 0, 1]; levels - 1].concat(), vec![0; levels]].concat();
    assert_eq!(skip_struct(&nested(MAX_DEPTH)), Ok(MAX_DEPTH * 4 - 3));
    let error = DecodeError::TooDeep { offset: MAX_DEPTH * 3, max: MAX_DEPTH };
    assert_eq!(skip_error(&nested(MAX_DEPTH + 1)), error);
    assert_eq!(error.to_string(), "value at offset 192: nested deeper than 64 levels");
}

#[test]
fn every_container_is_a_level_even_of_scalars_and_of_nothing() {
    for inner in
        ["0f 0001 03 00000001 ff", "0e 0001 03 00000000", "0d 0001 0303 00000000", "0d 0001 0303 00000001 0102"]
    {
        let at_64 = [[[0x0c, 0, 1]; 62].concat(), from_hex(inner), vec![0; 63]].concat();
        assert_eq!(skip_struct(&at_64), Ok(at_64.len()), "{inner}");
        let at_65 = [[[0x0c, 0, 1]; 63].concat(), from_hex(inner), vec![0; 64]].concat();
        assert_eq!(skip_error(&at_65), DecodeError::TooDeep { offset: 63 * 3 + 3, max: 64 }, "{inner}");
    }
    // Of each level, elements that are containers: lists of lists, of maps, of structs.
    let lists = [from_hex("0f 0001"), from_hex("0f 00000001").repeat(63), from_hex("0f 00000000 00")].concat();
    assert_eq!(skip_error(&lists), DecodeError::TooDeep { offset: 3 + 63 * 5, max: 64 });
    let lists = [from_hex("0f 0001"), from_hex("0f 00000001").repeat(62), from_hex("0f 00000000 00")].concat();
    assert_eq!(skip_struct(&lists), Ok(lists.len()));
}

#[test]
fn the_depth_may_be_limited_further() {
    let two = from_hex("0c 0001 00 00");
    let error = DecodeError::TooDeep { offset: 3, max: 1 };
    assert_eq!(Skipper::new_struct().with_max_depth(2).skip(&two), Ok(Some(5)));
    assert_eq!(Skipper::new_struct().with_max_depth(1).skip(&two), Err(error));
    assert_eq!(Reader::new(&two).skip_within(TType::STRUCT, 1), Err(error));
    assert_eq!(Reader::at(&two, 100).skip_within(TType::STRUCT, 1), Err(error.shifted(100)));
    assert_eq!(Skipper::new(TType::I32).with_max_depth(0).skip(&[0; 4]), Ok(Some(4)), "a scalar has no level");
    assert_eq!(Skipper::new_struct().with_max_depth(0).skip(&[0]), Err(DecodeError::TooDeep { offset: 0, max: 0 }));
    let error = error.shifted(ENVELOPE_LEN);
    assert_eq!(decode(BufferedCodec::builder().max_depth(1), &message("0c 0001 00 00")), Err(error));
    assert_eq!(
        Skipper::new_struct().with_max_depth(1000).skip(&[[12, 0, 1].repeat(64), vec![0; 65]].concat()),
        Err(DecodeError::TooDeep { offset: 192, max: 64 }),
        "64 is all there is"
    );
}

#[test]
fn negative_lengths_and_counts_are_errors_with_their_place() {
    let negative = |field, offset| DecodeError::Negative { field, offset, actual: -2 };
    assert_eq!(skip_error(&from_hex("0b 0001 fffffffe")), negative("string length", 3));
    assert_eq!(skip_error(&from_hex("0f 0001 0b fffffffe")), negative("element count", 4));
    assert_eq!(skip_error(&from_hex("0e 0001 03 fffffffe")), negative("element count", 4));
    assert_eq!(skip_error(&from_hex("0d 0001 0b03 fffffffe")), negative("pair count", 5));
    assert_eq!(skip_error(&from_hex("0f 0001 0b 00000002 00000000 fffffffe")), negative("string length", 12));
    assert_eq!(skip_error(&from_hex("0d 0001 080b 00000001 00000000 fffffffe")), negative("string length", 13));
    let error = Reader::new(&from_hex("fffffffe")).bytes().unwrap_err();
    assert_eq!(error, negative("string length", 0));
}

/// What a Kitex generic server ends a void call with (generic-call 3.11): nothing else says how long it is in Buffered.
#[test]
fn a_field_of_type_void_is_a_struct_without_fields() {
    assert_eq!(skip_struct(&from_hex("01 0000 00 00 ff")), Ok(5));
    assert_eq!(skip_struct(&from_hex("08 0001 00000007 01 0000 00 0b 0002 00000001 61 00")), Ok(20));
    // By whoever reads field by field, too.
    assert_eq!(Skipper::new(TType::VOID).skip(&[0, 7]), Ok(Some(1)));
    let body = from_hex("01 0000 00 080002 00000006 00");
    assert_eq!(ApplicationException::parse(&body).map(|exception| exception.code), Ok(6));
    let mut skipper = Skipper::new_struct();
    for byte in [1, 0, 0, 0] {
        assert_eq!(skipper.skip(&[byte]), Ok(None));
    }
    assert_eq!(skipper.skip(&[0]), Ok(Some(1)));
}

#[test]
fn unknown_types_are_errors_with_their_place() {
    let unknown = |field, offset, actual| DecodeError::UnknownType { field, offset, actual };
    for ttype in [1, 5, 7, 9, 16, 17, 0x7f, 0xff] {
        if TType(ttype) != TType::VOID {
            assert_eq!(skip_error(&[8, 0, 1, 0, 0, 0, 0, ttype, 0, 1]), unknown("field type", 7, ttype));
        }
        assert_eq!(skip_error(&[15, 0, 1, ttype, 0, 0, 0, 1]), unknown("element type", 3, ttype));
        assert_eq!(skip_error(&[13, 0, 1, ttype, 8, 0, 0, 0, 1]), unknown("key type", 3, ttype));
        assert_eq!(skip_error(&[13, 0, 1, 8, ttype, 0, 0, 0, 1]), unknown("value type", 4, ttype));
        if TType(ttype) != TType::VOID {
            assert_eq!(Skipper::new(TType(ttype)).skip(&[0; 20]), Err(unknown("field type", 0, ttype)));
        }
    }
    assert_eq!(Skipper::new(TType::STOP).skip(&[0; 20]), Err(unknown("field type", 0, 0)));
    assert_eq!(skip_error(&[15, 0, 1, 0, 0, 0, 0, 1]), unknown("element type", 3, 0));
}

#[test]
fn a_claimed_count_costs_nothing_until_the_bytes_are_there() {
    for (body, pending) in [
        ("0f 0001 0a 7fffffff", 0x7fff_ffff * 8),
        ("0d 0001 0a0a 7fffffff", 0x7fff_ffff * 16),
        ("0b 0001 7fffffff", 0x7fff_ffff),
        // Of what has no fixed size, one byte is certain to come.
        ("0f 0001 0c 7fffffff", 1),
        ("0f 0001 0b 7fffffff", 1),
        ("0d 0001 0b0b 7fffffff", 1),
    ] {
        let mut skipper = Skipper::new_struct();
        assert_eq!(skipper.skip(&from_hex(body)), Ok(None), "{body}");
        assert_eq!(skipper.pending(), pending, "{body}");
    }
}

#[test]
fn two_billion_empty_structs_cost_a_byte_each() {
    let mut skipper = Skipper::new_struct();
    assert_eq!(skipper.skip(&from_hex("0f 0001 0c 7fffffff")), Ok(None));
    assert_eq!(skipper.skip(&[0; 100_000]), Ok(None));
    assert_eq!(skipper.offset(), 100_008);
}

#[test]
fn a_long_message_byte_by_byte_takes_linear_time() {
    // Were the message walked from its start for each byte, this would take hours.
    let body = [vec![[8, 0, 1, 0, 0, 0, 0]; 150_000].concat(), vec![0]].concat();
    let bytes = [message(""), body].concat();
    let mut codec = BufferedCodec::default();
    let mut src = BytesMut::new();
    let (last, all_others) = bytes.split_last().unwrap();
    for byte in all_others {
        src.extend_from_slice(&[*byte]);
        assert!(codec.decode(&mut src).unwrap().is_none());
    }
    src.extend_from_slice(&[*last]);
    assert_eq!(codec.decode(&mut src).unwrap().unwrap(), bytes);
}

#[test]
fn one_byte_below_the_limit_the_limit_and_one_byte_above_it() {
    let bytes = message("0b 0001 00000002 6869 00");
    let codec = |max| BufferedCodec::builder().max_message_len(max);
    assert_eq!(decode(codec(bytes.len() + 1), &bytes).unwrap().unwrap(), bytes);
    assert_eq!(decode(codec(bytes.len()), &bytes).unwrap().unwrap(), bytes);
    let too_long = |max, actual| DecodeError::TooLong { field: "message", offset: 0, max, actual };
    assert_eq!(decode(codec(bytes.len() - 1), &bytes), Err(too_long(22, 23)));
    // As soon as the length is read, which says that two more bytes are to come.
    assert_eq!(decode(codec(bytes.len() - 2), &bytes[..20]), Err(too_long(21, 22)));
    assert_eq!(decode(codec(bytes.len() - 2), &bytes[..19]), Ok(None));
    assert_eq!(decode(codec(12), &bytes), Err(too_long(12, 13)), "the envelope alone");
    let huge = message("0f 0001 0a 7fffffff");
    assert_eq!(decode(codec(1 << 24), &huge), Err(too_long(1 << 24, ENVELOPE_LEN + 8 + 0x7fff_ffff * 8)));
}

#[test]
fn a_claimed_length_reserves_little() {
    let mut src = BytesMut::from(&message("0b 0001 7fffffff")[..]);
    let mut codec = BufferedCodec::builder().max_message_len(usize::MAX).build();
    assert!(codec.decode(&mut src).unwrap().is_none());
    assert!(src.capacity() <= 2 * MAX_EAGER_RESERVE, "{} bytes for twenty", src.capacity());
}

#[test]
fn an_error_stays_an_error() {
    let mut codec = BufferedCodec::default();
    let mut src = BytesMut::from(&message("63 0001")[..]);
    let error = DecodeError::UnknownType { field: "field type", offset: ENVELOPE_LEN, actual: 0x63 };
    assert_eq!(told(codec.decode(&mut src)), Err(error));
    src.extend_from_slice(&message("00"));
    assert_eq!(told(codec.decode(&mut src)), Err(error));
    assert_eq!(told(codec.decode_eof(&mut src)), Err(error));
}

#[test]
fn the_end_of_the_stream_says_what_is_missing() {
    let at_eof = |src: &[u8]| told(BufferedCodec::default().decode_eof(&mut BytesMut::from(src)));
    let truncated = |field, offset, expected, actual| DecodeError::Truncated { field, offset, expected, actual };
    assert_eq!(at_eof(b""), Ok(None));
    assert_eq!(at_eof(&from_hex("8001 00")), Err(truncated("message type", 2, 2, 1)));
    assert_eq!(at_eof(&message("")), Err(truncated("field type", 13, 1, 0)));
    assert_eq!(at_eof(&message("0b")), Err(truncated("string", 13, 7, 1)));
    assert_eq!(at_eof(&message("0b 0001 00000003 6869")), Err(truncated("string", 13, 10, 9)));
    assert_eq!(at_eof(&message("0a 0001 00")), Err(truncated("i64", 13, 11, 4)));
    assert_eq!(at_eof(&message("0f 0001 0b 00000002 00000000")), Err(truncated("string", 25, 4, 0)));
    assert_eq!(at_eof(&message("0d 0001 0308 00000002 00")), Err(truncated("map", 13, 19, 10)));
    assert_eq!(at_eof(&message("00")).unwrap().unwrap(), message("00"));
}

#[test]
fn a_reader_believes_no_count_that_the_bytes_cannot_hold() {
    let truncated = |field, offset, expected, actual| DecodeError::Truncated { field, offset, expected, actual };
    let list = |src: &str| Reader::new(&from_hex(src)).list_header().map(|header| header.count);
    assert_eq!(list("0a 00000002 0000000000000001 0000000000000002"), Ok(2));
    assert_eq!(list("0a 00000002 0000000000000001 00000000000000"), Err(truncated("elements", 5, 16, 15)));
    assert_eq!(list("0c 7fffffff 00"), Err(truncated("elements", 5, 0x7fff_ffff, 1)));
    let map = |src: &str| Reader::new(&from_hex(src)).map_header().map(|header| header.count);
    assert_eq!(map("030b 00000001 01 00000000"), Ok(1));
    assert_eq!(map("030b 00000001 01 000000"), Err(truncated("pairs", 6, 5, 4)));
    assert_eq!(Reader::new(&from_hex("00000003 6869")).bytes(), Err(truncated("string", 4, 3, 2)));
}

#[test]
fn an_error_leaves_the_reader_where_it_was() {
    let src = from_hex("0b 00");
    let mut reader = Reader::at(&src, 7);
    assert!(reader.field_header().is_err());
    assert!(reader.list_header().is_err());
    assert!(reader.map_header().is_err());
    assert!(reader.bytes().is_err());
    assert!(reader.i64().is_err());
    assert!(reader.skip(TType::STRUCT).is_err());
    assert_eq!((reader.rest(), reader.offset()), (&src[..], 7));
}

#[test]
fn a_damaged_exception_says_where() {
    let truncated = |field, offset, expected, actual| DecodeError::Truncated { field, offset, expected, actual };
    for (body, error) in [
        ("", truncated("field type", 0, 1, 0)),
        ("0b 00", truncated("field id", 1, 2, 1)),
        ("0b 0001 000000", truncated("string length", 3, 4, 3)),
        ("0b 0001 00000002 68", truncated("string", 7, 2, 1)),
        ("0b 0001 00000000 08 0002 00", truncated("code", 10, 4, 1)),
        ("0b 0001 80000000", DecodeError::Negative { field: "string length", offset: 3, actual: i32::MIN }),
        ("0f 0003 0b 00000002 00000000 00", truncated("string", 12, 4, 1)),
        ("0f 0003 01 00000001", DecodeError::UnknownType { field: "element type", offset: 3, actual: 1 }),
    ] {
        assert_eq!(ApplicationException::parse(&from_hex(body)), Err(error), "{body}");
    }
    let deep = [[[0x0c, 0, 9]; 64].concat(), vec![0; 65]].concat();
    assert_eq!(ApplicationException::parse(&deep), Err(DecodeError::TooDeep { offset: 64 * 3, max: 63 }));
}

#[test]
fn a_damaged_protobuf_error_says_where() {
    let truncated = |field, offset, expected, actual| DecodeError::Truncated { field, offset, expected, actual };
    let not_protobuf = |field, offset, actual| DecodeError::NotProtobuf { field, offset, actual };
    for (body, error) in [
        ("08", truncated("varint", 1, 1, 0)),
        ("08 ff", truncated("varint", 1, 2, 1)),
        ("80", truncated("tag", 0, 2, 1)),
        ("12 05 61", truncated("bytes", 2, 5, 1)),
        ("12 ffffffffffffffffff01 61", truncated("bytes", 11, usize::MAX, 1)),
        ("09 00", truncated("fixed64", 1, 8, 1)),
        ("0d 00", truncated("fixed32", 1, 4, 1)),
        ("00", not_protobuf("tag", 0, 0)),
        ("07", not_protobuf("tag", 0, 7)),
        ("0807 0b", not_protobuf("tag", 2, 0x0b)),
        ("808080801000", not_protobuf("tag", 0, 1 << 32)),
        ("08 ffffffffffffffffffff", not_protobuf("varint", 1, u64::MAX)),
    ] {
        assert_eq!(ErrorProto::parse(&from_hex(body)), Err(error), "{body}");
    }
}

#[test]
fn what_is_too_long_to_send_is_refused_and_nothing_is_written() {
    let mut codec = BufferedCodec::builder().max_message_len(ENVELOPE_LEN + 1).build();
    let mut dst = BytesMut::new();
    codec.encode(message("00").into(), &mut dst).unwrap();
    let before = dst.clone();
    let Err(CodecError::Encode(error)) = codec.encode(message("08 0001 00000000 00").into(), &mut dst) else {
        panic!("it was taken");
    };
    assert_eq!(error, EncodeError::TooLong { field: "message", max: 14, actual: 21 });
    assert_eq!(dst, before);
}

#[test]
fn a_stream_that_is_not_ours_is_refused_as_soon_as_it_is_certain() {
    let version = |actual| DecodeError::BadVersion { offset: 0, expected: 0x8001, actual };
    for (stream, certain, error) in [
        ("00000004 6563686f 01 00000001 00", 1, DecodeError::Unversioned { offset: 0 }),
        ("82 21 01 04 6563686f 18 02 6869 00", 1, DecodeError::Compact { offset: 0 }),
        ("8002 0001 00000004", 2, version(0x8002)),
        // An envelope as good as ours, around a body that does not say where it ends.
        ("9001 0001 00000004 4563686f 00000001 0a026869", 16, version(0x9001)),
    ] {
        let stream = from_hex(stream);
        for len in 0..=stream.len() {
            let expected = if len < certain { Ok(None) } else { Err(error) };
            assert_eq!(decode(BufferedCodec::builder(), &stream[..len]), expected, "{error}, {len} bytes");
        }
    }
    assert_eq!(
        DecodeError::Unversioned { offset: 0 }.to_string(),
        "message at offset 0: the Binary form without a version is not spoken"
    );
    assert_eq!(
        DecodeError::Compact { offset: 0 }.to_string(),
        "message at offset 0: the Compact protocol is not spoken"
    );
    assert_eq!(version(0x9001).to_string(), "version at offset 0: expected 0x8001, got 0x9001");
}

#[test]
fn what_a_reader_says_counts_from_where_it_was_told_to() {
    fn check<T>(bytes: &str, read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>, error: DecodeError) {
        let bytes = from_hex(bytes);
        let mut reader = Reader::at(&bytes, 100);
        assert_eq!(read(&mut reader).map(drop), Err(error));
        assert_eq!((reader.offset(), reader.rest()), (100, &bytes[..]), "{error}");
    }
    let text = |reader: &mut Reader<'_>| reader.bytes().map(<[u8]>::len);
    let truncated = |field, offset, expected, actual| DecodeError::Truncated { field, offset, expected, actual };
    let negative = |field, offset| DecodeError::Negative { field, offset, actual: -1 };
    let unknown = |field, offset| DecodeError::UnknownType { field, offset, actual: 16 };
    check("", |reader| reader.bool(), truncated("bool", 100, 1, 0));
    check("", |reader| reader.i8(), truncated("i8", 100, 1, 0));
    check("00", |reader| reader.i16(), truncated("i16", 100, 2, 1));
    check("000000", |reader| reader.i32(), truncated("i32", 100, 4, 3));
    check("000000", |reader| reader.i64(), truncated("i64", 100, 8, 3));
    check("000000", |reader| reader.double(), truncated("double", 100, 8, 3));
    check("000000", text, truncated("string length", 100, 4, 3));
    check("00000002 61", text, truncated("string", 104, 2, 1));
    check("ffffffff", text, negative("string length", 100));
    check("", |reader| reader.field_header(), truncated("field type", 100, 1, 0));
    check("08 00", |reader| reader.field_header(), truncated("field id", 101, 2, 1));
    check("08 0000", |reader| reader.list_header(), truncated("element count", 101, 4, 2));
    check("08 ffffffff", |reader| reader.list_header(), negative("element count", 101));
    check("10 00000001", |reader| reader.list_header(), unknown("element type", 100));
    check("08", |reader| reader.map_header(), truncated("key and value type", 100, 2, 1));
    check("0808 0000", |reader| reader.map_header(), truncated("pair count", 102, 4, 2));
    check("0808 ffffffff", |reader| reader.map_header(), negative("pair count", 102));
    check("1008 00000001", |reader| reader.map_header(), unknown("key type", 100));
    check("0810 00000001", |reader| reader.map_header(), unknown("value type", 101));
    check("0b 0001 ffffffff", |reader| reader.skip(TType::STRUCT), negative("string length", 103));
    check("0c 0001 00", |reader| reader.skip(TType::STRUCT), truncated("field type", 104, 1, 0));
}

#[test]
fn a_count_that_its_field_cannot_say_is_refused_and_nothing_is_written() {
    let most = usize::try_from(i32::MAX).unwrap();
    let too_long = |field| Err(EncodeError::TooLong { field, max: most, actual: most + 1 });
    let mut dst = BytesMut::new();
    let mut writer = Writer::new(&mut dst);
    assert_eq!(writer.list_header(ListHeader { element: TType::I8, count: most + 1 }), too_long("element count"));
    let map = MapHeader { key: TType::I8, value: TType::I8, count: most + 1 };
    assert_eq!(writer.map_header(map), too_long("pair count"));
    assert!(dst.is_empty());
    Writer::new(&mut dst).list_header(ListHeader { element: TType::I8, count: most }).unwrap();
    assert_eq!(dst, from_hex("03 7fffffff"));
}

// Zeros that nobody reads take no memory.
#[cfg(target_pointer_width = "64")]
#[test]
fn a_text_that_its_length_cannot_say_is_refused_and_nothing_is_written() {
    let long = vec![0; 1 << 31];
    let too_long = |field| Err(EncodeError::TooLong { field, max: (1 << 31) - 1, actual: 1 << 31 });
    let mut dst = BytesMut::from(&b"before"[..]);
    assert_eq!(Writer::new(&mut dst).bytes(&long), too_long("string length"));
    assert_eq!(
        MessageHeader::new(Version::THRIFT, MessageType::CALL, &long, 1).encode(&mut dst),
        too_long("method name")
    );
    assert_eq!(dst, b"before"[..]);
}

#[test]
fn a_field_of_an_exception_with_a_type_that_nobody_knows_is_refused_where_it_stands() {
    let error = DecodeError::UnknownType { field: "field type", offset: 7, actual: 16 };
    assert_eq!(ApplicationException::parse(&from_hex("08 0002 00000006 10 0003 00")), Err(error));
}
