//! Which cluster a call goes to.

use std::sync::Arc;

use crate::config::{Config, Route};
use crate::rpc::{Fault, FaultKind, Head};

/// The routes in order; immutable, shared by all workers.
#[derive(Debug)]
pub(crate) struct RouteTable {
    routes: Vec<Route>,
}

/// The route of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// Its place in the file.
    pub(crate) index: usize,
    /// What it says.
    pub(crate) route: &'a Route,
}

impl RouteTable {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self { routes: config.routes.clone() })
    }

    /// The first route that matches.
    ///
    /// # Errors
    ///
    /// `UnknownMethod` where a route takes the service and only the method is wrong, else `UnknownService`.
    pub(crate) fn find(&self, head: &impl Head) -> Result<Found<'_>, Fault> {
        let mut service_known = false;
        for (index, route) in self.routes.iter().enumerate() {
            if !matches_caller(route, head) {
                continue;
            }
            if route.method.matches(head.method()) {
                return Ok(Found { index, route });
            }
            service_known = true;
        }
        // Where no service name travelled, Kitex calls an unknown method an unknown service too (pingpong-wire 5.4).
        if service_known && !head.service().is_empty() {
            return Err(unknown_method(head));
        }
        let (service, method) = (String::from_utf8_lossy(head.service()), String::from_utf8_lossy(head.method()));
        Err(Fault::unsent(FaultKind::UnknownService, format!("unknown service {service}, method {method}")))
    }
}

/// The fault of a call whose service is known and whose method is not.
pub(crate) fn unknown_method(head: &impl Head) -> Fault {
    let (service, method) = (String::from_utf8_lossy(head.service()), String::from_utf8_lossy(head.method()));
    Fault::unsent(FaultKind::UnknownMethod, format!("unknown method {method} (service {service})"))
}

/// Everything that a route asks for but the method.
///
/// A call that names no service is looked for by method alone, as a Kitex server looks (pingpong-wire 5.4): Buffered
/// and Framed can't name one. A gRPC service is known with and without its package.
fn matches_caller(route: &Route, head: &impl Head) -> bool {
    let service = head.service();
    route.listener.as_ref().is_none_or(|listener| *listener == head.downstream().listener)
        && (service.is_empty() || route.service.matches(service) || route.service.matches(head.full_service()))
        && route.caller.matches(head.caller().unwrap_or_default())
        && route
            .metadata
            .iter()
            .all(|(key, wanted)| head.metadata(key.as_bytes()).is_some_and(|value| wanted.matches(value)))
}
