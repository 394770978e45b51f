//! Bytes both ways: the golden vectors of the specification, which other implementations accepted, and headers worked
//! out by hand from its section 3.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use testkit::{from_hex, vector, vectors};
use tokio_util::codec::{Decoder, Encoder};
use ttheader::checksum::{self, Crc32c, Verdict};
use ttheader::{
    Entry, Flags, Frame, HEAD_LEN, Head, Header, HeaderView, HeaderWriter, IntKey, MeshHeader, Patch, ProtocolId,
    TtHeaderCodec, encode_minimal, keys, set_flags, set_length, set_seq,
};

#[test]
fn every_vector_reads_as_the_specification_says() {
    let frames = frames();
    assert_eq!(frames.len(), 23, "the vectors with a TTHeader that a peer takes");
    for (name, wire, fields) in frames {
        let frame = Frame::parse(wire).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (head, header) = (frame.head(), frame.header());
        assert_eq!(header.layout().head(), head, "{name}");
        assert_eq!(u64::from(head.length), fields["length"], "{name}");
        assert_eq!(u64::from(head.flags.0), fields["flags"], "{name}");
        assert_eq!(i64::from(head.seq), fields["seq_id"], "{name}");
        assert_eq!(head.header_len(), fields["header_bytes"], "{name}");
        assert_eq!(u64::from(header.protocol_id().0), fields["protocol_id"], "{name}");
        assert_eq!(header.transforms(), bytes_of(&fields["transforms"]), "{name}");
        assert_eq!(header.acl_token().map(text), fields["acl_token"].as_str().map(str::to_owned), "{name}");
        // Duplicates fall together here, and the last one stays.
        let strings: BTreeMap<_, _> = header.strings().map(|(key, value)| (text(key), text(value))).collect();
        assert_eq!(strings, pairs_of(&fields["str_info"]), "{name}");
        let ints: BTreeMap<_, _> = header.ints().map(|(key, value)| (key.0.to_string(), text(value))).collect();
        assert_eq!(ints, pairs_of(&fields["int_info"]), "{name}");
        let order: Vec<u8> = header.sections().map(|section| section.id.0).filter(|id| *id != 0).collect();
        assert_eq!(order, bytes_of(&fields["info_order"]), "{name}");
    }
}

#[test]
fn every_key_of_a_vector_is_found_by_its_name() {
    for (name, wire, fields) in frames() {
        let frame = Frame::parse(wire).unwrap();
        for (key, value) in pairs_of(&fields["str_info"]) {
            assert_eq!(frame.header().string(key.as_bytes()).map(text), Some(value), "{name}: {key}");
        }
        for (key, value) in pairs_of(&fields["int_info"]) {
            let key = IntKey(key.parse().unwrap());
            assert_eq!(frame.header().int(key).map(text), Some(value), "{name}: {key:?}");
        }
        assert_eq!(frame.header().string(b"absent"), None);
        assert_eq!(frame.header().int(IntKey(999)), None);
    }
}

#[test]
fn every_vector_re_encodes_byte_for_byte() {
    for (name, wire, _) in frames() {
        let frame = Frame::parse(wire.clone()).unwrap();
        let payload = frame.payload();
        let mut codec = TtHeaderCodec::default();

        let mut dst = BytesMut::new();
        codec.encode(frame.clone(), &mut dst).unwrap();
        assert_eq!(dst, wire, "{name}: as it came");

        dst.clear();
        codec.encode((&Header::from(frame.header()), payload.clone()), &mut dst).unwrap();
        assert_eq!(dst, wire, "{name}: by way of `Header`");

        dst.clear();
        Patch::new().encode(&frame.header(), payload.len(), &mut dst).unwrap();
        assert_eq!([&dst, &payload[..]].concat(), wire, "{name}: by a patch that changes nothing");

        dst.clear();
        rewrite(&frame, &mut dst);
        match name.as_str() {
            // Neither has the one form that a writer gives: padding in between, a transform id.
            "ttheader_call_section_order_and_duplicates" | "ttheader_call_transform_ignored" => {}
            _ => assert_eq!([&dst, &payload[..]].concat(), wire, "{name}: entry by entry"),
        }
    }
}

#[test]
fn a_vector_behind_others_is_decoded_from_where_it_starts() {
    let vector = vector("pipelined_three_transports");
    let mut wire = BytesMut::from(&vector.bytes[54..]);
    let frame = TtHeaderCodec::default().decode(&mut wire).unwrap().unwrap();
    assert_eq!((frame.head().seq, frame.header().entries().count()), (3, 0));
    assert_eq!(frame.payload(), vector.bytes[72..]);
    assert!(wire.is_empty());
}

#[test]
fn mesh_vectors_read_as_the_specification_says() {
    for name in ["mesh_framed_call", "mesh_buffered_call"] {
        let vector = vector(name);
        let fields = &vector.fields["mesh_header"];
        let len = MeshHeader::peek(&vector.bytes).unwrap().unwrap();
        assert_eq!(len - 4, fields["size"], "{name}");
        let header = MeshHeader::parse(&vector.bytes).unwrap();
        assert_eq!(header.bytes(), &vector.bytes[..len], "{name}");
        let pairs: BTreeMap<_, _> = header.pairs().map(|(key, value)| (text(key), text(value))).collect();
        assert_eq!(pairs, pairs_of(&fields["kvs"]), "{name}");
        for (key, value) in pairs {
            assert_eq!(header.value(key.as_bytes()).map(text), Some(value));
        }
    }
}

#[test]
fn a_header_is_the_bytes_worked_out_by_hand() {
    // ACL token, one string, two ints: 2 + (1+2+3) + (3+2+1+2+2) + (3+4+1+4+0) = 30 bytes, 2 of padding.
    let by_hand = from_hex(
        "0000002f 1000 0001 fffffffe 0008   # LENGTH 10 + 32 + 5, FLAGS 1, -2, 8 words
         04 00                              # Kitex-Protobuf, no transforms
         11 0003 746f6b                     # \"tok\"
         01 0001 0001 6b 0002 7676          # \"k\": \"vv\"
         10 0002 0009 0001 6d 0014 0000     # 9: \"m\", 20: \"\"
         0000",
    );
    let mut dst = BytesMut::new();
    let mut writer = HeaderWriter::new(&mut dst, Flags::OUT_OF_ORDER, -2);
    writer.protocol_id(ProtocolId::KITEX_PROTOBUF);
    writer.acl_token(b"tok").unwrap();
    writer.string(b"k", b"vv").unwrap();
    writer.int(IntKey::TO_METHOD, b"m").unwrap();
    writer.int(IntKey::FROM_METHOD, b"").unwrap();
    writer.finish(5).unwrap();
    assert_eq!(dst, by_hand);

    let mut header = Header::new(Flags::OUT_OF_ORDER, -2);
    header.set_protocol_id(ProtocolId::KITEX_PROTOBUF);
    header.set_acl_token(b"tok").unwrap();
    header.append_string(b"k", b"vv").unwrap();
    header.set_int(IntKey::TO_METHOD, b"m").unwrap();
    header.set_int(IntKey::FROM_METHOD, b"").unwrap();
    dst.clear();
    header.encode(5, &mut dst).unwrap();
    assert_eq!(dst, by_hand);
    assert_eq!(header.encoded_len(), by_hand.len());
}

#[test]
fn entries_say_where_their_values_are() {
    let wire = vector("ttheader_call_full").bytes;
    let mut seen = 0;
    HeaderView::parse_with(&wire, |entry| {
        assert_eq!(&wire[entry.value_range()], entry.value(), "{entry:?}");
        assert!([0x01, 0x10, 0x11].contains(&wire[entry.section()]), "{entry:?}");
        seen += 1;
    })
    .unwrap();
    assert_eq!(seen, 12);
    for section in HeaderView::parse(&wire).unwrap().sections() {
        assert_eq!(&wire[section.offset..][..section.bytes.len()], section.bytes);
        assert_eq!(section.bytes[0], section.id.0);
    }
}

#[test]
fn the_minimal_head_is_the_one_of_the_vector() {
    let wire = vector("ttheader_call_minimal").bytes;
    let mut dst = BytesMut::new();
    encode_minimal(Flags::default(), 1, 26, &mut dst).unwrap();
    assert_eq!(dst, wire[..18]);
    assert_eq!(Head::peek(&wire).unwrap().unwrap().payload_offset(), 18);
}

#[test]
fn checksums_of_the_vectors_hold() {
    for name in ["ttheader_call_crc32c", "ttheader_framed_call_crc32c"] {
        let frame = Frame::parse(vector(name).bytes.into()).unwrap();
        let (header, payload) = (frame.header(), frame.payload());
        let value = header.string(keys::CRC32C);
        let (first, second) = payload.split_at(5);
        assert_eq!(checksum::verify(value, [first, second]), Verdict::Valid, "{name}");
        assert_eq!(checksum::verify(value, [second, first]), Verdict::Invalid, "{name}");
        let upper = value.unwrap().to_ascii_uppercase();
        assert_eq!(checksum::verify(Some(&upper), [&payload[..]]), Verdict::Invalid, "Kitex compares text");
        assert_eq!(checksum::verify(None, [first]), Verdict::Absent);
        assert_eq!(checksum::verify(Some(b""), [first]), Verdict::Absent);
    }
    assert_eq!(Crc32c::new().update(b"123456789").hex(), *b"e3069283");
}

#[test]
fn a_checksum_is_replaced_in_place() {
    let mut wire = vector("ttheader_call_crc32c").bytes;
    let mut place = None;
    let head = HeaderView::parse_with(&wire, |entry| {
        if matches!(entry, Entry::Str { key: keys::CRC32C, .. }) {
            place = Some(entry.value_range());
        }
    })
    .unwrap()
    .head();
    *wire.last_mut().unwrap() = 0xff;
    let crc = Crc32c::new().update(&wire[head.payload_offset()..]);
    wire[place.unwrap()].copy_from_slice(&crc.hex());
    let frame = Frame::parse(wire.into()).unwrap();
    let value = frame.header().string(keys::CRC32C).map(<[u8]>::to_vec);
    assert_eq!(checksum::verify(value.as_deref(), [&frame.payload()[..]]), Verdict::Valid);
}

#[test]
fn a_patch_removes_a_section_with_its_last_entry() {
    // Specification P6: `crrst` is not forwarded. Nothing but padding is left of this header.
    let frame = Frame::parse(vector("mux_control_frame").bytes.into()).unwrap();
    let mut dst = BytesMut::new();
    Patch::new().seq(5).remove_string(keys::CONNECTION_RESET).encode(&frame.header(), 29, &mut dst).unwrap();
    let mut minimal = BytesMut::new();
    encode_minimal(Flags::default(), 5, 29, &mut minimal).unwrap();
    assert_eq!(dst, minimal);
}

#[test]
fn a_patch_changes_what_it_names_and_nothing_else() {
    let wire = vector("ttheader_call_full").bytes;
    let view = HeaderView::parse(&wire).unwrap();
    let mut dst = BytesMut::from(&b"before"[..]);
    Patch::new()
        .flags(Flags::OUT_OF_ORDER)
        .set_int(IntKey::RPC_TIMEOUT, b"9")
        .set_string(keys::REMOTE_ADDRESS, b"127.0.0.1:1")
        .remove_string(b"RPC_TRANSIT_t1")
        .append_int(IntKey(700), b"new")
        .encode(&view, 26, &mut dst)
        .unwrap();
    assert!(dst.starts_with(b"before"));
    let patched = HeaderView::parse(&dst[6..]).unwrap();
    assert_eq!((patched.flags(), patched.seq(), patched.head().payload_len()), (Flags::OUT_OF_ORDER, 1, 26));
    let entries = |view: &HeaderView<'_>| -> Vec<String> { view.entries().map(|entry| format!("{entry:?}")).collect() };
    let mut expected = entries(&view);
    expected.retain(|entry| !entry.contains("RPC_TRANSIT_t1"));
    for entry in &mut expected {
        *entry = entry.replace("RPCTimeout): \"1500\"", "RPCTimeout): \"9\"");
    }
    expected.push("\"rip\": \"127.0.0.1:1\"".to_owned());
    expected.push("IntKey(700): \"new\"".to_owned());
    assert_eq!(entries(&patched), expected);
    let sections: Vec<_> = patched.sections().map(|section| (section.id.0, section.count)).collect();
    assert_eq!(sections, [(0x11, 1), (0x01, 2), (0x10, 8), (0x01, 1), (0x10, 1)]);
}

#[test]
fn a_patch_by_place_is_the_same_as_one_by_key() {
    let wire = vector("ttheader_call_full").bytes;
    let (mut place, mut token) = (None, None);
    let view = HeaderView::parse_with(&wire, |entry| match entry {
        Entry::Int { key: IntKey::RPC_TIMEOUT, .. } => place = Some(entry),
        Entry::Acl { .. } => token = Some(entry),
        _ => {}
    })
    .unwrap();
    let (place, token) = (place.unwrap(), token.unwrap());
    let (mut by_key, mut by_place, mut unordered) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    Patch::new().remove_acl_token().set_int(IntKey::RPC_TIMEOUT, b"12345").encode(&view, 26, &mut by_key).unwrap();
    Patch::new().remove(&token).replace(&place, b"12345").encode(&view, 26, &mut by_place).unwrap();
    Patch::new().replace(&place, b"12345").remove(&token).encode(&view, 26, &mut unordered).unwrap();
    assert_eq!(by_place, by_key);
    assert_eq!(unordered, by_key);
    assert_eq!(HeaderView::parse(&by_key).unwrap().acl_token(), None);
}

#[test]
fn of_duplicates_the_first_takes_the_value_and_the_others_go() {
    let wire = vector("ttheader_call_section_order_and_duplicates").bytes;
    let view = HeaderView::parse(&wire).unwrap();
    assert_eq!(view.string(b"RPC_TRANSIT_t1"), Some(&b"b"[..]));
    let mut dst = BytesMut::new();
    Patch::new().set_string(b"RPC_TRANSIT_t1", b"c").encode(&view, 26, &mut dst).unwrap();
    let patched = HeaderView::parse(&dst).unwrap();
    assert_eq!(patched.strings().collect::<Vec<_>>(), [(&b"RPC_TRANSIT_t1"[..], &b"c"[..])]);
    // The padding between the sections has stayed.
    let ids: Vec<u8> = patched.sections().map(|section| section.id.0).collect();
    assert_eq!(ids, [0, 0x10, 0, 0, 0x01]);
}

#[test]
fn later_changes_of_a_key_replace_earlier_ones() {
    let wire = vector("ttheader_call_full").bytes;
    let view = HeaderView::parse(&wire).unwrap();
    let mut dst = BytesMut::new();
    let mut patch = Patch::new();
    patch.set_string(b"isn", b"a").remove_string(b"new").set_string(b"isn", b"b").set_string(b"new", b"x");
    assert!(!patch.is_empty() && Patch::new().is_empty());
    patch.encode(&view, 26, &mut dst).unwrap();
    let patched = HeaderView::parse(&dst).unwrap();
    assert_eq!((patched.string(b"isn"), patched.string(b"new")), (Some(&b"b"[..]), Some(&b"x"[..])));
    assert_eq!(patched.strings().count(), view.strings().count() + 1);
}

#[test]
fn a_patch_takes_any_number_of_changes() {
    let mut header = Header::default();
    let names: Vec<String> = (0..200).map(|i| format!("k{i}")).collect();
    for name in &names {
        header.append_string(name.as_bytes(), b"old").unwrap();
    }
    let mut patch = Patch::new();
    for name in names.iter().step_by(2) {
        patch.set_string(name.as_bytes(), b"new");
    }
    let mut dst = BytesMut::new();
    patch.set_string(b"k1000", b"new").encode(&header.view(), 0, &mut dst).unwrap();
    let patched = HeaderView::parse(&dst).unwrap();
    for (i, name) in names.iter().enumerate() {
        assert_eq!(patched.string(name.as_bytes()), Some(if i % 2 == 0 { &b"new"[..] } else { b"old" }), "{name}");
    }
    assert_eq!(patched.strings().count(), 201);
}

#[test]
fn a_header_is_edited_by_key() {
    let wire = vector("ttheader_call_full").bytes;
    let mut header = Header::from(HeaderView::parse(&wire).unwrap());
    header.set_seq(9);
    header.set_flags(Flags::OUT_OF_ORDER);
    header.set_acl_token(b"other").unwrap();
    header.set_string(b"isn", b"Other").unwrap();
    header.set_int(IntKey::RPC_TIMEOUT, b"1").unwrap();
    assert!(header.remove_string(b"RPC_TRANSIT_t1") && !header.remove_string(b"RPC_TRANSIT_t1"));
    assert!(header.remove_int(IntKey::CONNECT_TIMEOUT) && !header.remove_int(IntKey::CONNECT_TIMEOUT));
    header.append_string(b"isn", b"Last").unwrap();
    let view = header.view();
    assert_eq!((view.seq(), view.flags()), (9, Flags::OUT_OF_ORDER));
    assert_eq!(view.acl_token(), Some(&b"other"[..]));
    assert_eq!(view.string(b"isn"), Some(&b"Last"[..]));
    assert_eq!(view.int(IntKey::RPC_TIMEOUT), Some(&b"1"[..]));
    assert_eq!(view.int(IntKey::FROM_METHOD), Some(&b""[..]), "an empty value is a value");
    let mut dst = BytesMut::new();
    header.encode(0, &mut dst).unwrap();
    assert_eq!(HeaderView::parse(&dst).unwrap().entries().collect::<Vec<_>>(), view.entries().collect::<Vec<_>>());
    assert!(header.remove_acl_token() && !header.remove_acl_token());
}

#[test]
fn fixed_fields_are_set_in_place() {
    let mut wire = vector("mux_call").bytes;
    set_seq(&mut wire, i32::MIN).unwrap();
    set_flags(&mut wire, Flags::STREAMING | Flags::SASL).unwrap();
    set_length(&mut wire, 99).unwrap();
    let head = Head::peek(&wire).unwrap().unwrap();
    assert_eq!((head.seq, head.flags.0, head.length), (i32::MIN, 0x12, 99));
    assert_eq!(head.to_bytes(), wire[..HEAD_LEN]);
}

#[test]
fn the_payload_is_a_view_of_the_read_buffer() {
    let mut wire = BytesMut::from(&vector("ttheader_call_full").bytes[..]);
    let buffer = wire.as_ptr().addr()..wire.as_ptr().addr() + wire.len();
    let frame = TtHeaderCodec::default().decode(&mut wire).unwrap().unwrap();
    assert_eq!(frame.raw().as_ptr().addr(), buffer.start);
    assert_eq!(frame.payload().as_ptr().addr(), buffer.start + frame.head().payload_offset());
    assert!(buffer.contains(&frame.header().string(b"isn").unwrap().as_ptr().addr()));
    assert_eq!(frame.into_raw().as_ptr().addr(), buffer.start);
}

/// Every frame with a TTHeader among the vectors that a peer takes: name, bytes, what its header holds.
fn frames() -> Vec<(String, Bytes, Value)> {
    let with_header = vectors().into_iter().filter(|v| v.is_accepted() && v.fields["ttheader"].is_object());
    with_header.map(|v| (v.name, v.bytes.into(), v.fields["ttheader"].clone())).collect()
}

/// Writes the header anew, one entry after the other.
fn rewrite(frame: &Frame, dst: &mut BytesMut) {
    let header = frame.header();
    let mut writer = HeaderWriter::new(dst, header.flags(), header.seq());
    writer.protocol_id(header.protocol_id());
    for entry in header.entries() {
        match entry {
            Entry::Str { key, value, .. } => writer.string(key, value).unwrap(),
            Entry::Int { key, value, .. } => writer.int(key, value).unwrap(),
            Entry::Acl { value, .. } => writer.acl_token(value).unwrap(),
            _ => panic!("{entry:?}"),
        }
    }
    writer.finish(frame.payload().len()).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn pairs_of(object: &Value) -> BTreeMap<String, String> {
    let pairs = object.as_object().unwrap().iter();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn bytes_of(list: &Value) -> Vec<u8> {
    list.as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap().try_into().unwrap()).collect()
}
