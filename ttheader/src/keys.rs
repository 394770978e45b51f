//! String keys of section 0x01 and their meaning (specification 3.8).
//!
//! All are byte strings, matched with their case. A key that is not listed here is forwarded like
//! any other.

/// IDL service name; selects the service on a server with several. Absent unless the caller's
/// TTHeader handler is installed, and only a hint then.
pub const IDL_SERVICE_NAME: &[u8] = b"isn";
/// "ip:port" of the real peer: a server takes it for the caller's address, a client for the
/// callee's. Only proxies write it, and keep one that is there.
pub const REMOTE_ADDRESS: &[u8] = b"rip";
/// The sender will close this connection. Hop by hop: obey it and do not forward it. For a Kitex
/// client its presence is enough, even with an empty value; written as `1`.
pub const CONNECTION_RESET: &[u8] = b"crrst";
/// Business error: code, a decimal `i32`; 0 or anything else means that there is none.
pub const BIZ_STATUS: &[u8] = b"biz-status";
/// Business error: text.
pub const BIZ_MESSAGE: &[u8] = b"biz-message";
/// Business error: a JSON object of strings, left out when empty.
pub const BIZ_EXTRA: &[u8] = b"biz-extra";
/// CRC-32C of everything behind the header, 8 lower-case hex digits; see
/// [`checksum`](crate::checksum).
pub const CRC32C: &[u8] = b"crc32c";
/// Prefix of a custom payload validator's value. It cannot be recomputed by a proxy.
pub const PAYLOAD_VALIDATOR_PREFIX: &[u8] = b"PV_";
/// Prefix of persistent metadata, which travels along the whole chain of calls.
pub const PERSIST_PREFIX: &[u8] = b"RPC_PERSIST_";
/// Prefix of transient metadata, which travels one hop. A transparent proxy is not a hop.
pub const TRANSIT_PREFIX: &[u8] = b"RPC_TRANSIT_";
/// Prefix of transient metadata that has already travelled its hop.
pub const TRANSIT_UPSTREAM_PREFIX: &[u8] = b"RPC_TRANSIT_UPSTREAM_";
/// Prefix of metadata from server to client as Volo writes it. Kitex writes such keys bare.
pub const BACKWARD_PREFIX: &[u8] = b"RPC_BACKWARD_";
/// Prefix of metadata from server to client that has travelled its hop; a constant without a user.
pub const BACKWARD_DOWNSTREAM_PREFIX: &[u8] = b"RPC_BACKWARD_DOWNSTREAM_";
/// The ACL token under its string key. Kitex moves it to section 0x11; left here it is understood
/// too.
pub const GDPR_TOKEN: &[u8] = b"RPC_TRANSIT_gdpr-token";
/// Number of the retry, `1` and up, on a call that is one.
pub const RETRY_REQUEST: &[u8] = b"RPC_PERSIST_RetryReq";
/// Target cluster. Nobody writes or reads it in open source.
pub const TARGET_CLUSTER: &[u8] = b"tc";
/// Target data centre. Nobody writes or reads it in open source.
pub const TARGET_IDC: &[u8] = b"ti";
/// Timing mark: connecting began. Nobody writes or reads it in open source.
pub const CONNECT_START: &[u8] = b"pcs";
/// Timing mark: connecting ended. Nobody writes or reads it in open source.
pub const CONNECT_END: &[u8] = b"pce";
/// Timing mark: sending began. Nobody writes or reads it in open source.
pub const SEND_START: &[u8] = b"pss";
/// Timing mark: receiving began. Nobody writes or reads it in open source.
pub const RECEIVE_START: &[u8] = b"prs";
/// Timing mark: receiving ended. Nobody writes or reads it in open source.
pub const RECEIVE_END: &[u8] = b"pre";
/// Time the server took. Nobody writes or reads it in open source.
pub const PROCESS_TIME: &[u8] = b"K_ProcessAtTime";
/// TTHeader Streaming: who cancelled, as a path of services, in a reset frame.
pub const CANCEL_PATH: &[u8] = b"ttscp";

/// Whether metadata under this key is meant to travel along the whole chain of calls.
#[must_use]
pub fn is_persistent(key: &[u8]) -> bool {
    key.starts_with(PERSIST_PREFIX)
}

/// Whether metadata under this key is meant to travel one hop.
#[must_use]
pub fn is_transient(key: &[u8]) -> bool {
    key.starts_with(TRANSIT_PREFIX)
}
