use std::borrow::Cow;

/// Why a call has no reply of its own, in the classes that an answer and a counter need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// No route knows the service.
    UnknownService,
    /// A route knows the service, none the method.
    UnknownMethod,
    /// The backend could not be reached.
    Connect,
    /// The backend closed or reset before its reply was complete.
    UpstreamClosed,
    /// The backend's reply makes no sense, or answers another call.
    BadReply,
    /// The deadline passed.
    Timeout,
    /// A limit of the proxy is reached.
    OverLimit,
    /// The message can't travel on the transport that the cluster asks for.
    NotConvertible,
    /// The arguments can't be read where the conversion has to.
    BadArguments,
    /// The caller is gone; nobody waits for an answer.
    DownstreamClosed,
    /// The proxy ends.
    ShuttingDown,
    /// A hook or a layer panicked.
    Panic,
}

impl FaultKind {
    /// Every kind, in the order of the counters.
    pub const ALL: [Self; 12] = [
        Self::UnknownService,
        Self::UnknownMethod,
        Self::Connect,
        Self::UpstreamClosed,
        Self::BadReply,
        Self::Timeout,
        Self::OverLimit,
        Self::NotConvertible,
        Self::BadArguments,
        Self::DownstreamClosed,
        Self::ShuttingDown,
        Self::Panic,
    ];

    /// The reason as logs and counters name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownService => "unknown_service",
            Self::UnknownMethod => "unknown_method",
            Self::Connect => "connect_failed",
            Self::UpstreamClosed => "upstream_closed",
            Self::BadReply => "bad_reply",
            Self::Timeout => "timeout",
            Self::OverLimit => "over_limit",
            Self::NotConvertible => "not_convertible",
            Self::BadArguments => "bad_arguments",
            Self::DownstreamClosed => "downstream_closed",
            Self::ShuttingDown => "shutting_down",
            Self::Panic => "panic",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self {
            Self::UnknownService | Self::UnknownMethod | Self::BadArguments | Self::DownstreamClosed => {
                Blame::Downstream
            }
            Self::Connect | Self::UpstreamClosed | Self::BadReply | Self::Timeout => Blame::Upstream,
            Self::OverLimit | Self::NotConvertible | Self::ShuttingDown | Self::Panic => Blame::Proxy,
        }
    }
}

/// Which side a fault is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blame {
    /// The caller.
    Downstream,
    /// The backend.
    Upstream,
    /// The proxy or its configuration.
    Proxy,
}

/// The one error type of the data path; each driver has one function that turns it into its protocol's answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct Fault {
    /// The class.
    pub kind: FaultKind,
    /// What the caller and the log are told.
    pub text: Cow<'static, str>,
    /// Whether any byte of the request may have reached a backend.
    pub sent: bool,
}

impl Fault {
    /// The text of a stream's end that is the proxy's own, and says so (streaming-wire C5.9).
    #[must_use]
    pub fn told(&self) -> String {
        format!("proxy: {}", self.text)
    }

    /// A fault before anything was sent to a backend.
    pub fn unsent(kind: FaultKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into(), sent: false }
    }

    /// A fault after the request was sent, wholly or in part.
    pub fn sent(kind: FaultKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into(), sent: true }
    }
}
