use bytes::BytesMut;
use testkit::decode_in_reads;
use thrift_codec::{
    ApplicationException, BufferedCodec, DecodeError, ErrorProto, MAX_DEPTH, MessageHeader, Skipper, TType, set_seqid,
    skip_struct,
};

/// [`BufferedCodec`] and [`Skipper`]: the same items and the same error however the bytes are split, items are the
/// bytes themselves, and a value ends where a plain recursive reader says it does.
pub fn thrift_buffered(data: &[u8]) {
    let new = || BufferedCodec::builder().max_message_len(1 << 12).max_name_len(64).build();
    let whole = decode_in_reads(&mut new(), [data]);
    assert_eq!(decode_in_reads(&mut new(), data.chunks(1)), whole, "one byte at a time");
    assert_eq!(decode_in_reads(&mut new(), data.chunks(7)), whole, "seven bytes at a time");
    let (items, error) = whole;
    let items = items.concat();
    assert!(data.starts_with(&items), "messages are not the bytes they came from");
    assert_eq!(error.is_none(), items.len() == data.len(), "bytes are left over and nobody said so");

    let (first, value) = data.split_first().map_or((TType::STRUCT, data), |(first, rest)| (TType(*first), rest));
    for (ttype, value) in [(TType::STRUCT, data), (first, value)] {
        let expected = plain::skip(ttype, value);
        assert_eq!(skip_in_pieces(ttype, [value]), expected, "{ttype:?}, whole");
        assert_eq!(skip_in_pieces(ttype, value.chunks(1)), expected, "{ttype:?}, one byte at a time");
        assert_eq!(skip_in_pieces(ttype, value.chunks(5)), expected, "{ttype:?}, five bytes at a time");
    }
    assert_eq!(skip_struct(data).ok(), plain::skip(TType::STRUCT, data).ok().flatten());
}

/// [`MessageHeader`]: it encodes to the bytes it came from; on each prefix `peek` says what it says in the end, or
/// that it cannot tell; [`set_seqid`] changes the seqid alone.
pub fn thrift_message(data: &[u8]) {
    const MAX_NAME_LEN: usize = 64;
    let peeked = MessageHeader::peek(data, MAX_NAME_LEN);
    for len in 0..data.len().min(MAX_NAME_LEN + 16) {
        match MessageHeader::peek(&data[..len], MAX_NAME_LEN) {
            Ok(None) => {}
            early => assert_eq!(early, peeked, "another verdict after {len} bytes"),
        }
    }
    match (MessageHeader::parse(data), peeked) {
        (Ok(header), Ok(Some(peeked))) => assert_eq!(header, peeked),
        (Ok(header), Err(DecodeError::TooLong { .. })) => assert!(header.name.len() > MAX_NAME_LEN),
        (Err(DecodeError::Truncated { .. }), Ok(None) | Err(DecodeError::TooLong { .. })) => {}
        (Err(error), Err(peeked)) => assert_eq!(error, peeked),
        (parsed, peeked) => panic!("parse says {parsed:?}, peek says {peeked:?}"),
    }

    let mut patched = data.to_vec();
    let patch = set_seqid(&mut patched, 0x0102_0304);
    let Ok(header) = MessageHeader::parse(data) else {
        assert!(patch.is_err() && patched == data, "no envelope, and yet patched");
        return;
    };
    let mut encoded = BytesMut::new();
    header.encode(&mut encoded).expect("the name came with a length");
    assert_eq!(encoded.len(), header.encoded_len());
    assert!(data.starts_with(&encoded), "an envelope does not encode to what it came from");
    encoded[header.seqid_offset()..].copy_from_slice(&[1, 2, 3, 4]);
    assert!(patched.starts_with(&encoded) && patched[encoded.len()..] == data[encoded.len()..]);
}

/// [`ApplicationException`] and [`ErrorProto`]: what decodes encodes, in the canonical form, to what decodes to the
/// same.
pub fn application_exception(data: &[u8]) {
    if let Ok(exception) = ApplicationException::parse(data) {
        let mut encoded = BytesMut::new();
        exception.encode(&mut encoded).expect("the message came with a length");
        assert_eq!(encoded.len(), exception.encoded_len());
        assert_eq!(ApplicationException::parse(&encoded), Ok(exception));
    }
    if let Ok(error) = ErrorProto::parse(data) {
        let mut encoded = BytesMut::new();
        error.encode(&mut encoded);
        assert_eq!(encoded.len(), error.encoded_len());
        assert_eq!(ErrorProto::parse(&encoded), Ok(error));
    }
}

/// The end of the value, `None` when it is not in `pieces`, or the error.
fn skip_in_pieces<'a>(ttype: TType, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<usize>, DecodeError> {
    let mut skipper = Skipper::new(ttype);
    let mut seen = 0;
    // A piece of no bytes changes nothing, and says so where there are no others.
    for piece in std::iter::once(&[][..]).chain(pieces) {
        if let Some(len) = skipper.skip(piece)? {
            assert_eq!(skipper.offset(), u64::try_from(seen + len).unwrap());
            return Ok(Some(seen + len));
        }
        seen += piece.len();
        assert!(skipper.pending() > 0, "unfinished, and nothing is to come");
    }
    let DecodeError::Truncated { offset, expected, actual, .. } = skipper.truncated() else {
        panic!("{:?}", skipper.truncated());
    };
    assert_eq!(offset + actual, seen, "the end is not where the bytes end");
    assert!(expected > actual, "nothing is missing");
    Ok(None)
}

/// The specification's rules, one to one and without an eye to speed.
mod plain {
    use super::{DecodeError, MAX_DEPTH, TType};

    pub(super) fn skip(ttype: TType, src: &[u8]) -> Result<Option<usize>, DecodeError> {
        let mut at = 0;
        // As Kitex's generic servers end void calls (generic-call 3.11).
        let ttype = if ttype == TType::VOID { TType::STRUCT } else { ttype };
        match value(ttype, "field type", 0, src, &mut at, MAX_DEPTH) {
            Ok(()) => Ok(Some(at)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    type Step<T> = Result<T, Option<DecodeError>>;

    fn value(ttype: TType, field: &'static str, type_at: usize, src: &[u8], at: &mut usize, depth: usize) -> Step<()> {
        let too_deep = DecodeError::TooDeep { offset: *at, max: MAX_DEPTH };
        match ttype {
            TType::STRING => {
                let len = count("string length", src, at)?;
                take(src, at, len).map(drop)
            }
            TType::STRUCT => {
                let inner = depth.checked_sub(1).ok_or(too_deep)?;
                loop {
                    let type_at = *at;
                    let ttype = TType(take(src, at, 1)?[0]);
                    if ttype == TType::STOP {
                        return Ok(());
                    }
                    if !ttype.is_value() && ttype != TType::VOID {
                        return Err(Some(unknown("field type", type_at, ttype)));
                    }
                    let ttype = if ttype == TType::VOID { TType::STRUCT } else { ttype };
                    // The type alone says that a struct is too deep; all else is known with its own header.
                    take_up_to(src, at, 2, ttype)?;
                    value(ttype, "field type", type_at, src, at, inner)?;
                }
            }
            TType::LIST | TType::SET => {
                let type_at = *at;
                let element = TType(take(src, at, 1)?[0]);
                let count = count("element count", src, at)?;
                let inner = depth.checked_sub(1).ok_or(too_deep)?;
                known(count, "element type", type_at, element)?;
                (0..count).try_for_each(|_| value(element, "element type", type_at, src, at, inner))
            }
            TType::MAP => {
                let type_at = *at;
                let types = take(src, at, 2)?;
                let (key, of) = (TType(types[0]), TType(types[1]));
                let count = count("pair count", src, at)?;
                let inner = depth.checked_sub(1).ok_or(too_deep)?;
                known(count, "key type", type_at, key)?;
                known(count, "value type", type_at + 1, of)?;
                (0..count).try_for_each(|_| {
                    value(key, "key type", type_at, src, at, inner)?;
                    value(of, "value type", type_at + 1, src, at, inner)
                })
            }
            scalar => match scalar.fixed_len() {
                Some(len) => take(src, at, len).map(drop),
                None => Err(Some(unknown(field, type_at, ttype))),
            },
        }
    }

    fn known(count: usize, field: &'static str, at: usize, ttype: TType) -> Step<()> {
        if count == 0 || ttype.is_value() { Ok(()) } else { Err(Some(unknown(field, at, ttype))) }
    }

    fn unknown(field: &'static str, offset: usize, ttype: TType) -> DecodeError {
        DecodeError::UnknownType { field, offset, actual: ttype.0 }
    }

    fn count(field: &'static str, src: &[u8], at: &mut usize) -> Step<usize> {
        let offset = *at;
        let count = i32::from_be_bytes(take(src, at, 4)?.try_into().unwrap());
        usize::try_from(count).map_err(|_| Some(DecodeError::Negative { field, offset, actual: count }))
    }

    fn take<'a>(src: &'a [u8], at: &mut usize, len: usize) -> Step<&'a [u8]> {
        let bytes = src.get(*at..at.checked_add(len).ok_or(None)?).ok_or(None)?;
        *at += len;
        Ok(bytes)
    }

    fn take_up_to(src: &[u8], at: &mut usize, len: usize, ttype: TType) -> Step<()> {
        if ttype == TType::STRUCT {
            *at += len;
            return Ok(());
        }
        take(src, at, len).map(drop)
    }
}
