//! How streams end (streaming-wire A9, A11): what the backend says arrives to the byte, readable or not.

use testkit::peer::ttstream::TtFrame;
use ttstream::IntKey;

use crate::way::{Way, data, end, header, opening};

/// Plays a stream whose backend ends with `trailer`, and says whether its caller got the very same bytes.
///
/// Both hops have the same id here, so that an exception's sequence id is no difference.
fn ends_the_same(way: &Way, trailer: &TtFrame, messages: usize) {
    let mut stream = way.open_as(1);
    assert_eq!(stream.up, 1);
    stream.up_to_down(&header());
    for index in 0..messages {
        stream.up_to_down(&data(format!("message {index}")));
    }
    let trailer = trailer.clone().with_id(1).bytes();
    stream.backend.send_bytes(&trailer);
    let came = stream.caller.read_raw();
    assert!(came == trailer, "came {}\nsent {}", testkit::to_hex(&came), testkit::to_hex(&trailer));
    stream.backend.expect(&end().with_id(1));
}

/// An exception under the id that both hops have.
fn exception(code: i32, text: &str) -> TtFrame {
    end().with_id(1).exception(code, text)
}

fn business(status: &str) -> TtFrame {
    end().string("biz-status", status).string("biz-message", "not today")
}

#[test]
fn success_and_what_reads_as_success_arrives_to_the_byte() {
    let way = Way::with(|setup| setup.cluster("stream_pool = \"short\""));
    let trailers = [
        end(),
        end().string("k", "v").string("K", "").string("k", "again"),
        // No business errors to anybody (A9.2).
        business("0"),
        business("00"),
        business("many"),
        business("2147483648"),
        business(""),
        end().string("biz-message", "without a status"),
        end().string("biz-extra", "{}"),
        end().int(IntKey::LOG_ID, "log").token("t"),
    ];
    for messages in [0, 2] {
        for trailer in &trailers {
            ends_the_same(&way, trailer, messages);
        }
    }
    way.eventually("they count as success", |totals| (totals.streams_ok, totals.streams_failed) == (20, 0));
}

#[test]
fn a_business_error_arrives_to_the_byte() {
    let way = Way::with(|setup| setup.cluster("stream_pool = \"short\""));
    let trailers = [
        business("502"),
        business("-1"),
        business("2147483647").string("biz-extra", r#"{"k":"\u003cv\u003e","é":"ü"}"#).string("user", "trailer"),
        business("1").string("biz-extra", "not JSON"),
        end().string("biz-status", "7"),
        business("502").string("RPC_PERSIST_A", "b"),
    ];
    for messages in [0, 2] {
        for trailer in &trailers {
            ends_the_same(&way, trailer, messages);
        }
    }
    way.eventually("they count as failures", |totals| (totals.streams_ok, totals.streams_failed) == (0, 12));
}

#[test]
fn an_exception_arrives_to_the_byte() {
    let way = Way::with(|setup| setup.cluster("stream_pool = \"short\""));
    let codes = (0..=10).chain([20, 21]).chain(12_001..=12_015).chain([-1, 99, i32::MAX, i32::MIN]);
    let count = codes.clone().count() as u64;
    for code in codes {
        ends_the_same(&way, &exception(code, "biz error: boom"), 0);
    }
    for trailer in [
        exception(6, ""),
        exception(6, &"long ".repeat(40_000)),
        exception(6, "panic: [happened in biz handler] zu spät").string("user", "trailer"),
        // The exception wins (A9.1), and nobody touches the keys.
        exception(6, "wins").string("biz-status", "502").string("biz-message", "loses"),
    ] {
        ends_the_same(&way, &trailer, 2);
    }
    way.eventually("they count as failures", |totals| (totals.streams_ok, totals.streams_failed) == (0, count + 4));
}

#[test]
fn a_payload_that_is_no_exception_arrives_to_the_byte() {
    let way = Way::with(|setup| setup.cluster("stream_pool = \"short\""));
    let whole = exception(6, "text").payload;
    let mut reply = whole.clone();
    reply[3] = 2;
    let mut unknown_field = whole[..whole.len() - 1].to_vec();
    unknown_field.extend([0x08, 0, 9, 0, 0, 0, 1, 0]);
    let mut more = whole.clone();
    more.extend(b"behind");
    let payloads = [
        b"garbage".to_vec(),
        vec![0],
        reply,
        whole[..whole.len() - 1].to_vec(),
        whole[..9].to_vec(),
        unknown_field,
        more,
    ];
    let count = payloads.len() as u64;
    for payload in payloads {
        ends_the_same(&way, &end().payload(payload), 1);
    }
    way.eventually("they count as failures", |totals| (totals.streams_ok, totals.streams_failed) == (0, count));
}

#[test]
fn messages_that_came_before_the_end_are_delivered_before_it() {
    let way = Way::new();
    for ending in [end(), business("502"), exception(6, "boom")] {
        let mut stream = way.open_as(1);
        let mut sent = vec![header().with_id(stream.up)];
        sent.extend((0..50).map(|index| data(format!("{index}")).with_id(stream.up)));
        sent.push(ending.with_id(stream.up));
        stream.backend.send_all(&sent);
        for frame in sent {
            let came = stream.caller.read();
            assert_eq!((&came.strings, came.payload.len()), (&frame.strings, frame.payload.len()));
            assert_eq!(came.frame_type(), frame.frame_type());
        }
    }
}

#[test]
fn the_end_of_one_stream_is_no_matter_to_its_neighbours() {
    let way = Way::with(|setup| setup.cluster("stream_pool = \"mux\""));
    let mut neighbour = way.open();
    for trailer in [end(), business("502"), exception(6, "boom"), end().payload("garbage")] {
        neighbour.caller.send(&opening(8));
        let up = crate::way::opened(&mut neighbour.backend);
        neighbour.backend.send(&trailer.with_id(up));
        assert_eq!(neighbour.caller.read(), header().with_id(8));
        assert_eq!(neighbour.caller.read().id, 8);
        neighbour.backend.expect(&end().with_id(up));
        neighbour.down_to_up(&data("still here"));
    }
    neighbour.finish();
    assert_eq!(way.backend.connections(), 1);
}
