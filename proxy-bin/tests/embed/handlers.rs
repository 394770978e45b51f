//! Handlers behind every protocol (generic-call 6.4 to 6.6).

use std::time::Duration;

use bytes::Bytes;
use proxy::Proxy;
use proxy::handler::{
    self, Answering, Failure, Handler, Request, Response, Service, Services, ServicesBuilder, Stream,
};
use testkit::peer::http2::{Fields, RawH2, grpc_message};
use testkit::peer::ttstream::{TtConn, TtFrame};
use testkit::peer::{Form, Message, text_struct};
use thrift_codec::{MessageType, exception};
use tokio::time::sleep;
use ttheader::IntKey;

use crate::LISTENER;
use crate::support::{ON_PURPOSE, TestProxy};

/// Echoes calls and streams, and fails as its method's name says.
struct Echo;

impl Handler for Echo {
    fn call(&self, request: Request) -> Answering<'_, Response> {
        Box::pin(async move {
            match request.head.method() {
                b"Biz" => Err(Failure::Business {
                    status: 404,
                    message: "not found".into(),
                    extra: Some("{\"k\":\"v\"}".into()),
                }),
                b"Fail" => Err(Failure::internal("biz error: it failed")),
                b"Status" => Err(Failure::Status { code: 5, message: "no such thing".into() }),
                b"Panic" => panic!("{ON_PURPOSE}"),
                b"Slow" => {
                    sleep(Duration::from_secs(60)).await;
                    Ok(Response::default())
                }
                _ => {
                    let mut response = Response::new(result(&request.body));
                    if let Some(value) = request.head.metadata(b"x-key") {
                        response.metadata.push((Bytes::from_static(b"x-back"), Bytes::copy_from_slice(value)));
                    }
                    Ok(response)
                }
            }
        })
    }

    fn stream(&self, request: Request, stream: Stream) -> Answering<'_, ()> {
        Box::pin(async move {
            match request.head.method() {
                b"BizStream" => return Err(Failure::business(502, "at the end")),
                b"PanicStream" => panic!("{ON_PURPOSE}"),
                b"Many" => {
                    for number in 0..1000_u32 {
                        stream.send(vec![number as u8; 1 << 16]).await;
                    }
                    return Ok(());
                }
                _ => {}
            }
            stream.add_header("x-head", "h");
            stream.add_trailer("x-tail", "t");
            while let Some(message) = stream.recv().await? {
                stream.send(message).await;
            }
            Ok(())
        })
    }

    fn streams(&self, method: &[u8]) -> bool {
        method.ends_with(b"Stream") || method == b"Many"
    }
}

/// A result struct from an arguments struct of one text: the field's id becomes zero.
fn result(arguments: &[u8]) -> Vec<u8> {
    let mut result = arguments.to_vec();
    if let [_, 0, id, ..] = &mut result[..] {
        *id = 0;
    }
    result
}

fn serve(services: ServicesBuilder) -> TestProxy {
    TestProxy::run(LISTENER, Proxy::builder().services(services.build().unwrap()))
}

fn echo() -> TestProxy {
    serve(Services::builder().service(Service::new("Live", Echo)))
}

#[test]
fn a_call_is_answered_in_the_callers_form() {
    let proxy = echo();
    for form in [Form::Framed, Form::Buffered, Form::TtHeader, Form::TtHeaderFramed] {
        let mut call = Message::call("Ask", 7).form(form);
        if form.has_ttheader() {
            call = call.string("isn", "Live").string("x-key", "v");
        } else {
            // A service that has every method is never found by one (6.4): callers without a name need one that lists.
            continue;
        }
        let reply = proxy.connect().exchange(&call);
        assert_eq!((reply.form, reply.message_type, reply.seqid), (form, MessageType::REPLY, 7), "{form:?}");
        assert_eq!(reply.body, text_struct(0, "hi"));
        assert_eq!(reply.string_value(b"x-back"), Some(&b"v"[..]));
    }
    let listed = serve(Services::builder().service(Service::new("Live", Echo).methods(["Ask"])));
    for form in [Form::Framed, Form::Buffered] {
        let reply = listed.connect().exchange(&Message::call("Ask", 7).form(form));
        assert_eq!((reply.form, reply.body), (form, text_struct(0, "hi")));
    }
}

#[test]
fn failures_are_what_the_protocol_has_for_them() {
    let proxy = echo();
    let call = |method| Message::call(method, 3).form(Form::TtHeader).string("isn", "Live");
    let mut client = proxy.connect();
    let reply = client.exchange(&call("Biz"));
    assert_eq!(reply.string_value(b"biz-status"), Some(&b"404"[..]));
    assert_eq!(reply.string_value(b"biz-message"), Some(&b"not found"[..]));
    assert_eq!(reply.string_value(b"biz-extra"), Some(&b"{\"k\":\"v\"}"[..]));
    assert_eq!(client.exchange(&call("Fail")).code_and_text(), (6, "biz error: it failed".into()));
    assert_eq!(client.exchange(&call("Status")).code_and_text(), (6, "no such thing".into()));
    let (code, text) = client.exchange(&call("Panic")).code_and_text();
    assert_eq!((code, &text[..]), (exception::INTERNAL_ERROR, "panic in the handler: on purpose"));
    // The connection and the worker live on.
    assert_eq!(client.exchange(&call("Ask")).body, text_struct(0, "hi"));
}

#[test]
fn a_deadline_of_the_caller_ends_a_handler() {
    let proxy = echo();
    let call = Message::call("Slow", 3).form(Form::TtHeader).string("isn", "Live").int(IntKey::RPC_TIMEOUT, "50");
    let (code, text) = proxy.connect().exchange(&call).code_and_text();
    assert_eq!(code, exception::INTERNAL_ERROR);
    assert!(text.contains("timeout"), "{text}");
}

#[test]
fn oneway_calls_run_and_are_not_answered() {
    let (told, seen) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let services = Services::builder().service(Service::new(
        "Live",
        handler::calls(move |request: Request| {
            told.lock().unwrap().send(request.body.clone()).unwrap();
            async move { Ok(Response::new(result(&request.body))) }
        }),
    ));
    let proxy = serve(services);
    let mut client = proxy.connect();
    let call = Message::call("Note", 3).form(Form::TtHeader).string("isn", "Live");
    client.send(call.clone().oneway().bytes());
    assert_eq!(seen.recv_timeout(Duration::from_secs(2)).unwrap(), text_struct(1, "hi"));
    assert_eq!(client.exchange(&call.seqid(9)).seqid, 9, "nothing came for the oneway call");
}

fn thrift() -> Fields {
    Fields::from([("content-type", "application/grpc+thrift"), ("x-key", "v")])
}

#[test]
fn a_unary_call_of_grpc_is_a_call_to_the_handler() {
    let proxy = echo();
    let mut client = RawH2::client(proxy.addr());
    let answer = client.call("/pkg.Live/Ask", thrift(), text_struct(1, "hi"));
    assert_eq!((answer.status(), answer.messages()), (Some(0), vec![text_struct(0, "hi")]));
    assert_eq!(answer.headers.unwrap().text("x-back"), Some("v"));
    let answer = client.call("/Live/Biz", thrift(), text_struct(1, "hi"));
    assert_eq!((answer.status(), answer.message()), (Some(13), Some("not found")));
    assert!(answer.is_trailers_only());
    assert_eq!(answer.headers.as_ref().and_then(|fields| fields.text("biz-status")), Some("404"));
    let answer = client.call("/Live/Status", thrift(), text_struct(1, "hi"));
    assert_eq!((answer.status(), answer.message()), (Some(5), Some("no such thing")));
    let answer = client.call("/Live/Panic", thrift(), text_struct(1, "hi"));
    assert_eq!(answer.status(), Some(13));
    assert!(answer.message().unwrap().contains("panic"), "{answer:?}");
}

#[test]
fn streams_of_grpc_reach_the_handler_message_by_message() {
    let proxy = echo();
    let mut client = RawH2::client(proxy.addr());
    let stream = client.request("/Live/ChatStream", thrift());
    for text in ["a", "bb", ""] {
        client.send_data(stream, grpc_message(text), false);
        assert_eq!(client.next_grpc_message(stream), Some(text.as_bytes().to_vec()), "before the caller half closes");
    }
    client.send_data(stream, grpc_message("last"), true);
    let answer = client.read_answer(stream);
    assert_eq!((answer.status(), answer.messages()), (Some(0), vec![b"last".to_vec()]));
    // The first fields have been read with the first message.
    assert_eq!(answer.headers.unwrap().text("x-tail"), Some("t"));
    for (method, status) in [("BizStream", 13), ("PanicStream", 13)] {
        let answer = client.call(&format!("/Live/{method}"), thrift(), "x");
        assert_eq!(answer.status(), Some(status), "{method}");
    }
}

#[test]
fn a_handler_sends_no_faster_than_its_caller_reads() {
    let proxy = echo();
    let mut client = RawH2::client(proxy.addr());
    client.auto_credit(true);
    let stream = client.request("/Live/Many", thrift());
    client.send_data(stream, grpc_message("go"), true);
    for number in 0..1000_u32 {
        let message = client.next_grpc_message(stream).unwrap();
        assert_eq!((message.len(), message[0]), (1 << 16, number as u8));
    }
    assert_eq!(client.read_answer(stream).status(), Some(0));
}

#[test]
fn streams_of_ttstream_reach_the_handler_message_by_message() {
    let proxy = echo();
    let mut client = TtConn::connect(proxy.addr());
    client.send(&TtFrame::header(1, "ChatStream").string("isn", "Live"));
    for text in ["a", "bb"] {
        client.send(&TtFrame::data(1, "ChatStream", text));
    }
    let header = client.read();
    assert_eq!(header.string_value("x-head"), Some("h"));
    assert_eq!(client.read().payload, b"a");
    assert_eq!(client.read().payload, b"bb");
    client.send(&TtFrame::trailer(1, "ChatStream"));
    let trailer = client.read();
    assert_eq!((trailer.frame_type(), trailer.string_value("x-tail")), (ttstream::FrameType::Trailer, Some("t")));

    client.send(&TtFrame::header(2, "BizStream").string("isn", "Live"));
    let trailer = loop {
        let frame = client.read();
        if frame.frame_type() == ttstream::FrameType::Trailer {
            break frame;
        }
    };
    assert_eq!(trailer.string_value("biz-status"), Some("502"));
    assert_eq!(trailer.string_value("biz-message"), Some("at the end"));
}

#[test]
fn s_08_what_a_handler_does_not_implement_says_so() {
    struct Nothing;
    impl Handler for Nothing {}
    let proxy = serve(Services::builder().service(Service::new("Live", Nothing)));
    let reply = proxy.connect().exchange(&Message::call("Ask", 3).form(Form::TtHeader).string("isn", "Live"));
    assert_eq!(reply.code_and_text().1, "generic.ServiceV2 GenericCall not implemented");
    let answer = RawH2::client(proxy.addr()).call("/Live/Chat", thrift(), "x");
    assert_eq!(answer.message(), Some("generic.ServiceV2 BidiStreaming not implemented"));
}

#[test]
fn s_09_unknown_services_and_methods_go_to_their_handler() {
    let unknown = handler::calls(|request: Request| async move { Ok(Response::new(result(&request.body))) });
    let known = handler::calls(|_| async { Ok(Response::new(vec![0])) });
    let proxy = serve(Services::builder().service(Service::new("Live", known).methods(["Known"])).unknown(unknown));
    let mut client = proxy.connect();
    let call = |service, method| Message::call(method, 3).form(Form::TtHeader).string("isn", service);
    assert_eq!(client.exchange(&call("Live", "Known")).body, [0]);
    assert_eq!(client.exchange(&call("Live", "Other")).body, text_struct(0, "hi"));
    assert_eq!(client.exchange(&call("Nobody", "Other")).body, text_struct(0, "hi"));
    assert_eq!(proxy.connect().exchange(&Message::call("Other", 1)).body, text_struct(0, "hi"));
    let answer = RawH2::client(proxy.addr()).call("/Nobody/Other", thrift(), text_struct(1, "hi"));
    assert_eq!(answer.messages(), [text_struct(0, "hi")]);
}

#[test]
fn without_one_unknown_calls_are_refused_in_kitexs_words() {
    let known = || handler::calls(|_| async { Ok(Response::new(vec![0])) });
    let proxy = serve(Services::builder().service(Service::new("Live", known()).methods(["Known"])));
    let call = |service, method| Message::call(method, 3).form(Form::TtHeader).string("isn", service);
    let told = |message: &Message| proxy.connect().exchange(message).code_and_text();
    assert_eq!(told(&call("Live", "Other")), (1, "unknown method Other (service Live)".into()));
    assert_eq!(told(&call("Nobody", "Other")).1, "unknown service Nobody, method Other");
    assert_eq!(told(&Message::call("Other", 1)).1, "unknown service , method Other");
}
