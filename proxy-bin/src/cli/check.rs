//! `check`: what a configuration would do, in words.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::Config;
use crate::cli::USAGE;
use crate::config::{Cluster, Listener, Pattern, Route};
use crate::rpc::{Protocol, Transport};

pub(crate) fn check(path: &Path) -> ExitCode {
    match Config::load(path) {
        Ok(config) => {
            print!("{}", explain(&config));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            USAGE.into()
        }
    }
}

/// The whole configuration with every default filled in, routes in the order in which they are tried.
pub(crate) fn explain(config: &Config) -> String {
    let mut text = format!("workers {}, drain {:?}\n", config.workers, config.drain);
    for listener in &config.listeners {
        text.push_str(&listener_text(listener));
    }
    text.push_str("\nroutes, the first that matches wins:\n");
    for (index, route) in config.routes.iter().enumerate() {
        let cluster = config.clusters.get(route.cluster).map_or("?", |cluster| cluster.name.as_str());
        let timeout = route.timeout.map_or(String::new(), |timeout| format!(", timeout {timeout:?}"));
        let number = index.saturating_add(1);
        let unary = match &route.unary[..] {
            [] => String::new(),
            methods => format!(", unary {}", methods.join(", ")),
        };
        let _infallible = writeln!(text, "  {number}. {} -> cluster {cluster}{timeout}{unary}", conditions(route));
    }
    text.push_str(
        "  no match: exception 20 \"unknown service\", or 1 \"unknown method\" where only the method is wrong\n",
    );
    for cluster in &config.clusters {
        text.push_str(&cluster_text(cluster, config));
    }
    text
}

fn listener_text(listener: &Listener) -> String {
    let protocols = listener.protocols.iter().map(|protocol| protocol.name()).collect::<Vec<_>>().join(", ");
    let mut text = format!("\nlistener {} on {}\n  speaks {protocols}", listener.name, listener.bind);
    if listener.protocols.iter().any(|protocol| matches!(protocol, Protocol::TtStream | Protocol::Grpc)) {
        text.push_str(" (ttstream and grpc are recognised and refused: streams are not carried yet)");
    }
    let service = listener.service.as_deref().unwrap_or("none");
    let errors = if listener.strip_business_errors { "an empty success" } else { "exception 6" };
    let _infallible = write!(
        text,
        "\n  default service {service}; max_message {} B, cut_through {} B, max_in_flight {}, max_connections {}\n  \
         sniff_timeout {:?}, read_timeout {:?}, write_timeout {:?}, half_close_timeout {:?}\n  \
         a business error that can't travel becomes {errors}\n",
        listener.max_message,
        listener.cut_through,
        listener.max_in_flight,
        listener.max_connections,
        listener.sniff_timeout,
        listener.read_timeout,
        listener.write_timeout,
        listener.half_close_timeout,
    );
    text
}

fn conditions(route: &Route) -> String {
    let mut conditions = Vec::new();
    let mut add = |what: &str, pattern: &Pattern| {
        if *pattern != Pattern::Any {
            conditions.push(format!("{what} {pattern}"));
        }
    };
    add("service", &route.service);
    add("method", &route.method);
    add("caller", &route.caller);
    for (key, pattern) in &route.metadata {
        add(&format!("metadata {key} ="), pattern);
    }
    conditions.extend(route.listener.iter().map(|listener| format!("listener {listener}")));
    let conditions = if conditions.is_empty() { "every call".to_owned() } else { conditions.join(", ") };
    format!("{} ({conditions})", route.name)
}

fn cluster_text(cluster: &Cluster, config: &Config) -> String {
    let transport =
        cluster.pingpong.map_or_else(|| "as the caller speaks".to_owned(), |transport| transport.to_string());
    let shared = cluster.mux || cluster.pingpong == Some(Transport::Grpc);
    let connections = if shared { "shared by many calls" } else { "one call at a time" };
    let mut text = format!("\ncluster {}\n  ping-pong {transport}, connections {connections}\n", cluster.name);
    for endpoint in &cluster.endpoints {
        let _infallible = writeln!(text, "  endpoint {} weight {}", endpoint.address, endpoint.weight);
    }
    let _infallible = writeln!(
        text,
        "  connect_timeout {:?}, idle_timeout {:?}, read_timeout {:?}, write_timeout {:?}",
        cluster.connect_timeout, cluster.idle_timeout, cluster.read_timeout, cluster.write_timeout
    );
    let used = |route: &Route| config.clusters.get(route.cluster).is_some_and(|target| target.name == cluster.name);
    if !config.routes.iter().any(used) {
        text.push_str("  note: no route leads here\n");
    }
    text
}
