//! Bytes both ways: the golden vectors of the specification, which live Kitex peers sent or accepted.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use testkit::{from_hex, streaming_vectors};
use tokio_util::codec::{Decoder, Encoder};
use ttstream::stream::{Client, ClientEvent, Ids, Server, ServerEvent, Writes, opens};
use ttstream::{Code, Exception, Frame, FrameType, IntKey, Outcome, StreamEncoder, TtStreamCodec, keys};

#[test]
fn every_frame_reads_as_the_specification_says() {
    for vector in vectors("ttstream_frames") {
        let (id, fields) = (&vector["id"], &vector["fields"]);
        let frame = parse(vector);
        assert_eq!(name(frame.frame_type()), vector["frame_type"], "{id}");
        assert_eq!(i64::from(frame.stream_id()), vector["stream_id"], "{id}");
        assert_eq!(text(frame.method()), vector["method"], "{id}");
        assert_eq!(frame.payload(), hex(&fields["payload_hex"]), "{id}");
        assert_eq!(frame.payload_slice(), frame.payload(), "{id}");
        assert_eq!(frame.clone().into_payload(), frame.payload(), "{id}");
        assert_eq!(frame.head().len() + frame.payload().len(), frame.raw().len(), "{id}");
        let header = frame.header();
        assert_eq!(u64::from(header.head().length), fields["length"], "{id}");
        assert_eq!(u64::from(header.flags().0), fields["flags"], "{id}");
        assert_eq!(u64::from(header.head().header_words), fields["header_words"], "{id}");
        assert_eq!(u64::from(header.protocol_id().0), fields["protocol_id"], "{id}");
        let pairs: BTreeMap<_, _> = frame.pairs().map(|(key, value)| (text(key), text(value))).collect();
        assert_eq!(pairs, pairs_of(&fields["str_info"]), "{id}");
        let ints: BTreeMap<_, _> = header.ints().map(|(key, value)| (key.0.to_string(), text(value))).collect();
        assert_eq!(ints, pairs_of(&fields["int_info"]), "{id}");
        for (key, value) in &pairs {
            // The token lies in a section of its own and is no string pair.
            if key.as_bytes() != keys::GDPR_TOKEN {
                assert_eq!(frame.string(key.as_bytes()).map(text).as_ref(), Some(value), "{id}");
            }
        }
        let of = |key: &str| pairs.get(key).cloned();
        assert_eq!(frame.service().map(text), of("isn"), "{id}");
        assert_eq!(frame.cancel_path().map(text), of("ttscp"), "{id}");
    }
}

#[test]
fn every_frame_goes_back_byte_for_byte() {
    for vector in vectors("ttstream_frames").chain(steps()) {
        let wire = hex(&vector["hex"]);
        let frame = parse(vector);
        assert_eq!(frame.clone().into_bytes(), wire);

        let mut dst = BytesMut::new();
        TtStreamCodec::default().encode(frame.clone(), &mut dst).unwrap();
        assert_eq!(dst, wire);

        dst.clear();
        frame.encode_head_with_id(frame.stream_id(), &mut dst).unwrap();
        assert_eq!([&dst[..], &frame.payload_for(frame.stream_id())].concat(), wire);

        dst.clear();
        write_anew(&frame, &mut dst);
        // The one vector of a protocol that is reserved.
        if frame.header().protocol_id().0 == 0x10 {
            assert_eq!(dst, wire, "{}", vector["id"]);
        }
    }
}

/// By what a client or a server has for a frame of this kind.
fn write_anew(frame: &Frame, dst: &mut BytesMut) {
    let encoder = StreamEncoder::new(frame.stream_id(), frame.method()).unwrap();
    assert_eq!((encoder.stream_id(), encoder.method()), (frame.stream_id(), frame.method()));
    let more_ints = frame.header().ints().count() > 2;
    match (frame.frame_type(), frame.service()) {
        _ if more_ints => {
            let mut writer = encoder.writer(frame.frame_type(), dst).unwrap();
            writer.strings(frame.pairs()).unwrap();
            for (key, value) in frame.header().ints() {
                writer.int(key, value).unwrap();
            }
            writer.finish(frame.payload().len()).unwrap();
        }
        // The encoder puts the service first, the vectors have the keys in their order.
        (FrameType::Header, Some(service)) if frame.pairs().count() == 1 => encoder.open(service, [], dst).unwrap(),
        (FrameType::Header, _) => encoder.header(frame.pairs(), dst).unwrap(),
        (FrameType::Data, _) => {
            let before = dst.len();
            encoder.data(frame.payload().len(), dst).unwrap();
            assert_eq!(dst.len() - before, encoder.data_head_len());
        }
        (FrameType::Trailer, _) if frame.payload().is_empty() => encoder.trailer(frame.pairs(), dst).unwrap(),
        (FrameType::Trailer, _) => {
            let exception = frame.exception().unwrap();
            return encoder.exception_trailer(frame.pairs(), &exception, dst).unwrap();
        }
        (FrameType::Rst, _) => {
            let path = frame.cancel_path().unwrap_or_default();
            return encoder.rst(&frame.exception().unwrap(), path, dst).unwrap();
        }
        (FrameType::Meta, _) => encoder.meta(frame.pairs(), frame.payload().len(), dst).unwrap(),
    }
    dst.extend_from_slice(&frame.payload());
}

#[test]
fn frames_without_pairs_are_written_from_the_template() {
    let [empty_header, half_close] = ["T07", "T06"].map(|id| hex(&vector(id)["hex"]));
    let encoder = StreamEncoder::new(1, b"EchoBidi").unwrap();
    let mut dst = BytesMut::new();
    encoder.empty_header(&mut dst);
    assert_eq!(dst, empty_header);
    dst.clear();
    encoder.half_close(&mut dst);
    assert_eq!(dst, half_close);
}

#[test]
fn an_open_frame_has_one_service() {
    let encoder = StreamEncoder::new(1, b"EchoBidi").unwrap();
    let pairs = [(keys::IDL_SERVICE_NAME, &b"Other"[..]), (b"k", b"v"), (keys::GDPR_TOKEN, b"tok")];
    let mut dst = BytesMut::new();
    encoder.open(b"EchoService", pairs, &mut dst).unwrap();
    let frame = Frame::parse(dst.freeze()).unwrap();
    let found: Vec<_> = frame.pairs().collect();
    assert_eq!(found, [(keys::IDL_SERVICE_NAME, &b"EchoService"[..]), (b"k", b"v"), (keys::GDPR_TOKEN, b"tok")]);
    assert_eq!(frame.header().acl_token(), Some(&b"tok"[..]));
    assert_eq!(frame.header().strings().count(), 2);
}

#[test]
fn a_frame_gets_the_id_of_another_hop() {
    // T14 and T15 are the same rst on two hops, apart from the path.
    let (first, second) = (parse(vector("T14")), parse(vector("T15")));
    assert_eq!(first.payload_for(3), second.payload());
    assert_eq!(first.payload_for(1), first.payload());

    let mut head = BytesMut::from(&b"before"[..]);
    first.encode_head_with_id(-7, &mut head).unwrap();
    let moved = Frame::parse([&head[6..], &first.payload_for(-7)].concat().into()).unwrap();
    assert_eq!((moved.stream_id(), moved.cancel_path()), (-7, first.cancel_path()));
    assert_eq!(moved.exception(), first.exception());
    assert_eq!(moved.payload()[16..20], (-7_i32).to_be_bytes());

    let data = parse(vector("T05"));
    assert_eq!(data.payload_for(9).as_ptr(), data.payload().as_ptr(), "a message is not copied");
}

#[test]
fn an_end_reads_as_the_specification_says() {
    for (id, expected) in [("T11", None), ("T06", None)] {
        assert_eq!(parse(vector(id)).business_error(), expected, "{id}");
        assert_eq!(parse(vector(id)).outcome(), Outcome::Success, "{id}");
    }
    let business = parse(vector("T12"));
    let Outcome::Business(error) = business.outcome() else { panic!("{:?}", business.outcome()) };
    assert_eq!((error.status, error.message), (502, &b"biz error"[..]));
    assert_eq!(error.extra, br#"{"detail":"test biz error"}"#);

    let failed = parse(vector("T13"));
    let exception = Exception::new(Code::INTERNAL_ERROR, b"biz error: message not match");
    assert_eq!(failed.outcome(), Outcome::Exception(exception));

    let cancelled = parse(vector("T15"));
    assert_eq!(cancelled.reset().exception, Exception::built_in(Code::CANCELLED));
    assert_eq!(cancelled.reset().cancel_path, b"ServiceA,ProxyB");
    let reset = parse(vector("T19"));
    assert_eq!(reset.reset().exception, Exception::new(Code(1204), b"Egress canceled"));
}

/// Order of A9: an exception outweighs a business error, which is one only with a status that is a number of 32 bits
/// and not 0.
#[test]
fn what_is_no_business_error_is_success() {
    #[rustfmt::skip]
    let cases: &[(&[u8], Option<i32>)] = &[
        (b"502", Some(502)), (b"-7", Some(-7)), (b"+5", Some(5)), (b"007", Some(7)),
        (b"2147483647", Some(i32::MAX)), (b"-2147483648", Some(i32::MIN)),
        (b"0", None), (b"-0", None), (b"", None), (b"abc", None), (b"1.5", None), (b" 1", None), (b"1_0", None),
        (b"0x10", None), (b"2147483648", None), (b"\xff", None),
    ];
    let encoder = StreamEncoder::new(1, b"m").unwrap();
    for &(status, expected) in cases {
        let mut dst = BytesMut::new();
        encoder.trailer([(&b"biz-status"[..], status)], &mut dst).unwrap();
        let frame = Frame::parse(dst.freeze()).unwrap();
        assert_eq!(frame.business_error().map(|error| error.status), expected, "{}", text(status));
        assert_eq!(frame.outcome() == Outcome::Success, expected.is_none());

        let mut dst = BytesMut::new();
        let exception = Exception::new(Code(6), b"x");
        encoder.exception_trailer([(&b"biz-status"[..], status)], &exception, &mut dst).unwrap();
        assert_eq!(Frame::parse(dst.freeze()).unwrap().outcome(), Outcome::Exception(exception));
    }
}

#[test]
fn every_verdict_is_that_of_the_table() {
    let mut seen = 0;
    for vector in vectors("ttstream_decode_verdicts") {
        let wire = hex(&vector["hex"]);
        let result = TtStreamCodec::default().decode(&mut BytesMut::from(&wire[..]));
        match (vector["verdict"].as_str().unwrap(), result) {
            ("accept", Ok(Some(frame))) => assert_eq!(frame.raw(), &wire, "{}", vector["id"]),
            ("connection_error" | "recommended_connection_error", Err(_)) => {
                assert!(Frame::parse(wire).is_err(), "{}", vector["id"]);
            }
            (verdict, result) => panic!("{}: {verdict}, not {result:?}", vector["id"]),
        }
        seen += 1;
    }
    assert_eq!(seen, 13);
    let without = parse(vectors("ttstream_decode_verdicts").find(|vector| vector["id"] == "N13").unwrap());
    assert_eq!((without.frame_type(), without.method()), (FrameType::Data, &b""[..]));
}

/// Machines on both sides write just the frames of each sequence, in its order, when the applications do what its
/// steps say.
#[test]
fn machines_write_the_sequences() {
    for sequence in vectors("ttstream_sequences") {
        let mut streams: BTreeMap<i32, (Client, Server, Vec<FrameType>)> = BTreeMap::new();
        let (mut from_client, mut from_server) = (BytesMut::new(), BytesMut::new());
        for step in sequence["steps"].as_array().unwrap() {
            let frame = parse(step);
            let (id, kind) = (frame.stream_id(), frame.frame_type());
            let context = format!("{} {}", sequence["id"], step["what"]);
            let (client, server, due) = streams.entry(id).or_default();
            if step["from"] == "client" {
                from_client.extend_from_slice(frame.raw());
                if kind == FrameType::Header {
                    assert_eq!(opens(&frame), Ok(true), "{context}");
                    continue;
                }
                if due.first() == Some(&kind) {
                    due.remove(0);
                } else {
                    let writes = match kind {
                        FrameType::Data => client.send_message().unwrap(),
                        FrameType::Trailer => client.half_close(),
                        FrameType::Rst => client.cancel(),
                        other => panic!("{context}: {other:?}"),
                    };
                    let kinds: Vec<_> = writes.kinds().collect();
                    assert_eq!(kinds.first(), Some(&kind), "{context}");
                    due.extend(&kinds[1..]);
                }
                let closed = server.is_closed();
                let event = server.received(&frame).unwrap();
                assert_eq!(event == ServerEvent::Ignored, closed, "{context}");
            } else {
                from_server.extend_from_slice(frame.raw());
                let late = server.is_closed();
                let writes = match kind {
                    FrameType::Header if late => Writes::NONE,
                    FrameType::Header => server.send_header().unwrap(),
                    FrameType::Data => server.send_message().unwrap(),
                    FrameType::Trailer => server.finish(),
                    FrameType::Rst => server.reset(),
                    other => panic!("{context}: {other:?}"),
                };
                assert!(late || writes.kinds().eq([kind]), "{context}");
                let (event, writes) = client.received(&frame).unwrap();
                assert_eq!(event == ClientEvent::Ignored, late, "{context}");
                due.extend(writes.kinds());
            }
        }
        assert_eq!(from_client, hex(&sequence["client_bytes_hex"]), "{}", sequence["id"]);
        assert_eq!(from_server, hex(&sequence["server_bytes_hex"]), "{}", sequence["id"]);
        for (client, _, due) in streams.values() {
            assert!(client.is_closed() && due.is_empty(), "{}: {due:?}", sequence["id"]);
        }
    }
}

#[test]
fn codes_have_the_texts_and_classes_of_the_specification() {
    use ttstream::Class::{Cancelled, Protocol, Timeout};
    let classes = [None]
        .into_iter()
        .chain([Some(Protocol); 5])
        .chain([Some(Cancelled); 7])
        .chain([Some(Timeout); 2])
        .collect::<Vec<_>>();
    for (code, class) in (12001..=12015).zip(classes) {
        assert_eq!(Code(code).class(), class, "{code}");
        assert!(Code(code).message().is_some_and(|message| !message.is_empty()), "{code}");
    }
    for code in (0..=21).chain([1204, 12000, 12016, -1]) {
        assert_eq!(Code(code).class(), None, "{code}");
    }
    assert_eq!(Code::UNEXPLAINED_RESET.message(), Some("rst"));
    assert_eq!(Code::UNKNOWN_SERVICE, Code(20));
    assert_eq!(Exception::built_in(Code(6)), Exception::new(Code::INTERNAL_ERROR, b""));
    assert_eq!(Exception::built_in(Code::CONNECTION_CLOSED).to_string(), "12013: canceled by connection closed");
}

#[test]
fn ids_pass_over_zero() {
    assert_eq!(Ids::new().next_id(), 1);
    let mut ids = Ids::after(i32::MAX - 1);
    assert_eq!([ids.next_id(), ids.next_id()], [i32::MAX, i32::MIN]);
    let mut ids = Ids::after(-2);
    assert_eq!([ids.next_id(), ids.next_id()], [-1, 1]);
}

#[test]
fn int_keys_may_come_in_any_order_and_method_and_type_come_once() {
    let encoder = StreamEncoder::new(7, b"EchoBidi").unwrap();
    let ints: [(IntKey, &[u8]); 5] = [
        (IntKey::FROM_METHOD, b"Handle"),
        (IntKey::TO_METHOD, b"other"),
        (IntKey::FROM_SERVICE, b"ServiceA"),
        (IntKey::FRAME_TYPE, b"5"),
        (IntKey(999), b""),
    ];
    let mut dst = BytesMut::new();
    let mut writer = encoder.writer(FrameType::Header, &mut dst).unwrap();
    for (key, value) in ints {
        writer.int(key, value).unwrap();
    }
    writer.finish(0).unwrap();
    let frame = Frame::parse(dst.freeze()).unwrap();
    assert_eq!((frame.frame_type(), frame.method()), (FrameType::Header, &b"EchoBidi"[..]));
    let found: Vec<_> = frame.header().ints().map(|(key, _)| key.0).collect();
    assert_eq!(found, [9, 20, 3, 999, 27]);
}

fn vectors(member: &str) -> impl Iterator<Item = &'static Value> {
    streaming_vectors()[member].as_array().unwrap().iter()
}

fn vector(id: &str) -> &'static Value {
    vectors("ttstream_frames").find(|vector| vector["id"] == id).unwrap()
}

/// All frames of all sequences.
fn steps() -> impl Iterator<Item = &'static Value> {
    vectors("ttstream_sequences").flat_map(|sequence| sequence["steps"].as_array().unwrap())
}

fn parse(vector: &Value) -> Frame {
    Frame::parse(hex(&vector["hex"])).unwrap_or_else(|error| panic!("{}: {error}", vector["id"]))
}

fn hex(value: &Value) -> Bytes {
    from_hex(value.as_str().unwrap()).into()
}

fn pairs_of(object: &Value) -> BTreeMap<String, String> {
    let pairs = object.as_object().unwrap().iter();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| format!("{bytes:?}"))
}

fn name(frame_type: FrameType) -> &'static str {
    match frame_type {
        FrameType::Meta => "meta",
        FrameType::Header => "header",
        FrameType::Data => "data",
        FrameType::Trailer => "trailer",
        FrameType::Rst => "rst",
    }
}
