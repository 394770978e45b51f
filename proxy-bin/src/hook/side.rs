//! Hooks between a stream and its backend.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use grpc_frame::message::{CompressedFlag, Head as Prefix};

use crate::hook::{Direction, Hooks, Seen, Verdict};
use crate::rpc::stream::{Closed, Codec, Data, End, Event, Framing, HeadForm, Metadata, Reset, Side, StreamHead};
use crate::rpc::{Fault, FaultKind};
use crate::wire::ttstream::Messages;

/// A backend's side whose messages hooks see, in both directions.
pub(crate) struct Hooked {
    inner: Box<dyn Side>,
    hooks: Hooks,
    head: Rc<StreamHead>,
    codec: Codec,
    request: Way,
    response: Way,
    /// Why the stream can't go on.
    failure: Option<Fault>,
}

/// One direction.
struct Way {
    direction: Direction,
    messages: Messages,
    /// What hooks have let pass, and the other side has not taken.
    passed: VecDeque<Event>,
    /// Whether the event that is being sent has been shown: what is left of it is in `passed`.
    shown: bool,
}

impl Hooked {
    /// Lets `hooks`, those that watch this stream, see what `inner` is sent and says. `max_message` is in bytes.
    pub(crate) fn new(inner: Box<dyn Side>, hooks: Hooks, head: Rc<StreamHead>, max_message: usize) -> Self {
        let way =
            |direction| Way { direction, messages: Messages::new(max_message), passed: VecDeque::new(), shown: false };
        let (mut request, response) = (way(Direction::Request), way(Direction::Response));
        if let HeadForm::Http2 { fields, .. } = &head.form {
            request.messages.set_encoding(fields);
        }
        Self { inner, hooks, codec: head.codec(), head, request, response, failure: None }
    }

    /// Shows the hooks the messages of `data`: what they let pass comes after what has passed before.
    fn show(&mut self, direction: Direction, data: Data) -> Result<(), Fault> {
        let Self { hooks, head, codec, request, response, .. } = self;
        let way = match direction {
            Direction::Request => request,
            Direction::Response => response,
        };
        let last = data.last;
        let pass = |bytes: &Bytes| hooks.pass(&**head, Seen { direction, codec: *codec, wrapped: false, bytes });
        match data.framing {
            Framing::Message(frame) => {
                let passed = match pass(&data.bytes) {
                    Verdict::Forward => Some((data.bytes, frame)),
                    Verdict::Replace(bytes) => Some((bytes, None)),
                    Verdict::Drop => None,
                    Verdict::Reject(fault) => return Err(fault),
                };
                way.passed.extend(
                    passed.map(|(bytes, frame)| {
                        Event::Data(Data { bytes, framing: Framing::Message(frame), last: false })
                    }),
                );
            }
            Framing::Prefixed => {
                way.messages.feed(data.bytes);
                while let Some((message, payload)) = way.messages.next_as_it_came()? {
                    let (flag, bytes) = match pass(&payload) {
                        Verdict::Forward => (message.flag, message.payload),
                        Verdict::Replace(bytes) => (CompressedFlag::PLAIN, bytes),
                        Verdict::Drop => continue,
                        Verdict::Reject(fault) => return Err(fault),
                    };
                    way.passed.push_back(prefixed(flag, &bytes)?);
                }
            }
        }
        if last {
            way.end()?;
            match way.passed.back_mut() {
                Some(Event::Data(data)) => data.last = true,
                _ => way.passed.push_back(Event::End(End::HalfClose(None))),
            }
        }
        Ok(())
    }

    /// Sends on what has passed.
    fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        while let Some(event) = self.request.passed.pop_front() {
            let mut event = Some(event);
            let sent = self.inner.poll_send(cx, &mut event);
            if sent.is_pending() {
                self.request.passed.extend(event);
                self.request.passed.rotate_right(1);
            }
            ready!(sent)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Way {
    /// Checks that the sender did not stop inside a message.
    fn end(&self) -> Result<(), Fault> {
        if self.messages.is_between_messages() {
            return Ok(());
        }
        Err(match self.direction {
            Direction::Request => Fault::sent(FaultKind::BadArguments, "the caller half closed inside a message"),
            Direction::Response => Fault::sent(FaultKind::BadReply, "the backend ended inside a message"),
        })
    }
}

fn prefixed(flag: CompressedFlag, bytes: &Bytes) -> Result<Event, Fault> {
    let too_long = |_| Fault::sent(FaultKind::OverLimit, format!("a message of {} bytes is too long", bytes.len()));
    let prefix = Prefix::new(flag, bytes.len()).map_err(too_long)?.encode();
    let bytes = [&prefix, &bytes[..]].concat().into();
    Ok(Event::Data(Data { bytes, framing: Framing::Prefixed, last: false }))
}

impl Side for Hooked {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(event) = self.response.passed.pop_front() {
                return Poll::Ready(event);
            }
            if let Some(fault) = self.failure.take() {
                return Poll::Ready(Event::End(End::Fault(fault)));
            }
            let shown = match ready!(self.inner.poll_recv(cx)) {
                Event::Data(data) => {
                    // Held here at the most until it is a whole message; the next is read when this one is taken.
                    self.inner.release(data.bytes.len());
                    self.show(Direction::Response, data)
                }
                Event::Headers(metadata) => {
                    if let Metadata::Http2(fields) = &metadata {
                        self.response.messages.set_encoding(fields);
                    }
                    self.response.passed.push_back(Event::Headers(metadata));
                    Ok(())
                }
                Event::End(End::Trailers(trailers)) => {
                    let ended = self.response.end();
                    self.response.passed.push_back(Event::End(End::Trailers(trailers)));
                    ended
                }
                event => {
                    self.response.passed.push_back(event);
                    Ok(())
                }
            };
            if let Err(fault) = shown {
                self.failure = Some(fault);
            }
        }
    }

    fn release(&mut self, _: usize) {
        // Released when it came: what passes may be longer or shorter.
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Closed>> {
        if !self.request.shown {
            match event {
                Some(Event::Data(data)) => {
                    let placeholder = Data { bytes: Bytes::new(), framing: data.framing.clone(), last: data.last };
                    let data = std::mem::replace(data, placeholder);
                    if let Err(fault) = self.show(Direction::Request, data) {
                        self.failure = Some(fault);
                        return Poll::Ready(Err(Closed));
                    }
                    self.request.shown = true;
                }
                _ => {
                    if let Err(fault) = self.request.end() {
                        self.failure = Some(fault);
                        return Poll::Ready(Err(Closed));
                    }
                    ready!(self.poll_passed(cx))?;
                    return self.inner.poll_send(cx, event);
                }
            }
        }
        // The event stays with the sender, empty, until the last of what passed is taken.
        ready!(self.poll_passed(cx))?;
        self.request.shown = false;
        *event = None;
        Poll::Ready(Ok(()))
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Reset> {
        self.inner.poll_reset(cx)
    }

    fn reset(&mut self, reset: &Reset) {
        self.inner.reset(reset);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_flush(cx);
    }

    fn finish(&mut self) {
        self.inner.finish();
    }
}
