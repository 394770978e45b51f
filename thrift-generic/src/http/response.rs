//! A method's result as an HTTP response (generic-call 5.7).

use ::http::header::{CONTENT_TYPE, HeaderName};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::http::print;
use crate::options::Profile;
use crate::value::Value;

/// A response in the making: what the fields of a result were mapped to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    status: i32,
    headers: HeaderMap,
    body: Vec<(Box<str>, Value)>,
    raw_body: Bytes,
}

impl Response {
    /// A response without anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The status, as the service gave it; 0 if it gave none.
    #[must_use]
    pub fn status(&self) -> i32 {
        self.status
    }

    /// Sets the status.
    pub fn set_status(&mut self, status: i32) {
        self.status = status;
    }

    /// The headers. There is no content type among them unless the service gave one.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// Sets a header. Bytes that no header can have become spaces, as Go's server does it with line breaks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where no header can have this name.
    pub fn set_header(&mut self, name: &str, text: &[u8]) -> Result<(), Error> {
        let unsupported = || Error::new(ErrorKind::Unsupported(format!("{name:?} is no name of a header").into()));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsupported())?;
        let value = HeaderValue::from_bytes(text).or_else(|_| {
            let clean = |&byte: &u8| if byte == b'\t' || byte >= b' ' && byte != 0x7f { byte } else { b' ' };
            HeaderValue::from_bytes(&text.iter().map(clean).collect::<Vec<_>>())
        });
        self.headers.insert(name, value.map_err(|_| unsupported())?);
        Ok(())
    }

    /// The members of the body, in order.
    #[must_use]
    pub fn body(&self) -> &[(Box<str>, Value)] {
        &self.body
    }

    /// The member of the body with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.body.iter().find_map(|(known, value)| (**known == *name).then_some(value))
    }

    /// Gives the body a member, in the place of what has that name already, else behind the others.
    pub fn insert(&mut self, name: &str, value: Value) {
        match self.body.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, place)) => *place = value,
            None => self.body.push((name.into(), value)),
        }
    }

    /// The body as it is to be sent, if it is there as text.
    #[must_use]
    pub fn raw_body(&self) -> &Bytes {
        &self.raw_body
    }

    /// Sets the body as it is to be sent, whatever members it has.
    pub fn set_raw_body(&mut self, body: impl Into<Bytes>) {
        self.raw_body = body.into();
    }

    /// The response as it can be sent: its raw body, or else its members as JSON. What is no status of a final response,
    /// as 0, is 200; the content type is JSON unless the service said otherwise. (Kitex writes the status before the
    /// headers, which are lost then, and panics at 0.)
    ///
    /// # Errors
    ///
    /// A member has no form in JSON: a double that is no number, a key that is no text.
    pub fn into_http(self) -> Result<::http::Response<Bytes>, Error> {
        let body = if self.raw_body.is_empty() { self.json(Profile::Default, false)?.into() } else { self.raw_body };
        let mut response = ::http::Response::new(body);
        *response.headers_mut() = self.headers;
        response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        let status = u16::try_from(self.status).ok().filter(|status| *status >= 200);
        *response.status_mut() = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
        Ok(response)
    }

    /// Takes the members out of the body.
    pub(super) fn clear(&mut self) {
        self.body = Vec::new();
    }

    /// The members of the body as a JSON object.
    pub(super) fn json(&self, profile: Profile, null_for_nan: bool) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        print::Json { profile, null_for_nan, out: &mut out }.members(&self.body)?;
        Ok(out)
    }
}
