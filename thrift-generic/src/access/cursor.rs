use thrift_codec::binary::{FieldHeader, ListHeader, MapHeader, Reader};
use thrift_codec::{DecodeError, Skipper, TType};

use crate::access::tree::{Key, Node, Select};
use crate::error::{Error, ErrorKind};

/// Goes over bytes, and passes over what nobody asked for.
pub(crate) struct Cursor<'a> {
    src: &'a [u8],
    reader: Reader<'a>,
    /// Made when it is needed, and only once, as it has room for 64 levels.
    skipper: Option<Skipper>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(src: &'a [u8]) -> Self {
        Self { src, reader: Reader::new(src), skipper: None }
    }

    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.reader.offset()
    }

    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.src.get(start..self.offset()).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn field_header(&mut self) -> Result<Option<FieldHeader>, Error> {
        Ok(self.reader.field_header()?)
    }

    pub(crate) fn list_header(&mut self) -> Result<ListHeader, Error> {
        Ok(self.reader.list_header()?)
    }

    pub(crate) fn map_header(&mut self) -> Result<MapHeader, Error> {
        Ok(self.reader.map_header()?)
    }

    /// Passes over a value.
    #[inline]
    pub(crate) fn skip(&mut self, ttype: TType) -> Result<(), Error> {
        if let Some(len) = ttype.fixed_len() {
            return self.advance(len, ttype);
        }
        if ttype == TType::STRING {
            self.reader.bytes()?;
            return Ok(());
        }
        self.skipper(ttype);
        self.skip_rest(0)
    }

    /// Passes over `count` elements.
    pub(crate) fn skip_elements(&mut self, element: TType, count: usize) -> Result<(), Error> {
        const HEADER_LEN: usize = 5;
        if count == 0 {
            return Ok(());
        }
        if let Some(len) = element.fixed_len() {
            return self.advance(len.saturating_mul(count), element);
        }
        // They are what follows the header of a list, which the skipper gets as a piece of its own.
        let [a, b, c, d] = u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
        self.skipper(TType::LIST).skip(&[element.0, a, b, c, d])?;
        self.skip_rest(HEADER_LEN)
    }

    /// Passes over what remains of the skipper's value, of which `seen` bytes are known.
    fn skip_rest(&mut self, seen: usize) -> Result<(), Error> {
        let base = self.offset().saturating_sub(seen);
        let shifted = |error: DecodeError| Error::from(error.shifted(base));
        let skipper = self.skipper.get_or_insert_with(Skipper::new_struct);
        match skipper.skip(self.reader.rest()) {
            Ok(Some(len)) => self.advance(len, TType::STRUCT),
            Ok(None) => Err(shifted(skipper.truncated())),
            Err(error) => Err(shifted(error)),
        }
    }

    /// The skipper, at the beginning of a value.
    fn skipper(&mut self, ttype: TType) -> &mut Skipper {
        let skipper = self.skipper.get_or_insert_with(Skipper::new_struct);
        skipper.reset(ttype);
        skipper
    }

    #[inline]
    fn advance(&mut self, len: usize, ttype: TType) -> Result<(), Error> {
        let rest = self.reader.rest();
        match rest.get(len..) {
            Some(after) => {
                self.reader = Reader::at(after, self.offset().saturating_add(len));
                Ok(())
            }
            None => {
                let (offset, actual) = (self.offset(), rest.len());
                let field = ttype.name().unwrap_or("value");
                Err(DecodeError::Truncated { field, offset, expected: len, actual }.into())
            }
        }
    }

    /// Passes over a key, and says which of the node's children it leads to.
    pub(crate) fn key(&mut self, node: &Node, ttype: TType) -> Result<Option<usize>, Error> {
        let start = self.offset();
        self.skip(ttype)?;
        let mut reader = Reader::new(self.since(start));
        let key = match ttype {
            TType::STRING => {
                let text = reader.bytes().unwrap_or_default();
                return Ok(node.children.iter().position(
                    |child| matches!(&child.select, Select::Key(Key::Text(wanted), _) if **wanted == *text),
                ));
            }
            TType::BOOL => Key::Bool(reader.bool().unwrap_or_default()),
            TType::DOUBLE => Key::Double(reader.double().unwrap_or_default()),
            _ => match super::found::integer(&mut reader, ttype) {
                Some(number) => Key::Integer(number),
                None => return Ok(None),
            },
        };
        let is_it = |select: &Select| match (select, &key) {
            (Select::Key(wanted, _), key) => wanted == key,
            // A path without types says `[7]` for an element and for a key.
            (Select::Index(index), Key::Integer(number)) => i64::try_from(*index) == Ok(*number),
            _ => false,
        };
        Ok(node.children.iter().position(|child| is_it(&child.select)))
    }

    /// The value was the last.
    pub(crate) fn end(&self) -> Result<(), Error> {
        match self.reader.rest().len() {
            0 => Ok(()),
            len => Err(Error::new(ErrorKind::Trailing(len)).at(self.offset())),
        }
    }

    /// The value at this offset is of the type that the path wants.
    #[inline]
    pub(crate) fn check(&self, wanted: Option<TType>, ttype: TType) -> Result<(), Error> {
        match wanted {
            Some(wanted) if wanted != ttype => Err(mismatch(wanted, ttype).at(self.offset())),
            _ => Ok(()),
        }
    }

    /// The path goes on into a value that has no parts, or others.
    #[cold]
    pub(crate) fn no_parts(&self, node: &Node, ttype: TType) -> Error {
        let wanted = match node.children.first().map(|child| &child.select) {
            Some(Select::Index(_)) => TType::LIST,
            Some(Select::Key(..)) => TType::MAP,
            _ => TType::STRUCT,
        };
        mismatch(wanted, ttype).at(self.offset())
    }

    /// A map with other keys than the path has; one without pairs may say what it wants.
    pub(crate) fn check_keys(&self, node: &Node, header: &MapHeader) -> Result<(), Error> {
        let wanted = node.children.iter().find_map(|child| match child.select {
            Select::Key(_, wanted) => wanted,
            _ => None,
        });
        if header.count == 0 { Ok(()) } else { self.check(wanted, header.key) }
    }
}

#[cold]
pub(crate) fn mismatch(wanted: TType, ttype: TType) -> Error {
    let name = |ttype: TType| ttype.name().unwrap_or("an unknown type");
    Error::expected(name(wanted), name(ttype))
}
