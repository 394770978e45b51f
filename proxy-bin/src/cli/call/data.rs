//! Where requests come from: the command line, a file, or standard input as it comes.

use std::io::{BufReader, Read};

use serde_json::Deserializer;
use serde_json::value::RawValue;
use tokio::sync::mpsc::{Receiver, channel};

use crate::cli::call::report::Failure;

/// All of it: the request of a call.
pub(crate) fn whole(data: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(data) = data else { return Ok(None) };
    let mut text = String::new();
    let read = match data.strip_prefix('@') {
        None => return Ok(Some(data.to_owned())),
        Some("-") => std::io::stdin().lock().read_to_string(&mut text),
        Some(path) => open(path)?.read_to_string(&mut text),
    };
    read.map_err(|error| Failure::Usage(format!("-d {data}: {error}")))?;
    // A file ends with the end of a line, which a request that is bare text does not.
    let end = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(end);
    Ok(Some(text))
}

/// JSON texts, one after the other: the messages of a stream. Read by a thread, for standard input may take its time.
pub(crate) fn texts(data: Option<&str>) -> Result<Receiver<Result<String, String>>, Failure> {
    let source: Box<dyn Read + Send> = match data.map(|data| data.strip_prefix('@').ok_or(data)) {
        None => Box::new(std::io::empty()),
        Some(Err(text)) => Box::new(std::io::Cursor::new(text.to_owned())),
        Some(Ok("-")) => Box::new(std::io::stdin()),
        Some(Ok(path)) => Box::new(open(path)?),
    };
    let (put, take) = channel(QUEUE);
    std::thread::spawn(move || {
        let texts = Deserializer::from_reader(BufReader::new(source)).into_iter::<Box<RawValue>>();
        for text in texts {
            let text = text.map(|text| text.get().to_owned()).map_err(|error| format!("-d: JSON: {error}"));
            // After an error nobody knows where the next one begins; and the stream may be over.
            let ends = text.is_err();
            if put.blocking_send(text).is_err() || ends {
                return;
            }
        }
    });
    Ok(take)
}

fn open(path: &str) -> Result<std::fs::File, Failure> {
    std::fs::File::open(path).map_err(|error| Failure::Usage(format!("-d @{path}: {error}")))
}

/// Texts that are read ahead of what has been sent.
const QUEUE: usize = 16;
