use std::fmt::{Debug, Display};

use bytes::BytesMut;
use tokio_util::codec::Decoder;

/// Decodes `wire` whole, in two reads split at every byte, and one byte at a time: the items and the error at the end,
/// if any, are the same each time.
///
/// # Panics
///
/// When they differ.
pub fn assert_split_invariant<D>(new: impl Fn() -> D, wire: impl AsRef<[u8]>)
where
    D: Decoder,
    D::Item: PartialEq + Debug,
    D::Error: Display,
{
    let wire = wire.as_ref();
    let whole = decode_in_reads(&mut new(), [wire]);
    for at in 0..=wire.len() {
        let (first, second) = wire.split_at(at);
        assert_eq!(decode_in_reads(&mut new(), [first, second]), whole, "two reads, split at byte {at}");
    }
    assert_eq!(decode_in_reads(&mut new(), wire.chunks(1)), whole, "one byte at a time");
}

/// Ends the stream after each byte of `wire`, which is one whole frame: every such end but the last, and the one
/// before the first byte, is an error.
///
/// # Panics
///
/// When a cut frame passes for a clean end, or the whole one does not decode to exactly one item.
pub fn assert_every_cut_is_an_error<D>(new: impl Fn() -> D, wire: impl AsRef<[u8]>)
where
    D: Decoder,
    D::Item: PartialEq + Debug,
    D::Error: Display,
{
    let wire = wire.as_ref();
    for len in 0..=wire.len() {
        // Both as one read and byte by byte: state that a read leaves behind must not hide the cut.
        for reads in [vec![&wire[..len]], wire[..len].chunks(1).collect()] {
            let (items, error) = decode_in_reads(&mut new(), reads);
            match len {
                0 => assert_eq!((items.len(), error), (0, None), "nothing came, nothing is missing"),
                len if len == wire.len() => assert_eq!((items.len(), error), (1, None), "the whole frame"),
                _ => {
                    assert!(items.is_empty(), "a frame cut after byte {len} gave {items:?}");
                    assert!(error.is_some(), "a frame cut after byte {len} passed for a clean end");
                }
            }
        }
    }
}

/// What `decoder` makes of a stream that arrives in `reads` and then ends: the items, and the text of the error that
/// stopped it. It is driven as tokio-util's `Framed` does, on a buffer that starts empty.
pub fn decode_in_reads<'a, D>(
    decoder: &mut D,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<D::Item>, Option<String>)
where
    D: Decoder,
    D::Error: Display,
{
    let mut src = BytesMut::new();
    let mut items = Vec::new();
    for read in reads {
        src.extend_from_slice(read);
        loop {
            match decoder.decode(&mut src) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error.to_string())),
            }
        }
    }
    loop {
        match decoder.decode_eof(&mut src) {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(error) => return (items, Some(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use bytes::{Buf, Bytes};

    use super::*;

    /// One byte of length, then as many bytes. `sound` or with one of two faults.
    #[derive(Clone, Copy)]
    enum Pascal {
        Sound,
        TakesLengthEarly(Option<usize>),
        DropsRest,
    }

    impl Decoder for Pascal {
        type Item = Bytes;
        type Error = std::io::Error;

        fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, std::io::Error> {
            if let Self::TakesLengthEarly(len) = self {
                if len.is_none() && !src.is_empty() {
                    *len = Some(usize::from(src.get_u8()));
                }
                return Ok(len.take_if(|len| src.len() >= *len).map(|len| src.split_to(len).freeze()));
            }
            let Some(&len) = src.first() else { return Ok(None) };
            if src.len() <= usize::from(len) {
                return Ok(None);
            }
            src.advance(1);
            let item = src.split_to(usize::from(len)).freeze();
            if matches!(self, Self::DropsRest) {
                src.clear();
            }
            Ok(Some(item))
        }
    }

    #[test]
    fn a_sound_decoder_passes() {
        assert_split_invariant(|| Pascal::Sound, b"\x02ab\x00\x01c");
        assert_every_cut_is_an_error(|| Pascal::Sound, b"\x02ab");
    }

    #[test]
    fn a_decoder_that_forgets_bytes_is_caught() {
        assert!(catch_unwind(|| assert_split_invariant(|| Pascal::DropsRest, b"\x02ab\x01c")).is_err());
    }

    #[test]
    fn a_decoder_that_takes_the_length_early_is_caught() {
        assert!(catch_unwind(|| assert_every_cut_is_an_error(|| Pascal::TakesLengthEarly(None), b"\x02ab")).is_err());
    }
}
