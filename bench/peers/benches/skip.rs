//! Passing over a struct without building it: `cargo bench --bench skip`.

use std::hint::black_box;

use bytes::Bytes;
use peers::{Contest, CountingAllocator, messages, plain};
use pilota::thrift::{
    TInputProtocol, TType as PilotaType, binary::TBinaryProtocol, binary_unsafe::TBinaryUnsafeInputProtocol,
};
use thrift::protocol::{TBinaryInputProtocol, TInputProtocol as _, TType as ApacheType};
use thrift_codec::{Skipper, TType, skip_struct};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() {
    for (name, src) in [
        ("1 KiB of records", messages::records(1 << 10)),
        ("100 KiB of records", messages::records(100 << 10)),
        ("1 KiB of orders", messages::orders(1 << 10)),
        ("100 KiB of orders", messages::orders(100 << 10)),
        ("1 KiB of scalars", messages::scalars(1 << 10)),
        ("1 KiB of texts", messages::texts(1 << 10)),
        ("100 KiB in one blob", messages::blob(100 << 10)),
    ] {
        contest(name, &src);
    }
}

fn contest(name: &str, src: &[u8]) {
    assert_eq!(plain::skip_struct(src), Ok(src.len()));
    assert_eq!(skip_struct(src), Ok(src.len()));
    assert_eq!(in_pieces(&mut Skipper::new_struct(), src, 1 << 10), src.len());
    assert_eq!(pilota(&mut Bytes::copy_from_slice(src)), src.len());
    assert_eq!(apache(src), src.len());

    let bytes = Bytes::copy_from_slice(src);
    // This one passes over what follows a field header and nothing else.
    let field = Bytes::from([&[PilotaType::Struct as u8, 0, 1], src].concat());
    let mut copy = vec![0; src.len()];
    let mut kept = Skipper::new_struct();
    Contest::new(format!("skip, {name}"), src.len())
        .entry("plain loop, explicit stack", || plain::skip_struct(black_box(src)))
        .entry("thrift-codec `skip_struct`", || skip_struct(black_box(src)))
        .entry("thrift-codec `Skipper`, new", || Skipper::new_struct().skip(black_box(src)))
        .entry("thrift-codec `Skipper`, in 1 KiB pieces", || {
            kept.reset(TType::STRUCT);
            in_pieces(&mut kept, black_box(src), 1 << 10)
        })
        .entry("pilota, checked", || pilota(&mut black_box(&bytes).clone()))
        .entry("pilota, unsafe", || {
            let mut bytes = black_box(&field).clone();
            // SAFETY: the bytes are a whole field, which is all that pilota's reader asks for.
            let mut reader = unsafe { TBinaryUnsafeInputProtocol::new(&mut bytes) };
            let field = reader.read_field_begin().unwrap();
            reader.skip(field.field_type).unwrap()
        })
        .entry("apache thrift", || apache(black_box(src)))
        .entry("memcpy", || {
            copy.copy_from_slice(black_box(src));
            black_box(&mut copy)[0]
        })
        .run();
}

fn in_pieces(skipper: &mut Skipper, src: &[u8], piece: usize) -> usize {
    let mut seen = 0;
    for piece in src.chunks(piece) {
        match skipper.skip(piece) {
            Ok(Some(len)) => return seen + len,
            Ok(None) => seen += piece.len(),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{}", skipper.truncated())
}

fn pilota(src: &mut Bytes) -> usize {
    TBinaryProtocol::new(src, false).skip(PilotaType::Struct).unwrap()
}

fn apache(src: &[u8]) -> usize {
    let mut rest = src;
    TBinaryInputProtocol::new(&mut rest, true).skip(ApacheType::Struct).unwrap();
    src.len() - rest.len()
}
