//! EchoService as a Volo client.

use std::{cell::RefCell, collections::BTreeMap, fmt::Debug, net::SocketAddr, time::Duration};

use metainfo::{Forward, METAINFO, MetaInfo};
use pilota::{AHashMap, Bytes};
use serde_json::{Value, json};
use volo_thrift::{ClientError, MaybeException, codec::default::DefaultMakeCodec};

use crate::{
    echo::{Choice, Colour, EchoServiceClient, EchoServiceClientBuilder, Everything, Inner},
    ghost::{GhostClient, GhostClientBuilder},
};

macro_rules! connect {
    ($builder:ident, $transport:expr, $addr:expr) => {{
        let builder = $builder::new("dest.svc")
            .address($addr)
            .caller_name("caller.svc")
            .rpc_timeout(Some(Duration::from_secs(5)))
            .retry_count(0);
        match $transport {
            "framed" => builder.make_codec(DefaultMakeCodec::framed()).build(),
            "buffered" => builder.make_codec(DefaultMakeCodec::buffered()).build(),
            _ => builder.make_codec(DefaultMakeCodec::ttheader_framed()).build(),
        }
    }};
}

pub async fn run(transport: &str, addr: SocketAddr) -> Value {
    let echo: EchoServiceClient = connect!(EchoServiceClientBuilder, transport, addr);
    let ghost: GhostClient = connect!(GhostClientBuilder, transport, addr);
    // Volo's layers expect the task local that a server would have set.
    METAINFO.scope(RefCell::new(MetaInfo::default()), calls(echo, ghost)).await
}

/// What one call gave, in the words that all peers share.
fn outcome<T: Debug>(result: Result<T, ClientError>) -> Value {
    match result {
        Ok(v) => {
            let text = format!("{v:?}");
            if text.len() > 2000 {
                let sum = text.bytes().fold(0_u32, |a, b| a.rotate_left(5) ^ u32::from(b));
                return json!({ "ok": format!("{} characters, sum {sum:08x}", text.len()) });
            }
            json!({ "ok": text })
        }
        Err(ClientError::Application(e)) => {
            json!({ "application": [e.kind().as_i32(), e.message().to_string()] })
        }
        Err(ClientError::Biz(e)) => {
            json!({ "business": [e.status_code, e.status_message.to_string()] })
        }
        Err(other) => {
            // What follows tells of the connection, and differs from run to run.
            let text = other.to_string();
            json!({ "broken": text.split(" Message, cx").next() })
        }
    }
}

fn declared<T: Debug, E: Debug>(result: Result<MaybeException<T, E>, ClientError>) -> Value {
    match result {
        Ok(MaybeException::Exception(e)) => json!({ "declared": format!("{e:?}") }),
        Ok(MaybeException::Ok(v)) => outcome(Ok(v)),
        Err(e) => outcome::<T>(Err(e)),
    }
}

fn everything() -> Everything {
    let inner = Inner { name: Some("inner".into()), number: Some(10) };
    Everything {
        flag: Some(true),
        tiny: Some(-1),
        small: Some(2),
        medium: Some(-3),
        large: Some(1 << 40),
        real: Some(5.5),
        text: Some("six".into()),
        blob: Some(Bytes::from_static(&[7, 0, 255])),
        colour: Some(Colour::GREEN),
        inner: Some(inner.clone()),
        words: Some(vec!["x".into(), "".into()]),
        numbers: Some([12].into_iter().collect()),
        named: Some([("k".into(), inner.clone())].into_iter().collect()),
        nested: Some(vec![[(1, vec![inner])].into_iter().collect(), AHashMap::new()]),
        choice: Some(Choice::Text("chosen".into())),
        absent: None,
        flags: Some(vec![true, false]),
        reals: Some([(18, 1.25)].into_iter().collect()),
    }
}

async fn calls(c: EchoServiceClient, ghost: GhostClient) -> Value {
    let mut out = BTreeMap::new();
    let mut note = |name: String, value: Value| out.insert(name, value);

    note("bool".into(), outcome(c.echo_bool(true).await));
    note("byte".into(), outcome(c.echo_byte(-128).await));
    note("i16".into(), outcome(c.echo_i16(i16::MIN).await));
    note("i32".into(), outcome(c.echo_i32(i32::MAX).await));
    note("i64".into(), outcome(c.echo_i64(i64::MIN).await));
    for v in [1.5, f64::INFINITY, f64::NAN] {
        note(format!("double {v}"), outcome(c.echo_double(v).await));
    }
    for v in ["", "hi", "ünïcode ✓"] {
        note(format!("string {}", v.len()), outcome(c.echo_string(v.into()).await));
    }
    let blob: Vec<u8> = (0..=255).collect();
    note("binary".into(), outcome(c.echo_binary(blob.into()).await));
    note("enum".into(), outcome(c.echo_enum(Colour::BLUE).await));
    note("list".into(), outcome(c.echo_list(vec!["a".into(), "".into()]).await));
    note("set".into(), outcome(c.echo_set([7].into_iter().collect()).await));
    let one = Inner { name: Some("1".into()), number: Some(1) };
    note("map".into(), outcome(c.echo_map([("one".into(), one.clone())].into_iter().collect()).await));
    note("union".into(), outcome(c.echo_union(Choice::Number(7)).await));
    note("everything".into(), outcome(c.echo_everything(everything()).await));
    note("many".into(), outcome(c.echo_many("a".into(), 2, vec![3, 4], one).await));
    note("void".into(), outcome(c.nothing().await));
    note("void with argument".into(), outcome(c.nothing_with("v".into()).await));
    for which in [0, 1, 7] {
        note(format!("declared {which}"), declared(c.declared(which).await));
    }
    note("declared void".into(), declared(c.declared_void(1).await));
    note("handler error".into(), outcome(c.fail("boom".into(), 0).await));
    note("handler error with a code".into(), outcome(c.fail("coded".into(), 7777).await));
    note("panic".into(), outcome(c.panics("oh no".into()).await));
    let extra: AHashMap<_, _> = [("k".into(), "<v>".into())].into_iter().collect();
    note("business".into(), outcome(c.business(1001, "not found".into(), extra).await));
    note("unknown method".into(), outcome(ghost.nope("hi".into()).await));
    let pad = Bytes::from(vec![0xA5; 1 << 20]);
    note("large".into(), outcome(c.big(pad, 1 << 20).await));
    METAINFO.with(|m| {
        let mut m = m.borrow_mut();
        m.set_persistent("P1", "persistent value");
        m.set_transient("T1", "transient value");
    });
    let seen = c.metainfo(AHashMap::new()).await.map(|m| m.into_iter().collect::<BTreeMap<_, _>>());
    note("metainfo".into(), outcome(seen));
    METAINFO.with(|m| *m.borrow_mut() = MetaInfo::default());
    for i in 0..3 {
        note(format!("oneway {i}"), outcome(c.ping(format!("token {i}").into()).await));
    }
    note("after oneway".into(), declared(c.echo("after".into()).await));

    let mut many = tokio::task::JoinSet::new();
    for i in 0..32 {
        let c = c.clone();
        many.spawn(METAINFO.scope(RefCell::new(MetaInfo::default()), async move {
            let mut wrong = Vec::new();
            for j in 0..10 {
                let msg = format!("caller {i} {j}");
                let mut got = c.slow(i % 5, msg.clone().into()).await;
                // Volo's pool can lose a waiter; no byte has left the process then.
                while matches!(&got, Err(e) if e.to_string().contains("wait a idle connection")) {
                    got = c.slow(i % 5, msg.clone().into()).await;
                }
                if !matches!(&got, Ok(got) if *got == msg) {
                    wrong.push(format!("{msg}: {got:?}"));
                }
            }
            wrong
        }));
    }
    let wrong: Vec<String> = many.join_all().await.into_iter().flatten().collect();
    note("32 at once".into(), json!({ "ok": { "wrong": wrong } }));
    json!(out)
}
