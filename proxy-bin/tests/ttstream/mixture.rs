//! Many streams at once, each doing something else, in an order that nobody chose.

use std::collections::HashMap;

use testkit::Chance;
use testkit::peer::ttstream::{TtConn, TtFrame, TtServer};
use ttstream::FrameType;

use crate::support::{Setup, TestProxy};
use crate::way::{METHOD, Way, data, end, header, opened, opening};

/// What one end has still to send, and what it has got.
#[derive(Default)]
struct Side {
    todo: Vec<TtFrame>,
    got: Vec<TtFrame>,
}

/// One stream from both ends.
struct Script {
    id: i32,
    caller: Side,
    backend: Side,
    expected_up: Vec<TtFrame>,
    expected_down: Vec<TtFrame>,
}

/// What a stream does is drawn; what has to come of it follows from A7 to A9.
fn script(id: i32, chance: &mut Chance) -> Script {
    let messages = |chance: &mut Chance, from: &str| {
        (0..chance.below(6))
            .map(|index| data(format!("{from} {id} {index} ").repeat(1 + chance.below(50) * chance.below(50))))
            .collect::<Vec<_>>()
    };
    let mut up = messages(chance, "up");
    // The first message says which stream it is.
    up.insert(0, data(format!("{id}")));
    let mut down = messages(chance, "down");
    let with_header = chance.below(2) == 0;
    let head = if with_header { header().string("k", format!("{id}")) } else { header() };
    let half_closes = chance.below(2) == 0;
    let trailer = match chance.below(3) {
        0 => end(),
        1 => end().string("biz-status", "502").string("biz-message", format!("no {id}")),
        _ => end().string("t", format!("{id}")),
    };
    let mut caller = up.clone();
    let mut expected_up = up;
    if half_closes {
        caller.push(end());
        expected_up.push(end());
    }
    let mut backend = Vec::new();
    if with_header {
        backend.push(head.clone());
    }
    backend.append(&mut down.clone());
    backend.push(trailer.clone());
    down.insert(0, head);
    down.push(trailer);
    Script {
        id,
        caller: Side { todo: caller, ..Side::default() },
        backend: Side { todo: backend, ..Side::default() },
        expected_up,
        expected_down: down,
    }
}

/// Reads until every stream has got what it should; frames of one stream come in order.
fn collect(conn: &mut TtConn, sides: &mut HashMap<i32, (Vec<TtFrame>, Vec<TtFrame>)>) {
    while sides.values().any(|(expected, got)| got.len() < expected.len()) {
        let frame = conn.read();
        let (expected, got) = sides.get_mut(&frame.id).expect("a stream that is known");
        let next = expected.get(got.len()).unwrap_or_else(|| panic!("one too many: {frame:?}"));
        assert_eq!(frame, next.clone().with_id(frame.id));
        got.push(frame);
    }
}

fn mixture(seed: u64) {
    const STREAMS: i32 = 60;
    let way = Way::with(|setup| setup.cluster("stream_pool = \"mux\""));
    let mut chance = Chance::seeded(seed);
    let mut scripts = (1..=STREAMS).map(|id| script(id, &mut chance)).collect::<Vec<_>>();
    let mut caller = way.caller();
    caller.send_all(&(1..=STREAMS).map(opening).collect::<Vec<_>>());
    let mut backend = way.backend.accept();
    for _ in 0..STREAMS {
        opened(&mut backend);
    }
    // Which is which is told by the first messages, alone on the way.
    let mut up_of = HashMap::new();
    for script in &mut scripts {
        let first = script.caller.todo.remove(0);
        caller.send(&first.clone().with_id(script.id));
        let came = backend.read();
        assert_eq!(came.payload, first.payload);
        script.backend.got.push(came.clone());
        up_of.insert(script.id, came.id);
    }
    // All of the callers' first: what is said behind a backend's end is lost, and rightly.
    let sent_up = burst(&mut scripts, &mut chance, |script| &mut script.caller.todo, |script| script.id);
    caller.send_bytes(sent_up);
    let mut sides = scripts
        .iter()
        .map(|script| (up_of[&script.id], (script.expected_up.clone(), script.backend.got.clone())))
        .collect::<HashMap<_, _>>();
    collect(&mut backend, &mut sides);
    let ids = up_of.clone();
    let sent_down = burst(&mut scripts, &mut chance, |script| &mut script.backend.todo, |script| ids[&script.id]);
    backend.send_bytes(sent_down);
    let mut sides = scripts
        .iter()
        .map(|script| (script.id, (script.expected_down.clone(), script.caller.got.clone())))
        .collect::<HashMap<_, _>>();
    collect(&mut caller, &mut sides);
    // Those that had not half closed owe their trailer.
    let open = scripts.iter().filter(|script| script.expected_up.last() != Some(&end())).count();
    for _ in 0..open {
        let frame = backend.read();
        assert_eq!(frame, end().with_id(frame.id));
    }
    way.eventually("all have ended", |totals| totals.streams_ok + totals.streams_failed == STREAMS as u64);
    assert_eq!(way.backend.connections(), 1);
    caller.send(&TtFrame::header(1000, METHOD).string("isn", "Live"));
    assert_eq!(backend.read().frame_type(), FrameType::Header);
}

/// All frames of one end, each stream's in order, streams as they are drawn.
fn burst(
    scripts: &mut [Script],
    chance: &mut Chance,
    todo: impl Fn(&mut Script) -> &mut Vec<TtFrame>,
    id: impl Fn(&Script) -> i32,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let waiting = (0..scripts.len()).filter(|&index| !todo(&mut scripts[index]).is_empty()).collect::<Vec<_>>();
        if waiting.is_empty() {
            return bytes;
        }
        let index = waiting[chance.below(waiting.len())];
        let frame = todo(&mut scripts[index]).remove(0);
        bytes.extend(frame.with_id(id(&scripts[index])).bytes());
    }
}

#[test]
fn streams_of_all_kinds_at_once_get_what_is_theirs() {
    for seed in 1..=10 {
        mixture(seed);
    }
}

#[test]
fn several_workers_serve_several_callers_at_once() {
    const CALLERS: i32 = 8;
    let backend = TtServer::start();
    let text = Setup::to_addr(backend.addr()).cluster("stream_pool = \"short\"").text();
    let proxy = TestProxy::start(&text.replace("workers = 1", "workers = 3"));
    let mut callers = (0..CALLERS).map(|_| TtConn::connect(proxy.addr())).collect::<Vec<_>>();
    for round in 0..20 {
        for (caller, id) in callers.iter_mut().zip(1..) {
            // Who it is stands in the first message.
            caller.send_all([&opening(id), &data(format!("{id}")).with_id(id), &end().with_id(id)]);
        }
        for _ in 0..CALLERS {
            let mut backend = backend.accept();
            let up = opened(&mut backend);
            let message = backend.read();
            backend.expect(&end().with_id(up));
            backend.send_all([&header().with_id(up), &message, &end().with_id(up)]);
            backend.expect_close();
        }
        for (caller, id) in callers.iter_mut().zip(1..) {
            for frame in [header(), data(format!("{id}")), end()] {
                caller.expect(&frame.with_id(id));
            }
        }
        let done = (round + 1) * CALLERS as u64;
        proxy.eventually("they are counted", |totals| totals.streams_ok == done);
    }
}
