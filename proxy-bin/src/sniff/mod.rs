//! What a new connection speaks: a verdict over its first bytes (`verdict`), and the wait for them.

mod verdict;

use std::future::poll_fn;
use std::io;
use std::time::Duration;

pub use verdict::{Verdict, sniff};

use crate::wire::conn::Conn;

/// Why a connection has no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsure {
    #[error("closed before its first byte")]
    Silent,
    #[error("closed after {0} bytes that say nothing yet")]
    Cut(usize),
    #[error("said nothing clear within {0:?}")]
    TimedOut(Duration),
    #[error("failed: {0}")]
    Io(#[from] io::Error),
}

/// Reads until the verdict is clear. What was read stays in the connection's inbox.
pub(crate) async fn read(conn: &Conn, limit: Duration) -> Result<Verdict, Unsure> {
    let verdict = async {
        loop {
            if poll_fn(|cx| conn.poll_fill(cx, 8)).await? == 0 {
                let bytes = conn.buffered();
                return Err(if bytes == 0 { Unsure::Silent } else { Unsure::Cut(bytes) });
            }
            match conn.with_inbox(|inbox| sniff(inbox)) {
                Verdict::NeedMore => {}
                verdict => return Ok(verdict),
            }
        }
    };
    tokio::time::timeout(limit, verdict).await.unwrap_or(Err(Unsure::TimedOut(limit)))
}
