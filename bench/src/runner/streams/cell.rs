//! The table of what is measured on streams.

use std::fmt;

use crate::streams::Kind;

/// One column of a table: the same load for every candidate.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StreamCell {
    /// Its name in results and on the command line.
    pub name: &'static str,
    /// What a stream is.
    pub kind: Kind,
    /// Bytes of a message.
    pub size: usize,
    /// Connections of the load generator.
    pub connections: usize,
    /// Streams at a time on each.
    pub streams: usize,
}

impl fmt::Display for StreamCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn cell(name: &'static str, kind: Kind, size: usize, connections: usize, streams: usize) -> StreamCell {
    StreamCell { name, kind, size, connections, streams }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All cells, in the order they are measured.
pub const STREAM_CELLS: &[StreamCell] = &[
    cell("unary-64B", Kind::GrpcUnary, 64, 4, 16),
    cell("unary-1KiB", Kind::GrpcUnary, KIB, 4, 16),
    cell("unary-16KiB", Kind::GrpcUnary, 16 * KIB, 4, 16),
    cell("unary-1MiB", Kind::GrpcUnary, MIB, 4, 2),
    cell("bidi-64B", Kind::GrpcBidi, 64, 4, 16),
    cell("bidi-1KiB", Kind::GrpcBidi, KIB, 4, 16),
    cell("ttstream-64B", Kind::Ttstream, 64, 4, 16),
    cell("ttstream-1KiB", Kind::Ttstream, KIB, 4, 16),
    cell("ttstream-16KiB", Kind::Ttstream, 16 * KIB, 4, 16),
    cell("ttstream-64B-64c", Kind::Ttstream, 64, 64, 1),
    cell("ttstream-1KiB-64c", Kind::Ttstream, KIB, 64, 1),
    cell("ttstream-16KiB-64c", Kind::Ttstream, 16 * KIB, 64, 1),
];

/// Where system calls are counted.
pub(super) const SYSCALL_CELLS: &[StreamCell] = &[
    cell("syscalls-unary", Kind::GrpcUnary, KIB, 4, 16),
    cell("syscalls-bidi", Kind::GrpcBidi, KIB, 4, 16),
    cell("syscalls-ttstream", Kind::Ttstream, KIB, 4, 16),
];

/// The streams that are open and idle: as many of a connection as every candidate allows.
pub(super) const IDLE_CELLS: &[StreamCell] =
    &[cell("idle-grpc", Kind::GrpcBidi, 64, 10, 100), cell("idle-ttstream", Kind::Ttstream, 64, 10, 100)];
