//! Generates the service from the IDL that all peers share.
fn main() {
    let idl = std::path::PathBuf::from("../idl/echo.thrift");
    println!("cargo:rerun-if-changed=../idl/echo.thrift");
    if let Err(err) = volo_build::Builder::thrift()
        .add_service(idl)
        .include_dirs(vec!["../idl".into()])
        .write()
    {
        eprintln!("{err:?}");
        std::process::exit(1);
    }
}
