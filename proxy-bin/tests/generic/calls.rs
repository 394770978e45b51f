//! Calls in JSON (generic-call 3.11, 7.8).

use std::sync::mpsc;
use std::time::Duration;

use proxy::client::{Client, Invocation};
use proxy::handler::generic::JsonService;
use testkit::peer::RawServer;
use testkit::{from_hex, to_hex};
use thrift_generic::descriptor::Builder;
use thrift_generic::value::MapCodec;
use thrift_generic::{Descriptor, Options, Outcome, Profile, Provider, Value};

use crate::{CALLS, JsonClient, Refused, combined, last, local, obedient, one, serve};

const PROFILES: [Profile; 2] = [Profile::Default, Profile::Dynamic];

fn value(json: &str) -> Option<Outcome<String>> {
    Some(Outcome::Value(json.to_owned()))
}

#[test]
fn jr_01_text_comes_back_over_every_transport_with_both_profiles() {
    for profile in PROFILES {
        let proxy = serve(one(obedient(last("req.thrift"), profile)));
        for transport in CALLS {
            let client = JsonClient::new(&proxy, transport, last("req.thrift"), profile);
            local(async {
                assert_eq!(client.call("Str", "hello").await.unwrap(), value("hello"), "{transport}");
                assert_eq!(client.call("Bin", "aGVsbG8=").await.unwrap(), value("aGVsbG8="));
                assert_eq!(client.call("Li", "[1,2]").await.unwrap(), value("[1,2]"));
                assert_eq!(client.call("Ma", r#"{"7":"a"}"#).await.unwrap(), value(r#"{"7":"a"}"#));
                assert_eq!(client.call("Un", r#"{"b":"x"}"#).await.unwrap(), value(r#"{"b":"x"}"#));
            });
        }
    }
}

#[test]
fn jr_10_void_is_void_over_every_transport() {
    let proxy = serve(one(obedient(last("req.thrift"), Profile::Default)));
    for transport in CALLS {
        let client = JsonClient::new(&proxy, transport, last("req.thrift"), Profile::Dynamic);
        assert_eq!(local(client.call("V", "x")).unwrap(), Some(Outcome::Void), "{transport}");
    }
}

#[test]
fn jr_16_every_declared_exception_comes_back_with_its_fields() {
    let proxy = serve(one(obedient(last("req.thrift"), Profile::Default)));
    for transport in CALLS {
        let client = JsonClient::new(&proxy, transport, last("req.thrift"), Profile::Default);
        local(async {
            let first = Outcome::Exception { id: 1, value: r#"{"code":400,"msg":"oop"}"#.to_owned() };
            assert_eq!(client.call("M", r#"{"rs":"declared 1","ds2":{}}"#).await.unwrap(), Some(first), "{transport}");
            let second = Outcome::Exception { id: 2, value: r#"{"why":"two"}"#.to_owned() };
            assert_eq!(client.call("M", r#"{"rs":"declared 2","ds2":{}}"#).await.unwrap(), Some(second));
        });
    }
}

#[test]
fn jr_17_an_empty_result_is_told_from_a_value() {
    let proxy = serve(one(obedient(last("req.thrift"), Profile::Default)));
    for transport in CALLS {
        let client = JsonClient::new(&proxy, transport, last("req.thrift"), Profile::Default);
        assert_eq!(local(client.call("Str", "nothing")).unwrap(), Some(Outcome::Empty), "{transport}");
    }
}

#[test]
fn jr_35_a_oneway_call_is_sent_and_has_no_reply() {
    let (told, seen) = mpsc::channel();
    let service = JsonService::new(Provider::new(last("req.thrift"))).calls(move |call, json| {
        told.send((call.method.clone(), json.clone())).unwrap();
        async move { Ok(Outcome::Value(json)) }
    });
    let proxy = serve(one(service));
    for transport in &CALLS[..4] {
        let client = JsonClient::new(&proxy, *transport, last("req.thrift"), Profile::Default);
        local(async {
            for number in 0..10 {
                assert_eq!(client.call("O", &format!("note {number}")).await.unwrap(), None, "{transport}");
            }
            // What came before on this connection has been taken once this is answered.
            assert_eq!(client.call("Str", "done").await.unwrap(), value("done"));
        });
        for number in 0..10 {
            let note = seen.recv_timeout(Duration::from_secs(2)).unwrap();
            assert_eq!(note, ("O".into(), format!("note {number}")));
        }
        assert_eq!(seen.recv_timeout(Duration::from_secs(2)).unwrap().1, "done");
    }
}

#[test]
fn jr_36_the_text_of_a_failed_handler_arrives() {
    let proxy = serve(one(obedient(last("req.thrift"), Profile::Default)));
    for transport in CALLS {
        let client = JsonClient::new(&proxy, transport, last("req.thrift"), Profile::Default);
        match local(client.call("Str", "fail")).unwrap_err() {
            Refused::Exception(_, text) | Refused::Status(_, text) => {
                assert!(text.contains("biz error: it failed"), "{transport}: {text}");
            }
            other => panic!("{transport}: {other:?}"),
        }
    }
}

#[test]
fn jr_37_an_unknown_method_is_refused_by_the_server_and_before_by_the_client() {
    let proxy = serve(one(obedient(last("req.thrift"), Profile::Default)));
    let more = Descriptor::from_text("service ReqService { string Unheard(1: string s) }").unwrap();
    for transport in CALLS {
        let client = JsonClient::new(&proxy, transport, last("req.thrift"), Profile::Default);
        assert_eq!(local(client.call("Unheard", "x")).unwrap_err(), Refused::Conversion("no method info".into()));
    }
    let client = JsonClient::new(&proxy, crate::CALLS[2], more, Profile::Default);
    let refused = Refused::Exception(1, "unknown method Unheard (service ReqService)".into());
    assert_eq!(local(client.call("Unheard", "x")).unwrap_err(), refused);
}

#[test]
fn jr_39_a_business_error_arrives_with_code_and_message() {
    let proxy = serve(one(obedient(last("req.thrift"), Profile::Default)));
    for transport in &CALLS[2..] {
        let client = JsonClient::new(&proxy, *transport, last("req.thrift"), Profile::Default);
        let refused = Refused::Business(404, "not found".into());
        assert_eq!(local(client.call("Str", "not found")).unwrap_err(), refused, "{transport}");
    }
}

#[test]
fn jr_40_methods_of_two_services_are_called_on_a_combined_one() {
    let echo = |descriptor| {
        JsonService::new(Provider::new(descriptor)).calls(|_, json| async move { Ok(Outcome::Value(json)) })
    };
    let proxy = serve(one(echo(combined("tenant.thrift"))));
    let client = JsonClient::new(&proxy, CALLS[2], combined("tenant.thrift"), Profile::Default);
    for method in ["First", "Second", "Echo"] {
        let reply = local(client.call(method, r#"{"Msg":"hi"}"#)).unwrap();
        let Some(Outcome::Value(json)) = reply else { panic!("{reply:?}") };
        assert!(json.contains(r#""Msg":"hi""#), "{json}");
    }
    // A caller that names its own service is served, too.
    let named = JsonClient::new(&proxy, CALLS[2], last("tenant.thrift"), Profile::Default);
    assert!(local(named.call("Echo", "{}")).is_ok());
}

#[test]
fn v_15_an_update_of_the_idl_takes_effect_on_the_next_call() {
    let first = "struct Req { 1: string a } service S { string Old(1: Req r) string Both(1: Req r) }";
    let second = "struct Req { 1: string b } service S { string New(1: Req r) string Both(1: Req r) }";
    let build = |text| Descriptor::from_text(text).unwrap();
    let provider = Provider::new(build(first));
    let service = JsonService::new(provider.clone()).calls(|_, json| async move { Ok(Outcome::Value(json)) });
    let proxy = serve(proxy::handler::Services::builder().service(
        // Methods come and go with the IDL: the service has whatever its IDL has now.
        proxy::handler::Service::new("S", service),
    ));
    let client = |text| JsonClient::new(&proxy, CALLS[2], build(text), Profile::Default);
    let (old, new) = (client(first), client(second));
    assert_eq!(local(old.call("Both", r#"{"a":"x"}"#)).unwrap(), value(r#"{"a":"x"}"#));
    assert!(matches!(local(new.call("New", "{}")).unwrap_err(), Refused::Exception(1, _)));
    provider.update(build(second));
    assert_eq!(local(new.call("Both", r#"{"b":"x"}"#)).unwrap(), value(r#"{"b":"x"}"#));
    assert!(matches!(local(old.call("Old", "{}")).unwrap_err(), Refused::Exception(1, _)));
}

#[test]
fn options_of_the_service_hold() {
    let descriptor = || fixture_bytes();
    let mut options = Options::json(Profile::Default);
    options.base64 = false;
    let service = JsonService::new(Provider::new(descriptor())).options(options).calls(|_, json| async move {
        assert_eq!(json, "plain");
        Ok(Outcome::Value(json))
    });
    let proxy = serve(one(service));
    let client = JsonClient::new(&proxy, CALLS[1], descriptor(), Profile::Default);
    assert_eq!(local(client.call("Bin", "cGxhaW4=")).unwrap(), value("cGxhaW4="));
}

fn fixture_bytes() -> Descriptor {
    crate::fixture("req.thrift", Builder::new())
}

/// MR-16 and JR-38: a server that knows nothing of generic calls. Its bytes are worked out by hand.
#[test]
fn mr_16_values_are_understood_by_a_server_that_is_not_generic() {
    let descriptor = Descriptor::from_text(
        "struct Req { 1: string name, 2: i32 times } struct Resp { 1: list<string> names }
         service Plain { Resp Repeat(1: Req req) }",
    )
    .unwrap();
    let backend = RawServer::replying(|call| {
        assert_eq!(to_hex(&call.body), "0c0001 0b0001 00000001 61 080002 00000002 00 00".replace(' ', ""));
        call.reply().body(from_hex("0c0000 0f0001 0b 00000002 00000001 61 00000001 61 00 00")).bytes()
    });
    let (codec, repeat) = (MapCodec::default(), descriptor.function("Repeat").unwrap());
    let request = Value::structure([("name", Value::from("a")), ("times", Value::I32(2))]);
    let mut body = Vec::new();
    codec.encode_request(&descriptor, repeat, &request, None, &mut body).unwrap();
    for transport in &CALLS[..4] {
        let client = Client::builder(backend.addr().to_string()).calls_over(*transport).build();
        let reply = local(client.call(&Invocation::new("Plain", "Repeat"), &body)).unwrap().unwrap();
        let names = Value::structure([("names", Value::list(["a", "a"]))]);
        assert_eq!(
            codec.decode_response(&descriptor, repeat, &reply.body).unwrap(),
            Outcome::Value(names),
            "{transport}"
        );
    }
}

/// There is no way to register a handler for unknown services that has no callback; what is left is nothing at all.
#[test]
fn s_12_a_server_without_a_handler_is_refused() {
    let refused = proxy::handler::Services::builder().build().unwrap_err();
    assert_eq!(refused, proxy::handler::RegisterError::Empty);
}
