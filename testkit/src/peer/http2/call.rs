use std::collections::HashSet;

use grpc_frame::http2::Frame;

use super::grpc::take_message;
use super::{Answer, Fields, H2Frame, NONE, RawH2, Request, grpc_message, grpc_request, grpc_response, grpc_trailers};

/// gRPC.
impl RawH2 {
    /// Opens the next stream with a request's headers; see [`grpc_request`].
    pub fn request(&mut self, path: &str, extra: impl Into<Fields>) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.send_headers(stream, grpc_request(path, extra), false);
        stream
    }

    /// A unary call: headers, one message, half-close, and the answer to its end.
    pub fn call(&mut self, path: &str, extra: impl Into<Fields>, payload: impl AsRef<[u8]>) -> Answer {
        let stream = self.request(path, extra);
        self.send_all(stream, grpc_message(payload), true);
        self.read_answer(stream)
    }

    /// Sends an answer's headers, unless they were sent for this stream before. To be followed by messages.
    pub fn respond(&mut self, stream: u32) {
        let state = self.streams.entry(stream).or_default();
        if !std::mem::replace(&mut state.responded, true) {
            self.send_headers(stream, grpc_response(NONE), false);
        }
    }

    /// Ends an answer with trailers; with trailers alone if it had no headers yet.
    pub fn trailers(&mut self, stream: u32, status: u32, message: &str) {
        let trailers = grpc_trailers(status, message, NONE);
        let responded = self.streams.get(&stream).is_some_and(|state| state.responded);
        let fields = if responded { trailers } else { grpc_response(trailers) };
        self.send_headers(stream, fields, true);
    }

    /// Waits for the next request however long it takes; `None` when the peer closes first.
    pub fn next_request(&mut self) -> Option<Request> {
        let requested = self.streams.iter().filter(|(_, state)| state.requested).map(|(stream, _)| *stream);
        let seen: HashSet<u32> = requested.collect();
        let is_new = |frame: &H2Frame| matches!(frame.frame, Frame::Headers(_)) && !seen.contains(&frame.stream());
        let frame = self.find(None, is_new)?;
        let state = self.streams.entry(frame.stream()).or_default();
        (state.requested, state.ended) = (true, frame.ends_stream());
        Some(Request { stream: frame.stream(), ended: frame.ends_stream(), fields: frame.fields })
    }

    /// Waits for the next gRPC message on `stream` however long it takes: its payload. `None` at the end of the stream,
    /// at its reset, and when the peer closes.
    pub fn next_grpc_message(&mut self, stream: u32) -> Option<Vec<u8>> {
        loop {
            let state = self.streams.entry(stream).or_default();
            if let Some((_, payload)) = take_message(&mut state.data) {
                return Some(payload);
            }
            if state.ended {
                return None;
            }
            let frame = self.find(None, |frame| is_of_stream(frame, stream))?;
            let state = self.streams.entry(stream).or_default();
            state.ended = frame.frame.is_end_of_stream();
            if let Frame::Data(data) = frame.frame {
                state.data.extend_from_slice(&data.data);
            }
        }
    }

    /// Reads what comes on `stream` up to its end or reset.
    ///
    /// # Panics
    ///
    /// When neither comes in time.
    pub fn read_answer(&mut self, stream: u32) -> Answer {
        let mut answer = Answer::default();
        while !answer.ended && answer.reset.is_none() {
            let frame = self.wait_for(&format!("the end of stream {stream}"), |frame| is_of_stream(frame, stream));
            answer.ended = frame.ends_stream();
            match frame.frame {
                Frame::Data(data) => {
                    answer.data_frames.push(data.data.len());
                    answer.data.extend_from_slice(&data.data);
                }
                Frame::RstStream(reset) => answer.reset = Some(reset.code),
                _ if answer.headers.is_none() => answer.headers = Some(frame.fields),
                _ => answer.trailers = Some(frame.fields),
            }
        }
        answer
    }
}

/// Whether a frame is part of what a stream carries: header lists, data, its reset.
fn is_of_stream(frame: &H2Frame, stream: u32) -> bool {
    frame.stream() == stream && matches!(frame.frame, Frame::Headers(_) | Frame::Data(_) | Frame::RstStream(_))
}
