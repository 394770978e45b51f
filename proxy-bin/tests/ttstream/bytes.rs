//! Bytes as they come: cut anywhere, very long, and of very many streams.

use std::collections::HashSet;
use std::time::Duration;

use testkit::Chance;
use testkit::peer::ttstream::{TtConn, TtFrame};
use ttstream::FrameType;

use crate::way::{METHOD, Stream, Way, data, end, header, opened, opening};

const PAUSE: Duration = Duration::from_micros(500);

/// Everything that one side says on a stream.
fn said(id: i32, frames: &[TtFrame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.clone().with_id(id).bytes()).collect()
}

fn callers() -> Vec<TtFrame> {
    vec![opening(0), data("one"), data(vec![0; 300]), data(""), end()]
}

fn backends() -> Vec<TtFrame> {
    vec![header().string("k", "v"), data("one"), data(vec![1; 300]), end().string("t", "v").exception(6, "boom")]
}

/// Sends `bytes` in pieces that end at `cuts`, with time between them to be read one by one.
fn send_cut(conn: &mut TtConn, bytes: &[u8], cuts: impl IntoIterator<Item = usize>) {
    let mut from = 0;
    for cut in cuts {
        conn.send_bytes(&bytes[from..cut]);
        std::thread::sleep(PAUSE);
        from = cut;
    }
    conn.send_bytes(&bytes[from..]);
}

#[test]
fn a_caller_may_be_cut_at_every_byte() {
    let way = Way::new();
    let bytes = said(1, &callers());
    let mut caller = way.caller();
    let mut backend = None::<TtConn>;
    let last = bytes.len();
    for cuts in (1..last).map(|cut| vec![cut]).chain([(1..last).collect()]) {
        send_cut(&mut caller, &bytes, cuts);
        let backend = backend.get_or_insert_with(|| way.backend.accept());
        let up = backend.read();
        assert_eq!(up, opening(up.id));
        for frame in &callers()[1..] {
            backend.expect(&frame.clone().with_id(up.id));
        }
        backend.send(&end().with_id(up.id));
        caller.expect(&header().with_id(1));
        caller.expect(&end().with_id(1));
    }
    assert_eq!(way.backend.connections(), 1);
}

#[test]
fn a_backend_may_be_cut_at_every_byte() {
    let way = Way::new();
    let mut stream = way.open_as(1);
    let last = said(1, &backends()).len();
    for cuts in (1..last).map(|cut| vec![cut]).chain([(1..last).collect()]) {
        // The exception has the id of its hop.
        let at = |id: i32| {
            let mut frames = backends();
            let trailer = frames.pop().unwrap();
            frames.push(trailer.with_id(id).exception(6, "boom"));
            frames
        };
        send_cut(&mut stream.backend, &said(stream.up, &at(stream.up)), cuts);
        for frame in at(1) {
            stream.caller.expect(&frame.with_id(1));
        }
        stream.backend.expect(&end().with_id(stream.up));
        stream.caller.send(&opening(1));
        stream.up = opened(&mut stream.backend);
    }
    stream.finish();
}

#[test]
fn a_message_of_64_mib_passes_both_ways() {
    for pool in ["long", "mux"] {
        let way =
            Way::with(|setup| setup.listener("max_message = \"64MiB\"").cluster(&format!("stream_pool = \"{pool}\"")));
        let mut stream = way.open();
        let mut payload = vec![0; 64 << 20];
        for (index, byte) in payload.iter_mut().enumerate() {
            *byte = (index >> 16) as u8 ^ index as u8;
        }
        let message = data(payload);
        let mut echo = stream.backend;
        let up = stream.up;
        let echoing = std::thread::spawn(move || {
            let mut frame = echo.read_raw().to_vec();
            assert_eq!(frame.len() % (64 << 20), TtFrame::data(up, METHOD, "").bytes().len());
            frame[8..12].copy_from_slice(&up.to_be_bytes());
            echo.send_bytes([header().with_id(up).bytes(), frame].concat());
            echo
        });
        stream.caller.send(&message.clone().with_id(7));
        stream.caller.expect(&header().with_id(7));
        assert!(stream.caller.read() == message.with_id(7), "the message is another one");
        stream.backend = echoing.join().unwrap();
        stream.finish();
    }
}

#[test]
fn a_thousand_streams_pass_on_one_connection() {
    const STREAMS: i32 = 1000;
    let way = Way::with(|setup| setup.cluster("stream_pool = \"mux\""));
    let mut caller = way.caller();
    caller.send_all(&(1..=STREAMS).map(opening).collect::<Vec<_>>());
    let mut backend = way.backend.accept();
    // Streams are free to overtake each other.
    let ups = (0..STREAMS).map(|_| opened(&mut backend)).collect::<Vec<_>>();
    let mut order = (1..=STREAMS).collect::<Vec<_>>();
    let mut chance = Chance::seeded(7);
    for round in 0..3 {
        for index in (1..order.len()).rev() {
            order.swap(index, chance.below(index + 1));
        }
        let message = |id: i32| data(format!("round {round}, stream {id}"));
        caller.send_all(&order.iter().map(|&id| message(id).with_id(id)).collect::<Vec<_>>());
        let came = (0..STREAMS).map(|_| backend.read()).collect::<Vec<_>>();
        assert_eq!(came.iter().map(|frame| frame.id).collect::<HashSet<_>>().len(), 1000, "one message of each stream");
        if round == 0 {
            backend.send_all(&ups.iter().map(|&up| header().with_id(up)).collect::<Vec<_>>());
        }
        backend.send_all(&came);
        let mut answers = HashSet::new();
        while answers.len() < order.len() {
            let frame = caller.read();
            if frame.frame_type() == FrameType::Data {
                assert_eq!(frame, message(frame.id).with_id(frame.id));
                assert!(answers.insert(frame.id));
            } else {
                assert_eq!((round, &frame), (0, &header().with_id(frame.id)));
            }
        }
    }
    backend.send_all(&ups.iter().map(|&up| end().with_id(up)).collect::<Vec<_>>());
    let mut ended = (0..STREAMS).map(|_| caller.read()).collect::<Vec<_>>();
    ended.sort_unstable_by_key(|frame| frame.id);
    assert_eq!(ended, (1..=STREAMS).map(|id| end().with_id(id)).collect::<Vec<_>>());
    way.eventually("they are counted", |totals| totals.streams_ok == 1000);
    assert_eq!(way.backend.connections(), 1);
    for _ in 0..STREAMS {
        assert_eq!(backend.read().frame_type(), FrameType::Trailer);
    }
    caller.send(&opening(1));
    let up = opened(&mut backend);
    Stream { caller, backend, id: 1, up }.finish();
}
