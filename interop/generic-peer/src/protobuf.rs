//! The Protobuf service, in JSON as well.

use std::error::Error;
use std::path::Path;

use proxy::handler::{Answering, Failure, Handler, Request, Response, Service, Stream};
use serde_json::json;
use thrift_generic::protobuf::{PbDescriptor, PbFunction, PbIdl, PbJsonCodec, PbOptions, PbServices};

use crate::services::{late, ordered, parsed, text};

pub(crate) fn service(idl: &Path) -> Result<Service, Box<dyn Error>> {
    let idl = PbIdl::from_file(idl.join("live.proto"), &[])?;
    let descriptor = PbDescriptor::new(&idl, &PbServices::Last)?;
    let methods: Vec<_> = descriptor.functions().iter().map(|function| function.name.to_string()).collect();
    let codec = PbJsonCodec::new(PbOptions::default());
    Ok(Service::new("LiveP", Live { descriptor, codec }).methods(methods))
}

struct Live {
    descriptor: PbDescriptor,
    codec: PbJsonCodec,
}

impl Live {
    fn function(&self, request: &Request) -> Result<&PbFunction, Failure> {
        let method = String::from_utf8_lossy(request.head.method());
        self.descriptor.function(&method).ok_or_else(|| Failure::internal(format!("no method {method}")))
    }

    fn decode(&self, function: &PbFunction, message: &[u8]) -> Result<String, Failure> {
        let mut json = Vec::new();
        self.codec
            .decode(&self.descriptor, function.input, message, &mut json)
            .map_err(|error| Failure::internal(error.to_string()))?;
        String::from_utf8(json).map_err(|error| Failure::internal(error.to_string()))
    }

    fn encode(&self, function: &PbFunction, json: &str) -> Result<Vec<u8>, Failure> {
        let mut message = Vec::new();
        self.codec
            .encode(&self.descriptor, function.output, json.as_bytes(), &mut message)
            .map_err(|error| Failure::internal(error.to_string()))?;
        Ok(message)
    }
}

impl Handler for Live {
    fn call(&self, request: Request) -> Answering<'_, Response> {
        Box::pin(async move {
            let function = self.function(&request)?;
            let json = self.decode(function, &request.body)?;
            ordered(text(&parsed(&json)?))?;
            Ok(Response::new(self.encode(function, &json)?))
        })
    }

    fn stream(&self, request: Request, stream: Stream) -> Answering<'_, ()> {
        Box::pin(async move {
            let function = self.function(&request)?;
            let method = String::from_utf8_lossy(request.head.method()).into_owned();
            let (mut texts, mut n) = (Vec::new(), 0);
            while let Some(message) = stream.recv().await? {
                let json = self.decode(function, &message)?;
                let message = parsed(&json)?;
                match &*method {
                    "Upload" => {
                        texts.push(text(&message).to_owned());
                        n += message["n"].as_i64().unwrap_or_default();
                    }
                    "Download" => {
                        for number in 0..message["n"].as_i64().unwrap_or_default() {
                            // A number that is there is written, zero or not; generated code leaves zeros out.
                            let text = format!("{} {number}", text(&message));
                            let answer =
                                if number == 0 { json!({"text": text}) } else { json!({"text": text, "n": number}) };
                            stream.send(self.encode(function, &answer.to_string())?).await;
                        }
                        return late(text(&message)).await;
                    }
                    _ => {
                        late(text(&message)).await?;
                        stream.send(self.encode(function, &json)?).await;
                    }
                }
            }
            if method == "Upload" {
                texts.first().map_or(Ok(()), |first| ordered(first))?;
                let answer = json!({"text": texts.join(","), "n": n});
                stream.send(self.encode(function, &answer.to_string())?).await;
            }
            Ok(())
        })
    }

    fn streams(&self, method: &[u8]) -> bool {
        method != b"Ask"
    }
}
