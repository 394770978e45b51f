//! The deadline of a call: the caller's (TTHeader key 12), or the route's where that is shorter.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::rpc::{Call, Fault, FaultKind, Reply};

/// Runs `next` until the call's deadline. Costs a timer only where there is one.
///
/// # Errors
///
/// `Timeout`, naming whose time is up; else what `next` fails with.
pub(crate) async fn within<F>(
    limit: Option<Duration>,
    mut call: Call,
    next: impl FnOnce(Call) -> F,
) -> Result<Reply, Fault>
where
    F: Future<Output = Result<Reply, Fault>>,
{
    // A caller's zero is what Kitex writes for less than a millisecond, which is over before it is read.
    let asked = call.message.facts().timeout_ms.filter(|&ms| ms > 0).map(Duration::from_millis);
    let (time, whose) = shorter(limit, asked, "the caller's timeout (TTHeader key 12)").unwrap_or((Duration::MAX, ""));
    // A time beyond the clock's range is none.
    call.deadline = Instant::now().checked_add(time);
    let mut sleep = call.deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline.into())));
    let mut next = pin!(next(call));
    poll_fn(|cx| {
        if let Poll::Ready(result) = next.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        match sleep.as_mut().map(|sleep| sleep.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => {
                let text = format!("timeout: no reply within {time:?}, {whose}");
                Poll::Ready(Err(Fault::sent(FaultKind::Timeout, text)))
            }
            _ => Poll::Pending,
        }
    })
    .await
}

/// The deadline of a stream, and whose it is: the caller's, or the route's where that is shorter.
pub(crate) fn of_stream(limit: Option<Duration>, asked: Option<Duration>) -> Option<(Instant, &'static str)> {
    let (time, whose) = shorter(limit, asked, "the caller's `grpc-timeout`")?;
    // A time beyond the clock's range is none.
    Instant::now().checked_add(time).map(|at| (at, whose))
}

/// Awaits `opening` until the stream's deadline.
///
/// # Errors
///
/// `Timeout`, naming whose time is up; else what `opening` fails with.
pub(crate) async fn until<T>(
    deadline: Option<(Instant, &'static str)>,
    opening: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let opening = pin!(opening);
    let Some((at, whose)) = deadline else { return opening.await };
    match tokio::time::timeout_at(at.into(), opening).await {
        Ok(opened) => opened,
        Err(_) => {
            let text = format!("no connection to a backend within the stream's deadline, {whose}");
            Err(Fault::unsent(FaultKind::Timeout, text))
        }
    }
}

/// The route's limit or what the caller asked for, and whose it is; `caller` is what the caller's is called.
fn shorter(limit: Option<Duration>, asked: Option<Duration>, caller: &'static str) -> Option<(Duration, &'static str)> {
    match (limit, asked) {
        (None, None) => None,
        (Some(limit), Some(asked)) if asked < limit => Some((asked, caller)),
        (None, Some(asked)) => Some((asked, caller)),
        (Some(limit), _) => Some((limit, "the route's `timeout`")),
    }
}
