//! Towards backends: clusters, the choice of an endpoint, connections kept for the next call, and one driver a
//! protocol.

mod balance;
mod cluster;
mod grpc;
mod mux;
mod pingpong;
mod pool;
mod ttstream;
mod unary;

pub(crate) use cluster::Cluster;
pub(crate) use unary::Answered;
