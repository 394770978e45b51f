use std::cell::RefCell;
use std::fmt::Display;
use std::future::poll_fn;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use grpc_frame::http2::ErrorCode;
use grpc_frame::status::Code;

use crate::client::timed_out;
use crate::rpc::stream::{Closed, Data, End, Event, Framing, Metadata, Reset, Side, StreamOutcome};
use crate::rpc::{Fault, FaultKind};
use crate::wire::ttstream::{Messages, exception_of_reset};

/// A stream towards a backend. Sending and receiving may go on at the same time, in one task: `tokio::join!` them, or
/// `select!` between them. Dropped before its end, it is given up.
pub struct ClientStream {
    side: RefCell<Box<dyn Side>>,
    state: RefCell<State>,
    deadline: Option<(Instant, Duration)>,
}

struct State {
    messages: Messages,
    /// A message that came in a frame of its own.
    framed: Option<Bytes>,
    headers: Option<Metadata>,
    trailers: Option<Metadata>,
    outcome: Option<StreamOutcome>,
    /// What went wrong while a message was sent.
    fault: Option<Fault>,
    half_closed: bool,
}

/// What has no form in the protocol.
pub(super) fn unfit(why: impl Display) -> Fault {
    Fault::unsent(FaultKind::NotConvertible, format!("no opening of a stream: {why}"))
}

impl ClientStream {
    pub(super) fn new(side: Box<dyn Side>, max_message: usize, deadline: Option<(Instant, Duration)>) -> Self {
        let state = State {
            messages: Messages::new(max_message),
            framed: None,
            headers: None,
            trailers: None,
            outcome: None,
            fault: None,
            half_closed: false,
        };
        Self { side: RefCell::new(side), state: RefCell::new(state), deadline }
    }

    /// Sends one message: ready once there was room for it.
    ///
    /// # Errors
    ///
    /// The backend takes nothing more; why is what [`recv`](Self::recv) says.
    pub async fn send(&self, message: Bytes) -> Result<(), Closed> {
        self.put(message, false).await
    }

    /// Sends the last message, and half closes with it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_last(&self, message: Bytes) -> Result<(), Closed> {
        self.put(message, true).await
    }

    async fn put(&self, message: Bytes, last: bool) -> Result<(), Closed> {
        if self.state.borrow().half_closed {
            return Err(Closed);
        }
        // Each driver gives a message the prefix or the frame that it has on its transport.
        let mut event = Some(Event::Data(Data { bytes: message, framing: Framing::Message(None), last }));
        self.state.borrow_mut().half_closed = last;
        let sent = poll_fn(|cx| {
            let mut side = self.side.borrow_mut();
            let sent = side.poll_send(cx, &mut event);
            side.poll_flush(cx);
            sent
        });
        self.until_deadline(sent).await.unwrap_or_else(|fault| {
            self.state.borrow_mut().fault = Some(fault);
            Err(Closed)
        })
    }

    /// Says that no more messages come.
    pub fn half_close(&self) {
        if std::mem::replace(&mut self.state.borrow_mut().half_closed, true) {
            return;
        }
        let mut event = Some(Event::End(End::HalfClose(None)));
        // An end needs no room: every driver takes it at once.
        let _taken = self.now(|side, cx| side.poll_send(cx, &mut event));
    }

    /// The next message; none at the end of the stream, whose [`outcome`](Self::outcome) is there then.
    ///
    /// # Errors
    ///
    /// The stream was lost, made no sense, or its time is over.
    pub async fn recv(&self) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some(message) = self.state.borrow_mut().next()? {
                return Ok(Some(message));
            }
            if let Some(fault) = self.state.borrow_mut().fault.take() {
                return Err(fault);
            }
            if self.state.borrow().outcome.is_some() {
                return Ok(None);
            }
            let event = self.event().await?;
            if let Event::Data(data) = &event {
                self.side.borrow_mut().release(data.bytes.len());
            }
            let ends = matches!(event, Event::End(_));
            let taken = self.state.borrow_mut().take(event);
            if ends {
                self.now(|side, _| side.finish());
            }
            taken?;
        }
    }

    async fn event(&self) -> Result<Event, Fault> {
        let event = poll_fn(|cx| {
            let mut side = self.side.borrow_mut();
            let event = side.poll_recv(cx);
            side.poll_flush(cx);
            event
        });
        self.until_deadline(event).await
    }

    async fn until_deadline<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        let Some((deadline, time)) = self.deadline else { return Ok(work.await) };
        match tokio::time::timeout_at(deadline.into(), work).await {
            Ok(done) => Ok(done),
            Err(_) => {
                let text = timed_out(time);
                self.reset(&Reset::Deadline(text.clone().into()));
                Err(Fault::sent(FaultKind::Timeout, text))
            }
        }
    }

    /// Gives the stream up.
    pub fn cancel(&self) {
        self.reset(&Reset::Fault(Fault::sent(FaultKind::DownstreamClosed, "cancelled by the caller")));
    }

    fn reset(&self, reset: &Reset) {
        self.now(|side, _| side.reset(reset));
        let code = match reset {
            Reset::Deadline(_) => Code::DEADLINE_EXCEEDED,
            _ => Code::CANCELLED,
        };
        let (_, message) = exception_of_reset(reset);
        self.state.borrow_mut().outcome.get_or_insert(StreamOutcome::Status { code: code.0, message });
    }

    /// Runs what does not wait, and lets what was written leave.
    fn now<R>(&self, run: impl FnOnce(&mut dyn Side, &mut Context<'_>) -> R) -> R {
        let mut cx = Context::from_waker(Waker::noop());
        let mut side = self.side.borrow_mut();
        let result = run(&mut **side, &mut cx);
        side.poll_flush(&mut cx);
        result
    }

    /// What the backend said in front of its messages; empty before the first of them, and where it said nothing.
    #[must_use]
    pub fn headers(&self) -> Metadata {
        self.state.borrow().headers.clone().unwrap_or_default()
    }

    /// What the backend said at the end; empty before.
    #[must_use]
    pub fn trailers(&self) -> Metadata {
        self.state.borrow().trailers.clone().unwrap_or_default()
    }

    /// How the stream ended; none before.
    #[must_use]
    pub fn outcome(&self) -> Option<StreamOutcome> {
        self.state.borrow().outcome.clone()
    }
}

impl State {
    fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        match self.framed.take() {
            Some(message) => Ok(Some(message)),
            None => self.messages.next_payload(),
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Fault> {
        match event {
            Event::Headers(headers) => {
                if let Metadata::Http2(fields) = &headers {
                    self.messages.set_encoding(fields);
                }
                self.headers = Some(headers);
            }
            Event::Data(Data { bytes, framing: Framing::Message(_), .. }) => self.framed = Some(bytes),
            Event::Data(data) => self.messages.feed(data.bytes),
            // An intermediary's note, which is nothing to a caller.
            Event::Meta(_) => {}
            Event::End(end) => self.outcome = Some(self.end(end)?),
        }
        Ok(())
    }

    fn end(&mut self, end: End) -> Result<StreamOutcome, Fault> {
        match end {
            End::Trailers(trailers) => {
                self.trailers = Some(trailers.metadata);
                if trailers.outcome == StreamOutcome::Ok && !self.messages.is_between_messages() {
                    return Err(Fault::sent(FaultKind::BadReply, "the backend ended the stream inside a message"));
                }
                Ok(trailers.outcome)
            }
            End::HalfClose(_) => Ok(StreamOutcome::Ok),
            End::Reset(Reset::Http2(code)) => {
                let text = format!("stream terminated by RST_STREAM with error code: {}", ErrorCode(code));
                Ok(StreamOutcome::Status { code: Code::from_rst(code).0, message: text.into() })
            }
            End::Reset(Reset::Fault(fault)) | End::Fault(fault) => Err(fault),
            End::Reset(reset) => {
                let (code, message) = exception_of_reset(&reset);
                Ok(StreamOutcome::Exception { code: code.0, message })
            }
        }
    }
}

impl std::fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientStream").field("outcome", &self.outcome()).finish_non_exhaustive()
    }
}
