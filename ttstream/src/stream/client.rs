use super::{ConnectionError, Refused, Writes};
use crate::{Frame, FrameType, Outcome, Reset};

/// One stream on the side that opened it: towards the backend, in a proxy.
///
/// Register the stream under its id, then write the header frame: an answer may come at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    state: State,
    header_came: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    HalfClosed,
    Closed,
}

/// What a client's application gets by a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent<'a> {
    /// The server's headers: the frame's pairs. At most once, and perhaps never.
    Header,
    /// A message: the frame's payload.
    Message,
    /// Facts from something between client and server: the frame's pairs and payload, for who cares.
    Meta,
    /// The server's trailer: the end, after the messages before it. The frame's pairs are trailers, and the keys of a
    /// business error among them.
    End(Outcome<'a>),
    /// Something in between reset the stream: the end, after the messages before it.
    Reset(Reset<'a>),
    /// Nothing: the stream had ended before.
    Ignored,
}

impl Client {
    /// A stream whose header frame is being written.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Open, header_came: false }
    }

    /// A frame of this stream came: what the application gets, and what has to be written. When the stream has
    /// [closed](Self::is_closed) by it, forget its id.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::SecondHeader`].
    #[inline]
    pub fn received<'a>(&mut self, frame: &'a Frame) -> Result<(ClientEvent<'a>, Writes), ConnectionError> {
        if self.state == State::Closed {
            return Ok((ClientEvent::Ignored, Writes::NONE));
        }
        Ok(match frame.frame_type() {
            FrameType::Data => (ClientEvent::Message, Writes::NONE),
            FrameType::Meta => (ClientEvent::Meta, Writes::NONE),
            FrameType::Header if self.header_came => {
                self.state = State::Closed;
                return Err(ConnectionError::SecondHeader { id: frame.stream_id() });
            }
            FrameType::Header => {
                self.header_came = true;
                (ClientEvent::Header, Writes::NONE)
            }
            FrameType::Trailer => (ClientEvent::End(frame.outcome()), self.close()),
            FrameType::Rst => (ClientEvent::Reset(frame.reset()), self.close()),
        })
    }

    /// The application sends a message.
    ///
    /// # Errors
    ///
    /// [`Refused::HalfClosed`], [`Refused::Closed`].
    #[inline]
    pub fn send_message(&mut self) -> Result<Writes, Refused> {
        match self.state {
            State::Open => Ok(Writes::DATA),
            State::HalfClosed => Err(Refused::HalfClosed),
            State::Closed => Err(Refused::Closed),
        }
    }

    /// The application has no more messages. Nothing is to be written if that was known, or if the stream has ended.
    pub fn half_close(&mut self) -> Writes {
        if self.state != State::Open {
            return Writes::NONE;
        }
        self.state = State::HalfClosed;
        Writes::TRAILER
    }

    /// The application does not want the answer any more, or its time is up: rst, and behind it the trailer that every
    /// client sends once. Nothing is to be written if the stream has ended.
    ///
    /// Peers older than Kitex 0.15 take an rst for an illegal frame and close the connection (specification A17): the
    /// user who knows that of a peer leaves it out, or closes the connection himself.
    pub fn cancel(&mut self) -> Writes {
        if self.state == State::Closed {
            return Writes::NONE;
        }
        Writes { rst: true, ..self.close() }
    }

    /// The connection is lost. Whether this stream ended by it: always a failure, never a clean end, also between two
    /// frames (specification A15).
    pub fn lost(&mut self) -> bool {
        std::mem::replace(&mut self.state, State::Closed) != State::Closed
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the stream has ended and its id is to be forgotten.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether the server's header came.
    #[must_use]
    pub fn header_came(&self) -> bool {
        self.header_came
    }

    /// Ends the stream, with the trailer that is due where there was no half close.
    fn close(&mut self) -> Writes {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open => Writes::TRAILER,
            State::HalfClosed | State::Closed => Writes::NONE,
        }
    }
}

/// As [`Client::new`].
impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}
