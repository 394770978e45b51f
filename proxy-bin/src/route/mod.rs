//! Which cluster a call goes to.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Route};
use crate::rpc::{Call, Fault, FaultKind};

/// The routes in order; immutable, shared by all workers.
#[derive(Debug)]
pub(crate) struct RouteTable {
    routes: Vec<Route>,
}

/// What a route says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Index of the route.
    pub(crate) route: usize,
    /// Index of the cluster.
    pub(crate) cluster: usize,
    /// How long the call may take.
    pub(crate) timeout: Option<Duration>,
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
    pub(crate) fn find(&self, call: &Call) -> Result<Target, Fault> {
        let mut service_known = false;
        for (index, route) in self.routes.iter().enumerate() {
            if !matches_caller(route, call) {
                continue;
            }
            if route.method.matches(call.method()) {
                return Ok(Target { route: index, cluster: route.cluster, timeout: route.timeout });
            }
            service_known = true;
        }
        let (service, method) = (String::from_utf8_lossy(call.service()), String::from_utf8_lossy(call.method()));
        // Where no service name travelled, Kitex calls an unknown method an unknown service too (pingpong-wire 5.4).
        Err(if service_known && !service.is_empty() {
            Fault::unsent(FaultKind::UnknownMethod, format!("unknown method {method} (service {service})"))
        } else {
            Fault::unsent(FaultKind::UnknownService, format!("unknown service {service}, method {method}"))
        })
    }
}

/// Everything that a route asks for but the method.
///
/// A call that names no service is looked for by method alone, as a Kitex server looks (pingpong-wire 5.4): Buffered
/// and Framed can't name one.
fn matches_caller(route: &Route, call: &Call) -> bool {
    let service = call.service();
    route.listener.as_ref().is_none_or(|listener| *listener == call.downstream.listener)
        && (service.is_empty() || route.service.matches(service))
        && route.caller.matches(call.message.caller().unwrap_or_default())
        && matches_metadata(route, call)
}

fn matches_metadata(route: &Route, call: &Call) -> bool {
    if route.metadata.is_empty() {
        return true;
    }
    let header = call.message.header();
    route.metadata.iter().all(|(key, wanted)| {
        let value = match &header {
            Some(header) => header.string(key.as_bytes()),
            None => call.message.mesh_pairs().filter_map(|(k, v)| (k == key.as_bytes()).then_some(v)).last(),
        };
        value.is_some_and(|value| wanted.matches(value))
    })
}
