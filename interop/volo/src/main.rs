//! Volo as a peer of the matrix.
//!
//! `volo-peer server --transport T` prints `LISTEN <addr>`, then `SEEN <method>` per call;
//! `volo-peer client --transport T --addr A` prints one JSON object: what each case gave.
//! Transports: `ttheader-framed` (Volo's default), `framed`, `buffered`.

mod client;
mod server;

#[allow(warnings, clippy::all)] // written by volo-build
mod generated {
    volo::include_service!("volo_gen.rs");
}
pub use generated::volo_gen::{echo, ghost};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1).cloned()
    };
    let transport = option("--transport").unwrap_or_else(|| "ttheader-framed".into());
    match args.get(1).map(String::as_str) {
        Some("server") => server::serve(&transport).await,
        Some("client") => {
            let addr = option("--addr").expect("--addr is needed");
            let addr = addr.parse().expect("--addr is not an address");
            println!("{}", client::run(&transport, addr).await);
        }
        _ => panic!("volo-peer server|client [--transport T] [--addr A]"),
    }
}
