use std::io;

use super::{ErrorCode, FrameType, SettingId, StreamId};

/// What is wrong with octets that a peer sent. Offsets count from the first octet of the frame's head.
///
/// [`code`](Self::code) is what to answer with, and [`scope`](Self::scope) says in which frame: RST_STREAM or GOAWAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The connection ended inside a frame, a header block or the preface.
    #[error("{field} at offset {offset}: needs {expected} octets, {actual} left")]
    Truncated {
        /// The field as the specification names it.
        field: &'static str,
        /// Where it starts.
        offset: usize,
        /// Octets it has.
        expected: usize,
        /// Octets that came.
        actual: usize,
    },
    /// The first octets of a client are not the preface (section 3.4).
    #[error("preface at offset {offset}: expected {expected:#04x}, got {actual:#04x}")]
    WrongPreface {
        /// Which octet of the preface.
        offset: usize,
        /// What it should have been.
        expected: u8,
        /// What it was.
        actual: u8,
    },
    /// The first frame is another one than SETTINGS, or acknowledges some that nobody can have sent (section 3.4).
    #[error("Type at offset 3: expected SETTINGS as the first frame, got {actual}")]
    SettingsExpected {
        /// What came, which is SETTINGS too if it was an acknowledgement.
        actual: FrameType,
    },
    /// The payload is longer than SETTINGS_MAX_FRAME_SIZE (section 4.2). The frame was not read.
    #[error("Length at offset 0: expected at most {expected} octets in {frame_type}, got {actual}")]
    FrameTooLarge {
        /// Of which type the frame is.
        frame_type: FrameType,
        /// The limit, in octets.
        expected: usize,
        /// Octets of payload that are claimed.
        actual: usize,
    },
    /// The payload of a type that always has the same length has another one, or that of SETTINGS does not hold whole
    /// settings (sections 6.3 to 6.9).
    #[error("Length at offset 0: expected {expected} octets in {frame_type}, got {actual}")]
    WrongLength {
        /// Of which type the frame is.
        frame_type: FrameType,
        /// On which stream it came.
        stream_id: StreamId,
        /// Octets of payload that the type has; for settings, those of the whole ones among them.
        expected: usize,
        /// Octets of payload that came.
        actual: usize,
    },
    /// The payload ends inside a field that the type or its flags ask for (section 4.2).
    #[error("{field} at offset {offset}: needs {expected} octets in {frame_type}, {actual} left")]
    FieldMissing {
        /// Of which type the frame is.
        frame_type: FrameType,
        /// The field as the specification names it.
        field: &'static str,
        /// Where it starts.
        offset: usize,
        /// Octets it has.
        expected: usize,
        /// Octets that are left in the frame.
        actual: usize,
    },
    /// There is more padding than payload (sections 6.1, 6.2, 6.6).
    #[error("Pad Length at offset 9: expected at most {expected} in {frame_type}, got {actual}")]
    PaddingTooLong {
        /// Of which type the frame is.
        frame_type: FrameType,
        /// Octets that are left behind the fields.
        expected: usize,
        /// Pad Length.
        actual: usize,
    },
    /// A frame that belongs to a stream came on the connection itself.
    #[error("Stream Identifier at offset 5: expected a stream for {frame_type}, got 0")]
    StreamIdZero {
        /// Of which type the frame is.
        frame_type: FrameType,
    },
    /// A frame that belongs to the connection came on a stream.
    #[error("Stream Identifier at offset 5: expected 0 for {frame_type}, got {actual}")]
    StreamIdNotZero {
        /// Of which type the frame is.
        frame_type: FrameType,
        /// On which stream it came.
        actual: StreamId,
    },
    /// A setting has a value that it must not have (section 6.5.2).
    #[error("{id} at offset {offset}: expected {min} to {max}, got {actual}")]
    SettingOutOfRange {
        /// Which one.
        id: SettingId,
        /// Where its value starts.
        offset: usize,
        /// The smallest value that is allowed.
        min: u32,
        /// The largest value that is allowed.
        max: u32,
        /// What came.
        actual: u32,
    },
    /// A promise of a stream that a server cannot open (section 6.6).
    #[error("Promised Stream ID at offset {offset}: expected an even number above 0, got {actual}")]
    WrongPromise {
        /// Where the id starts.
        offset: usize,
        /// What came.
        actual: StreamId,
    },
    /// A client sent PUSH_PROMISE (section 8.4).
    #[error("Type at offset 3: PUSH_PROMISE from a client")]
    PushFromClient,
    /// A window is to grow by nothing (section 6.9).
    #[error("Window Size Increment at offset 9: expected 1 to 2147483647, got 0")]
    ZeroIncrement {
        /// Whose window.
        stream_id: StreamId,
    },
    /// Inside a header block there was another frame than its next CONTINUATION (section 6.10).
    #[error("Type at offset 3: expected CONTINUATION of stream {expected}, got {frame_type} of stream {actual}")]
    ContinuationExpected {
        /// Whose header block is not complete.
        expected: StreamId,
        /// Of which type the frame is.
        frame_type: FrameType,
        /// On which stream it came.
        actual: StreamId,
    },
    /// CONTINUATION without a header block to continue (section 6.10).
    #[error("Type at offset 3: CONTINUATION of stream {actual}, where no header block is open")]
    ContinuationUnexpected {
        /// On which stream it came.
        actual: StreamId,
    },
    /// A header block is longer than the limit. It cannot be passed over: what follows it depends on it.
    #[error("Field Block Fragment at offset {offset}: expected at most {expected} octets in all, got {actual}")]
    HeaderBlockTooLarge {
        /// Where the fragment that is too much starts in its frame.
        offset: usize,
        /// The limit, in octets.
        expected: usize,
        /// Octets that have come.
        actual: usize,
    },
    /// A header block is spread over more frames than the limit.
    #[error("Type at offset 3: expected at most {expected} CONTINUATION frames in a row, got {actual}")]
    TooManyContinuations {
        /// The limit.
        expected: usize,
        /// How many have come.
        actual: usize,
    },
}

impl DecodeError {
    /// The error code to answer with.
    ///
    /// For [`Truncated`](Self::Truncated) there is nobody left who would read an answer: PROTOCOL_ERROR.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::FrameTooLarge { .. } | Self::WrongLength { .. } | Self::FieldMissing { .. } => {
                ErrorCode::FRAME_SIZE_ERROR
            }
            Self::SettingOutOfRange { id: SettingId::INITIAL_WINDOW_SIZE, .. } => ErrorCode::FLOW_CONTROL_ERROR,
            Self::HeaderBlockTooLarge { .. } | Self::TooManyContinuations { .. } => ErrorCode::ENHANCE_YOUR_CALM,
            Self::Truncated { .. }
            | Self::WrongPreface { .. }
            | Self::SettingsExpected { .. }
            | Self::PaddingTooLong { .. }
            | Self::StreamIdZero { .. }
            | Self::StreamIdNotZero { .. }
            | Self::SettingOutOfRange { .. }
            | Self::WrongPromise { .. }
            | Self::PushFromClient
            | Self::ZeroIncrement { .. }
            | Self::ContinuationExpected { .. }
            | Self::ContinuationUnexpected { .. } => ErrorCode::PROTOCOL_ERROR,
        }
    }

    /// Who pays for it: the stream, or the connection with all its streams (sections 5.4.1, 5.4.2).
    ///
    /// An error of a stream may be answered as one of the connection, but not the other way round.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match *self {
            // Section 6.3. Every other type of fixed length makes it the connection's: 6.4, 6.5, 6.7, 6.9.
            Self::WrongLength { frame_type: FrameType::PRIORITY, stream_id, .. } => Scope::Stream(stream_id),
            Self::ZeroIncrement { stream_id } if !stream_id.is_connection() => Scope::Stream(stream_id),
            _ => Scope::Connection,
        }
    }

    /// Where in the frame, counted from the first octet of its head.
    #[must_use]
    pub const fn offset(&self) -> usize {
        match *self {
            Self::Truncated { offset, .. }
            | Self::WrongPreface { offset, .. }
            | Self::FieldMissing { offset, .. }
            | Self::SettingOutOfRange { offset, .. }
            | Self::WrongPromise { offset, .. }
            | Self::HeaderBlockTooLarge { offset, .. } => offset,
            Self::FrameTooLarge { .. } | Self::WrongLength { .. } => 0,
            Self::SettingsExpected { .. }
            | Self::PushFromClient
            | Self::ContinuationExpected { .. }
            | Self::ContinuationUnexpected { .. }
            | Self::TooManyContinuations { .. } => 3,
            Self::StreamIdZero { .. } | Self::StreamIdNotZero { .. } => 5,
            Self::PaddingTooLong { .. } | Self::ZeroIncrement { .. } => 9,
        }
    }
}

/// Who pays for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "HTTP/2 knows these two")]
pub enum Scope {
    /// The connection: GOAWAY, then close (section 5.4.1).
    Connection,
    /// This stream alone: RST_STREAM (section 5.4.2).
    Stream(StreamId),
}

/// What the caller asked for and the wire cannot carry. Nothing has been written then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload is longer than Length can say, or than the peer takes.
    #[error("{field}: expected at most {expected} octets, got {actual}")]
    TooLong {
        /// The field as the specification names it.
        field: &'static str,
        /// The most octets that fit.
        expected: usize,
        /// Octets that were given.
        actual: usize,
    },
    /// A frame of a stream without a stream, or a frame of the connection with one.
    #[error("Stream Identifier: {actual} is not for {frame_type}")]
    StreamId {
        /// Of which type the frame is.
        frame_type: FrameType,
        /// The id that was given.
        actual: StreamId,
    },
    /// A number that the field must not have.
    #[error("{field}: expected {min} to {max}, got {actual}")]
    OutOfRange {
        /// The field as the specification names it.
        field: &'static str,
        /// The smallest value that is allowed.
        min: u32,
        /// The largest value that is allowed.
        max: u32,
        /// What was given.
        actual: u32,
    },
}

/// What an [`Http2Codec`](super::Http2Codec) yields inside tokio-util's `Framed` when it fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer broke a rule.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The caller asked for something that cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_what_and_how_to_answer() {
        let error = DecodeError::SettingOutOfRange {
            id: SettingId::INITIAL_WINDOW_SIZE,
            offset: 11,
            min: 0,
            max: 0x7fff_ffff,
            actual: 0x8000_0000,
        };
        assert_eq!(error.to_string(), "INITIAL_WINDOW_SIZE at offset 11: expected 0 to 2147483647, got 2147483648");
        assert_eq!((error.code(), error.scope()), (ErrorCode::FLOW_CONTROL_ERROR, Scope::Connection));
        assert_eq!(error.offset(), 11);
    }
}
