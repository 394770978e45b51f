use thrift_codec::TType;

use crate::access::cursor::Cursor;
use crate::access::found::Found;
use crate::access::tree::{Node, Select};
use crate::descriptor::Type;
use crate::error::Error;

/// Looks through `bytes` for what stands where the paths below `root` end.
pub(crate) fn get<'a>(
    root: &Node,
    types: &[Option<Type>],
    bytes: &'a [u8],
    found: &mut [Option<Found<'a>>],
) -> Result<(), Error> {
    let mut walk = Walk { cursor: Cursor::new(bytes), types, found };
    walk.value(root, root.ttype.unwrap_or(TType::STRUCT))?;
    walk.cursor.end()
}

struct Walk<'a, 'w> {
    cursor: Cursor<'a>,
    types: &'w [Option<Type>],
    found: &'w mut [Option<Found<'a>>],
}

impl Walk<'_, '_> {
    fn value(&mut self, node: &Node, ttype: TType) -> Result<(), Error> {
        let start = self.cursor.offset();
        self.cursor.check(node.ttype, ttype)?;
        match (node.children.first().map(|child| &child.select), ttype) {
            (None, _) => self.cursor.skip(ttype)?,
            (Some(Select::Field(_)), TType::STRUCT) => self.fields(node)?,
            (Some(Select::Index(_)), TType::LIST | TType::SET) => self.elements(node)?,
            (Some(Select::Key(..) | Select::Index(_)), TType::MAP) => self.pairs(node)?,
            _ => return Err(self.cursor.no_parts(node, ttype)),
        }
        let bytes = self.cursor.since(start);
        for &end in &node.ends {
            if let Some(place) = self.found.get_mut(end) {
                let ty = self.types.get(end).copied().flatten();
                *place = Some(Found { bytes, ttype, offset: start, ty });
            }
        }
        Ok(())
    }

    fn fields(&mut self, node: &Node) -> Result<(), Error> {
        while let Some(header) = self.cursor.field_header()? {
            match node.children.iter().position(|child| child.select == Select::Field(header.id)) {
                Some(at) => self.child(node, at, header.ttype)?,
                None => self.cursor.skip(header.ttype)?,
            }
        }
        Ok(())
    }

    fn elements(&mut self, node: &Node) -> Result<(), Error> {
        let header = self.cursor.list_header()?;
        let mut next = 0;
        for (at, child) in node.children.iter().enumerate() {
            match child.select {
                Select::Index(index) if index < header.count => {
                    self.cursor.skip_elements(header.element, index.saturating_sub(next))?;
                    self.child(node, at, header.element)?;
                    next = index.saturating_add(1);
                }
                _ => {}
            }
        }
        self.cursor.skip_elements(header.element, header.count.saturating_sub(next))
    }

    fn pairs(&mut self, node: &Node) -> Result<(), Error> {
        let start = self.cursor.offset();
        let header = self.cursor.map_header()?;
        self.cursor.check_keys(node, &header).map_err(|error| error.at(start))?;
        for _ in 0..header.count {
            match self.cursor.key(node, header.key)? {
                Some(at) => self.child(node, at, header.value)?,
                None => self.cursor.skip(header.value)?,
            }
        }
        Ok(())
    }

    fn child(&mut self, node: &Node, at: usize, ttype: TType) -> Result<(), Error> {
        let Some(child) = node.children.get(at) else { return Ok(()) };
        // It may have been there before, with more in it.
        self.forget(&child.node);
        self.value(&child.node, ttype).map_err(|error| error.inside(child.step.clone()))
    }

    fn forget(&mut self, node: &Node) {
        for &end in &node.ends {
            if let Some(place) = self.found.get_mut(end) {
                *place = None;
            }
        }
        for child in &node.children {
            self.forget(&child.node);
        }
    }
}
