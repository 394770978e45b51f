//! How does an HTTP request become a Thrift call, and its result an HTTP response?

use std::error::Error;

use thrift_generic::http::{HttpCodec, Request, Router};
use thrift_generic::{Descriptor, Options, Outcome, Profile};

const IDL: &str = "
    struct Item {
        1: string name,
        2: i32 count,
    }
    struct Order {
        1: i64 id (api.path = 'id'),
        2: string user (api.header = 'X-User'),
        3: list<string> tags (api.query = 'tags'),
        4: list<Item> items,
    }
    struct Receipt {
        1: i32 status (api.http_code = ''),
        2: string number (api.header = 'X-Receipt'),
        3: i64 total (api.js_conv = ''),
    }
    service Shop {
        Receipt Buy(1: Order order) (api.post = '/orders/:id'),
    }";

fn main() -> Result<(), Box<dyn Error>> {
    let descriptor = Descriptor::from_text(IDL)?;
    let mut router = Router::builder();
    router.add(&descriptor)?;
    let router = router.build();

    // What a server received.
    let (parts, body) = http::Request::post("/orders/7?tags=new,paid")
        .header("X-User", "ann")
        .body(r#"{"items": [{"name": "tea", "count": 2}]}"#)?
        .into_parts();

    let found = router.find(parts.method.as_str(), parts.uri.path())?;
    let function = descriptor.functions().get(found.function).ok_or("no such function")?;
    let codec = HttpCodec::new(Options::http(Profile::Default));
    let mut arguments = Vec::new();
    let request = Request::new(&parts, body.as_bytes(), found.params);
    codec.encode_request(&descriptor, function, &request, None, &mut arguments)?;
    println!("{} is called with {} bytes: {}", function.name, arguments.len(), arguments.escape_ascii());

    // What came back: { 0: { 1: i32(201), 2: "r-1", 3: i64(9007199254740993) } }.
    let result = b"\x0c\0\0\x08\0\x01\0\0\0\xc9\x0b\0\x02\0\0\0\x03r-1\x0a\0\x03\0\x20\0\0\0\0\0\x01\0\0";
    match codec.decode_raw_response(&descriptor, function, result)? {
        Outcome::Value(response) | Outcome::Exception { value: response, .. } => {
            let response = response.into_http()?;
            println!("{} {:?}", response.status(), response.headers());
            println!("{}", String::from_utf8_lossy(response.body()));
        }
        Outcome::Void | Outcome::Empty => println!("204 No Content"),
        _ => {}
    }
    Ok(())
}
