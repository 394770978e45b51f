//! Requests that are calls, and what comes back.

use serde_json::json;
use testkit::peer::{Form, RawServer, text_struct};
use thrift_codec::MessageType;
use ttheader::{IntKey, keys};

use crate::client::{Http, get, post};
use crate::thrift::{Struct, msg};
use crate::{IDL, gateway};

/// What the backend was sent by the only call.
fn arguments(backend: &RawServer) -> Vec<u8> {
    let messages = backend.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages[0].body.clone()
}

#[test]
fn a_method_is_called_by_its_name() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let answer = post(proxy.addr(), "/Shop/Echo", r#"{"msg": "hello"}"#);
    assert_eq!((answer.status, answer.json()), (200, json!({ "msg": "hello" })));

    let call = &backend.messages()[0];
    assert_eq!((call.form, &call.method[..], call.message_type), (Form::TtHeader, &b"Echo"[..], MessageType::CALL));
    assert_eq!(call.body, msg(1, "hello"));
    assert_eq!(call.string_value(keys::IDL_SERVICE_NAME), Some(&b"Shop"[..]));
    assert_eq!(call.int_value(IntKey::TO_METHOD), Some(&b"Echo"[..]));
    assert_eq!(call.int_value(IntKey::FROM_SERVICE), Some(&b"proxy"[..]));
    assert!(call.seqid != 0);
    let totals = proxy.totals();
    assert_eq!((totals.replies, totals.routes[0], totals.calls_of(proxy::rpc::Protocol::Http)), (1, 1, 1));
}

#[test]
fn text_comes_back_as_json() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let answer = post(proxy.addr(), "/Shop/Say", r#""say \"hi\"""#);
    assert_eq!((answer.status, answer.json()), (200, json!("say \"hi\"")));
    assert_eq!(arguments(&backend), text_struct(1, "say \"hi\""));
    // As Kitex takes it.
    assert_eq!(post(proxy.addr(), "/Shop/Say", "bare").json(), json!("bare"));
}

#[test]
fn several_arguments_are_an_object() {
    let backend = RawServer::replying(|call| call.reply().body(Struct::default().i32(0, 5).bytes()).bytes());
    let proxy = gateway(&backend).start();
    assert_eq!(post(proxy.addr(), "/Shop/Sum", r#"{"a": 2, "b": 3}"#).json(), json!(5));
    assert_eq!(arguments(&backend), Struct::default().i32(1, 2).i32(2, 3).bytes());
}

#[test]
fn void_is_null_by_name_and_nothing_by_route() {
    let backend = RawServer::replying(|call| call.reply().body([0]).bytes());
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    let answer = http.ask("POST /Shop/Ping", &[], "");
    assert_eq!((answer.status, answer.json()), (200, json!(null)));
    let answer = http.post("/touch", r#"{"msg": "x"}"#);
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert_eq!(backend.messages()[0].body, [0]);
}

#[test]
fn a_oneway_call_is_accepted() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    for path in ["/Shop/Forget", "/forget"] {
        let answer = http.post(path, r#"{"msg": "x"}"#);
        assert_eq!((answer.status, answer.text()), (202, ""));
    }
    let calls = backend.wait_for_messages(2);
    for call in calls {
        assert_eq!((call.message_type, call.body), (MessageType::ONEWAY, msg(1, "x")));
    }
    assert_eq!(proxy.totals().oneways, 2);
}

#[test]
fn a_route_takes_fields_from_everywhere() {
    let item = Struct::default().i64(1, 7).text(2, "lamp").texts(3, &["a", "b"]);
    let got = Struct::default().inner(1, item).text(2, "v1").i32(3, 203).text(4, "hidden");
    let result = Struct::default().inner(0, got).bytes();
    let backend = RawServer::replying(move |call| call.reply().body(result.clone()).bytes());
    let proxy = gateway(&backend).start();
    let headers = [("X-Token", "t"), ("cookie", "a=b; session=s 1")];
    let answer = Http::connect(proxy.addr()).ask("GET /items/7?lang=de+DE&also=1,2", &headers, "");
    assert_eq!(answer.status, 203);
    assert_eq!(answer.header("etag"), Some("v1"));
    assert_eq!(answer.json(), json!({ "item": { "id": 7, "name": "lamp", "tags": ["a", "b"] } }));

    let also = [&[15, 0, 5, 10][..], &2_i32.to_be_bytes(), &1_i64.to_be_bytes(), &2_i64.to_be_bytes(), &[0]].concat();
    let request = Struct::default().i64(1, 7).text(2, "de DE").text(3, "t").text(4, "s 1").bytes();
    let expected = [&[12, 0, 1][..], &request[..request.len() - 1], &also, &[0]].concat();
    assert_eq!(arguments(&backend), expected);
}

#[test]
fn a_route_takes_a_body() {
    let backend = RawServer::replying(|call| call.reply().body(msg(0, "done")).bytes());
    let proxy = gateway(&backend).start();
    let mut http = Http::connect(proxy.addr());
    for verb in ["PUT", "PATCH"] {
        let headers = [("content-type", "application/json; charset=utf-8")];
        let body = r#"{"item": {"id": 9, "name": "n", "tags": ["x"]}, "page": {"number": 2, "size": 3}}"#;
        let answer = http.ask(&format!("{verb} /items/8"), &headers, body);
        assert_eq!((answer.status, answer.json()), (200, json!({ "msg": "done" })));
    }
    let item = Struct::default().i64(1, 9).text(2, "n").texts(3, &["x"]);
    let page = Struct::default().i32(1, 2).i32(2, 3);
    let expected = Struct::default().inner(1, Struct::default().i64(1, 8).inner(2, item).inner(3, page)).bytes();
    for call in backend.messages() {
        assert_eq!(call.body, expected);
    }
}

#[test]
fn a_raw_body_is_of_any_type() {
    let backend = RawServer::replying(|call| call.reply().body(msg(0, "done")).bytes());
    let proxy = gateway(&backend).start();
    let answer = Http::connect(proxy.addr()).ask("POST /files/a/b.png", &[("content-type", "image/png")], "\u{1}png");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let upload = Struct::default().text(1, "\u{1}png").text(2, "a/b.png");
    assert_eq!(arguments(&backend), Struct::default().inner(1, upload).bytes());
}

#[test]
fn the_dynamic_profile_reads_forms() {
    let backend = RawServer::replying(|call| call.reply().body(msg(0, "welcome")).bytes());
    let proxy = gateway(&backend).listener("profile = \"dynamic\"").start();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = Http::connect(proxy.addr()).ask("POST /login", &headers, "user=jo+e&password=%2B");
    assert_eq!(answer.json(), json!({ "msg": "welcome" }));
    let login = Struct::default().text(1, "jo e").text(2, "+");
    assert_eq!(arguments(&backend), Struct::default().inner(1, login).bytes());
}

#[test]
fn profiles_differ_as_in_kitex() {
    // 300 as a byte, and the query of a GET without annotation, differ; what is missing is filled in by both.
    let backend = RawServer::echo();
    for (profile, text) in [("default", r#"{"msg": null}"#), ("dynamic", r#"{"msg": null}"#)] {
        let proxy = gateway(&backend).listener(&format!("profile = \"{profile}\"")).start();
        assert_eq!(post(proxy.addr(), "/Shop/Echo", text).json(), json!({ "msg": "" }), "{profile}");
    }
    // The strict one takes no unquoted member.
    let dynamic = gateway(&backend).listener("profile = \"dynamic\"").start();
    post(dynamic.addr(), "/Shop/Echo", r"{msg: 1}").error(400, "bad_arguments");
}

#[test]
fn i64_can_come_as_text_and_binary_as_it_is() {
    let item = Struct::default().i64(1, i64::MAX).text(2, "n").texts(3, &[]).text(6, "raw");
    let result = Struct::default().inner(0, Struct::default().inner(1, item)).bytes();
    let backend = RawServer::replying(move |call| call.reply().body(result.clone()).bytes());
    let proxy = gateway(&backend).start();
    let answer = get(proxy.addr(), "/items/1").json();
    assert_eq!((&answer["item"]["id"], &answer["item"]["blob"]), (&json!(i64::MAX), &json!("cmF3")));
    let proxy = gateway(&backend).listener("i64_as_string = true\nbase64 = false").start();
    let answer = get(proxy.addr(), "/items/1").json();
    assert_eq!((&answer["item"]["id"], &answer["item"]["blob"]), (&json!(i64::MAX.to_string()), &json!("raw")));
}

#[test]
fn every_transport_carries_it() {
    for (transport, form) in [
        ("buffered", Form::Buffered),
        ("framed", Form::Framed),
        ("ttheader", Form::TtHeader),
        ("ttheader-framed", Form::TtHeaderFramed),
    ] {
        let backend = RawServer::echo();
        let proxy = crate::support::Setup::to(&backend)
            .listener(&format!("protocols = [\"http\"]\nidl = \"{IDL}\""))
            .cluster(&format!("pingpong = \"{transport}\"\nmux = {}", transport != "buffered"))
            .start();
        assert_eq!(post(proxy.addr(), "/Shop/Echo", r#"{"msg": "hi"}"#).json(), json!({ "msg": "hi" }));
        assert_eq!(backend.messages()[0].form, form);
    }
}

#[test]
fn a_large_body_comes_and_goes() {
    let backend = RawServer::echo();
    let proxy = gateway(&backend).start();
    let text = "x".repeat(3 << 20);
    let answer = post(proxy.addr(), "/Shop/Echo", json!({ "msg": text }).to_string());
    assert_eq!(answer.json(), json!({ "msg": text }));
}

#[test]
fn a_cluster_without_a_transport_gets_ttheader() {
    let backend = RawServer::echo();
    let proxy = crate::support::Setup::to(&backend)
        .listener(&format!("protocols = [\"http\"]\nidl = \"{IDL}/shop.thrift\""))
        .start();
    assert_eq!(post(proxy.addr(), "/Shop/Echo", r#"{"msg": "hi"}"#).status, 200);
    assert_eq!(backend.messages()[0].form, Form::TtHeader);
}
