//! The two Thrift services: what the Kitex server of the matrix does, by the text of a message.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy::handler::generic::JsonService;
use proxy::handler::{Answering, Failure, Handler, Request, Response, Service, Stream};
use serde_json::{Value, json};
use thrift_generic::descriptor::Builder;
use thrift_generic::idl::Idl;
use thrift_generic::{Options, Outcome, Profile, Provider};

type Answer = Result<Outcome<String>, Failure>;

fn service(idl: &Path, name: &str, dynamic: bool) -> Result<JsonService, Box<dyn Error>> {
    let profile = if dynamic { Profile::Dynamic } else { Profile::Default };
    let idl = Idl::from_file(idl.join("generic.thrift"), &[])?;
    let descriptor = Builder::new().service(name).profile(profile).build(&idl)?;
    Ok(JsonService::new(Provider::new(descriptor)).options(Options::json(profile)))
}

pub(crate) fn generic(idl: &Path, dynamic: bool) -> Result<Service, Box<dyn Error>> {
    let told = Arc::new(Mutex::new(Vec::<String>::new()));
    Ok(service(idl, "Generic", dynamic)?
        .calls(move |call, json| {
            let told = Arc::clone(&told);
            async move { answer(&call.method, json, &told) }
        })
        .client_streaming(|_, stream| async move {
            let (mut texts, mut number) = (Vec::new(), 0);
            while let Some(message) = stream.recv().await? {
                let message = parsed(&message)?;
                texts.push(text(&message).to_owned());
                number += message["number"].as_i64().unwrap_or_default();
            }
            texts.first().map_or(Ok(()), |first| ordered(first))?;
            Ok(json!({"text": texts.join(","), "number": number}).to_string())
        })
        .server_streaming(|_, request, stream| async move {
            let request = parsed(&request)?;
            for number in 0..request["number"].as_i64().unwrap_or_default() {
                let message = json!({"text": format!("{} {number}", text(&request)), "number": number});
                stream.send(message.to_string()).await?;
            }
            late(text(&request)).await
        })
        .bidirectional_streaming(|_, stream| async move {
            while let Some(message) = stream.recv().await? {
                late(text(&parsed(&message)?)).await?;
                stream.send(message).await?;
            }
            Ok(())
        })
        .into_service())
}

pub(crate) fn second(idl: &Path, dynamic: bool) -> Result<Service, Box<dyn Error>> {
    let service = service(idl, "Second", dynamic)?;
    Ok(service
        .calls(|call, json| async move {
            Ok(Outcome::Value(if &*call.method == "Whoami" { format!("second {json}") } else { json }))
        })
        .into_service())
}

fn answer(method: &str, json: String, told: &Mutex<Vec<String>>) -> Answer {
    match method {
        "Echo" | "Unary" => {
            let note = parsed(&json)?;
            ordered(text(&note))?;
            Ok(match text(&note) {
                "refuse" => exception(1, json!({"code": 400, "why": "refused"})),
                "busy" => exception(2, json!({"seconds": 9})),
                "empty" => Outcome::Empty,
                _ => Outcome::Value(json),
            })
        }
        "Ping" => ordered(&json).map(|()| Outcome::Value(json)),
        "Nothing" => ordered(&json).map(|()| Outcome::Void),
        "Inherited" => Ok(Outcome::Value(format!("inherited {json}"))),
        "Tell" => {
            lock(told)?.push(json);
            Ok(Outcome::Void)
        }
        "Told" => {
            let told = lock(told)?;
            let told: Vec<_> = told.iter().filter(|text| text.starts_with(&json)).map(String::as_str).collect();
            Ok(Outcome::Value(format!("told {}", told.join(","))))
        }
        "Fetch" | "Remove" | "Replace" => fetched(method, &parsed(&json)?),
        _ => Ok(Outcome::Value(json)),
    }
}

fn fetched(method: &str, request: &Value) -> Answer {
    let id = request["id"].as_i64().unwrap_or_default();
    match (method, id) {
        ("Fetch", 400) => return Ok(exception(1, json!({"code": 400, "why": "refused"}))),
        ("Fetch", 404) => return Err(not_found()),
        ("Fetch", 500) => return Err(boom()),
        _ => {}
    }
    let part = |name: &str| request[name].as_str().unwrap_or_default();
    let flag = request["flag"].as_bool().unwrap_or_default();
    let what = method.to_lowercase();
    let mut out = json!({
        "text": format!("{what} id={id} q=[{}] session=[{}] plain=[{}] flag={flag}", part("q"), part("session"), part("plain")),
        "counts": {"id": id},
        "hidden": "hidden",
    });
    for (to, from) in [("trace", "token"), ("ids", "ids"), ("item", "item")] {
        if !request[from].is_null() {
            out[to] = request[from].clone();
        }
    }
    if id == 201 {
        out["code"] = json!(201);
    }
    Ok(Outcome::Value(out.to_string()))
}

fn exception(id: i16, value: Value) -> Outcome<String> {
    Outcome::Exception { id, value: value.to_string() }
}

/// [`ordered`] at the end of a stream: Kitex's clients drop messages that they have when the end with an error is
/// there, too.
pub(crate) async fn late(text: &str) -> Result<(), Failure> {
    let done = ordered(text);
    if done.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    done
}

/// Does what a text orders; without an order, nothing.
pub(crate) fn ordered(text: &str) -> Result<(), Failure> {
    match text {
        "biz" => Err(not_found()),
        "abort" => Err(boom()),
        _ => Ok(()),
    }
}

fn not_found() -> Failure {
    Failure::Business { status: 404, message: "not found".to_owned(), extra: Some(r#"{"k":"v"}"#.to_owned()) }
}

fn boom() -> Failure {
    Failure::internal("biz error: boom")
}

pub(crate) fn parsed(json: &str) -> Result<Value, Failure> {
    serde_json::from_str(json).map_err(|error| Failure::internal(format!("{error} in {json}")))
}

pub(crate) fn text(message: &Value) -> &str {
    message["text"].as_str().unwrap_or_default()
}

fn lock(told: &Mutex<Vec<String>>) -> Result<std::sync::MutexGuard<'_, Vec<String>>, Failure> {
    told.lock().map_err(|_| Failure::internal("a handler died"))
}

/// What nobody knows comes back as it is.
pub(crate) struct Echo;

impl Handler for Echo {
    fn call(&self, request: Request) -> Answering<'_, Response> {
        Box::pin(async { Ok(Response::new(request.body)) })
    }

    fn stream(&self, _: Request, stream: Stream) -> Answering<'_, ()> {
        Box::pin(async move {
            while let Some(message) = stream.recv().await? {
                stream.send(message).await;
            }
            Ok(())
        })
    }
}
