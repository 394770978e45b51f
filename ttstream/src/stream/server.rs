use super::{ConnectionError, Refused, Writes};
use crate::{Frame, FrameType, Outcome, Reset};

/// One stream on the side that serves it: towards the caller, in a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    state: State,
    header_sent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    HalfClosed,
    Closed,
}

/// What a server's application gets by a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// A message: the frame's payload.
    Message,
    /// The caller has no more messages. A stock caller's trailer is empty; one that says anything else is an error of
    /// the application's reads, after the messages before it (specification A9).
    HalfClose(Outcome<'a>),
    /// The caller cancelled: the end, after the messages before it.
    Reset(Reset<'a>),
    /// Nothing: a meta frame, or what comes behind the caller's trailer or the end. A stock server hands out messages
    /// behind the trailer as long as nobody has read the end; a relay stops there (specification F64).
    Ignored,
}

impl Server {
    /// A stream that a header frame has opened: see [`opens`](super::opens).
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Open, header_sent: false }
    }

    /// A frame of this stream came, behind the header that opened it. When the stream has [closed](Self::is_closed) by
    /// it, forget its id.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::IdReused`] for another header while the stream is live.
    #[inline]
    pub fn received<'a>(&mut self, frame: &'a Frame) -> Result<ServerEvent<'a>, ConnectionError> {
        Ok(match (frame.frame_type(), self.state) {
            (_, State::Closed) | (FrameType::Meta, _) => ServerEvent::Ignored,
            (FrameType::Header, _) => {
                self.state = State::Closed;
                return Err(ConnectionError::IdReused { id: frame.stream_id() });
            }
            (FrameType::Data, State::Open) => ServerEvent::Message,
            (FrameType::Trailer, State::Open) => {
                self.state = State::HalfClosed;
                ServerEvent::HalfClose(frame.outcome())
            }
            (FrameType::Data | FrameType::Trailer, State::HalfClosed) => ServerEvent::Ignored,
            (FrameType::Rst, _) => {
                self.state = State::Closed;
                ServerEvent::Reset(frame.reset())
            }
        })
    }

    /// The application sends its headers.
    ///
    /// # Errors
    ///
    /// [`Refused::HeaderSent`], [`Refused::Closed`].
    pub fn send_header(&mut self) -> Result<Writes, Refused> {
        match (self.state, self.header_sent) {
            (State::Closed, _) => Err(Refused::Closed),
            (_, true) => Err(Refused::HeaderSent),
            (_, false) => {
                self.header_sent = true;
                Ok(Writes::HEADER)
            }
        }
    }

    /// The application sends a message: it may do so until the stream ends, the caller's half close notwithstanding. A
    /// header goes first, an empty one, unless one was sent.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`].
    #[inline]
    pub fn send_message(&mut self) -> Result<Writes, Refused> {
        if self.state == State::Closed {
            return Err(Refused::Closed);
        }
        Ok(Writes { header: self.header_due(), ..Writes::DATA })
    }

    /// The application ends the stream, with whatever outcome: the trailer, and before it a header unless one was sent.
    /// Nothing is to be written if the stream has ended; forget its id in any case.
    ///
    /// A stock server writes both after the caller's rst too. The caller has forgotten the id by then and drops them
    /// (specification A7): this one keeps silent.
    pub fn finish(&mut self) -> Writes {
        if self.state == State::Closed {
            return Writes::NONE;
        }
        self.state = State::Closed;
        Writes { header: self.header_due(), ..Writes::TRAILER }
    }

    /// Ends the stream by an rst, as something between client and server may; a stock server ends by
    /// [`finish`](Self::finish) alone. Nothing is to be written if the stream has ended. The client answers with its
    /// trailer if it is open, for an id that is forgotten by then.
    pub fn reset(&mut self) -> Writes {
        if self.state == State::Closed {
            return Writes::NONE;
        }
        self.state = State::Closed;
        Writes::RST
    }

    /// The connection is lost. Whether this stream ended by it: its handler is cancelled with
    /// [`Code::CONNECTION_CLOSED`](crate::Code::CONNECTION_CLOSED).
    pub fn lost(&mut self) -> bool {
        std::mem::replace(&mut self.state, State::Closed) != State::Closed
    }

    /// Whether more messages of the caller may come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the stream has ended and its id is to be forgotten.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether a header was sent.
    #[must_use]
    pub fn header_sent(&self) -> bool {
        self.header_sent
    }

    /// Whether a header has to precede what is written now; it is sent then.
    #[inline]
    fn header_due(&mut self) -> bool {
        !std::mem::replace(&mut self.header_sent, true)
    }
}

/// As [`Server::new`].
impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}
