//! What a connection has to write, gathered so that one turn of the loop costs one system call.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::wire::arena;

/// Pieces waiting to be written, small ones gathered in one buffer, large ones by reference.
///
/// Below some KiB a copy into one buffer is cheaper than one more entry of a vectored write.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    open: Option<BytesMut>,
    len: usize,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    /// Whether the buffer is the arena's, and goes back there.
    borrowed: bool,
}

impl Outbox {
    /// Appends `piece`.
    pub(crate) fn push(&mut self, piece: &Bytes) {
        if piece.len() < COPY_BELOW {
            self.push_slice(piece);
            return;
        }
        self.close();
        self.len = self.len.saturating_add(piece.len());
        self.pieces.push_back(Piece { bytes: piece.clone(), borrowed: false });
    }

    /// Appends a buffer of the arena, which goes back there once it is written.
    pub(crate) fn push_buffer(&mut self, buffer: BytesMut) {
        self.close();
        self.len = self.len.saturating_add(buffer.len());
        self.pieces.push_back(Piece { bytes: buffer.freeze(), borrowed: true });
    }

    /// Appends a copy of `bytes`.
    pub(crate) fn push_slice(&mut self, bytes: &[u8]) {
        self.write_with(bytes.len(), |open| open.extend_from_slice(bytes));
    }

    /// Lets `write` append about `hint` bytes in place.
    pub(crate) fn write_with<R>(&mut self, hint: usize, write: impl FnOnce(&mut BytesMut) -> R) -> R {
        if self.open.as_ref().is_some_and(|open| open.capacity().saturating_sub(open.len()) < hint) {
            self.close();
        }
        let open = self.open.get_or_insert_with(arena::take_gather);
        let before = open.len();
        let result = write(open);
        self.len = self.len.saturating_add(open.len().saturating_sub(before));
        result
    }

    /// Everything that waits, in one piece.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.close();
        self.pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect()
    }

    /// Bytes waiting.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes until nothing waits.
    pub(crate) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut (impl AsyncWrite + ?Sized)>,
    ) -> Poll<io::Result<()>> {
        if self.pieces.is_empty() {
            return self.poll_flush_open(cx, stream);
        }
        self.close();
        while self.len > 0 {
            let written = match self.pieces.front() {
                Some(only) if self.pieces.len() == 1 => ready!(stream.as_mut().poll_write(cx, &only.bytes))?,
                _ => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                        *slice = IoSlice::new(&piece.bytes);
                    }
                    let used = slices.get(..self.pieces.len().min(MAX_SLICES)).unwrap_or_default();
                    ready!(stream.as_mut().poll_write_vectored(cx, used))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// The common case: small pieces alone, written from the buffer that gathered them.
    fn poll_flush_open(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut (impl AsyncWrite + ?Sized)>,
    ) -> Poll<io::Result<()>> {
        let Some(open) = &mut self.open else { return Poll::Ready(Ok(())) };
        while !open.is_empty() {
            let written = ready!(stream.as_mut().poll_write(cx, open))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if written >= open.len() {
                open.clear();
            } else {
                open.advance(written);
            }
            self.len = self.len.saturating_sub(written);
        }
        self.open.take().into_iter().for_each(arena::give);
        Poll::Ready(Ok(()))
    }

    /// Writes what waits and `bytes` behind it in one system call, and says how many of `bytes` have left: none while
    /// something still waits.
    pub(crate) fn poll_write_through(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut (impl AsyncWrite + ?Sized)>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.close();
        if self.pieces.len() >= MAX_SLICES {
            return Poll::Ready(Ok(0));
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let waiting = self.pieces.iter().map(|piece| &piece.bytes[..]);
        for (slice, part) in slices.iter_mut().zip(waiting.chain([bytes])) {
            *slice = IoSlice::new(part);
        }
        let used = slices.get(..self.pieces.len().saturating_add(1)).unwrap_or_default();
        let written = ready!(stream.as_mut().poll_write_vectored(cx, used))?;
        let waited = self.len;
        self.advance(written.min(waited));
        Poll::Ready(Ok(written.saturating_sub(waited)))
    }

    fn advance(&mut self, mut written: usize) {
        self.len = self.len.saturating_sub(written);
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.bytes.len() {
                piece.bytes.advance(written);
                return;
            }
            written = written.saturating_sub(piece.bytes.len());
            if let Some(Piece { bytes, borrowed: true }) = self.pieces.pop_front() {
                bytes.try_into_mut().into_iter().for_each(arena::give);
            }
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.pieces.push_back(Piece { bytes: open.freeze(), borrowed: true });
        }
    }
}

/// From here on a piece is written from where it lies.
const COPY_BELOW: usize = 4 * 1024;
const MAX_SLICES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mut outbox: Outbox, each: usize) -> Vec<u8> {
        let mut stream = Trickle { each, bytes: Vec::new() };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while !outbox.poll_flush(&mut cx, Pin::new(&mut stream)).is_ready() {}
        assert!(outbox.is_empty() && outbox.pieces.is_empty());
        stream.bytes
    }

    #[test]
    fn pieces_leave_in_order_whatever_the_peer_takes() {
        for each in [1, 7, 4096, 1 << 20] {
            let mut outbox = Outbox::default();
            let large = Bytes::from(vec![b'L'; 9000]);
            outbox.push_slice(b"head");
            outbox.push(&large);
            outbox.push(&Bytes::from_static(b"tail"));
            outbox.push(&large);
            assert_eq!(outbox.len(), 18_008);
            let bytes = written(outbox, each);
            assert_eq!(bytes.len(), 18_008);
            assert_eq!((&bytes[..4], &bytes[9004..9008]), (&b"head"[..], &b"tail"[..]));
        }
    }

    #[test]
    fn what_is_written_through_follows_what_waits() {
        for each in [1, 7, 4096, 1 << 20] {
            let mut outbox = Outbox::default();
            let mut stream = Trickle { each, bytes: Vec::new() };
            let mut cx = Context::from_waker(std::task::Waker::noop());
            outbox.push_slice(b"head");
            let mut rest = &[b'L'; 9000][..];
            while !rest.is_empty() {
                match outbox.poll_write_through(&mut cx, Pin::new(&mut stream), rest) {
                    Poll::Ready(Ok(written)) => rest = &rest[written..],
                    other => panic!("{other:?}"),
                }
            }
            assert!(outbox.is_empty() && stream.bytes.len() == 9004 && stream.bytes.starts_with(b"headL"));
        }
    }

    /// Takes a few bytes at a time.
    struct Trickle {
        each: usize,
        bytes: Vec<u8>,
    }

    impl AsyncWrite for Trickle {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let taken = buf.len().min(self.each);
            self.bytes.extend_from_slice(&buf[..taken]);
            Poll::Ready(Ok(taken))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}
