//! The conversions of the specification's vectors, each through the proxy. The bare structs in them are those of
//! streams, which no call crosses to.

use testkit::peer::http2::{RawH2, grpc_message, grpc_response, grpc_trailers};
use testkit::peer::{RawClient, RawServer};
use testkit::{from_hex, streaming_vectors};

use crate::support::Setup;
use crate::thrift;

/// The bytes of a member of a conversion.
fn bytes(id: &str, member: &str) -> Vec<u8> {
    let all = streaming_vectors()["conversions"].as_array().unwrap();
    let vector = all.iter().find(|vector| vector["id"] == id).unwrap();
    from_hex(vector[member].as_str().unwrap())
}

/// As it is framed on the wire.
fn framed(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_be_bytes()[..], payload].concat()
}

/// A Framed message with its sequence id apart, behind a name of `name_len` bytes.
fn apart(mut message: Vec<u8>, name_len: usize) -> (Vec<u8>, i32) {
    let at = 4 + 8 + name_len;
    let seqid = i32::from_be_bytes(message[at..at + 4].try_into().unwrap());
    message[at..at + 4].fill(0);
    (message, seqid)
}

/// What a Framed backend gets for the gRPC message, and what the gRPC caller gets for the Framed reply.
fn grpc_caller(
    path: &'static str,
    codec: &'static str,
    asked: &[u8],
    reply: Vec<u8>,
) -> (Vec<u8>, crate::from_grpc::Told) {
    let name_len = path.rsplit('/').next().unwrap().len();
    let backend = RawServer::start(move |mut conn| {
        while let Some(call) = conn.next_message() {
            let mut reply = reply.clone();
            let at = 4 + 8 + name_len;
            reply[at..at + 4].copy_from_slice(&call[at..at + 4]);
            conn.send(reply);
        }
    });
    let method = path.rsplit('/').next().unwrap();
    let proxy = Setup::to(&backend).route(&format!("unary = [\"{method}\"]")).cluster("pingpong = \"framed\"").start();
    let answer = RawH2::client(proxy.addr()).call(path, [("content-type", codec)], asked);
    let came = backend.wait_until("the call", |received| received.iter().any(|conn| !conn.messages.is_empty()));
    (came[0].messages[0].clone(), answer.into())
}

/// What a gRPC backend gets for the Framed call, and what the Framed caller gets for the answer.
fn framed_caller(
    service: &str,
    asked: &[u8],
    message: Option<Vec<u8>>,
    status: (u32, &'static str),
) -> (Vec<u8>, Vec<u8>) {
    let (told, came) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let backend = RawServer::start(move |conn| {
        let mut conn = RawH2::server(conn);
        while let Some(request) = conn.next_request() {
            let got = conn.next_grpc_message(request.stream).unwrap();
            told.lock().unwrap().send(got).unwrap();
            match &message {
                Some(message) => {
                    conn.send_headers(request.stream, grpc_response(thrift([])), false);
                    conn.send_data(request.stream, grpc_message(message), false);
                    conn.trailers(request.stream, status.0, status.1);
                }
                None => conn.send_headers(
                    request.stream,
                    grpc_response(grpc_trailers(status.0, status.1, thrift([]))),
                    true,
                ),
            }
        }
    });
    let proxy =
        Setup::to(&backend).listener(&format!("service = \"{service}\"")).cluster("pingpong = \"grpc\"").start();
    let mut client = RawClient::connect(proxy.addr());
    client.send(asked);
    let reply = client.read_message();
    (came.recv().unwrap(), reply)
}

#[test]
fn a_thrift_call_crosses_as_x01_and_x02_show() {
    let (call, asked) = (framed(&bytes("X01", "pingpong_payload_hex")), bytes("X01", "grpc_unary_message_hex"));
    let (reply, answer) = (framed(&bytes("X02", "pingpong_payload_hex")), bytes("X02", "grpc_unary_message_hex"));
    let (got, told) = grpc_caller("/livet.Live/Echo", "application/grpc+thrift", &asked, reply.clone());
    assert_eq!(apart(got, 4).0, apart(call.clone(), 4).0, "but for the sequence id");
    assert_eq!((told.status, told.messages), (Some(0), vec![answer.clone()]));

    let (got, back) = framed_caller("Live", &call, Some(answer), (0, ""));
    assert_eq!((got, back), (asked, reply), "sequence id and all");
}

#[test]
fn an_exception_crosses_as_x03_shows() {
    let asked = bytes("X01", "grpc_unary_message_hex");
    let (call, reply) = (framed(&bytes("X01", "pingpong_payload_hex")), framed(&bytes("X03", "pingpong_payload_hex")));
    let (_, told) = grpc_caller("/livet.Live/Echo", "application/grpc+thrift", &asked, reply.clone());
    // Kitex casts the type to a status, which makes it CANCELLED; ours is the recommended one (D3).
    assert_eq!((told.status, told.message.as_deref()), (Some(12), Some("unknown method Echo")));
    assert!(told.messages.is_empty() && told.trailers_only);

    let (_, back) = framed_caller("Live", &call, None, (1, "unknown method Echo"));
    assert_eq!(back, reply);
}

#[test]
fn a_void_result_crosses_as_x04_shows() {
    let (asked, call) = (bytes("X01", "grpc_unary_message_hex"), framed(&bytes("X01", "pingpong_payload_hex")));
    let (reply, answer) = (framed(&bytes("X04", "pingpong_payload_hex")), bytes("X04", "grpc_unary_message_hex"));
    let (_, told) = grpc_caller("/livet.Live/Echo", "application/grpc+thrift", &asked, reply.clone());
    assert_eq!((told.status, told.messages), (Some(0), vec![answer.clone()]));

    let (_, back) = framed_caller("Live", &call, Some(answer), (0, ""));
    assert_eq!(back, reply);
}

#[test]
fn kitex_protobuf_crosses_as_x05_and_x06_show() {
    let (call, asked) = (bytes("X05", "pingpong_payload_framed_hex"), bytes("X05", "grpc_unary_message_hex"));
    let failed = bytes("X06", "pingpong_payload_framed_hex");
    let (got, told) = grpc_caller("/p.S/UnaryTest", "application/grpc", &asked, failed.clone());
    assert_eq!(apart(got, 9).0, apart(call.clone(), 9).0, "but for the sequence id");
    assert_eq!((told.status, told.message.as_deref()), (Some(13), Some("boom")));

    let (got, back) = framed_caller("S", &call, Some(asked.clone()), (0, ""));
    assert_eq!(got, asked);
    let mut reply = call;
    reply[7] = 2;
    assert_eq!(back, reply, "the four parts are put in front again");
}

#[test]
fn no_conversion_is_left_out() {
    let all = streaming_vectors()["conversions"].as_array().unwrap();
    let ids: Vec<_> = all.iter().map(|vector| vector["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["X01", "X02", "X03", "X04", "X05", "X06"]);
}
