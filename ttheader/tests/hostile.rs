//! What a peer sends that it must not, and what a caller asks for that cannot be.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use testkit::{assert_every_cut_is_an_error, assert_split_invariant, from_hex, vector, vectors};
use tokio_util::codec::{Decoder, Encoder};
use ttheader::{
    CodecError, DecodeError, EncodeError, Entry, Flags, Frame, Head, Header, HeaderView, HeaderWriter, IntKey,
    MAX_HEADER_LEN, MAX_STRING_LEN, MeshHeader, Patch, ProtocolId, TtHeaderCodec, encode_minimal, set_seq,
};

#[test]
fn every_split_decodes_the_same() {
    for name in ["ttheader_call_full", "neg_ttheader_info_id_2", "neg_ttheader_header_size_0", "framed_call"] {
        let mut wire = vector("volo_call").bytes;
        wire.extend(vector(name).bytes);
        assert_split_invariant(TtHeaderCodec::default, wire);
    }
}

#[test]
fn every_cut_is_an_error() {
    for vector in vectors() {
        if vector.is_accepted() && vector.fields["ttheader"].is_object() {
            assert_every_cut_is_an_error(TtHeaderCodec::default, vector.bytes);
        }
    }
}

#[test]
fn a_cut_says_how_much_is_missing() {
    let wire = vector("ttheader_call_minimal").bytes;
    for (len, field, expected) in [(13, "head", 14), (14, "frame", 44), (43, "frame", 44)] {
        let error = TtHeaderCodec::default().decode_eof(&mut wire[..len].into()).unwrap_err();
        let CodecError::Decode(error) = error else { panic!("{error}") };
        assert_eq!(error, DecodeError::Truncated { field, offset: 0, expected, actual: len });
        assert_eq!(Frame::parse(wire[..len].to_vec().into()), Err(error));
    }
}

#[test]
fn what_kitex_refuses_is_refused() {
    assert_eq!(
        parse(&vector("neg_ttheader_protocol_id_2").bytes),
        Err(DecodeError::UnknownId { field: "PROTOCOL ID", offset: 14, actual: 2 })
    );
    assert_eq!(
        parse(&vector("neg_ttheader_info_id_2").bytes),
        Err(DecodeError::UnknownId { field: "INFO ID", offset: 16, actual: 2 })
    );
    assert_eq!(
        parse(&vector("neg_ttheader_header_size_0").bytes),
        Err(DecodeError::TooSmall { field: "HEADER SIZE", offset: 12, expected: 1, actual: 0 })
    );
}

#[test]
fn just_the_protocol_ids_that_kitex_knows_are_accepted() {
    for id in 0..=u8::MAX {
        let accepted = [0x00, 0x03, 0x04, 0x10, 0x11].contains(&id);
        assert_eq!(ProtocolId(id).is_accepted(), accepted);
        assert_eq!(parse(&header(&[id, 0, 0, 0])).is_ok(), accepted, "{id:#04x}");
    }
}

#[test]
fn another_magic_number_is_an_error_as_soon_as_it_is_there() {
    let wrong = DecodeError::WrongMagic { field: "HEADER MAGIC", offset: 4, expected: 0x1000, actual: 0x8001 };
    let framed = vector("framed_call").bytes;
    for len in 0..6 {
        assert_eq!(Head::peek(&framed[..len]), Ok(None));
    }
    for len in 6..framed.len() {
        assert_eq!(Head::peek(&framed[..len]), Err(wrong));
    }
    assert_eq!(wrong.to_string(), "HEADER MAGIC at offset 4: expected 0x1000, got 0x8001");
}

#[test]
fn a_length_that_ends_inside_the_header_is_an_error() {
    for (length, ok) in [(0, false), (9, false), (13, false), (14, true), (15, true), (u32::MAX, true)] {
        let mut wire = header(&[0; 4]);
        wire[..4].copy_from_slice(&length.to_be_bytes());
        let result = Head::peek(&wire);
        assert_eq!(result.is_ok(), ok, "{length}");
        if !ok {
            let actual = usize::try_from(length).unwrap();
            let too_small = DecodeError::TooSmall { field: "LENGTH", offset: 0, expected: 14, actual };
            assert_eq!(result, Err(too_small));
        }
    }
}

#[test]
fn a_field_that_runs_past_the_header_is_named() {
    #[rustfmt::skip]
    let cases: &[(&str, &'static str, usize, usize, usize)] = &[
        // block                              field          at offset, needs, left
        ("00 03 0000",                        "transform ids",     16,   3, 2),
        ("00 00 00 01",                       "INFO count",        18,   2, 0),
        ("00 00 01 00",                       "INFO count",        17,   2, 1),
        ("00 02 0102 01 0001 00",             "INFO key length",   21,   2, 1),
        ("00 00 01 0002 0001 61 0001 62 00",  "INFO key length",   25,   2, 1),
        ("00 00 01 0001 0004 61",             "INFO key",          21,   4, 1),
        ("00 00 01 0001 0000 00",             "INFO value length", 21,   2, 1),
        ("00 00 01 0001 0001 61 00ff 6200",   "INFO value",        24, 255, 2),
        ("00 02 0102 10 0001 00",             "INFO int key",      21,   2, 1),
        ("00 00 10 0001 0003 00",             "INFO value length", 21,   2, 1),
        ("00 00 10 ffff 0003 00",             "INFO value length", 21,   2, 1),
        ("00 00 10 0001 0003 0004 616263",    "INFO value",        23,   4, 3),
        ("00 00 11 00",                       "ACL token length",  17,   2, 1),
        ("00 00 11 0009 616161",              "ACL token",         19,   9, 3),
    ];
    for &(block, field, offset, expected, actual) in cases {
        let wire = header(&from_hex(block));
        assert_eq!(parse(&wire), Err(DecodeError::Truncated { field, offset, expected, actual }), "{block}");
    }
}

#[test]
fn entries_before_a_malformed_one_have_been_handed_out() {
    let wire = header(&from_hex("00 00 01 0001 0001 61 0001 62 02"));
    let mut seen = Vec::new();
    let error = HeaderView::parse_with(&wire, |entry| seen.push(entry.value().to_vec())).unwrap_err();
    assert_eq!(error, DecodeError::UnknownId { field: "INFO ID", offset: 25, actual: 2 });
    assert_eq!(seen, [b"b"]);
}

#[test]
fn a_frame_at_the_limit_is_taken_and_one_above_is_not() {
    let wire = vector("ttheader_call_full").bytes;
    for (limit, ok) in [(179, false), (180, true), (181, true)] {
        let mut codec = TtHeaderCodec::builder().max_frame_len(limit).build();
        // The fixed bytes are enough to know.
        let result = codec.decode(&mut wire[..14].into());
        match result {
            Ok(None) => assert!(ok),
            Err(CodecError::Decode(error)) => {
                assert!(!ok);
                let too_large = DecodeError::TooLarge { field: "LENGTH", offset: 0, expected: limit, actual: 180 };
                assert_eq!(error, too_large);
            }
            other => panic!("{other:?}"),
        }
    }
    for (limit, ok) in [(143, false), (144, true), (145, true)] {
        let mut codec = TtHeaderCodec::builder().max_header_len(limit).build();
        let result = codec.split(&mut BytesMut::from(&wire[..14]));
        let too_large = DecodeError::TooLarge { field: "HEADER SIZE", offset: 12, expected: limit, actual: 144 };
        assert_eq!(result, if ok { Ok(None) } else { Err(too_large) });
    }
}

#[test]
fn the_limits_hold_for_writing_too() {
    let mut header = Header::default();
    header.append_string(b"key", b"value").unwrap(); // 2 + 3 + 12 bytes, 20 with padding
    let mut dst = BytesMut::from(&b"before"[..]);
    let payload = Bytes::from_static(&[1; 10]);
    for (limit, ok) in [(39, false), (40, true)] {
        let mut codec = TtHeaderCodec::builder().max_frame_len(limit).build();
        dst.truncate(6);
        let result = codec.encode((&header, payload.clone()), &mut dst);
        assert_eq!(result.is_ok(), ok);
        assert_eq!(dst.len(), if ok { 6 + 44 } else { 6 });
        let too_long = EncodeError::FrameTooLong { expected: limit, actual: 40 };
        assert_eq!(codec.encode_head(&header, 10, &mut dst), if ok { Ok(()) } else { Err(too_long) });
    }
    let codec = TtHeaderCodec::builder().max_header_len(19).build();
    let too_long = EncodeError::HeaderTooLong { expected: 19, actual: 20 };
    assert_eq!(codec.encode_head(&header, 0, &mut dst), Err(too_long));
}

#[test]
fn a_bare_head_reserves_little_for_what_it_claims() {
    let mut wire = header(&[0; 4]);
    wire[..4].copy_from_slice(&(16_u32 << 20).to_be_bytes());
    let mut src = BytesMut::from(&wire[..]);
    assert!(TtHeaderCodec::default().decode(&mut src).unwrap().is_none());
    assert!(src.capacity() <= 128 << 10, "{}", src.capacity());
}

#[test]
fn the_longest_header_is_read_and_written() {
    let mut header = Header::default();
    // 2 + 3 bytes, and 9 more an entry: what is left up to the limit is the last value.
    let mut len = 5;
    for i in 0..3_u8 {
        header.append_string(&[i], &[i; MAX_STRING_LEN]).unwrap();
        len += 5 + MAX_STRING_LEN;
    }
    let last = MAX_HEADER_LEN - len - 5;
    let mut one_more = header.clone();
    header.append_string(&[3], &vec![3; last]).unwrap();
    one_more.append_string(&[3], &vec![3; last + 1]).unwrap();

    let mut dst = BytesMut::new();
    header.encode(0, &mut dst).unwrap();
    let view = HeaderView::parse(&dst).unwrap();
    assert_eq!((view.head().header_len(), view.strings().count()), (MAX_HEADER_LEN, 4));

    let too_long = EncodeError::HeaderTooLong { expected: MAX_HEADER_LEN, actual: MAX_HEADER_LEN + 1 };
    let mut other = BytesMut::from(&b"before"[..]);
    assert_eq!(one_more.encode(0, &mut other), Err(too_long));
    assert_eq!(Patch::new().append_string(b"k", b"v").encode(&view, 0, &mut other).map_err(|_| ()), Err(()));
    assert_eq!(Patch::new().set_string(&[3], &vec![3; last + 1]).encode(&view, 0, &mut other), Err(too_long));
    assert_eq!(other, b"before"[..], "nothing is written when it fails");
    assert_eq!(Patch::new().set_string(&[3], b"").encode(&view, 0, &mut other), Ok(()));
}

#[test]
fn a_string_that_its_length_cannot_say_is_refused() {
    let long = vec![b'x'; MAX_STRING_LEN + 1];
    let error = |field| EncodeError::StringTooLong { field, expected: MAX_STRING_LEN, actual: MAX_STRING_LEN + 1 };
    let mut header = Header::default();
    header.append_string(b"k", b"v").unwrap();
    let before = header.clone();
    assert_eq!(header.append_string(&long, b""), Err(error("INFO key")));
    assert_eq!(header.append_string(b"", &long), Err(error("INFO value")));
    assert_eq!(header.set_string(b"k", &long), Err(error("INFO value")));
    assert_eq!(header.set_string(&long, b""), Err(error("INFO key")));
    assert_eq!(header.append_int(IntKey(1), &long), Err(error("INFO value")));
    assert_eq!(header.set_int(IntKey(1), &long), Err(error("INFO value")));
    assert_eq!(header.set_acl_token(&long), Err(error("ACL token")));
    assert_eq!(header, before);

    let view = header.view();
    let mut dst = BytesMut::new();
    let mut place = None;
    view.for_each(|entry| place = Some(entry));
    let patches = [
        Patch::new().append_string(&long, b"").encode(&view, 0, &mut dst),
        Patch::new().set_int(IntKey(1), &long).encode(&view, 0, &mut dst),
        Patch::new().set_string(b"k", &long).encode(&view, 0, &mut dst),
        Patch::new().replace(&place.unwrap(), &long).encode(&view, 0, &mut dst),
    ];
    assert_eq!(
        patches,
        [Err(error("INFO key")), Err(error("INFO value")), Err(error("INFO value")), Err(error("INFO value"))]
    );
    assert!(dst.is_empty());
}

#[test]
fn a_payload_that_length_cannot_say_is_refused() {
    let mut dst = BytesMut::new();
    let most = usize::try_from(u32::MAX).unwrap() - 14;
    let too_long = EncodeError::FrameTooLong { expected: most + 14, actual: most + 15 };
    assert_eq!(encode_minimal(Flags::default(), 0, most, &mut dst), Ok(()));
    dst.clear();
    assert_eq!(encode_minimal(Flags::default(), 0, most + 1, &mut dst), Err(too_long));
    assert_eq!(Header::default().encode(most + 1, &mut dst), Err(too_long));
    assert_eq!(HeaderWriter::new(&mut dst, Flags::default(), 0).finish(most + 1), Err(too_long));
    assert!(Header::default().encode(usize::MAX, &mut dst).is_err());
    assert!(dst.is_empty());
}

#[test]
fn a_writer_that_is_dropped_takes_back_what_it_wrote() {
    let mut dst = BytesMut::from(&b"before"[..]);
    let mut writer = HeaderWriter::new(&mut dst, Flags::default(), 0);
    writer.string(b"k", b"v").unwrap();
    drop(writer);
    assert_eq!(dst, b"before"[..]);
}

#[test]
fn a_section_of_65535_entries_is_followed_by_another() {
    // Every entry has 4 bytes at least, so that a header is full before a count overflows.
    let mut header = Header::default();
    for _ in 0..65_533 {
        header.append_int(IntKey(7), b"").unwrap();
    }
    let mut dst = BytesMut::new();
    header.encode(0, &mut dst).unwrap();
    assert_eq!(HeaderView::parse(&dst).unwrap().ints().count(), 65_533);
    for _ in 0..3 {
        header.append_int(IntKey(8), b"").unwrap();
    }
    assert_eq!(header.view().int(IntKey(8)), Some(&b""[..]));
    assert_eq!(header.view().sections().count(), 2);
    assert!(matches!(header.encode(0, &mut dst), Err(EncodeError::HeaderTooLong { .. })));
}

#[test]
fn a_patch_for_another_header_does_no_harm() {
    let long = vector("ttheader_call_full").bytes;
    let short = vector("ttheader_reply_crrst").bytes;
    let mut entries = Vec::new();
    HeaderView::parse_with(&long, |entry| entries.push(entry)).unwrap();
    let view = HeaderView::parse(&short).unwrap();
    for (i, first) in entries.iter().enumerate() {
        for second in &entries[i..] {
            let mut dst = BytesMut::new();
            // What comes out is of no use to anybody; that something does is all.
            let _nonsense = Patch::new().remove(first).replace(second, b"x").encode(&view, 0, &mut dst);
            let _nonsense = Patch::new().replace(second, b"x").remove(first).encode(&view, 0, &mut dst);
        }
    }
}

#[test]
fn fixed_fields_are_set_only_where_they_are() {
    let mut head = [0; 11];
    let truncated = DecodeError::Truncated { field: "SEQUENCE NUMBER", offset: 8, expected: 4, actual: 3 };
    assert_eq!(set_seq(&mut head, 1), Err(truncated));
    assert_eq!(
        set_seq(&mut [], 1).map_err(|error| error.to_string()),
        Err("SEQUENCE NUMBER at offset 8: needs 4 bytes, 0 left".to_owned())
    );
}

#[test]
fn bytes_behind_a_frame_are_not_a_part_of_it() {
    let mut wire = vector("ttheader_call_minimal").bytes;
    wire.push(0);
    let error = DecodeError::TooLarge { field: "frame", offset: 0, expected: 44, actual: 45 };
    assert_eq!(Frame::parse(wire.into()), Err(error));
}

#[test]
fn a_mesh_header_that_ends_early_is_an_error() {
    let wire = vector("mesh_framed_call").bytes;
    let len = MeshHeader::peek(&wire).unwrap().unwrap();
    for cut in 0..len {
        assert!(MeshHeader::parse(&wire[..cut]).is_err(), "{cut}");
        assert_eq!(MeshHeader::peek(&wire[..cut]).unwrap(), (cut >= 4).then_some(len));
    }
    let wrong = DecodeError::WrongMagic { field: "mesh magic", offset: 0, expected: 0xffaf, actual: 0 };
    assert_eq!(MeshHeader::peek(&[0, 0]), Err(wrong));
    let too_small = DecodeError::TooSmall { field: "mesh size", offset: 2, expected: 2, actual: 1 };
    assert_eq!(MeshHeader::peek(&[0xff, 0xaf, 0, 1]), Err(too_small));
    #[rustfmt::skip]
    let cases: &[(&str, &'static str, usize, usize, usize)] = &[
        ("ffaf 0002 0001",               "mesh key length",    6, 2, 0),
        ("ffaf 0005 0001 0002 61",       "mesh key",           8, 2, 1),
        ("ffaf 0006 0001 0001 61 00",    "mesh value length",  9, 2, 1),
        ("ffaf 0008 0001 0001 61 0003 62", "mesh value",      11, 3, 1),
    ];
    for &(header, field, offset, expected, actual) in cases {
        let error = DecodeError::Truncated { field, offset, expected, actual };
        assert_eq!(MeshHeader::parse(&from_hex(header)).map(|_| ()), Err(error), "{header}");
    }
    // Kitex reads as many pairs as are counted and looks at nothing behind them.
    let surplus = from_hex("ffaf 0009 0001 0001 61 0001 62 ff");
    assert_eq!(MeshHeader::parse(&surplus).unwrap().pairs().collect::<Vec<_>>(), [(&b"a"[..], &b"b"[..])]);
}

#[test]
fn logs_show_text_as_text() {
    let wire = vector("ttheader_call_full").bytes;
    let shown = format!("{:?}", HeaderView::parse(&wire).unwrap());
    for part in ["ACL token: \"tok\"", "\"isn\": \"EchoService\"", "IntKey(12, RPCTimeout): \"1500\""] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let entry = Entry::Str { key: b"\xff\n", value: b"", offset: 0, section: 0 };
    assert_eq!(format!("{entry:?}"), r#""\xff\n": """#);
    assert_eq!(format!("{:?} {:?}", IntKey(999), IntKey::RPC_TIMEOUT.name()), "IntKey(999) Some(\"RPCTimeout\")");
}

/// A frame without payload around this header block, which has whole words.
fn header(block: &[u8]) -> Vec<u8> {
    assert_eq!(block.len() % 4, 0, "{block:02x?}");
    let words = u16::try_from(block.len() / 4).unwrap();
    let head = Head { length: u32::from(words) * 4 + 10, flags: Flags::default(), seq: 1, header_words: words };
    [&head.to_bytes(), block].concat()
}

fn parse(wire: &[u8]) -> Result<usize, DecodeError> {
    HeaderView::parse(wire).map(|view| view.entries().count())
}
