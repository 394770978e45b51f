//! Hooks around a ping-pong call.

use std::future::Future;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use thrift_codec::{MessageType, Version};

use crate::hook::{Direction, Hooks, Seen, Verdict};
use crate::rpc::stream::Codec;
use crate::rpc::{Call, Fault, FaultKind, Head, Message, Reply};
use crate::wire::pingpong::{Side, encode};

impl Hooks {
    /// Shows the hooks the call, lets `next` answer it, and shows them the reply.
    ///
    /// # Errors
    ///
    /// What a hook rejects with, else what `next` fails with.
    pub(crate) async fn around<F>(&self, mut call: Call, next: impl FnOnce(Call) -> F) -> Result<Reply, Fault>
    where
        F: Future<Output = Result<Reply, Fault>>,
    {
        let broke =
            |error: io::Error| Fault::unsent(FaultKind::DownstreamClosed, format!("request broke off: {error}"));
        call.message.collect().await.map_err(broke)?;
        // What the reply's hooks are told of the call, which is gone by then: a view of the same bytes.
        let asked = Message::new(call.message.frame().clone(), *call.message.shape(), *call.message.facts());
        let head = Call::new(asked, Rc::clone(&call.downstream));
        if let Some(changed) = self.show(&head, &call.message, Direction::Request)? {
            call.message = changed;
        }
        let mut reply = match next(call).await? {
            Reply::Message(reply) => reply,
            sent @ Reply::Sent => return Ok(sent),
        };
        // The text of an exception is no struct of the IDL's.
        if reply.shape().message_type != MessageType::REPLY {
            return Ok(Reply::Message(reply));
        }
        let broke = |error: io::Error| Fault::sent(FaultKind::UpstreamClosed, format!("reply broke off: {error}"));
        reply.collect().await.map_err(broke)?;
        let changed = self.show(&head, &reply, Direction::Response)?;
        Ok(Reply::Message(changed.unwrap_or(reply)))
    }

    /// The message that goes on instead, if another one does.
    fn show(&self, head: &dyn Head, message: &Message, direction: Direction) -> Result<Option<Message>, Fault> {
        let shape = message.shape();
        let payload = message.payload();
        let bytes: Bytes = payload.slice(shape.envelope_len().min(payload.len())..);
        let codec = if shape.version == Version::KITEX_PROTOBUF { Codec::Protobuf } else { Codec::Thrift };
        let side = match direction {
            Direction::Request => Side::Requests,
            Direction::Response => Side::Replies,
        };
        match self.pass(head, Seen { direction, codec, wrapped: codec == Codec::Thrift, bytes: &bytes }) {
            Verdict::Forward => Ok(None),
            Verdict::Replace(body) => encode::with_body(message, side, &body).map(Some),
            Verdict::Drop => Err(Fault::sent(FaultKind::BadArguments, "a hook dropped the call's message")),
            Verdict::Reject(fault) => Err(fault),
        }
    }
}
