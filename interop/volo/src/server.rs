//! EchoService as a Volo server.

use std::time::Duration;

use metainfo::{Backward, Forward};
use pilota::{AHashMap, AHashSet, Bytes, FastStr};
use volo::net::incoming::DefaultIncoming;
use volo_thrift::{
    ApplicationException, ApplicationExceptionKind, BizError, MaybeException, ServerError,
    codec::default::DefaultMakeCodec,
};

use crate::echo::{
    Choice, Colour, EchoError, EchoService, EchoServiceDeclaredException, EchoServiceDeclaredVoidException,
    EchoServiceEchoException, EchoServiceServer, Everything, Inner, OtherError,
};

pub async fn serve(transport: &str) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("cannot bind");
    println!("LISTEN {}", listener.local_addr().expect("bound"));
    let incoming = DefaultIncoming::from(listener);
    let server = EchoServiceServer::new(Handler);
    let done = match transport {
        "ttheader-framed" => server.run(incoming).await,
        "framed" => server.make_codec(DefaultMakeCodec::framed()).run(incoming).await,
        "buffered" => server.make_codec(DefaultMakeCodec::buffered()).run(incoming).await,
        other => panic!("no transport {other}"),
    };
    done.expect("the server failed");
}

struct Handler;

type Answer<T> = Result<T, ServerError>;

fn seen(method: &str) {
    println!("SEEN {method}");
}

fn failure(code: i32, text: impl Into<FastStr>) -> ServerError {
    ApplicationException::new(ApplicationExceptionKind::from(code), text.into()).into()
}

impl EchoService for Handler {
    async fn echo(&self, msg: FastStr) -> Answer<MaybeException<FastStr, EchoServiceEchoException>> {
        seen("echo");
        if msg == "throw" {
            let err = EchoError { message: Some("mock exception".into()) };
            return Ok(MaybeException::Exception(EchoServiceEchoException::Err(err)));
        }
        Ok(MaybeException::Ok(msg))
    }
    async fn ping(&self, _: FastStr) -> Answer<()> {
        seen("ping");
        Ok(())
    }
    async fn echo_bool(&self, v: bool) -> Answer<bool> {
        seen("echoBool");
        Ok(v)
    }
    async fn echo_byte(&self, v: i8) -> Answer<i8> {
        seen("echoByte");
        Ok(v)
    }
    async fn echo_i16(&self, v: i16) -> Answer<i16> {
        seen("echoI16");
        Ok(v)
    }
    async fn echo_i32(&self, v: i32) -> Answer<i32> {
        seen("echoI32");
        Ok(v)
    }
    async fn echo_i64(&self, v: i64) -> Answer<i64> {
        seen("echoI64");
        Ok(v)
    }
    async fn echo_double(&self, v: f64) -> Answer<f64> {
        seen("echoDouble");
        Ok(v)
    }
    async fn echo_string(&self, v: FastStr) -> Answer<FastStr> {
        seen("echoString");
        Ok(v)
    }
    async fn echo_binary(&self, v: Bytes) -> Answer<Bytes> {
        seen("echoBinary");
        Ok(v)
    }
    async fn echo_enum(&self, v: Colour) -> Answer<Colour> {
        seen("echoEnum");
        Ok(v)
    }
    async fn echo_list(&self, v: Vec<FastStr>) -> Answer<Vec<FastStr>> {
        seen("echoList");
        Ok(v)
    }
    async fn echo_set(&self, v: AHashSet<i64>) -> Answer<AHashSet<i64>> {
        seen("echoSet");
        Ok(v)
    }
    async fn echo_map(&self, v: AHashMap<FastStr, Inner>) -> Answer<AHashMap<FastStr, Inner>> {
        seen("echoMap");
        Ok(v)
    }
    async fn echo_union(&self, v: Choice) -> Answer<Choice> {
        seen("echoUnion");
        Ok(v)
    }
    async fn echo_everything(&self, v: Everything) -> Answer<Everything> {
        seen("echoEverything");
        Ok(v)
    }
    async fn echo_many(&self, a: FastStr, b: i32, c: Vec<i64>, d: Inner) -> Answer<FastStr> {
        seen("echoMany");
        Ok(format!("{a} {b} {c:?} {:?}/{:?}", d.name, d.number).into())
    }
    async fn nothing(&self) -> Answer<()> {
        seen("nothing");
        Ok(())
    }
    async fn nothing_with(&self, _: FastStr) -> Answer<()> {
        seen("nothingWith");
        Ok(())
    }
    async fn slow(&self, millis: i32, msg: FastStr) -> Answer<FastStr> {
        seen("slow");
        tokio::time::sleep(Duration::from_millis(millis.unsigned_abs().into())).await;
        Ok(msg)
    }
    async fn big(&self, pad: Bytes, size: i32) -> Answer<Bytes> {
        seen("big");
        let size = usize::try_from(size).unwrap_or(0);
        Ok(pad.iter().copied().cycle().take(size).collect::<Vec<u8>>().into())
    }
    async fn declared(&self, which: i32) -> Answer<MaybeException<FastStr, EchoServiceDeclaredException>> {
        seen("declared");
        Ok(match which {
            0 => MaybeException::Ok("nothing thrown".into()),
            1 => MaybeException::Exception(EchoServiceDeclaredException::Err(EchoError {
                message: Some("declared at id 1".into()),
            })),
            _ => MaybeException::Exception(EchoServiceDeclaredException::Other(OtherError {
                code: Some(which),
                detail: Some(Inner { name: Some("declared at id 5".into()), number: Some(5) }),
            })),
        })
    }
    async fn declared_void(&self, which: i32) -> Answer<MaybeException<(), EchoServiceDeclaredVoidException>> {
        seen("declaredVoid");
        if which == 0 {
            return Ok(MaybeException::Ok(()));
        }
        let err = EchoError { message: Some("declared by a void method".into()) };
        Ok(MaybeException::Exception(EchoServiceDeclaredVoidException::Err(err)))
    }
    async fn business(&self, code: i32, text: FastStr, extra: AHashMap<FastStr, FastStr>) -> Answer<FastStr> {
        seen("business");
        Err(BizError { status_code: code, status_message: text, extra: Some(extra) }.into())
    }
    async fn fail(&self, text: FastStr, code: i32) -> Answer<FastStr> {
        seen("fail");
        Err(failure(if code == 0 { 6 } else { code }, text))
    }
    async fn panics(&self, text: FastStr) -> Answer<FastStr> {
        seen("panics");
        panic!("{text}")
    }
    async fn metainfo(&self, backward: AHashMap<FastStr, FastStr>) -> Answer<AHashMap<FastStr, FastStr>> {
        seen("metainfo");
        let mut out = AHashMap::new();
        metainfo::METAINFO.with(|m| {
            let mut m = m.borrow_mut();
            for (k, v) in m.get_all_persistents().into_iter().flatten() {
                out.insert(format!("persistent/{k}").into(), v.clone());
            }
            for (k, v) in m.get_all_transients().into_iter().flatten() {
                out.insert(format!("transient/{k}").into(), v.clone());
            }
            for (k, v) in backward {
                m.set_backward_downstream(k, v);
            }
        });
        Ok(out)
    }
    async fn whoami(&self) -> Answer<FastStr> {
        seen("whoami");
        Ok("EchoService".into())
    }
}
