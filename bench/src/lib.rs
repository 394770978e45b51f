#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod backend;
pub mod cpu;
pub mod h2relay;
pub mod load;
pub mod muxrelay;
mod poll;
pub mod relay;
pub mod runner;
pub mod stats;
pub mod streams;
mod wire;

pub use wire::{Shape, Transport, Violation};
