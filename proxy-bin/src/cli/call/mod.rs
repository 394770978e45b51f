//! `call`: one call or stream, by an IDL, in JSON.

mod data;
mod report;
mod run;

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};

use crate::cli::call::report::Failure;
use crate::cli::schema::{IdlOptions, Schema};
use crate::config::defaults;
use crate::config::units::Time;
use crate::rpc::{StreamTransport, Transport};

/// The options of `call`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Call {
    /// `Service/method`, or `package.Service/method`, or the method alone where one service has it.
    #[arg(value_name = "METHOD")]
    method: Option<String>,
    /// The backend, `host:port`.
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    #[command(flatten)]
    idl: IdlOptions,
    /// The request as JSON; `@file` reads a file, `@-` standard input. A stream sends one message for each JSON text, as
    /// they come. A method with several arguments takes an object of them by name.
    #[arg(long, short, value_name = "JSON")]
    data: Option<String>,
    /// What is spoken; streams by a Thrift IDL go over ttstream unless it is gRPC. Left out: ttheader for Thrift, grpc for
    /// Protobuf.
    #[arg(long, short, value_enum, value_name = "NAME")]
    transport: Option<Spoken>,
    /// Metadata, `key:value`: metainfo as RPC_PERSIST_KEY (or rpc-persist-key), RPC_TRANSIT_KEY; any other key as it is.
    #[arg(long = "header", short = 'H', value_name = "KEY:VALUE")]
    headers: Vec<String>,
    /// How long all of it may take, like 500ms, 2s; the backend is told. Left out: no limit.
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// How long connecting may take.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    connect_timeout: Duration,
    /// The service to ask for, where it is called otherwise than in the IDL.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// What the caller calls itself.
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Print what else comes along, to standard error: headers, backward metainfo, trailers, times.
    #[arg(long, short)]
    verbose: bool,
    /// Print each response in one line.
    #[arg(long)]
    compact: bool,
    /// No IDL: the data is the body in hex (the struct of the arguments), and so is what is printed.
    #[arg(long, conflicts_with = "idl")]
    raw: bool,
    /// List the services of the IDL, or the methods of this one.
    #[arg(long, value_name = "SERVICE", num_args = 0..=1, default_missing_value = "")]
    list: Option<String>,
    /// Describe the IDL, or this service, method (Service/method) or type (.Type).
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", conflicts_with = "list")]
    describe: Option<String>,
    /// Print a request of METHOD, each field with an example.
    #[arg(long)]
    example: bool,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Spoken {
    Buffered,
    Framed,
    Ttheader,
    TtheaderFramed,
    Ttstream,
    Grpc,
}

impl Spoken {
    /// What calls are spoken in. A stock server takes no calls over ttstream: as with Kitex, they go beside the streams.
    fn calls(self) -> Transport {
        match self {
            Self::Buffered => Transport::Buffered,
            Self::Framed => Transport::Framed,
            Self::Ttheader | Self::Ttstream => Transport::TtHeader,
            Self::TtheaderFramed => Transport::TtHeaderFramed,
            Self::Grpc => Transport::Grpc,
        }
    }

    fn streams(self) -> StreamTransport {
        match self {
            Self::Grpc => StreamTransport::Grpc,
            _ => StreamTransport::TtStream,
        }
    }
}

pub(crate) fn call(options: &Call) -> ExitCode {
    match look(options).or_else(|failure| failure.map_or_else(|| run::run(options), Err)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// What needs no backend. `Err(None)` where a call is wanted.
fn look(options: &Call) -> Result<(), Option<Failure>> {
    let usage = |text: String| Some(Failure::Usage(text));
    if options.list.is_none() && options.describe.is_none() && !options.example {
        return Err(None);
    }
    let path = options.idl.idl.as_ref().ok_or_else(|| usage("--idl FILE is needed".into()))?;
    let schema = Schema::load(&options.idl, path).map_err(usage)?;
    if let Some(service) = &options.list {
        let names = if service.is_empty() { schema.services() } else { schema.methods(service) };
        if names.is_empty() {
            return Err(usage(format!("no service {service}; there are: {}", schema.services().join(", "))));
        }
        names.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    if let Some(name) = &options.describe {
        let text = schema.describe(name).ok_or_else(|| usage(format!("the IDL has no {name}")))?;
        print!("{text}");
        return Ok(());
    }
    let name = options.method.as_deref().ok_or_else(|| usage("METHOD is needed".into()))?;
    let method = run::find(&schema, name).map_err(Some)?;
    println!("{}", crate::cli::json::pretty(&method.example()));
    Ok(())
}

impl Call {
    /// The metadata, its keys as TTHeader has them.
    fn metadata(&self) -> Result<Vec<(Bytes, Bytes)>, Failure> {
        let pair = |header: &String| {
            let (key, value) = header
                .split_once(':')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| Failure::Usage(format!("-H {header:?}, expected KEY:VALUE")))?;
            let key = grpc_frame::metadata::metainfo_key(&key.to_ascii_lowercase())
                .filter(|_| key.contains('-'))
                .unwrap_or_else(|| key.to_owned());
            Ok((Bytes::from(key), Bytes::copy_from_slice(value.trim().as_bytes())))
        };
        self.headers.iter().map(pair).collect()
    }
}

fn time(text: &str) -> Result<Duration, String> {
    Time::parse(text)
        .map(|time| time.0)
        .ok_or_else(|| "expected a time with its unit (us, ms, s, m, h), like 250ms".into())
}

const _: () = assert!(defaults::CONNECT_TIMEOUT.as_secs() == 1, "the default of --connect-timeout says so");

const HELP: &str = "\
Examples:
  proxy-bin call --idl echo.thrift EchoService/echo -d '{\"msg\":\"hi\"}' 127.0.0.1:8888
  proxy-bin call --idl chat.thrift Chat/talk -d @- -t ttstream 127.0.0.1:8888 < messages.json
  proxy-bin call --idl shop.proto shop.Shop/Place -d @order.json -H rpc-persist-env:test 127.0.0.1:8888
  proxy-bin call --idl echo.thrift --describe EchoService/echo
  proxy-bin call --idl echo.thrift --example EchoService/echo

Responses go to standard output, everything else as one line of JSON to standard error.
Exit codes: 0 answered; 1 wrong arguments, IDL, request or response; 2 not reached, or the connection was lost; \
3 an exception or gRPC status of the remote framework; 4 a declared exception; 5 a business error; 6 timeout.";
