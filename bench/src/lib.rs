#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod backend;
pub mod cpu;
pub mod load;
pub mod muxrelay;
mod poll;
pub mod relay;
pub mod runner;
pub mod stats;
mod wire;

pub use wire::{Shape, Transport, Violation};
