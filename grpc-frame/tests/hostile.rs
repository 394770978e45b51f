//! What a peer sends that it must not, and what a caller asks for that cannot be.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use grpc_frame::{
    CodecError, DEFAULT_MAX_MESSAGE_LEN, DecodeError, EncodeError, MAX_EAGER_RESERVE,
    message::{Assembler, Boundaries, CompressedFlag, HEAD_LEN, Head, Message, MessageCodec},
    status::{RpcStatus, Status},
    timeout,
};
use testkit::{assert_every_cut_is_an_error, assert_split_invariant, from_hex};
use tokio_util::codec::{Decoder, Encoder};

const THREE: &[u8] = b"\0\0\0\0\x05first\x01\0\0\0\0\xff\0\0\0\x05third";

#[test]
fn every_split_decodes_the_same() {
    assert_split_invariant(MessageCodec::default, THREE);
    assert_split_invariant(MessageCodec::default, [THREE, b"\0\0\0\0\x02x"].concat());
    assert_split_invariant(|| limited(4), THREE);
}

#[test]
fn every_split_into_chunks_gives_the_same_messages() {
    for first in 0..=THREE.len() {
        for second in first..=THREE.len() {
            let chunks = [&THREE[..first], &THREE[first..second], &THREE[second..]];
            let mut assembler = Assembler::default();
            let mut boundaries = Boundaries::default();
            let (mut messages, mut counted) = (Vec::new(), 0);
            for chunk in chunks {
                assembler.feed(Bytes::from_static(chunk));
                while let Some(message) = assembler.next_message().unwrap() {
                    messages.push((message.flag.0, message.payload));
                }
                counted += boundaries.feed(chunk).unwrap();
                assert_eq!(messages.len(), counted, "{first}, {second}");
                assert_eq!(assembler.is_between_messages(), boundaries.is_between_messages());
            }
            let payload = Bytes::from_static;
            assert_eq!(messages, [(0, payload(b"first")), (1, payload(b"")), (255, payload(b"third"))]);
            assert_eq!((assembler.finish(), boundaries.finish()), (Ok(()), Ok(())));
        }
    }
}

#[test]
fn every_cut_is_an_error() {
    assert_every_cut_is_an_error(MessageCodec::default, b"\0\0\0\0\x05first");
    assert_every_cut_is_an_error(MessageCodec::default, b"\x01\0\0\0\0");
}

#[test]
fn a_cut_says_how_much_is_missing() {
    let wire = b"\0\0\0\0\x07message";
    for len in 1..wire.len() {
        let expected = match len {
            ..HEAD_LEN => {
                DecodeError::Truncated { field: "Length-Prefixed-Message head", offset: 0, expected: 5, actual: len }
            }
            _ => DecodeError::Truncated { field: "Message", offset: 5, expected: 7, actual: len - 5 },
        };
        let error = MessageCodec::default().decode_eof(&mut wire[..len].into()).unwrap_err();
        assert_eq!(decode_error(error), expected);
        for size in 1..=len {
            let mut assembler = Assembler::default();
            let mut boundaries = Boundaries::default();
            for chunk in wire[..len].chunks(size) {
                assembler.feed(Bytes::copy_from_slice(chunk));
                assert_eq!(assembler.next_message(), Ok(None));
                assert_eq!(boundaries.feed(chunk), Ok(0));
            }
            assert_eq!(assembler.buffered_len(), len);
            assert!(!assembler.is_between_messages() && !boundaries.is_between_messages());
            assert_eq!((assembler.finish(), boundaries.finish()), (Err(expected), Err(expected)), "{len}, {size}");
        }
    }
    let error = MessageCodec::default().decode_eof(&mut wire[..9].into()).unwrap_err();
    assert_eq!(error.to_string(), "Message at offset 5: needs 7 bytes, 4 left");
}

#[test]
fn a_message_at_the_limit_is_taken_and_one_above_is_not() {
    let wire = b"\0\0\0\0\x07message";
    for (limit, ok) in [(6, false), (7, true), (8, true), (0, false)] {
        assert_eq!(limited(limit).max_message_len(), limit);
        let too_long = DecodeError::TooLong { field: "Message-Length", offset: 1, max: limit, actual: 7 };
        // The head is enough to know.
        for len in HEAD_LEN..=wire.len() {
            let decoded = limited(limit).decode(&mut wire[..len].into()).map_err(decode_error);
            for size in [1, 3, len] {
                let mut assembler = Assembler::new(limit);
                let mut assembled = Ok(None);
                for chunk in wire[..len].chunks(size) {
                    assembler.feed(Bytes::copy_from_slice(chunk));
                    assembled = assembler.next_message();
                }
                assert_eq!(assembled, decoded, "{limit}, {len} bytes by {size}");
                let mut boundaries = Boundaries::new(limit);
                let mut counted = Ok(0);
                for chunk in wire[..len].chunks(size) {
                    counted = boundaries.feed(chunk);
                }
                assert_eq!(counted, decoded.clone().map(|message| usize::from(message.is_some())));
            }
            match decoded {
                Ok(message) => assert!(ok && message.is_some() == (len == wire.len()), "{limit}, {len} bytes"),
                Err(error) => {
                    assert!(!ok, "{limit}, {len} bytes");
                    assert_eq!(error, too_long);
                }
            }
        }
    }
}

#[test]
fn the_limit_is_16_mib_unless_set() {
    assert_eq!(DEFAULT_MAX_MESSAGE_LEN, 16 << 20);
    for (len, ok) in
        [(DEFAULT_MAX_MESSAGE_LEN - 1, true), (DEFAULT_MAX_MESSAGE_LEN, true), (DEFAULT_MAX_MESSAGE_LEN + 1, false)]
    {
        let head = Head::new(CompressedFlag::PLAIN, len).unwrap().encode();
        let too_long =
            DecodeError::TooLong { field: "Message-Length", offset: 1, max: DEFAULT_MAX_MESSAGE_LEN, actual: len };
        let mut assembler = Assembler::default();
        assembler.feed(Bytes::copy_from_slice(&head));
        assert_eq!(assembler.next_message(), if ok { Ok(None) } else { Err(too_long) });
        assert_eq!(Boundaries::default().feed(&head), if ok { Ok(0) } else { Err(too_long) });
        let decoded = MessageCodec::default().decode(&mut head[..].into()).map_err(decode_error);
        assert_eq!(decoded, if ok { Ok(None) } else { Err(too_long) });
    }
}

/// Spec F, trap 39.
#[test]
fn four_gibibytes_are_not_believed() {
    let wire = from_hex("00 ffffffff");
    let too_long = DecodeError::TooLong {
        field: "Message-Length",
        offset: 1,
        max: DEFAULT_MAX_MESSAGE_LEN,
        actual: usize::try_from(u32::MAX).unwrap(),
    };
    assert_eq!(
        too_long.to_string(),
        "Message-Length at offset 1: at most 16777216 bytes are allowed, 4294967295 are claimed"
    );
    assert_eq!(Boundaries::default().feed(&wire), Err(too_long));
    // Who sets no limit gets them counted all the same.
    let mut boundaries = Boundaries::new(usize::MAX);
    assert_eq!(boundaries.feed(&wire), Ok(0));
    let megabyte = vec![0; 1 << 20];
    for _ in 0..4095 {
        assert_eq!(boundaries.feed(&megabyte), Ok(0));
    }
    assert_eq!(boundaries.feed(&megabyte[..(1 << 20) - 2]), Ok(0));
    assert_eq!(boundaries.feed(&[0, 7]), Ok(1));
    assert!(!boundaries.is_between_messages(), "the second byte begins the next one");
}

#[test]
fn an_error_is_said_again() {
    let wire = b"\0\0\0\0\x01a\0\0\0\0\x09too long";
    let too_long = DecodeError::TooLong { field: "Message-Length", offset: 1, max: 8, actual: 9 };
    for size in 1..=wire.len() {
        let mut src = BytesMut::from(&wire[..]);
        let mut codec = limited(8);
        codec.decode(&mut src).unwrap().unwrap();
        let mut assembler = Assembler::new(8);
        let mut boundaries = Boundaries::new(8);
        let mut refused = false;
        for chunk in wire.chunks(size) {
            assembler.feed(Bytes::copy_from_slice(chunk));
            while let Ok(Some(_)) = assembler.next_message() {}
            // A count is lost with the chunk that holds the error: the stream has failed.
            refused |= boundaries.feed(chunk).is_err();
        }
        assert!(refused);
        for _ in 0..2 {
            assert_eq!(decode_error(codec.decode(&mut src).unwrap_err()), too_long);
            assert_eq!(decode_error(codec.decode_eof(&mut src).unwrap_err()), too_long);
            assert_eq!(assembler.next_message(), Err(too_long), "by {size}");
            for more in [&b""[..], b"a", b"\0\0\0\0\0\0\0\0\0\0\0"] {
                assert_eq!(boundaries.feed(more), Err(too_long), "by {size}");
            }
            assert_eq!(boundaries.finish(), Err(too_long));
            assert!(!boundaries.is_between_messages());
        }
        assert_eq!(assembler.clone().finish(), Err(too_long));
        assembler.feed(Bytes::from_static(b"more"));
        assert_eq!(assembler.next_message(), Err(too_long));
        assert_eq!(src, b"\0\0\0\0\x09too long"[..], "nothing is taken off what could not be read");
    }
}

#[test]
fn a_bare_head_reserves_little_for_what_it_claims() {
    for (limit, len) in [(DEFAULT_MAX_MESSAGE_LEN, 16_u32 << 20), (usize::MAX, u32::MAX)] {
        let head = Head { flag: CompressedFlag::PLAIN, len }.encode();
        let mut src = BytesMut::from(&head[..]);
        let mut codec = limited(limit);
        for _ in 0..3 {
            assert_eq!(codec.decode(&mut src).unwrap(), None);
            assert!(src.capacity() <= 2 * MAX_EAGER_RESERVE, "{}", src.capacity());
        }
        assert_eq!(src, head[..], "the claim stays until it is made good");
    }
}

#[test]
fn memory_grows_with_what_came_and_not_with_what_is_claimed() {
    let mut src = BytesMut::from(&b"\0\0\x80\0\0"[..]);
    let mut codec = MessageCodec::default();
    for _ in 0..16 {
        src.extend_from_slice(&[0; 64 << 10]);
        assert_eq!(codec.decode(&mut src).unwrap(), None);
        // A buffer that grows doubles at most.
        assert!(src.capacity() <= 2 * (src.len() + MAX_EAGER_RESERVE), "{} for {}", src.capacity(), src.len());
    }
}

#[test]
fn the_limit_holds_for_writing_too() {
    let mut dst = BytesMut::from(&b"before"[..]);
    for (len, ok) in [(9, true), (10, true), (11, false)] {
        dst.truncate(6);
        match limited(10).encode(Message::plain(vec![1; len].into()), &mut dst) {
            Ok(()) => assert!(ok && dst.len() == 6 + HEAD_LEN + len),
            Err(CodecError::Encode(error)) => {
                assert!(!ok);
                assert_eq!(error, EncodeError::TooLong { field: "Message", max: 10, actual: len });
                assert_eq!(error.to_string(), "Message: at most 10 bytes are allowed, the payload has 11");
                assert_eq!(dst, b"before"[..], "nothing is written when it fails");
            }
            Err(error) => panic!("{error}"),
        }
    }
    limited(0).encode(Message::compressed(Bytes::new()), &mut dst).unwrap();
}

#[test]
fn a_message_that_its_length_cannot_say_is_refused() {
    let most = usize::try_from(u32::MAX).unwrap();
    assert_eq!(Head::new(CompressedFlag(7), most).unwrap().encode(), from_hex("07 ffffffff")[..]);
    for actual in [most.saturating_add(1), usize::MAX] {
        if actual > most {
            let error = EncodeError::TooLong { field: "Message", max: most, actual };
            assert_eq!(Head::new(CompressedFlag::PLAIN, actual), Err(error));
        }
    }
}

#[test]
fn a_timeout_says_what_is_wrong_with_it() {
    for (value, offset, text) in [
        ("", 0, "grpc-timeout at offset 0: expected 1 to 8 digits and a unit, got the end"),
        ("S", 0, "grpc-timeout at offset 0: expected a digit, got 0x53"),
        ("-S", 1, "grpc-timeout at offset 1: expected a digit, got 0x53"),
        ("1", 0, "grpc-timeout at offset 0: expected a unit: H, M, S, m, u or n, got 0x31"),
        ("1X", 1, "grpc-timeout at offset 1: expected a unit: H, M, S, m, u or n, got 0x58"),
        ("1 S", 1, "grpc-timeout at offset 1: expected a digit, got 0x20"),
        ("--1S", 1, "grpc-timeout at offset 1: expected a digit, got 0x2d"),
        ("123456789S", 9, "grpc-timeout at offset 9: expected at most 9 characters, got 0x53"),
    ] {
        let error = timeout::parse(value.as_bytes()).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { field: "grpc-timeout", offset: at, .. } if at == offset));
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn malformed_details_say_where() {
    let field = "grpc-status-details-bin";
    let truncated = |offset, expected, actual| DecodeError::Truncated { field, offset, expected, actual };
    for (hex, error) in [
        ("08", truncated(1, 1, 0)),
        ("0880", truncated(1, 2, 1)),
        ("12", truncated(1, 1, 0)),
        ("120561", truncated(2, 5, 1)),
        ("1a ffffffffffffffffff01", truncated(11, usize::MAX, 0)),
        ("39 00", truncated(1, 8, 1)),
        ("3d 00", truncated(1, 4, 1)),
        ("00", DecodeError::Malformed { field, offset: 0, expected: "a field number", actual: Some(0) }),
        ("0b", DecodeError::Malformed { field, offset: 0, expected: "wire type 0, 1, 2 or 5", actual: Some(0x0b) }),
        (
            "08 ffffffffffffffffffff01",
            DecodeError::Malformed { field, offset: 1, expected: "a varint of at most 10 bytes", actual: Some(0xff) },
        ),
    ] {
        assert_eq!(RpcStatus::parse(&from_hex(hex)), Err(error), "{hex}");
    }
    // Unknown fields of every kind, of which none counts.
    let bytes = from_hex("0809 2001 29 0000000000000000 3500000000 320161 0a0178");
    assert_eq!(RpcStatus::parse(&bytes).unwrap().code.0, 9);
}

#[test]
fn a_status_that_is_none_is_an_error() {
    for (status, details) in [
        (&b""[..], None),
        (b"OK", None),
        (b"4294967296", None),
        (b"9", Some(&b"!"[..])),
        (b"9", Some(b"CA")),
        (b"9", Some(b"CAkSEFVzZXJzcGFjZSBlcnJv")),
    ] {
        assert!(Status::parse(Some(status), None, details).is_err(), "{status:?} {details:?}");
    }
}

fn limited(max_message_len: usize) -> MessageCodec {
    MessageCodec::builder().max_message_len(max_message_len).build()
}

fn decode_error(error: CodecError) -> DecodeError {
    let CodecError::Decode(error) = error else { panic!("{error}") };
    error
}
