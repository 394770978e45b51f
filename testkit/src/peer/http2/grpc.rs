use grpc_frame::http2::ErrorCode;

use super::Fields;

/// The header list of a gRPC request, as a Kitex client sends it, and `extra` behind it. An extra field takes the place
/// of one that has its name.
pub fn grpc_request(path: &str, extra: impl Into<Fields>) -> Fields {
    let usual = Fields::from([
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "raw.dest"),
        ("content-type", "application/grpc"),
        ("user-agent", "raw"),
        ("te", "trailers"),
    ]);
    with_extra(usual, extra.into())
}

/// The header list of a gRPC answer, and `extra` behind it.
pub fn grpc_response(extra: impl Into<Fields>) -> Fields {
    with_extra(Fields::from([(":status", "200"), ("content-type", "application/grpc")]), extra.into())
}

/// Trailers, and `extra` behind them.
pub fn grpc_trailers(status: u32, message: &str, extra: impl Into<Fields>) -> Fields {
    with_extra(Fields::from([("grpc-status", status.to_string().as_str()), ("grpc-message", message)]), extra.into())
}

/// An uncompressed gRPC message: its five octets, and `payload`.
///
/// # Panics
///
/// When 32 bits cannot say its length.
pub fn grpc_message(payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let len = u32::try_from(payload.len()).expect("a length of 32 bits");
    [&[0], &len.to_be_bytes()[..], payload].concat()
}

/// Takes a whole gRPC message off the front: its flag and its payload.
pub(super) fn take_message(data: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let &[flag, l0, l1, l2, l3] = data.first_chunk()?;
    let end = 5 + usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).expect("an address of 32 bits");
    if data.len() < end {
        return None;
    }
    let rest = data.split_off(end);
    let message = std::mem::replace(data, rest);
    Some((flag, message[5..].to_vec()))
}

/// What came on a stream in one direction, up to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The first header list; the only one if there were trailers alone.
    pub headers: Option<Fields>,
    /// All of DATA.
    pub data: Vec<u8>,
    /// Octets of each DATA frame.
    pub data_frames: Vec<usize>,
    /// The second header list.
    pub trailers: Option<Fields>,
    /// The code that the stream was reset with, if it was.
    pub reset: Option<ErrorCode>,
    /// Whether END_STREAM came.
    pub ended: bool,
}

impl Answer {
    /// Payloads of the whole gRPC messages in [`data`](Self::data), compressed ones as they came.
    #[must_use]
    pub fn messages(&self) -> Vec<Vec<u8>> {
        let mut data = self.data.clone();
        std::iter::from_fn(|| take_message(&mut data)).map(|(_, payload)| payload).collect()
    }

    /// `grpc-status`, from the trailers or from headers that are trailers too.
    ///
    /// # Panics
    ///
    /// When it is no number.
    #[must_use]
    pub fn status(&self) -> Option<u32> {
        self.field("grpc-status").map(|status| status.parse().expect("a number"))
    }

    /// `grpc-message`, escaped as it came.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.field("grpc-message")
    }

    /// Whether there was nothing but one header list.
    #[must_use]
    pub fn is_trailers_only(&self) -> bool {
        self.headers.is_some() && self.trailers.is_none() && self.data_frames.is_empty() && self.ended
    }

    fn field(&self, name: &str) -> Option<&str> {
        [&self.trailers, &self.headers].into_iter().flatten().find_map(|fields| fields.text(name))
    }
}

fn with_extra(usual: Fields, extra: Fields) -> Fields {
    // Pseudo-headers keep their place in front of all others.
    let replaced = usual.iter().map(|(name, value)| {
        let text = std::str::from_utf8(name).unwrap_or_default();
        (name.to_vec(), extra.value(text).unwrap_or(value).to_vec())
    });
    let mut fields = Fields::new(replaced);
    for (name, value) in extra.iter() {
        let text = String::from_utf8_lossy(name);
        if !usual.contains(&text) {
            fields = fields.with(name, value);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_field_takes_the_place_of_a_usual_one() {
        let request = grpc_request("/s/m", [(":authority", "other"), ("x", "1"), ("x", "2")]);
        assert_eq!(request.values(":authority"), [b"other"]);
        assert_eq!(request.values("x"), [b"1", b"2"]);
        assert_eq!(request.iter().nth(2), Some((&b":path"[..], &b"/s/m"[..])));
    }

    #[test]
    fn messages_are_cut_out_of_data() {
        let data = [grpc_message("one"), grpc_message(""), b"\0\0\0\0\x09cut".to_vec()].concat();
        let answer = Answer { data, ..Answer::default() };
        assert_eq!(answer.messages(), [b"one".to_vec(), Vec::new()]);
    }
}
