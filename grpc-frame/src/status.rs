//! How a call ended: `grpc-status`, `grpc-message`, `grpc-status-details-bin`, and what they are elsewhere
//! (streaming-wire B7, B10, D3).
//!
//! ```
//! use grpc_frame::status::{self, Code, Status};
//!
//! let status = Status::parse(Some(b"13"), Some(b"caf%C3%A9 100%25"), None)?;
//! assert_eq!(status.code, Code::INTERNAL);
//! assert_eq!(status.message, "café 100%".as_bytes());
//! assert_eq!(status::encode_message(&status.message), "caf%C3%A9 100%25");
//! # Ok::<(), grpc_frame::DecodeError>(())
//! ```

mod code;
mod details;
mod message;

use std::borrow::Cow;

pub use code::{Code, Compat};
pub use details::{Details, RpcStatus};
pub use message::{decode_message, encode_message, parse_rpc_error, rpc_error};

pub(crate) use code::parse_i32;

use crate::{DecodeError, metadata};

/// The name of the trailer with the [`Code`].
pub const STATUS: &str = "grpc-status";
/// The name of the trailer with the text, percent-encoded; Kitex sends it always, empty on success.
pub const MESSAGE: &str = "grpc-message";
/// The name of the trailer with the details: base64 of a [`RpcStatus`].
pub const DETAILS: &str = "grpc-status-details-bin";

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status<'a> {
    /// The code.
    pub code: Code,
    /// The text, no longer percent-encoded. Most of the time UTF-8; nobody checks.
    pub message: Cow<'a, [u8]>,
    /// `google.rpc.Status` as protobuf, see [`RpcStatus`]; it has code and text once more.
    pub details: Option<Vec<u8>>,
}

impl<'a> Status<'a> {
    /// A status without details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// The status that trailers tell, from the values of [`STATUS`], [`MESSAGE`] and [`DETAILS`].
    ///
    /// Without [`STATUS`] it is [`Code::UNKNOWN`] with an empty text. Details, where there are any, have the last word on
    /// code and text. A proxy that passes trailers on has no need of this: it sends the values as they came.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] or [`DecodeError::Truncated`], with the trailer's name. The stream has failed with
    /// status 13 then, and a Kitex client resets it with PROTOCOL_ERROR.
    pub fn parse(
        status: Option<&[u8]>,
        message: Option<&'a [u8]>,
        details: Option<&[u8]>,
    ) -> Result<Self, DecodeError> {
        let Some(status) = status else { return Ok(Self::new(Code::UNKNOWN, &[])) };
        let mut parsed = Self::new(Code::parse(status)?, decode_message(message.unwrap_or_default()));
        if let Some(details) = details {
            let bytes = metadata::decode_bin(DETAILS, details)?;
            let said_again = RpcStatus::parse(&bytes)?;
            parsed.code = said_again.code;
            if parsed.message != said_again.message {
                parsed.message = Cow::Owned(said_again.message.to_vec());
            }
            parsed.details = Some(bytes);
        }
        Ok(parsed)
    }

    /// The value of [`MESSAGE`] for the text.
    #[must_use]
    pub fn encode_message(&self) -> Cow<'_, str> {
        encode_message(&self.message)
    }

    /// The value of [`DETAILS`], if there are details.
    #[must_use]
    pub fn encode_details(&self) -> Option<String> {
        self.details.as_deref().map(metadata::encode_bin)
    }

    /// The same with a text of its own.
    #[must_use]
    pub fn into_owned(self) -> Status<'static> {
        Status { code: self.code, message: Cow::Owned(self.message.into_owned()), details: self.details }
    }
}
