//! What a framework adds to requests that have a `base.Base` (generic-call 3.8).

/// The framework's part of a `base.Base`. LogID, Caller, Addr, Client and TrafficEnv come from here alone; `extra` is
/// merged with the caller's, and wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Base {
    /// Field 1.
    pub log_id: String,
    /// Field 2.
    pub caller: String,
    /// Field 3.
    pub addr: String,
    /// Field 4; not written when empty.
    pub client: String,
    /// Field 5, its two fields (`Open`, `Env`).
    pub traffic_env: Option<(bool, String)>,
    /// Field 6, in order.
    pub extra: Vec<(String, String)>,
}
