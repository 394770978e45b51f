//! `sniff`: what some bytes are, frame by frame.

mod body;
mod flow;
mod http2;
mod input;
mod pcap;
mod pingpong;
mod protobuf;
mod text;
mod thrift;
mod ttstream;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use clap::{Args, ValueEnum};

use crate::cli::sniff::body::{Bodies, Way};
use crate::cli::sniff::flow::{Flow, Piece, Shared};
use crate::cli::sniff::input::Input;
use crate::cli::sniff::pcap::{Capture, Connection, Half};
use crate::cli::sniff::text::{Style, Text};

/// The options of `sniff`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Sniff {
    /// The file, `-` for standard input: the bytes themselves, a hex dump of any usual style, pcap or pcapng.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Don't guess: this is what it is.
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    forced: Option<As>,
    /// Dump the bytes of each payload, too.
    #[arg(long)]
    hex: bool,
    /// Shorten nothing.
    #[arg(long)]
    full: bool,
}

/// What bytes can be said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// Calls and replies: Buffered, Framed, TTHeader, each as it comes.
    Call,
    /// Frames of TTHeader Streaming.
    Ttstream,
    /// Frames of HTTP/2.
    Http2,
    /// One Thrift struct in the Binary protocol.
    Struct,
    /// One Protobuf message.
    Protobuf,
}

pub(crate) fn sniff(options: &Sniff) -> ExitCode {
    let bytes = match read(&options.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("error: {}: {error}", options.file.display());
            return ExitCode::FAILURE;
        }
    };
    let input = match options.forced {
        // What it is said to be may come as hex.
        Some(_) => input::classify(bytes.clone()).or_else(|_| Ok(Input::Bytes(bytes))),
        None => input::classify(bytes),
    };
    let input = match input {
        Ok(input) => input,
        Err::<_, String>(error) => {
            eprintln!("error: {}: {error}", options.file.display());
            return ExitCode::FAILURE;
        }
    };
    let mut printer = Printer {
        out: io::BufWriter::new(io::stdout().lock()),
        text: Text::new(Style { full: options.full, hex: options.hex }),
        bodies: Bodies::default(),
        forced: options.forced,
    };
    match printer.print(input) {
        Ok(()) if printer.text.found_nonsense() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_INPUT).unwrap_or(u64::MAX).saturating_add(1);
    if path.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    if bytes.len() > MAX_INPUT {
        return Err(io::Error::other(format!("more than {} MiB", MAX_INPUT >> 20)));
    }
    Ok(bytes)
}

struct Printer<W> {
    out: W,
    text: Text,
    bodies: Bodies,
    forced: Option<As>,
}

impl<W: Write> Printer<W> {
    fn print(&mut self, input: Input) -> io::Result<()> {
        match input {
            Input::Bytes(bytes) => self.bytes("", bytes)?,
            Input::Hex(bytes) => self.bytes("hex dump: ", bytes)?,
            Input::Capture(file) => self.capture(&Capture::read(&file))?,
        }
        self.out.flush()
    }

    fn bytes(&mut self, what: &str, bytes: Vec<u8>) -> io::Result<()> {
        let len = bytes.len();
        let piece = Piece { at: 0, bytes: bytes.into(), missing: 0, starts: Vec::new() };
        let mut flow = Flow::new(None, self.forced, [piece]);
        writeln!(self.out, "{what}{len} bytes, {}", flow.verdict())?;
        let mut shared = Shared::default();
        let mut at = 0;
        while let Some(end) = flow.next(&mut shared, &self.bodies, &mut self.text) {
            self.block("", at, None)?;
            at = end;
        }
        Ok(())
    }

    fn capture(&mut self, capture: &Capture) -> io::Result<()> {
        let (packets, connections) = (capture.packets, capture.connections.len());
        writeln!(self.out, "capture: {packets} packets, {connections} TCP connections with data")?;
        if capture.other > 0 {
            writeln!(self.out, "{} packets are none of TCP over IP", capture.other)?;
        }
        for connection in &capture.connections {
            self.connection(connection)?;
        }
        if let Some(broken) = &capture.broken {
            self.text.nonsense(0, 0, broken);
            self.block("", 0, None)?;
        }
        Ok(())
    }

    /// Prints both directions in the order in which their packets were captured.
    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        let Connection { client, server, from_client, from_server, opened } = connection;
        let mut shared = Shared::default();
        let mut request = Side::new(Way::Request, from_client, self);
        let mut response = Side::new(Way::Response, from_server, self);
        let how = if *opened { "" } else { ", opened before the capture" };
        let spoken = if from_client.bytes.is_empty() { response.flow.verdict() } else { request.flow.verdict() };
        writeln!(self.out, "\n{client} → {server}, {spoken}{how}")?;
        request.step(&mut shared, self);
        response.step(&mut shared, self);
        loop {
            let (arrow, side) = match (&request.block, &response.block) {
                (None, None) => return Ok(()),
                (Some((_, _, packet)), Some((_, _, other))) if packet > other => ("← ", &mut response),
                (Some(_), _) => ("→ ", &mut request),
                (None, Some(_)) => ("← ", &mut response),
            };
            if let Some((text, at, packet)) = side.block.take() {
                write_block(&mut self.out, &text, arrow, at, Some(packet))?;
            }
            side.step(&mut shared, self);
        }
    }

    fn block(&mut self, arrow: &str, at: usize, packet: Option<usize>) -> io::Result<()> {
        let text = self.text.take();
        write_block(&mut self.out, &text, arrow, at, packet)
    }
}

/// One direction of a captured connection, a frame ahead.
struct Side<'a> {
    half: &'a Half,
    flow: Flow,
    at: usize,
    /// The frame that is next, where it begins, and the packet that completes it.
    block: Option<(String, usize, usize)>,
}

impl<'a> Side<'a> {
    fn new<W>(way: Way, half: &'a Half, printer: &Printer<W>) -> Self {
        Self { half, flow: Flow::new(Some(way), printer.forced, pieces(half)), at: 0, block: None }
    }

    fn step<W>(&mut self, shared: &mut Shared, printer: &mut Printer<W>) {
        self.block = self.flow.next(shared, &printer.bodies, &mut printer.text).map(|end| {
            let at = std::mem::replace(&mut self.at, end);
            (printer.text.take(), at, self.half.packet_at(end))
        });
    }
}

fn pieces(half: &Half) -> Vec<Piece> {
    let bytes = Bytes::copy_from_slice(&half.bytes);
    let starts = |from: usize, to: usize| {
        let inside = half.marks.iter().map(|&(end, _)| end).filter(|&end| from <= end && end < to);
        std::iter::once(from).chain(inside).collect()
    };
    let mut pieces = Vec::new();
    let (mut at, mut missing) = (0, 0);
    for (end, gap) in half.gaps.iter().copied().chain([(bytes.len(), 0)]) {
        pieces.push(Piece { at, bytes: bytes.slice(at..end), missing, starts: starts(at, end) });
        (at, missing) = (end, gap);
    }
    pieces
}

/// Writes the lines of a frame, the first with where it begins.
fn write_block(out: &mut impl Write, text: &str, arrow: &str, at: usize, packet: Option<usize>) -> io::Result<()> {
    let packet = packet.map_or_else(String::new, |packet| format!(" #{packet}"));
    for (index, line) in text.lines().enumerate() {
        if index == 0 {
            writeln!(out, "{arrow}@{at}{packet} {line}")?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// The largest file in bytes.
const MAX_INPUT: usize = 256 << 20;

const EXIT_CODES: &str =
    "Exit codes: 0 every byte makes sense; 1 some do not, or the file can't be read; 2 wrong arguments.";
