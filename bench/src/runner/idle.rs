//! What a connection costs that does nothing.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process::Bench;
use super::{Candidate, Tools};
use crate::cpu;
use crate::wire::{Shape, Template, Transport, parse_reply_head};

const CONNECTIONS: usize = 1_000;
/// Longer than a proxy needs to give buffers back, shorter than its idle timeouts.
const SETTLE: Duration = Duration::from_secs(3);
const CALL_MAX: Duration = Duration::from_secs(5);

/// Memory with idle connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IdleRow {
    /// Who.
    pub candidate: Candidate,
    /// Connections.
    pub connections: usize,
    /// Resident memory before the first of them, in KiB.
    pub base_kib: u64,
    /// After one call of 1 KiB on each, one after the other, and a rest.
    pub idle_kib: u64,
    /// After one more call of 16 KiB on each, all at the same time, and a rest.
    pub after_burst_kib: u64,
    /// Why it could not be measured.
    pub failure: Option<String>,
}

impl fmt::Display for IdleRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Some(failure) => write!(f, "failed: {failure}"),
            None => write!(
                f,
                "RSS {} KiB alone, {} KiB with {} idle connections, {} KiB after a burst on all",
                self.base_kib, self.idle_kib, self.connections, self.after_burst_kib
            ),
        }
    }
}

pub(super) fn measure(tools: &Tools, candidate: Candidate) -> IdleRow {
    let mut row =
        IdleRow { candidate, connections: CONNECTIONS, base_kib: 0, idle_kib: 0, after_burst_kib: 0, failure: None };
    if let Err(error) = fill(tools, &mut row) {
        row.failure = Some(error.to_string());
    }
    row
}

fn fill(tools: &Tools, row: &mut IdleRow) -> io::Result<()> {
    let bench = Bench::start(tools, row.candidate, Transport::Framed)?;
    let pid = bench.proxy_pid().ok_or_else(|| io::Error::other("no process of its own"))?;
    row.base_kib = cpu::usage(pid)?.rss_kib;

    let small = Template::new(Transport::Framed, Shape::String, 1 << 10);
    let mut connections = Vec::with_capacity(row.connections);
    for seqid in 1..=u32::try_from(row.connections).unwrap_or(u32::MAX) {
        let mut stream = connect(bench.target())?;
        send(&mut stream, &small, seqid)?;
        receive(&mut stream, &small, seqid)?;
        connections.push((seqid, stream));
    }
    std::thread::sleep(SETTLE);
    row.idle_kib = cpu::usage(pid)?.rss_kib;

    let large = Template::new(Transport::Framed, Shape::String, 16 << 10);
    for (seqid, stream) in &mut connections {
        send(stream, &large, *seqid)?;
    }
    for (seqid, stream) in &mut connections {
        receive(stream, &large, *seqid)?;
    }
    std::thread::sleep(SETTLE);
    row.after_burst_kib = cpu::usage(pid)?.rss_kib;
    Ok(())
}

fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(target)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(CALL_MAX))?;
    stream.set_write_timeout(Some(CALL_MAX))?;
    Ok(stream)
}

fn send(stream: &mut TcpStream, template: &Template, seqid: u32) -> io::Result<()> {
    let mut request = Vec::with_capacity(template.request_len());
    template.push_head(seqid, &mut request);
    request.extend_from_slice(template.body());
    stream.write_all(&request)
}

/// Reads a Framed reply, which is as long as its request, and checks it.
fn receive(stream: &mut TcpStream, template: &Template, seqid: u32) -> io::Result<()> {
    let mut reply = vec![0; template.request_len()];
    stream.read_exact(&mut reply)?;
    let head = parse_reply_head(&reply, Transport::Framed).map_err(io::Error::other)?;
    match head {
        Some(head) if head.seqid == seqid && reply.get(head.len..) == Some(template.reply_body()) => Ok(()),
        _ => Err(io::Error::other("wrong reply")),
    }
}
