//! The keys of an HTTP listener.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thrift_generic::Profile;

use crate::config::defaults;
use crate::rpc::Protocol;

/// What an HTTP listener serves: the services of an IDL, by their routes and by name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gateway {
    /// An IDL file, or a directory whose IDL files are all served; of Protobuf a file.
    pub idl: PathBuf,
    /// What the IDL is.
    pub kind: IdlKind,
    /// Where included files are looked for beside the including file's directory.
    pub include: Vec<PathBuf>,
    /// Whose rules hold where Kitex's two JSON converters differ.
    pub profile: Profile,
    /// Whether binary is base64 text.
    pub base64: bool,
    /// Whether every i64 of a response is a string, for readers whose numbers are doubles.
    pub i64_as_string: bool,
}

/// What an IDL is: each has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdlKind {
    /// `idl`: Thrift.
    Thrift,
    /// `proto`: a `.proto` file.
    Proto,
    /// `descriptor_set`: an encoded `FileDescriptorSet`.
    DescriptorSet,
}

/// The keys as they are written.
pub(super) struct Keys {
    pub(super) idl: Option<PathBuf>,
    pub(super) proto: Option<PathBuf>,
    pub(super) descriptor_set: Option<PathBuf>,
    pub(super) include: Vec<PathBuf>,
    pub(super) profile: Option<FileProfile>,
    pub(super) base64: Option<bool>,
    pub(super) i64_as_string: Option<bool>,
}

/// [`Profile`] by its name in a file.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FileProfile {
    Default,
    Dynamic,
}

impl Keys {
    /// A gateway where the listener speaks HTTP. `base` is the directory of the file.
    ///
    /// # Errors
    ///
    /// What does not go together.
    pub(super) fn check(self, protocols: &[Protocol], base: &Path) -> Result<Option<Gateway>, String> {
        if !protocols.contains(&Protocol::Http) {
            let used = [
                (self.idl.is_some(), "idl"),
                (self.proto.is_some(), "proto"),
                (self.descriptor_set.is_some(), "descriptor_set"),
                (!self.include.is_empty(), "include"),
                (self.profile.is_some(), "profile"),
                (self.base64.is_some(), "base64"),
                (self.i64_as_string.is_some(), "i64_as_string"),
            ];
            return match used.iter().find_map(|&(used, key)| used.then_some(key)) {
                Some(key) => Err(format!("{key} is of use to HTTP alone, expected protocols = [\"http\"] with it")),
                None => Ok(None),
            };
        }
        if protocols.iter().any(|&protocol| protocol != Protocol::Http) {
            return Err("protocols: http needs a listener of its own, expected [\"http\"] alone".into());
        }
        let (kind, idl) = match (self.idl, self.proto, self.descriptor_set) {
            (Some(idl), None, None) => (IdlKind::Thrift, idl),
            (None, Some(idl), None) => (IdlKind::Proto, idl),
            (None, None, Some(idl)) => (IdlKind::DescriptorSet, idl),
            (None, None, None) => {
                return Err(
                    "protocols = [\"http\"], expected idl = \"file or directory\" with it, or proto = \"file\" or \
                            descriptor_set = \"file\""
                        .into(),
                );
            }
            _ => return Err("idl, proto and descriptor_set: expected one of them".into()),
        };
        if kind != IdlKind::Thrift {
            let of_thrift = [(self.profile.is_some(), "profile"), (self.base64.is_some(), "base64")];
            if let Some(key) = of_thrift.iter().find_map(|&(used, key)| used.then_some(key)) {
                return Err(format!("{key} is of use to Thrift alone, expected idl with it"));
            }
        }
        if kind == IdlKind::DescriptorSet && !self.include.is_empty() {
            return Err("include: expected idl or proto with it, a descriptor set has what it imports".into());
        }
        Ok(Some(Gateway {
            idl: base.join(idl),
            kind,
            include: self.include.into_iter().map(|include| base.join(include)).collect(),
            profile: match self.profile {
                Some(FileProfile::Default) => Profile::Default,
                Some(FileProfile::Dynamic) => Profile::Dynamic,
                None => defaults::PROFILE,
            },
            base64: self.base64.unwrap_or(defaults::BASE64),
            i64_as_string: self.i64_as_string.unwrap_or(false),
        }))
    }
}
