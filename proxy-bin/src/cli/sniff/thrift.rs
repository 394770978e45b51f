//! A Thrift struct without its IDL: a tree of field ids and types.

use thrift_codec::binary::{FieldHeader, ListHeader, MapHeader, Reader};
use thrift_codec::{DecodeError, MAX_DEPTH, TType};

use crate::cli::sniff::text::Text;

/// Prints the struct at the front of `bytes`, and says how long it is. Where it stops making sense, so does the tree.
///
/// # Errors
///
/// What is wrong, with its offset counted from the struct's first byte.
pub(crate) fn tree(bytes: &[u8], depth: usize, text: &mut Text) -> Result<usize, DecodeError> {
    let mut walk = Walk { reader: Reader::new(bytes), text };
    walk.fields(depth, 0)?;
    Ok(walk.reader.offset())
}

/// A field id that names things, for a type of field ids: its type and its elements' types.
struct Walk<'a, 't> {
    reader: Reader<'a>,
    text: &'t mut Text,
}

impl Walk<'_, '_> {
    fn fields(&mut self, depth: usize, level: usize) -> Result<(), DecodeError> {
        if level >= MAX_DEPTH {
            return Err(DecodeError::TooDeep { offset: self.reader.offset(), max: MAX_DEPTH });
        }
        while let Some(FieldHeader { ttype, id }) = self.reader.field_header()? {
            self.value(ttype, depth, level, &format!("{id}: "))?;
        }
        Ok(())
    }

    /// Prints a value behind `label`.
    fn value(&mut self, ttype: TType, depth: usize, level: usize, label: &str) -> Result<(), DecodeError> {
        let inner = depth.saturating_add(1);
        let deeper = level.saturating_add(1);
        match ttype {
            TType::STRUCT => {
                self.text.line(depth, format_args!("{label}struct"));
                self.fields(inner, deeper)
            }
            TType::LIST | TType::SET => self.list(ttype, depth, level, label),
            TType::MAP => self.map(depth, level, label),
            _ => {
                let value = self.scalar(ttype)?;
                self.text.line(depth, format_args!("{label}{} {value}", name(ttype)));
                Ok(())
            }
        }
    }

    fn list(&mut self, ttype: TType, depth: usize, level: usize, label: &str) -> Result<(), DecodeError> {
        self.check(level)?;
        let ListHeader { element, count } = self.reader.list_header()?;
        let title = format!("{label}{}<{}> ({count})", name(ttype), element_name(element, count));
        if is_scalar(element) {
            let shown = count.min(self.shown());
            let values = (0..shown).map(|_| self.scalar(element)).collect::<Result<Vec<_>, _>>()?;
            let rest = count.saturating_sub(shown);
            for _ in 0..rest {
                self.reader.skip(element)?;
            }
            let more = if rest > 0 { format!(", … {rest} more") } else { String::new() };
            self.text.line(depth, format_args!("{title} [{}{more}]", values.join(", ")));
            return Ok(());
        }
        self.text.line(depth, title);
        for index in 0..count {
            if index >= self.shown() {
                self.reader.skip_within(element, MAX_DEPTH.saturating_sub(level))?;
                continue;
            }
            self.value(element, depth.saturating_add(1), level.saturating_add(1), &format!("[{index}] "))?;
        }
        self.more(depth, count);
        Ok(())
    }

    fn map(&mut self, depth: usize, level: usize, label: &str) -> Result<(), DecodeError> {
        self.check(level)?;
        let MapHeader { key, value, count } = self.reader.map_header()?;
        let (key_name, value_name) = (element_name(key, count), element_name(value, count));
        self.text.line(depth, format_args!("{label}map<{key_name}, {value_name}> ({count})"));
        let (inner, deeper) = (depth.saturating_add(1), level.saturating_add(1));
        for index in 0..count {
            if index >= self.shown() {
                self.reader.skip_within(key, MAX_DEPTH.saturating_sub(level))?;
                self.reader.skip_within(value, MAX_DEPTH.saturating_sub(level))?;
            } else if is_scalar(key) {
                let key = self.scalar(key)?;
                self.value(value, inner, deeper, &format!("{key} = "))?;
            } else {
                self.value(key, inner, deeper, "key ")?;
                self.value(value, inner, deeper, "= ")?;
            }
        }
        self.more(depth, count);
        Ok(())
    }

    fn scalar(&mut self, ttype: TType) -> Result<String, DecodeError> {
        Ok(match ttype {
            TType::BOOL => self.reader.bool()?.to_string(),
            TType::I8 => self.reader.i8()?.to_string(),
            TType::I16 => self.reader.i16()?.to_string(),
            TType::I32 => self.reader.i32()?.to_string(),
            TType::I64 => self.reader.i64()?.to_string(),
            TType::DOUBLE => format!("{:?}", self.reader.double()?),
            TType::STRING => self.text.value(self.reader.bytes()?),
            // An error, for nobody knows its length.
            unknown => {
                self.reader.skip(unknown)?;
                String::new()
            }
        })
    }

    fn check(&self, level: usize) -> Result<(), DecodeError> {
        if level < MAX_DEPTH {
            return Ok(());
        }
        Err(DecodeError::TooDeep { offset: self.reader.offset(), max: MAX_DEPTH })
    }

    fn more(&mut self, depth: usize, count: usize) {
        if let Some(rest) = count.checked_sub(self.shown()).filter(|&rest| rest > 0) {
            self.text.line(depth.saturating_add(1), format_args!("… {rest} more"));
        }
    }

    fn shown(&self) -> usize {
        if self.text.style.full { usize::MAX } else { MAX_ELEMENTS }
    }
}

fn is_scalar(ttype: TType) -> bool {
    ttype.fixed_len().is_some() || ttype == TType::STRING
}

fn name(ttype: TType) -> String {
    ttype.name().map_or_else(|| format!("type {}", ttype.0), str::to_owned)
}

/// The type of elements; any byte at all is written where there are none.
fn element_name(ttype: TType, count: usize) -> String {
    if count == 0 && ttype.name().is_none() { "?".to_owned() } else { name(ttype) }
}

/// Elements of a container that are shown.
const MAX_ELEMENTS: usize = 32;
