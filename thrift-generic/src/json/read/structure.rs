//! Structs: fields in the order of the bytes, then those that are absent by their ids.

use super::Reader;
use crate::descriptor::{Field, KeyText, Plan, RankSets, Slot, Struct, StructId, Type};
use crate::error::{Error, ErrorKind};
use crate::json::{fill, mapped};
use crate::path::Step;

/// The fields of one struct that were read, as bits by rank: the first 64, and where the others are in `spill`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    first: u64,
    spilled: usize,
}

impl<'a> Reader<'a, '_> {
    pub(super) fn structure(&mut self, id: StructId, js: bool, depth: usize) -> Result<(), Error> {
        let d = self.d;
        let depth = self.deeper(depth)?;
        let structure = d.structure(id);
        let plan = structure.fields.plan();
        let mut seen = self.begin(plan);
        let at = self.out.pos();
        let mut expected = 0usize;
        loop {
            let index = match (self.rest.first_chunk::<3>(), plan.slots().get(expected)) {
                // Fields mostly come in the order of the IDL, and with its types.
                (Some(head), Some(slot)) if *head == slot.head => {
                    self.rest = self.rest.get(3..).unwrap_or_default();
                    expected
                }
                _ => match self.next_field(structure, depth)? {
                    Next::End => break,
                    Next::Skipped => continue,
                    Next::Field(index) => index,
                },
            };
            expected = index.wrapping_add(1);
            let Some(slot) = plan.slots().get(index) else { continue };
            let repeated = self.see(&mut seen, slot.rank);
            if repeated || slot.special {
                if let Err(error) = self.special(slot, structure, index, repeated, js, depth) {
                    return Err(at_field(error, structure, index));
                }
                continue;
            }
            self.member_name(&slot.key);
            if let Err(error) = self.value(slot.ty, js || (slot.js_conv && self.options.value_mapping), depth) {
                return Err(at_field(error, structure, index));
            }
        }
        self.absent(structure, seen, js)?;
        if self.out.pos() == at {
            self.out.put(b"{}");
        } else {
            self.out.patch(at, *b"{");
            self.out.put(b"}");
        }
        Ok(())
    }

    /// Reads the header of a field that is not the expected one.
    #[inline(never)]
    pub(super) fn next_field(&mut self, structure: &Struct, depth: usize) -> Result<Next, Error> {
        let Some((ttype, id)) = self.field_header()? else { return Ok(Next::End) };
        let known = structure.fields.index_of_id(id);
        let Some(field) = known.and_then(|index| structure.fields.get(index)) else {
            self.skip(ttype, depth)?;
            return Ok(Next::Skipped);
        };
        match self.is_type(field.ty, ttype) {
            Ok(true) => Ok(known.map_or(Next::Skipped, Next::Field)),
            Ok(false) => self.skip(ttype, depth).map(|()| Next::Skipped),
            Err(error) => Err(error.inside(Step::Field(field.key.clone()))),
        }
    }

    /// A field that was there before, or that is not shown as it is.
    #[inline(never)]
    pub(super) fn special(
        &mut self,
        slot: &Slot,
        structure: &'a Struct,
        index: usize,
        repeated: bool,
        js: bool,
        depth: usize,
    ) -> Result<(), Error> {
        let Some(field) = structure.fields.get(index) else { return Ok(()) };
        if repeated || (field.hidden && self.hide) {
            return self.skip(slot.ttype, depth);
        }
        self.member_name(&slot.key);
        if field.value_mapping.is_some() && self.options.value_mapping {
            return mapped::read(self, field);
        }
        self.value(slot.ty, js || (slot.js_conv && self.options.value_mapping), depth)
    }

    /// `,"key":`; the comma becomes a brace where it is the first.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::json) fn member_name(&mut self, key: &KeyText) {
        match key.padded() {
            Some((bytes, len)) if !(self.options.escape_html && key.minds_html()) => self.out.put_part(bytes, len),
            _ => self.long_member_name(key),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn long_member_name(&mut self, key: &KeyText) {
        self.out.put_slice(if self.options.escape_html { key.html_text() } else { key.text() });
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn begin(&mut self, plan: &Plan) -> Seen {
        let seen = Seen { first: 0, spilled: self.spill.len() };
        let more = plan.sets().len().wrapping_sub(1);
        if more > 0 {
            self.spill.resize(seen.spilled.wrapping_add(more), 0);
        }
        seen
    }

    /// Notes a field; whether it was there before.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn see(&mut self, seen: &mut Seen, rank: u16) -> bool {
        let bit = 1u64 << (rank & 63);
        if rank < 64 {
            let before = seen.first & bit != 0;
            seen.first |= bit;
            return before;
        }
        let at = seen.spilled.wrapping_add(usize::from(rank >> 6)).wrapping_sub(1);
        match self.spill.get_mut(at) {
            Some(word) => {
                let before = *word & bit != 0;
                *word |= bit;
                before
            }
            None => false,
        }
    }

    /// Shows the fields that are not there and should be.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn absent(&mut self, structure: &'a Struct, seen: Seen, js: bool) -> Result<(), Error> {
        if let [only] = structure.fields.plan().sets() {
            if self.wanted(only) & !seen.first != 0 {
                self.fill(structure, seen, js)?;
            }
        } else {
            self.fill(structure, seen, js)?;
            self.spill.truncate(seen.spilled);
        }
        Ok(())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn wanted(&self, sets: &RankSets) -> u64 {
        if self.is_default {
            return 0;
        }
        if self.lenient {
            return sets.required | sets.with_default;
        }
        let hidden = if self.hide { sets.hidden } else { 0 };
        ((sets.required | sets.default) & !sets.base | sets.with_plain_default) & !hidden
    }

    #[inline(never)]
    pub(super) fn fill(&mut self, structure: &'a Struct, seen: Seen, js: bool) -> Result<(), Error> {
        let plan = structure.fields.plan();
        for (word, sets) in plan.sets().iter().enumerate() {
            let read = match word.checked_sub(1) {
                None => seen.first,
                Some(more) => self.spill.get(seen.spilled.wrapping_add(more)).copied().unwrap_or_default(),
            };
            let mut missing = self.wanted(sets) & !read;
            while missing != 0 {
                let bit = usize::try_from(missing.trailing_zeros()).unwrap_or_default();
                missing &= missing.wrapping_sub(1);
                let index = plan.index_of_rank(word.wrapping_mul(64).wrapping_add(bit));
                let (Some(slot), Some(field)) = (plan.slots().get(index), structure.fields.get(index)) else {
                    continue;
                };
                if self.lenient && sets.required >> bit & 1 == 1 {
                    let kind = ErrorKind::Required { id: field.id, name: field.key.clone() };
                    return Err(Error::new(kind).at(self.offset()));
                }
                self.member_name(&slot.key);
                self.default(slot, field, js).map_err(|error| at_field(error, structure, index))?;
            }
        }
        Ok(())
    }

    /// The IDL default of a field, or its zero.
    pub(super) fn default(&mut self, slot: &'a Slot, field: &Field, js: bool) -> Result<(), Error> {
        let js = js || (slot.js_conv && self.options.value_mapping);
        let Some(bytes) = fill::default(self.d, field, slot) else {
            self.zero(field.ty, js);
            return Ok(());
        };
        let (rest, whole) = (self.rest, self.whole);
        self.rest = bytes;
        self.whole = bytes;
        self.is_default = true;
        let written = if field.value_mapping.is_some() && self.options.value_mapping {
            mapped::read(self, field)
        } else {
            self.value(field.ty, js, self.options.max_depth)
        };
        self.is_default = false;
        self.rest = rest;
        self.whole = whole;
        written
    }

    pub(super) fn zero(&mut self, ty: Type, js: bool) {
        let quoted = js && !self.lenient;
        match ty {
            Type::Void => self.out.put(b"null"),
            Type::Bool => self.out.put(b"false"),
            Type::I64 => self.integer(0u8, js || self.options.i64_as_string),
            Type::Byte | Type::I16 | Type::I32 | Type::Double | Type::Enum(_) => self.integer(0u8, quoted),
            Type::String | Type::Binary => self.out.put(b"\"\""),
            Type::List(_) | Type::Set(_) => self.out.put(b"[]"),
            Type::Map(..) | Type::Struct(_) => self.out.put(b"{}"),
        }
    }
}

/// What comes next in a struct.
pub(super) enum Next {
    /// Nothing.
    End,
    /// A field that nobody asked for; it is passed.
    Skipped,
    /// The value of the field with this index.
    Field(usize),
}

#[cold]
#[inline(never)]
fn at_field(error: Error, structure: &Struct, index: usize) -> Error {
    match structure.fields.get(index) {
        Some(field) => error.inside(Step::Field(field.key.clone())),
        None => error,
    }
}
