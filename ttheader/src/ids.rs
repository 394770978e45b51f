use std::fmt;
use std::ops::BitOr;

/// FLAGS (specification 3.2). Bits without a name are kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "sixteen bits on the wire, whatever they come to mean")]
pub struct Flags(pub u16);

impl Flags {
    /// The sender takes replies in any order: a multiplexing client.
    pub const OUT_OF_ORDER: Self = Self(0x0001);
    /// A frame of TTHeader Streaming, not of a ping-pong call.
    pub const STREAMING: Self = Self(0x0002);
    /// Reserved; nobody sets it.
    pub const DUPLEX_REVERSE: Self = Self(0x0008);
    /// Reserved; nobody sets it.
    pub const SASL: Self = Self(0x0010);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#06x})", self.0)
    }
}

/// PROTOCOL ID (specification 3.3). Kitex writes 0 whatever the payload is and only checks that it
/// knows the id: the payload's own magic number decides.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "one byte on the wire, whatever it comes to mean")]
pub struct ProtocolId(pub u8);

impl ProtocolId {
    /// Thrift Binary; what everybody writes.
    pub const THRIFT_BINARY: Self = Self(0x00);
    /// Thrift Compact; refused.
    pub const THRIFT_COMPACT: Self = Self(0x02);
    /// Thrift Compact, second form; Kitex-Protobuf before Kitex 1.9.2.
    pub const THRIFT_COMPACT_V2: Self = Self(0x03);
    /// Kitex-Protobuf.
    pub const KITEX_PROTOBUF: Self = Self(0x04);
    /// A bare Thrift struct, of a stream.
    pub const THRIFT_STRUCT: Self = Self(0x10);
    /// A bare Protobuf message, of a stream.
    pub const PROTOBUF_STRUCT: Self = Self(0x11);

    /// Whether Kitex takes a frame with this id.
    #[must_use]
    #[inline]
    pub const fn is_accepted(self) -> bool {
        matches!(self.0, 0x00 | 0x03 | 0x04 | 0x10 | 0x11)
    }
}

impl fmt::Debug for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProtocolId({:#04x})", self.0)
    }
}

/// INFO ID: what an INFO section holds (specification 3.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "one byte on the wire, whatever it comes to mean")]
pub struct InfoId(pub u8);

impl InfoId {
    /// A single zero byte, allowed between any two sections.
    pub const PADDING: Self = Self(0x00);
    /// Pairs of strings.
    pub const STRINGS: Self = Self(0x01);
    /// Pairs of an [`IntKey`] and a string.
    pub const INTS: Self = Self(0x10);
    /// The ACL token: one string.
    pub const ACL_TOKEN: Self = Self(0x11);
}

impl fmt::Debug for InfoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoId({:#04x})", self.0)
    }
}

/// A key of section 0x10 (specification 3.7). Values are text unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "sixteen bits on the wire, whatever they come to mean")]
pub struct IntKey(pub u16);

macro_rules! int_keys {
    ($($(#[$doc:meta])+ $name:ident = $value:literal, $text:literal;)+) => {
        impl IntKey {
            $($(#[$doc])+ pub const $name: Self = Self($value);)+

            /// The key's name in Kitex, if it has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)+
                    _ => None,
                }
            }
        }
    };
}

int_keys! {
    /// Version of the mesh. Nobody writes or reads it in open source.
    MESH_VERSION = 0, "MeshVersion";
    /// `framed` or `unframed`, written by Kitex clients and read by nobody: the payload is sniffed.
    TRANSPORT_TYPE = 1, "TransportType";
    /// Log id. A Kitex server reads it for payload validators only.
    LOG_ID = 2, "LogID";
    /// Name of the calling service.
    FROM_SERVICE = 3, "FromService";
    /// Cluster of the caller. Nobody writes or reads it in open source.
    FROM_CLUSTER = 4, "FromCluster";
    /// Data centre of the caller. Nobody writes or reads it in open source.
    FROM_IDC = 5, "FromIDC";
    /// Name of the called service in discovery, which need not be the one in the IDL.
    TO_SERVICE = 6, "ToService";
    /// Cluster of the callee. Nobody writes or reads it in open source.
    TO_CLUSTER = 7, "ToCluster";
    /// Data centre of the callee. Nobody writes or reads it in open source.
    TO_IDC = 8, "ToIDC";
    /// Method; the payload has it too.
    TO_METHOD = 9, "ToMethod";
    /// Environment. Nobody writes or reads it in open source.
    ENV = 10, "Env";
    /// "ip:port" the caller sends to, written by Volo.
    DEST_ADDRESS = 11, "DestAddress";
    /// Time the caller waits for the reply, in decimal milliseconds; written if set explicitly.
    RPC_TIMEOUT = 12, "RPCTimeout";
    /// Read timeout. Nobody writes or reads it in open source.
    READ_TIMEOUT = 13, "ReadTimeout";
    /// Key for hashing to a backend. Nobody writes or reads it in open source.
    RING_HASH_KEY = 14, "RingHashKey";
    /// Tag of a deployment. Nobody writes or reads it in open source.
    DDP_TAG = 15, "DDPTag";
    /// Asks a mesh for a header; Volo always writes `3`.
    WITH_MESH_HEADER = 16, "WithMeshHeader";
    /// Time the caller allows for connecting, in decimal milliseconds.
    CONNECT_TIMEOUT = 17, "ConnectTimeout";
    /// Context of a trace. Nobody writes or reads it in open source.
    SPAN_CONTEXT = 18, "SpanContext";
    /// Asks for a connection per call. Nobody writes or reads it in open source.
    SHORT_CONNECTION = 19, "ShortConnection";
    /// Method that the caller is itself serving; empty outside of one.
    FROM_METHOD = 20, "FromMethod";
    /// Marks traffic of a load test. Nobody writes or reads it in open source.
    STRESS_TAG = 21, "StressTag";
    /// Message type in decimal: 1 call, 2 reply, 3 exception, 4 oneway. Volo's server writes the raw
    /// byte instead of the digit.
    MSG_TYPE = 22, "MsgType";
    /// Content type of an HTTP request. Nobody writes or reads it in open source.
    HTTP_CONTENT_TYPE = 23, "HTTPContentType";
    /// Key for hashing before it is hashed. Nobody writes or reads it in open source.
    RAW_RING_HASH_KEY = 24, "RawRingHashKey";
    /// Kind of load balancing. Nobody writes or reads it in open source.
    LB_TYPE = 25, "LBType";
    /// Shard of a cluster. Nobody writes or reads it in open source.
    CLUSTER_SHARD_ID = 26, "ClusterShardID";
    /// Kind of a frame of TTHeader Streaming, `1` to `5`.
    FRAME_TYPE = 27, "FrameType";
}

impl fmt::Debug for IntKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "IntKey({}, {name})", self.0),
            None => write!(f, "IntKey({})", self.0),
        }
    }
}
