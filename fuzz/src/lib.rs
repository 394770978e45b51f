#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "an oracle tells what it found by panicking"
)]

mod framed;
mod grpc;
mod http2;
mod http_mapping;
mod idl;
mod json;
mod protobuf;
mod thrift;
mod ttheader;
mod ttstream;
mod value;

pub use crate::{
    framed::framed,
    grpc::{grpc_compression, grpc_message, grpc_scalars},
    http_mapping::thrift_http,
    http2::{http2, http2_continuation},
    idl::thrift_idl,
    json::thrift_json,
    protobuf::protobuf_json,
    thrift::{application_exception, thrift_buffered, thrift_message},
    ttheader::{mesh_header, ttheader},
    ttstream::{ttstream, ttstream_exception, ttstream_state},
    value::thrift_value,
};

/// Says nothing about bytes that are handled well, and panics about others.
pub type Oracle = fn(&[u8]);

/// Every oracle under its target's name, which is that of its folder in `corpus/` too.
pub const ORACLES: &[(&str, Oracle)] = &[
    ("application_exception", application_exception),
    ("framed", framed),
    ("grpc_compression", grpc_compression),
    ("grpc_message", grpc_message),
    ("grpc_scalars", grpc_scalars),
    ("http2", http2),
    ("http2_continuation", http2_continuation),
    ("mesh_header", mesh_header),
    ("protobuf_json", protobuf_json),
    ("thrift_buffered", thrift_buffered),
    ("thrift_http", thrift_http),
    ("thrift_idl", thrift_idl),
    ("thrift_json", thrift_json),
    ("thrift_message", thrift_message),
    ("thrift_value", thrift_value),
    ("ttheader", ttheader),
    ("ttstream", ttstream),
    ("ttstream_exception", ttstream_exception),
    ("ttstream_state", ttstream_state),
];
