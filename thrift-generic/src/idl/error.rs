use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::http::RouteError;
use crate::limits::{MAX_IDL_DEPTH, MAX_IDL_FILES, MAX_IDL_LEN};

/// Why an IDL can't be used: what is wrong, in which file, in which line and column.
///
/// Texts keep the stable words of Kitex's (generic-call 1.12), behind the place: `main.thrift:3:7: undefined type: …`.
/// One pointer in size.
#[derive(Clone, PartialEq, Eq)]
pub struct IdlError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: IdlErrorKind,
    place: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    file: Arc<Path>,
    line: usize,
    column: usize,
}

/// What is wrong with an IDL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdlErrorKind {
    /// Text that is none of the IDL's.
    #[error("parse error near {found}: expected {expected}")]
    Syntax {
        /// What may stand here.
        expected: &'static str,
        /// What stands here.
        found: Box<str>,
    },
    /// The main file is empty.
    #[error("not document")]
    Empty,
    /// A number that is none, or too large.
    #[error("parseConstValue failed at '{text}': {reason}")]
    Number {
        /// The number, as written.
        text: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A field id beyond 16 bits, or not in decimal digits.
    #[error("field id {0} is not within -32768 to 32767")]
    FieldId(Box<str>),
    /// Two fields with one id.
    #[error("field {name:?} of {owner:?} has the id {id} of field {other:?}")]
    DuplicateFieldId {
        /// The struct.
        owner: Box<str>,
        /// The later field.
        name: Box<str>,
        /// The earlier field.
        other: Box<str>,
        /// The id of both.
        id: i16,
    },
    /// Types, constants or resolved types nested more than [`MAX_IDL_DEPTH`] deep.
    #[error("nested more than {} deep", MAX_IDL_DEPTH)]
    TooDeep,
    /// More than [`MAX_IDL_LEN`] bytes.
    #[error("all files together are longer than {} bytes", MAX_IDL_LEN)]
    TooLong,
    /// More than [`MAX_IDL_FILES`] files.
    #[error("more than {} files", MAX_IDL_FILES)]
    TooManyFiles,
    /// The defaults of fields, with the constants they name, take more than [`MAX_IDL_LEN`] bytes.
    #[error("defaults are larger than {} bytes together", MAX_IDL_LEN)]
    DefaultsTooLarge,
    /// A file that can't be read.
    #[error("{}: {reason}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: Box<str>,
    },
    /// An include that is nowhere.
    #[error("miss include path: {path} for file: {file}")]
    MissingInclude {
        /// The include, as written.
        path: Box<str>,
        /// The file that includes it.
        file: Box<str>,
    },
    /// No text for the main file.
    #[error("miss main IDL content for main IDL path: {0}")]
    MissingMain(Box<str>),
    /// Two texts for the main file.
    #[error("provided main IDL content conflicts with includes: {0:?}")]
    ConflictingMain(Box<str>),
    /// Files given as text include each other.
    #[error("IDL circular dependency: {}", .0.join(" -> "))]
    Circular(Vec<String>),
    /// One name for two definitions of a file.
    #[error("multiple definition of {0:?}")]
    Duplicate(Box<str>),
    /// A type that is not defined, and where it is used.
    #[error("{user}: undefined type: {name:?} from file {file}")]
    UndefinedType {
        /// What uses it.
        user: Box<str>,
        /// The type, as written.
        name: Box<str>,
        /// The file that uses it.
        file: Box<str>,
    },
    /// The name of something else where a type is needed.
    #[error("{user}: unexpected type category '{category}' of type '{name}' from file {file}")]
    NotAType {
        /// What uses it.
        user: Box<str>,
        /// The name, as written.
        name: Box<str>,
        /// What it is the name of.
        category: &'static str,
        /// The file that uses it.
        file: Box<str>,
    },
    /// Typedefs that lead back to themselves, or to such.
    #[error("typedefs can not be resolved: {0}")]
    TypedefCycle(Box<str>),
    /// A constant that is not defined.
    #[error("{user}: undefined value: {name:?} from file {file}")]
    UndefinedValue {
        /// What uses it.
        user: Box<str>,
        /// The constant, as written.
        name: Box<str>,
        /// The file that uses it.
        file: Box<str>,
    },
    /// A name that is both a constant and an enum's value.
    #[error("{user}: ambiguous const value {name:?} from file {file}")]
    AmbiguousValue {
        /// What uses it.
        user: Box<str>,
        /// The constant, as written.
        name: Box<str>,
        /// The file that uses it.
        file: Box<str>,
    },
    /// A default of another type than its field's.
    #[error("type error: '{field}' was declared as type {ty}")]
    DefaultType {
        /// The field.
        field: Box<str>,
        /// Its type.
        ty: Box<str>,
    },
    /// A default of a struct has a key that is no literal.
    #[error("expect literals as keys in default value of struct type '{0}'")]
    DefaultKey(Box<str>),
    /// A default of a struct has a member that the struct does not have.
    #[error("field {member:?} not found in {owner:?} ({file:?})")]
    UnknownMember {
        /// The member.
        member: Box<str>,
        /// The struct.
        owner: Box<str>,
        /// The struct's file.
        file: Box<str>,
    },
    /// The main file has no service.
    #[error("empty serverce from idls")]
    NoService,
    /// The main file does not have the service asked for.
    #[error("the idl service name {0} is not in the idl. Please check your idl")]
    UnknownService(Box<str>),
    /// The service behind `extends` is not defined.
    #[error("base service {base:?} not found for {service:?}")]
    UnknownBase {
        /// The missing one.
        base: Box<str>,
        /// The one that extends it.
        service: Box<str>,
    },
    /// A service that extends itself, on some way.
    #[error("service {0:?} extends itself")]
    ExtendsCycle(Box<str>),
    /// Two methods with one name.
    #[error("duplicate method name: {0}")]
    DuplicateMethod(Box<str>),
    /// A method without arguments.
    #[error("empty arguments in function: {0}")]
    NoArguments(Box<str>),
    /// An exception has the result's id.
    #[error("an exception of function {0} has id 0, which is the result's")]
    ThrowsId(Box<str>),
    /// `streaming.mode` has another value than `unary`, `client`, `server` or `bidirectional`.
    #[error("invalid value ({0}) for annotation streaming.mode")]
    StreamingMode(Box<str>),
    /// `streaming.mode` has several values.
    #[error("{0} has multiple values for annotation streaming.mode (at most 1 allowed)")]
    StreamingModes(Box<str>),
    /// A streaming method has several arguments.
    #[error("streaming function {0} should have exactly 1 argument")]
    StreamingArguments(Box<str>),
    /// A handler of the user's own that can't do anything where its annotation stands.
    #[error("not supported handle type: {handler} for annotation {key:?} of a field")]
    Handler {
        /// The annotation.
        key: Box<str>,
        /// The kind of the handler.
        handler: &'static str,
    },
    /// A route that can't be served.
    #[error("router handle failed, err={0}")]
    Route(RouteError),
}

impl IdlError {
    /// An error that has no place in a text.
    #[cold]
    pub(crate) fn new(kind: IdlErrorKind) -> Self {
        Self(Box::new(Inner { kind, place: None }))
    }

    /// An error at the byte with this offset of a file.
    #[cold]
    pub(crate) fn at(kind: IdlErrorKind, file: &Arc<Path>, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let line = before.bytes().filter(|&byte| byte == b'\n').count().saturating_add(1);
        let column = before.get(line_start..).unwrap_or_default().chars().count().saturating_add(1);
        Self(Box::new(Inner { kind, place: Some(Place { file: Arc::clone(file), line, column }) }))
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &IdlErrorKind {
        &self.0.kind
    }

    /// In which file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.place.as_ref().map(|place| &*place.file)
    }

    /// In which line, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.0.place.as_ref().map(|place| place.line)
    }

    /// At which character of the line, counted from 1.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.0.place.as_ref().map(|place| place.column)
    }

    /// What may stand there, if it is a matter of syntax.
    #[must_use]
    pub fn expected(&self) -> Option<&'static str> {
        match &self.0.kind {
            IdlErrorKind::Syntax { expected, .. } => Some(expected),
            _ => None,
        }
    }

    /// What stands there, if it is a matter of syntax.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        match &self.0.kind {
            IdlErrorKind::Syntax { found, .. } => Some(found),
            _ => None,
        }
    }
}

impl fmt::Display for IdlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, line, column }) = &self.0.place {
            write!(f, "{}:{line}:{column}: ", file.display())?;
        }
        self.0.kind.fmt(f)
    }
}

impl fmt::Debug for IdlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for IdlError {}
