use std::sync::LazyLock;

use http::request::Parts;
use thrift_codec::skip_struct;
use thrift_generic::descriptor::{Builder, Function};
use thrift_generic::http::{HttpCodec, Params, Request, Router};
use thrift_generic::idl::Idl;
use thrift_generic::value::MapCodec;
use thrift_generic::{Descriptor, Options, Outcome, Profile};

/// The HTTP mapping. A byte picks the rules and the service; a request follows: its line, its headers, an empty line, its
/// body. What becomes an argument is one that the Map mapping reads; the body is also taken for a result, of which the
/// two ways to a response make the same.
pub fn thrift_http(data: &[u8]) {
    let Some((&rules, message)) = data.split_first() else { return };
    let service = &SERVICES[usize::from(rules & 3)];
    let mut options = Options::http(if rules & 1 == 0 { Profile::Default } else { Profile::Dynamic });
    options.base64 = rules & 4 != 0;
    // Without it the dynamic profile reads members by the rules of the default one, and text by its own.
    options.raw_response_body = rules & 8 != 0 || options.profile == Profile::Dynamic;
    options.deny_unknown = rules & 16 != 0;
    let (parts, body) = request(message);
    let (function, params) = match service.router.find(parts.method.as_str(), parts.uri.path()) {
        Ok(found) => (found.function, found.params),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            (usize::from(rules >> 5) % service.descriptor.functions().len(), Params::from_iter([("p", "1")]))
        }
    };
    let f = &service.descriptor.functions()[function];
    let codec = HttpCodec::new(options);
    argument(&codec, &service.descriptor, f, &Request::new(&parts, body, params));
    result(&codec, &service.descriptor, f, body);
}

fn argument(codec: &HttpCodec, d: &Descriptor, f: &Function, request: &Request<'_>) {
    let mut out = b"before".to_vec();
    match codec.encode_request(d, f, request, None, &mut out) {
        Ok(()) => {
            let arguments = out.strip_prefix(b"before").expect("what was there is gone");
            assert_eq!(skip_struct(arguments), Ok(arguments.len()), "no struct");
            MapCodec::new(Options::map()).decode_request(d, f, arguments).expect("no argument");
        }
        Err(_) => assert_eq!(out, b"before", "something is left"),
    }
}

fn result(codec: &HttpCodec, d: &Descriptor, f: &Function, bytes: &[u8]) {
    let (whole, raw) = (codec.decode_response(d, f, bytes), codec.decode_raw_response(d, f, bytes));
    match (whole, raw) {
        (
            Ok(Outcome::Value(whole) | Outcome::Exception { value: whole, .. }),
            Ok(Outcome::Value(raw) | Outcome::Exception { value: raw, .. }),
        ) => {
            assert_eq!((whole.status(), whole.headers()), (raw.status(), raw.headers()));
            // Members may come in another order where a field came twice.
            let (whole, raw) = (whole.into_http(), raw.into_http());
            if let (Ok(whole), Ok(raw)) = (whole, raw) {
                let json = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).ok();
                assert_eq!(json(whole.body()), json(raw.body()));
                assert_eq!(whole.status(), raw.status());
            }
        }
        (Ok(Outcome::Void), Ok(Outcome::Void)) | (Ok(Outcome::Empty), Ok(Outcome::Empty)) => {}
        // JSON can't say everything that a map of values can.
        (Ok(_), Err(_)) => {}
        (whole, raw) => assert!(whole.is_err() && raw.is_err(), "{whole:?} {raw:?}"),
    }
}

/// `METHOD TARGET`, lines of `Name: value`, an empty line, the body. What is no request is left out of it.
fn request(message: &[u8]) -> (Parts, &[u8]) {
    let end = message.windows(2).position(|pair| pair == b"\n\n").unwrap_or(message.len());
    let (head, body) = message.split_at(end);
    let mut lines = head.split(|&byte| byte == b'\n');
    let line = lines.next().unwrap_or_default();
    let (method, target) = line.split_at(line.iter().position(|&byte| byte == b' ').unwrap_or(line.len()));
    let mut parts = http::Request::new(()).into_parts().0;
    if let Ok(method) = method.try_into() {
        parts.method = method;
    }
    if let Ok(uri) = target.strip_prefix(b" ").unwrap_or_default().try_into() {
        parts.uri = uri;
    }
    for line in lines {
        let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':').unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(name), http::HeaderValue::from_bytes(value)) {
            parts.headers.append(name, value);
        }
    }
    (parts, body.get(2..).unwrap_or_default())
}

struct Service {
    descriptor: Descriptor,
    router: Router,
}

/// Each fixture in both profiles, the dynamic one at odd numbers.
static SERVICES: LazyLock<[Service; 4]> = LazyLock::new(|| {
    let base = include_str!("../../thrift-generic/tests/fixtures/base.thrift");
    let includes = [("base.thrift".to_owned(), base.to_owned())].into();
    let [biz, fields] = [
        include_str!("../../thrift-generic/tests/fixtures/biz.thrift"),
        include_str!("../../thrift-generic/tests/fixtures/http_fields.thrift"),
    ]
    .map(|main| Idl::from_content(main, &includes).expect("a fixture"));
    let service = |idl: &Idl, profile| {
        let descriptor = Builder::new().profile(profile).build(idl).expect("a fixture");
        let mut router = Router::builder();
        router.add(&descriptor).expect("a fixture");
        Service { descriptor, router: router.build() }
    };
    [
        service(&biz, Profile::Default),
        service(&biz, Profile::Dynamic),
        service(&fields, Profile::Default),
        service(&fields, Profile::Dynamic),
    ]
});
