use std::cell::{Cell, RefCell};
use std::io;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;
use ttstream::stream::ConnectionError;
use ttstream::{DecodeError, EncodeError, Frame, StreamEncoder, TtStreamCodec};

use crate::wire::conn::{Conn, Stall};
use crate::wire::outbox::Outbox;

/// One connection, whichever side opened it. Every borrow ends within one poll.
#[derive(Debug)]
pub(crate) struct Link {
    conn: Conn,
    codec: RefCell<TtStreamCodec>,
    want: Cell<usize>,
    outbox: RefCell<Outbox>,
    read_stall: RefCell<Stall>,
    write_stall: RefCell<Stall>,
    /// Who reads and writes here.
    task: RefCell<Option<Waker>>,
    /// Streams that wait for room in the outbox.
    blocked: RefCell<Vec<Waker>>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("closed by the peer")]
    Closed,
    #[error("closed by the peer inside a frame")]
    Cut,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("unreadable frame: {0}")]
    Malformed(#[from] DecodeError),
    #[error("a frame of stream {id}: {error}")]
    TooLong { id: i32, error: DecodeError },
    #[error("{0}")]
    Broken(#[from] ConnectionError),
    #[error("too slow {0}")]
    Slow(&'static str),
}

impl Link {
    pub(crate) fn new(conn: Conn, max_message: usize, read_timeout: Duration, write_timeout: Duration) -> Self {
        // The limit is the message's; head and an exception's text come on top.
        let max_frame = max_message.saturating_add(ttheader::MAX_HEADER_LEN);
        Self {
            conn,
            codec: RefCell::new(TtStreamCodec::builder().max_frame_len(max_frame).build()),
            want: Cell::new(0),
            outbox: RefCell::default(),
            read_stall: RefCell::new(Stall::new(read_timeout)),
            write_stall: RefCell::new(Stall::new(write_timeout)),
            task: RefCell::default(),
            blocked: RefCell::default(),
        }
    }

    /// The next frame.
    pub(crate) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Result<Frame, Lost>> {
        loop {
            if self.conn.buffered() > 0 && self.conn.buffered() >= self.want.get() {
                let decoded = self.conn.with_inbox(|inbox| {
                    let frame = self.codec.borrow_mut().decode(inbox);
                    let length = inbox.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
                    // What the codec refuses it refuses at once: the length is within its limit.
                    self.want.set(if matches!(frame, Ok(None)) {
                        usize::try_from(length).unwrap_or(usize::MAX).saturating_add(4)
                    } else {
                        0
                    });
                    frame
                });
                match decoded {
                    Ok(Some(frame)) => {
                        self.read_stall.borrow_mut().reset();
                        return Poll::Ready(Ok(frame));
                    }
                    Ok(None) => {}
                    Err(ttstream::CodecError::Decode(error)) => return Poll::Ready(Err(self.refused(error))),
                    Err(error) => return Poll::Ready(Err(io::Error::other(error).into())),
                }
            }
            let inside = self.conn.buffered() > 0;
            match self.conn.poll_fill(cx, self.want.get()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(if inside { Lost::Cut } else { Lost::Closed })),
                Poll::Ready(Ok(read)) => self.read_stall.borrow_mut().moved(read),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending if inside => {
                    ready!(self.read_stall.borrow_mut().poll(cx));
                    return Poll::Ready(Err(Lost::Slow("sending a frame")));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Why a frame can't be read, and whose it is, where that is known: its stream may be answered.
    fn refused(&self, error: DecodeError) -> Lost {
        let id = self.conn.with_inbox(|inbox| {
            let head = inbox
                .first_chunk::<12>()
                .filter(|_| matches!(error, DecodeError::Header(ttheader::DecodeError::TooLarge { .. })));
            head.map(|&[.., a, b, c, d]| i32::from_be_bytes([a, b, c, d]))
        });
        id.map_or(Lost::Malformed(error), |id| Lost::TooLong { id, error })
    }

    /// Writes what waits.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let flushed = self.conn.poll_flush(cx, &mut outbox, &mut self.write_stall.borrow_mut());
        if outbox.len() < MAX_UNWRITTEN {
            self.blocked.borrow_mut().drain(..).for_each(Waker::wake);
        }
        match flushed {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Poll::Ready(Err(Lost::Slow("taking its frames")))
            }
            flushed => flushed.map_err(Lost::Io),
        }
    }

    /// Lets `write` append the head of a frame.
    pub(crate) fn write<R>(&self, write: impl FnOnce(&mut BytesMut) -> R) -> R {
        self.outbox.borrow_mut().write_with(HEAD_HINT, write)
    }

    /// Appends a frame of another hop under this hop's id, everything else as it came.
    pub(crate) fn forward(&self, frame: &Frame, id: i32) -> Result<(), EncodeError> {
        self.write(|dst| frame.encode_head_with_id(id, dst))?;
        self.outbox.borrow_mut().push(&frame.payload_for(id));
        Ok(())
    }

    /// Appends a message: behind the head of the data frame that it came in, or one of the stream's own.
    pub(crate) fn message(
        &self,
        encoder: &StreamEncoder,
        frame: Option<&Frame>,
        payload: &Bytes,
    ) -> Result<(), EncodeError> {
        match frame {
            Some(frame) => self.write(|dst| frame.encode_head_with_id(encoder.stream_id(), dst)),
            None => self.write(|dst| encoder.data(payload.len(), dst)),
        }?;
        self.outbox.borrow_mut().push(payload);
        Ok(())
    }

    /// Ready while more may be written.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outbox.borrow().len() < MAX_UNWRITTEN {
            return Poll::Ready(());
        }
        self.blocked.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    }

    /// Whether everything has left, and nothing has come that was not looked at.
    pub(crate) fn is_still(&self) -> bool {
        self.outbox.borrow().is_empty() && self.conn.buffered() == 0
    }

    /// Whether a frame, or a part of one, is here already.
    pub(crate) fn has_input(&self) -> bool {
        self.conn.buffered() > 0
    }

    /// Remembers whom to wake for reading and writing.
    pub(crate) fn set_task(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        if task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
    }

    /// There is something to write, or room to read again.
    pub(crate) fn wake(&self) {
        if let Some(task) = self.task.borrow().as_ref() {
            task.wake_by_ref();
        }
    }
}

/// What may wait to be written on a connection, in bytes, before its streams wait too.
const MAX_UNWRITTEN: usize = 256 * 1024;
/// Room for the head of a usual frame.
const HEAD_HINT: usize = 256;
