use std::borrow::Cow;
use std::sync::OnceLock;

use ::http::header::{CONTENT_TYPE, COOKIE, HOST};
use ::http::request::Parts;

use crate::error::Error;
use crate::http::Params;
use crate::http::cursor::{Cursor, Kind};
use crate::http::escape::unescape;
use crate::limits::DEFAULT_MAX_DEPTH;
use crate::value::Value;

/// A request, as mappings see it: its head, its body, and what the router took out of its path (generic-call 5.1).
///
/// Query, cookies and form are taken apart when they are first asked for. A body is a form if its content type is
/// `application/x-www-form-urlencoded`, and JSON otherwise, whatever its content type says; `multipart/form-data` is not
/// read.
#[derive(Debug)]
pub struct Request<'a> {
    parts: &'a Parts,
    body: &'a [u8],
    params: Params,
    /// The body's fields by id, if it is a Protobuf message (generic-call 5.9).
    members: Option<Vec<(i16, Value)>>,
    query: OnceLock<Pairs<'a>>,
    cookies: OnceLock<Pairs<'a>>,
    form: OnceLock<Pairs<'a>>,
}

/// Keys and values, sorted by key; with one key the earlier pair is first.
#[derive(Debug)]
struct Pairs<'a>(Vec<Pair<'a>>);

type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Request<'a> {
    /// A request. Transfer and content encodings of the body are already undone.
    #[must_use]
    pub fn new(parts: &'a Parts, body: &'a [u8], params: Params) -> Self {
        Self {
            parts,
            body,
            params,
            members: None,
            query: OnceLock::new(),
            cookies: OnceLock::new(),
            form: OnceLock::new(),
        }
    }

    /// The same request, with a body whose fields are found by id.
    #[cfg(feature = "protobuf")]
    pub(crate) fn with_members(self, members: Vec<(i16, Value)>) -> Self {
        Self { members: Some(members), ..self }
    }

    pub(super) fn members(&self) -> Option<&[(i16, Value)]> {
        self.members.as_deref()
    }

    /// The HTTP method.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.parts.method.as_str()
    }

    /// The path, with its percent-escapes resolved; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn path(&self) -> Cow<'a, str> {
        let path = self.parts.uri.path();
        unescape(path.as_bytes(), false).map_or(Cow::Borrowed(path), text)
    }

    /// The host, with its port if there is one: that of the URI, else that of the header. Empty if there is none.
    #[must_use]
    pub fn host(&self) -> Cow<'a, str> {
        match self.parts.uri.authority() {
            Some(authority) => Cow::Borrowed(authority.as_str()),
            None => self.header_bytes(HOST.as_str()).map(String::from_utf8_lossy).unwrap_or_default(),
        }
    }

    /// The URI as it came.
    #[must_use]
    pub fn uri(&self) -> String {
        self.parts.uri.to_string()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// What stands in the path for this placeholder of the route.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params.get(name)
    }

    /// The first value of this key of the query, with escapes resolved and `+` as a space. Pairs with a broken escape
    /// or a semicolon do not count, as in Go.
    #[must_use]
    pub fn query(&self, key: &str) -> Option<Cow<'_, str>> {
        self.query_bytes(key).map(String::from_utf8_lossy)
    }

    /// The first value of this header; case does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        self.header_bytes(name).map(String::from_utf8_lossy)
    }

    /// The value of this cookie, without quotes around it; of several the last one.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<Cow<'_, str>> {
        self.cookie_bytes(name).map(String::from_utf8_lossy)
    }

    /// The first value of this key of the body, if the body is a form.
    #[must_use]
    pub fn form(&self, key: &str) -> Option<Cow<'_, str>> {
        self.form_bytes(key).map(String::from_utf8_lossy)
    }

    /// The member of the body with this key, numbers as they are written; of several the last. `None` where the body
    /// is empty or a form.
    ///
    /// # Errors
    ///
    /// The body is no JSON object.
    pub fn member(&self, key: &str) -> Result<Option<Value>, Error> {
        if self.body.is_empty() || self.is_form() {
            return Ok(None);
        }
        let mut cursor = Cursor::new(self.body, DEFAULT_MAX_DEPTH);
        let (mut found, mut is_first) = (None, true);
        cursor.open(Kind::Object)?;
        while let Some(name) = cursor.member(&mut is_first)? {
            if *name == *key.as_bytes() {
                found = Some(cursor.value()?);
            } else {
                cursor.skip()?;
            }
        }
        Ok(found)
    }

    /// Whether the body is a form.
    #[must_use]
    pub fn is_form(&self) -> bool {
        let essence = |value: &'a [u8]| value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        self.header_bytes(CONTENT_TYPE.as_str())
            .is_some_and(|value| essence(value).eq_ignore_ascii_case(b"application/x-www-form-urlencoded"))
    }

    pub(super) fn param_bytes(&self, name: &str) -> Option<&[u8]> {
        self.params.bytes(name)
    }

    pub(super) fn query_bytes(&self, key: &str) -> Option<&[u8]> {
        let parse = || Pairs::form(self.parts.uri.query().unwrap_or_default().as_bytes());
        self.query.get_or_init(parse).first(key)
    }

    pub(super) fn header_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.parts.headers.get(name).map(|value| value.as_bytes())
    }

    pub(super) fn cookie_bytes(&self, name: &str) -> Option<&[u8]> {
        let lines = || self.parts.headers.get_all(COOKIE).iter().map(|value| value.as_bytes());
        self.cookies.get_or_init(|| Pairs::cookies(lines())).last(name)
    }

    pub(super) fn form_bytes(&self, key: &str) -> Option<&[u8]> {
        let body = || if self.is_form() { self.body } else { &[] };
        self.form.get_or_init(|| Pairs::form(body())).first(key)
    }
}

impl<'a> Pairs<'a> {
    /// `a=1&b=2`, the way Go's `net/url` reads it.
    fn form(text: &'a [u8]) -> Self {
        let pair = |pair: &'a [u8]| {
            if pair.is_empty() || pair.contains(&b';') {
                return None;
            }
            let (key, value) = split_at(pair, b'=');
            Some((unescape(key, true)?, unescape(value, true)?))
        };
        Self::sorted(text.split(|&byte| byte == b'&').filter_map(pair))
    }

    /// `a=1; b=2`, the way Go's `net/http` reads it.
    fn cookies(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let pair = |pair: &'a [u8]| {
            let (name, value) = split_at(pair.trim_ascii(), b'=');
            let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
            let valid = value.iter().all(|&byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b';' | b'\\'));
            (valid && !name.is_empty()).then_some((Cow::Borrowed(name.trim_ascii()), Cow::Borrowed(value)))
        };
        Self::sorted(lines.flat_map(|line| line.split(|&byte| byte == b';')).filter_map(pair))
    }

    fn sorted(pairs: impl Iterator<Item = Pair<'a>>) -> Self {
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(pairs)
    }

    fn first(&self, key: &str) -> Option<&[u8]> {
        self.get(key, self.0.partition_point(|(known, _)| **known < *key.as_bytes()))
    }

    fn last(&self, key: &str) -> Option<&[u8]> {
        self.get(key, self.0.partition_point(|(known, _)| **known <= *key.as_bytes()).checked_sub(1)?)
    }

    fn get(&self, key: &str, at: usize) -> Option<&[u8]> {
        self.0.get(at).filter(|(known, _)| **known == *key.as_bytes()).map(|(_, value)| value.as_ref())
    }
}

/// What comes before and after the first of this byte; nothing after if it is not there.
fn split_at(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let mut parts = text.splitn(2, |&byte| byte == at);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ),
    }
}
