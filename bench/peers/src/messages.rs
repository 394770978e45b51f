//! Structs of given sizes, in Thrift Binary.

use bytes::BytesMut;
use thrift_codec::{
    TType,
    binary::{FieldHeader, ListHeader, MapHeader, Writer},
};

/// A struct of about `len` bytes: a list of orders, each of them with scalars, texts, a nested struct, a list of
/// structs, a list of texts, a set of numbers and a map of texts. What is present and how often is left to chance, so
/// that no branch can be learnt by heart.
pub fn orders(len: usize) -> Vec<u8> {
    let mut rng = Lcg(0x2545_f491_4f6c_dd1d);
    let mut orders = Vec::new();
    let mut size = 0;
    while size + 200 < len {
        let mut order = BytesMut::new();
        write_order(&mut Writer::new(&mut order), &mut rng);
        size += order.len();
        orders.push(order);
    }
    list_of_structs(&orders, len)
}

/// A struct of about `len` bytes: a list of records that are all of one shape, as rows of a table are. Each has three
/// texts, six numbers, a flag, a nested struct, a list of texts and a map of texts.
pub fn records(len: usize) -> Vec<u8> {
    let mut records = Vec::new();
    let mut size = 0;
    while size + 220 < len {
        let mut record = BytesMut::new();
        write_record(&mut Writer::new(&mut record));
        size += record.len();
        records.push(record);
    }
    list_of_structs(&records, len)
}

/// A struct of about `len` bytes with nothing in it but fields of fixed size: the most values a byte.
pub fn scalars(len: usize) -> Vec<u8> {
    let mut rng = Lcg(7);
    let mut dst = BytesMut::new();
    while dst.len() + 12 < len {
        let mut writer = Writer::new(&mut dst);
        scalar(&mut writer, &mut rng);
    }
    Writer::new(&mut dst).stop();
    dst.to_vec()
}

/// A struct of about `len` bytes that holds one list of texts of 0 to 31 bytes.
pub fn texts(len: usize) -> Vec<u8> {
    let mut rng = Lcg(11);
    let mut body = BytesMut::new();
    let mut count = 0;
    while body.len() + 20 < len {
        let text = vec![b't'; rng.below(32)];
        Writer::new(&mut body).bytes(&text).unwrap();
        count += 1;
    }
    let mut dst = BytesMut::new();
    let mut writer = Writer::new(&mut dst);
    field(&mut writer, TType::LIST, 1);
    writer.list_header(ListHeader { element: TType::STRING, count }).unwrap();
    dst.extend_from_slice(&body);
    Writer::new(&mut dst).stop();
    dst.to_vec()
}

/// A struct with one binary field of `len` bytes.
pub fn blob(len: usize) -> Vec<u8> {
    let mut dst = BytesMut::new();
    let mut writer = Writer::new(&mut dst);
    field(&mut writer, TType::STRING, 1);
    writer.bytes(&vec![b'b'; len]).unwrap();
    writer.stop();
    dst.to_vec()
}

/// `count` frames of `len` bytes each, one behind the other.
pub fn frames(count: usize, len: usize) -> Vec<u8> {
    let mut dst = Vec::new();
    for _ in 0..count {
        dst.extend_from_slice(&framed::encode_head(len).unwrap());
        dst.resize(dst.len() + len, b'f');
    }
    dst
}

/// The list as field 1, and as field 2 a text that brings the struct to `len` bytes.
fn list_of_structs(structs: &[BytesMut], len: usize) -> Vec<u8> {
    let mut dst = BytesMut::new();
    let mut writer = Writer::new(&mut dst);
    field(&mut writer, TType::LIST, 1);
    writer.list_header(ListHeader { element: TType::STRUCT, count: structs.len() }).unwrap();
    dst.extend_from_slice(&structs.concat());
    let rest = len.saturating_sub(dst.len() + 8);
    let mut writer = Writer::new(&mut dst);
    field(&mut writer, TType::STRING, 2);
    text(&mut writer, rest);
    writer.stop();
    dst.to_vec()
}

fn write_record(writer: &mut Writer<'_>) {
    field(writer, TType::I64, 1);
    writer.i64(1);
    field(writer, TType::STRING, 2);
    text(writer, 16);
    field(writer, TType::STRING, 3);
    text(writer, 9);
    field(writer, TType::I32, 4);
    writer.i32(4);
    field(writer, TType::I64, 5);
    writer.i64(5);
    field(writer, TType::DOUBLE, 6);
    writer.double(6.0);
    field(writer, TType::BOOL, 7);
    writer.bool(true);
    field(writer, TType::STRUCT, 8);
    {
        field(writer, TType::I32, 1);
        writer.i32(1);
        field(writer, TType::STRING, 2);
        text(writer, 5);
        field(writer, TType::I16, 3);
        writer.i16(3);
        writer.stop();
    }
    field(writer, TType::LIST, 9);
    writer.list_header(ListHeader { element: TType::STRING, count: 2 }).unwrap();
    text(writer, 4);
    text(writer, 7);
    field(writer, TType::MAP, 10);
    writer.map_header(MapHeader { key: TType::STRING, value: TType::STRING, count: 2 }).unwrap();
    for _ in 0..2 {
        text(writer, 6);
        text(writer, 8);
    }
    field(writer, TType::I32, 11);
    writer.i32(11);
    writer.stop();
}

fn write_order(writer: &mut Writer<'_>, rng: &mut Lcg) {
    field(writer, TType::I64, 1);
    writer.i64(rng.next());
    field(writer, TType::STRING, 2);
    text(writer, 8 + rng.below(16));
    field(writer, TType::I32, 3);
    writer.i32(3);
    field(writer, TType::BOOL, 4);
    writer.bool(true);
    field(writer, TType::STRUCT, 5);
    {
        field(writer, TType::STRING, 1);
        text(writer, 4 + rng.below(20));
        field(writer, TType::STRING, 2);
        text(writer, rng.below(12));
        field(writer, TType::I16, 3);
        writer.i16(7);
        writer.stop();
    }
    field(writer, TType::LIST, 6);
    let items = 1 + rng.below(4);
    writer.list_header(ListHeader { element: TType::STRUCT, count: items }).unwrap();
    for _ in 0..items {
        field(writer, TType::I64, 1);
        writer.i64(rng.next());
        if rng.below(2) == 0 {
            field(writer, TType::I32, 2);
            writer.i32(1);
        }
        field(writer, TType::DOUBLE, 3);
        writer.double(9.5);
        writer.stop();
    }
    field(writer, TType::LIST, 7);
    let tags = rng.below(4);
    writer.list_header(ListHeader { element: TType::STRING, count: tags }).unwrap();
    for _ in 0..tags {
        text(writer, 3 + rng.below(8));
    }
    field(writer, TType::SET, 8);
    let numbers = rng.below(5);
    writer.list_header(ListHeader { element: TType::I32, count: numbers }).unwrap();
    for _ in 0..numbers {
        writer.i32(5);
    }
    if rng.below(3) > 0 {
        field(writer, TType::MAP, 9);
        let pairs = 1 + rng.below(3);
        writer.map_header(MapHeader { key: TType::STRING, value: TType::STRING, count: pairs }).unwrap();
        for _ in 0..pairs {
            text(writer, 5 + rng.below(5));
            text(writer, rng.below(16));
        }
    }
    writer.stop();
}

fn scalar(writer: &mut Writer<'_>, rng: &mut Lcg) {
    match rng.below(5) {
        0 => {
            field(writer, TType::BOOL, 1);
            writer.bool(true);
        }
        1 => {
            field(writer, TType::I16, 2);
            writer.i16(2);
        }
        2 => {
            field(writer, TType::I32, 3);
            writer.i32(3);
        }
        3 => {
            field(writer, TType::I64, 4);
            writer.i64(4);
        }
        _ => {
            field(writer, TType::DOUBLE, 5);
            writer.double(5.0);
        }
    }
}

fn field(writer: &mut Writer<'_>, ttype: TType, id: i16) {
    writer.field_header(FieldHeader { ttype, id });
}

fn text(writer: &mut Writer<'_>, len: usize) {
    writer.bytes(&vec![b'x'; len]).unwrap();
}

/// Numbers that look random and are the same in every run.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 16) as i64
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() as u64 % end as u64) as usize
    }
}
