//! `:path`: which method of which service is called (streaming-wire B3).
//!
//! ```
//! use grpc_frame::path::{self, Path};
//!
//! let path = Path::parse("/tenant.EchoService/Echo")?;
//! assert_eq!((path.package(), path.service(), path.method()), ("tenant", "EchoService", "Echo"));
//! assert_eq!(path::build("tenant", "EchoService", "Echo"), "/tenant.EchoService/Echo");
//! # Ok::<(), grpc_frame::DecodeError>(())
//! ```

use crate::DecodeError;

/// A `:path` in its parts, borrowed from it.
///
/// ```text
/// /tenant.v1.EchoService/Echo
///  └package┘ └ service ┘ └ method
///  └─── full service ──┘
/// ```
///
/// A Kitex server looks at service and method alone, other servers at all of it; route by the whole path, and send it on
/// as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path<'a> {
    full_service: &'a str,
    method: &'a str,
}

impl<'a> Path<'a> {
    /// Splits a path as a Kitex server does: one leading `/` is dropped if it is there, the method is what follows the
    /// last `/`. Any part may turn out empty.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] when there is no `/` between service and method. The answer of a Kitex server is
    /// status 13, `malformed method name`.
    pub fn parse(path: &'a str) -> Result<Self, DecodeError> {
        match path.strip_prefix('/').unwrap_or(path).rsplit_once('/') {
            Some((full_service, method)) => Ok(Self { full_service, method }),
            None => Err(DecodeError::malformed(":path", path.as_bytes(), path.len(), "a `/` before the method")),
        }
    }

    /// Package and service as they stand in the path, `tenant.v1.EchoService`: what all but Kitex call the service.
    #[must_use]
    pub fn full_service(&self) -> &'a str {
        self.full_service
    }

    /// What precedes the last `.` of the full service; empty if there is none.
    #[must_use]
    pub fn package(&self) -> &'a str {
        self.full_service.rsplit_once('.').map_or("", |(package, _)| package)
    }

    /// What follows the last `.` of the full service; all of it if there is none.
    #[must_use]
    pub fn service(&self) -> &'a str {
        self.full_service.rsplit_once('.').map_or(self.full_service, |(_, service)| service)
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }
}

/// The path of a method; an empty package is left out together with its `.`.
#[must_use]
pub fn build(package: &str, service: &str, method: &str) -> String {
    let dot = if package.is_empty() { "" } else { "." };
    ["/", package, dot, service, "/", method].concat()
}
