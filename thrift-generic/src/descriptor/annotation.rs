//! Annotations and what they do to fields and methods (generic-call 1.9, 5.2, 5.8).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::descriptor::{Field, Function, Route};
use crate::error::Error;
use crate::http::{Request, Response};
use crate::value::Value;

/// An annotation: a key, and its values in order (`(k = "1", k = "2")` is one annotation with two).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Annotation {
    /// The key, as written.
    pub key: Box<str>,
    /// The values, in order; never empty.
    pub values: Vec<Box<str>>,
}

impl Annotation {
    /// An annotation.
    #[must_use]
    pub fn new(key: impl Into<Box<str>>, values: Vec<Box<str>>) -> Self {
        Self { key: key.into(), values }
    }
}

/// The annotations of one thing, distinct keys in the order of their first appearance.
pub type Annotations = Vec<Annotation>;

/// Where HTTP finds a field's value in a request, and where it puts it in a response.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// A parameter of the query.
    Query(Box<str>),
    /// A placeholder of the path.
    Path(Box<str>),
    /// A header.
    Header(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
    /// A member of the body.
    Body(Box<str>),
    /// A field of a form.
    Form(Box<str>),
    /// The whole body as bytes.
    RawBody,
    /// The URI of the request as text.
    RawUri,
    /// The status of the response.
    HttpCode,
    /// Nowhere.
    None,
    /// The struct is put together from the mappings of its own fields (`api.no_body_struct`).
    StepInto,
    /// A mapping of the user's own.
    Custom(Arc<dyn HttpMapping>),
}

/// What a mapping of the user's own found in a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Mapped {
    /// Nothing: the field is missing.
    Missing,
    /// This value; text and numbers are still converted to the field's type.
    Value(Value),
    /// The field's struct is filled from the request by the mappings of its own fields.
    StepInto,
}

/// A place in HTTP for a field: what `api.query` and its like are.
pub trait HttpMapping: fmt::Debug + Send + Sync {
    /// The field's value in a request.
    ///
    /// # Errors
    ///
    /// The request has a value that can't be right.
    fn request(&self, request: &Request<'_>, field: &Field) -> Result<Mapped, Error>;

    /// Puts the field's value into a response.
    ///
    /// # Errors
    ///
    /// The value has no place there.
    fn response(&self, response: &mut Response, field: &Field, value: Value) -> Result<(), Error>;
}

/// A change to a field's values: what `api.js_conv` is.
pub trait ValueMapping: fmt::Debug + Send + Sync {
    /// From what the caller gave to what is written.
    ///
    /// # Errors
    ///
    /// The value can't be right.
    fn request(&self, value: Value, field: &Field) -> Result<Value, Error>;

    /// From what was read to what the caller gets.
    ///
    /// # Errors
    ///
    /// The value can't be right.
    fn response(&self, value: Value, field: &Field) -> Result<Value, Error>;
}

/// A change to a field itself, made once when its descriptor is built: what `go.tag` is.
pub trait FieldMapping: fmt::Debug + Send + Sync {
    /// Changes the field.
    fn apply(&self, field: &mut Field);
}

/// A route for a method: what `api.get` is.
pub trait RouteMapping: fmt::Debug + Send + Sync {
    /// The route, if this annotation gives one.
    fn route(&self, value: &str, function: &Function) -> Option<Route>;
}

/// What an annotation of the user's own does, made from its value.
#[derive(Clone)]
#[non_exhaustive]
pub enum Handler {
    /// Replaces the field's place in HTTP.
    Http(fn(&str) -> Arc<dyn HttpMapping>),
    /// Replaces the field's value mapping.
    Value(fn(&str) -> Arc<dyn ValueMapping>),
    /// Changes the field.
    Field(fn(&str) -> Arc<dyn FieldMapping>),
    /// Gives the method a route.
    Route(Arc<dyn RouteMapping>),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "Http",
            Self::Value(_) => "Value",
            Self::Field(_) => "Field",
            Self::Route(_) => "Route",
        })
    }
}

/// The user's own annotations: given to the builder of a descriptor, not global. Built-in keys can't be replaced.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    handlers: Vec<(Cow<'static, str>, Handler)>,
}

impl Registry {
    /// Lets annotations with this key be handled so.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, handler: Handler) -> Self {
        self.handlers.push((key.into(), handler));
        self
    }

    /// The first handler registered for this key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&Handler> {
        self.handlers.iter().find_map(|(known, handler)| (known == key).then_some(handler))
    }
}
