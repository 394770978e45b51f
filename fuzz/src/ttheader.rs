use bytes::BytesMut;
use testkit::decode_in_reads;
use ttheader::{
    DecodeError, Entry, Frame, Head, Header, HeaderView, HeaderWriter, IntKey, MeshHeader, Patch, TtHeaderCodec,
};

/// [`TtHeaderCodec`], [`Head`], [`HeaderView`] and what writes headers: the same frames and the same error however the
/// bytes are split, frames are the bytes themselves; a header holds what a plain reader finds in it, and goes back
/// to the wire in every way there is.
pub fn ttheader(data: &[u8]) {
    let new = || TtHeaderCodec::builder().max_frame_len(1 << 12).max_header_len(1 << 11).build();
    let whole = decode_in_reads(&mut new(), [data]);
    assert_eq!(decode_in_reads(&mut new(), data.chunks(1)), whole, "one byte at a time");
    assert_eq!(decode_in_reads(&mut new(), data.chunks(7)), whole, "seven bytes at a time");
    let (frames, error) = whole;
    let raw: Vec<u8> = frames.iter().flat_map(|frame| frame.raw().to_vec()).collect();
    assert!(data.starts_with(&raw), "frames are not the bytes they came from");
    assert_eq!(error.is_none(), raw.len() == data.len(), "bytes are left over and nobody said so");
    for frame in &frames {
        assert_eq!(Frame::parse(frame.raw().clone()).as_ref(), Ok(frame));
    }

    let peeked = Head::peek(data);
    for len in 0..data.len().min(16) {
        match Head::peek(&data[..len]) {
            Ok(None) => {}
            early => assert_eq!(early, peeked, "another verdict after {len} bytes"),
        }
    }

    let mut handed_out = Vec::new();
    let parsed = HeaderView::parse_with(data, |entry| handed_out.push(entry));
    match (plain::header(data), &parsed) {
        (Some(items), Ok(view)) => {
            assert_eq!(items_of(view), items);
            assert_eq!(view.entries().collect::<Vec<_>>(), handed_out);
            for entry in &handed_out {
                assert_eq!(&data[entry.value_range()], entry.value());
            }
            write_back(view);
            patch(view, &items, &handed_out);
        }
        (None, Err(_)) => {}
        (plain, parsed) => panic!("a plain reader says {plain:?}, ours {parsed:?}"),
    }
}

/// [`MeshHeader`]: what a plain reader finds in it, and on each prefix the verdict of the end or none.
pub fn mesh_header(data: &[u8]) {
    let peeked = MeshHeader::peek(data);
    for len in 0..data.len().min(6) {
        match MeshHeader::peek(&data[..len]) {
            Ok(None) => {}
            early => assert_eq!(early, peeked, "another verdict after {len} bytes"),
        }
    }
    let parsed = MeshHeader::parse(data);
    match (plain::mesh(data), &parsed) {
        (Some(items), Ok(header)) => {
            let pairs: Vec<_> = header.pairs().map(|(key, value)| Item::Str(key, value)).collect();
            assert_eq!(pairs, items);
            assert_eq!(Ok(Some(header.bytes().len())), peeked);
            assert!(data.starts_with(header.bytes()));
        }
        (None, Err(DecodeError::WrongMagic { .. } | DecodeError::TooSmall { .. } | DecodeError::Truncated { .. })) => {}
        (plain, parsed) => panic!("a plain reader says {plain:?}, ours {parsed:?}"),
    }
}

/// By way of `Header`, a patch that changes nothing, and entry by entry.
fn write_back(view: &HeaderView<'_>) {
    let payload_len = view.head().payload_len();
    let mut dst = BytesMut::new();
    Header::from(*view).encode(payload_len, &mut dst).expect("it came with these lengths");
    let again = HeaderView::parse(&dst).expect("ours");
    assert_eq!(again.entries().collect::<Vec<_>>(), view.entries().collect::<Vec<_>>());
    assert_eq!((again.transforms(), again.protocol_id()), (view.transforms(), view.protocol_id()));
    assert_eq!((again.flags(), again.seq()), (view.flags(), view.seq()));
    assert_eq!(again.head().payload_len(), payload_len);
    if dst.len() == view.bytes().len() {
        assert_eq!(dst, view.bytes(), "no shorter padding is possible, and yet it is another header");
    }

    let mut patched = BytesMut::new();
    Patch::new().encode(view, payload_len, &mut patched).expect("nothing was added");
    assert_eq!(patched, dst);

    let mut written = BytesMut::new();
    let mut writer = HeaderWriter::new(&mut written, view.flags(), view.seq());
    for entry in view.entries() {
        let done = match entry {
            Entry::Str { key, value, .. } => writer.string(key, value),
            Entry::Int { key, value, .. } => writer.int(key, value),
            Entry::Acl { value, .. } => writer.acl_token(value),
            other => panic!("{other:?}"),
        };
        done.expect("it came with a length");
    }
    writer.finish(payload_len).expect("it is no longer than it was");
    assert_eq!(items_of(&HeaderView::parse(&written).expect("ours")), items_of(view));
}

/// One change of each kind, of what stands in the middle.
fn patch<'a>(view: &HeaderView<'a>, items: &[Item<'a>], entries: &[Entry<'a>]) {
    let middle = items.len() / 2;
    let Some(entry) = entries.get(middle) else { return };
    let same = |item: &Item<'_>| item.key() == items[middle].key();
    let mut dst = BytesMut::new();
    let mut check = |patch: &Patch<'_>, expected: Vec<Item<'_>>| {
        dst.clear();
        // A header at the limit has no room for more.
        if patch.encode(view, 0, &mut dst).is_ok() {
            let patched = HeaderView::parse(&dst).expect("ours");
            assert_eq!(items_of(&patched), expected, "{patch:?}");
        } else {
            assert!(dst.is_empty());
        }
    };

    let mut others = items.to_vec();
    others.remove(middle);
    check(Patch::new().remove(entry), others);
    let mut replaced = items.to_vec();
    replaced[middle] = items[middle].with_value(b"new");
    check(Patch::new().replace(entry, b"new"), replaced);

    let without: Vec<_> = items.iter().filter(|item| !same(item)).copied().collect();
    let first = items.iter().position(same).expect("the one in the middle at least");
    let mut set: Vec<_> = items[..first].to_vec();
    set.push(items[middle].with_value(b""));
    set.extend(items[first..].iter().filter(|item| !same(item)));
    match *entry {
        Entry::Str { key, .. } => {
            check(Patch::new().remove_string(key), without);
            check(Patch::new().set_string(key, b""), set);
        }
        Entry::Int { key, .. } => {
            check(Patch::new().remove_int(key), without);
            check(Patch::new().set_int(key, b""), set);
        }
        _ => check(Patch::new().remove_acl_token(), without),
    }
    let mut more = items.to_vec();
    more.extend([Item::Str(b"k", b"v"), Item::Int(7, b"")]);
    check(Patch::new().append_string(b"k", b"v").append_int(IntKey(7), b""), more);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item<'a> {
    Str(&'a [u8], &'a [u8]),
    Int(u16, &'a [u8]),
    Acl(&'a [u8]),
}

impl<'a> Item<'a> {
    fn key(&self) -> (u8, &'a [u8], u16) {
        match *self {
            Self::Str(key, _) => (1, key, 0),
            Self::Int(key, _) => (2, &[], key),
            Self::Acl(_) => (3, &[], 0),
        }
    }

    fn with_value(self, value: &'a [u8]) -> Self {
        match self {
            Self::Str(key, _) => Self::Str(key, value),
            Self::Int(key, _) => Self::Int(key, value),
            Self::Acl(_) => Self::Acl(value),
        }
    }
}

fn items_of<'a>(view: &HeaderView<'a>) -> Vec<Item<'a>> {
    let item = |entry| match entry {
        Entry::Str { key, value, .. } => Item::Str(key, value),
        Entry::Int { key, value, .. } => Item::Int(key.0, value),
        Entry::Acl { value, .. } => Item::Acl(value),
        other => panic!("{other:?}"),
    };
    view.entries().map(item).collect()
}

/// The specification's sections 3 and 2.6 read off the page, by index.
mod plain {
    use super::Item;

    pub(super) fn header(wire: &[u8]) -> Option<Vec<Item<'_>>> {
        let length = usize::try_from(u32::from_be_bytes(wire.get(..4)?.try_into().ok()?)).ok()?;
        let block_len = number(wire, 12)? * 4;
        if number(wire, 4)? != 0x1000 || block_len == 0 || length < 10 + block_len {
            return None;
        }
        let block = wire.get(14..14 + block_len)?;
        if ![0x00, 0x03, 0x04, 0x10, 0x11].contains(&block[0]) {
            return None;
        }
        let mut at = 2 + usize::from(block[1]);
        if at > block_len {
            return None;
        }
        let mut items = Vec::new();
        while at < block_len {
            at += 1;
            match block[at - 1] {
                0x00 => {}
                id @ (0x01 | 0x10) => {
                    let count = number(block, at)?;
                    at += 2;
                    for _ in 0..count {
                        items.push(if id == 0x01 {
                            Item::Str(string(block, &mut at)?, string(block, &mut at)?)
                        } else {
                            let key = number(block, at)?.try_into().ok()?;
                            at += 2;
                            Item::Int(key, string(block, &mut at)?)
                        });
                    }
                }
                0x11 => items.push(Item::Acl(string(block, &mut at)?)),
                _ => return None,
            }
        }
        Some(items)
    }

    pub(super) fn mesh(wire: &[u8]) -> Option<Vec<Item<'_>>> {
        if number(wire, 0)? != 0xffaf {
            return None;
        }
        let block = wire.get(4..4 + number(wire, 2)?)?;
        let mut at = 2;
        (0..number(block, 0)?).map(|_| Some(Item::Str(string(block, &mut at)?, string(block, &mut at)?))).collect()
    }

    fn string<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
        let len = number(bytes, *at)?;
        let string = bytes.get(*at + 2..*at + 2 + len)?;
        *at += 2 + len;
        Some(string)
    }

    fn number(bytes: &[u8], at: usize) -> Option<usize> {
        Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
    }
}
