#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod access;
pub mod base;
pub mod binary;
pub mod descriptor;
mod error;
pub mod http;
pub mod idl;
pub mod json;
mod limits;
mod options;
mod outcome;
mod path;
#[cfg(feature = "protobuf")]
pub mod protobuf;
mod provider;
pub mod value;
#[cfg(feature = "watch")]
mod watch;
mod wire;

pub use descriptor::Descriptor;
pub use error::{Error, ErrorKind};
pub use limits::{DEFAULT_MAX_DEPTH, MAX_IDL_DEPTH, MAX_IDL_FILES, MAX_IDL_LEN};
pub use options::{EnumNames, FillAbsent, Options, Profile};
pub use outcome::Outcome;
pub use path::{FieldPath, Step};
pub use provider::Provider;
pub use value::Value;
#[cfg(feature = "watch")]
pub use watch::Watch;
