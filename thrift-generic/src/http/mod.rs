//! HTTP requests to Thrift calls, by annotations (generic-call 5).

mod bind;
mod codec;
mod cursor;
mod escape;
mod plan;
mod print;
mod request;
mod response;
mod route;
mod set;
mod text;

pub use codec::HttpCodec;
pub(crate) use plan::Plan as HttpPlan;
pub use request::Request;
pub use response::Response;
pub use route::{Params, RouteError, RouteInfo, RouteMatch, RouteMismatch, RouteNotFound, Router, RouterBuilder};
