//! What the proxy counts. An exporter comes later; until then tests, the demo and embedders read the sums.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::rpc::{FaultKind, Protocol};

/// One number that one worker writes and anybody reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds one.
    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    /// Adds `amount`. Each counter has one writing thread, so that no locked instruction is needed.
    pub(crate) fn add(&self, amount: u64) {
        self.0.store(self.value().wrapping_add(amount), Ordering::Relaxed);
    }

    /// Takes one off a gauge.
    pub(crate) fn sub_one(&self) {
        self.0.store(self.value().wrapping_sub(1), Ordering::Relaxed);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What one worker counts.
        #[derive(Debug, Default)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
            /// Calls by what the caller spoke, in the order of [`Protocol::ALL`].
            pub calls: [Counter; Protocol::ALL.len()],
            /// Calls without a reply of their own by reason, in the order of [`FaultKind::ALL`].
            pub faults: [Counter; FaultKind::ALL.len()],
            /// Calls by the route that they took, in the order of the file.
            pub routes: Vec<Counter>,
        }

        /// The sums over all workers at one moment.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Totals {
            $($(#[$doc])* pub $name: u64,)*
            /// Calls by what the caller spoke, in the order of [`Protocol::ALL`].
            pub calls: [u64; Protocol::ALL.len()],
            /// Calls without a reply of their own by reason, in the order of [`FaultKind::ALL`].
            pub faults: [u64; FaultKind::ALL.len()],
            /// Calls by the route that they took, in the order of the file.
            pub routes: Vec<u64>,
        }

        impl Totals {
            pub(crate) fn add(&mut self, counters: &Counters) {
                $(self.$name = self.$name.wrapping_add(counters.$name.value());)*
                add_all(&mut self.calls, &counters.calls);
                add_all(&mut self.faults, &counters.faults);
                self.routes.resize(counters.routes.len(), 0);
                add_all(&mut self.routes, &counters.routes);
            }
        }
    };
}

counters! {
    /// Downstream connections taken.
    downstream_connections,
    /// Downstream connections open now.
    downstream_open,
    /// Downstream connections closed without an answer: unreadable, silent, slow or not allowed.
    downstream_refused,
    /// Downstream connections over the listener's limit, closed at once.
    downstream_over_limit,
    /// Replies that left, exceptions of backends included.
    replies,
    /// Calls that expect no reply and were handed to a backend.
    oneways,
    /// Streams that ended well.
    streams_ok,
    /// Streams that ended with a backend's error.
    streams_failed,
    /// Streams that their callers gave up.
    streams_cancelled,
    /// Streams that their backends reset.
    streams_reset,
    /// Upstream connections opened.
    upstream_connections,
    /// Upstream connections open now.
    upstream_open,
    /// Calls that took an idle upstream connection.
    upstream_reused,
    /// Calls sent a second time because the idle connection had been closed by the backend.
    upstream_stale,
    /// HTTP requests that were answered without a call: no such method, bad arguments, too large.
    http_refused,
    /// Changes of an IDL that a gateway took.
    idl_reloads,
    /// Changes of an IDL that a gateway could not take; it goes on with what it had.
    idl_refused,
    /// Header entries that could not travel on the other transport.
    metadata_dropped,
    /// Replies that nobody waited for any more on a shared connection.
    replies_unclaimed,
}

impl Counters {
    pub(crate) fn with_routes(routes: usize) -> Self {
        Self { routes: (0..routes).map(|_| Counter::default()).collect(), ..Self::default() }
    }

    /// Counts entries that could not travel on the other transport, and says so once a worker: whoever sees the line
    /// finds the rest in the counter.
    pub(crate) fn drop_metadata(&self, entries: u64) {
        if entries > 0 && self.metadata_dropped.value() == 0 {
            tracing::warn!(
                entries,
                "metadata has no form on the other transport, and stays behind: counted from here on"
            );
        }
        self.metadata_dropped.add(entries);
    }

    pub(crate) fn call(&self, protocol: Protocol) {
        add_at(&self.calls, Protocol::ALL.iter().position(|&known| known == protocol));
    }

    pub(crate) fn fault(&self, kind: FaultKind) {
        add_at(&self.faults, FaultKind::ALL.iter().position(|&known| known == kind));
    }

    pub(crate) fn route(&self, index: usize) {
        add_at(&self.routes, Some(index));
    }
}

impl Totals {
    /// Calls of callers that spoke `protocol`.
    #[must_use]
    pub fn calls_of(&self, protocol: Protocol) -> u64 {
        Protocol::ALL
            .iter()
            .zip(self.calls)
            .find_map(|(&known, calls)| (known == protocol).then_some(calls))
            .unwrap_or(0)
    }

    /// Calls that ended in a fault of `kind`.
    #[must_use]
    pub fn faults_of(&self, kind: FaultKind) -> u64 {
        FaultKind::ALL
            .iter()
            .zip(self.faults)
            .find_map(|(&known, faults)| (known == kind).then_some(faults))
            .unwrap_or(0)
    }
}

fn add_at(counters: &[Counter], index: Option<usize>) {
    if let Some(counter) = index.and_then(|index| counters.get(index)) {
        counter.add_one();
    }
}

fn add_all(sums: &mut [u64], counters: &[Counter]) {
    for (sum, counter) in sums.iter_mut().zip(counters) {
        *sum = sum.wrapping_add(counter.value());
    }
}
