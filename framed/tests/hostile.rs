//! What a peer sends that it must not, and what a caller asks for that cannot be.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use framed::{
    CodecError, DEFAULT_MAX_FRAME_LEN, DecodeError, EncodeError, FramedCodec, HEAD_LEN, MAX_EAGER_RESERVE, encode_head,
};
use testkit::{assert_every_cut_is_an_error, assert_split_invariant, vector, vectors};
use tokio_util::codec::{Decoder, Encoder};

#[test]
fn every_split_decodes_the_same() {
    for name in ["framed_reply", "framed_exception_unknown_service", "buffered_call", "neg_ttheader_info_id_2"] {
        let mut wire = vector("framed_call").bytes;
        wire.extend(vector(name).bytes);
        assert_split_invariant(FramedCodec::default, wire);
    }
    assert_split_invariant(FramedCodec::default, b"\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0");
    assert_split_invariant(|| limited(3), b"\0\0\0\x03abc\0\0\0\x04abcd");
}

#[test]
fn every_cut_is_an_error() {
    for vector in vectors() {
        if vector.fields["transport"] == "framed" {
            assert_every_cut_is_an_error(FramedCodec::default, vector.bytes);
        }
    }
    assert_every_cut_is_an_error(FramedCodec::default, [0; 4]);
}

#[test]
fn a_cut_says_how_much_is_missing() {
    let wire = vector("framed_call").bytes;
    for len in 1..wire.len() {
        let expected = match len {
            ..HEAD_LEN => DecodeError::Truncated { field: "LENGTH", offset: 0, expected: 4, actual: len },
            _ => DecodeError::Truncated { field: "PAYLOAD", offset: 4, expected: 26, actual: len - 4 },
        };
        let error = FramedCodec::default().decode_eof(&mut wire[..len].into()).unwrap_err();
        assert_eq!(decode_error(error), expected);
    }
    let error = FramedCodec::default().decode_eof(&mut wire[..9].into()).unwrap_err();
    assert_eq!(error.to_string(), "PAYLOAD at offset 4: needs 26 bytes, 5 left");
}

#[test]
fn a_frame_at_the_limit_is_taken_and_one_above_is_not() {
    let wire = vector("framed_call").bytes;
    for (limit, ok) in [(25, false), (26, true), (27, true)] {
        let mut codec = limited(limit);
        assert_eq!(codec.max_frame_len(), limit);
        let too_long = DecodeError::TooLong { field: "LENGTH", offset: 0, max: limit, actual: 26 };
        // LENGTH is enough to know.
        for len in HEAD_LEN..=wire.len() {
            match codec.decode(&mut wire[..len].into()) {
                Ok(payload) => assert!(ok && payload.is_some() == (len == wire.len()), "{limit}, {len} bytes"),
                Err(error) => {
                    assert!(!ok, "{limit}, {len} bytes");
                    assert_eq!(decode_error(error), too_long);
                }
            }
        }
    }
}

#[test]
fn the_limit_is_16_mib_unless_set() {
    let claim = |len: usize| {
        let mut src = BytesMut::from(&encode_head(len).unwrap()[..]);
        FramedCodec::default().decode(&mut src)
    };
    assert_eq!(DEFAULT_MAX_FRAME_LEN, 16 << 20);
    assert_eq!(claim(DEFAULT_MAX_FRAME_LEN - 1).unwrap(), None);
    assert_eq!(claim(DEFAULT_MAX_FRAME_LEN).unwrap(), None);
    let actual = DEFAULT_MAX_FRAME_LEN + 1;
    let too_long = DecodeError::TooLong { field: "LENGTH", offset: 0, max: DEFAULT_MAX_FRAME_LEN, actual };
    assert_eq!(decode_error(claim(actual).unwrap_err()), too_long);
    assert_eq!(too_long.to_string(), "LENGTH at offset 0: at most 16777216 bytes are allowed, 16777217 are claimed");
}

#[test]
fn a_negative_length_is_a_long_one() {
    // Apache Thrift reads LENGTH as signed; Kitex does not, and neither do we.
    for (length, actual) in [(0x8000_0000_u32, 1 << 31), (u32::MAX, (1_usize << 32) - 1)] {
        let mut src = BytesMut::from(&length.to_be_bytes()[..]);
        let error = FramedCodec::default().decode(&mut src).unwrap_err();
        let too_long = DecodeError::TooLong { field: "LENGTH", offset: 0, max: DEFAULT_MAX_FRAME_LEN, actual };
        assert_eq!(decode_error(error), too_long);
    }
}

#[test]
fn an_error_is_said_again() {
    let mut src = BytesMut::from(&vector("buffered_call").bytes[..]);
    let mut codec = FramedCodec::default();
    let actual = 0x8001_0001;
    let too_long = DecodeError::TooLong { field: "LENGTH", offset: 0, max: DEFAULT_MAX_FRAME_LEN, actual };
    for _ in 0..2 {
        assert_eq!(decode_error(codec.decode(&mut src).unwrap_err()), too_long);
        assert_eq!(decode_error(codec.decode_eof(&mut src).unwrap_err()), too_long);
    }
    assert_eq!(src, vector("buffered_call").bytes, "nothing is taken off what could not be read");
}

#[test]
fn a_bare_head_reserves_little_for_what_it_claims() {
    for (limit, length) in [(DEFAULT_MAX_FRAME_LEN, 16_u32 << 20), (usize::MAX, u32::MAX)] {
        let mut src = BytesMut::from(&length.to_be_bytes()[..]);
        let mut codec = limited(limit);
        for _ in 0..3 {
            assert_eq!(codec.decode(&mut src).unwrap(), None);
            assert!(src.capacity() <= 2 * MAX_EAGER_RESERVE, "{}", src.capacity());
        }
        assert_eq!(src, length.to_be_bytes()[..], "the claim stays until it is made good");
    }
}

#[test]
fn memory_grows_with_what_came_and_not_with_what_is_claimed() {
    let mut src = BytesMut::from(&(8_u32 << 20).to_be_bytes()[..]);
    let mut codec = FramedCodec::default();
    for _ in 0..16 {
        src.extend_from_slice(&[0; 64 << 10]);
        assert_eq!(codec.decode(&mut src).unwrap(), None);
        // A buffer that grows doubles at most.
        assert!(src.capacity() <= 2 * (src.len() + MAX_EAGER_RESERVE), "{} for {}", src.capacity(), src.len());
    }
}

#[test]
fn a_short_frame_reserves_no_more_than_it_needs() {
    let mut src = BytesMut::from(&b"\0\0\0\x64half"[..]);
    assert_eq!(FramedCodec::default().decode(&mut src).unwrap(), None);
    assert!((104..=256).contains(&src.capacity()), "{}", src.capacity());
}

#[test]
fn the_limit_holds_for_writing_too() {
    let mut dst = BytesMut::from(&b"before"[..]);
    for (len, ok) in [(9, true), (10, true), (11, false)] {
        dst.truncate(6);
        let result = limited(10).encode(vec![1; len].into(), &mut dst);
        match result {
            Ok(()) => assert!(ok && dst.len() == 6 + HEAD_LEN + len),
            Err(CodecError::Encode(error)) => {
                assert!(!ok);
                assert_eq!(error, EncodeError::TooLong { field: "PAYLOAD", max: 10, actual: len });
                assert_eq!(error.to_string(), "PAYLOAD: at most 10 bytes are allowed, the payload has 11");
                assert_eq!(dst, b"before"[..], "nothing is written when it fails");
            }
            Err(error) => panic!("{error}"),
        }
    }
    limited(0).encode(Bytes::new(), &mut dst).unwrap();
}

#[test]
fn a_payload_that_length_cannot_say_is_refused() {
    let most = usize::try_from(u32::MAX).unwrap();
    assert_eq!(encode_head(most), Ok([0xff; 4]));
    for actual in [most.saturating_add(1), usize::MAX] {
        if actual > most {
            assert_eq!(encode_head(actual), Err(EncodeError::TooLong { field: "PAYLOAD", max: most, actual }));
        }
    }
}

fn limited(max_frame_len: usize) -> FramedCodec {
    FramedCodec::builder().max_frame_len(max_frame_len).build()
}

fn decode_error(error: CodecError) -> DecodeError {
    let CodecError::Decode(error) = error else { panic!("{error}") };
    error
}
