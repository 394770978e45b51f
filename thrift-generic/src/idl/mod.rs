//! IDL text, parsed and with its names resolved (generic-call 1).

mod ast;
mod error;
mod load;
pub(crate) mod names;
mod parse;
mod token;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

pub use error::{IdlError, IdlErrorKind};
pub(crate) use load::Source;

use load::{Contents, Files, cycle, load};
use names::{Model, resolve};

/// The files of an IDL: the main one, and all that it includes, parsed and with their names resolved.
///
/// It accepts what Kitex accepts (generic-call 1.1 to 1.9), and, beyond that, a separator behind typedefs and closing
/// braces, includes in circles, and names that begin like a keyword. Reading one is bounded in every respect:
/// [`MAX_IDL_LEN`](crate::MAX_IDL_LEN), [`MAX_IDL_FILES`](crate::MAX_IDL_FILES) and
/// [`MAX_IDL_DEPTH`](crate::MAX_IDL_DEPTH).
///
/// Descriptors are built from it by [`Builder`](crate::descriptor::Builder), any number of them.
///
/// ```
/// use thrift_generic::idl::Idl;
///
/// let idl = Idl::from_text("service Echo { string Echo(1: string text) }")?;
/// assert_eq!(idl.services().collect::<Vec<_>>(), ["Echo"]);
///
/// let error = Idl::from_text("struct Item {\n  1: i32\n}").unwrap_err();
/// assert_eq!(error.to_string(), "main.thrift:3:1: parse error near \"}\": expected a field's name");
/// # Ok::<(), thrift_generic::idl::IdlError>(())
/// ```
#[derive(Debug)]
pub struct Idl {
    sources: Vec<Source>,
    pub(crate) model: Model,
}

impl Idl {
    /// One file without includes, called `main.thrift` in messages.
    ///
    /// # Errors
    ///
    /// The text is no IDL, or uses names that it does not define.
    pub fn from_text(main: &str) -> Result<Self, IdlError> {
        Self::from_content(main, &HashMap::new())
    }

    /// A file, and the files that it includes: an include is looked up in the working directory, in the directory of
    /// the file that has it, and in `include_dirs`, in this order. Files may include each other.
    ///
    /// # Errors
    ///
    /// A file can't be read or is no IDL, or a name is not defined.
    pub fn from_file(path: impl AsRef<Path>, include_dirs: &[PathBuf]) -> Result<Self, IdlError> {
        let path = path.as_ref();
        let sources = load(&Files { include_dirs }, Files::key(path), path.to_owned())?;
        Self::resolve(sources)
    }

    /// A text, called `main.thrift`, and the texts that it includes, under the very words of the includes.
    ///
    /// # Errors
    ///
    /// A text is missing or no IDL, a name is not defined, or texts include each other.
    pub fn from_content(main: &str, includes: &HashMap<String, String>) -> Result<Self, IdlError> {
        Self::from_contents(Contents { main: (MAIN, main), others: includes, relative: false })
    }

    /// Texts under the paths of their files: an include is looked up relative to the file that has it, then as it is
    /// written.
    ///
    /// # Errors
    ///
    /// A text is missing or no IDL, a name is not defined, or texts include each other.
    pub fn from_content_absolute(main_path: &str, files: &HashMap<String, String>) -> Result<Self, IdlError> {
        let Some(main) = files.get(main_path) else {
            return Err(IdlError::new(IdlErrorKind::MissingMain(main_path.into())));
        };
        Self::from_contents(Contents { main: (main_path, main), others: files, relative: true })
    }

    fn from_contents(contents: Contents<'_>) -> Result<Self, IdlError> {
        let (name, main) = contents.main;
        if contents.others.get(name).is_some_and(|other| !other.is_empty() && other != main) {
            return Err(IdlError::new(IdlErrorKind::ConflictingMain(name.into())));
        }
        let sources = load(&contents, name.to_owned(), PathBuf::from(name))?;
        if let Some(files) = cycle(&sources) {
            return Err(IdlError::new(IdlErrorKind::Circular(files)));
        }
        Self::resolve(sources)
    }

    fn resolve(mut sources: Vec<Source>) -> Result<Self, IdlError> {
        let model = resolve(&mut sources)?;
        Ok(Self { sources, model })
    }

    /// The services of the main file, in order.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let services = self.model.main_services.iter();
        services.filter_map(|number| self.model.services.get(*number)).map(|service| &*service.name.text)
    }

    /// The files that were read, the main one first; for texts, their names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().map(|source| &*source.path)
    }

    /// Equal for equal files.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for source in &self.sources {
            (&source.path, &source.text).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// An error at this place of this file.
    #[cold]
    pub(crate) fn error(&self, file: usize, at: usize, kind: IdlErrorKind) -> IdlError {
        match self.sources.get(file) {
            Some(source) => source.error(kind, at),
            None => IdlError::new(kind),
        }
    }

    /// What a file is called.
    pub(crate) fn file_name(&self, file: usize) -> Box<str> {
        self.sources.get(file).map(Source::name).unwrap_or_default()
    }

    /// A name of a file as others see it: with the file's prefix, unless it is the main one.
    pub(crate) fn full_name(&self, file: usize, name: &str) -> Box<str> {
        let path = self.sources.get(file).filter(|_| file != 0).map(|source| &*source.path);
        match path.and_then(Path::file_stem) {
            Some(prefix) => format!("{}.{name}", prefix.to_string_lossy()).into(),
            None => name.into(),
        }
    }
}

/// What a main text without a path is called.
const MAIN: &str = "main.thrift";
