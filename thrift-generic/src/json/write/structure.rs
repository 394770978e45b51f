//! Structs: members in the order of the text, then those that are missing by their ids.

use super::Writer;
use super::error::{at_field, dismatched};
use crate::base::Base;
use crate::descriptor::{BaseKind, Field, Plan, RankSets, Requiredness, Slot, Struct, StructId, StructKind, Type};
use crate::error::{Error, ErrorKind};
use crate::json::scan::COMMA_OR_BRACE;
use crate::json::{fill, mapped};

/// The fields of one struct that were written, as bits by rank: the first 64, and where the others are in `spill`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    first: u64,
    spilled: usize,
}

impl<'a> Writer<'a, '_> {
    pub(super) fn structure(&mut self, id: StructId, depth: usize) -> Result<(), Error> {
        let d = self.d;
        let depth = self.scan.deeper(depth, self.options.max_depth)?;
        let structure = d.structure(id);
        let plan = structure.fields.plan();
        let base = self.base.take();
        // A framework's base belongs into arguments, not among them.
        let (base, for_arguments) = if structure.kind == StructKind::Arguments { (None, base) } else { (base, None) };
        if self.scan.peek() != Some(b'{') {
            return self.structure_of_another_kind(structure, base);
        }
        self.scan.pass();
        let mut seen = self.begin(plan);
        if self.scan.peek() == Some(b'}') {
            self.scan.pass();
            return self.end(structure, seen, base);
        }
        let mut expected = 0usize;
        loop {
            // Members mostly come in the order of the fields.
            let guess = plan.slots().get(expected);
            let slot = match guess.and_then(|slot| Some((slot, slot.key.strip(self.scan.rest)?))) {
                Some((slot, rest)) => {
                    self.scan.rest = rest;
                    slot
                }
                None => match self.member(plan, &mut expected)? {
                    Some(slot) => slot,
                    None if self.unknown(depth)? => continue,
                    None => break,
                },
            };
            if for_arguments.is_some() {
                self.base = for_arguments;
            }
            if let Err(error) = self.field(slot, structure, expected, &mut seen, base, depth) {
                return Err(at_field(error, structure, expected));
            }
            expected = expected.wrapping_add(1);
            if !self.scan.another(b'}', COMMA_OR_BRACE)? {
                break;
            }
            self.scan.peek();
        }
        self.end(structure, seen, base)
    }

    /// The value of a field, which may be null.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn field(
        &mut self,
        slot: &Slot,
        structure: &'a Struct,
        index: usize,
        seen: &mut Seen,
        base: Option<&Base>,
        depth: usize,
    ) -> Result<(), Error> {
        if self.scan.peek() == Some(b'n') {
            self.repeated |= self.is_seen(seen, slot.rank);
            return self.scan.word(b"null");
        }
        if self.lenient && self.is_seen(seen, slot.rank) {
            self.repeated = true;
            return self.scan.skip(depth, self.options.max_depth);
        }
        if slot.special {
            let Some(field) = structure.fields.get(index) else { return Ok(()) };
            if self.special(field, base, depth)? {
                self.see(seen, slot.rank);
                return Ok(());
            }
            if field.hidden && self.hide {
                return self.scan.skip(depth, self.options.max_depth);
            }
        }
        self.out.put(&slot.head);
        self.value(slot.ty, slot.js_conv && self.options.value_mapping, depth)?;
        self.see(seen, slot.rank);
        Ok(())
    }

    /// A field that is written in a way of its own: whether it was.
    #[inline(never)]
    pub(super) fn special(&mut self, field: &'a Field, base: Option<&Base>, depth: usize) -> Result<bool, Error> {
        if let (Some(BaseKind::Base), Some(base)) = (field.base, base) {
            self.base(field, base, true, depth)?;
            return Ok(true);
        }
        if field.value_mapping.is_some() && self.options.value_mapping {
            return mapped::write(self, field, depth).map(|()| true);
        }
        Ok(false)
    }

    /// A member that is not the expected one: its field, whose index `expected` becomes.
    #[inline(never)]
    pub(super) fn member<'p>(&mut self, plan: &'p Plan, expected: &mut usize) -> Result<Option<&'p Slot>, Error> {
        if self.scan.peek() != Some(b'"') {
            return Err(self.scan.syntax("a key"));
        }
        let start = self.scan;
        let (raw, escaped) = self.scan.raw_string()?;
        let index = if escaped {
            self.scan = start;
            plan.index_of_key(&self.unescaped()?)
        } else {
            plan.index_of_key(raw)
        };
        self.scan.expect(b':', "a colon")?;
        let Some(index) = index else {
            if self.options.deny_unknown {
                let name = String::from_utf8_lossy(raw).into_owned();
                return Err(Error::new(ErrorKind::UnknownField(name.into())).at(start.offset()));
            }
            return Ok(None);
        };
        *expected = index;
        Ok(plan.slots().get(index))
    }

    /// Passes the value of a member that has no field; whether there is another member.
    #[inline(never)]
    pub(super) fn unknown(&mut self, depth: usize) -> Result<bool, Error> {
        self.scan.skip(depth, self.options.max_depth)?;
        let another = self.scan.another(b'}', COMMA_OR_BRACE)?;
        self.scan.peek();
        Ok(another)
    }

    /// What is no object has no members.
    #[inline(never)]
    pub(super) fn structure_of_another_kind(
        &mut self,
        structure: &'a Struct,
        base: Option<&Base>,
    ) -> Result<(), Error> {
        let kind = self.scan.kind()?;
        if self.strict {
            return Err(Error::new(ErrorKind::Mismatch { need: "STRUCT", got: kind.kitex() }).at(self.scan.offset()));
        }
        if !self.lenient {
            let ty = structure.kind.name();
            return Err(dismatched(ty, "STRUCT", kind.name(), self.scan.offset()));
        }
        self.skip()?;
        let seen = self.begin(structure.fields.plan());
        self.end(structure, seen, base)
    }

    /// A struct without any members.
    pub(crate) fn empty_struct(&mut self, id: StructId) -> Result<(), Error> {
        let structure = self.d.structure(id);
        let base = self.base.take();
        let seen = self.begin(structure.fields.plan());
        self.end(structure, seen, base)
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

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn see(&mut self, seen: &mut Seen, rank: u16) {
        let bit = 1u64 << (rank & 63);
        if rank < 64 {
            seen.first |= bit;
        } else if let Some(word) = self.spill.get_mut(word_of(seen, rank)) {
            *word |= bit;
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn is_seen(&self, seen: &Seen, rank: u16) -> bool {
        let bit = 1u64 << (rank & 63);
        if rank < 64 {
            return seen.first & bit != 0;
        }
        self.spill.get(word_of(seen, rank)).is_some_and(|word| word & bit != 0)
    }

    /// Writes the fields that must be there and are not, and ends the struct.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn end(&mut self, structure: &'a Struct, seen: Seen, base: Option<&Base>) -> Result<(), Error> {
        let sets = structure.fields.plan().sets();
        if let ([only], None) = (sets, base) {
            if self.must(only, None) & !seen.first != 0 {
                self.fill(structure, seen, None)?;
            }
        } else {
            self.fill(structure, seen, base)?;
            self.spill.truncate(seen.spilled);
        }
        self.out.put(&[0]);
        Ok(())
    }

    /// The fields that may not be left out.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn must(&self, sets: &RankSets, base: Option<&Base>) -> u64 {
        let when = |yes: bool| if yes { u64::MAX } else { 0 };
        // Those that are to be refused are among them.
        let must = sets.required
            | (sets.default & when(self.options.write_default))
            | (sets.optional & when(self.options.write_optional));
        let base = when(base.is_some()) & sets.base;
        if self.lenient { must | base } else { (must & !sets.base & !(sets.hidden & when(self.hide))) | base }
    }

    #[inline(never)]
    pub(super) fn fill(&mut self, structure: &'a Struct, seen: Seen, base: Option<&Base>) -> Result<(), Error> {
        let plan = structure.fields.plan();
        for (word, sets) in plan.sets().iter().enumerate() {
            let written = match word.checked_sub(1) {
                None => seen.first,
                Some(more) => self.spill.get(seen.spilled.wrapping_add(more)).copied().unwrap_or_default(),
            };
            let mut missing = self.must(sets, base) & !written;
            while missing != 0 {
                let bit = usize::try_from(missing.trailing_zeros()).unwrap_or_default();
                missing &= missing.wrapping_sub(1);
                let index = plan.index_of_rank(word.wrapping_mul(64).wrapping_add(bit));
                let (Some(slot), Some(field)) = (plan.slots().get(index), structure.fields.get(index)) else {
                    continue;
                };
                self.missing(slot, field, sets.required >> bit & 1 == 1, base)?;
            }
        }
        Ok(())
    }

    /// Writes a field that nobody gave.
    pub(super) fn missing(
        &mut self,
        slot: &Slot,
        field: &Field,
        required: bool,
        base: Option<&Base>,
    ) -> Result<(), Error> {
        match (field.base, base) {
            (Some(BaseKind::Base), Some(base)) => return self.base(field, base, false, 1),
            // Looked at only for the sake of the base beside it.
            (Some(BaseKind::BaseResp), Some(_)) if !self.must_without_base(field) => return Ok(()),
            _ => {}
        }
        if required && !self.options.write_required {
            let kind = ErrorKind::Required { id: field.id, name: field.key.clone() };
            return Err(Error::new(kind).at(self.scan.offset()));
        }
        self.out.put(&slot.head);
        let container = matches!(field.ty, Type::List(_) | Type::Set(_) | Type::Map(..) | Type::Struct(_));
        if self.options.idl_defaults_on_write
            && (self.lenient || !container)
            && let Some(bytes) = fill::default(self.d, field, slot)
        {
            self.out.put_slice(bytes);
            return Ok(());
        }
        self.zero(field.ty);
        Ok(())
    }

    pub(super) fn must_without_base(&self, field: &Field) -> bool {
        self.lenient
            && match field.requiredness {
                Requiredness::Required => true,
                Requiredness::Default => self.options.write_default,
                Requiredness::Optional => self.options.write_optional,
            }
    }

    #[inline]
    pub(in crate::json) fn zero(&mut self, ty: Type) {
        let (bytes, len) = fill::zero(self.d, ty);
        self.out.put_part(&bytes, len);
    }
}

fn word_of(seen: &Seen, rank: u16) -> usize {
    seen.spilled.wrapping_add(usize::from(rank >> 6)).wrapping_sub(1)
}
