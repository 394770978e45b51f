//! How a call that did not go well is told: one line of JSON, and an exit code.

use std::process::ExitCode;

use bytes::Bytes;
use grpc_frame::status::Code;

use crate::cli::json::quote;
use crate::rpc::stream::StreamOutcome;
use crate::rpc::{Fault, FaultKind};

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong arguments or IDL, or a request that does not fit.
    Usage(String),
    /// A response that can't be read.
    Unreadable(String),
    /// No answer.
    Fault(Fault),
    /// A declared exception.
    Declared { name: String, ty: String, json: String },
    /// How the backend says that it did not go well.
    Outcome(StreamOutcome),
}

impl Failure {
    /// Prints it, and gives the exit code.
    pub(crate) fn tell(&self) -> ExitCode {
        let (code, line) = self.line();
        eprintln!("{line}");
        code.into()
    }

    fn line(&self) -> (u8, String) {
        let text = |bytes: &Bytes| quote(&String::from_utf8_lossy(bytes));
        match self {
            Self::Usage(text) => (USAGE, format!("error: {text}")),
            Self::Unreadable(text) => (USAGE, format!(r#"{{"error":"unreadable","message":{}}}"#, quote(text))),
            Self::Fault(fault) if fault.kind == FaultKind::Timeout => (TIMEOUT, timeout(&fault.text)),
            Self::Fault(fault) => {
                // What has no form is the caller's to change.
                let code = match fault.kind {
                    FaultKind::NotConvertible | FaultKind::BadArguments => USAGE,
                    _ => TRANSPORT,
                };
                let (kind, text) = (fault.kind.name(), quote(&fault.text));
                (code, format!(r#"{{"error":"transport","kind":"{kind}","message":{text}}}"#))
            }
            Self::Declared { name, ty, json } => {
                let (name, ty) = (quote(name), quote(ty));
                (DECLARED, format!(r#"{{"error":"declared","field":{name},"type":{ty},"value":{json}}}"#))
            }
            Self::Outcome(StreamOutcome::Business { status, message, extra }) => {
                let message = text(message);
                // The extra is JSON, if it is what it should be.
                let extra = extra.as_ref().map_or_else(String::new, |extra| {
                    let json = str::from_utf8(extra).ok().filter(|text| is_json(text));
                    format!(r#","extra":{}"#, json.map_or_else(|| text(extra), str::to_owned))
                });
                (BUSINESS, format!(r#"{{"error":"business","status":{status},"message":{message}{extra}}}"#))
            }
            Self::Outcome(StreamOutcome::Status { code, message }) if Code(*code) == Code::DEADLINE_EXCEEDED => {
                (TIMEOUT, timeout(&String::from_utf8_lossy(message)))
            }
            Self::Outcome(StreamOutcome::Status { code, message }) => {
                let name = Code(*code).name().map_or_else(String::new, |name| format!(r#","name":"{name}""#));
                (EXCEPTION, format!(r#"{{"error":"status","code":{code}{name},"message":{}}}"#, text(message)))
            }
            Self::Outcome(StreamOutcome::Exception { code, message }) => {
                (EXCEPTION, format!(r#"{{"error":"exception","code":{code},"message":{}}}"#, text(message)))
            }
            Self::Outcome(StreamOutcome::Ok) => (0, String::new()),
        }
    }
}

fn timeout(text: &str) -> String {
    format!(r#"{{"error":"timeout","message":{}}}"#, quote(text))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

pub(crate) const USAGE: u8 = 1;
const TRANSPORT: u8 = 2;
const EXCEPTION: u8 = 3;
const DECLARED: u8 = 4;
const BUSINESS: u8 = 5;
const TIMEOUT: u8 = 6;
