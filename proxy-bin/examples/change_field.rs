//! Checks and changes a field of a Thrift message on its way, by its IDL and without decoding the rest.

use std::error::Error;

use proxy::Proxy;
use proxy::client::{Client, Invocation};
use proxy::hook::{Direction, Hook, Seen, Verdict};
use proxy::rpc::{Fault, FaultKind, Head};
use thrift_generic::access::{Change, Path};
use thrift_generic::descriptor::Type;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Profile};

mod support;

const IDL: &str = "struct Order { 1: string item, 2: i64 price } service Example { Order PlaceOrder(1: Order order) }";

/// Paths into the struct of the arguments, which stands around a call's request.
struct CheckOrder {
    item: Path,
    price: Path,
}

impl CheckOrder {
    fn check(&self, bytes: &[u8]) -> Result<Verdict, thrift_generic::Error> {
        if self.price.get(bytes)?.and_then(|price| price.as_i64()).is_some_and(|price| price < 0) {
            let fault = Fault::unsent(FaultKind::BadArguments, "order.price: expected at least 0");
            return Ok(Verdict::Reject(fault));
        }
        let Some(item) = self.item.get(bytes)?.and_then(|item| item.as_str()) else { return Ok(Verdict::Forward) };
        let changed = self.item.set(bytes, &Change::from(&*item.to_uppercase()))?;
        Ok(Verdict::Replace(changed.into()))
    }
}

impl Hook for CheckOrder {
    fn message(&self, _: &dyn Head, message: Seen<'_>) -> Verdict {
        if message.direction == Direction::Response {
            return Verdict::Forward;
        }
        let unreadable = |error: thrift_generic::Error| Fault::unsent(FaultKind::BadArguments, error.to_string());
        self.check(message.bytes).unwrap_or_else(|error| Verdict::Reject(unreadable(error)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let idl = Descriptor::from_text(IDL)?;
    let place_order = idl.function("PlaceOrder").ok_or("no such method")?;
    let path = |text| Path::parse(&idl, Type::Struct(place_order.arguments), text);
    let hook = CheckOrder { item: path("order.item")?, price: path("order.price")? };
    let proxy = support::proxy(support::backend(support::echo())?, Proxy::builder().hook(hook))?;

    let (client, json) = (Client::builder(proxy.to_string()).build(), JsonCodec::new(Options::json(Profile::Default)));
    support::run(async {
        for order in [r#"{"item":"tea","price":5}"#, r#"{"item":"tea","price":-5}"#] {
            let mut arguments = Vec::new();
            json.encode_request(&idl, place_order, Some(order.as_bytes()), None, &mut arguments)?;
            let reply = client.call(&Invocation::new("Example", "PlaceOrder"), &arguments).await?.ok_or("no reply")?;
            let mut echoed = Vec::new();
            // The backend sends back what it got: the struct of the arguments.
            json.decode_request(
                &idl,
                place_order,
                if reply.body.is_empty() { b"\0" } else { &reply.body },
                &mut echoed,
            )?;
            println!("{order}: {:?}, {}", reply.outcome, String::from_utf8(echoed)?);
        }
        Ok(())
    })?
}
