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
    /// An IDL file, or a directory whose IDL files are all served.
    pub idl: PathBuf,
    /// Where included files are looked for beside the including file's directory.
    pub include: Vec<PathBuf>,
    /// Whose rules hold where Kitex's two JSON converters differ.
    pub profile: Profile,
    /// Whether binary is base64 text.
    pub base64: bool,
    /// Whether every i64 of a response is a string, for readers whose numbers are doubles.
    pub i64_as_string: bool,
}

/// The keys as they are written.
pub(super) struct Keys {
    pub(super) idl: Option<PathBuf>,
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
        let Some(idl) = self.idl else {
            return Err("protocols = [\"http\"], expected idl = \"file or directory\" with it".into());
        };
        Ok(Some(Gateway {
            idl: base.join(idl),
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
