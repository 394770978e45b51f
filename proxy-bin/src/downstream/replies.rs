//! What goes back to one caller, and in which order.

use std::collections::VecDeque;
use std::sync::Arc;

use thrift_codec::MessageType;
use ttheader::keys;

use crate::rpc::{Fault, Form, Message, Outer, Reply, Rest};
use crate::telemetry::Counters;
use crate::wire::outbox::Outbox;
use crate::wire::pingpong::encode::Reset;
use crate::wire::pingpong::{Edits, Origin, answer, encode};

/// How one call ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) origin: Origin,
    /// The call's place among those answered in order; none where order is free.
    pub(crate) place: Option<u64>,
    pub(crate) result: Result<Reply, Fault>,
}

/// Replies on their way: those that wait for an earlier one, those that are due, and the one that is being written
/// piece by piece.
#[derive(Debug)]
pub(crate) struct Replies {
    /// Replies in order, by place; the front is the next that may go.
    waiting: VecDeque<Option<Finished>>,
    first: u64,
    /// Replies whose turn it is, behind one that is being written piece by piece.
    due: VecDeque<Finished>,
    rest: Option<Rest>,
    strip_business_errors: bool,
    counters: Arc<Counters>,
}

impl Replies {
    pub(crate) fn new(strip_business_errors: bool, counters: Arc<Counters>) -> Self {
        Self { waiting: VecDeque::new(), first: 0, due: VecDeque::new(), rest: None, strip_business_errors, counters }
    }

    /// A place for a call that is answered in order.
    pub(crate) fn reserve(&mut self) -> u64 {
        self.waiting.push_back(None);
        self.first.wrapping_add(u64::try_from(self.waiting.len()).unwrap_or_default()).wrapping_sub(1)
    }

    /// Takes in how a call ended.
    pub(crate) fn finished(&mut self, finished: Finished) {
        let Some(place) = finished.place else {
            self.due.push_back(finished);
            return;
        };
        let index = usize::try_from(place.wrapping_sub(self.first)).unwrap_or(usize::MAX);
        if let Some(slot) = self.waiting.get_mut(index) {
            *slot = Some(finished);
        }
        while let Some(Some(_)) = self.waiting.front() {
            self.first = self.first.wrapping_add(1);
            self.due.extend(self.waiting.pop_front().flatten());
        }
    }

    /// Whether everything that has ended has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.rest.is_none() && self.waiting.is_empty()
    }

    /// The rest of the reply that is being written.
    pub(crate) fn rest(&mut self) -> Option<&mut Rest> {
        if self.rest.as_ref().is_some_and(Rest::is_empty) {
            self.rest = None;
        }
        self.rest.as_mut()
    }

    /// Encodes what is due. With `closing`, headers say so.
    pub(crate) fn encode(&mut self, closing: bool, out: &mut Outbox) {
        while self.rest.is_none() {
            let Some(Finished { origin, result, .. }) = self.due.pop_front() else { return };
            match result {
                Ok(Reply::Sent) => self.counters.oneways.add_one(),
                // A backend may answer a oneway call; nobody waits for it (P8).
                Ok(Reply::Message(_)) if origin.oneway => {}
                Ok(Reply::Message(message)) => self.encode_reply(&origin, message, closing, out),
                Err(fault) => self.encode_fault(&origin, &fault, closing, out),
            }
        }
    }

    fn encode_reply(&mut self, origin: &Origin, mut message: Message, closing: bool, out: &mut Outbox) {
        let form = origin.reply_form();
        if form.outer == Outer::Plain {
            let entries = message.facts().entries;
            self.counters.drop_metadata(entries.into());
            if let Some((code, text)) = self.lost_business_error(&message) {
                answer::business_error(origin, code, &text, out);
                self.counters.replies.add_one();
                return;
            }
        }
        match encode::encode(&message, form, &reply_edits(closing), out) {
            Ok(()) => {
                self.counters.replies.add_one();
                self.rest = message.take_rest();
            }
            Err(fault) => self.encode_fault(origin, &fault, closing, out),
        }
    }

    /// A business error whose keys stay behind, unless it is to vanish as with a Kitex server (8.6).
    fn lost_business_error(&self, message: &Message) -> Option<(i32, Vec<u8>)> {
        let code = message.facts().business_status.filter(|_| !self.strip_business_errors)?;
        // Volo says it in an EXCEPTION of its own.
        if message.shape().message_type == MessageType::EXCEPTION {
            return None;
        }
        let text = message.header().and_then(|header| header.string(keys::BIZ_MESSAGE).map(<[u8]>::to_vec));
        Some((code, text.unwrap_or_default()))
    }

    fn encode_fault(&self, origin: &Origin, fault: &Fault, closing: bool, out: &mut Outbox) {
        self.counters.fault(fault.kind);
        let method = String::from_utf8_lossy(&origin.name);
        tracing::warn!(reason = fault.kind.name(), %method, protocol = %origin.form, sent = fault.sent, "call failed: {fault}");
        if !origin.oneway {
            answer::fault(origin, fault, closing, out);
        }
    }
}

/// What every relayed reply has changed, at the most.
pub(crate) fn reply_edits(closing: bool) -> Edits<'static> {
    let reset = if closing { Reset::Announce } else { Reset::Remove };
    Edits { reset, name_type: true, ..Edits::default() }
}

/// Whether `message` has to be whole before it can go back as `form`.
pub(crate) fn needs_whole(message: &Message, form: Form) -> bool {
    encode::needs_whole(message, form, &reply_edits(false))
}
