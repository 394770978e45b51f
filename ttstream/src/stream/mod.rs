//! The state of one stream, without I/O (specification A6 to A9, A12, A14).
//!
//! [`Client`] is the side that opened the stream, [`Server`] the one that serves it; a proxy keeps a `Server` towards
//! its caller and a `Client` towards its backend. Both are told what happens (a frame came, the application wants
//! something, the connection is lost) and say what the application gets and which frames have to be written. They hold
//! a few bits, allocate nothing and never look at a payload that they need not read.
//!
//! ```text
//!  CLIENT   open --half_close--> half-closed --+     SERVER   open --trailer came--> half-closed --+
//!            |                                 |               |                                   |
//!            +-- trailer or rst came,          |               +-- finish, reset,                  |
//!            |   cancel, connection lost       |               |   rst came, connection lost       |
//!            +------------> closed <-----------+               +------------> closed <-------------+
//! ```
//!
//! What a receiver has queued is the application's before the end is: on both sides messages that came before a
//! trailer, an rst or a loss are delivered first. Queues and their limits are the user's.

mod client;
mod server;

pub use client::{Client, ClientEvent};
pub use server::{Server, ServerEvent};

use crate::{Code, Frame, FrameType};

/// The frames that have to be written now, in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the peer waits for these frames"]
#[expect(clippy::exhaustive_structs, reason = "all kinds of frames that an end point writes")]
pub struct Writes {
    /// A header: with the application's pairs, empty where it gave none.
    pub header: bool,
    /// The message.
    pub data: bool,
    /// The reset, with its exception and path.
    pub rst: bool,
    /// The trailer: a client's is empty, a server's holds pairs and outcome.
    pub trailer: bool,
}

impl Writes {
    /// Nothing.
    pub const NONE: Self = Self { header: false, data: false, rst: false, trailer: false };
    const HEADER: Self = Self { header: true, ..Self::NONE };
    const DATA: Self = Self { data: true, ..Self::NONE };
    const RST: Self = Self { rst: true, ..Self::NONE };
    const TRAILER: Self = Self { trailer: true, ..Self::NONE };

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// The kinds of frames, in the order in which they have to be written.
    pub fn kinds(self) -> impl Iterator<Item = FrameType> {
        [
            (self.header, FrameType::Header),
            (self.data, FrameType::Data),
            (self.rst, FrameType::Rst),
            (self.trailer, FrameType::Trailer),
        ]
        .into_iter()
        .filter_map(|(wanted, kind)| wanted.then_some(kind))
    }
}

/// What the application asked for and the stream's state does not allow. Nothing is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The stream has ended; how is what the event said that ended it.
    #[error("the stream is closed")]
    Closed,
    /// A message after the half close: Kitex's code 12005.
    #[error("no message may follow the half close")]
    HalfClosed,
    /// The headers are gone already: at the latest with the first message.
    #[error("the header was sent before")]
    HeaderSent,
}

/// The peer broke a rule in a way that ends the connection: every stream on it ends, it is closed, and no frame is sent
/// (specification A14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// A second header on a client's stream.
    #[error("stream {id}: a second header")]
    SecondHeader {
        /// The stream.
        id: i32,
    },
    /// A header that opens a stream under the id of a live one. A stock server mixes the two up; ours must not.
    #[error("stream {id}: opened while it is live")]
    IdReused {
        /// The stream.
        id: i32,
    },
    /// A header that opens stream 0, which is reserved for the connection. A stock server takes it for any other.
    #[error("stream 0: reserved")]
    ReservedId,
}

impl ConnectionError {
    /// Kitex's code for it, to be shown to the streams that end: 12002 or 12004.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::SecondHeader { .. } => Code::UNEXPECTED_HEADER,
            Self::IdReused { .. } | Self::ReservedId => Code::ILLEGAL_FRAME,
        }
    }
}

/// The ids of the streams that a client opens on one connection, as a stock client counts them: from 1 up, over the end
/// of the positive numbers to the negative ones, past 0 (specification A6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    last: i32,
}

impl Ids {
    /// Ids from 1 up.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: 0 }
    }

    /// Ids behind `last`.
    #[must_use]
    pub const fn after(last: i32) -> Self {
        Self { last }
    }

    /// The next id. Never 0; after 2³² − 1 of them they come again, so that a connection which lives as long has to
    /// pass over those that are live.
    pub fn next_id(&mut self) -> i32 {
        self.last = self.last.wrapping_add(1);
        if self.last == 0 {
            self.last = 1;
        }
        self.last
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a frame that a server has received for an id which is not live opens a stream: a header does, and everything
/// else belongs to a stream that is forgotten and is ignored (specification A14).
///
/// A client ignores every frame for an id which is not live.
///
/// # Errors
///
/// [`ConnectionError::ReservedId`] for a header with id 0.
pub fn opens(frame: &Frame) -> Result<bool, ConnectionError> {
    match (frame.frame_type(), frame.stream_id()) {
        (FrameType::Header, 0) => Err(ConnectionError::ReservedId),
        (FrameType::Header, _) => Ok(true),
        _ => Ok(false),
    }
}
