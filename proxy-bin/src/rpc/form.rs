use std::fmt;

use serde::Deserialize;

/// What a connection or a message speaks; the unit in which a listener allows or refuses.
///
/// Kitex-Protobuf counts as the transport that carries it, a mesh header as the message behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Protocol {
    /// Thrift Binary without a length.
    Buffered,
    /// A length, then a Thrift Binary or Kitex-Protobuf message.
    Framed,
    /// TTHeader, with or without an inner frame length.
    TtHeader,
    /// TTHeader Streaming.
    TtStream,
    /// gRPC over HTTP/2 with prior knowledge.
    Grpc,
    /// HTTP/1.1 or HTTP/2 with JSON, turned into calls by an IDL: a gateway, which has its listener for itself.
    Http,
}

impl Protocol {
    /// Every protocol, in the order in which tables list them.
    pub const ALL: [Self; 6] = [Self::Buffered, Self::Framed, Self::TtHeader, Self::TtStream, Self::Grpc, Self::Http];
    /// Those that the first bytes of a connection tell apart, and that a listener may have side by side.
    pub const SNIFFED: [Self; 5] = [Self::Buffered, Self::Framed, Self::TtHeader, Self::TtStream, Self::Grpc];

    /// The name used in configuration, logs and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Framed => "framed",
            Self::TtHeader => "ttheader",
            Self::TtStream => "ttstream",
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A transport that a cluster can be asked to speak towards its backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Transport {
    /// Thrift Binary without a length.
    Buffered,
    /// A length, then the message.
    Framed,
    /// TTHeader, then the message.
    #[serde(rename = "ttheader")]
    TtHeader,
    /// TTHeader, then a length and the message.
    #[serde(rename = "ttheader-framed")]
    TtHeaderFramed,
    /// gRPC: each call as a unary one.
    Grpc,
}

impl Transport {
    /// The byte form that this transport gives a ping-pong message; none where it carries no such messages.
    #[must_use]
    pub fn form(self) -> Option<Form> {
        let (outer, framed) = match self {
            Self::Buffered => (Outer::Plain, false),
            Self::Framed => (Outer::Plain, true),
            Self::TtHeader => (Outer::TtHeader, false),
            Self::TtHeaderFramed => (Outer::TtHeader, true),
            Self::Grpc => return None,
        };
        Some(Form { outer, framed })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form() {
            Some(form) => form.fmt(f),
            None => Protocol::Grpc.fmt(f),
        }
    }
}

/// A transport for streams that a cluster can be asked to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StreamTransport {
    /// TTHeader Streaming.
    TtStream,
    /// gRPC over HTTP/2.
    Grpc,
}

/// How the ttstream streams towards an endpoint share connections, by the names of Kitex's pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StreamPool {
    /// One stream at a time on a connection, which is kept for the next.
    #[default]
    Long,
    /// A connection for each stream.
    Short,
    /// Many streams on one connection.
    Mux,
}

/// What stands in front of a message on the wire (pingpong-wire 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outer {
    /// Nothing.
    Plain,
    /// The legacy mesh header, which Kitex reads and never writes.
    Mesh,
    /// A TTHeader.
    TtHeader,
}

/// The byte form of one ping-pong message: what stands in front, and whether a length follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two facts are the whole of a form")]
pub struct Form {
    /// What stands in front of the message.
    pub outer: Outer,
    /// Whether a `u32` length precedes the message itself.
    pub framed: bool,
}

impl Form {
    /// The protocol under which a listener allows or refuses a message of this form.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        match (self.outer, self.framed) {
            (Outer::TtHeader, _) => Protocol::TtHeader,
            (_, true) => Protocol::Framed,
            (_, false) => Protocol::Buffered,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.outer, self.framed) {
            (Outer::Plain, false) => "buffered",
            (Outer::Plain, true) => "framed",
            (Outer::Mesh, false) => "mesh-buffered",
            (Outer::Mesh, true) => "mesh-framed",
            (Outer::TtHeader, false) => "ttheader",
            (Outer::TtHeader, true) => "ttheader-framed",
        })
    }
}
