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

use crate::cli::schema::{IdlOptions, Schema};
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
    #[command(flatten)]
    idl: IdlOptions,
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
        Some(_) => input::classify(bytes.clone()).or(Ok(Input::Bytes(bytes))),
        None => input::classify(bytes),
    };
    let input = match input {
        Ok(input) => input,
        Err::<_, String>(error) => {
            eprintln!("error: {}: {error}", options.file.display());
            return ExitCode::FAILURE;
        }
    };
    let schema = match options.idl.idl.as_ref().map(|path| Schema::load(&options.idl, path)).transpose() {
        Ok(schema) => schema,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut printer = Printer {
        out: io::BufWriter::new(io::stdout().lock()),
        text: Text::new(Style { full: options.full, hex: options.hex }),
        bodies: Bodies { schema },
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
        while let Some(frame) = flow.next(&mut shared, &self.bodies, &mut self.text) {
            let text = self.text.take();
            write_block(&mut self.out, &text, "", frame.start, None)?;
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
            let text = self.text.take();
            write_block(&mut self.out, &text, "", 0, None)?;
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
}

/// One direction of a captured connection, a frame ahead.
struct Side<'a> {
    half: &'a Half,
    flow: Flow,
    /// The frame that is next, where it begins, and the packet that completes it.
    block: Option<(String, usize, usize)>,
}

impl<'a> Side<'a> {
    fn new<W>(way: Way, half: &'a Half, printer: &Printer<W>) -> Self {
        Self { half, flow: Flow::new(Some(way), printer.forced, pieces(half)), block: None }
    }

    fn step<W>(&mut self, shared: &mut Shared, printer: &mut Printer<W>) {
        self.block = self
            .flow
            .next(shared, &printer.bodies, &mut printer.text)
            .map(|frame| (printer.text.take(), frame.start, self.half.packet_at(frame.end)));
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

#[cfg(test)]
mod tests {
    use testkit::{Chance, from_hex};

    use super::*;

    fn printed(input: Input, forced: Option<As>, style: Style) -> String {
        let mut printer = Printer { out: Vec::new(), text: Text::new(style), bodies: Bodies::default(), forced };
        printer.print(input).unwrap();
        String::from_utf8(printer.out).unwrap()
    }

    /// What peers say, each a seed to be damaged.
    fn seeds() -> Vec<Vec<u8>> {
        let mut seeds: Vec<Vec<u8>> = testkit::vectors().into_iter().map(|vector| vector.bytes).collect();
        for capture in testkit::streaming_captures()["captures"].as_array().unwrap() {
            for connection in capture["connections"].as_array().unwrap() {
                for side in ["client", "server"] {
                    let chunks = connection["chunks"].as_array().unwrap().iter();
                    let said = chunks.filter(|chunk| chunk["from"] == side).filter_map(|chunk| chunk["hex"].as_str());
                    seeds.push(said.flat_map(from_hex).collect());
                }
            }
        }
        seeds.push(include_bytes!("../../../tests/sniff/testdata/streams.pcap").to_vec());
        seeds.push(include_bytes!("../../../tests/sniff/testdata/gap.pcapng").to_vec());
        seeds
    }

    fn damaged(seed: &[u8], chance: &mut Chance) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=chance.below(6) {
            if bytes.is_empty() {
                break;
            }
            let at = chance.below(bytes.len());
            match chance.below(5) {
                0 => bytes[at] = chance.byte(),
                1 => bytes[at] ^= 1 << chance.below(8),
                2 => bytes.truncate(at),
                3 => bytes.insert(at, chance.byte()),
                _ => {
                    let end = at.saturating_add(chance.below(64)).min(bytes.len());
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
            }
        }
        bytes
    }

    #[test]
    fn whatever_it_is_it_is_printed_to_its_end() {
        let mut chance = Chance::seeded(0x5a1f);
        let ways = [None, Some(As::Call), Some(As::Ttstream), Some(As::Http2), Some(As::Struct), Some(As::Protobuf)];
        for seed in seeds() {
            for _ in 0..40 {
                let bytes = damaged(&seed, &mut chance);
                let style = Style { full: chance.below(2) == 0, hex: chance.below(2) == 0 };
                if let Ok(input) = input::classify(bytes) {
                    printed(input, *chance.pick(&ways), style);
                }
            }
        }
    }

    #[test]
    fn noise_is_printed_as_well() {
        let mut chance = Chance::seeded(7);
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..chance.below(200)).map(|_| chance.byte()).collect();
            printed(Input::Bytes(bytes.clone()), None, Style { full: false, hex: false });
            printed(
                Input::Capture([&[0xd4, 0xc3, 0xb2, 0xa1][..], &bytes].concat()),
                None,
                Style { full: false, hex: true },
            );
        }
    }

    #[test]
    fn what_is_nested_or_repeated_without_end_takes_few_lines() {
        // A list of a million empty structs, and a field in a field in a field.
        let mut list = from_hex("0f0001 0c 000f4240");
        list.extend(std::iter::repeat_n(0, 1_000_001));
        let deep = [from_hex("0c0001").repeat(100_000), vec![0; 100_001]].concat();
        // A header block that says the longest field of its table again and again.
        let field = [from_hex("40 01 61 7f a01e"), vec![b'x'; 4000 - 1]].concat();
        let block = [field, vec![0xbe; 16_000]].concat();
        let mut frame = u32::try_from(block.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend(from_hex("01 04 00000001"));
        frame.extend(block);
        for (bytes, forced) in [(list, As::Struct), (deep, As::Struct), (frame, As::Http2)] {
            let text = printed(Input::Bytes(bytes), Some(forced), Style { full: false, hex: false });
            assert!(text.lines().count() < 2100, "{} lines", text.lines().count());
            assert!(text.len() < 1 << 20, "{} bytes", text.len());
        }
    }

    #[test]
    fn what_live_peers_said_makes_sense_to_its_end() {
        for capture in testkit::streaming_captures()["captures"].as_array().unwrap() {
            for connection in capture["connections"].as_array().unwrap() {
                for side in ["client", "server"] {
                    let chunks = connection["chunks"].as_array().unwrap().iter();
                    let said = chunks.filter(|chunk| chunk["from"] == side).filter_map(|chunk| chunk["hex"].as_str());
                    let bytes: Vec<u8> = said.flat_map(from_hex).collect();
                    let text = printed(Input::Bytes(bytes), None, Style { full: false, hex: false });
                    // One that calls a method that nobody has, with a message that is none.
                    let wrong = text.lines().find(|line| line.contains("!!") && !line.ends_with("message: 0x00"));
                    assert_eq!(wrong, None, "{} {side}: {text}", capture["id"]);
                }
            }
        }
    }
}
