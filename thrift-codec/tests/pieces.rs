//! However a value or a stream is cut into pieces, what comes of it is the same: its end, its error, what is missing.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use testkit::{assert_every_cut_is_an_error, assert_split_invariant, from_hex, vector};
use thrift_codec::{BufferedCodec, DecodeError, MAX_DEPTH, Skipper, TType};

#[test]
fn a_message_over_the_limit_has_the_same_error() {
    // What is too long is one value, many small ones, or what is malformed besides.
    for body in ["0b 0001 00000014", "03 0001 00", "0f 0001 0c 7fffffff 00 00 00 00", "03 0001 00 03 0002 00 01"] {
        let wire = [message(body), from_hex("03 0003 00").repeat(8), vec![0]].concat();
        for limit in 0..wire.len() {
            assert_split_invariant(|| BufferedCodec::builder().max_message_len(limit).build(), &wire);
        }
    }
}

#[test]
fn a_stream_that_stops_being_ours_has_the_same_error() {
    let call = vector("buffered_call").bytes;
    for name in
        ["framed_call", "neg_pb_buffered", "neg_framed_unversioned", "ttheader_call_minimal", "mesh_framed_call"]
    {
        assert_split_invariant(BufferedCodec::default, [&call[..], &vector(name).bytes].concat());
    }
    for body in
        ["01", "0b 0001 ffffffff", "0f 0001 10 00000001", "0c 0001 0d 0001 0b05 00000001", "0d 0001 0b0f 00000001"]
    {
        assert_split_invariant(BufferedCodec::default, [&call[..], &message(body)].concat());
    }
    for compact in ["82", "82 21 01 04 6563686f 18 02 6869 00"] {
        assert_split_invariant(BufferedCodec::default, [&call[..], &from_hex(compact)].concat());
    }
}

#[test]
fn every_cut_is_an_error() {
    for body in
        ["00", "02 0001 01 00", "0f 0001 ff 00000000 00", "0d 0001 0b0c 00000001 00000001 61 080001 00000007 00 00"]
    {
        assert_every_cut_is_an_error(BufferedCodec::default, message(body));
    }
}

#[test]
fn a_negative_length_or_count_is_refused_where_it_stands() {
    #[rustfmt::skip]
    let cases: &[(TType, &str, &'static str, usize)] = &[
        (TType::STRUCT, "0b 0001",                               "string length", 3),
        (TType::STRUCT, "0f 0001 0b",                            "element count", 4),
        (TType::STRUCT, "0e 0001 08",                            "element count", 4),
        (TType::STRUCT, "0f 0001 ff",                            "element count", 4),
        (TType::STRUCT, "0d 0001 0b08",                          "pair count",    5),
        (TType::STRUCT, "0d 0001 0a0a",                          "pair count",    5),
        (TType::STRUCT, "0c 0002 02 0001 01 0b 0001",            "string length", 10),
        (TType::STRUCT, "0f 0001 0b 00000002 00000001 61",       "string length", 13),
        (TType::STRUCT, "0f 0001 0f 00000002 02 00000001 01 0b", "element count", 15),
        (TType::STRUCT, "0d 0001 0b0b 00000001 00000000",        "string length", 13),
        (TType::STRUCT, "0d 0001 080e 00000001 00000007 08",     "element count", 14),
        (TType::STRING, "",                                      "string length", 0),
        (TType::LIST,   "0c",                                    "element count", 1),
        (TType::MAP,    "0b0b",                                  "pair count",    2),
    ];
    for &(ttype, before, field, offset) in cases {
        for (length, actual) in [("ffffffff", -1), ("80000000", i32::MIN)] {
            let bytes = from_hex(&[before, length, "0000000000000000"].concat());
            assert_skips(ttype, &bytes, Err(DecodeError::Negative { field, offset, actual }));
        }
    }
}

#[test]
fn a_type_that_nobody_knows_is_refused_where_it_stands() {
    #[rustfmt::skip]
    let cases: &[(TType, &str, &'static str, usize, u8)] = &[
        (TType::STRUCT, "08 0001 00000000 10 0002",        "field type",   7, 16),
        (TType::STRUCT, "0c 0001 0c 0001 05",              "field type",   6, 5),
        (TType::STRUCT, "0f 0001 10 00000001",             "element type", 3, 16),
        (TType::STRUCT, "0e 0001 00 00000001",             "element type", 3, 0),
        (TType::STRUCT, "0d 0001 01 0b 00000001",          "key type",     3, 1),
        (TType::STRUCT, "0d 0001 0b 05 00000001",          "value type",   4, 5),
        (TType::STRUCT, "0d 0001 08 ff 00000001",          "value type",   4, 255),
        (TType::STRUCT, "0d 0001 10 08 00000001",          "key type",     3, 16),
        (TType::STRUCT, "0f 0001 0f 00000001 07 00000001", "element type", 8, 7),
        (TType::LIST,   "09 7fffffff",                     "element type", 0, 9),
        (TType::STOP,   "",                                "field type",   0, 0),
        (TType(16),     "",                                "field type",   0, 16),
    ];
    for &(ttype, bytes, field, offset, actual) in cases {
        let bytes = from_hex(&[bytes, "00000000"].concat());
        assert_skips(ttype, &bytes, Err(DecodeError::UnknownType { field, offset, actual }));
    }
    for id in (1..=u8::MAX).filter(|id| !TType(*id).is_value() && TType(*id) != TType::VOID) {
        assert_skips(
            TType::STRUCT,
            &[id],
            Err(DecodeError::UnknownType { field: "field type", offset: 0, actual: id }),
        );
    }
    assert_eq!((0..=u8::MAX).filter(|id| TType(*id).is_value()).count(), 11, "the types of section 1.7");
}

#[test]
fn a_container_of_nothing_may_say_anything_of_what_is_not_in_it() {
    for id in 0..=u8::MAX {
        for (ttype, len) in [(TType::LIST, 5), (TType::SET, 5), (TType::MAP, 6)] {
            let mut bytes = vec![id; len - 4];
            bytes.extend([0; 8]);
            assert_skips(ttype, &bytes, Ok(len));
        }
    }
}

#[test]
fn the_64th_level_is_taken_and_the_65th_is_not() {
    #[rustfmt::skip]
    let cases = [
        // the first level is a struct: field, levels in between and their length, the last one, STOPs
        ("0c0001", "0c0001",         3, "",             true),
        ("0f0001", "0f00000001",     5, "0b00000000",   false),
        ("0f0001", "0f00000001",     5, "0800000000",   false),
        ("0e0001", "0e00000001",     5, "ff00000000",   false),
        ("0d0001", "030d0000000107", 7, "030300000000", false),
        ("0d0001", "030d0000000107", 7, "0b0b00000000", false),
    ];
    for levels in [2, 63, 64, 65] {
        for (field, between, between_len, last, of_structs) in cases {
            let stops = if of_structs { levels } else { 1 };
            let bytes = [field, &between.repeat(levels - 2), last, &"00".repeat(stops)].concat();
            let last_at = 3 + between_len * (levels - 2);
            let expected = if levels > MAX_DEPTH {
                Err(DecodeError::TooDeep { offset: last_at, max: MAX_DEPTH })
            } else {
                Ok(bytes.len() / 2)
            };
            assert_skips(TType::STRUCT, &from_hex(&bytes), expected);
        }
    }
}

#[test]
fn levels_that_ended_do_not_count() {
    // A list of structs that each have a struct, beside each other.
    let list = [&from_hex("0c 000003e8")[..], &from_hex("0c 0001 00 00").repeat(1000)].concat();
    let within = |levels| Skipper::new(TType::LIST).with_max_depth(levels).skip(&list);
    assert_eq!(within(3), Ok(Some(list.len())));
    assert_eq!(within(2), Err(DecodeError::TooDeep { offset: 8, max: 2 }));
}

#[test]
fn what_is_missing_is_the_same() {
    let missing = |field, offset, expected, actual| Err(DecodeError::Truncated { field, offset, expected, actual });
    #[rustfmt::skip]
    let cases = [
        ("",                               missing("field type", 0, 1, 0)),
        // Type, id and length, as long as the length is not known.
        ("0b",                             missing("string", 0, 7, 1)),
        ("0b 0001 000000",                 missing("string", 0, 7, 6)),
        ("0b 0001 00000005",               missing("string", 0, 12, 7)),
        ("0b 0001 00000005 6869",          missing("string", 0, 12, 9)),
        ("08 0001 0000",                   missing("i32", 0, 7, 5)),
        ("02 0001 01 04 0002",             missing("double", 4, 11, 3)),
        ("0c 00",                          missing("struct", 0, 3, 2)),
        ("0c 0001 08 0001 00000000",       missing("field type", 10, 1, 0)),
        ("0f 0001 0b",                     missing("list", 0, 8, 4)),
        ("0e 0001 0b 00000002",            missing("string", 8, 4, 0)),
        ("0f 0001 0b 00000002 00000000 00", missing("string", 12, 4, 1)),
        ("0f 0001 0a 00000002 00",         missing("list", 0, 24, 9)),
        ("0d 0001 0b",                     missing("map", 0, 9, 4)),
        ("0d 0001 0b08 00000001 00000000", missing("i32", 13, 4, 0)),
        ("0f 0001 0c 00000002 00",         missing("field type", 9, 1, 0)),
    ];
    for (bytes, expected) in cases {
        assert_skips(TType::STRUCT, &from_hex(bytes), expected);
    }
}

#[test]
fn an_error_stays_until_the_skipper_is_reset() {
    let mut skipper = Skipper::new_struct().with_max_depth(1);
    let error = DecodeError::TooDeep { offset: 3, max: 1 };
    for bytes in ["0c 0001", "00", ""] {
        assert_eq!(skipper.skip(&from_hex(bytes)), Err(error));
    }
    skipper.reset(TType::STRING);
    assert_eq!(skipper.skip(&from_hex("00000001 61")), Ok(Some(5)));
    skipper.reset(TType::STRUCT);
    assert_eq!(skipper.skip(&from_hex("0c 0001")), Err(error), "the limit is still the same");
}

#[test]
fn logs_show_how_far_it_is_and_types_by_name() {
    let mut skipper = Skipper::new_struct();
    assert_eq!(skipper.skip(&from_hex("0c 0001 0b 0001 00000007 61")), Ok(None));
    assert_eq!(format!("{skipper:?}"), "Skipper { offset: 11, depth: 2, max_depth: 64, pending: 6, .. }");
    assert_eq!(format!("{:?} {:?}", TType::LIST, TType(16)), "TType(15: list) TType(16)");
}

/// Whole, in two pieces split at every byte, and byte by byte: the value ends after as many bytes, or the error is the
/// same.
fn assert_skips(ttype: TType, bytes: &[u8], expected: Result<usize, DecodeError>) {
    assert_eq!(skip(ttype, [bytes]), expected, "{ttype:?}, whole: {bytes:02x?}");
    let single = std::iter::once(&[][..]).chain(bytes.chunks(1));
    assert_eq!(skip(ttype, single), expected, "{ttype:?}, one byte at a time: {bytes:02x?}");
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(skip(ttype, [first, second]), expected, "{ttype:?}, split at byte {at}: {bytes:02x?}");
    }
}

fn skip<'a>(ttype: TType, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<usize, DecodeError> {
    let mut skipper = Skipper::new(ttype);
    let mut seen = 0;
    for piece in pieces {
        if let Some(len) = skipper.skip(piece)? {
            assert_eq!((skipper.offset(), skipper.pending()), (u64::try_from(seen + len).unwrap(), 0));
            return Ok(seen + len);
        }
        seen += piece.len();
        assert_eq!(skipper.offset(), u64::try_from(seen).unwrap());
    }
    Err(skipper.truncated())
}

/// A CALL of echo with this body.
fn message(body: &str) -> Vec<u8> {
    from_hex(&["80010001 00000004 6563686f 00000001", body].concat())
}
