//! Messages out of DATA, beside tonic's decoder: `cargo bench --bench grpc`.

use std::{
    convert::Infallible,
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    vec,
};

use bytes::{Buf, Bytes, BytesMut};
use grpc_frame::message::{Assembler, Boundaries, Head, Message, MessageCodec};
use http_body::{Body, Frame};
use peers::{Contest, CountingAllocator};
use tokio_util::codec::{Decoder as _, Encoder};
use tonic::{
    Status, Streaming,
    codec::{DecodeBuf, Decoder},
    codegen::tokio_stream::Stream,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() {
    // The most that a peer puts into a frame unless it is told otherwise.
    const FRAME: usize = 16 << 10;
    read(1000, 256, FRAME);
    read(1000, 256, 256 + 5);
    read(1000, 64, FRAME);
    read(64, 16 << 10, FRAME);
    read(4, 1 << 20, FRAME);
}

/// `count` messages of `len` bytes, head not counted, in DATA frames of `frame` bytes.
fn read(count: usize, len: usize, frame: usize) {
    let mut wire = BytesMut::new();
    for _ in 0..count {
        MessageCodec::default().encode(Message::plain(vec![b'm'; len].into()), &mut wire).unwrap();
    }
    let wire = wire.freeze();
    let frames: Vec<Bytes> =
        (0..wire.len()).step_by(frame).map(|at| wire.slice(at..wire.len().min(at + frame))).collect();

    let check = |messages: Vec<Bytes>| assert!(messages.len() == count && messages.iter().all(|m| m.len() == len));
    let mut seen = Vec::new();
    tonic_reads(tonic(frames.clone()), |message| seen.push(message));
    check(std::mem::take(&mut seen));
    assemble(frames.clone(), |message| seen.push(message));
    check(std::mem::take(&mut seen));
    decode(&frames, |message| seen.push(message));
    check(seen);
    assert_eq!(count_messages(&frames), count);

    let drop = |message: Bytes| {
        black_box(message);
    };
    // Taking the frames, and what a stream costs before its first message, do not count. That messages are freed does.
    let title = format!("{count} messages of {len} + 5 bytes in DATA of {frame} bytes");
    Contest::new(title, wire.len())
        .entry_on(
            "tonic `Streaming`, messages as `Bytes`",
            || tonic(frames.clone()),
            |stream| tonic_reads(stream, drop),
        )
        .entry_on("grpc-frame `Assembler`", || frames.clone(), |frames| assemble(frames, drop))
        .entry("grpc-frame `MessageCodec`, DATA copied behind one another as tonic does", || decode(&frames, drop))
        .entry("grpc-frame `Boundaries`", || count_messages(black_box(&frames)))
        .entry("plain loop over one buffer", || plain(&wire))
        .run();
}

fn assemble(frames: Vec<Bytes>, mut take: impl FnMut(Bytes)) {
    let mut assembler = Assembler::default();
    for frame in frames {
        assembler.feed(frame);
        while let Some(message) = assembler.next_message().unwrap() {
            take(message.payload);
        }
    }
    assembler.finish().unwrap();
}

fn decode(frames: &[Bytes], mut take: impl FnMut(Bytes)) {
    let mut codec = MessageCodec::default();
    let mut src = BytesMut::with_capacity(8 << 10);
    for frame in frames {
        src.extend_from_slice(frame);
        while let Some(message) = codec.decode(&mut src).unwrap() {
            take(message.payload);
        }
    }
    assert!(codec.decode_eof(&mut src).unwrap().is_none());
}

fn count_messages(frames: &[Bytes]) -> usize {
    let mut boundaries = Boundaries::default();
    let messages = frames.iter().map(|frame| boundaries.feed(frame).unwrap()).sum();
    boundaries.finish().unwrap();
    messages
}

/// What there is to do at the least: read the heads, cut views.
fn plain(wire: &Bytes) {
    let mut wire = wire.clone();
    while let Some(head) = Head::peek(&wire) {
        wire.advance(5);
        black_box(wire.split_to(head.len as usize));
    }
}

fn tonic(frames: Vec<Bytes>) -> Streaming<Bytes> {
    Streaming::new_request(RawDecoder, FramesBody(frames.into_iter()), None, Some(16 << 20))
}

fn tonic_reads(stream: Streaming<Bytes>, mut take: impl FnMut(Bytes)) {
    let mut stream = pin!(stream);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match stream.as_mut().poll_next(&mut cx) {
            Poll::Ready(Some(message)) => take(message.unwrap()),
            Poll::Ready(None) => return,
            Poll::Pending => unreachable!("every frame is there"),
        }
    }
}

/// Hands the message out as it is: a view of tonic's buffer.
struct RawDecoder;

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

struct FramesBody(vec::IntoIter<Bytes>);

impl Body for FramesBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|frame| Ok(Frame::data(frame))))
    }
}
