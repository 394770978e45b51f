//! A handle on the current descriptor (generic-call 1.10).

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::descriptor::{Builder, Descriptor};
use crate::idl::{Idl, IdlError};

/// Where calls get their descriptor from, and where it is replaced while calls are running.
///
/// Cheap to clone; all clones are the same handle. A call takes one descriptor by [`load`](Self::load) and keeps it to
/// its end, whatever is replaced meanwhile. An update is done when its method returns. A bad one leaves everything as it
/// was, and says why. There is no task behind it, and nothing to close.
///
/// ```
/// use std::collections::HashMap;
/// use thrift_generic::{Provider, descriptor::Builder};
///
/// let none = HashMap::new();
/// let provider = Provider::from_content("service A { void Old(1: string s) }", &none, Builder::new())?;
/// let pinned = provider.load();
/// provider.update_content("service B { void New(1: string s) }", &none)?;
/// assert!(provider.update_content("service C {", &none).is_err());
/// assert_eq!((pinned.name(), provider.load().name()), ("A", "B"));
/// # Ok::<(), thrift_generic::idl::IdlError>(())
/// ```
#[derive(Clone)]
pub struct Provider {
    shared: Arc<Shared>,
}

struct Shared {
    current: ArcSwap<Descriptor>,
    builder: Builder,
    /// Held while an update is made, so that of two the later call is the one that stays.
    source: Mutex<Source>,
}

/// What a provider is to read again.
struct Source {
    file: Option<(PathBuf, Vec<PathBuf>)>,
    /// All that was read from disk.
    read: Vec<PathBuf>,
    /// What was there to read: equal texts give the same.
    fingerprint: u64,
}

impl Provider {
    /// A descriptor that was built elsewhere. Later texts are built into descriptors by [`Builder::new`].
    #[must_use]
    pub fn new(descriptor: Descriptor) -> Self {
        Self::made(descriptor, Builder::new(), None, None)
    }

    /// A file and its includes, see [`Idl::from_file`].
    ///
    /// # Errors
    ///
    /// The IDL can't be read, or no descriptor can be built of it.
    pub fn from_file(path: impl Into<PathBuf>, include_dirs: &[PathBuf], builder: Builder) -> Result<Self, IdlError> {
        let path = path.into();
        let idl = Idl::from_file(&path, include_dirs)?;
        let descriptor = builder.build(&idl)?;
        Ok(Self::made(descriptor, builder, Some((path, include_dirs.to_owned())), Some(&idl)))
    }

    /// A text and its includes under the words by which they are included, see [`Idl::from_content`].
    ///
    /// # Errors
    ///
    /// A text is missing or no IDL, or no descriptor can be built of it.
    pub fn from_content(main: &str, includes: &HashMap<String, String>, builder: Builder) -> Result<Self, IdlError> {
        let descriptor = builder.build(&Idl::from_content(main, includes)?)?;
        Ok(Self::made(descriptor, builder, None, None))
    }

    /// Texts under their paths, see [`Idl::from_content_absolute`].
    ///
    /// # Errors
    ///
    /// A text is missing or no IDL, or no descriptor can be built of it.
    pub fn from_content_absolute(
        main_path: &str,
        files: &HashMap<String, String>,
        builder: Builder,
    ) -> Result<Self, IdlError> {
        let descriptor = builder.build(&Idl::from_content_absolute(main_path, files)?)?;
        Ok(Self::made(descriptor, builder, None, None))
    }

    fn made(
        descriptor: Descriptor,
        builder: Builder,
        file: Option<(PathBuf, Vec<PathBuf>)>,
        idl: Option<&Idl>,
    ) -> Self {
        let (read, fingerprint) = idl.map(|idl| (files_of(idl), idl.fingerprint())).unwrap_or_default();
        let source = Mutex::new(Source { file, read, fingerprint });
        Self { shared: Arc::new(Shared { current: ArcSwap::from_pointee(descriptor), builder, source }) }
    }

    /// The current descriptor, for one call.
    #[must_use]
    pub fn load(&self) -> Arc<Descriptor> {
        self.shared.current.load_full()
    }

    /// Replaces the descriptor.
    pub fn update(&self, descriptor: Descriptor) {
        let _held = self.source();
        self.shared.current.store(Arc::new(descriptor));
    }

    /// Replaces the descriptor by one of a text and its includes, see [`Idl::from_content`].
    ///
    /// # Errors
    ///
    /// A text is missing or no IDL, or no descriptor can be built of it. The descriptor stays as it is.
    pub fn update_content(&self, main: &str, includes: &HashMap<String, String>) -> Result<(), IdlError> {
        let _held = self.source();
        self.replace(&Idl::from_content(main, includes)?)
    }

    /// Replaces the descriptor by one of texts under their paths, see [`Idl::from_content_absolute`].
    ///
    /// # Errors
    ///
    /// A text is missing or no IDL, or no descriptor can be built of it. The descriptor stays as it is.
    pub fn update_content_absolute(&self, main_path: &str, files: &HashMap<String, String>) -> Result<(), IdlError> {
        let _held = self.source();
        self.replace(&Idl::from_content_absolute(main_path, files)?)
    }

    /// Reads the file and its includes again. A provider that was not made of a file stays as it is.
    ///
    /// # Errors
    ///
    /// The IDL can't be read, or no descriptor can be built of it. The descriptor stays as it is.
    pub fn reload(&self) -> Result<(), IdlError> {
        self.reload_unless(|_, _| false).map(|_| ())
    }

    /// As [`reload`](Self::reload), unless the fingerprints of what was read before and now say no. True if it was done.
    fn reload_unless(&self, unchanged: impl FnOnce(u64, u64) -> bool) -> Result<bool, IdlError> {
        let mut source = self.source();
        let Some((path, include_dirs)) = &source.file else { return Ok(false) };
        let idl = Idl::from_file(path, include_dirs)?;
        let fingerprint = idl.fingerprint();
        source.read = files_of(&idl);
        if unchanged(source.fingerprint, fingerprint) {
            return Ok(false);
        }
        source.fingerprint = fingerprint;
        self.replace(&idl).map(|()| true)
    }

    /// Reloads the file whenever it or one of its includes changes, for as long as the returned value lives. `report`
    /// is told of each new descriptor, and of each error that keeps the old one.
    ///
    /// # Errors
    ///
    /// The system can't watch anything, or has no thread to spare.
    #[cfg(feature = "watch")]
    pub fn watch(
        &self,
        mut report: impl FnMut(Result<Arc<Descriptor>, IdlError>) + Send + 'static,
    ) -> std::io::Result<crate::Watch> {
        let provider = self.clone();
        let mut told = None;
        crate::Watch::new(self.watched(None), move || {
            let result = provider.reload_unless(|before, now| before == now && told.is_none());
            let error = result.as_ref().err().cloned();
            match result {
                Ok(true) => report(Ok(provider.load())),
                Ok(false) => {}
                // The same error again is no news.
                Err(_) if told == error => {}
                Err(error) => report(Err(error)),
            }
            told = error;
            provider.watched(told.as_ref().and_then(IdlError::file))
        })
    }

    /// What may change the descriptor: what was read last, what could not be read, and where includes may turn up.
    #[cfg(feature = "watch")]
    fn watched(&self, faulty: Option<&Path>) -> Vec<PathBuf> {
        let source = self.source();
        let Some((path, include_dirs)) = &source.file else { return Vec::new() };
        let anything = include_dirs.iter().map(|directory| directory.join("any.thrift"));
        let faulty = faulty.map(Path::to_owned);
        [path.clone()].into_iter().chain(source.read.iter().cloned()).chain(anything).chain(faulty).collect()
    }

    /// The files that were read last, the main one first; none if the descriptor was not made of files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.source().read.clone()
    }

    fn replace(&self, idl: &Idl) -> Result<(), IdlError> {
        self.shared.current.store(Arc::new(self.shared.builder.build(idl)?));
        Ok(())
    }

    fn source(&self) -> std::sync::MutexGuard<'_, Source> {
        // What it guards is whole at any time.
        self.shared.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("service", &self.load().name()).field("files", &self.files()).finish()
    }
}

fn files_of(idl: &Idl) -> Vec<PathBuf> {
    idl.files().map(Path::to_owned).collect()
}
