//! `generic-peer --idl DIR [--protobuf | --unknown --dynamic]`: the services `Generic` and `Second`, or `LiveP`, of the
//! matrix, answered in JSON by `proxy::handler`, behind every protocol on one port. Prints `LISTEN address`, ends with
//! its stdin.

mod protobuf;
mod services;

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use proxy::handler::Services;
use proxy::{Config, Proxy};

#[derive(Default)]
struct Arguments {
    idl: PathBuf,
    protobuf: bool,
    unknown: bool,
    dynamic: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generic-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = Arguments { idl: PathBuf::from("idl"), ..Arguments::default() };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match &*argument {
            "--idl" => arguments.idl = given.next().ok_or("--idl needs a folder")?.into(),
            "--protobuf" => arguments.protobuf = true,
            "--unknown" => arguments.unknown = true,
            "--dynamic" => arguments.dynamic = true,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let mut services = Services::builder();
    services = if arguments.protobuf {
        services.service(protobuf::service(&arguments.idl)?)
    } else {
        services
            .service(services::generic(&arguments.idl, arguments.dynamic)?.fallback())
            .service(services::second(&arguments.idl, arguments.dynamic)?)
    };
    if arguments.unknown {
        services = services.unknown(services::Echo);
    }
    let config = Config::parse("workers = 2\n\n[[listener]]\nbind = \"127.0.0.1:0\"\n", "generic-peer.toml")?;
    let proxy = Proxy::builder().config(config).services(services.build()?).build()?;
    let address = proxy.local_addrs().first().copied().ok_or("no listener")?;
    println!("LISTEN {address}");
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    proxy.run_here(async {
        let _ = end.await;
    })?;
    Ok(())
}
