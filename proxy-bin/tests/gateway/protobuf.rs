//! Gateways by `.proto` files and descriptor sets: JSON to Kitex-Protobuf and gRPC.

use std::path::Path;

use proxy::Config;
use serde_json::json;
use testkit::peer::http2::{Fields, RawH2, grpc_message, grpc_response, grpc_trailers};
use testkit::peer::{Form, RawServer};
use thrift_codec::{MessageType, Version};
use thrift_generic::protobuf::PbIdl;
use ttheader::{IntKey, keys};

use crate::client::{Http, get, post};
use crate::reload::Directory;
use crate::support::Setup;

const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/proto/shop.proto");

fn gateway(backend: &RawServer) -> Setup {
    Setup::to(backend)
        .listener(&format!("protocols = [\"http\"]\nproto = \"{PROTO}\""))
        .cluster("pingpong = \"ttheader\"")
}

#[test]
fn a_method_is_called_as_kitex_protobuf() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let order =
        json!({ "note": "hello", "orderId": 9_007_199_254_740_993_i64, "items": [{ "price": 1.5 }], "kind": 1 });
    let answer = post(proxy.addr(), "/shop.v1.Shop/Place", order.to_string());
    assert_eq!((answer.status, answer.json()), (200, order));

    let call = &backend.messages()[0];
    assert_eq!((call.form, call.version), (Form::TtHeaderFramed, Version::KITEX_PROTOBUF));
    assert_eq!((&call.method[..], call.message_type), (&b"Place"[..], MessageType::CALL));
    assert!(call.body.starts_with(b"\x0a\x05hello\x10\x81\x80\x80\x80\x80\x80\x80\x10"));
    // As Kitex names it: without its package.
    assert_eq!(call.string_value(keys::IDL_SERVICE_NAME), Some(&b"Shop"[..]));
    assert_eq!(call.int_value(IntKey::TO_METHOD), Some(&b"Place"[..]));
}

#[test]
fn names_as_in_the_file_are_taken_and_nothing_is_an_empty_message() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    let answer = http.post("/shop.v1.Shop/Place", r#"{"order_id": "7", "kind": "GIFT", "more": [], "note": null}"#);
    assert_eq!(answer.json(), json!({ "orderId": 7, "kind": 1 }));
    for body in ["", "{}", "null"] {
        assert_eq!(http.post("/shop.v1.Depot/Place", body).json(), json!({}));
    }
    assert_eq!(backend.messages()[1].string_value(keys::IDL_SERVICE_NAME), Some(&b"Depot"[..]));
}

#[test]
fn a_descriptor_set_serves_the_same() {
    let backend = RawServer::echo();
    let directory = Directory::new();
    let set = directory.path().join("shop.binpb");
    std::fs::write(&set, PbIdl::from_file(PROTO, &[]).unwrap().pool().encode_to_vec()).unwrap();
    let listener = format!("protocols = [\"http\"]\ndescriptor_set = \"{}\"\ni64_as_string = true", set.display());
    let proxy = Setup::to(&backend).listener(&listener).cluster("pingpong = \"framed\"").start();
    let answer = post(proxy.addr(), "/shop.v1.Shop/Place", r#"{"orderId": 5}"#);
    assert_eq!(answer.json(), json!({ "orderId": "5" }));
    assert_eq!(backend.messages()[0].form, Form::Framed);
}

#[test]
fn a_call_is_a_unary_one_under_a_path_with_the_package() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        conn.auto_credit(true);
        while let Some(request) = conn.next_request() {
            assert_eq!(request.fields.text("content-type"), Some("application/grpc"));
            let path = request.fields.text(":path").unwrap_or_default().to_owned();
            let Some(message) = conn.next_grpc_message(request.stream) else { continue };
            if message.starts_with(b"\x0a\x04none") {
                let trailers = grpc_trailers(5, "no such order", Fields::default());
                conn.send_headers(request.stream, grpc_response(trailers), true);
                continue;
            }
            let headers = Fields::from([("got-path", &*path)]);
            conn.send_headers(request.stream, grpc_response(headers), false);
            conn.send_all(request.stream, grpc_message(&message), false);
            conn.trailers(request.stream, 0, "");
        }
    });
    // The package of the file, not that of the cluster, whose services may be of several.
    let proxy = Setup::to(&backend)
        .listener(&format!("protocols = [\"http\"]\nproto = \"{PROTO}\""))
        .cluster("pingpong = \"grpc\"\npackage = \"other\"")
        .start();
    let answer = post(proxy.addr(), "/shop.v1.Shop/Place", r#"{"note": "hi"}"#);
    assert_eq!((answer.status, answer.json()), (200, json!({ "note": "hi" })));
    assert_eq!(answer.header("rpc-backward-got-path"), Some("/shop.v1.Shop/Place"));
    let error = post(proxy.addr(), "/shop.v1.Shop/Place", r#"{"note": "none"}"#).error(404, "grpc_status");
    assert_eq!((&error["code"], &error["message"]), (&json!(5), &json!("no such order")));
}

#[test]
fn p_06_a_business_error_is_one() {
    let backend = RawServer::replying(|call| {
        let reply = call.reply().body(b"").string(keys::BIZ_STATUS, "404");
        reply.string(keys::BIZ_MESSAGE, "not found").bytes()
    });
    let proxy = gateway(&backend).start();
    let error = post(proxy.addr(), "/shop.v1.Shop/Place", "{}").error(422, "business_error");
    assert_eq!((&error["code"], &error["message"]), (&json!(404), &json!("not found")));
}

#[test]
fn an_exception_is_one() {
    let backend = RawServer::replying(|call| call.exception(6, "boom").bytes());
    let proxy = gateway(&backend).start();
    let error = post(proxy.addr(), "/shop.v1.Shop/Place", "{}").error(502, "application_exception");
    assert_eq!((&error["code"], &error["message"]), (&json!(6), &json!("boom")));
}

#[test]
fn what_can_t_be_is_refused_with_its_place() {
    let backend = RawServer::replying(|call| call.reply().body(b"\x0a\x05hi").bytes());
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    let path = "/shop.v1.Shop/Place";
    for (body, place) in [
        (r#"{"items": [{}, {"price": "much"}]}"#, "Order.items[1].price"),
        (r#"{"kind": "NONE"}"#, "Order.kind"),
        (r#"{"counts": {"a": 4294967296}}"#, "Order.counts[\"a\"]"),
    ] {
        let error = http.post(path, body).error(400, "bad_arguments");
        assert_eq!(error["path"], place, "{error}");
        assert!(error["offset"].is_u64(), "{error}");
    }
    http.post(path, "{").error(400, "bad_arguments");
    let error = http.post("/shop.v1.Shop/Watch", "{}").error(501, "streaming");
    assert_eq!(error["message"], "shop.v1.Shop.Watch streams, which HTTP with JSON can't carry");
    let error = http.post("/shop.v1.Shop/Sell", "{}").error(404, "not_found");
    assert_eq!(error["message"], "service shop.v1.Shop has no method \"Sell\"");
    http.post("/Shop/Place", "{}").error(404, "not_found");
    let answer = http.ask(&format!("GET {path}"), &[], "");
    answer.error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    http.ask(&format!("POST {path}"), &[("content-type", "application/x-protobuf")], "\u{8}")
        .error(415, "unsupported_content_type");
    assert_eq!(backend.messages(), []);
    let error = http.post(path, "{}").error(502, "bad_reply");
    assert_eq!((&error["path"], &error["offset"]), (&json!("Order"), &json!(1)));
}

#[test]
fn the_methods_are_listed() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let page = get(proxy.addr(), "/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for text in [
        "2 services, 3 methods",
        "shop.v1.Depot",
        "curl &#39;http://shop.test/shop.v1.Shop/Place&#39;",
        "&quot;orderId&quot;: 1",
        "streams: not over HTTP",
    ] {
        assert!(page.text().contains(text), "no {text:?} in {}", page.text());
    }
    let document = get(proxy.addr(), "/openapi.json").json();
    let place = &document["paths"]["/shop.v1.Shop/Place"]["post"];
    let order = json!({ "$ref": "#/components/schemas/shop.v1.Order" });
    assert_eq!(place["requestBody"]["content"]["application/json"]["schema"], order);
    assert_eq!(place["responses"]["200"]["content"]["application/json"]["schema"], order);
    assert!(document["paths"].get("/shop.v1.Shop/Watch").is_none());
    let fields = &document["components"]["schemas"]["shop.v1.Order"]["properties"];
    assert_eq!(fields["orderId"], json!({ "type": "integer", "format": "int64" }));
    let item = json!({ "$ref": "#/components/schemas/common.Item" });
    assert_eq!(fields["items"], json!({ "type": "array", "items": item }));
    assert_eq!(fields["parent"], order);
    assert_eq!(fields["kind"]["enum"], json!([0, 1]));
    assert_eq!(document["components"]["schemas"]["common.Item"]["properties"]["price"]["type"], "number");
    // What the page shows can be sent.
    let body = page.text().split("<h3>Body</h3><pre>").nth(1).unwrap().split("</pre>").next().unwrap();
    let answer = post(proxy.addr(), "/shop.v1.Shop/Place", body.replace("&quot;", "\""));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_change_takes_effect_also_of_an_imported_file() {
    let text = |name: &str| std::fs::read_to_string(Path::new(PROTO).with_file_name(name)).unwrap();
    let directory = Directory::new();
    directory.write("shop.proto", &text("shop.proto"));
    directory.write("inc/common.proto", &text("common.proto"));
    let backend = RawServer::echo();
    let path = directory.path().display();
    let listener = format!("protocols = [\"http\"]\nproto = \"{path}/shop.proto\"\ninclude = [\"{path}/inc\"]");
    let proxy = Setup::to(&backend).listener(&listener).cluster("pingpong = \"ttheader\"").start();
    let ask = || post(proxy.addr(), "/shop.v1.Shop/Place", r#"{"items": [{"name": "n", "title": "t"}]}"#).json();
    assert_eq!(ask(), json!({ "items": [{ "name": "n" }] }));
    directory.write("inc/common.proto", &text("common.proto").replace("string name", "string title"));
    proxy.eventually("the change is served", |_| ask() == json!({ "items": [{ "title": "t" }] }));
    directory.write("shop.proto", "syntax = \"proto3\"; service");
    proxy.eventually("the bad one is refused", |totals| totals.idl_refused > 0);
    assert_eq!(ask(), json!({ "items": [{ "title": "t" }] }));
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    for (listener, text) in [
        ("protocols = [\"http\"]\nproto = \"a\"\ndescriptor_set = \"b\"", "expected one of them"),
        ("protocols = [\"http\"]\nproto = \"a\"\nidl = \"b\"", "expected one of them"),
        ("protocols = [\"http\"]\nproto = \"a\"\nbase64 = true", "base64 is of use to Thrift alone"),
        ("protocols = [\"http\"]\ndescriptor_set = \"a\"\nprofile = \"dynamic\"", "profile is of use to Thrift alone"),
        ("protocols = [\"http\"]\ndescriptor_set = \"a\"\ninclude = [\"b\"]", "include: expected idl or proto with it"),
        ("proto = \"a\"", "proto is of use to HTTP alone"),
        ("descriptor_set = \"a\"", "descriptor_set is of use to HTTP alone"),
    ] {
        let file = format!(
            "[[listener]]\nbind = \"127.0.0.1:0\"\n{listener}\n[[route]]\ncluster = \"c\"\n[cluster.c]\nendpoints = [\"127.0.0.1:1\"]\n"
        );
        let error = Config::parse(&file, "test.toml").unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let directory = Directory::new();
    directory.write("bad.proto", "syntax = \"proto3\";\nmessage M { none a = 1; }");
    directory.write("empty.proto", "syntax = \"proto3\"; message M {}");
    directory.write("bad.binpb", "\u{1}");
    for (key, name, text) in [
        ("proto", "bad.proto", "bad.proto:2:13: "),
        ("proto", "empty.proto", "no service"),
        ("proto", "missing.proto", "missing.proto"),
        ("descriptor_set", "bad.binpb", "bad.binpb: "),
        ("descriptor_set", "missing.binpb", "can't be read"),
    ] {
        let path = directory.path().join(name);
        let listener = format!("protocols = [\"http\"]\n{key} = \"{}\"", path.display());
        let file = format!(
            "[[listener]]\nbind = \"127.0.0.1:0\"\n{listener}\n[[route]]\ncluster = \"c\"\n[cluster.c]\nendpoints = [\"127.0.0.1:1\"]\n"
        );
        let config = Config::parse(&file, "test.toml").unwrap();
        let error = proxy::Proxy::builder().config(config).build().unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}
