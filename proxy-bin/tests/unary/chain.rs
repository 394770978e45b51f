//! Two proxies in a row: over to ping-pong and back, a call is what it was.

use testkit::peer::RawServer;
use testkit::peer::http2::{RawH2, grpc_message, grpc_response, grpc_trailers};
use testkit::peer::text_struct;

use crate::from_grpc::Told;
use crate::support::Setup;
use crate::{PATH, thrift};

#[test]
fn over_and_back_a_call_is_what_it_was() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        while let Some(request) = conn.next_request() {
            let stream = request.stream;
            assert_eq!(request.fields.text(":path"), Some(PATH));
            assert_eq!(request.fields.text("x-key"), Some("v"));
            assert_eq!(request.fields.text("rpc-persist-user-id"), Some("p"));
            assert_eq!(request.fields.text("source-service"), Some("caller"));
            assert!(request.fields.contains("grpc-timeout"));
            let message = conn.next_grpc_message(stream).unwrap();
            let trailers = match &message[7..message.len() - 1] {
                b"ok" => {
                    conn.send_headers(stream, grpc_response(thrift([("x-head", "h")])), false);
                    conn.send_data(stream, grpc_message(text_struct(0, "ok")), false);
                    conn.send_headers(stream, grpc_trailers(0, "", [("", ""); 0]), true);
                    continue;
                }
                b"status" => grpc_trailers(5, "gone", thrift([])),
                b"unknown" => grpc_trailers(12, "unknown method Ask", thrift([])),
                _ => grpc_trailers(13, "no money", thrift([("biz-status", "502"), ("biz-extra", "{\"k\":\"v\"}")])),
            };
            conn.send_headers(stream, grpc_response(trailers), true);
        }
    });
    let second = Setup::to(&backend).cluster("pingpong = \"grpc\"\npackage = \"livet\"").start();
    let first = Setup::to_addr(second.addr()).route("unary = [\"Ask\"]").cluster("pingpong = \"ttheader\"").start();
    let mut client = RawH2::client(first.addr());
    let mut ask = |text: &str| {
        let fields = thrift([
            ("x-key", "v"),
            ("rpc-persist-user-id", "p"),
            ("source-service", "caller"),
            ("grpc-timeout", "4S"),
        ]);
        Told::from(client.call(PATH, fields, text_struct(1, text)))
    };
    let told = ask("ok");
    assert_eq!((told.status, &told.messages), (Some(0), &vec![text_struct(0, "ok")]), "{told:?}");
    assert_eq!(told.headers.text("x-head"), Some("h"));
    let told = ask("status");
    assert_eq!((told.status, told.message.as_deref()), (Some(5), Some("gone")));
    let told = ask("unknown");
    assert_eq!((told.status, told.message.as_deref()), (Some(12), Some("unknown method Ask")));
    let told = ask("business");
    assert_eq!((told.status, told.message.as_deref()), (Some(13), Some("no money")));
    let end = if told.trailers_only { &told.headers } else { &told.trailers };
    assert_eq!((end.text("biz-status"), end.text("biz-extra")), (Some("502"), Some("{\"k\":\"v\"}")));
}
