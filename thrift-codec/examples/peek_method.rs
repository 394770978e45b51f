//! Which method does a message call, and may it be told before the message is here in full?
//!
//! `cargo run -p thrift-codec --example peek_method`
#![allow(clippy::print_stdout, reason = "an example tells what it finds")]

use thrift_codec::{DecodeError, MessageHeader};

fn main() -> Result<(), DecodeError> {
    let wire = b"\x80\x01\0\x01\0\0\0\x04echo\0\0\0\x07\x0b\0\x01\0\0\0\x02hi\0";
    for (len, _) in wire.iter().enumerate() {
        let prefix = wire.split_at(len).0;
        match MessageHeader::peek(prefix, 64)? {
            None => println!("{len:2} bytes: not yet"),
            Some(header) => {
                let name = String::from_utf8_lossy(header.name);
                println!("{len:2} bytes: {name}, {:?}, seqid {}", header.message_type, header.seqid);
                break;
            }
        }
    }
    Ok(())
}
