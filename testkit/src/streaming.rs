use std::sync::LazyLock;

use serde_json::Value;

/// The golden vectors of the streaming protocols: frames, sequences and decoder verdicts of TTHeader Streaming, frames
/// and scalar tables of gRPC, and the forms of one call across protocols. Members and layout: streaming-wire E.
#[must_use]
pub fn streaming_vectors() -> &'static Value {
    static VECTORS: LazyLock<Value> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../vectors/vectors-streaming.json")).expect("the file is JSON")
    });
    &VECTORS
}

/// Recorded traffic of live Kitex peers: `captures` between two of them, `probes` between one and a scripted peer.
/// Members and layout: streaming-wire E5.
#[must_use]
pub fn streaming_captures() -> &'static Value {
    static CAPTURES: LazyLock<Value> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../vectors/captures-streaming.json")).expect("the file is JSON")
    });
    &CAPTURES
}
