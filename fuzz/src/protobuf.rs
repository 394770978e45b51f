use std::collections::HashMap;
use std::sync::LazyLock;

use thrift_generic::protobuf::prost_reflect::DynamicMessage;
use thrift_generic::protobuf::prost_reflect::prost::Message as _;
use thrift_generic::protobuf::{PbDescriptor, PbIdl, PbJsonCodec, PbMessage, PbOptions, PbServices};

/// [`PbJsonCodec`]: what a message says in JSON stays the same by way of JSON, and by way of prost-reflect where that
/// reads it; JSON that is taken becomes a message that can be read.
pub fn protobuf_json(data: &[u8]) {
    let mut options = PbOptions::default();
    options.nan_as_text = true;
    let codec = PbJsonCodec::new(options);
    for (d, message) in FILES.iter() {
        let decode = |bytes: &[u8]| {
            let mut json = Vec::new();
            codec.decode(d, *message, bytes, &mut json).map(|()| json)
        };
        let encode = |json: &[u8]| {
            let mut bytes = Vec::new();
            codec.encode(d, *message, json, &mut bytes).map(|()| bytes)
        };
        if let Ok(json) = decode(data) {
            let bytes = encode(&json).expect("JSON that was written can be read");
            let again = decode(&bytes).expect("a message that was written can be read");
            assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&json));
            // prost-reflect drops scalars that are there and are zero, and no more. (What it makes of `data` itself is no
            // judge: it takes entries of maps in any wire type.)
            let judge = |bytes: &[u8]| {
                let judged = DynamicMessage::decode(d.reflect(*message), bytes).expect("prost-reflect reads it, too");
                let json = decode(&judged.encode_to_vec()).expect("a message of prost-reflect's can be read");
                (encode(&json).expect("JSON that was written can be read"), json)
            };
            let (bytes, said) = judge(&bytes);
            assert_eq!(String::from_utf8_lossy(&judge(&bytes).1), String::from_utf8_lossy(&said));
        }
        if let Ok(bytes) = encode(data) {
            decode(&bytes).expect("a message that was written can be read");
        }
    }
}

static FILES: LazyLock<[(PbDescriptor, PbMessage); 2]> = LazyLock::new(|| {
    let kinds = include_str!("../../thrift-generic/tests/fixtures/pb_kinds.proto");
    let shared = include_str!("../../thrift-generic/tests/fixtures/pb_shared.proto");
    let old = include_str!("../../thrift-generic/tests/fixtures/pb_old.proto");
    let service = "service S { rpc Echo(Old) returns (Old); }";
    let imports = HashMap::from([("pb_shared.proto".to_owned(), shared.to_owned())]);
    [(kinds.to_owned(), "kinds.All"), (format!("{old}{service}"), "old.Old")].map(|(text, name)| {
        let idl = PbIdl::from_content("main.proto", &text, &imports).expect("the file is fine");
        let d = PbDescriptor::new(&idl, &PbServices::Last).expect("it has a service");
        let message = d.message(name).expect("it has the message");
        (d, message)
    })
});
