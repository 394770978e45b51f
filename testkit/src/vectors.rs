use serde::Deserialize;

use crate::from_hex;

/// One golden vector: what one Kitex peer sends another, byte for byte.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Vector {
    /// Short name, unique: `framed_call`.
    pub name: String,
    /// Whether a caller or a server sends it.
    pub direction: Direction,
    /// What it shows, in a sentence.
    pub description: String,
    /// The bytes on the wire.
    pub bytes: Vec<u8>,
    /// Whether a Kitex server takes it; `None` where it is a reply.
    pub kitex_server_accepts: Option<bool>,
    /// Whether a Kitex client takes it; `None` where it is a request.
    pub kitex_client_accepts: Option<bool>,
    /// What the bytes mean, as a tree of the specification's names; null where they mean nothing, a list where there
    /// are several messages.
    pub fields: serde_json::Value,
}

/// Who sends a [`Vector`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Direction {
    /// A caller.
    Request,
    /// A server.
    Reply,
}

#[derive(Deserialize)]
struct Record {
    name: String,
    direction: Direction,
    description: String,
    hex: String,
    length: usize,
    kitex_server_accepts: Option<bool>,
    kitex_client_accepts: Option<bool>,
    fields: serde_json::Value,
}

/// All vectors of the ping-pong transports, in the order of their file.
///
/// # Panics
///
/// When the file in `vectors/` is damaged.
#[must_use]
pub fn vectors() -> Vec<Vector> {
    let records: Vec<Record> =
        serde_json::from_str(include_str!("../vectors/vectors-pingpong.json")).expect("vectors-pingpong.json");
    records.into_iter().map(Vector::from).collect()
}

/// The vector called `name`.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn vector(name: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.name == name).unwrap_or_else(|| panic!("no vector is called {name}"))
}

impl Vector {
    /// Whether a Kitex peer takes it, whichever side it is for.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.kitex_server_accepts.or(self.kitex_client_accepts).unwrap_or(false)
    }
}

impl From<Record> for Vector {
    fn from(record: Record) -> Self {
        let bytes = from_hex(&record.hex);
        assert_eq!(bytes.len(), record.length, "{}", record.name);
        Self {
            name: record.name,
            direction: record.direction,
            description: record.description,
            bytes,
            kitex_server_accepts: record.kitex_server_accepts,
            kitex_client_accepts: record.kitex_client_accepts,
            fields: record.fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_45_with_names_of_their_own() {
        let names: HashSet<String> = vectors().into_iter().map(|vector| vector.name).collect();
        assert_eq!(names.len(), 45);
    }

    #[test]
    fn those_that_must_be_refused_are_marked() {
        for vector in vectors() {
            assert_eq!(vector.is_accepted(), !vector.name.starts_with("neg_"), "{}", vector.name);
        }
    }
}
