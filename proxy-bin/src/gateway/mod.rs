//! The gateway: what an HTTP request calls by an IDL, its arguments as Thrift, and what a reply is in HTTP. It knows
//! neither sockets nor hyper; the driver of HTTP asks it.
//!
//! Everything that an IDL says is one immutable [`Model`]. A change on disk makes a new one; requests keep theirs.

mod error;
mod example;
pub(crate) mod headers;
mod load;
mod model;
mod openapi;
mod page;
mod protobuf;
mod schema;
mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config;
use crate::telemetry::Counters;

pub(crate) use error::Error;
pub(crate) use load::LoadError;
pub(crate) use model::{Found, Model, Target};
pub(crate) use watch::Watch;

/// One listener's gateway, which all workers share.
#[derive(Debug)]
pub(crate) struct Gateway {
    config: config::Gateway,
    model: ArcSwap<Model>,
}

impl Gateway {
    /// Reads the IDL.
    ///
    /// # Errors
    ///
    /// It can't be read, says something wrong, or has nothing to serve.
    pub(crate) fn new(config: &config::Gateway) -> Result<Self, LoadError> {
        let model = ArcSwap::from_pointee(Model::load(config)?);
        Ok(Self { config: config.clone(), model })
    }

    /// What it serves now.
    pub(crate) fn model(&self) -> Arc<Model> {
        self.model.load_full()
    }

    /// Reads the IDL until it does not change meanwhile: half of one state and half of the next is none.
    fn load_settled(&self) -> Result<Model, LoadError> {
        let mut before = self.model().fingerprint_now();
        for _ in 0..MAX_READS {
            let model = Model::load(&self.config)?;
            if model.fingerprint() == before {
                return Ok(model);
            }
            before = model.fingerprint_now();
        }
        Model::load(&self.config)
    }

    /// Reads the IDL anew. A bad one leaves everything as it is. `last` is what came of it the last time: files are
    /// touched more often than changed, and what did not change is told and counted once.
    fn reload(&self, last: &mut Option<Outcome>, counters: &Counters) {
        let idl = self.config.idl.display();
        let outcome = match self.load_settled() {
            Ok(model) => {
                let outcome = Some(Outcome::Served(model.fingerprint()));
                let (services, methods) = (model.service_count(), model.methods());
                self.model.store(Arc::new(model));
                if *last != outcome {
                    counters.idl_reloads.add_one();
                    tracing::info!(%idl, services, methods, "the IDL has changed, and is served");
                }
                outcome
            }
            Err(error) => {
                let outcome = Some(Outcome::Refused(error.to_string()));
                if *last != outcome {
                    counters.idl_refused.add_one();
                    tracing::error!(%idl, %error, "the IDL has changed for the worse: what was there is still served");
                }
                outcome
            }
        };
        *last = outcome;
    }
}

/// How often an IDL is read that changes all the time.
const MAX_READS: usize = 4;

/// What came of reading an IDL.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Files of this fingerprint.
    Served(u64),
    /// Why not.
    Refused(String),
}
