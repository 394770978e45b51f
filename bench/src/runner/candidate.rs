//! Who is compared, and how each is started.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::process::Command;
use super::run_dir;
use crate::wire::Transport;

/// A way from the load generator to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Candidate {
    /// No proxy at all.
    Direct,
    /// tokio's `copy_bidirectional` with 64 KiB buffers: the yardstick.
    #[value(name = "relay-64k")]
    #[serde(rename = "relay-64k")]
    Relay64,
    /// The same with 256 KiB buffers.
    #[value(name = "relay-256k")]
    #[serde(rename = "relay-256k")]
    Relay256,
    /// A bare relay that puts all callers on one upstream connection, and does nothing else.
    #[value(name = "muxrelay")]
    #[serde(rename = "muxrelay")]
    MuxRelay,
    /// Our proxy with pooled upstream connections.
    OursPool,
    /// Our proxy with shared upstream connections.
    OursMux,
    /// Envoy `thrift_proxy`, payload passed through.
    EnvoyPassthrough,
    /// Envoy `thrift_proxy`, payload decoded and encoded.
    EnvoyFull,
    /// HAProxy in TCP mode.
    Haproxy,
    /// nginx's stream module.
    Nginx,
    /// A proxy written on Kitex: binary generic client behind an unknown-service handler.
    KitexProxy,
}

/// Where programs and configurations are found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tools {
    /// The folder of this crate.
    pub dir: PathBuf,
    /// This program: backend and relays are its subcommands.
    pub bench: PathBuf,
    /// Our proxy.
    pub proxy: PathBuf,
    /// Envoy's binary.
    pub envoy: PathBuf,
    /// The proxy written on Kitex.
    pub kitex_proxy: PathBuf,
}

impl Tools {
    /// The usual places, with `dir` the folder of this crate and `bench` this program.
    #[must_use]
    pub fn new(dir: &Path, bench: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            bench: bench.to_owned(),
            proxy: bench.with_file_name("proxy-bin"),
            envoy: dir.join(".work/bin/envoy"),
            kitex_proxy: dir.join("../interop/bin/kitexproxy"),
        }
    }
}

impl Candidate {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 11] = [
        Self::Direct,
        Self::Relay64,
        Self::Relay256,
        Self::MuxRelay,
        Self::OursPool,
        Self::OursMux,
        Self::EnvoyPassthrough,
        Self::EnvoyFull,
        Self::Haproxy,
        Self::Nginx,
        Self::KitexProxy,
    ];

    /// Whether it is a process of its own.
    #[must_use]
    pub fn is_proxy(self) -> bool {
        self != Self::Direct
    }

    /// Whether it can carry calls on `transport`.
    #[must_use]
    pub fn speaks(self, transport: Transport) -> bool {
        match self {
            Self::EnvoyPassthrough | Self::EnvoyFull => !transport.has_header(),
            Self::MuxRelay => transport != Transport::Buffered,
            _ => true,
        }
    }

    /// The command that listens on `listen` and forwards to `upstream`; configurations are written on the way.
    pub(super) fn command(
        self,
        tools: &Tools,
        listen: u16,
        upstream: u16,
        transport: Transport,
    ) -> io::Result<Command> {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let dir = std::path::absolute(run_dir(tools))?;
        let relay = |subcommand: &str| {
            Command::new(&tools.bench).args([subcommand, "--listen", &local(listen), "--upstream", &local(upstream)])
        };
        let fill = |file: &str, extra: &[(&str, &str)]| {
            let (listen, upstream, dir) = (listen.to_string(), upstream.to_string(), dir.display().to_string());
            let mut values = vec![("@LISTEN@", listen.as_str()), ("@UPSTREAM@", &upstream), ("@DIR@", &dir)];
            values.extend_from_slice(extra);
            fill_template(tools, file, &values)
        };
        Ok(match self {
            Self::Direct => return Err(io::Error::other("direct is no process")),
            Self::Relay64 => relay("relay").args(["--buffer-kib", "64"]),
            Self::Relay256 => relay("relay").args(["--buffer-kib", "256"]),
            Self::MuxRelay => relay("muxrelay"),
            Self::OursPool | Self::OursMux => {
                let mux = if self == Self::OursMux { "true" } else { "false" };
                let config = fill("ours.toml", &[("@MUX@", mux)])?;
                Command::new(&tools.proxy).arg("run").arg("--config").arg(&config)
            }
            Self::EnvoyPassthrough | Self::EnvoyFull => {
                let passthrough = if self == Self::EnvoyPassthrough { "true" } else { "false" };
                let transport = if transport.has_frame() { "FRAMED" } else { "UNFRAMED" };
                let config = fill("envoy.yaml", &[("@PASSTHROUGH@", passthrough), ("@TRANSPORT@", transport)])?;
                let flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"];
                Command::new(&tools.envoy).args(flags).arg("--config-path").arg(&config)
            }
            Self::Haproxy => {
                let config = fill("haproxy.cfg", &[])?;
                Command::new("haproxy").arg("-db").arg("-f").arg(&config)
            }
            Self::Nginx => {
                let config = fill("nginx.conf", &[])?;
                Command::new("nginx").arg("-p").arg(&dir).arg("-c").arg(&config)
            }
            Self::KitexProxy => Command::new(&tools.kitex_proxy)
                .args(["-listen", &local(listen), "-backend", &local(upstream), "-transport", kitex_name(transport)])
                .env("GOMAXPROCS", "1"),
        })
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Relay64 => "relay-64k",
            Self::Relay256 => "relay-256k",
            Self::MuxRelay => "muxrelay",
            Self::OursPool => "ours-pool",
            Self::OursMux => "ours-mux",
            Self::EnvoyPassthrough => "envoy-passthrough",
            Self::EnvoyFull => "envoy-full",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::KitexProxy => "kitex-proxy",
        })
    }
}

/// What the Kitex proxy calls a transport.
fn kitex_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Buffered => "buffered",
        Transport::Framed => "framed",
        Transport::Ttheader | Transport::TtheaderTimeout => "ttheader",
        Transport::TtheaderFramed => "ttheader-framed",
    }
}

/// Copies `peers-config/file` into the run's folder with `values` filled in, and says where.
pub(super) fn fill_template(tools: &Tools, file: &str, values: &[(&str, &str)]) -> io::Result<PathBuf> {
    let mut text = std::fs::read_to_string(tools.dir.join("peers-config").join(file))?;
    for (name, value) in values {
        text = text.replace(name, value);
    }
    let dir = run_dir(tools);
    std::fs::create_dir_all(&dir)?;
    // Absolute, since a program may change its folder before it reads the file.
    let path = std::path::absolute(dir.join(file))?;
    std::fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_on_the_command_line_in_json_and_in_text() {
        for candidate in Candidate::ALL {
            let text = candidate.to_string();
            assert_eq!(candidate.to_possible_value().unwrap().get_name(), text);
            assert_eq!(serde_json::to_string(&candidate).unwrap(), format!("{text:?}"));
        }
    }
}
