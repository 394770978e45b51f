#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod accept;
pub mod client;
pub mod config;
mod downstream;
mod gateway;
pub mod handler;
pub mod hook;
mod layer;
mod pipeline;
mod proxy;
mod route;
pub mod rpc;
pub mod sniff;
pub mod telemetry;
mod upstream;
mod wire;

pub mod cli;

pub use config::{Config, ConfigError};
pub use proxy::{Ended, Proxy, ProxyBuilder, ProxyError};
