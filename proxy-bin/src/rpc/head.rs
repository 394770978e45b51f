use crate::rpc::{Downstream, Protocol};

/// What is known of a call or a stream before its first payload byte: what routes look at.
pub trait Head {
    /// What the caller speaks.
    fn protocol(&self) -> Protocol;

    /// The service: as the protocol carries it, without a package; else the listener's default; else empty.
    fn service(&self) -> &[u8];

    /// The service with its package, where the protocol carries one.
    fn full_service(&self) -> &[u8] {
        self.service()
    }

    /// The method name.
    fn method(&self) -> &[u8];

    /// The calling service, where it says so.
    fn caller(&self) -> Option<&[u8]>;

    /// The value under this key: a string key of a header, a field of HTTP/2.
    fn metadata(&self, key: &[u8]) -> Option<&[u8]>;

    /// The connection that it came by.
    fn downstream(&self) -> &Downstream;
}
