//! A stream, whatever protocol carries it: what opens it ([`StreamHead`]), what passes ([`Event`]), how it ends
//! ([`End`]), the one interface that every driver shows ([`Side`]), and the state machine between two of them
//! (`relay`).

mod head;
mod metadata;
mod relay;

use std::borrow::Cow;
use std::task::{Context, Poll};

use bytes::Bytes;
use ttstream::Frame;

pub use head::{Codec, HeadForm, StreamHead};
pub(crate) use metadata::is_own;
pub use metadata::{Entry, Metadata};
pub(crate) use relay::{Ended, Limits, relay, send_end};

use crate::rpc::{Fault, Protocol};

/// What one side of a stream tells the other.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A backend's initial metadata: at most one, before anything else.
    Headers(Metadata),
    /// Messages, or parts of them.
    Data(Data),
    /// An intermediary's note to the caller (streaming-wire A4, meta), which has no other form.
    Meta(Frame),
    /// The side is done.
    End(End),
}

/// Messages on their way.
#[derive(Debug)]
#[non_exhaustive]
pub struct Data {
    /// The bytes.
    pub bytes: Bytes,
    /// What they are.
    pub framing: Framing,
    /// Whether the sender half closes with them: no [`End::HalfClose`] follows.
    pub last: bool,
}

/// What the bytes of [`Data`] are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Framing {
    /// A piece, cut anywhere, of a sequence of messages each with gRPC's five-byte prefix.
    Prefixed,
    /// Exactly one message without a prefix, uncompressed: the payload of this frame, where it is still the one that came.
    Message(Option<Frame>),
}

/// How a side is done.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// The caller sends no more, and waits for the backend's end; with the frame that says so, where it is one.
    HalfClose(Option<Frame>),
    /// The backend's end.
    Trailers(Trailers),
    /// The peer ended the stream at once.
    Reset(Reset),
    /// The stream can't go on, for a reason of the proxy's own or a lost connection.
    Fault(Fault),
}

/// The backend's end of a stream.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trailers {
    /// How it turned out.
    pub outcome: StreamOutcome,
    /// Everything that came along, in the form it came in.
    pub metadata: Metadata,
    /// Whether headers and trailers are one (gRPC's Trailers-Only): no [`Event::Headers`] came before.
    pub only: bool,
}

/// How a stream turned out, in terms of all protocols (streaming-wire D3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamOutcome {
    /// Well.
    Ok,
    /// A business error: `biz-status`, its message and the JSON of its extra.
    Business {
        /// Never zero.
        status: i32,
        /// As text, not escaped.
        message: Bytes,
        /// A JSON object.
        extra: Option<Bytes>,
    },
    /// A gRPC status other than zero.
    Status {
        /// `grpc-status`.
        code: i32,
        /// `grpc-message`, not escaped.
        message: Bytes,
    },
    /// A framework exception.
    Exception {
        /// Its type.
        code: i32,
        /// Its message.
        message: Bytes,
    },
}

/// Why a peer ended a stream at once.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reset {
    /// RST_STREAM with this error code.
    Http2(u32),
    /// An rst frame.
    Rst {
        /// The type of its exception.
        code: i32,
        /// The exception's message.
        message: Bytes,
        /// `ttscp`, the services that the cancel came by, comma-separated; empty where there is none.
        path: Bytes,
        /// The frame, for whatever else it says.
        frame: Frame,
    },
    /// The connection was lost.
    Lost(Protocol),
    /// The deadline passed; the text says which.
    Deadline(Cow<'static, str>),
    /// The proxy gave the stream up, because of this fault.
    Fault(Fault),
}

/// One side of a stream as its driver shows it: towards the caller or towards the backend.
pub trait Side {
    /// The next thing that the peer says. After [`Event::End`] it is not called again.
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event>;

    /// The other side has taken this many bytes of [`Event::Data`]: the peer may send as many more.
    fn release(&mut self, bytes: usize);

    /// Takes the event, or as much of its data as there is room for: ready once nothing of it is left.
    ///
    /// # Errors
    ///
    /// The peer takes nothing more on this stream.
    fn poll_send(&mut self, cx: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>>;

    /// Ready once the peer has ended the stream at once, also while nothing is received.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Reset>;

    /// Ends the stream at once.
    fn reset(&mut self, reset: &Reset);

    /// Called at the end of each turn: what was sent shall leave.
    fn poll_flush(&mut self, cx: &mut Context<'_>);

    /// The stream is over, and the peer knows: says what its protocol still wants said, such as that nothing more is
    /// read.
    fn finish(&mut self);
}

/// The peer takes nothing more on this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct Closed;
