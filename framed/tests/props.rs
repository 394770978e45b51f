//! Payloads of any content go to the wire and back however it is cut, and no bytes make it panic.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use bytes::{Bytes, BytesMut};
use framed::{FramedCodec, encode_head, peek_len};
use proptest::collection::vec;
use proptest::prelude::*;
use testkit::decode_in_reads;
use tokio_util::codec::Encoder;

proptest! {
    #[test]
    fn payloads_come_back_as_they_went(payloads in vec(payload(), 0..8), read in 1..64_usize) {
        let wire = encode(&payloads);
        let (decoded, error) = decode_in_reads(&mut FramedCodec::default(), wire.chunks(read));
        prop_assert_eq!(decoded, payloads);
        prop_assert_eq!(error, None);
    }

    #[test]
    fn a_head_says_the_length_of_its_payload(payload_len: u32) {
        let head = encode_head(payload_len.try_into()?)?;
        prop_assert_eq!(peek_len(&head), Some(payload_len));
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 0..256)) {
        let new = || FramedCodec::builder().max_frame_len(64).build();
        let whole = decode_in_reads(&mut new(), [&bytes[..]]);
        prop_assert_eq!(&decode_in_reads(&mut new(), bytes.chunks(1)), &whole);
        prop_assert_eq!(&decode_in_reads(&mut new(), bytes.chunks(7)), &whole);
        let (payloads, error) = whole;
        let taken = encode(&payloads);
        prop_assert!(bytes.starts_with(&taken));
        prop_assert_eq!(error.is_none(), taken.len() == bytes.len(), "what is left over is an error");
    }

    #[test]
    fn a_cut_stream_is_an_error_unless_cut_between_frames(payloads in vec(payload(), 1..8), at: prop::sample::Index) {
        let wire = encode(&payloads);
        let cut = at.index(wire.len());
        let (decoded, error) = decode_in_reads(&mut FramedCodec::default(), [&wire[..cut]]);
        let taken = encode(&decoded);
        prop_assert!(wire.starts_with(&taken) && taken.len() <= cut);
        prop_assert_eq!(error.is_none(), taken.len() == cut);
    }
}

fn payload() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..48).prop_map(Bytes::from)
}

fn encode(payloads: &[Bytes]) -> BytesMut {
    let mut wire = BytesMut::new();
    for payload in payloads {
        FramedCodec::default().encode(payload.clone(), &mut wire).unwrap();
    }
    wire
}
