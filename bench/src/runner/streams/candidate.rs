//! Who is compared on streams, and how each is started.

use std::fmt;
use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::super::candidate::{Tools, fill_template};
use super::super::machine::module_version;
use super::super::process::Command;
use super::super::run_dir;
use crate::streams::Kind;

/// A way from the load generator to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StreamCandidate {
    /// No proxy at all.
    Direct,
    /// tokio's `copy_bidirectional` with 64 KiB buffers.
    Relay,
    /// A minimal relay on the `h2` crate.
    H2relay,
    /// Our proxy.
    Ours,
    /// Envoy, HTTP/2 on both sides.
    Envoy,
    /// HAProxy, HTTP/2 on both sides.
    Haproxy,
    /// nginx, `grpc_pass`.
    Nginx,
    /// mwitkow's grpc-proxy, transparent handler.
    GrpcProxy,
    /// A proxy written on Kitex: binary generic client behind an unknown-service handler.
    KitexProxy,
}

impl StreamCandidate {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 9] = [
        Self::Direct,
        Self::Relay,
        Self::H2relay,
        Self::Ours,
        Self::Envoy,
        Self::Haproxy,
        Self::Nginx,
        Self::GrpcProxy,
        Self::KitexProxy,
    ];

    /// Those written in Go.
    pub(super) const GO: [Self; 2] = [Self::GrpcProxy, Self::KitexProxy];

    /// Whether it is a process of its own.
    #[must_use]
    pub fn is_proxy(self) -> bool {
        self != Self::Direct
    }

    /// Whether it can carry streams of this kind.
    #[must_use]
    pub fn speaks(self, kind: Kind) -> bool {
        kind.is_grpc() || matches!(self, Self::Direct | Self::Relay | Self::Ours | Self::KitexProxy)
    }

    /// The command that listens on `listen` and forwards to `upstream`; configurations are written on the way.
    pub(super) fn command(self, tools: &Tools, listen: u16, upstream: u16, kind: Kind) -> io::Result<Command> {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let dir = std::path::absolute(run_dir(tools))?;
        let relay = |subcommand: &str| {
            Command::new(&tools.bench).args([subcommand, "--listen", &local(listen), "--upstream", &local(upstream)])
        };
        let protocol = if kind.is_grpc() { "grpc" } else { "ttstream" };
        let fill = |file: &str| {
            let (listen, upstream, dir) = (listen.to_string(), upstream.to_string(), dir.display().to_string());
            let values =
                [("@LISTEN@", listen.as_str()), ("@UPSTREAM@", &upstream), ("@DIR@", &dir), ("@PROTOCOL@", protocol)];
            fill_template(tools, file, &values)
        };
        let go = |program: &str| {
            Command::new(go_program(tools, program))
                .args(["-listen", &local(listen), "-backend", &local(upstream)])
                .env("GOMAXPROCS", "1")
        };
        Ok(match self {
            Self::Direct => return Err(io::Error::other("direct is no process")),
            Self::Relay => relay("relay").args(["--buffer-kib", "64"]),
            Self::H2relay => relay("h2relay"),
            Self::Ours => Command::new(&tools.proxy).arg("run").arg("--config").arg(fill("ours-streams.toml")?),
            Self::Envoy => {
                let flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"];
                Command::new(&tools.envoy).args(flags).arg("--config-path").arg(fill("envoy-grpc.yaml")?)
            }
            Self::Haproxy => Command::new("haproxy").arg("-db").arg("-f").arg(fill("haproxy-grpc.cfg")?),
            Self::Nginx => Command::new("nginx").arg("-p").arg(&dir).arg("-c").arg(fill("nginx-grpc.conf")?),
            Self::GrpcProxy => go(GRPC_PROXY),
            Self::KitexProxy => go(KITEX_PROXY).args(["-protocol", protocol]),
        })
    }
}

const GRPC_PROXY: &str = "grpcproxy";
const KITEX_PROXY: &str = "kitexstreams";

/// What the Go proxies were built with.
pub(super) fn go_versions(tools: &Tools) -> Vec<(String, String)> {
    let modules = [
        ("grpc-proxy", GRPC_PROXY, "github.com/mwitkow/grpc-proxy"),
        ("grpc-go", GRPC_PROXY, "google.golang.org/grpc"),
        ("kitex", KITEX_PROXY, "github.com/cloudwego/kitex"),
    ];
    let version = |(name, program, module): (&str, &str, &str)| {
        Some((name.to_owned(), module_version(&go_program(tools, program), module)?))
    };
    modules.into_iter().filter_map(version).collect()
}

fn go_program(tools: &Tools, name: &str) -> PathBuf {
    tools.dir.join(".work/bin").join(name)
}

impl fmt::Display for StreamCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::H2relay => "h2relay",
            Self::Ours => "ours",
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::GrpcProxy => "grpc-proxy",
            Self::KitexProxy => "kitex-proxy",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_on_the_command_line_in_json_and_in_text() {
        for candidate in StreamCandidate::ALL {
            let text = candidate.to_string();
            assert_eq!(candidate.to_possible_value().unwrap().get_name(), text);
            assert_eq!(serde_json::to_string(&candidate).unwrap(), format!("{text:?}"));
        }
    }
}
