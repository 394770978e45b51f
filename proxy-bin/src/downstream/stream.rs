//! The way of one stream, whatever its caller speaks: opened through the pipeline, carried to its end, counted.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use crate::rpc::drain::Drain;
use crate::rpc::stream::{End, Ended, Reset, Side, StreamHead, StreamOutcome, relay, send_end};
use crate::rpc::{Downstream, Handle};
use crate::telemetry::Counters;

/// Carries the stream that `head` opens and whose caller's side is `side`.
pub(super) async fn carry(
    side: &mut dyn Side,
    head: Box<StreamHead>,
    handler: &impl Handle,
    drain: &Rc<Drain>,
    counters: &Counters,
) {
    let downstream = Rc::clone(&head.downstream);
    // A stream is in flight as a connection is.
    let _guard = poll_fn(|cx| Poll::Ready(drain.enter(cx.waker()))).await;
    let opened = {
        let mut open = pin!(handler.open(head));
        poll_fn(|cx| match open.as_mut().poll(cx) {
            Poll::Ready(opened) => Poll::Ready(Ok(opened)),
            Poll::Pending => side.poll_reset(cx).map(Err),
        })
        .await
    };
    let ended = match opened {
        Err(reset) => Ended::ByCaller(reset),
        Ok(Err(fault)) => {
            send_end(End::Fault(fault.clone()), side);
            Ended::Fault(fault)
        }
        Ok(Ok(mut opened)) => relay(side, &mut *opened.side, opened.limits, drain).await,
    };
    record(&ended, &downstream, counters);
}

/// Counts and logs the end of a stream; each is told once.
fn record(ended: &Ended, downstream: &Downstream, counters: &Counters) {
    let peer = downstream.peer;
    match ended {
        Ended::Trailers(StreamOutcome::Ok) => counters.streams_ok.add_one(),
        Ended::Trailers(outcome) => {
            counters.streams_failed.add_one();
            tracing::debug!(%peer, ?outcome, "stream ended");
        }
        Ended::ByCaller(reset) => {
            counters.streams_cancelled.add_one();
            tracing::debug!(%peer, "stream cancelled by its caller: {}", Told(reset));
        }
        Ended::ByBackend(reset) => {
            counters.streams_reset.add_one();
            tracing::debug!(%peer, "stream reset by its backend: {}", Told(reset));
        }
        Ended::Fault(fault) => {
            counters.fault(fault.kind);
            let (listener, reason) = (&downstream.listener, fault.kind.name());
            tracing::info!(%peer, listener, reason, "stream failed: {fault}");
        }
    }
}

/// A reset, in words.
struct Told<'a>(&'a Reset);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Reset::Http2(code) => write!(f, "RST_STREAM {code}"),
            Reset::Rst { code, message, path, .. } => {
                let (message, path) = (String::from_utf8_lossy(message), String::from_utf8_lossy(path));
                write!(f, "rst {code}, {message} [{path}]")
            }
            Reset::Lost(protocol) => write!(f, "its {protocol} connection was lost"),
            Reset::Deadline(text) => f.write_str(text),
            Reset::Fault(fault) => write!(f, "{fault}"),
        }
    }
}
