//! Generates the service from the IDL that all peers share.
fn main() {
    println!("cargo:rerun-if-changed=../idl");
    if let Err(err) = volo_build::Builder::thrift()
        .add_service("../idl/echo.thrift")
        .add_service("../idl/ghost.thrift")
        .include_dirs(vec!["../idl".into()])
        .write()
    {
        eprintln!("{err:?}");
        std::process::exit(1);
    }
}
