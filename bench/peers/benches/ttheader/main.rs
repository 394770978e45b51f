//! TTHeader: a header read, written and changed; a stream split into frames. `cargo bench --bench ttheader`.

mod plain;
mod volo;
mod with_nom;

use std::{
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use monoio_codec::{Decoded, Decoder as _, Encoder as _};
use monoio_thrift::codec::ttheader as monoio;
use peers::{Contest, CountingAllocator};
use tokio_util::codec::{Decoder, LengthDelimitedCodec};
use ttheader::{Entry, Flags, Header, HeaderView, HeaderWriter, IntKey, Patch, TtHeaderCodec, encode_minimal};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What a Volo client sends with seven keys of metadata: 8 string keys and 6 int keys.
const STRINGS: [(&str, &str); 8] = [
    ("isn", "EchoService"),
    ("RPC_PERSIST_user", "u-1234567890"),
    ("RPC_PERSIST_tenant", "acme"),
    ("RPC_PERSIST_region", "eu-central"),
    ("RPC_PERSIST_stage", "canary"),
    ("RPC_TRANSIT_trace", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("RPC_TRANSIT_experiment", "exp-7:on"),
    ("RPC_TRANSIT_client", "mobile/11.2"),
];
const INTS: [(IntKey, &str); 6] = [
    (IntKey::WITH_MESH_HEADER, "3"),
    (IntKey::RPC_TIMEOUT, "1500"),
    (IntKey::FROM_SERVICE, "caller.svc"),
    (IntKey::TO_METHOD, "echo"),
    (IntKey::TO_SERVICE, "dest.svc"),
    (IntKey::DEST_ADDRESS, "127.0.0.1:8888"),
];
const PAYLOAD_LEN: usize = 100;
const MAX: usize = 16 << 20;

fn main() {
    let wire = header();
    volo::in_scope(|| {
        read(&wire);
        write(wire.len());
    });
    change(&wire);
    split("256 bytes, header of one word", frame(None, 256));
    split("566 bytes, header of 14 entries", frame(Some(&wire), 256));
}

fn header() -> Bytes {
    let mut header = Header::new(Flags::default(), 7);
    for (key, value) in STRINGS {
        header.append_string(key.as_bytes(), value.as_bytes()).unwrap();
    }
    for (key, value) in INTS {
        header.append_int(key, value.as_bytes()).unwrap();
    }
    let mut wire = BytesMut::new();
    header.encode(PAYLOAD_LEN, &mut wire).unwrap();
    wire.freeze()
}

fn read(wire: &Bytes) {
    let seen = Cell::new(0);
    let count = || seen.set(seen.get() + 1);
    assert!(plain::parse(wire, |_, _| count(), |_, _| count()).is_some());
    assert!(plain::parse_with_offsets(wire, |_, _, _| count(), |_, _, _| count()).is_ok());
    assert!(with_nom::parse(wire, |_, _| count(), |_, _| count()).is_some());
    HeaderView::parse_with(wire, |_| count()).unwrap().entries().for_each(|_| count());
    assert_eq!(seen.get(), 14 * 5);

    let mut server = volo::Server::default();
    let mut src = BytesMut::with_capacity(4 << 10);
    assert_eq!(monoio_decode(wire, &mut src).str_headers.len(), 8);
    let mut copy = vec![0; wire.len()];
    Contest::new("header of 8 string and 6 int keys: read, every key and value handed out", wire.len())
        .entry("plain loop", || {
            plain::parse(
                black_box(wire),
                |key, value| _ = black_box((key, value)),
                |key, value| _ = black_box((key, value)),
            )
        })
        .entry("`HeaderView::parse_with` (`nom`, leaves of our own)", || {
            HeaderView::parse_with(black_box(wire), |entry| match entry {
                Entry::Str { key, value, .. } => _ = black_box((key, value)),
                Entry::Int { key, value, .. } => _ = black_box((key, value)),
                other => _ = black_box(other),
            })
            .map(|view| view.head())
        })
        .entry("the same grammar from `nom`'s `be_u16` and `take`", || {
            with_nom::parse(
                black_box(wire),
                |key, value| _ = black_box((key, value)),
                |key, value| _ = black_box((key, value)),
            )
        })
        .entry("plain cursor with field and offset in its errors, no `nom`", || {
            plain::parse_with_offsets(
                black_box(wire),
                |key, value, at| _ = black_box((key, value, at)),
                |key, value, at| _ = black_box((key, value, at)),
            )
        })
        .entry("`HeaderView::parse`, checked and nothing handed out", || {
            HeaderView::parse(black_box(wire)).map(|view| view.head())
        })
        .entry("`HeaderView::parse`, then `entries`", || {
            for entry in HeaderView::parse(black_box(wire)).unwrap().entries() {
                black_box(entry);
            }
        })
        .entry("monoio-thrift", || monoio_decode(black_box(wire), &mut src))
        .entry("volo-thrift", || server.decode(black_box(wire)))
        .entry("memcpy", || {
            copy.copy_from_slice(black_box(wire));
            black_box(&mut copy)[0]
        })
        .run();
}

fn write(len: usize) {
    let (mut vec, mut plain, mut ours, mut kept_dst) = (
        Vec::with_capacity(4 << 10),
        BytesMut::with_capacity(4 << 10),
        BytesMut::with_capacity(4 << 10),
        BytesMut::with_capacity(4 << 10),
    );
    let kept = Header::from(HeaderView::parse(&header()).unwrap());
    plain::encode(&mut vec, &STRINGS, &INTS, PAYLOAD_LEN);
    plain::encode(&mut plain, &STRINGS, &INTS, PAYLOAD_LEN);
    write_ours(&mut ours);
    assert_eq!((&vec[..], &plain[..], &ours[..]), (&header()[..], &header()[..], &header()[..]));

    let mut client = volo::Client::new(&STRINGS, &INTS);
    assert_eq!(HeaderView::parse(client.encode()).unwrap().entries().count(), 14);
    let mut theirs = BytesMut::with_capacity(8 << 10);
    let item = monoio_header();
    Contest::new("header of 8 string and 6 int keys: write, entry by entry", len)
        .entry("plain loop into `Vec`", || {
            vec.clear();
            plain::encode(&mut vec, black_box(&STRINGS), black_box(&INTS), PAYLOAD_LEN);
            vec.len()
        })
        .entry("plain loop into `BytesMut`", || {
            plain.clear();
            plain::encode(&mut plain, black_box(&STRINGS), black_box(&INTS), PAYLOAD_LEN);
            plain.len()
        })
        .entry("`HeaderWriter`", || {
            ours.clear();
            write_ours(&mut ours);
            ours.len()
        })
        .entry("`Header::encode`, of one that is kept", || {
            kept_dst.clear();
            black_box(&kept).encode(PAYLOAD_LEN, &mut kept_dst).unwrap();
            kept_dst.len()
        })
        .entry("monoio-thrift, with the clone of the item it asks for", || {
            theirs.clear();
            monoio::TTHeaderEncoder::new().encode(black_box(&item).clone(), &mut theirs).unwrap();
            theirs.len()
        })
        .entry("volo-thrift", || client.encode().len())
        .run();
}

fn change(wire: &Bytes) {
    let mut dst: [BytesMut; 6] = std::array::from_fn(|_| BytesMut::with_capacity(4 << 10));
    let [plain_dst, place_dst, int_dst, string_dst, append_dst, remove_dst] = &mut dst;
    let timeout = b"12345";
    plain::change_int(wire, IntKey::RPC_TIMEOUT.0, timeout, PAYLOAD_LEN, plain_dst).unwrap();
    change_by_place(wire, timeout, place_dst);
    assert_eq!(plain_dst, place_dst);
    assert_eq!(HeaderView::parse(plain_dst).unwrap().int(IntKey::RPC_TIMEOUT), Some(&timeout[..]));
    Contest::new("header of 8 string and 6 int keys: read, change one key, write", wire.len())
        .entry("plain loop, read alone", || {
            plain::parse(
                black_box(wire),
                |key, value| _ = black_box((key, value)),
                |key, value| _ = black_box((key, value)),
            )
        })
        .entry("plain loop, all of it", || {
            plain_dst.clear();
            plain::change_int(black_box(wire), IntKey::RPC_TIMEOUT.0, timeout, PAYLOAD_LEN, plain_dst)
        })
        .entry("`Patch::replace`, an int key seen by `parse_with`", || {
            place_dst.clear();
            change_by_place(black_box(wire), timeout, place_dst);
        })
        .entry("`Patch::set_int`", || {
            int_dst.clear();
            let view = HeaderView::parse(black_box(wire)).unwrap();
            Patch::new().set_int(IntKey::RPC_TIMEOUT, timeout).encode(&view, PAYLOAD_LEN, int_dst)
        })
        .entry("`Patch::set_string`", || {
            string_dst.clear();
            let view = HeaderView::parse(black_box(wire)).unwrap();
            Patch::new().set_string(b"RPC_PERSIST_region", b"us-east").encode(&view, PAYLOAD_LEN, string_dst)
        })
        .entry("`Patch::append_string`", || {
            append_dst.clear();
            let view = HeaderView::parse(black_box(wire)).unwrap();
            Patch::new().append_string(b"rip", b"192.0.2.1:50000").encode(&view, PAYLOAD_LEN, append_dst)
        })
        .entry("`Patch`: seq, one string removed, one int set, one string appended", || {
            remove_dst.clear();
            let view = HeaderView::parse(black_box(wire)).unwrap();
            Patch::new()
                .seq(9)
                .remove_string(b"RPC_TRANSIT_client")
                .set_int(IntKey::RPC_TIMEOUT, timeout)
                .append_string(b"rip", b"192.0.2.1:50000")
                .encode(&view, PAYLOAD_LEN, remove_dst)
        })
        .run();
}

fn change_by_place(wire: &[u8], timeout: &[u8], dst: &mut BytesMut) {
    let mut seen = None;
    let view = HeaderView::parse_with(wire, |entry| {
        if matches!(entry, Entry::Int { key: IntKey::RPC_TIMEOUT, .. }) {
            seen = Some(entry);
        }
    });
    Patch::new().replace(&seen.unwrap(), timeout).encode(&view.unwrap(), PAYLOAD_LEN, dst).unwrap();
}

fn write_ours(dst: &mut BytesMut) {
    let mut writer = HeaderWriter::new(dst, Flags::default(), 7);
    for (key, value) in black_box(&STRINGS) {
        writer.string(key.as_bytes(), value.as_bytes()).unwrap();
    }
    for (key, value) in black_box(&INTS) {
        writer.int(*key, value.as_bytes()).unwrap();
    }
    writer.finish(PAYLOAD_LEN).unwrap();
}

fn monoio_decode(wire: &[u8], src: &mut BytesMut) -> monoio::TTHeader {
    src.clear();
    src.extend_from_slice(wire);
    match monoio::TTHeaderDecoder::new().decode(src) {
        Ok(Decoded::Some(header)) => header,
        _ => panic!("monoio-thrift refuses it"),
    }
}

fn monoio_header() -> monoio::TTHeader {
    monoio_decode(&header(), &mut BytesMut::new())
}

/// One frame, of `len` bytes with a header of one word, or a payload of `len` bytes behind the header given.
fn frame(header: Option<&Bytes>, len: usize) -> Vec<u8> {
    let mut dst = BytesMut::new();
    let payload_len = match header {
        Some(header) => {
            let header = Header::from(HeaderView::parse(header).unwrap());
            header.encode(len, &mut dst).unwrap();
            len
        }
        None => {
            encode_minimal(Flags::default(), 1, len - 18, &mut dst).unwrap();
            len - 18
        }
    };
    dst.resize(dst.len() + payload_len, b'p');
    dst.to_vec()
}

/// Filling the buffer and dropping the frames are no part of the work, so that this is timed round by round, each way
/// once a round.
fn split(name: &str, frame: Vec<u8>) {
    const FRAMES: usize = 1000;
    const ROUNDS: usize = 3000;
    let wire = frame.repeat(FRAMES);
    let mut split = TtHeaderCodec::builder().max_frame_len(MAX).build();
    let mut decode = split;
    let mut theirs = LengthDelimitedCodec::builder().max_frame_length(MAX).length_adjustment(4).num_skip(0).new_codec();
    let mut ways: [(&str, Split<'_>); 4] = [
        (
            "plain loop",
            Box::new(|src, frames| {
                while let Some(frame) = plain::split_frame(src, MAX) {
                    frames.push(frame);
                }
            }),
        ),
        (
            "`TtHeaderCodec::split`, header unread",
            Box::new(|src, frames| {
                while let Ok(Some((_, frame))) = split.split(src) {
                    frames.push(frame);
                }
            }),
        ),
        (
            "`TtHeaderCodec::decode`, header checked, then its raw bytes",
            Box::new(|src, frames| {
                while let Ok(Some(frame)) = decode.decode(src) {
                    frames.push(frame.into_raw());
                }
            }),
        ),
        (
            "tokio-util `LengthDelimitedCodec`",
            Box::new(|src, frames| {
                while let Ok(Some(frame)) = theirs.decode(src) {
                    frames.push(frame.freeze());
                }
            }),
        ),
    ];
    let mut times = ways.each_ref().map(|_| Vec::with_capacity(ROUNDS));
    let mut frames = Vec::with_capacity(FRAMES);
    for _ in 0..ROUNDS {
        for ((_, way), times) in ways.iter_mut().zip(&mut times) {
            let mut src = BytesMut::from(&wire[..]);
            let start = Instant::now();
            way(black_box(&mut src), &mut frames);
            times.push(start.elapsed());
            assert!(frames.len() == FRAMES && src.is_empty());
            assert!(frames.iter().all(|raw| raw.len() == frame.len()));
            frames.clear();
        }
    }
    println!(
        "\n### split {FRAMES} frames of {name} into Bytes, neither filling the buffer nor dropping the frames included\n"
    );
    println!("| | µs | 10–90 % | to tokio-util |");
    println!("|---|--:|--:|--:|");
    let at = |times: &mut Vec<Duration>, tenths: usize| {
        times.sort();
        times[(ROUNDS - 1) * tenths / 10].as_secs_f64() * 1e6
    };
    let base = at(&mut times[3], 5);
    for ((name, _), times) in ways.iter().zip(&mut times) {
        let (low, median, high) = (at(times, 1), at(times, 5), at(times, 9));
        println!("| {name} | {median:.1} | {low:.1}–{high:.1} | {:.2} |", median / base);
    }
}

type Split<'a> = Box<dyn FnMut(&mut BytesMut, &mut Vec<Bytes>) + 'a>;
