//! Files of an IDL that change take effect: a thread that waits for the system to say so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::gateway::{Gateway, Outcome};
use crate::telemetry::Counters;

/// Reloads a gateway for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Watch {
    words: Sender<Word>,
}

/// What the thread is told.
#[derive(Debug)]
enum Word {
    Changed,
    End,
}

impl Watch {
    /// Watches the files of `gateway`. Where the system can't, that is logged, and the gateway stays as it is. `counters`
    /// have no other writer.
    pub(crate) fn start(gateway: &Arc<Gateway>, counters: Arc<Counters>) -> Option<Self> {
        let idl = gateway.config.idl.display();
        match Self::try_start(gateway, counters) {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(%idl, %error, "the IDL is not watched: changes take effect with the next start");
                None
            }
        }
    }

    fn try_start(gateway: &Arc<Gateway>, counters: Arc<Counters>) -> Result<Self, Box<dyn std::error::Error>> {
        let (words, told) = channel();
        let tell = words.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change; an error may hide one.
            if event.map_or(true, |event| !matches!(event.kind, EventKind::Access(_))) {
                let _ended = tell.send(Word::Changed);
            }
        })?;
        let mut watching = Watching { watcher, gateway: Arc::downgrade(gateway), counters };
        watching.follow(gateway)?;
        std::thread::Builder::new().name("idl-watch".into()).spawn(move || watching.run(&told))?;
        Ok(Self { words })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ended = self.words.send(Word::End);
    }
}

struct Watching {
    watcher: RecommendedWatcher,
    gateway: Weak<Gateway>,
    counters: Arc<Counters>,
}

impl Watching {
    fn run(mut self, words: &Receiver<Word>) {
        let mut last = self.gateway.upgrade().map(|gateway| Outcome::Served(gateway.model().fingerprint()));
        // What has changed since it was read and before it was watched.
        let mut followed = self.reload(&mut last);
        loop {
            // A directory that is not there may come back without a word.
            let patience = if followed { Duration::MAX } else { RETRY };
            match words.recv_timeout(patience) {
                Ok(Word::Changed) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Word::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
            // An editor writes in several steps: what comes in one go is one change.
            loop {
                match words.recv_timeout(QUIET) {
                    Ok(Word::Changed) => {}
                    Ok(Word::End) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            followed = self.reload(&mut last);
        }
    }

    /// Reads the IDL, and says whether all of it is watched.
    fn reload(&mut self, last: &mut Option<Outcome>) -> bool {
        let Some(gateway) = self.gateway.upgrade() else { return true };
        // First, so that a change while files are read is one more.
        let _again_below = self.follow(&gateway);
        gateway.reload(last, &self.counters);
        // There may be new files to look at.
        let followed = self.follow(&gateway);
        followed.inspect_err(|error| tracing::warn!(%error, "an IDL is not watched")).is_ok()
    }

    /// Watches each directory that has a file of the model: editors and clusters do not change files, they replace them.
    fn follow(&mut self, gateway: &Gateway) -> notify::Result<()> {
        let model = gateway.model();
        let idl = gateway.config.idl.as_path();
        let own = if idl.is_dir() { Some(idl) } else { idl.parent() };
        let include = gateway.config.include.iter().map(PathBuf::as_path).filter(|directory| directory.is_dir());
        let directories: BTreeSet<&Path> = model.files().filter_map(Path::parent).chain(own).chain(include).collect();
        for directory in directories {
            let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            self.watcher.watch(here, RecursiveMode::NonRecursive)?;
        }
        Ok(())
    }
}

/// How long nothing may change before files are read.
const QUIET: Duration = Duration::from_millis(100);
/// How often a directory that can't be watched is tried again.
const RETRY: Duration = Duration::from_secs(1);
