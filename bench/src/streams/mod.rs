//! The streaming half of the harness: gRPC and ttstream, a closed loop per stream, written on the bytes so that load
//! generator and backend cost little beside what they drive.

pub mod backend;
mod grpc;
mod http2;
pub mod load;
mod message;
mod outbox;
mod ttstream;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// gRPC, one message there and one back, a stream each.
    GrpcUnary,
    /// gRPC, one long stream, one message in flight.
    GrpcBidi,
    /// ttstream, one long stream, one message in flight.
    Ttstream,
}

impl Kind {
    /// Whether it travels on HTTP/2.
    #[must_use]
    pub fn is_grpc(self) -> bool {
        self != Self::Ttstream
    }

    /// Whether a stream carries one message only.
    #[must_use]
    pub fn is_unary(self) -> bool {
        self == Self::GrpcUnary
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GrpcUnary => "grpc-unary",
            Self::GrpcBidi => "grpc-bidi",
            Self::Ttstream => "ttstream",
        })
    }
}

/// How load generator and backend write what is ready to be sent at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Writes {
    /// All of it together, as gRPC libraries do that gather (grpc-go, Kitex).
    Turn,
    /// Each message alone, as ttstream peers do, and gRPC peers that do not gather.
    Each,
}

impl Writes {
    /// What stock peers do.
    #[must_use]
    pub fn usual(kind: Kind) -> Self {
        if kind.is_grpc() { Self::Turn } else { Self::Each }
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turn => "turn",
            Self::Each => "each",
        })
    }
}

/// What is wrong with something that came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes that are no HTTP/2, or HTTP/2 that this harness has no use for.
    #[error("HTTP/2: {0}")]
    Http2(&'static str),
    /// A header block that does not decode or says the wrong thing.
    #[error("headers: {0}")]
    Headers(String),
    /// A gRPC status other than 0.
    #[error("grpc-status {0}")]
    Status(u32),
    /// `RST_STREAM`, with its code.
    #[error("RST_STREAM with code {0}")]
    Reset(u32),
    /// `GOAWAY`, with its code.
    #[error("GOAWAY with code {0}")]
    GoAway(u32),
    /// Bytes that are no ttstream, or a frame at the wrong time.
    #[error("ttstream: {0}")]
    Ttstream(&'static str),
    /// A trailer with an exception or a business error in it, or an rst.
    #[error("ttstream stream failed: {0}")]
    Failed(String),
    /// Too long or too short.
    #[error("answer of {actual} bytes, expected {expected}")]
    Length {
        /// Bytes that were sent.
        expected: usize,
        /// Bytes that came, as far as they were counted.
        actual: usize,
    },
    /// Not what was sent.
    #[error("answer differs from what was sent")]
    Payload,
}

/// How a stream came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// The answer of this slot is here, whole and right; a unary stream is over with it.
    Answered(usize),
    /// The long stream of this slot has ended well.
    Ended(usize),
}

/// `bench.Echo`, the service of all gRPC streams.
const UNARY_PATH: &str = "/bench.Echo/Unary";
const CHAT_PATH: &str = "/bench.Echo/Chat";
const CONTENT_TYPE: &str = "application/grpc";
