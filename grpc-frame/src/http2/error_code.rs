use std::fmt;

/// Why a stream was reset or a connection closed: 32 bits in RST_STREAM and GOAWAY (section 7).
///
/// The set is open: a code that nobody has registered arrives and is sent on as it is, such as Kitex's 1000.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "32 bits, whatever they say")]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// Nothing went wrong: a graceful shutdown, or a stream whose rest is of no interest.
    pub const NO_ERROR: Self = Self(0x00);
    /// The peer broke a rule for which there is no other code.
    pub const PROTOCOL_ERROR: Self = Self(0x01);
    /// The sender failed.
    pub const INTERNAL_ERROR: Self = Self(0x02);
    /// The peer sent more than it was allowed to, or moved a window out of its range.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x03);
    /// SETTINGS were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Self = Self(0x04);
    /// A frame came for a stream that was half-closed already.
    pub const STREAM_CLOSED: Self = Self(0x05);
    /// A frame had the wrong size.
    pub const FRAME_SIZE_ERROR: Self = Self(0x06);
    /// The stream was refused before anything was done for it: it may be tried again.
    pub const REFUSED_STREAM: Self = Self(0x07);
    /// The stream is no longer needed.
    pub const CANCEL: Self = Self(0x08);
    /// The state of header compression is lost.
    pub const COMPRESSION_ERROR: Self = Self(0x09);
    /// The connection that was asked for by CONNECT was reset.
    pub const CONNECT_ERROR: Self = Self(0x0a);
    /// The peer is a burden.
    pub const ENHANCE_YOUR_CALM: Self = Self(0x0b);
    /// TLS is not good enough.
    pub const INADEQUATE_SECURITY: Self = Self(0x0c);
    /// HTTP/1.1 is to be used instead.
    pub const HTTP_1_1_REQUIRED: Self = Self(0x0d);
    /// Not registered: Kitex resets streams with it whose time is over at a graceful shutdown, and passes it on.
    pub const KITEX_GRACEFUL_SHUTDOWN: Self = Self(1000);

    /// The specification's name; `None` for a code that is neither registered nor Kitex's.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NO_ERROR => "NO_ERROR",
            Self::PROTOCOL_ERROR => "PROTOCOL_ERROR",
            Self::INTERNAL_ERROR => "INTERNAL_ERROR",
            Self::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
            Self::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
            Self::STREAM_CLOSED => "STREAM_CLOSED",
            Self::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
            Self::REFUSED_STREAM => "REFUSED_STREAM",
            Self::CANCEL => "CANCEL",
            Self::COMPRESSION_ERROR => "COMPRESSION_ERROR",
            Self::CONNECT_ERROR => "CONNECT_ERROR",
            Self::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
            Self::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
            Self::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
            Self::KITEX_GRACEFUL_SHUTDOWN => "KITEX_GRACEFUL_SHUTDOWN",
            _ => return None,
        })
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_code_has_its_name_and_others_their_number() {
        let named = (0..=0x0d).filter(|&code| ErrorCode(code).name().is_some()).count();
        assert_eq!((named, ErrorCode(0x0e).name()), (14, None));
        let shown = format!("{} {:?} {}", ErrorCode(8), ErrorCode(1000), ErrorCode(0x0e));
        assert_eq!(shown, "CANCEL KITEX_GRACEFUL_SHUTDOWN error code 0xe");
    }
}
