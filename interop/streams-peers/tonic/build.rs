//! Makes the message type from the IDL, with protox: no protoc is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../../idl/live.proto");
    let descriptors = protox::compile(["live.proto"], ["../../idl"])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
