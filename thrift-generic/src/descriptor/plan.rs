//! What the converters need of a struct's fields, ready made and side by side.

use std::sync::OnceLock;

use thrift_codec::TType;

use crate::descriptor::{BaseKind, Field, Requiredness, Type};

/// The fields of a struct for converters: in declaration order, and ranked by id.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    slots: Vec<Slot>,
    /// The index of the field with the n-th id, in ascending order.
    by_rank: Vec<u16>,
    sets: Vec<RankSets>,
    keys: KeyTable,
}

/// Fields with some property, as bits by rank; 64 ranks each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RankSets {
    /// Of required requiredness.
    pub(crate) required: u64,
    /// Of default requiredness.
    pub(crate) default: u64,
    /// Optional ones.
    pub(crate) optional: u64,
    /// Written as `base.Base` or `base.BaseResp`.
    pub(crate) base: u64,
    /// With an IDL default.
    pub(crate) with_default: u64,
    /// With an IDL default that is neither a container nor a struct.
    pub(crate) with_plain_default: u64,
    /// `api.none`.
    pub(crate) hidden: u64,
}

/// One field.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Type and id, as on the wire.
    pub(crate) head: [u8; 3],
    /// The type on the wire.
    pub(crate) ttype: TType,
    /// `api.js_conv`.
    pub(crate) js_conv: bool,
    /// There is a value mapping of the user's own, a base, or `api.none`: worth a closer look.
    pub(crate) special: bool,
    /// How many fields have a smaller id.
    pub(crate) rank: u16,
    /// The type.
    pub(crate) ty: Type,
    /// The effective name in JSON.
    pub(crate) key: KeyText,
    /// The IDL default in Thrift Binary, made when it is first needed.
    pub(crate) default: OnceLock<Box<[u8]>>,
}

/// `,"key":`, ready to be written and to be compared with.
#[derive(Debug)]
pub(crate) struct KeyText {
    /// The text, if it fits.
    padded: [u8; Self::PADDED_LEN],
    /// Its length; 0 if it does not fit.
    len: u8,
    /// `"key":` as numbers, and which of their bits count.
    words: [u128; 2],
    masks: [u128; 2],
    /// The text, of any length.
    text: Box<[u8]>,
    /// The same where `<`, `>` and `&` are to be escaped, if that is different.
    html: Option<Box<[u8]>>,
}

impl KeyText {
    /// How much room [`KeyText::padded`] takes.
    pub(crate) const PADDED_LEN: usize = 32;

    fn new(key: &str) -> Self {
        let text = member_text(key, false);
        let mut padded = [0; Self::PADDED_LEN];
        let mut len = 0;
        if let Some(start) = padded.get_mut(..text.len()) {
            start.copy_from_slice(&text);
            len = u8::try_from(text.len()).unwrap_or(0);
        }
        let mut bytes = [0; 32];
        let mut mask = [0; 32];
        for ((byte, mask), &own) in bytes.iter_mut().zip(&mut mask).zip(text.iter().skip(1)) {
            *byte = own;
            *mask = 0xff;
        }
        let [words, masks] = [bytes, mask].map(|bytes| {
            let (low, high) = bytes.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
            let high = high.first_chunk::<16>().unwrap_or(&[0; 16]);
            [u128::from_le_bytes(*low), u128::from_le_bytes(*high)]
        });
        let html = key.contains(['<', '>', '&', '\u{2028}', '\u{2029}']).then(|| member_text(key, true));
        Self { padded, len, words, masks, text, html }
    }

    /// `,"key":` and how many of these bytes count; none if it is too long for that.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn padded(&self) -> Option<(&[u8; Self::PADDED_LEN], usize)> {
        (self.len != 0).then_some((&self.padded, usize::from(self.len)))
    }

    /// `,"key":`.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether [`KeyText::text`] is no good where `<`, `>` and `&` are to be escaped.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn minds_html(&self) -> bool {
        self.html.is_some()
    }

    /// [`KeyText::text`] where `<`, `>` and `&` are to be escaped.
    pub(crate) fn html_text(&self) -> &[u8] {
        self.html.as_ref().unwrap_or(&self.text)
    }

    /// What follows `"key":`, if `json` begins with exactly that.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn strip<'j>(&self, json: &'j [u8]) -> Option<&'j [u8]> {
        let len = usize::from(self.len);
        if len == 0 {
            return self.strip_slowly(json);
        }
        let Some((low, high)) = json.split_first_chunk::<16>() else { return self.strip_slowly(json) };
        let [low_word, high_word] = self.words;
        let [low_mask, high_mask] = self.masks;
        if u128::from_le_bytes(*low) & low_mask != low_word {
            return None;
        }
        if high_mask != 0 {
            let Some(high) = high.first_chunk::<16>() else { return self.strip_slowly(json) };
            if u128::from_le_bytes(*high) & high_mask != high_word {
                return None;
            }
        }
        json.get(len.wrapping_sub(1)..)
    }

    #[cold]
    fn strip_slowly<'j>(&self, json: &'j [u8]) -> Option<&'j [u8]> {
        json.strip_prefix(self.text.split_first()?.1)
    }
}

/// `,"key":`.
fn member_text(key: &str, html: bool) -> Box<[u8]> {
    let mut text = String::from(",\"");
    for letter in key.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if html => {
                text.push_str(&format!("\\u{:04x}", u32::from(letter)))
            }
            '\0'..' ' => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => text.push(letter),
        }
    }
    text.push_str("\":");
    text.into_bytes().into()
}

impl Plan {
    /// The plan of these fields. `by_id` finds a field by its id: of several with the same one, one.
    pub(crate) fn new(fields: &[Field], by_id: impl Fn(i16) -> Option<usize>) -> Self {
        let mut by_rank: Vec<u16> = (0u16..).zip(fields).map(|(index, _)| index).collect();
        by_rank.sort_by_key(|&index| fields.get(usize::from(index)).map(|field| field.id));
        let mut plan = Self { keys: KeyTable::new(fields), by_rank, ..Self::default() };
        plan.sets = vec![RankSets::default(); fields.len().div_ceil(64).max(1)];
        let mut ranks = vec![0; fields.len()];
        for (rank, &index) in plan.by_rank.iter().enumerate() {
            ranks.get_mut(usize::from(index)).into_iter().for_each(|place| *place = rank);
        }
        for ((index, field), rank) in fields.iter().enumerate().zip(ranks) {
            let ttype = field.ty.ttype();
            let [high, low] = field.id.to_be_bytes();
            plan.slots.push(Slot {
                head: [ttype.0, high, low],
                ttype,
                js_conv: field.js_conv,
                special: field.value_mapping.is_some() || field.base.is_some() || field.hidden,
                rank: u16::try_from(rank).unwrap_or(u16::MAX),
                ty: field.ty,
                key: KeyText::new(&field.key),
                default: OnceLock::new(),
            });
            // Of fields with the same id or name only one is ever found; the other ones are not there at all.
            if by_id(field.id) == Some(index) && plan.index_of_key(field.key.as_bytes()) == Some(index) {
                plan.add_to_sets(rank, field);
            }
        }
        plan
    }

    fn add_to_sets(&mut self, rank: usize, field: &Field) {
        let Some(sets) = self.sets.get_mut(rank.wrapping_div(64)) else { return };
        let bit = 1u64 << (rank & 63);
        match field.requiredness {
            Requiredness::Required => sets.required |= bit,
            Requiredness::Default => sets.default |= bit,
            Requiredness::Optional => sets.optional |= bit,
        }
        if matches!(field.base, Some(BaseKind::Base | BaseKind::BaseResp)) {
            sets.base |= bit;
        }
        if field.default.is_some() {
            sets.with_default |= bit;
            if !matches!(field.ty, Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..)) {
                sets.with_plain_default |= bit;
            }
        }
        if field.hidden {
            sets.hidden |= bit;
        }
    }

    /// The fields, in declaration order.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The sets of ranks 0 to 63, 64 to 127 and so on; one at the least.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn sets(&self) -> &[RankSets] {
        &self.sets
    }

    /// The index of the field with this rank.
    pub(crate) fn index_of_rank(&self, rank: usize) -> usize {
        self.by_rank.get(rank).copied().map_or(usize::MAX, usize::from)
    }

    /// The index of the field with this effective name.
    #[inline]
    pub(crate) fn index_of_key(&self, key: &[u8]) -> Option<usize> {
        self.keys.find(key).map(usize::from)
    }
}

/// Names to indices: open addressing, half full at the most. Names come from an IDL, so that nobody picks them to collide.
#[derive(Debug, Default)]
struct KeyTable {
    entries: Vec<(Box<[u8]>, u16)>,
}

impl KeyTable {
    fn new(fields: &[Field]) -> Self {
        let len = fields.len().saturating_mul(2).next_power_of_two();
        let mut table = Self { entries: vec![(Box::default(), NONE); len] };
        for (field, index) in fields.iter().zip(0u16..NONE) {
            let mut at = table.slot_of(field.key.as_bytes());
            while let Some((key, held)) = table.entries.get_mut(at) {
                if *held == NONE || **key == *field.key.as_bytes() {
                    *key = field.key.as_bytes().into();
                    *held = index;
                    break;
                }
                at = table.after(at);
            }
        }
        table
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<u16> {
        let mut at = self.slot_of(key);
        loop {
            let (held, index) = self.entries.get(at)?;
            if *index == NONE {
                return None;
            }
            if **held == *key {
                return Some(*index);
            }
            at = self.after(at);
        }
    }

    #[inline]
    fn slot_of(&self, key: &[u8]) -> usize {
        usize::try_from(hash(key) >> 32).unwrap_or_default() & self.entries.len().wrapping_sub(1)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.entries.len().wrapping_sub(1)
    }
}

const NONE: u16 = u16::MAX;

/// Looks at the ends of a key and its length only; the rest is left to the comparison.
#[inline]
fn hash(key: &[u8]) -> u64 {
    let (front, back) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(front), Some(back)) => (u64::from_le_bytes(*front), u64::from_le_bytes(*back)),
        _ => match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
            (Some(front), Some(back)) => (u64::from(u32::from_le_bytes(*front)), u64::from(u32::from_le_bytes(*back))),
            _ => {
                let [first, middle, last] =
                    [key.first(), key.get(1), key.last()].map(|byte| byte.copied().map_or(0, u64::from));
                (first | (middle << 8), last)
            }
        },
    };
    let len = u64::try_from(key.len()).unwrap_or(u64::MAX);
    let mixed = (front ^ back.rotate_left(29) ^ len.rotate_left(56)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stripped_exactly() {
        for key in [
            "a",
            "StringField",
            "exactly14bytes",
            "exactly_28_bytes_of_this_key",
            "longer than thirty-two bytes, it is",
        ] {
            let text = KeyText::new(key);
            for tail in ["", "1", "                                      "] {
                let json = format!("\"{key}\":{tail}");
                assert_eq!(text.strip(json.as_bytes()), Some(tail.as_bytes()), "{json}");
                for wrong in [format!("\"{key}x\":{tail}"), format!("\"{key}\" :{tail}"), format!("'{key}\":{tail}")] {
                    assert_eq!(text.strip(wrong.as_bytes()), None, "{wrong}");
                }
            }
            let whole = format!("\"{key}\":");
            for len in 0..whole.len() {
                assert_eq!(text.strip(&whole.as_bytes()[..len]), None);
            }
        }
    }
}
