//! HTTP requests to Thrift calls, by annotations (generic-call 5).

mod escape;
mod route;

use ::http::HeaderMap;

pub use route::{Params, RouteError, RouteInfo, RouteMatch, RouteMismatch, RouteNotFound, Router, RouterBuilder};

use crate::value::Value;

/// A request, as mappings see it.
#[derive(Debug)]
pub struct Request<'a> {
    parts: &'a ::http::request::Parts,
    body: &'a [u8],
}

/// A response in the making.
#[derive(Debug, Default)]
pub struct Response {
    headers: HeaderMap,
    body: Vec<(Box<str>, Value)>,
}
