//! `check`: what a configuration would do, in words.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use thrift_generic::Profile;

use crate::Config;
use crate::cli::USAGE;
use crate::config::{Cluster, Gateway, IdlKind, Listener, Pattern, Route};
use crate::gateway::Model;
use crate::rpc::{Protocol, StreamPool, StreamTransport, Transport};

pub(crate) fn check(path: &Path) -> ExitCode {
    let told = Config::load(path).map_err(|error| error.to_string()).and_then(|config| {
        let gateways = config.listeners.iter().map(gateway_text).collect::<Result<String, _>>()?;
        Ok(format!("{}{gateways}", explain(&config)))
    });
    match told {
        Ok(told) => {
            print!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            USAGE.into()
        }
    }
}

/// What a listener of HTTP serves, every method with its routes.
fn gateway_text(listener: &Listener) -> Result<String, String> {
    let Some(gateway) = &listener.gateway else { return Ok(String::new()) };
    let model = Model::load(gateway).map_err(|error| format!("listener {}: {error}", listener.name))?;
    let mut text = format!("\nlistener {} serves\n", listener.name);
    for line in model.lines() {
        let _infallible = writeln!(text, "  {line}");
    }
    text.push_str("  and the list of it all at / and /openapi.json, unless a route takes them\n");
    Ok(text)
}

/// The whole configuration with every default filled in, routes in the order in which they are tried.
pub(crate) fn explain(config: &Config) -> String {
    let mut text = format!(
        "name {}, workers {}, drain {:?}, stream_memory {} B\n",
        config.name, config.workers, config.drain, config.stream_memory
    );
    for listener in &config.listeners {
        text.push_str(&listener_text(listener));
    }
    text.push_str("\nroutes, the first that matches wins:\n");
    for (index, route) in config.routes.iter().enumerate() {
        let cluster = config.clusters.get(route.cluster).map_or("?", |cluster| cluster.name.as_str());
        let number = index.saturating_add(1);
        let unary = if route.unary.is_empty() { "none".to_owned() } else { route.unary.join(", ") };
        let _infallible = writeln!(
            text,
            "  {number}. {} -> cluster {cluster}\n     timeout {}, first_message_timeout {}, stream_idle_timeout {}, unary {unary}",
            conditions(route),
            or_none(route.timeout),
            or_none(route.first_message_timeout),
            or_none(route.stream_idle_timeout),
        );
    }
    text.push_str(
        "  no match: exception 20 \"unknown service\", or 1 \"unknown method\" where only the method is wrong;\n            \
         over gRPC status 12, or the same two where the listener has kitex_status\n",
    );
    for cluster in &config.clusters {
        text.push_str(&cluster_text(cluster, config));
    }
    text
}

fn listener_text(listener: &Listener) -> String {
    let protocols = listener.protocols.iter().map(|protocol| protocol.name()).collect::<Vec<_>>().join(", ");
    let service = listener.service.as_deref().unwrap_or("none");
    let errors = if listener.strip_business_errors { "an empty success" } else { "exception 6" };
    if let Some(gateway) = &listener.gateway {
        return http_text(listener, gateway);
    }
    format!(
        "\nlistener {} on {}\n  speaks {protocols}\n  default service {service}; max_message {} B, cut_through {} B, max_in_flight {}, max_connections {}\n  \
         sniff_timeout {:?}, read_timeout {:?}, write_timeout {:?}, half_close_timeout {:?}\n  \
         a business error that can't travel becomes {errors}\n  \
         grpc: max_streams {}, keepalive {:?}, kitex_status {}\n  \
         ttstream: stream_budget {} B, idle_timeout {:?}, rst {}\n",
        listener.name,
        listener.bind,
        listener.max_message,
        listener.cut_through,
        listener.max_in_flight,
        listener.max_connections,
        listener.sniff_timeout,
        listener.read_timeout,
        listener.write_timeout,
        listener.half_close_timeout,
        listener.max_streams,
        listener.keepalive,
        listener.kitex_status,
        listener.stream_budget,
        listener.idle_timeout,
        listener.rst,
    )
}

fn http_text(listener: &Listener, gateway: &Gateway) -> String {
    let include: Vec<_> = gateway.include.iter().map(|include| include.display().to_string()).collect();
    let include = if include.is_empty() { "none".to_owned() } else { include.join(", ") };
    let of_thrift = match gateway.profile {
        Profile::Default => format!("; profile default, base64 {}", gateway.base64),
        Profile::Dynamic => format!("; profile dynamic, base64 {}", gateway.base64),
    };
    let (what, of_thrift) = match gateway.kind {
        IdlKind::Thrift => ("IDL", of_thrift),
        IdlKind::Proto => ("Protobuf IDL", String::new()),
        IdlKind::DescriptorSet => ("descriptor set", String::new()),
    };
    format!(
        "\nlistener {} on {}\n  speaks http/1.1 and http/2, by the {what} in {}\n  include {include}{of_thrift}, i64_as_string {}\n  \
         max_message {} B, max_connections {}, max_streams {}\n  \
         sniff_timeout {:?}, read_timeout {:?}, write_timeout {:?}, idle_timeout {:?}, keepalive {:?}\n",
        listener.name,
        listener.bind,
        gateway.idl.display(),
        gateway.i64_as_string,
        listener.max_message,
        listener.max_connections,
        listener.max_streams,
        listener.sniff_timeout,
        listener.read_timeout,
        listener.write_timeout,
        listener.idle_timeout,
        listener.keepalive,
    )
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
    let as_caller = || "as the caller speaks".to_owned();
    let transport = cluster.pingpong.map_or_else(as_caller, |transport| transport.to_string());
    let shared = cluster.mux || cluster.pingpong == Some(Transport::Grpc);
    let connections = if shared { "shared by many calls" } else { "one call at a time" };
    let streaming = cluster.streaming.map_or_else(as_caller, |streaming| streaming_protocol(streaming).to_string());
    let mut text = format!(
        "\ncluster {}\n  ping-pong {transport}, connections {connections}\n  streaming {streaming}\n",
        cluster.name
    );
    for endpoint in &cluster.endpoints {
        let _infallible = writeln!(text, "  endpoint {} weight {}", endpoint.address, endpoint.weight);
    }
    let _infallible = writeln!(
        text,
        "  connect_timeout {:?}, idle_timeout {:?}, read_timeout {:?}, write_timeout {:?}",
        cluster.connect_timeout, cluster.idle_timeout, cluster.read_timeout, cluster.write_timeout
    );
    let _infallible = writeln!(
        text,
        "  grpc: package {}, keepalive {:?}, max_connection_age {}\n  ttstream: stream_pool {}, stream_budget {} B, rst {}",
        cluster.package.as_deref().unwrap_or("none"),
        cluster.keepalive,
        or_none(cluster.max_connection_age),
        pool_text(cluster.stream_pool),
        cluster.stream_budget,
        cluster.rst,
    );
    let used = |route: &Route| config.clusters.get(route.cluster).is_some_and(|target| target.name == cluster.name);
    if !config.routes.iter().any(used) {
        text.push_str("  note: no route leads here\n");
    }
    text
}

fn streaming_protocol(streaming: StreamTransport) -> Protocol {
    match streaming {
        StreamTransport::TtStream => Protocol::TtStream,
        StreamTransport::Grpc => Protocol::Grpc,
    }
}

fn pool_text(pool: StreamPool) -> &'static str {
    match pool {
        StreamPool::Long => "long (one stream at a time, then kept for the next)",
        StreamPool::Short => "short (a connection for each stream)",
        StreamPool::Mux => "mux (many streams on one connection)",
    }
}

fn or_none(time: Option<Duration>) -> String {
    time.map_or_else(|| "none".to_owned(), |time| format!("{time:?}"))
}
