//! Frames of any content go to the wire and back, however they are split and divided, and no octets make it panic.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::{Bytes, BytesMut};
use grpc_frame::http2::{
    Continuation, Data, DecodeError, Dependency, ErrorCode, Flags, Frame, FrameType, GoAway, Head, Headers, Http2Codec,
    Http2CodecBuilder, Peer, Ping, Priority, PushPromise, RstStream, SettingId, Settings, StreamId, Unknown,
    WindowUpdate,
};
use proptest::collection::vec;
use proptest::prelude::*;
use testkit::decode_in_reads;
use tokio_util::codec::{Decoder, Encoder};

proptest! {
    #[test]
    fn frames_come_back_as_they_went(frames in vec(frame(), 0..12)) {
        let mut codec = Http2Codec::default();
        let mut wire = BytesMut::new();
        for frame in &frames {
            let before = wire.len();
            codec.encode(frame, &mut wire)?;
            let head = Head::peek(&wire[before..]).unwrap();
            prop_assert_eq!(head.frame_len(), wire.len() - before);
            prop_assert_eq!((head.frame_type, head.stream_id), (frame.frame_type(), frame.stream_id()));
        }
        let (decoded, error) = decode_in_reads(&mut codec, [&wire[..]]);
        prop_assert_eq!((decoded, error), (frames, None));
    }

    #[test]
    fn header_blocks_come_back_whole_from_frames_of_any_size(frames in vec(frame(), 0..6), max in 16..90_usize) {
        let mut codec =
            Http2Codec::builder().max_frame_size(max).max_send_frame_size(max).max_continuations(1000).build();
        let mut wire = BytesMut::new();
        let mut expected = Vec::new();
        for frame in frames {
            let before = wire.len();
            if codec.encode(&frame, &mut wire).is_ok() {
                let in_pieces = Head::peek(&wire[before..]).unwrap().frame_len() != wire.len() - before;
                expected.push(if in_pieces { without_padding(frame) } else { frame });
            } else {
                prop_assert_eq!(wire.len(), before);
            }
        }
        let (decoded, error) = decode_in_reads(&mut codec, [&wire[..]]);
        prop_assert_eq!((decoded, error), (expected, None));
    }

    #[test]
    fn reads_of_any_length_give_the_same(wire in octets_like_frames(), reads in vec(1..40_usize, 1..20)) {
        for builder in builders() {
            let whole = decode_in_reads(&mut builder.clone().build(), [&wire[..]]);
            let mut rest = &wire[..];
            let pieces = reads.iter().cycle().map_while(|&len| {
                let (read, after) = rest.split_at(len.min(rest.len()));
                rest = after;
                (!read.is_empty()).then_some(read)
            });
            prop_assert_eq!(decode_in_reads(&mut builder.build(), pieces), whole);
        }
    }

    #[test]
    fn any_octets_are_taken_or_refused(wire in octets_like_frames()) {
        for builder in builders() {
            let (frames, _) = decode_in_reads(&mut builder.build(), [&wire[..]]);
            for frame in frames {
                let mut encoded = BytesMut::new();
                frame.encode(&mut encoded)?;
                let head = Head::peek(&encoded).unwrap();
                let payload = encoded.freeze().slice(9..);
                prop_assert_eq!(Frame::parse(head, payload)?, frame);
            }
        }
    }

    #[test]
    fn a_head_alone_says_what_may_follow(head: [u8; 9], payload in vec(any::<u8>(), 0..40)) {
        let head = Head::peek(&head).unwrap();
        match Frame::parse(head, Bytes::from(payload)) {
            Ok(frame) => {
                prop_assert_eq!((frame.frame_type(), frame.flags()), (head.frame_type, head.flags));
                prop_assert_eq!(frame.stream_id(), head.stream_id);
            }
            Err(DecodeError::Truncated { .. }) => prop_assert!(false, "the frame is whole"),
            Err(_) => {}
        }
    }

    #[test]
    fn nothing_is_lost_when_frames_are_split_off(wire in octets_like_frames()) {
        let mut src = BytesMut::from(&wire[..]);
        let mut codec = Http2Codec::default();
        let mut raw = Vec::new();
        while let Ok(Some((head, frame))) = codec.split(&mut src) {
            prop_assert_eq!(head.frame_len(), frame.len());
            raw.extend_from_slice(&frame);
        }
        raw.extend_from_slice(&src);
        prop_assert_eq!(raw, wire);
    }
}

fn builders() -> [Http2CodecBuilder; 4] {
    let small = || Http2Codec::builder().max_frame_size(64).max_header_block(80).max_continuations(3);
    [
        small(),
        small().join_header_blocks(false),
        small().expect_preface(Peer::Client),
        small().join_header_blocks(false).expect_preface(Peer::Server),
    ]
}

fn without_padding(frame: Frame) -> Frame {
    let flags = |flags: Flags| flags.with(Flags::PADDED, false);
    match frame {
        Frame::Headers(headers) => Frame::Headers(Headers { flags: flags(headers.flags), padding: None, ..headers }),
        Frame::PushPromise(promise) => {
            Frame::PushPromise(PushPromise { flags: flags(promise.flags), padding: None, ..promise })
        }
        other => other,
    }
}

/// Octets that get past the first look: frames, some of them broken in one place, and noise.
fn octets_like_frames() -> impl Strategy<Value = Vec<u8>> {
    let frame = (0..24_u8, 0..12_u8, any::<u8>(), 0..4_u32, vec(any::<u8>(), 24)).prop_map(
        |(len, kind, flags, id, payload)| {
            let head = [0, 0, len, kind, flags, 0, 0, 0, u8::try_from(id).unwrap()];
            [&head[..], &payload[..usize::from(len)]].concat()
        },
    );
    let known = self::frame().prop_map(|frame| {
        let mut wire = BytesMut::new();
        frame.encode(&mut wire).unwrap();
        wire.to_vec()
    });
    // Header blocks in pieces, which chance alone would hardly make.
    let block = vec(vec(any::<u8>(), 0..30), 1..5).prop_map(|pieces| {
        let last = pieces.len() - 1;
        let piece = |(i, piece): (usize, &Vec<u8>)| {
            let len = u8::try_from(piece.len()).unwrap();
            let head = [0, 0, len, if i == 0 { 1 } else { 9 }, if i == last { 4 } else { 0 }, 0, 0, 0, 1];
            [&head[..], piece].concat()
        };
        pieces.iter().enumerate().map(piece).collect::<Vec<_>>().concat()
    });
    let preface = Just([&grpc_frame::http2::PREFACE[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat());
    let noise = vec(any::<u8>(), 0..40);
    let part = prop_oneof![4 => frame, 4 => known, 2 => block, 1 => noise];
    (prop::option::of(preface), vec(part, 0..8))
        .prop_map(|(preface, parts)| [preface.unwrap_or_default(), parts.concat()].concat())
}

/// Any frame that may be written, with END_HEADERS: flags are those that belong to its fields, and some that mean
/// nothing.
fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (stream(), flags(0x01), padding(), octets()).prop_map(|(stream_id, flags, padding, data)| {
            Frame::from(Data { stream_id, flags: padded(flags, padding), padding, data })
        }),
        (stream(), flags(0x01), padding(), prop::option::of(dependency()), octets()).prop_map(
            |(stream_id, flags, padding, dependency, fragment)| {
                let flags = padded(flags | Flags::END_HEADERS, padding);
                let flags = flags.with(Flags::PRIORITY, dependency.is_some());
                Headers { stream_id, flags, padding, dependency, fragment }.into()
            }
        ),
        (stream(), flags(0xff), dependency())
            .prop_map(|(stream_id, flags, dependency)| { Priority { stream_id, flags, dependency }.into() }),
        (stream(), flags(0xff), any::<u32>())
            .prop_map(|(stream_id, flags, code)| { RstStream { stream_id, flags, code: ErrorCode(code) }.into() }),
        vec(setting(), 0..5).prop_map(|settings| Settings::new(settings).unwrap().into()),
        Just(Settings::ack().into()),
        (stream(), padding(), 1..1000_u32, octets()).prop_map(|(stream_id, padding, id, fragment)| {
            let flags = padded(Flags::END_HEADERS, padding);
            PushPromise { stream_id, flags, padding, promised_id: StreamId::new(id * 2), fragment }.into()
        }),
        (flags(0xff), any::<[u8; 8]>()).prop_map(|(flags, data)| Ping { flags, data }.into()),
        (flags(0xff), any::<u32>(), any::<u32>(), octets()).prop_map(|(flags, last, code, debug_data)| {
            GoAway { flags, last_stream_id: StreamId::new(last), code: ErrorCode(code), debug_data }.into()
        }),
        (any::<u32>(), flags(0xff), 1..1_u32 << 31).prop_map(|(stream_id, flags, increment)| {
            WindowUpdate { stream_id: StreamId::new(stream_id), flags, increment }.into()
        }),
        (0x0a..=0xff_u8, flags(0xff), any::<u32>(), octets()).prop_map(|(frame_type, flags, stream_id, payload)| {
            let (frame_type, stream_id) = (FrameType(frame_type), StreamId::new(stream_id));
            Unknown { frame_type, flags, stream_id, payload }.into()
        }),
    ]
}

fn padded(flags: Flags, padding: Option<u8>) -> Flags {
    flags.with(Flags::PADDED, padding.is_some())
}

fn stream() -> impl Strategy<Value = StreamId> {
    prop_oneof![1..8_u32, 1..1_u32 << 31].prop_map(StreamId::new)
}

/// Those of `mask`, and bits without a meaning in any type.
fn flags(mask: u8) -> impl Strategy<Value = Flags> {
    any::<u8>().prop_map(move |flags| Flags(flags & (mask | 0xd2)))
}

fn padding() -> impl Strategy<Value = Option<u8>> {
    prop::option::of(any::<u8>())
}

fn dependency() -> impl Strategy<Value = Dependency> {
    (any::<bool>(), any::<u32>(), any::<u8>()).prop_map(|(exclusive, parent, weight)| Dependency {
        exclusive,
        stream_id: StreamId::new(parent),
        weight,
    })
}

fn setting() -> impl Strategy<Value = (SettingId, u32)> {
    prop_oneof![
        (0..2_u32).prop_map(|value| (SettingId::ENABLE_PUSH, value)),
        (0..1_u32 << 31).prop_map(|value| (SettingId::INITIAL_WINDOW_SIZE, value)),
        (16_384..1_u32 << 24).prop_map(|value| (SettingId::MAX_FRAME_SIZE, value)),
        (6..=u16::MAX, any::<u32>()).prop_map(|(id, value)| (SettingId(id), value)),
    ]
}

fn octets() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

#[test]
fn a_piece_of_a_header_block_comes_back_as_it_went() {
    let mut codec = Http2Codec::builder().join_header_blocks(false).build();
    let pieces = [
        Frame::from(Headers { flags: Flags::NONE, ..Headers::new(StreamId::new(1), Bytes::from_static(b"a")) }),
        Continuation { stream_id: StreamId::new(1), flags: Flags(0x40), fragment: Bytes::new() }.into(),
        Continuation { stream_id: StreamId::new(1), flags: Flags::END_HEADERS, fragment: Bytes::from_static(b"b") }
            .into(),
    ];
    let mut wire = BytesMut::new();
    for piece in &pieces {
        codec.encode(piece, &mut wire).unwrap();
    }
    for piece in pieces {
        assert_eq!(codec.decode(&mut wire).unwrap(), Some(piece));
    }
}
