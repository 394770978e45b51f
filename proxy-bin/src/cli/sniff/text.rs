//! How values read: text where they are text, shortened where they are long.

use std::fmt::Write as _;

/// What is printed, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Nothing is shortened.
    pub(crate) full: bool,
    /// Payloads are dumped as well.
    pub(crate) hex: bool,
}

/// Lines, each with its indentation.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) style: Style,
    lines: String,
    /// Lines that this frame may still have: what is nested or repeated without end is not printed without end.
    left: usize,
    nonsense: bool,
}

impl Text {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, lines: String::new(), left: max_lines(style), nonsense: false }
    }

    /// Whether anything made no sense.
    pub(crate) fn found_nonsense(&self) -> bool {
        self.nonsense
    }

    /// Appends a line about what makes no sense, `at` which offset.
    pub(crate) fn nonsense(&mut self, depth: usize, at: usize, what: impl std::fmt::Display) {
        self.nonsense = true;
        // Also of a frame that has used up its lines.
        self.left = self.left.max(1);
        self.line(depth, format_args!("!! at byte {at}: {what}"));
    }

    /// Appends a line, `depth` levels in.
    pub(crate) fn line(&mut self, depth: usize, line: impl std::fmt::Display) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        let indent = depth.min(MAX_INDENT).saturating_mul(4);
        let _infallible = writeln!(self.lines, "{:indent$}{line}", "");
        if left == 0 {
            let _infallible = writeln!(self.lines, "{:indent$}… and more (--full)", "");
        }
    }

    /// Appends `bytes` as a hex dump, where that is asked for. `at` is the offset of the first.
    pub(crate) fn dump(&mut self, depth: usize, at: usize, bytes: &[u8]) {
        if self.style.hex {
            self.dump_all(depth, at, bytes);
        }
    }

    /// Appends `bytes` as a hex dump.
    pub(crate) fn dump_all(&mut self, depth: usize, at: usize, bytes: &[u8]) {
        for (row, chunk) in bytes.chunks(16).enumerate() {
            let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            let text: String =
                chunk.iter().map(|&byte| if matches!(byte, b' '..=b'~') { char::from(byte) } else { '.' }).collect();
            let offset = at.saturating_add(row.saturating_mul(16));
            self.line(depth, format_args!("{offset:08x}  {:<47}  {text}", hex.join(" ")));
        }
    }

    /// Appends JSON text, laid out.
    pub(crate) fn json(&mut self, depth: usize, json: &str) {
        for line in crate::cli::json::pretty(json).lines() {
            self.line(depth, line);
        }
    }

    /// Takes what has been written.
    pub(crate) fn take(&mut self) -> String {
        self.left = max_lines(self.style);
        std::mem::take(&mut self.lines)
    }

    /// A string or binary value: quoted where it is text, else hex.
    pub(crate) fn value(&self, bytes: &[u8]) -> String {
        let shown = bytes.get(..MAX_SHOWN).filter(|_| !self.style.full).unwrap_or(bytes);
        let rest = bytes.len().saturating_sub(shown.len());
        let mut text = match readable(shown) {
            Some(text) => crate::cli::json::quote(text),
            None => {
                let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("0x{hex}")
            }
        };
        if rest > 0 {
            let _infallible = write!(text, "… ({} bytes)", bytes.len());
        }
        text
    }
}

/// The text that `bytes` are, if that is what they are: UTF-8, and little in it that can't be printed. A character that a
/// shortened value cuts through at its end does not count.
pub(crate) fn readable(bytes: &[u8]) -> Option<&str> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && bytes.len() >= MAX_SHOWN => {
            str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).then_some(text)
}

fn max_lines(style: Style) -> usize {
    if style.full { MAX_LINES_FULL } else { MAX_LINES }
}

/// Levels that are shown as such.
const MAX_INDENT: usize = 24;
/// Lines of one frame.
const MAX_LINES: usize = 2048;
const MAX_LINES_FULL: usize = 1 << 20;
/// Bytes of a value that are shown.
const MAX_SHOWN: usize = 256;
