use std::fmt;

use crate::path::{FieldPath, Step};

/// Why a value can't be converted: what is wrong, at which field, at which byte of the input.
///
/// One pointer in size, so that results stay small on the way that succeeds.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    path: FieldPath,
    offset: Option<usize>,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// JSON text that is none.
    #[error("JSON: expected {expected}, got {found}")]
    Syntax {
        /// What may stand here.
        expected: &'static str,
        /// What stands here.
        found: Box<str>,
    },
    /// A value of another type than the field's.
    #[error("expected {expected}, got {found}")]
    Type {
        /// The declared type, as in the IDL.
        expected: &'static str,
        /// What came instead.
        found: &'static str,
    },
    /// A value of another type than the field's, in the dynamic profile: with dynamicgo's name for what it wanted.
    #[error("expected {expected}, got {found} (expect type {kitex})")]
    Dismatched {
        /// The declared type, as in the IDL.
        expected: &'static str,
        /// The same as dynamicgo says it.
        kitex: Box<str>,
        /// What came instead.
        found: &'static str,
    },
    /// A value of a kind that is not written as this type; both in Kitex's words (generic-call 4.3).
    #[error("{}", mismatch(.need, .got))]
    Mismatch {
        /// The declared type, such as `I64`.
        need: &'static str,
        /// What came instead, such as `STRING`.
        got: &'static str,
    },
    /// An integer that a narrower type can't hold.
    #[error("value is beyond range of {ty}: {value}")]
    Range {
        /// The declared type, as in the IDL.
        ty: &'static str,
        /// The value.
        value: i64,
    },
    /// A value that its type can't hold, or a text that is no such value.
    #[error("{found:?} is no {expected}: {reason}")]
    Value {
        /// The declared type, as in the IDL.
        expected: &'static str,
        /// The value, shortened.
        found: Box<str>,
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// A required field that is not there.
    #[error("required field ({id}/{name}) missing")]
    Required {
        /// The field's id.
        id: i16,
        /// The field's effective name.
        name: Box<str>,
    },
    /// A member that the struct does not have, where that is not allowed.
    #[error("unknown field {0:?}")]
    UnknownField(Box<str>),
    /// Bytes that are no Thrift value.
    #[error("Thrift: {0}")]
    Thrift(thrift_codec::DecodeError),
    /// Bytes behind the end of a value that should be the last.
    #[error("Thrift: {0} bytes behind the end of the value")]
    Trailing(usize),
    /// A value too long for the Thrift Binary protocol.
    #[error("Thrift: {0}")]
    TooLong(thrift_codec::EncodeError),
    /// Bytes that are no Protobuf message; the text says why.
    #[error("Protobuf: {0}")]
    Protobuf(&'static str),
    /// Deeper nesting than allowed.
    #[error("exceed depth limit: more than {limit} levels")]
    Depth {
        /// The most that is allowed.
        limit: usize,
    },
    /// A method that the service does not have.
    #[error("missing method: {method} in service: {service}")]
    UnknownMethod {
        /// The service.
        service: Box<str>,
        /// The method.
        method: Box<str>,
    },
    /// A combination that the mapping does not have; the text says which.
    #[error("{0}")]
    Unsupported(Box<str>),
}

impl Error {
    /// An error at the place where it is found; the path grows on the way out.
    #[must_use]
    #[cold]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, path: FieldPath::default(), offset: None }))
    }

    /// A type error.
    #[must_use]
    #[cold]
    pub fn expected(expected: &'static str, found: &'static str) -> Self {
        Self::new(ErrorKind::Type { expected, found })
    }

    /// A combination that the mapping does not have.
    #[must_use]
    #[cold]
    pub fn unsupported(text: impl Into<Box<str>>) -> Self {
        Self::new(ErrorKind::Unsupported(text.into()))
    }

    /// The same error, at this byte of the input; an offset that is there already stays.
    #[must_use]
    #[cold]
    pub fn at(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// The same error, where the input is part of a longer one: it begins at this byte of that.
    #[must_use]
    #[cold]
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        self.0.offset = self.0.offset.map(|offset| offset.saturating_add(by));
        self
    }

    /// The same error, seen from one step further out.
    #[must_use]
    #[cold]
    pub fn inside(mut self, step: Step) -> Self {
        self.0.path.push_outer(step);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// At which field.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.0.path
    }

    /// At which byte of the input, counted from 0, where it can be said.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            write!(f, "{}: ", self.0.path)?;
        }
        self.0.kind.fmt(f)?;
        // Where it is in a container is in the path too; people and Kitex's tests look for these words.
        match self.0.path.innermost() {
            Some(Step::Index(index)) => write!(f, " (at index {index})")?,
            Some(Step::Key(_)) => f.write_str(" (a map key)")?,
            Some(Step::Entry(_)) => f.write_str(" (a map value)")?,
            Some(Step::Field(_)) | None => {}
        }
        match self.0.offset {
            Some(offset) => write!(f, " (at byte {offset})"),
            None => Ok(()),
        }
    }
}

/// Kitex has two texts, one for numbers, and one for all else.
fn mismatch(need: &str, got: &str) -> String {
    match got {
        "BYTE" | "I16" | "I32" | "I64" | "DOUBLE" | "NUMBER" => {
            format!("unsupported type: {got}, expected type: {need}")
        }
        _ => format!("need {need} type, but got: {got}"),
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

impl From<thrift_codec::DecodeError> for Error {
    #[cold]
    fn from(error: thrift_codec::DecodeError) -> Self {
        Self::new(ErrorKind::Thrift(error))
    }
}

impl From<thrift_codec::EncodeError> for Error {
    #[cold]
    fn from(error: thrift_codec::EncodeError) -> Self {
        Self::new(ErrorKind::TooLong(error))
    }
}
