//! Files that take effect when they change.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Watches files, for as long as it lives.
///
/// What is watched are the directories of the files: editors and deployments replace files by renaming others, swap
/// symbolic links, or delete a directory and make a new one, and all of that counts. One thread waits, without
/// asking the disk again and again.
#[derive(Debug)]
pub struct Watch {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Signal {
    Event(Event),
    /// Something may have been missed.
    Unknown,
    Stop,
}

impl Watch {
    /// Calls `look` some time after one of the files may have changed, when things have calmed down, and once in the
    /// beginning for what happened before. It says which files matter from then on.
    ///
    /// `look` runs on a thread of its own. It is called too often rather than too rarely: for neighbours of the files,
    /// too.
    ///
    /// # Errors
    ///
    /// The system can't watch anything, or has no thread to spare.
    pub fn new(files: Vec<PathBuf>, look: impl FnMut() -> Vec<PathBuf> + Send + 'static) -> io::Result<Self> {
        let (signals, received) = channel();
        let events = signals.clone();
        let handler = move |event: notify::Result<Event>| {
            let signal = match event {
                // Reading the files is one, too.
                Ok(event) if matches!(event.kind, EventKind::Access(_)) && !event.need_rescan() => return,
                Ok(event) => Signal::Event(event),
                Err(_) => Signal::Unknown,
            };
            // There is nobody to tell when the thread is about to end.
            events.send(signal).unwrap_or_default();
        };
        let watcher = notify::recommended_watcher(handler).map_err(io::Error::other)?;
        let mut waiter = Waiter { watcher, received, watched: HashSet::new(), files, look };
        waiter.watch_directories();
        let thread = thread::Builder::new().name("idl-watch".into()).spawn(move || waiter.run())?;
        Ok(Self { signals, thread: Some(thread) })
    }
}

impl Drop for Watch {
    /// Waits for a call of `look` that is running, unless it is that one which drops it.
    fn drop(&mut self) {
        self.signals.send(Signal::Stop).unwrap_or_default();
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id()) {
            thread.join().unwrap_or_default();
        }
    }
}

struct Waiter<F> {
    watcher: RecommendedWatcher,
    received: Receiver<Signal>,
    watched: HashSet<PathBuf>,
    files: Vec<PathBuf>,
    look: F,
}

/// Whoever writes a file writes several, and each in several steps.
const CALM: Duration = Duration::from_millis(50);

/// Where it never calms down, this is enough.
const MAX_UNREST: Duration = Duration::from_secs(1);

/// How often a directory is looked for that is not there.
const RETRY: Duration = Duration::from_secs(1);

impl<F: FnMut() -> Vec<PathBuf>> Waiter<F> {
    fn run(mut self) {
        loop {
            self.files = (self.look)();
            // Only from when a directory is watched on, nothing in it is missed.
            while self.watch_directories() {
                self.files = (self.look)();
            }
            if !self.wait() {
                return;
            }
        }
    }

    /// Waits for a change, and for calm after it. False if it is time to stop.
    fn wait(&mut self) -> bool {
        loop {
            let missing = directories(&self.files).iter().any(|directory| !self.watched.contains(directory));
            match self.received.recv_timeout(if missing { RETRY } else { Duration::MAX }) {
                Ok(signal) if self.take(&signal) => break,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) if self.watch_directories() => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        let began = Instant::now();
        while began.elapsed() < MAX_UNREST {
            match self.received.recv_timeout(CALM) {
                Ok(signal) if self.take(&signal) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Notes which directories are not watched any longer, because they are gone. False if it is time to stop.
    fn take(&mut self, signal: &Signal) -> bool {
        match signal {
            Signal::Stop => return false,
            Signal::Unknown => {}
            Signal::Event(event) => {
                for path in event.paths.iter().filter(|_| !matches!(event.kind, EventKind::Create(_))) {
                    if self.watched.remove(path) {
                        // That it is gone may be the very reason.
                        self.watcher.unwatch(path).unwrap_or_default();
                    }
                }
            }
        }
        true
    }

    /// Watches what is to be watched and can be, and nothing else. True if that is more than before.
    fn watch_directories(&mut self) -> bool {
        let wanted = directories(&self.files);
        let gone: Vec<PathBuf> = self.watched.difference(&wanted).cloned().collect();
        for directory in gone {
            self.watched.remove(&directory);
            self.watcher.unwatch(&directory).unwrap_or_default();
        }
        let mut more = false;
        for directory in wanted {
            if !self.watched.contains(&directory) && self.watcher.watch(&directory, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched.insert(directory);
                more = true;
            }
        }
        more
    }
}

/// Where files are, and where those are that links lead to.
fn directories(files: &[PathBuf]) -> HashSet<PathBuf> {
    let targets = files.iter().filter_map(|file| file.canonicalize().ok());
    let directory = |file: &Path| match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => file.to_owned(),
    };
    files.iter().map(|file| directory(file)).chain(targets.map(|file| directory(&file))).collect()
}
