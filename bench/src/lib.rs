#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod backend;
pub mod cpu;
pub mod load;
mod poll;
pub mod relay;
pub mod stats;
mod wire;

pub use wire::{Shape, Transport, Violation};
