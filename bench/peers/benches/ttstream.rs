//! TTHeader Streaming: data frames cut from a stream, and heads written. `cargo bench --bench ttstream`.
//!
//! No other crate speaks it: the plain loops here do by hand, for these frames alone, what a relay needs.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use peers::{Contest, CountingAllocator};
use tokio_util::codec::Decoder;
use ttheader::{Flags, HeaderWriter, IntKey, ProtocolId, TtHeaderCodec};
use ttstream::stream::{Client, Server};
use ttstream::{Frame, FrameType, StreamEncoder, TtStreamCodec};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MAX: usize = 16 << 20;
const METHOD: &[u8] = b"EchoBidi";

fn main() {
    for (frames, payload) in [(1000, 64), (1000, 1 << 10), (100, 16 << 10)] {
        decode(frames, payload);
    }
    write();
    machines();
}

fn decode(frames: usize, payload: usize) {
    let wire = data_frame(payload).repeat(frames);
    let buffer = || BytesMut::from(&wire[..]);
    let mut codec = TtStreamCodec::builder().max_frame_len(MAX).build();
    let (mut relay, mut dst) = (codec, BytesMut::with_capacity(64 << 10));
    let mut unread = TtHeaderCodec::builder().max_frame_len(MAX).build();
    let mut headers = unread;
    let (mut src, mut seen) = (buffer(), 0);
    while let Some((kind, id, message)) = plain::decode(&mut src) {
        assert_eq!((kind, id, message.len()), (b'3', 7, payload));
        seen += 1;
    }
    assert_eq!(seen, frames);
    let (mut src, mut seen) = (buffer(), 0);
    while let Some(frame) = codec.decode(&mut src).unwrap() {
        assert_eq!((frame.frame_type(), frame.stream_id()), (FrameType::Data, 7));
        seen += 1;
    }
    assert_eq!(seen, frames);

    Contest::new(format!("{frames} data frames of {payload} bytes: kind, id and payload of each"), wire.len())
        .entry_on("plain loop, for just this layout", buffer, |mut src| {
            while let Some(frame) = plain::decode(&mut src) {
                black_box(frame);
            }
        })
        .entry_on("`TtHeaderCodec::split`, header unread", buffer, |mut src| {
            while let Ok(Some(frame)) = unread.split(&mut src) {
                black_box(frame);
            }
        })
        .entry_on("`TtHeaderCodec`, kind looked up", buffer, |mut src| {
            while let Ok(Some(frame)) = headers.decode(&mut src) {
                black_box((frame.header().int(IntKey::FRAME_TYPE), frame.head().seq, frame.payload()));
            }
        })
        .entry_on("`TtStreamCodec`, `Frame::into_payload`", buffer, |mut src| {
            while let Ok(Some(frame)) = codec.decode(&mut src) {
                black_box((frame.frame_type(), frame.stream_id(), frame.into_payload()));
            }
        })
        .entry_on("the same, and its head written under another id", buffer, |mut src| {
            dst.clear();
            while let Ok(Some(frame)) = relay.decode(&mut src) {
                frame.encode_head_with_id(9, &mut dst).unwrap();
                black_box((frame.frame_type(), frame.into_payload()));
            }
        })
        .run();
}

fn write() {
    let encoder = StreamEncoder::new(7, METHOD).unwrap();
    let frame = Frame::parse(data_frame(64)).unwrap();
    let template = data_frame(0);
    let mut dst: [BytesMut; 4] = std::array::from_fn(|_| BytesMut::with_capacity(4 << 10));
    let [plain_dst, data_dst, on_dst, anew_dst] = &mut dst;
    plain::write(&template, 64, plain_dst);
    encoder.data(64, data_dst).unwrap();
    assert_eq!(plain_dst, data_dst);
    Contest::new("head of a data frame", template.len())
        .entry("plain: copy, set LENGTH", || {
            plain_dst.clear();
            plain::write(black_box(&template), black_box(64), plain_dst);
            plain_dst.len()
        })
        .entry("`StreamEncoder::data`", || {
            data_dst.clear();
            black_box(&encoder).data(black_box(64), data_dst).unwrap();
            data_dst.len()
        })
        .entry("`Frame::encode_head_with_id`", || {
            on_dst.clear();
            black_box(&frame).encode_head_with_id(black_box(9), on_dst).unwrap();
            on_dst.len()
        })
        .entry("`HeaderWriter`, entry by entry", || {
            anew_dst.clear();
            let mut writer = HeaderWriter::new(anew_dst, Flags::STREAMING, black_box(7));
            writer.protocol_id(ProtocolId::THRIFT_STRUCT);
            writer.int(IntKey::TO_METHOD, black_box(METHOD)).unwrap();
            writer.int(IntKey::FRAME_TYPE, b"3").unwrap();
            writer.finish(64).unwrap();
            anew_dst.len()
        })
        .run();
}

fn machines() {
    let data = Frame::parse(data_frame(64)).unwrap();
    let (mut client, mut server) = (Client::new(), Server::new());
    Contest::new("a message there and one back through the machines of both ends", 0)
        .entry("`Client` and `Server`", || {
            _ = black_box(client.send_message().unwrap());
            black_box(server.received(black_box(&data)).unwrap());
            _ = black_box(server.send_message().unwrap());
            client.received(black_box(&data)).unwrap().1
        })
        .run();
}

fn data_frame(payload: usize) -> Bytes {
    let mut wire = BytesMut::new();
    StreamEncoder::new(7, METHOD).unwrap().data(payload, &mut wire).unwrap();
    wire.resize(wire.len() + payload, b'p');
    wire.freeze()
}

/// The layout that a stock peer gives a data frame, read off the page by index. Anything else is not recognised.
mod plain {
    use bytes::{Bytes, BytesMut};

    use super::MAX;

    pub fn decode(src: &mut BytesMut) -> Option<(u8, i32, Bytes)> {
        let head: &[u8; 25] = src.first_chunk()?;
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let payload_at = 14 + 4 * usize::from(u16::from_be_bytes([head[12], head[13]]));
        if src.len() < len + 4 || len > MAX || payload_at > len + 4 {
            return None;
        }
        let kind = if head[4..8] == [0x10, 0, 0, 2] && head[14..21] == [0x10, 0, 0x10, 0, 2, 0, 9] {
            let method_len = usize::from(u16::from_be_bytes([head[21], head[22]]));
            let pair = src.get(23 + method_len..28 + method_len)?;
            (pair[..4] == [0, 27, 0, 1]).then_some(pair[4])?
        } else if head[4..8] == [0x10, 0, 0, 2] && head[14..23] == [0x10, 0, 0x10, 0, 2, 0, 27, 0, 1] {
            head[23]
        } else {
            return None;
        };
        let id = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let mut frame = src.split_to(len + 4).freeze();
        Some((kind, id, frame.split_off(payload_at)))
    }

    pub fn write(template: &[u8], payload: u32, dst: &mut BytesMut) {
        let start = dst.len();
        dst.extend_from_slice(template);
        let length = template.len() as u32 - 4 + payload;
        dst[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}
