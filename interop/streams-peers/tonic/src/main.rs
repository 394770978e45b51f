//! tonic as a stream peer: `server --listen 127.0.0.1:0` or `client --target 127.0.0.1:PORT --cases all`.

mod client;
mod server;
mod wire;

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, otherwise: &str| {
        let value = args.iter().skip_while(|arg| *arg != name).nth(1);
        value.map_or_else(|| otherwise.to_owned(), String::clone)
    };
    match args.first().map(String::as_str) {
        Some("server") => server::serve(&option("--listen", "127.0.0.1:0")).await,
        Some("client") => {
            if option("--codec", "protobuf") != "protobuf" || option("--transport", "grpc") != "grpc" {
                return Err("this peer speaks protobuf over grpc".into());
            }
            client::run(&option("--target", ""), &option("--cases", "all")).await
        }
        _ => Err("server or client?".into()),
    }
}
