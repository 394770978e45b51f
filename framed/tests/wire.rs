//! Bytes both ways: the golden vectors of the specification, which other implementations accepted or sent, and frames
//! worked out by hand.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use framed::{FramedCodec, HEAD_LEN, encode_head, peek_len};
use testkit::{Vector, from_hex, vector, vectors};
use tokio_util::codec::{Decoder, Encoder};

#[test]
fn every_framed_vector_decodes_to_its_message() {
    let frames = frames();
    assert_eq!(frames.len(), 23, "the vectors with a frame in them");
    for (name, wire, length) in frames {
        assert_eq!(peek_len(&wire).map(u64::from), Some(length), "{name}");
        let mut src = BytesMut::from(&wire[..]);
        let payload = FramedCodec::default().decode(&mut src).unwrap().unwrap();
        assert_eq!(payload, wire[4..], "{name}");
        assert!(src.is_empty(), "{name}");
    }
}

#[test]
fn every_framed_vector_encodes_byte_for_byte() {
    for (name, wire, _) in frames() {
        let payload = Bytes::copy_from_slice(&wire[4..]);
        let mut dst = BytesMut::new();
        FramedCodec::default().encode(payload.clone(), &mut dst).unwrap();
        assert_eq!(dst, wire, "{name}: copied");
        let head = encode_head(payload.len()).unwrap();
        assert_eq!([&head, &payload[..]].concat(), wire, "{name}: head and payload apart");
    }
}

#[test]
fn a_frame_is_the_bytes_worked_out_by_hand() {
    for (wire, payload) in [
        (from_hex("00000000"), vec![]),
        (from_hex("00000001 ff"), vec![0xff]),
        // What the payload is makes no difference: here it looks like another frame.
        (from_hex("00000005 00000001 ff"), from_hex("00000001 ff")),
        ([&[0, 1, 0, 2][..], &[7; 0x1_0002]].concat(), vec![7; 0x1_0002]),
    ] {
        let payload = Bytes::from(payload);
        let mut dst = BytesMut::new();
        FramedCodec::default().encode(payload.clone(), &mut dst).unwrap();
        assert_eq!(dst, wire);
        assert_eq!(FramedCodec::default().decode(&mut dst).unwrap(), Some(payload));
        assert!(dst.is_empty());
    }
}

#[test]
fn an_empty_payload_is_a_frame_and_not_the_end() {
    let mut src = BytesMut::from(&[0; 8][..]);
    let mut codec = FramedCodec::default();
    assert_eq!(codec.decode(&mut src).unwrap(), Some(Bytes::new()));
    assert_eq!(codec.decode_eof(&mut src).unwrap(), Some(Bytes::new()));
    assert_eq!(codec.decode_eof(&mut src).unwrap(), None);
}

#[test]
fn a_frame_is_appended_to_what_waits_to_be_sent() {
    let mut dst = BytesMut::from(&b"before"[..]);
    let mut codec = FramedCodec::default();
    codec.encode(Bytes::from_static(b"a"), &mut dst).unwrap();
    codec.encode(Bytes::from_static(b"bc"), &mut dst).unwrap();
    assert_eq!(dst, b"before\0\0\0\x01a\0\0\0\x02bc"[..]);
}

#[test]
fn what_comes_behind_a_frame_stays_in_the_buffer() {
    let vector = vector("pipelined_three_transports");
    let mut src = BytesMut::from(&vector.bytes[..]);
    let payload = FramedCodec::default().decode(&mut src).unwrap().unwrap();
    assert_eq!(payload.len(), 25);
    assert_eq!(src, vector.bytes[29..], "a message without a frame, for someone else to read");
}

#[test]
fn payload_is_a_view_of_the_read_buffer() {
    let mut src = BytesMut::from(&vector("framed_call").bytes[..]);
    src.extend_from_slice(&vector("framed_reply").bytes);
    let first = src.as_ptr().addr();
    let mut codec = FramedCodec::default();
    let call = codec.decode(&mut src).unwrap().unwrap();
    let reply = codec.decode(&mut src).unwrap().unwrap();
    assert_eq!(call.as_ptr().addr(), first + HEAD_LEN);
    assert_eq!(reply.as_ptr().addr(), first + 30 + HEAD_LEN);
}

#[test]
fn the_length_is_known_with_its_fourth_byte() {
    let wire = vector("framed_call").bytes;
    for len in 0..wire.len() {
        assert_eq!(peek_len(&wire[..len]), (len >= 4).then_some(26));
    }
}

/// Name, frame and LENGTH of each vector that is a frame or has one behind a header.
fn frames() -> Vec<(String, Vec<u8>, u64)> {
    let frame = |vector: Vector| {
        let Some(length) = vector.fields["frame_length"].as_u64() else {
            // No message is in it that anybody takes; the frame around it is one all the same.
            return (vector.name == "neg_framed_unversioned").then_some((vector.name, vector.bytes, 23));
        };
        let len = usize::try_from(length).unwrap() + HEAD_LEN;
        let (_header, frame) = vector.bytes.split_at(vector.bytes.len() - len);
        Some((vector.name, frame.to_vec(), length))
    };
    vectors().into_iter().filter_map(frame).collect()
}
