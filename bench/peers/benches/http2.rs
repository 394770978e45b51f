//! HTTP/2 frames decoded from memory: `cargo bench --bench http2`.

use std::{
    hint::black_box,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use grpc_frame::http2::{Data, Frame, Http2Codec, StreamId};
use peers::{Contest, CountingAllocator};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::{Decoder, FramedRead};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() {
    for (count, len) in [(1000, 261), (1000, 69), (100, 16_384)] {
        decode(count, len);
    }
}

/// DATA frames with `len` octets each: a gRPC message and the five octets before it.
fn decode(count: usize, len: usize) {
    let mut wire = BytesMut::new();
    for i in 0..count {
        let stream_id = StreamId::new(1 + 2 * (i % 8) as u32);
        Data::new(stream_id, Bytes::from(vec![b'd'; len])).encode(&mut wire).unwrap();
    }
    let wire = wire.freeze();
    let buffer = || BytesMut::from(&wire[..]);
    let mut copy = vec![0; wire.len()];
    assert_eq!(all_of(h2_codec(&wire), h2_payload), (count, count * len));
    assert_eq!(all_of(our_codec(&wire), our_payload), (count, count * len));
    assert_eq!(from_buffer(buffer()), (count, count * len));

    Contest::new(format!("{count} DATA frames of {len} octets"), wire.len())
        .entry_on("h2, `Codec` as a stream", || h2_codec(&wire), |codec| all_of(codec, h2_payload))
        .entry_on("`Http2Codec` in tokio-util's `FramedRead`", || our_codec(&wire), |codec| all_of(codec, our_payload))
        .entry_on("`Http2Codec`, from one buffer", buffer, from_buffer)
        .entry_on("`Http2Codec::split`, from one buffer", buffer, |mut src| {
            let mut codec = Http2Codec::default();
            let mut octets = 0;
            while let Ok(Some((_, frame))) = codec.split(&mut src) {
                octets += black_box(frame).len();
            }
            octets
        })
        .entry_on("plain loop, from one buffer", buffer, |mut src| {
            let mut octets = 0;
            while let Some(data) = plain(&mut src) {
                octets += black_box(data).len();
            }
            octets
        })
        .entry("memcpy", || {
            copy.copy_from_slice(black_box(&wire));
            black_box(&mut copy)[0]
        })
        .run();
}

fn h2_codec(wire: &Bytes) -> h2::Codec<Memory, Bytes> {
    h2::Codec::new(Memory(wire.clone()))
}

fn h2_payload(frame: h2::frame::Frame) -> Bytes {
    match frame {
        h2::frame::Frame::Data(data) => data.into_payload(),
        other => panic!("{other:?}"),
    }
}

fn our_codec(wire: &Bytes) -> FramedRead<Memory, Http2Codec> {
    FramedRead::new(Memory(wire.clone()), Http2Codec::default())
}

fn our_payload(frame: Frame) -> Bytes {
    match frame {
        Frame::Data(data) => data.data,
        other => panic!("{other:?}"),
    }
}

/// Polls a stream to its end: how many payloads, and of how many octets.
fn all_of<F, E: std::fmt::Debug>(
    mut frames: impl Stream<Item = Result<F, E>> + Unpin,
    payload: impl Fn(F) -> Bytes,
) -> (usize, usize) {
    let mut context = Context::from_waker(Waker::noop());
    let mut seen = (0, 0);
    while let Poll::Ready(Some(frame)) = Pin::new(&mut frames).poll_next(&mut context) {
        seen.0 += 1;
        seen.1 += black_box(payload(frame.unwrap())).len();
    }
    seen
}

fn from_buffer(mut src: BytesMut) -> (usize, usize) {
    let mut codec = Http2Codec::default();
    let mut seen = (0, 0);
    while let Ok(Some(frame)) = codec.decode(&mut src) {
        seen.0 += 1;
        seen.1 += black_box(our_payload(frame)).len();
    }
    seen
}

/// What any codec has to do at the least: length, type, limit, and the payload as a view.
fn plain(src: &mut BytesMut) -> Option<Bytes> {
    let &[l0, l1, l2, frame_type, flags, s0, s1, s2, s3] = src.first_chunk()?;
    let len = u32::from_be_bytes([0, l0, l1, l2]) as usize;
    let stream_id = u32::from_be_bytes([s0, s1, s2, s3]) & !(1 << 31);
    if frame_type != 0 || flags & 8 != 0 || stream_id == 0 || len > 16_384 || src.len() < 9 + len {
        return None;
    }
    let mut frame = src.split_to(9 + len).freeze();
    bytes::Buf::advance(&mut frame, 9);
    Some(frame)
}

/// A peer that has sent everything already.
struct Memory(Bytes);

impl AsyncRead for Memory {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, dst: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let len = dst.remaining().min(self.0.len());
        dst.put_slice(&self.0.split_to(len));
        Poll::Ready(Ok(()))
    }
}

/// h2's codec asks for both directions.
impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, src: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(src.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
