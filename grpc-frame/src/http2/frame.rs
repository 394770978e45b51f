use bytes::{Bytes, BytesMut};

use super::{
    Continuation, Data, DecodeError, EncodeError, Flags, FrameType, GoAway, Head, Headers, Ping, Priority, PushPromise,
    RstStream, Settings, StreamId, Unknown, WindowUpdate,
};

/// A frame of any type.
///
/// Payloads are views of the memory that the frame was read into, which lives as long as they do: copy what is to
/// outlive the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// DATA.
    Data(Data),
    /// HEADERS.
    Headers(Headers),
    /// PRIORITY.
    Priority(Priority),
    /// RST_STREAM.
    RstStream(RstStream),
    /// SETTINGS.
    Settings(Settings),
    /// PUSH_PROMISE.
    PushPromise(PushPromise),
    /// PING.
    Ping(Ping),
    /// GOAWAY.
    GoAway(GoAway),
    /// WINDOW_UPDATE.
    WindowUpdate(WindowUpdate),
    /// CONTINUATION.
    Continuation(Continuation),
    /// Any other type.
    Unknown(Unknown),
}

impl Frame {
    /// Reads the payload behind `head`, of which nothing may be missing.
    ///
    /// # Errors
    ///
    /// What the type's own `parse` refuses. Nothing that concerns more than this frame is checked: neither
    /// SETTINGS_MAX_FRAME_SIZE nor what came before.
    pub fn parse(head: Head, payload: Bytes) -> Result<Self, DecodeError> {
        Ok(match head.frame_type {
            FrameType::DATA => Self::Data(Data::parse(head, payload)?),
            FrameType::HEADERS => Self::Headers(Headers::parse(head, payload)?),
            FrameType::PRIORITY => Self::Priority(Priority::parse(head, &payload)?),
            FrameType::RST_STREAM => Self::RstStream(RstStream::parse(head, &payload)?),
            FrameType::SETTINGS => Self::Settings(Settings::parse(head, payload)?),
            FrameType::PUSH_PROMISE => Self::PushPromise(PushPromise::parse(head, payload)?),
            FrameType::PING => Self::Ping(Ping::parse(head, &payload)?),
            FrameType::GOAWAY => Self::GoAway(GoAway::parse(head, payload)?),
            FrameType::WINDOW_UPDATE => Self::WindowUpdate(WindowUpdate::parse(head, &payload)?),
            FrameType::CONTINUATION => Self::Continuation(Continuation::parse(head, payload)?),
            _ => Self::Unknown(Unknown::parse(head, payload)),
        })
    }

    /// Type.
    #[must_use]
    pub const fn frame_type(&self) -> FrameType {
        match self {
            Self::Data(_) => FrameType::DATA,
            Self::Headers(_) => FrameType::HEADERS,
            Self::Priority(_) => FrameType::PRIORITY,
            Self::RstStream(_) => FrameType::RST_STREAM,
            Self::Settings(_) => FrameType::SETTINGS,
            Self::PushPromise(_) => FrameType::PUSH_PROMISE,
            Self::Ping(_) => FrameType::PING,
            Self::GoAway(_) => FrameType::GOAWAY,
            Self::WindowUpdate(_) => FrameType::WINDOW_UPDATE,
            Self::Continuation(_) => FrameType::CONTINUATION,
            Self::Unknown(unknown) => unknown.frame_type,
        }
    }

    /// Flags.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        match self {
            Self::Data(frame) => frame.flags,
            Self::Headers(frame) => frame.flags,
            Self::Priority(frame) => frame.flags,
            Self::RstStream(frame) => frame.flags,
            Self::Settings(frame) => frame.flags(),
            Self::PushPromise(frame) => frame.flags,
            Self::Ping(frame) => frame.flags,
            Self::GoAway(frame) => frame.flags,
            Self::WindowUpdate(frame) => frame.flags,
            Self::Continuation(frame) => frame.flags,
            Self::Unknown(frame) => frame.flags,
        }
    }

    /// Stream Identifier.
    #[must_use]
    pub const fn stream_id(&self) -> StreamId {
        match self {
            Self::Data(frame) => frame.stream_id,
            Self::Headers(frame) => frame.stream_id,
            Self::Priority(frame) => frame.stream_id,
            Self::RstStream(frame) => frame.stream_id,
            Self::PushPromise(frame) => frame.stream_id,
            Self::WindowUpdate(frame) => frame.stream_id,
            Self::Continuation(frame) => frame.stream_id,
            Self::Unknown(frame) => frame.stream_id,
            Self::Settings(_) | Self::Ping(_) | Self::GoAway(_) => StreamId::CONNECTION,
        }
    }

    /// Whether it is the sender's last frame of its stream: DATA or HEADERS with END_STREAM, or RST_STREAM.
    #[must_use]
    pub const fn is_end_of_stream(&self) -> bool {
        match self {
            Self::Data(frame) => frame.is_end_stream(),
            Self::Headers(frame) => frame.is_end_stream(),
            Self::RstStream(_) => true,
            _ => false,
        }
    }

    /// Writes the frame, as one frame.
    ///
    /// # Errors
    ///
    /// Those of the type's own `encode`.
    #[inline]
    pub fn encode(&self, dst: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Self::Data(frame) => frame.encode(dst),
            Self::Headers(frame) => frame.encode(dst),
            Self::Priority(frame) => frame.encode(dst),
            Self::RstStream(frame) => frame.encode(dst),
            Self::Settings(frame) => frame.encode(dst),
            Self::PushPromise(frame) => frame.encode(dst),
            Self::Ping(frame) => frame.encode(dst),
            Self::GoAway(frame) => frame.encode(dst),
            Self::WindowUpdate(frame) => frame.encode(dst),
            Self::Continuation(frame) => frame.encode(dst),
            Self::Unknown(frame) => frame.encode(dst),
        }
    }

    /// Octets of the payload that [`encode`](Self::encode) would write.
    pub(crate) fn payload_len(&self) -> Result<usize, EncodeError> {
        let head = match self {
            Self::Data(frame) => frame.head(),
            Self::Headers(frame) => frame.head(),
            Self::Settings(frame) => frame.head(),
            Self::PushPromise(frame) => frame.head(),
            Self::GoAway(frame) => frame.head(),
            Self::Continuation(frame) => frame.head(),
            Self::Unknown(frame) => frame.head(),
            // Shorter than any limit there is.
            Self::Priority(_) | Self::RstStream(_) | Self::Ping(_) | Self::WindowUpdate(_) => return Ok(0),
        };
        head.map(|head| head.payload_len())
    }
}

macro_rules! from {
    ($($variant:ident),*) => {$(
        impl From<$variant> for Frame {
            fn from(frame: $variant) -> Self {
                Self::$variant(frame)
            }
        }
    )*};
}

from!(Data, Headers, Priority, RstStream, Settings, PushPromise, Ping, GoAway, WindowUpdate, Continuation, Unknown);
