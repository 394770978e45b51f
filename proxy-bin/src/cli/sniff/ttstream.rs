//! Frames of TTHeader Streaming.

use std::collections::HashMap;

use bytes::BytesMut;
use grpc_frame::content_type::Codec;
use tokio_util::codec::Decoder;
use ttheader::ProtocolId;
use ttstream::{CodecError, Frame, FrameType, Outcome, TtStreamCodec};

use crate::cli::sniff::body::{Bodies, Body, Way};
use crate::cli::sniff::pingpong::print_header;
use crate::cli::sniff::text::Text;

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Frames {
    codec: TtStreamCodec,
    way: Option<Way>,
}

/// What both directions of a connection know of its streams: the service that each was opened for.
#[derive(Debug, Default)]
pub(crate) struct Services(HashMap<i32, Vec<u8>>);

impl Frames {
    pub(crate) fn new(way: Option<Way>) -> Self {
        let codec = TtStreamCodec::builder().max_frame_len(usize::MAX).build();
        Self { codec, way }
    }

    /// # Errors
    ///
    /// What stands at the front is no frame.
    pub(crate) fn next(&mut self, inbox: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        self.codec.decode(inbox)
    }

    /// Prints `frame`, whose first byte stands at `at`.
    pub(crate) fn print(
        &mut self,
        frame: &Frame,
        at: usize,
        services: &mut Services,
        bodies: &Bodies,
        text: &mut Text,
    ) {
        let id = frame.stream_id();
        text.line(
            0,
            format_args!(
                "ttstream {} frame, stream {id}, method {}, {} bytes",
                type_name(frame.frame_type()),
                text.value(frame.method()),
                frame.raw().len()
            ),
        );
        print_header(&frame.header(), text);
        let (payload, at) = (frame.payload_slice(), at.saturating_add(frame.head().len()));
        match frame.frame_type() {
            FrameType::Header => {
                // Who names a service is who opens streams.
                if let Some(service) = frame.service() {
                    self.way.get_or_insert(Way::Request);
                    if services.0.len() < MAX_STREAMS {
                        services.0.insert(id, service.to_vec());
                    }
                } else {
                    self.way.get_or_insert(Way::Response);
                }
                rest(payload, at, text);
            }
            FrameType::Data => {
                let service = services.0.get(&id).map(Vec::as_slice).unwrap_or_default();
                let codec = match frame.header().protocol_id() {
                    ProtocolId::PROTOBUF_STRUCT => Codec::Protobuf,
                    _ => Codec::Thrift,
                };
                let body =
                    Body { codec, service, method: frame.method(), way: self.way, streamed: true, bytes: payload, at };
                bodies.print(&body, 1, text);
            }
            FrameType::Trailer => {
                text.dump(1, at, payload);
                match frame.outcome() {
                    Outcome::Success if self.way == Some(Way::Request) => text.line(1, "half close"),
                    Outcome::Success => text.line(1, "end: success"),
                    Outcome::Business(error) => {
                        text.line(
                            1,
                            format_args!("end: business error {}: {}", error.status, text.value(error.message)),
                        );
                    }
                    Outcome::Exception(exception) => {
                        text.line(
                            1,
                            format_args!("end: exception {}: {}", exception.code.0, text.value(exception.message)),
                        );
                    }
                    Outcome::Undecodable(error) => text.nonsense(1, at, format_args!("the trailer's payload: {error}")),
                    _ => {}
                }
            }
            FrameType::Rst => {
                text.dump(1, at, payload);
                let reset = frame.reset();
                let exception = reset.exception;
                text.line(1, format_args!("reset {}: {}", exception.code.0, text.value(exception.message)));
                if !reset.cancel_path.is_empty() {
                    text.line(1, format_args!("cancelled by way of {}", text.value(reset.cancel_path)));
                }
                if let Err(error) = frame.exception() {
                    text.nonsense(1, at, format_args!("the exception: {error}"));
                }
            }
            _ => rest(payload, at, text),
        }
    }
}

fn rest(payload: &[u8], at: usize, text: &mut Text) {
    text.dump(1, at, payload);
    if !payload.is_empty() {
        text.line(1, format_args!("payload {}", text.value(payload)));
    }
}

fn type_name(frame_type: FrameType) -> &'static str {
    match frame_type {
        FrameType::Meta => "meta",
        FrameType::Header => "header",
        FrameType::Data => "data",
        FrameType::Trailer => "trailer",
        FrameType::Rst => "rst",
    }
}

/// Streams whose service is kept.
const MAX_STREAMS: usize = 65_536;
