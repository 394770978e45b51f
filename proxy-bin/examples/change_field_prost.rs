//! Checks and changes a field of a gRPC message on its way, with generated types.

use std::error::Error;

use prost::Message;
use proxy::Proxy;
use proxy::client::{Client, Invocation};
use proxy::hook::{Direction, Hook, Seen, Verdict};
use proxy::rpc::stream::Codec;
use proxy::rpc::{Fault, FaultKind, Head, Transport};

mod support;

/// As `prost-build` writes it: `message Order { string item = 1; int64 price = 2; }`
#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(string, tag = "1")]
    item: String,
    #[prost(int64, tag = "2")]
    price: i64,
}

struct CheckOrder;

impl Hook for CheckOrder {
    fn watches(&self, head: &dyn Head) -> bool {
        head.method() == b"PlaceOrder"
    }

    fn message(&self, _: &dyn Head, message: Seen<'_>) -> Verdict {
        if message.direction == Direction::Response {
            return Verdict::Forward;
        }
        match Order::decode(message.bytes.clone()) {
            Ok(order) if order.price >= 0 => {
                let item = order.item.to_uppercase();
                Verdict::Replace(Order { item, ..order }.encode_to_vec().into())
            }
            Ok(order) => {
                let text = format!("price: expected at least 0, got {}", order.price);
                Verdict::Reject(Fault::unsent(FaultKind::BadArguments, text))
            }
            Err(error) => Verdict::Reject(Fault::unsent(FaultKind::BadArguments, error.to_string())),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let backend = support::backend(support::echo())?;
    let proxy = support::proxy(backend, Proxy::builder().hook(CheckOrder))?;
    let client = Client::builder(proxy.to_string()).calls_over(Transport::Grpc).build();
    let mut place_order = Invocation::new("Example", "PlaceOrder");
    place_order.codec = Codec::Protobuf;
    support::run(async {
        for price in [5, -5] {
            let order = Order { item: "tea".into(), price };
            let reply = client.call(&place_order, &order.encode_to_vec()).await?.ok_or("no reply")?;
            println!("{price}: {:?}, {:?}", reply.outcome, Order::decode(reply.body)?);
        }
        Ok(())
    })?
}
