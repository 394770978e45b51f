//! HTTP/2 frames as others wrote them: the golden vectors and the captures of live Kitex peers, each direction of each
//! connection decoded from its first octet to its last and encoded to the same octets.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use grpc_frame::http2::{
    CodecError, Data, DecodeError, ErrorCode, Flags, Frame, FrameType, Head, Http2Codec, Http2CodecBuilder, PREFACE,
    Peer, SettingId, StreamId,
};
use loona_hpack::Decoder as Hpack;
use serde_json::Value;
use testkit::{assert_split_invariant, from_hex, streaming_captures, streaming_vectors};
use tokio_util::codec::{Decoder, Encoder};

#[test]
fn every_vector_decodes_and_encodes_to_the_same_octets() {
    let mut frames = 0;
    for vector in vectors() {
        let wire = hex(vector);
        let (decoded, mut encoded) = match wire.strip_prefix(&PREFACE) {
            Some(_) => (decode(pieces().expect_preface(Peer::Client), &wire), BytesMut::from(&PREFACE[..])),
            None => (decode(pieces(), &wire), BytesMut::new()),
        };
        for frame in &decoded {
            frame.encode(&mut encoded).unwrap();
        }
        assert_eq!(encoded, wire, "{}", vector["id"]);
        assert_split_invariant(|| pieces().build(), wire.strip_prefix(&PREFACE).unwrap_or(&wire));
        frames += decoded.len();
    }
    assert_eq!((vectors().len(), frames), (27, 30));
}

#[test]
fn every_vector_holds_what_it_says() {
    let mut said = BTreeMap::new();
    for vector in vectors() {
        let wire = hex(vector);
        let frames = decode(pieces(), wire.strip_prefix(&PREFACE).unwrap_or(&wire));
        let id = vector["id"].as_str().unwrap();
        for member in ["settings", "headers", "flags", "error_code", "last_stream_id", "debug_data", "message_hex"] {
            if vector[member].is_null() {
                continue;
            }
            assert_eq!(said_by(member, &frames), said_in(member, &vector[member]), "{id} {member}");
            *said.entry(member).or_insert(0) += 1;
        }
    }
    let expected = [
        ("debug_data", 3),
        ("error_code", 6),
        ("flags", 14),
        ("headers", 9),
        ("last_stream_id", 3),
        ("message_hex", 6),
        ("settings", 2),
    ];
    assert_eq!(said, expected.into());
}

#[test]
fn kitexs_own_error_code_arrives() {
    let vector = vectors().iter().find(|vector| vector["id"] == "G19").unwrap();
    let [Frame::RstStream(reset)] = &decode(pieces(), &hex(vector))[..] else { panic!() };
    assert_eq!((reset.stream_id, reset.code), (StreamId::new(3), ErrorCode(1000)));
    assert_eq!(reset.code, ErrorCode::KITEX_GRACEFUL_SHUTDOWN);
}

#[test]
fn every_capture_decodes_to_its_end_and_encodes_to_the_same_octets() {
    let (mut connections, mut types) = (0, BTreeMap::new());
    for connection in connections_of("captures").chain(connections_of("probes")) {
        connections += 1;
        for direction in connection.directions() {
            let (frames, _) = direction.frames();
            for frame in &frames {
                *types.entry(frame.frame_type()).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(connections, 111);
    let expected = [
        (FrameType::DATA, 218),
        (FrameType::HEADERS, 246),
        (FrameType::RST_STREAM, 69),
        (FrameType::SETTINGS, 431),
        (FrameType::PING, 258),
        (FrameType::GOAWAY, 10),
        (FrameType::WINDOW_UPDATE, 120),
    ];
    assert_eq!(types, expected.into());
}

#[test]
fn one_probe_alone_breaks_a_rule_of_frames() {
    let broken = |connection: &Connection| {
        let errors: Vec<_> = connection.directions().into_iter().filter_map(|direction| direction.frames().1).collect();
        errors.first().map(|error| (connection.id.clone(), *error))
    };
    let broken: Vec<_> =
        connections_of("captures").chain(connections_of("probes")).filter_map(|c| broken(&c)).collect();
    let error = DecodeError::FrameTooLarge { frame_type: FrameType::DATA, expected: 16_384, actual: 16_385 };
    assert_eq!(broken, [("PG15".to_owned(), error)]);
}

#[test]
fn captures_split_as_they_were_read_decode_the_same() {
    let mut chunks = 0;
    for connection in connections_of("captures") {
        for direction in connection.directions() {
            let mut codec = pieces().expect_preface(direction.peer).build();
            let mut src = BytesMut::new();
            let mut frames = Vec::new();
            for chunk in &direction.chunks {
                chunks += 1;
                src.extend_from_slice(chunk);
                while let Some(frame) = codec.decode(&mut src).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, direction.frames().0, "{}", connection.id);
        }
    }
    assert_eq!(chunks, 444);
}

#[test]
fn header_blocks_of_captures_say_what_the_captures_say() {
    let header = |id: &str, from: &str, name: &str| {
        let mut values = Vec::new();
        let kind = if id.starts_with('C') { "captures" } else { "probes" };
        for connection in connections_of(kind).filter(|connection| connection.id == id) {
            for direction in connection.directions().iter().filter(|direction| direction.from == from) {
                let lists = direction.header_lists();
                values.extend(lists.into_iter().flatten().filter(|(key, _)| key == name).map(|(_, value)| value));
            }
        }
        values
    };
    // Two echoes over thrift, and over protobuf; both end well.
    assert_eq!(header("C002", "client", ":path"), ["/livet.Live/Chat"]);
    assert_eq!(header("C003", "client", ":path"), ["/acme.wire.livep.LiveP/Chat"]);
    assert_eq!(header("C002", "server", "grpc-status"), ["0"]);
    // A business error: its code beside gRPC's.
    assert_eq!(header("C025", "server", "grpc-status"), ["13"]);
    assert_eq!(header("C025", "server", "biz-status"), ["502"]);
    assert_eq!(header("C025", "server", "biz-message"), Vec::<String>::new());
    // Kitex's codes of its own: unknown method and unknown service.
    assert_eq!(header("C036", "server", "grpc-status"), ["1"]);
    assert_eq!(header("C036", "server", "grpc-message"), ["unknown method Nope"]);
    assert_eq!(header("C039", "server", "grpc-status"), ["20"]);
    assert_eq!(header("C039", "server", "grpc-message"), ["unknown service NoSuch"]);
    // A status of the handler's, and a text that has to be escaped.
    assert_eq!(header("C067", "server", "grpc-status"), ["9"]);
    assert_eq!(header("C068", "server", "grpc-message"), ["caf%C3%A9 100%25%0Adone [biz error]"]);
    // What the scripted peer did wrong on purpose.
    assert_eq!(header("PG04", "probe", "grpc-timeout"), ["1X"]);
    assert_eq!(header("PG09", "probe", "X-Upper"), ["1"]);
}

#[test]
fn header_blocks_of_all_captures_decode_from_the_first_to_the_last() {
    let (mut blocks, mut requests, mut statuses) = (0, 0, 0);
    for connection in connections_of("captures").chain(connections_of("probes")) {
        for direction in connection.directions() {
            let lists = direction.header_lists();
            let has = |name: &str| lists.iter().flatten().filter(|(key, _)| key == name).count();
            blocks += lists.len();
            requests += has(":path");
            statuses += has("grpc-status");
        }
    }
    assert_eq!((blocks, requests, statuses), (246, 112, 76));
}

#[test]
fn a_shutdown_in_a_capture_is_told_from_a_cancel() {
    let resets = |id: &str| {
        let mut codes = Vec::new();
        for connection in connections_of("captures").filter(|connection| connection.id == id) {
            for direction in connection.directions() {
                for frame in direction.frames().0 {
                    match frame {
                        Frame::RstStream(reset) => codes.push(reset.code),
                        Frame::GoAway(goaway) => {
                            assert_eq!(goaway.debug_data, "graceful shutdown");
                            codes.push(goaway.code);
                        }
                        _ => {}
                    }
                }
            }
        }
        codes
    };
    assert_eq!(resets("C043"), [ErrorCode::CANCEL]);
    let shutdown = resets("C072");
    assert!(shutdown.contains(&ErrorCode::NO_ERROR) && shutdown.contains(&ErrorCode::KITEX_GRACEFUL_SHUTDOWN));
}

/// Worked by hand from RFC 9113: frames that no Kitex peer sends.
#[test]
fn frames_of_every_other_shape_decode_and_encode_to_the_same_octets() {
    let shapes = [
        ("DATA with padding", "00000a000900000001 05 68656c6c 0000000000"),
        ("DATA of padding alone", "000003000800000001 02 0000"),
        ("DATA with a Pad Length of 0", "000002000800000001 00 68"),
        ("HEADERS with priority", "000006012400000003 80000001 0f 82"),
        ("HEADERS with priority and padding", "000009012c00000003 02 00000001 ff 82 0000"),
        ("HEADERS without a fragment", "000000010400000001"),
        ("PRIORITY", "000005020000000005 80000003 10"),
        ("PUSH_PROMISE", "000005050400000001 00000002 82"),
        ("PUSH_PROMISE with padding", "000007050c00000001 01 00000002 82 00"),
        ("SETTINGS that nobody knows", "00000c040000000000 0a0a 00000001 0003 00000064"),
        ("GOAWAY without a text", "000008070000000000 00000005 00000000"),
        ("a type that nobody knows", "000003ee5500000007 010203"),
        ("a type that nobody knows, on the connection", "000000ff0000000000"),
        ("flags that mean nothing", "00000806fe0000000000 01020304050607"),
    ];
    for (what, wire) in shapes {
        let wire = from_hex(wire);
        let mut encoded = BytesMut::new();
        for frame in decode(pieces(), &wire) {
            frame.encode(&mut encoded).unwrap();
        }
        assert_eq!(encoded, wire, "{what}");
    }
}

#[test]
fn payloads_are_views_of_the_read_buffer() {
    let shapes = [
        "00000a000900000001 05 68656c6c 0000000000",
        "000009012c00000003 02 00000001 ff 82 0000",
        "000007050c00000001 01 00000002 82 00",
        "000002090400000001 8286",
        "00000a070000000000 00000005 00000000 6f6b",
        "000003ee5500000007 010203",
    ];
    for wire in shapes {
        let mut codec = pieces().build();
        // A block of its own for CONTINUATION to belong to.
        let block = if wire.starts_with("00000209") { "000000010000000001" } else { "" };
        let wire = [block, wire].concat();
        let mut src = BytesMut::from(&from_hex(&wire)[..]);
        let buffer = src.as_ptr().addr()..src.as_ptr().addr() + src.len();
        let mut last = None;
        while let Some(frame) = codec.decode(&mut src).unwrap() {
            last = Some(frame);
        }
        let frame = last.unwrap();
        let payload: &Bytes = match &frame {
            Frame::Data(data) => &data.data,
            Frame::Headers(headers) => &headers.fragment,
            Frame::PushPromise(promise) => &promise.fragment,
            Frame::Continuation(continuation) => &continuation.fragment,
            Frame::GoAway(goaway) => &goaway.debug_data,
            Frame::Unknown(unknown) => &unknown.payload,
            _ => panic!("{frame:?}"),
        };
        assert!(!payload.is_empty() && buffer.contains(&payload.as_ptr().addr()), "{frame:?}");
    }
}

#[test]
fn a_whole_header_block_is_a_view_of_the_read_buffer_when_blocks_are_joined() {
    let mut src = BytesMut::from(&from_hex("000002010400000001 8286")[..]);
    let buffer = src.as_ptr().addr()..src.as_ptr().addr() + src.len();
    let Some(Frame::Headers(headers)) = Http2Codec::default().decode(&mut src).unwrap() else { panic!() };
    assert!(buffer.contains(&headers.fragment.as_ptr().addr()));
}

#[test]
fn padding_is_no_data_and_counts_for_flow_control() {
    let frames = decode(pieces(), &from_hex("00000a00090000000105 68656c6c 0000000000"));
    let [Frame::Data(data)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((&data.data[..], data.padding, data.flow_len()), (&b"hell"[..], Some(5), 10));
    assert!(data.is_end_stream() && frames[0].is_end_of_stream());
}

#[test]
fn a_header_block_in_pieces_comes_out_as_one() {
    let wire = from_hex(
        "000004010900000001 01 8286 00  000001090000000001 84  000000090000000001  000002090400000001 4141
         000001000100000001 78",
    );
    let frames = decode(Http2Codec::builder(), &wire);
    let [Frame::Headers(headers), Frame::Data(data)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(&headers.fragment[..], b"\x82\x86\x84AA");
    assert_eq!((headers.flags, headers.padding), (Flags::END_STREAM | Flags::END_HEADERS, None));
    assert_eq!(&data.data[..], b"x");
    // The pieces themselves, for who sends them on.
    let types: Vec<_> = decode(pieces(), &wire).iter().map(Frame::frame_type).collect();
    let continuation = FrameType::CONTINUATION;
    assert_eq!(types, [FrameType::HEADERS, continuation, continuation, continuation, FrameType::DATA]);
}

#[test]
fn a_promise_in_pieces_comes_out_as_one() {
    let wire = from_hex("000005050000000001 00000004 82 000001090400000001 86");
    let frames = decode(Http2Codec::builder(), &wire);
    let [Frame::PushPromise(promise)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((promise.promised_id, &promise.fragment[..]), (StreamId::new(4), &b"\x82\x86"[..]));
    assert!(promise.is_end_headers());
}

#[test]
fn a_head_for_a_vectored_write_is_what_encode_writes() {
    let data = Data::new(StreamId::new(5), Bytes::from_static(b"hello")).with_flags(Flags::END_STREAM);
    let mut encoded = BytesMut::new();
    data.encode(&mut encoded).unwrap();
    assert_eq!(encoded, [&data.head().unwrap().to_bytes()[..], b"hello"].concat());
}

#[test]
fn frames_are_split_without_a_look_at_their_payload() {
    let wire = [&PREFACE[..], &from_hex("000000040000000000 000003060000000000 010203")].concat();
    let mut codec = Http2Codec::builder().expect_preface(Peer::Client).build();
    let mut src = BytesMut::from(&wire[..]);
    let (settings, raw) = codec.split(&mut src).unwrap().unwrap();
    assert_eq!((settings.frame_type, &raw[..]), (FrameType::SETTINGS, &wire[24..33]));
    // A PING of three octets, which `decode` would refuse.
    let (ping, raw) = codec.split(&mut src).unwrap().unwrap();
    assert_eq!((ping, &raw[..]), (Head::peek(&wire[33..]).unwrap(), &wire[33..]));
    assert_eq!(codec.split(&mut src).unwrap(), None);
}

/// One direction of a connection, from its first octet.
struct Direction {
    from: &'static str,
    peer: Peer,
    chunks: Vec<Vec<u8>>,
}

impl Direction {
    /// All frames, which encode to the octets they came from, and the error that they end with.
    fn frames(&self) -> (Vec<Frame>, Option<DecodeError>) {
        let wire = self.chunks.concat();
        let mut codec = pieces().expect_preface(self.peer).build();
        let mut src = BytesMut::from(&wire[..]);
        let mut frames = Vec::new();
        let error = loop {
            match codec.decode_eof(&mut src) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break None,
                Err(CodecError::Decode(error)) => break Some(error),
                Err(error) => panic!("{error}"),
            }
        };
        let mut encoded = BytesMut::new();
        if self.peer == Peer::Client {
            encoded.extend_from_slice(&PREFACE);
        }
        for frame in &frames {
            codec.encode(frame, &mut encoded).unwrap();
        }
        assert!(wire.starts_with(&encoded), "frames do not encode to what they came from");
        assert_eq!(error.is_none(), wire.len() == encoded.len());
        (frames, error)
    }

    fn header_lists(&self) -> Vec<Vec<(String, String)>> {
        let mut hpack = Hpack::new();
        let block = |frame: &Frame| match frame {
            Frame::Headers(headers) => Some(headers.fragment.clone()),
            _ => None,
        };
        self.frames().0.iter().filter_map(block).map(|block| header_list(&mut hpack, &block)).collect()
    }
}

struct Connection {
    id: String,
    chunks: &'static [Value],
    client: &'static str,
}

impl Connection {
    /// Both directions, or the one in which something was sent.
    fn directions(&self) -> Vec<Direction> {
        let mut directions: Vec<Direction> = Vec::new();
        for chunk in self.chunks {
            let (Some(from), Some(hex)) = (chunk["from"].as_str(), chunk["hex"].as_str()) else { continue };
            let octets = from_hex(hex);
            match directions.iter_mut().find(|direction| direction.from == from) {
                Some(direction) => direction.chunks.push(octets),
                None => {
                    let peer = if from == self.client { Peer::Client } else { Peer::Server };
                    directions.push(Direction { from, peer, chunks: vec![octets] });
                }
            }
        }
        directions
    }
}

/// The gRPC connections of `captures` or `probes`.
fn connections_of(kind: &str) -> impl Iterator<Item = Connection> {
    let entries = streaming_captures()[kind].as_array().unwrap();
    entries.iter().flat_map(|entry| {
        let id = entry["id"].as_str().unwrap();
        let client = match entry["live_side"].as_str() {
            None => "client",
            Some("client") => "kitex",
            Some(_) => "probe",
        };
        let connections = entry["connections"].as_array().map_or(std::slice::from_ref(entry), Vec::as_slice);
        let grpc = connections.iter().filter(|connection| connection["protocol"] == "grpc");
        grpc.map(move |connection| {
            let chunks = connection["chunks"].as_array().unwrap();
            Connection { id: id.to_owned(), chunks, client }
        })
    })
}

fn said_in(member: &str, value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (member, value) {
        ("headers", Value::Array(pairs)) => {
            pairs.iter().map(|pair| format!("{}={}", text(&pair[0]), text(&pair[1]))).collect()
        }
        (_, Value::Array(items)) => items.iter().map(text).collect(),
        (_, Value::Object(members)) => members.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        (_, value) => vec![text(value)],
    }
}

fn said_by(member: &str, frames: &[Frame]) -> Vec<String> {
    // Of several frames, data is that of one message behind its five octets; all else is said by the first.
    let frame = &frames[0];
    match (member, frame) {
        ("settings", Frame::Settings(settings)) => settings.iter().map(|(id, value)| format!("{id}={value}")).collect(),
        ("headers", Frame::Headers(headers)) => {
            let list = header_list(&mut Hpack::new(), &headers.fragment);
            list.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
        }
        ("flags", frame) => {
            let names = match frame {
                Frame::Headers(_) => &[(Flags::END_HEADERS, "END_HEADERS"), (Flags::END_STREAM, "END_STREAM")][..],
                _ => &[(Flags::END_STREAM, "END_STREAM")],
            };
            assert_eq!(names.iter().fold(frame.flags(), |flags, (flag, _)| flags.with(*flag, false)), Flags::NONE);
            names.iter().filter(|(flag, _)| frame.flags().contains(*flag)).map(|(_, name)| (*name).to_owned()).collect()
        }
        ("error_code", Frame::RstStream(reset)) => vec![reset.code.0.to_string()],
        ("error_code", Frame::GoAway(goaway)) => vec![goaway.code.0.to_string()],
        ("last_stream_id", Frame::GoAway(goaway)) => vec![goaway.last_stream_id.to_string()],
        ("debug_data", Frame::GoAway(goaway)) => vec![String::from_utf8(goaway.debug_data.to_vec()).unwrap()],
        ("message_hex", _) => {
            let data = frames.iter().flat_map(|frame| match frame {
                Frame::Data(data) => data.data.to_vec(),
                other => panic!("{other:?}"),
            });
            vec![testkit::to_hex(&data.skip(5).collect::<Vec<_>>())]
        }
        other => panic!("{other:?}"),
    }
}

fn header_list(hpack: &mut Hpack<'_>, block: &[u8]) -> Vec<(String, String)> {
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    hpack.decode(block).unwrap().into_iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn vectors() -> &'static Vec<Value> {
    streaming_vectors()["grpc_frames"].as_array().unwrap()
}

fn hex(vector: &Value) -> Vec<u8> {
    from_hex(vector["hex"].as_str().unwrap())
}

/// A codec that leaves header blocks in their pieces.
fn pieces() -> Http2CodecBuilder {
    Http2Codec::builder().join_header_blocks(false)
}

fn decode(builder: Http2CodecBuilder, wire: &[u8]) -> Vec<Frame> {
    let (frames, error) = testkit::decode_in_reads(&mut builder.build(), [wire]);
    assert_eq!(error, None);
    frames
}

/// What a server says of itself is known by its setting's name.
#[test]
fn settings_of_a_live_server_are_read() {
    let connection = connections_of("captures").next().unwrap();
    let directions = connection.directions();
    let server = directions.iter().find(|direction| direction.peer == Peer::Server).unwrap();
    let Frame::Settings(settings) = &server.frames().0[0] else { panic!() };
    assert_eq!(settings.value(SettingId::MAX_FRAME_SIZE), Some(16_384));
    assert!(!settings.is_ack());
}
