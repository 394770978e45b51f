use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost_reflect::{DescriptorError, DescriptorPool, FileDescriptor};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use crate::protobuf::schema::Schema;

/// What `.proto` files or a descriptor set declare: every service, and every message. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PbIdl {
    pub(super) main: FileDescriptor,
    pub(super) schema: Arc<Schema>,
    files: Arc<[PathBuf]>,
}

/// Why `.proto` files or a descriptor set can't be read: `file:line:column: reason`, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PbIdlError(pub(super) Box<str>);

/// What a file is called that has no name.
const MAIN: &str = "main.proto";

impl PbIdl {
    /// Reads one file, which imports nothing but `google/protobuf/*.proto`.
    ///
    /// # Errors
    ///
    /// The text is no `.proto` file.
    pub fn from_text(main: &str) -> Result<Self, PbIdlError> {
        Self::from_content(MAIN, main, &HashMap::new())
    }

    /// Reads a file and what it imports; `imports` has the texts of files under the names that stand in `import`. Those of
    /// `google/protobuf` need not be among them.
    ///
    /// # Errors
    ///
    /// A text is no `.proto` file, or an import is missing or goes in a circle.
    pub fn from_content(name: &str, main: &str, imports: &HashMap<String, String>) -> Result<Self, PbIdlError> {
        let mut files = imports.clone();
        files.insert(name.to_owned(), main.to_owned());
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts(files));
        resolver.add(GoogleFileResolver::new());
        Self::compile(Compiler::with_file_resolver(resolver), Path::new(name))
    }

    /// Reads a file and what it imports, from the given directories in their order, and then from its own.
    ///
    /// # Errors
    ///
    /// A file can't be read or is no `.proto` file, or an import is missing or goes in a circle.
    pub fn from_file(path: impl AsRef<Path>, import_dirs: &[PathBuf]) -> Result<Self, PbIdlError> {
        let path = path.as_ref();
        let own = path.parent().map(Path::to_path_buf);
        let own = own.filter(|own| !import_dirs.iter().any(|dir| own.starts_with(dir)));
        Self::compile(Compiler::new(import_dirs.iter().chain(&own))?, path)
    }

    /// Reads an encoded `google.protobuf.FileDescriptorSet`, as `protoc -o` and `buf build` write it; imported files must
    /// be in it. Its last file with services counts as the main one.
    ///
    /// # Errors
    ///
    /// The bytes are no such message, or what it says does not hold together.
    pub fn from_set(bytes: &[u8]) -> Result<Self, PbIdlError> {
        let pool = DescriptorPool::decode(bytes).map_err(|error| of_set(&error))?;
        let main = pool.files().filter(|file| file.services().len() > 0).last();
        let main = main.or_else(|| pool.files().last());
        let main = main.ok_or_else(|| PbIdlError("a descriptor set without files".into()))?;
        Ok(Self::new(&pool, main, Arc::default()))
    }

    /// The services of the main file by their full names, in the order of their declaration.
    pub fn services(&self) -> impl Iterator<Item = Box<str>> {
        self.main.services().map(|service| service.full_name().into())
    }

    /// Every file that was read, imported ones too; none where texts or a descriptor set were.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// The package of the main file; empty if it has none.
    #[must_use]
    pub fn package(&self) -> &str {
        self.main.package_name()
    }

    /// Everything that was read, for work with [`prost_reflect::DynamicMessage`].
    #[must_use]
    pub fn pool(&self) -> &DescriptorPool {
        self.main.parent_pool()
    }

    fn compile(mut compiler: Compiler, path: &Path) -> Result<Self, PbIdlError> {
        compiler.include_imports(true).open_file(path)?;
        // The compiler's own pool was made before options such as `packed` were known.
        let pool = DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).map_err(|error| of_set(&error))?;
        // Dependencies come first.
        let main = pool.files().last().ok_or_else(|| PbIdlError("no file".into()))?;
        let files = compiler.files().filter_map(|file| file.path().map(Path::to_path_buf)).collect();
        Ok(Self::new(&pool, main, files))
    }

    fn new(pool: &DescriptorPool, main: FileDescriptor, files: Arc<[PathBuf]>) -> Self {
        Self { main, schema: Arc::new(Schema::new(pool)), files }
    }
}

impl From<protox::Error> for PbIdlError {
    fn from(error: protox::Error) -> Self {
        // Its `Debug` is what says file, line and column.
        Self(format!("{error:?}").into())
    }
}

fn of_set(error: &DescriptorError) -> PbIdlError {
    PbIdlError(format!("{error:?}").into())
}

/// Files by name.
struct Texts(HashMap<String, String>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}
