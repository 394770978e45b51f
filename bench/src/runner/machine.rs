//! What the figures were measured on.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use rustix::net::sockopt;
use serde::{Deserialize, Serialize};

use super::Tools;

/// The machine, and the versions of what was compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Machine {
    /// Model of the CPU.
    pub cpu: String,
    /// Cores the system has.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
    /// TCP congestion control; it paces large messages even on loopback.
    pub congestion_control: String,
    /// Load averages of 1, 5 and 15 minutes before the first measurement: near 0 on a machine that does nothing else.
    #[serde(default)]
    pub load_average: String,
    /// Program and version, as each says it.
    pub versions: Vec<(String, String)>,
}

pub(super) fn describe(tools: &Tools) -> Machine {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(value);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    let load_average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let kernel = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default().trim().to_owned();
    let haproxy = Path::new("haproxy");
    let nginx = Path::new("nginx");
    let versions = [
        ("rustc", Path::new("rustc"), "--version"),
        ("commit", Path::new("git"), "rev-parse --short HEAD"),
        ("envoy", &tools.envoy, "--version"),
        ("haproxy", haproxy, "-v"),
        ("nginx", nginx, "-v"),
    ];
    let mut versions: Vec<(String, String)> = versions
        .iter()
        .filter_map(|(name, program, args)| Some(((*name).to_owned(), version(program, args)?)))
        .collect();
    let kitex = module_version(&tools.kitex_proxy, "github.com/cloudwego/kitex");
    versions.extend(kitex.map(|version| ("kitex".to_owned(), version)));
    Machine {
        cpu: model.unwrap_or_default(),
        cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        memory_mib: memory_kib.unwrap_or(0) / 1024,
        kernel: kernel("kernel/osrelease"),
        congestion_control: congestion_control().unwrap_or_default(),
        load_average: load_average.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" "),
        versions,
    }
}

/// What a loopback connection really uses: a route may say other than the system's default.
fn congestion_control() -> io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    Ok(sockopt::tcp_congestion(&stream)?)
}

/// The version of a module that a Go program was built with.
pub(super) fn module_version(program: &Path, module: &str) -> Option<String> {
    let output = Command::new("go").args(["version", "-m"]).arg(program).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let found = text.lines().map(words).find(|words| words.get(1).is_some_and(|word| word == module))?;
    found.get(2).cloned()
}

/// The first line with a number in it that a program says about itself.
fn version(program: &Path, args: &str) -> Option<String> {
    let output = Command::new(program).args(args.split(' ')).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.contains(|letter: char| letter.is_ascii_digit()))?;
    // Envoy puts the path it was started by in front.
    Some(line.rsplit_once("version: ").map_or(line, |(_, version)| version).trim().to_owned())
}
