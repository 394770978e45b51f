//! Headers of any content go to the wire and back, changes do what a model of them does, and no bytes make it panic.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio_util::codec::Decoder;
use ttheader::{
    EncodeError, Entry, Flags, Frame, Head, Header, HeaderView, HeaderWriter, IntKey, MeshHeader, Patch, ProtocolId,
    TtHeaderCodec,
};

/// An entry that owns what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Str(Vec<u8>, Vec<u8>),
    Int(u16, Vec<u8>),
    Acl(Vec<u8>),
}

/// One call of a patch.
#[derive(Clone, Debug)]
enum Call {
    RemoveStr(Vec<u8>),
    SetStr(Vec<u8>, Vec<u8>),
    AppendStr(Vec<u8>, Vec<u8>),
    RemoveInt(u16),
    SetInt(u16, Vec<u8>),
    AppendInt(u16, Vec<u8>),
    RemoveAcl,
    /// Of the entry at this place, modulo their number.
    Replace(usize, Vec<u8>),
    Remove(usize),
}

proptest! {
    #[test]
    fn a_header_comes_back_as_it_went(
        flags: u16,
        seq: i32,
        id in prop_oneof![Just(0x00), Just(0x03), Just(0x04), Just(0x10), Just(0x11)],
        items in items(),
        payload in vec(any::<u8>(), 0..64),
    ) {
        let mut wire = BytesMut::new();
        let mut writer = HeaderWriter::new(&mut wire, Flags(flags), seq);
        writer.protocol_id(ProtocolId(id));
        for item in &items {
            match item {
                Item::Str(key, value) => writer.string(key, value)?,
                Item::Int(key, value) => writer.int(IntKey(*key), value)?,
                Item::Acl(value) => writer.acl_token(value)?,
            }
        }
        writer.finish(payload.len())?;
        let head_len = wire.len();
        wire.extend_from_slice(&payload);
        let original = wire.clone();

        let frame = TtHeaderCodec::default().decode(&mut wire)?.unwrap();
        prop_assert!(wire.is_empty());
        let header = frame.header();
        prop_assert_eq!((header.flags(), header.seq(), header.protocol_id()), (Flags(flags), seq, ProtocolId(id)));
        prop_assert_eq!(items_of(&header), items.clone());
        prop_assert_eq!(frame.payload(), payload.clone());
        prop_assert_eq!(frame.raw(), &original);

        let mut dst = BytesMut::new();
        Header::from(header).encode(payload.len(), &mut dst)?;
        prop_assert_eq!(&dst, &original[..head_len]);
        prop_assert_eq!(&built(flags, seq, id, &items)?, &dst_without_payload(&original[..head_len]));
    }

    #[test]
    fn a_patch_does_what_its_model_does(items in items(), padding in vec(0..3_usize, 8), calls in vec(call(), 0..9)) {
        let wire = wire(&items, &padding);
        let mut entries = Vec::new();
        let view = HeaderView::parse_with(&wire, |entry| entries.push(entry))?;
        prop_assert_eq!(items_of(&view), items.clone());
        prop_assert_eq!(view.entries().collect::<Vec<_>>(), entries.clone());

        let mut patch = Patch::new();
        for call in &calls {
            apply(&mut patch, call, &entries);
        }
        let mut dst = BytesMut::new();
        patch.encode(&view, 3, &mut dst)?;
        let patched = HeaderView::parse(&dst)?;
        prop_assert_eq!(patched.head().payload_len(), 3);
        let expected = model(&items, &calls);
        prop_assert_eq!(items_of(&patched), expected.clone());

        // A patched header is as good to search as one that was parsed.
        for item in &expected {
            match item {
                Item::Str(key, _) => prop_assert_eq!(patched.string(key), last(&patched, item)),
                Item::Int(key, _) => prop_assert_eq!(patched.int(IntKey(*key)), last(&patched, item)),
                Item::Acl(_) => prop_assert_eq!(patched.acl_token(), last(&patched, item)),
            }
        }

        let mut header = Header::from(view);
        header.apply(&patch)?;
        prop_assert_eq!(items_of(&header.view()), expected);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in vec(any::<u8>(), 0..256)) {
        probe(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_head_are_taken_or_refused(block in vec(any::<u8>(), 4..256)) {
        let block = &block[..block.len() / 4 * 4];
        probe(&framed(block));
    }

    #[test]
    fn a_changed_byte_is_taken_or_refused(items in items(), at: prop::sample::Index, to: u8) {
        let mut wire = wire(&items, &[0]);
        let at = at.index(wire.len());
        wire[at] = to;
        probe(&wire);
    }

    #[test]
    fn any_bytes_of_a_mesh_header_are_taken_or_refused(bytes in vec(prop_oneof![0..4_u8, any::<u8>()], 0..64)) {
        let size = u16::try_from(bytes.len()).unwrap();
        let wire = [&[0xff, 0xaf][..], &size.to_be_bytes(), &bytes].concat();
        if let Ok(header) = MeshHeader::parse(&wire) {
            let count = u16::from_be_bytes([wire[4], wire[5]]);
            prop_assert_eq!(header.pairs().count(), usize::from(count));
        }
    }
}

/// Reads all there is to read, if there is.
fn probe(bytes: &[u8]) {
    let mut seen = 0;
    let parsed = HeaderView::parse_with(bytes, |_| seen += 1);
    if let Ok(view) = parsed {
        assert_eq!(view.entries().count(), seen);
        assert_eq!(view.strings().count() + view.ints().count(), view.entries().filter(|e| !is_acl(e)).count());
        let counted: usize = view.sections().map(|section| usize::from(section.count)).sum();
        assert_eq!(counted, seen);
        let mut dst = BytesMut::new();
        Patch::new().set_string(b"a", b"b").remove_int(IntKey(1)).encode(&view, 0, &mut dst).unwrap();
    }
    let mut src = BytesMut::from(bytes);
    while let Ok(Some(frame)) = TtHeaderCodec::default().decode(&mut src) {
        assert_eq!(Frame::parse(frame.raw().clone()), Ok(frame));
    }
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Item::Str(key, value)),
        4 => (0..6_u16, value()).prop_map(|(key, value)| Item::Int(key, value)),
        1 => value().prop_map(Item::Acl),
    ];
    vec(item, 0..12)
}

/// Few keys, so that there are duplicates.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(b"isn".to_vec()), Just(b"rip".to_vec()), vec(b'a'..b'd', 0..2)]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..6)
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        key().prop_map(Call::RemoveStr),
        (key(), value()).prop_map(|(key, value)| Call::SetStr(key, value)),
        (key(), value()).prop_map(|(key, value)| Call::AppendStr(key, value)),
        (0..6_u16).prop_map(Call::RemoveInt),
        (0..6_u16, value()).prop_map(|(key, value)| Call::SetInt(key, value)),
        (0..6_u16, value()).prop_map(|(key, value)| Call::AppendInt(key, value)),
        Just(Call::RemoveAcl),
        (0..12_usize, value()).prop_map(|(at, value)| Call::Replace(at, value)),
        (0..12_usize).prop_map(Call::Remove),
    ]
}

fn apply<'a>(patch: &mut Patch<'a>, call: &'a Call, entries: &[Entry<'a>]) {
    let at = |at: &usize| entries.get(at % entries.len().max(1));
    match call {
        Call::RemoveStr(key) => _ = patch.remove_string(key),
        Call::SetStr(key, value) => _ = patch.set_string(key, value),
        Call::AppendStr(key, value) => _ = patch.append_string(key, value),
        Call::RemoveInt(key) => _ = patch.remove_int(IntKey(*key)),
        Call::SetInt(key, value) => _ = patch.set_int(IntKey(*key), value),
        Call::AppendInt(key, value) => _ = patch.append_int(IntKey(*key), value),
        Call::RemoveAcl => _ = patch.remove_acl_token(),
        Call::Replace(i, value) => _ = at(i).map(|entry| patch.replace(entry, value)),
        Call::Remove(i) => _ = at(i).map(|entry| patch.remove(entry)),
    }
}

/// What becomes of the entries, worked out on the list of them.
fn model(items: &[Item], calls: &[Call]) -> Vec<Item> {
    // Of calls that change the same, the last one counts, in the place of the first.
    let same = |a: &Call, b: &Call| match (a, b) {
        (Call::RemoveStr(a) | Call::SetStr(a, _), Call::RemoveStr(b) | Call::SetStr(b, _)) => a == b,
        (Call::RemoveInt(a) | Call::SetInt(a, _), Call::RemoveInt(b) | Call::SetInt(b, _)) => a == b,
        (Call::Remove(a) | Call::Replace(a, _), Call::Remove(b) | Call::Replace(b, _)) => {
            items.is_empty() || a % items.len() == b % items.len()
        }
        (Call::RemoveAcl, Call::RemoveAcl) => true,
        _ => false,
    };
    let mut changes: Vec<Call> = Vec::new();
    for call in calls {
        match changes.iter_mut().find(|earlier| same(earlier, call)) {
            Some(earlier) => *earlier = call.clone(),
            None => changes.push(call.clone()),
        }
    }
    let mut found = vec![false; changes.len()];
    let mut result = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let concerns = |call: &Call| match (call, item) {
            (Call::RemoveStr(a) | Call::SetStr(a, _), Item::Str(b, _)) => a == b,
            (Call::RemoveInt(a) | Call::SetInt(a, _), Item::Int(b, _)) => a == b,
            (Call::RemoveAcl, Item::Acl(_)) => true,
            (Call::Remove(at) | Call::Replace(at, _), _) => at % items.len() == place,
            _ => false,
        };
        let Some(i) = changes.iter().position(concerns) else {
            result.push(item.clone());
            continue;
        };
        if let (false, Call::SetStr(_, value) | Call::SetInt(_, value) | Call::Replace(_, value)) =
            (found[i], &changes[i])
        {
            result.push(match item {
                Item::Str(key, _) => Item::Str(key.clone(), value.clone()),
                Item::Int(key, _) => Item::Int(*key, value.clone()),
                Item::Acl(_) => Item::Acl(value.clone()),
            });
        }
        found[i] = true;
    }
    for (call, found) in changes.into_iter().zip(found) {
        match call {
            Call::SetStr(key, value) if !found => result.push(Item::Str(key, value)),
            Call::SetInt(key, value) if !found => result.push(Item::Int(key, value)),
            Call::AppendStr(key, value) => result.push(Item::Str(key, value)),
            Call::AppendInt(key, value) => result.push(Item::Int(key, value)),
            _ => {}
        }
    }
    result
}

/// A frame without payload with every entry in a section of its own or with its like, and padding between sections,
/// written without the crate's help.
fn wire(items: &[Item], padding: &[usize]) -> Vec<u8> {
    let number = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let string = |s: &[u8]| [&number(s.len()), s].concat();
    let mut block = vec![0, 0];
    let mut rest = items;
    for i in 0.. {
        let id = match rest.first() {
            None => break,
            Some(Item::Str(..)) => 0x01,
            Some(Item::Int(..)) => 0x10,
            Some(Item::Acl(_)) => 0x11,
        };
        // Never more than three in a section: then follows another of the same kind.
        let alike = |item: &&Item| std::mem::discriminant(*item) == std::mem::discriminant(&rest[0]);
        let count = if id == 0x11 { 1 } else { rest.iter().take(3).take_while(alike).count() };
        block.extend(vec![0; padding[i % padding.len()]]);
        block.push(id);
        if id != 0x11 {
            block.extend(number(count));
        }
        for item in &rest[..count] {
            match item {
                Item::Str(key, value) => block.extend([string(key), string(value)].concat()),
                Item::Int(key, value) => block.extend([&key.to_be_bytes()[..], &string(value)].concat()),
                Item::Acl(value) => block.extend(string(value)),
            }
        }
        rest = &rest[count..];
    }
    block.resize(block.len().next_multiple_of(4), 0);
    framed(&block)
}

fn framed(block: &[u8]) -> Vec<u8> {
    let length = u32::try_from(block.len() + 10).unwrap();
    let header_words = u16::try_from(block.len() / 4).unwrap();
    [&Head { length, flags: Flags::default(), seq: 1, header_words }.to_bytes(), block].concat()
}

/// The same header by way of `Header`, for a frame without payload.
fn built(flags: u16, seq: i32, id: u8, items: &[Item]) -> Result<BytesMut, EncodeError> {
    let mut header = Header::new(Flags(flags), seq);
    header.set_protocol_id(ProtocolId(id));
    for item in items {
        match item {
            Item::Str(key, value) => header.append_string(key, value)?,
            Item::Int(key, value) => header.append_int(IntKey(*key), value)?,
            Item::Acl(value) => header.append_acl_token(value)?,
        }
    }
    let mut dst = BytesMut::new();
    header.encode(0, &mut dst)?;
    Ok(dst)
}

fn dst_without_payload(head: &[u8]) -> BytesMut {
    let mut dst = BytesMut::from(head);
    ttheader::set_length(&mut dst, u32::try_from(head.len() - 4).unwrap()).unwrap();
    dst
}

fn items_of(view: &HeaderView<'_>) -> Vec<Item> {
    let item = |entry| match entry {
        Entry::Str { key, value, .. } => Item::Str(key.to_vec(), value.to_vec()),
        Entry::Int { key, value, .. } => Item::Int(key.0, value.to_vec()),
        Entry::Acl { value, .. } => Item::Acl(value.to_vec()),
        _ => panic!("{entry:?}"),
    };
    view.entries().map(item).collect()
}

/// The value of the last entry with the same key.
fn last<'a>(view: &HeaderView<'a>, item: &Item) -> Option<&'a [u8]> {
    let alike = |entry: &Entry<'_>| match (entry, item) {
        (Entry::Str { key, .. }, Item::Str(ours, _)) => key == ours,
        (Entry::Int { key, .. }, Item::Int(ours, _)) => key.0 == *ours,
        (Entry::Acl { .. }, Item::Acl(_)) => true,
        _ => false,
    };
    view.entries().filter(alike).last().map(|entry| entry.value())
}

fn is_acl(entry: &Entry<'_>) -> bool {
    matches!(entry, Entry::Acl { .. })
}
