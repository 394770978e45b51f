//! What a request is answered with that has no result: a status, and JSON that says why.

use bytes::Bytes;
use grpc_frame::status::Code;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};
use thrift_codec::exception;

use crate::rpc::{Blame, Fault, FaultKind};

/// Why a request has no result. Boxed: it travels through every result of the gateway.
#[derive(Debug)]
pub(crate) struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    /// The class, in snake case, by which programs tell errors apart.
    kind: &'static str,
    /// The backend's number, where it said one; else the status.
    code: i64,
    message: String,
    /// What else is known.
    more: Map<String, Value>,
    header: Option<(HeaderName, HeaderValue)>,
    /// Counted by its kind.
    fault: Option<FaultKind>,
    /// Whose words they are.
    by_backend: bool,
}

impl Error {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            kind,
            code: status.as_u16().into(),
            message: message.into(),
            more: Map::new(),
            header: None,
            fault: None,
            by_backend: false,
        }))
    }

    /// No route, service or method.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The path is known under other HTTP methods.
    pub(crate) fn wrong_method(method: &str, allowed: &str) -> Self {
        let text = format!("{method} is not allowed here, expected {allowed}");
        let mut error = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text);
        error.0.header = HeaderValue::from_str(allowed).ok().map(|allowed| (ALLOW, allowed));
        error
    }

    /// The body is none that the method takes.
    pub(crate) fn content_type(found: &str, expected: &str) -> Self {
        let text = format!("content-type {found:?}, expected {expected}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", text)
    }

    /// The body is compressed in a way that is not known.
    pub(crate) fn content_encoding(found: &str) -> Self {
        let text = format!("content-encoding {found:?}, expected gzip or none");
        let mut error = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding", text);
        error.0.header = Some((ACCEPT_ENCODING, HeaderValue::from_static("gzip")));
        error
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let text = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", text)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The arguments can't be made of what the request has.
    pub(crate) fn arguments(error: &thrift_generic::Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_arguments", error.kind().to_string()).at(error)
    }

    /// The result can't be read by the IDL.
    pub(crate) fn result(error: &thrift_generic::Error) -> Self {
        let text = format!("the backend's result does not fit the IDL: {}", error.kind());
        Self::new(StatusCode::BAD_GATEWAY, "bad_reply", text).at(error).fault(FaultKind::BadReply)
    }

    /// The method streams.
    pub(crate) fn streaming(service: &str, method: &str) -> Self {
        let text = format!("{service}.{method} streams, which HTTP with JSON can't carry");
        Self::new(StatusCode::NOT_IMPLEMENTED, "streaming", text)
    }

    /// A business error of the backend: [`BUSINESS_STATUS`].
    pub(crate) fn business(code: i32, message: &[u8], extra: Option<&[u8]>) -> Self {
        let mut error = Self::new(BUSINESS_STATUS, "business_error", String::from_utf8_lossy(message));
        error.0.code = code.into();
        error.0.by_backend = true;
        if let Some(extra) = extra.and_then(|extra| serde_json::from_slice::<Map<String, Value>>(extra).ok()) {
            error.0.more.insert("extra".into(), extra.into());
        }
        error
    }

    /// An exception that the IDL declares, of a call by name; `value` is JSON text.
    pub(crate) fn declared(name: &str, value: &[u8]) -> Self {
        let mut error = Self::new(BUSINESS_STATUS, "exception", format!("the method threw {name}"));
        error.0.by_backend = true;
        error.0.more.insert("exception".into(), name.into());
        error.0.more.insert("value".into(), serde_json::from_slice(value).unwrap_or_default());
        error
    }

    /// A framework's exception, an application error of the Thrift protocol.
    pub(crate) fn exception(code: i32, message: &[u8]) -> Self {
        let status = match code {
            exception::UNKNOWN_METHOD | exception::UNKNOWN_SERVICE => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_GATEWAY,
        };
        let mut error = Self::new(status, "application_exception", String::from_utf8_lossy(message));
        error.0.code = code.into();
        error.0.by_backend = true;
        error
    }

    /// A status of gRPC other than OK, as an HTTP status that says the same.
    pub(crate) fn grpc(code: Code, message: &[u8]) -> Self {
        let status = match code {
            Code::INVALID_ARGUMENT | Code::FAILED_PRECONDITION | Code::OUT_OF_RANGE => StatusCode::BAD_REQUEST,
            Code::DEADLINE_EXCEEDED => StatusCode::GATEWAY_TIMEOUT,
            Code::NOT_FOUND => StatusCode::NOT_FOUND,
            Code::ALREADY_EXISTS | Code::ABORTED => StatusCode::CONFLICT,
            Code::PERMISSION_DENIED => StatusCode::FORBIDDEN,
            Code::UNAUTHENTICATED => StatusCode::UNAUTHORIZED,
            Code::RESOURCE_EXHAUSTED => StatusCode::TOO_MANY_REQUESTS,
            Code::UNIMPLEMENTED => StatusCode::NOT_IMPLEMENTED,
            Code::UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        let mut error = Self::new(status, "grpc_status", String::from_utf8_lossy(message));
        error.0.code = code.0.into();
        error.0.by_backend = true;
        error
    }

    /// With the place that `error` names.
    fn at(mut self, error: &thrift_generic::Error) -> Self {
        if !error.path().is_empty() {
            self.0.more.insert("path".into(), error.path().to_string().into());
        }
        if let Some(offset) = error.offset() {
            self.0.more.insert("offset".into(), offset.into());
        }
        self
    }

    fn fault(mut self, kind: FaultKind) -> Self {
        self.0.fault = Some(kind);
        self
    }

    /// The fault that it counts as.
    pub(crate) fn fault_kind(&self) -> Option<FaultKind> {
        self.0.fault
    }

    /// Whether a backend has said it: an answer, not a refusal.
    pub(crate) fn is_by_backend(&self) -> bool {
        self.0.by_backend
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The answer, with `request_id` in it.
    pub(crate) fn into_response(self, request_id: &str) -> Response<Bytes> {
        let Inner { status, kind, code, message, more, header, .. } = *self.0;
        let mut error = json!({ "code": code, "kind": kind, "message": message });
        if let Some(members) = error.as_object_mut() {
            members.extend(more);
            members.insert("request_id".into(), request_id.into());
        }
        let mut response = Response::new(Bytes::from(json!({ "error": error }).to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let status = match fault.kind {
            FaultKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            FaultKind::UpstreamClosed | FaultKind::BadReply => StatusCode::BAD_GATEWAY,
            // The gateway knows the method; it is the proxy's routes that lead nowhere.
            FaultKind::UnknownService
            | FaultKind::UnknownMethod
            | FaultKind::Connect
            | FaultKind::OverLimit
            | FaultKind::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            FaultKind::NotConvertible | FaultKind::BadArguments | FaultKind::DownstreamClosed | FaultKind::Panic => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let kind = match fault.kind {
            FaultKind::UnknownService | FaultKind::UnknownMethod => "no_route",
            kind => kind.name(),
        };
        let text = if fault.kind.blame() == Blame::Upstream { fault.text.into_owned() } else { fault.told() };
        Self::new(status, kind, text).fault(fault.kind)
    }
}

/// The status of a business error, and of a declared exception of a call by name: the request was understood and not
/// carried out, by nobody's mistake. Never 200: whoever looks at the status alone must not take it for success.
pub(super) const BUSINESS_STATUS: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
/// What JSON says that it is.
pub(crate) const JSON: &str = "application/json";
