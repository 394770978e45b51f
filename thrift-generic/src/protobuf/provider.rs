use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::protobuf::descriptor::{PbDescriptor, PbServices};
use crate::protobuf::idl::{PbIdl, PbIdlError};

/// A handle on the descriptor in force, which may be replaced while calls go on. Cheap to clone; all clones see the same.
///
/// An update that fails leaves what is in force in force.
#[derive(Clone, Debug)]
pub struct PbProvider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    current: RwLock<PbDescriptor>,
    services: PbServices,
    source: Option<(PathBuf, Vec<PathBuf>)>,
}

impl PbProvider {
    /// A provider of this descriptor. Updates take the same choice of services.
    ///
    /// # Errors
    ///
    /// There is no such service.
    pub fn new(idl: &PbIdl, services: PbServices) -> Result<Self, PbIdlError> {
        Self::with_source(idl, services, None)
    }

    /// A provider of what a file declares; see [`PbIdl::from_file`].
    ///
    /// # Errors
    ///
    /// The file can't be read, is no `.proto` file, or has no such service.
    pub fn from_file(
        path: impl AsRef<Path>,
        import_dirs: &[PathBuf],
        services: PbServices,
    ) -> Result<Self, PbIdlError> {
        let source = (path.as_ref().to_path_buf(), import_dirs.to_vec());
        Self::with_source(&PbIdl::from_file(path, import_dirs)?, services, Some(source))
    }

    /// The descriptor in force. Whoever makes a call keeps it until the call is done.
    #[must_use]
    pub fn load(&self) -> PbDescriptor {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts what these files declare in force.
    ///
    /// # Errors
    ///
    /// There is no such service.
    pub fn update(&self, idl: &PbIdl) -> Result<(), PbIdlError> {
        let descriptor = PbDescriptor::new(idl, &self.0.services)?;
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = descriptor;
        Ok(())
    }

    /// Puts what these texts declare in force; see [`PbIdl::from_content`].
    ///
    /// # Errors
    ///
    /// A text is no `.proto` file, an import is missing, or there is no such service.
    pub fn update_content(&self, name: &str, main: &str, imports: &HashMap<String, String>) -> Result<(), PbIdlError> {
        self.update(&PbIdl::from_content(name, main, imports)?)
    }

    /// Reads the file again, and what it imports.
    ///
    /// # Errors
    ///
    /// The provider is not of a file, or the file can't be read, is no `.proto` file, or has no such service.
    pub fn reload(&self) -> Result<(), PbIdlError> {
        let Some((path, import_dirs)) = &self.0.source else {
            return Err(PbIdlError("not made from a file".into()));
        };
        self.update(&PbIdl::from_file(path, import_dirs)?)
    }

    fn with_source(
        idl: &PbIdl,
        services: PbServices,
        source: Option<(PathBuf, Vec<PathBuf>)>,
    ) -> Result<Self, PbIdlError> {
        let current = RwLock::new(PbDescriptor::new(idl, &services)?);
        Ok(Self(Arc::new(Inner { current, services, source })))
    }
}
