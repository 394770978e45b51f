//! Where a struct's fields are to be looked for in requests, worked out once.

use std::collections::{HashMap, HashSet};

use crate::descriptor::{Descriptor, FieldSet, Source, StructId, Type};
use crate::options::Profile;

/// A struct's fields, by where they come from.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Fields that may come from elsewhere than the body, in declaration order.
    pub(super) sourced: Vec<Sourced>,
    /// Members of the body that fields come from, in declaration order.
    entries: Vec<Entry>,
    by_key: HashMap<Box<[u8]>, usize>,
    /// Whether a field with this index has fields below it that may come from elsewhere than the body.
    deep: Vec<bool>,
    /// Whether the field with this index can be found at all: of two with one name the earlier can't.
    pub(super) reachable: Vec<bool>,
}

/// A field that may come from elsewhere than the body.
#[derive(Debug)]
pub(super) struct Sourced {
    pub(super) field: usize,
    /// The sources that come before the body, and those after, as ranges in [`Field::http`](crate::descriptor::Field).
    pub(super) before: std::ops::Range<usize>,
    pub(super) after: std::ops::Range<usize>,
}

/// A member of the body.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Box<[u8]>,
    pub(super) takers: Vec<Taker>,
}

/// A field that takes a member of the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    pub(super) field: usize,
    /// By `api.body`; otherwise because it has no place of its own, or as a last resort.
    pub(super) annotated: bool,
    /// By its name as a last resort: what no annotation found.
    pub(super) fallback: bool,
}

impl Plan {
    pub(super) fn new(d: &Descriptor, fields: &FieldSet, profile: Profile) -> Self {
        let mut plan = Self {
            sourced: Vec::new(),
            entries: Vec::new(),
            by_key: HashMap::new(),
            deep: Vec::new(),
            reachable: Vec::new(),
        };
        for (index, field) in fields.iter().enumerate() {
            let is_reachable = fields.index_of_key(&field.key) == Some(index);
            plan.reachable.push(is_reachable);
            plan.deep.push(profile == Profile::Dynamic && below(d, field.ty));
            if !is_reachable {
                continue;
            }
            // The default profile knows the last annotation only.
            let first = if profile == Profile::Default { field.http.len().saturating_sub(1) } else { 0 };
            let sources = field.http.get(first..).unwrap_or_default();
            let body = sources.iter().position(|source| matches!(source, Source::Body(_)));
            let before = first..body.map_or(field.http.len(), |at| first.saturating_add(at));
            let after = body.map_or(0..0, |at| first.saturating_add(at).saturating_add(1)..field.http.len());
            if !(before.is_empty() && after.is_empty()) {
                plan.sourced.push(Sourced { field: index, before, after });
            }
            for source in sources {
                if let Source::Body(name) = source {
                    plan.add(name, Taker { field: index, annotated: true, fallback: false });
                }
            }
            match sources {
                // Kitex's default converter does not know forms; without one there may be a body.
                [] | [Source::Form(_)] => {
                    plan.add(&field.key, Taker { field: index, annotated: false, fallback: false })
                }
                [Source::None] => {}
                _ => plan.add(&field.key, Taker { field: index, annotated: false, fallback: true }),
            }
        }
        plan
    }

    /// The member of the body with this key. `hint`: the place after the last one that was found, where the next one is
    /// likely to be.
    #[inline]
    pub(super) fn entry(&self, key: &[u8], hint: &mut usize) -> Option<&Entry> {
        if let Some(entry) = self.entries.get(*hint).filter(|entry| *entry.key == *key) {
            *hint = hint.saturating_add(1);
            return Some(entry);
        }
        let at = *self.by_key.get(key)?;
        *hint = at.saturating_add(1);
        self.entries.get(at)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether every field, at every level, is a member of the body under its name.
    pub(super) fn is_plain(&self) -> bool {
        let is_plain = |taker: &Taker| !taker.annotated && !taker.fallback;
        self.sourced.is_empty()
            && !self.deep.contains(&true)
            && self.entries.iter().flat_map(|entry| &entry.takers).all(is_plain)
    }

    /// Whether fields below this one may come from elsewhere than the body.
    pub(super) fn is_deep(&self, field: usize) -> bool {
        self.deep.get(field).copied().unwrap_or_default()
    }

    fn add(&mut self, key: &str, taker: Taker) {
        let next = self.entries.len();
        let at = *self.by_key.entry(key.as_bytes().into()).or_insert(next);
        if at == next {
            self.entries.push(Entry { key: key.as_bytes().into(), takers: Vec::new() });
        }
        if let Some(entry) = self.entries.get_mut(at) {
            // One field may take a member twice: by its annotation, and by its name as a last resort.
            match entry.takers.iter_mut().find(|known| known.field == taker.field) {
                Some(known) => known.fallback |= taker.fallback,
                None => entry.takers.push(taker),
            }
        }
    }
}

/// Whether fields in a value of this type, at any depth, have places in HTTP of their own.
fn below(d: &Descriptor, ty: Type) -> bool {
    let mut types = vec![ty];
    let mut seen: HashSet<StructId> = HashSet::new();
    while let Some(ty) = types.pop() {
        match ty {
            Type::Struct(id) if seen.insert(id) => {
                for field in d.structure(id).fields.iter() {
                    if !field.http.is_empty() {
                        return true;
                    }
                    types.push(field.ty);
                }
            }
            Type::List(element) | Type::Set(element) => types.push(d.ty(element)),
            Type::Map(_, value) => types.push(d.ty(value)),
            _ => {}
        }
    }
    false
}
