//! Checks and changes a field of a gRPC message on its way, by a .proto that is read at run time.

use std::error::Error;

use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use proxy::Proxy;
use proxy::client::{Client, Invocation};
use proxy::hook::{Direction, Hook, Seen, Verdict};
use proxy::rpc::stream::Codec;
use proxy::rpc::{Fault, FaultKind, Head, Transport};
use thrift_generic::protobuf::PbIdl;

mod support;

const PROTO: &str = r#"syntax = "proto3"; message Order { string item = 1; int64 price = 2; }"#;

struct CheckOrder(MessageDescriptor);

impl CheckOrder {
    fn check(&self, bytes: &[u8]) -> Result<Verdict, Box<dyn Error>> {
        let mut order = DynamicMessage::decode(self.0.clone(), bytes)?;
        let price = order.get_field_by_name("price").and_then(|price| price.as_i64()).ok_or("no price")?;
        if price < 0 {
            return Err(format!("price: expected at least 0, got {price}").into());
        }
        let item = order.get_field_by_name("item").and_then(|item| item.as_str().map(str::to_uppercase));
        order.set_field_by_name("item", Value::String(item.ok_or("no item")?));
        Ok(Verdict::Replace(order.encode_to_vec().into()))
    }
}

impl Hook for CheckOrder {
    fn message(&self, _: &dyn Head, message: Seen<'_>) -> Verdict {
        if message.direction == Direction::Response {
            return Verdict::Forward;
        }
        let fault = |error: Box<dyn Error>| Fault::unsent(FaultKind::BadArguments, error.to_string());
        self.check(message.bytes).unwrap_or_else(|error| Verdict::Reject(fault(error)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let idl = PbIdl::from_text(PROTO)?;
    let descriptor = idl.pool().get_message_by_name("Order").ok_or("no such message")?;
    let hook = CheckOrder(descriptor.clone());
    let proxy = support::proxy(support::backend(support::echo())?, Proxy::builder().hook(hook))?;
    let client = Client::builder(proxy.to_string()).calls_over(Transport::Grpc).build();
    let mut place_order = Invocation::new("Example", "PlaceOrder");
    place_order.codec = Codec::Protobuf;
    support::run(async {
        for price in [5, -5] {
            let mut order = DynamicMessage::new(descriptor.clone());
            order.set_field_by_name("item", Value::String("tea".into()));
            order.set_field_by_name("price", Value::I64(price));
            let reply = client.call(&place_order, &order.encode_to_vec()).await?.ok_or("no reply")?;
            println!("{price}: {:?}, {}", reply.outcome, DynamicMessage::decode(descriptor.clone(), reply.body)?);
        }
        Ok(())
    })?
}
