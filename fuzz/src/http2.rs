use bytes::{Bytes, BytesMut};
use grpc_frame::http2::{
    Flags, Frame, FrameType, Head, Headers, Http2Codec, Http2CodecBuilder, Peer, PushPromise, StreamId,
};
use testkit::decode_in_reads;
use tokio_util::codec::{Decoder, Encoder};

/// [`Http2Codec`], header blocks left in their pieces: the same frames and the same error however the octets are split,
/// with a preface or without; the frames that a plain reader finds, which encode to the octets they came from but for
/// reserved bits and padding.
pub fn http2(data: &[u8]) {
    for builder in [
        limits().join_header_blocks(false),
        limits().expect_preface(Peer::Client),
        limits().expect_preface(Peer::Server),
    ] {
        assert_splits_agree(&builder, data);
    }
    let (frames, error) = decode_in_reads(&mut limits().join_header_blocks(false).build(), [data]);
    let plain = plain::frames(data);
    assert_eq!(frames.len(), plain.frames.len(), "a plain reader takes {:?}", plain.frames);
    assert_eq!(error.is_none(), plain.ended_well, "{error:?}");
    for (frame, expected) in frames.iter().zip(&plain.frames) {
        let mut encoded = BytesMut::new();
        frame.encode(&mut encoded).expect("what decoded is within every limit");
        assert_eq!(encoded, expected, "{frame:?}");
        let head = Head::peek(&encoded).expect("a frame has a head");
        assert_eq!(Frame::parse(head, encoded.freeze().slice(9..)).as_ref(), Ok(frame));
    }
    // Split off unread, nothing is lost either.
    let mut src = BytesMut::from(data);
    let mut raw = Vec::new();
    let mut codec = limits().build();
    while let Ok(Some((head, frame))) = codec.split(&mut src) {
        assert_eq!(head.frame_len(), frame.len());
        raw.extend_from_slice(&frame);
    }
    raw.extend_from_slice(&src);
    assert_eq!(raw, data);
}

/// [`Http2Codec`], header blocks joined: the same however the octets are split; what comes of the pieces when they are
/// joined by hand; and blocks that are written in pieces of any size come back whole.
pub fn http2_continuation(data: &[u8]) {
    assert_splits_agree(&limits(), data);
    let (frames, error) = decode_in_reads(&mut limits().build(), [data]);
    let (pieces, same) = decode_in_reads(&mut limits().join_header_blocks(false).build(), [data]);
    assert_eq!((&frames, &error), (&joined(pieces), &same));

    let max = usize::from(data.first().copied().unwrap_or_default()).max(12);
    let mut codec = limits().max_send_frame_size(max).max_continuations(usize::MAX).max_frame_size(1 << 12).build();
    for frame in frames {
        let mut wire = BytesMut::new();
        let long =
            matches!(&frame, Frame::Headers(Headers { padding: None, fragment, .. }) if fragment.len() + 5 > max);
        if codec.encode(&frame, &mut wire).is_err() {
            // All that can be divided is a header block.
            assert!(!long, "{frame:?}");
            assert!(wire.is_empty(), "a part was written");
            continue;
        }
        let again = codec.decode(&mut wire).expect("what we write is taken");
        let Some(again) = again else { panic!("no end is in sight of {frame:?}") };
        assert!(wire.is_empty());
        assert!(again == frame || again == without_padding(frame.clone()), "{again:?} came of {frame:?}");
    }
}

fn limits() -> Http2CodecBuilder {
    Http2Codec::builder()
        .max_frame_size(plain::MAX_FRAME_SIZE)
        .max_header_block(plain::MAX_HEADER_BLOCK)
        .max_continuations(plain::MAX_CONTINUATIONS)
}

fn assert_splits_agree(builder: &Http2CodecBuilder, data: &[u8]) {
    let new = || builder.clone().build();
    let whole = decode_in_reads(&mut new(), [data]);
    assert_eq!(decode_in_reads(&mut new(), data.chunks(1)), whole, "one octet at a time");
    assert_eq!(decode_in_reads(&mut new(), data.chunks(7)), whole, "seven octets at a time");
}

/// Pieces of header blocks put together, without a look at any limit. A block that does not end yields nothing.
fn joined(pieces: Vec<Frame>) -> Vec<Frame> {
    let mut whole = Vec::new();
    let mut open: Option<(Frame, Vec<u8>)> = None;
    for piece in pieces {
        let ends = piece.flags().contains(Flags::END_HEADERS);
        match (piece, &mut open) {
            (Frame::Continuation(next), Some((_, block))) => {
                block.extend_from_slice(&next.fragment);
                if ends {
                    let (first, block) = open.take().expect("it is open");
                    whole.push(with_block(first, block.into()));
                }
            }
            (Frame::Headers(first), None) if !ends => {
                let block = first.fragment.to_vec();
                open = Some((first.into(), block));
            }
            (Frame::PushPromise(first), None) if !ends => {
                let block = first.fragment.to_vec();
                open = Some((first.into(), block));
            }
            (frame, None) => whole.push(frame),
            (frame, Some(_)) => panic!("{frame:?} inside a header block"),
        }
    }
    whole
}

fn with_block(frame: Frame, block: Bytes) -> Frame {
    match without_padding(frame) {
        Frame::Headers(first) => {
            Frame::Headers(Headers { flags: first.flags | Flags::END_HEADERS, fragment: block, ..first })
        }
        Frame::PushPromise(first) => {
            Frame::PushPromise(PushPromise { flags: first.flags | Flags::END_HEADERS, fragment: block, ..first })
        }
        other => other,
    }
}

fn without_padding(frame: Frame) -> Frame {
    let flags = |flags: Flags| flags.with(Flags::PADDED, false);
    match frame {
        Frame::Headers(first) => Frame::Headers(Headers { flags: flags(first.flags), padding: None, ..first }),
        Frame::PushPromise(first) => {
            Frame::PushPromise(PushPromise { flags: flags(first.flags), padding: None, ..first })
        }
        other => other,
    }
}

/// RFC 9113 sections 4.1, 4.2 and 6, one to one and without an eye to speed.
mod plain {
    use super::{FrameType, StreamId};

    pub(super) const MAX_FRAME_SIZE: usize = 300;
    pub(super) const MAX_HEADER_BLOCK: usize = 400;
    pub(super) const MAX_CONTINUATIONS: usize = 4;

    const END_HEADERS: u8 = 4;
    const PADDED: u8 = 8;
    const PRIORITY: u8 = 0x20;

    pub(super) struct Read {
        /// As they are to be written: reserved bits and padding are zero.
        pub(super) frames: Vec<Vec<u8>>,
        /// Whether nothing was refused and nothing is missing.
        pub(super) ended_well: bool,
    }

    /// A header block that is open: its stream, octets and further frames.
    struct Block {
        stream: u32,
        len: usize,
        frames: usize,
    }

    pub(super) fn frames(mut rest: &[u8]) -> Read {
        let mut frames = Vec::new();
        let mut block = None;
        while rest.len() >= 9 {
            let len = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
            if len > MAX_FRAME_SIZE || rest.len() < 9 + len {
                return Read { frames, ended_well: false };
            }
            let (frame, after) = rest.split_at(9 + len);
            let mut frame = frame.to_vec();
            let Some(()) = check(&mut frame, &mut block) else { return Read { frames, ended_well: false } };
            frames.push(frame);
            rest = after;
        }
        Read { frames, ended_well: rest.is_empty() && block.is_none() }
    }

    /// Whether the frame may come here; clears what is of no meaning in it.
    fn check(frame: &mut [u8], block: &mut Option<Block>) -> Option<()> {
        frame[5] &= 0x7f;
        let (kind, flags) = (FrameType(frame[3]), frame[4]);
        let stream = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
        let id = StreamId::new(stream);
        let payload = &mut frame[9..];
        if let Some(open) = block {
            let fits = kind == FrameType::CONTINUATION && open.stream == stream && open.frames < MAX_CONTINUATIONS;
            fits.then_some(())?;
        } else if kind == FrameType::CONTINUATION {
            return None;
        }
        let on_a_stream = !id.is_connection();
        let fragment = match kind {
            FrameType::DATA => {
                on_a_stream.then_some(())?;
                unpad(payload, flags, 0)?;
                return Some(());
            }
            FrameType::HEADERS => {
                on_a_stream.then_some(())?;
                unpad(payload, flags, if flags & PRIORITY == 0 { 0 } else { 5 })?
            }
            FrameType::PUSH_PROMISE => {
                on_a_stream.then_some(())?;
                let at = usize::from(flags & PADDED != 0);
                let promised = payload.get_mut(at..at + 4)?;
                promised[0] &= 0x7f;
                (promised[3] & 1 == 0 && promised != [0; 4]).then_some(())?;
                unpad(payload, flags, 4)?
            }
            FrameType::CONTINUATION => payload.len(),
            FrameType::PRIORITY => return (on_a_stream && payload.len() == 5).then_some(()),
            FrameType::RST_STREAM => return (on_a_stream && payload.len() == 4).then_some(()),
            FrameType::SETTINGS => {
                let whole = payload.len().is_multiple_of(6) && (flags & 1 == 0 || payload.is_empty());
                let in_range = payload.chunks_exact(6).all(|setting| {
                    let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
                    match [setting[0], setting[1]] {
                        [0, 2] => value <= 1,
                        [0, 4] => value < 1 << 31,
                        [0, 5] => (16_384..1 << 24).contains(&value),
                        _ => true,
                    }
                });
                return (!on_a_stream && whole && in_range).then_some(());
            }
            FrameType::PING => return (!on_a_stream && payload.len() == 8).then_some(()),
            FrameType::GOAWAY => {
                (!on_a_stream && payload.len() >= 8).then_some(())?;
                payload[0] &= 0x7f;
                return Some(());
            }
            FrameType::WINDOW_UPDATE => {
                (payload.len() == 4).then_some(())?;
                payload[0] &= 0x7f;
                return (payload != [0; 4]).then_some(());
            }
            _ => return Some(()),
        };
        let (len, frames) = block.as_ref().map_or((0, 0), |open| (open.len, open.frames + 1));
        (len + fragment <= MAX_HEADER_BLOCK).then_some(())?;
        *block = (flags & END_HEADERS == 0).then_some(Block { stream, len: len + fragment, frames });
        Some(())
    }

    /// Octets between Pad Length and `fields` in front and padding at the end, which is cleared.
    fn unpad(payload: &mut [u8], flags: u8, fields: usize) -> Option<usize> {
        if flags & PADDED == 0 {
            return payload.len().checked_sub(fields);
        }
        let padding = usize::from(*payload.first()?);
        let rest = payload.len().checked_sub(1 + fields)?;
        let fragment = rest.checked_sub(padding)?;
        let start = payload.len() - padding;
        payload[start..].fill(0);
        Some(fragment)
    }
}
