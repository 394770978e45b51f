//! Looking at messages on their way, and changing them: what a proxy that decodes and forwards is made of.
//!
//! A [`Hook`] sees each message of the calls and streams that it [watches](Hook::watches), in both directions, as the
//! struct or Protobuf message that it is: without envelope, header or prefix, decompressed. What it reads or sets by path,
//! without decoding all, is `thrift_generic::access`'s work, or `prost-reflect`'s, or that of generated types. What nobody
//! watches goes by as it would without hooks.

mod call;
mod side;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use crate::rpc::stream::Codec;
use crate::rpc::{Fault, FaultKind, Head};

pub(crate) use side::Hooked;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Direction {
    /// From the caller to the backend.
    Request,
    /// From the backend to the caller.
    Response,
}

/// A message on its way.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// What the bytes are.
    pub codec: Codec,
    /// Whether Thrift's struct of arguments or results stands around the value: always for calls, for streams only with
    /// unary methods, which their method's IDL tells.
    pub wrapped: bool,
    /// The struct or Protobuf message.
    pub bytes: &'a Bytes,
}

/// What becomes of a message.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "whoever adds a verdict has to change everybody who acts on it")]
pub enum Verdict {
    /// It goes on, byte for byte.
    Forward,
    /// This goes on in its place.
    Replace(Bytes),
    /// Nothing goes on, as if a stream's message had never been sent. A call is answered with an error.
    Drop,
    /// The call or stream ends, with this for its caller.
    Reject(Fault),
}

/// Looks at messages on their way. All workers share one.
pub trait Hook: Send + Sync {
    /// Whether it wants to see the messages of this call or stream.
    fn watches(&self, head: &dyn Head) -> bool {
        let _unused = head;
        true
    }

    /// What becomes of a message.
    fn message(&self, head: &dyn Head, message: Seen<'_>) -> Verdict;
}

/// The hooks of a proxy, in the order in which they see a message.
#[derive(Clone, Default)]
pub(crate) struct Hooks(Vec<Arc<dyn Hook>>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hooks").field(&self.0.len()).finish()
    }
}

impl Hooks {
    pub(crate) fn push(&mut self, hook: impl Hook + 'static) {
        self.0.push(Arc::new(hook));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that want to see this call or stream.
    pub(crate) fn watching(&self, head: &dyn Head) -> Self {
        Self(self.0.iter().filter(|hook| hook.watches(head)).map(Arc::clone).collect())
    }

    /// What becomes of a message once every hook has seen it.
    fn pass(&self, head: &dyn Head, message: Seen<'_>) -> Verdict {
        let mut replaced = None;
        for hook in &self.0 {
            let seen = Seen { bytes: replaced.as_ref().unwrap_or(message.bytes), ..message };
            // A hook's state is its own; the worker's is not touched by what it does.
            let verdict = catch_unwind(AssertUnwindSafe(|| hook.message(head, seen)));
            match verdict {
                Ok(Verdict::Forward) => {}
                Ok(Verdict::Replace(bytes)) => replaced = Some(bytes),
                Ok(verdict) => return verdict,
                Err(_) => return Verdict::Reject(Fault::sent(FaultKind::Panic, "panic in a hook")),
            }
        }
        replaced.map_or(Verdict::Forward, Verdict::Replace)
    }
}
