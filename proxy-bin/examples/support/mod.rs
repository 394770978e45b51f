//! What the examples share: a backend and a proxy in front of it, each on a free port of loopback.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;

use proxy::handler::{self, Handler, Response, Service, Services};
use proxy::{Config, Proxy, ProxyBuilder};

/// Starts a backend that answers every call and stream with what `handler` says.
pub(crate) fn backend(handler: impl Handler + 'static) -> Result<SocketAddr, Box<dyn Error>> {
    let services = Services::builder().service(Service::new("Example", handler)).build()?;
    start("[[listener]]\nbind = \"127.0.0.1:0\"\n", Proxy::builder().services(services))
}

/// A handler that answers with what it was sent.
pub(crate) fn echo() -> impl Handler {
    handler::calls(|request| async move { Ok(Response::new(request.body)) })
}

/// Starts a proxy in front of `backend`.
pub(crate) fn proxy(backend: SocketAddr, builder: ProxyBuilder) -> Result<SocketAddr, Box<dyn Error>> {
    let config = format!(
        "[[listener]]\nbind = \"127.0.0.1:0\"\n[[route]]\ncluster = \"backend\"\n\
         [cluster.backend]\nendpoints = [\"{backend}\"]\n"
    );
    start(&config, builder)
}

fn start(config: &str, builder: ProxyBuilder) -> Result<SocketAddr, Box<dyn Error>> {
    let proxy = builder.config(Config::parse(config, "example")?).build()?;
    let addr = proxy.local_addrs().first().copied().ok_or("no listener")?;
    // It runs until the example ends.
    std::thread::spawn(move || proxy.run_here(std::future::pending()));
    Ok(addr)
}

/// Runs what need not be `Send`.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> Result<T, Box<dyn Error>> {
    let local = tokio::runtime::LocalOptions::default();
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build_local(local)?.block_on(work))
}
