//! Everything that one state of an IDL says, immutable: which method a request calls, and both ways between HTTP and
//! Thrift.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use grpc_frame::status::{self, Code};
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use thrift_codec::{ApplicationException, ErrorProto, Version};
use thrift_generic::descriptor::{Function, Source, Streaming, Type};
use thrift_generic::http::{HttpCodec, Params, Request, Router};
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Options, Outcome};
use ttheader::keys;

use crate::config;
use crate::gateway::error::JSON;
use crate::gateway::load::{LoadError, load};
use crate::gateway::page::Page;
use crate::gateway::protobuf::Protobuf;
use crate::gateway::{Error, openapi};
use crate::rpc::{self, Message};

/// One state of an IDL.
#[derive(Debug)]
pub(crate) struct Model {
    services: Vec<Service>,
    by_name: HashMap<Box<str>, usize>,
    router: Router,
    json: JsonCodec,
    http: HttpCodec,
    options: Options,
    files: Vec<PathBuf>,
    fingerprint: u64,
    page: Page,
    openapi: Bytes,
    /// Instead of all that is Thrift's, where the IDL is Protobuf's.
    protobuf: Option<Protobuf>,
}

/// A service, and where it stands.
#[derive(Debug)]
pub(crate) struct Service {
    pub(super) descriptor: Descriptor,
    pub(super) file: PathBuf,
}

impl Service {
    pub(crate) fn name(&self) -> &str {
        self.descriptor.name()
    }
}

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Found {
    /// The list of what there is.
    Page,
    /// The same for machines.
    OpenApi,
    /// A method.
    Call(Target),
}

/// A method of a model, and how it is asked.
#[derive(Debug)]
pub(crate) struct Target {
    pub(super) service: usize,
    pub(super) function: usize,
    /// What its route took out of the path; none of a call by name.
    pub(super) params: Option<Params>,
}

/// What a call says of its method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) oneway: bool,
    /// Thrift or Kitex-Protobuf.
    pub(crate) version: Version,
    /// What stands in front of the service's name on gRPC, where that is known.
    pub(crate) package: Option<&'a str>,
}

impl Model {
    /// Reads an IDL.
    ///
    /// # Errors
    ///
    /// It can't be read, says something wrong, or has nothing to serve.
    pub(crate) fn load(config: &config::Gateway) -> Result<Self, LoadError> {
        let protobuf = Protobuf::load(config)?;
        let loaded = match &protobuf {
            Some(protobuf) => protobuf.loaded(),
            None => load(config)?,
        };
        let mut router = Router::builder();
        for service in &loaded.services {
            let added = router.add(&service.descriptor);
            added.map_err(|source| LoadError::Route {
                path: service.file.clone(),
                service: service.name().to_owned(),
                source,
            })?;
        }
        let mut options = Options::json(config.profile);
        let mut by_http = Options::http(config.profile);
        for options in [&mut options, &mut by_http] {
            options.base64 = config.base64;
            options.i64_as_string = config.i64_as_string;
        }
        let mut model = Self {
            by_name: loaded.services.iter().zip(0..).map(|(service, at)| (service.name().into(), at)).collect(),
            services: loaded.services,
            router: router.build(),
            json: JsonCodec::new(options.clone()),
            http: HttpCodec::new(by_http),
            options,
            fingerprint: fingerprint(&loaded.files),
            files: loaded.files,
            page: Page::default(),
            openapi: Bytes::new(),
            protobuf: None,
        };
        if let Some(protobuf) = protobuf {
            (model.page, model.openapi) = (protobuf.page(), protobuf.openapi().to_string().into());
            model.protobuf = Some(protobuf);
            return Ok(model);
        }
        // Made where the IDL is read, not where requests wait.
        model.page = Page::new(&model);
        model.openapi = openapi::document(&model).to_string().into();
        Ok(model)
    }

    /// The services, in the order of their files.
    pub(crate) fn services(&self) -> &[Service] {
        &self.services
    }

    /// How many services there are.
    pub(crate) fn service_count(&self) -> usize {
        self.protobuf.as_ref().map_or(self.services.len(), Protobuf::services)
    }

    /// How many methods there are.
    pub(crate) fn methods(&self) -> usize {
        if let Some(protobuf) = &self.protobuf {
            return protobuf.methods();
        }
        self.services.iter().map(|service| service.descriptor.functions().len()).sum()
    }

    /// Every method in words, one a line: its name, and how it is asked.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let functions = self
            .services
            .iter()
            .flat_map(|service| service.descriptor.functions().iter().map(move |function| (service.name(), function)));
        let lines = functions.map(|(service, function)| {
            if function.streaming != Streaming::None {
                return format!("{service}.{}: streams, not over HTTP", function.name);
            }
            let by_route = function.routes.iter().map(|route| format!("{} {}", route.method, route.path));
            let ways: Vec<_> = by_route.chain([format!("POST /{service}/{}", function.name)]).collect();
            format!("{service}.{}: {}", function.name, ways.join(", "))
        });
        lines.chain(self.protobuf.iter().flat_map(Protobuf::lines))
    }

    /// How many routes there are, those by name apart.
    pub(crate) fn routes(&self) -> usize {
        self.router.routes().len()
    }

    /// Every file that took part.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// What the files had in them, in a few bytes.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What they have in them now.
    pub(super) fn fingerprint_now(&self) -> u64 {
        fingerprint(&self.files)
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// What a request with this HTTP method and path asks for: a route; a method by its name; what the gateway says of
    /// itself.
    ///
    /// # Errors
    ///
    /// There is no such thing, or not under this HTTP method.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<Found, Error> {
        if let Some(target) = self.by_route(method.as_str(), path) {
            return Ok(Found::Call(target));
        }
        // What HEAD gets is what GET would get; hyper leaves the body out.
        let reads = method == Method::GET || method == Method::HEAD;
        if let Some(target) = (method == Method::HEAD).then(|| self.by_route("GET", path)).flatten() {
            return Ok(Found::Call(target));
        }
        let mut allowed: Vec<&str> = self.router.routes().map(|route| &*route.method).collect();
        allowed.sort_unstable();
        allowed.dedup();
        allowed.retain(|method| self.router.find(method, path).is_ok());
        let own = match path {
            "/" => Some(Found::Page),
            "/openapi.json" => Some(Found::OpenApi),
            _ => None,
        };
        if let Some(own) = own {
            if reads && !allowed.contains(&"GET") {
                return Ok(own);
            }
            allowed.push("GET");
        } else if allowed.is_empty() {
            let target = match &self.protobuf {
                Some(protobuf) => protobuf.find(path)?,
                None => self.by_name(path)?,
            };
            if method == Method::POST {
                return Ok(Found::Call(target));
            }
            allowed.push("POST");
        }
        Err(Error::wrong_method(method.as_str(), &allowed.join(", ")))
    }

    fn by_route(&self, method: &str, path: &str) -> Option<Target> {
        let found = self.router.find(method, path).ok()?;
        Some(Target { service: found.descriptor, function: found.function, params: Some(found.params) })
    }

    /// `/{service}/{method}`.
    fn by_name(&self, path: &str) -> Result<Target, Error> {
        let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let known = names.and_then(|(service, method)| Some((*self.by_name.get(service)?, service, method)));
        let Some((service, name, method)) = known else {
            return Err(Error::not_found(format!("no route for {path}, and no service of that name")));
        };
        let functions = self.services.get(service).map(|service| service.descriptor.functions()).unwrap_or_default();
        match functions.iter().position(|function| *function.name == *method) {
            Some(function) => Ok(Target { service, function, params: None }),
            None => Err(Error::not_found(format!("service {name} has no method {method:?}"))),
        }
    }

    /// The method itself. A target is made by its model alone, so that there always is one.
    fn resolve(&self, target: &Target) -> Result<(&Descriptor, &Function), Error> {
        let service = self.services.get(target.service).map(|service| &service.descriptor);
        service
            .and_then(|descriptor| Some((descriptor, descriptor.functions().get(target.function)?)))
            .ok_or_else(|| Error::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the method is another model's"))
    }

    /// What the call says of its method.
    ///
    /// # Errors
    ///
    /// It streams.
    pub(crate) fn called(&self, target: &Target) -> Result<Called<'_>, Error> {
        if let Some(protobuf) = &self.protobuf {
            return protobuf.called(target);
        }
        let (descriptor, function) = self.resolve(target)?;
        if function.streaming != Streaming::None {
            return Err(Error::streaming(descriptor.name(), &function.name));
        }
        let (service, method, oneway) = (descriptor.name(), &*function.name, function.oneway);
        Ok(Called { service, method, oneway, version: Version::THRIFT, package: None })
    }

    /// Whether a body of this type is one that the method takes: JSON, of a route also a form, or anything where a field
    /// takes the body as it is.
    ///
    /// # Errors
    ///
    /// It is not.
    pub(crate) fn check_content_type(&self, target: &Target, fields: &HeaderMap) -> Result<(), Error> {
        let Some(found) = fields.get(CONTENT_TYPE) else { return Ok(()) };
        let found = String::from_utf8_lossy(found.as_bytes());
        let essence = found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = essence == JSON || essence == "text/json" || essence.ends_with("+json");
        if is_json {
            return Ok(());
        }
        if target.params.is_none() {
            return Err(Error::content_type(&found, JSON));
        }
        let (descriptor, function) = self.resolve(target)?;
        if essence == FORM || takes_raw_body(descriptor, function) {
            return Ok(());
        }
        Err(Error::content_type(&found, "application/json or application/x-www-form-urlencoded"))
    }

    /// The struct of the arguments, as the call carries it.
    ///
    /// # Errors
    ///
    /// What the request has does not make it; names field and offset.
    pub(crate) fn arguments(&self, target: &Target, parts: &Parts, body: &[u8]) -> Result<Vec<u8>, Error> {
        if let Some(protobuf) = &self.protobuf {
            return protobuf.message(target, body);
        }
        let (descriptor, function) = self.resolve(target)?;
        let mut arguments = Vec::with_capacity(body.len());
        let made = match &target.params {
            Some(params) => {
                let request = Request::new(parts, body, params.clone());
                self.http.encode_request(descriptor, function, &request, None, &mut arguments)
            }
            None => {
                let count = descriptor.structure(function.arguments).fields.len();
                let json = Some(body).filter(|body| !body.is_empty());
                match json {
                    Some(json) if count > 1 => {
                        self.json.encode_arguments(descriptor, function, json, None, &mut arguments)
                    }
                    // Without any there is nothing that a body could say.
                    json => {
                        let json = json.filter(|_| count > 0);
                        self.json.encode_request(descriptor, function, json, None, &mut arguments)
                    }
                }
            }
        };
        made.map_err(|error| Error::arguments(&error))?;
        Ok(arguments)
    }

    /// What a backend's reply is in HTTP.
    ///
    /// # Errors
    ///
    /// It is an error, or does not fit the IDL.
    pub(crate) fn answer(&self, target: &Target, reply: &Message) -> Result<Response<Bytes>, Error> {
        // Before the message type: Volo says it in an exception (pingpong-wire 5.2).
        if let Some(code) = reply.facts().business_status {
            let string = |key| reply.header().and_then(|header| header.string(key));
            return Err(Error::business(code, string(keys::BIZ_MESSAGE).unwrap_or_default(), string(keys::BIZ_EXTRA)));
        }
        if reply.outcome() == rpc::Outcome::Exception {
            return Err(exception(reply));
        }
        if let Some(protobuf) = &self.protobuf {
            return protobuf.answer(target, reply.body()).map(|json| with_type(json.into(), JSON));
        }
        let (descriptor, function) = self.resolve(target)?;
        let answer = match target.params {
            Some(_) => self.answer_route(descriptor, function, reply.body()),
            None => self.answer_name(descriptor, function, reply.body()),
        };
        answer.map_err(|answer| match answer {
            Wrong::Result(error) => Error::result(&error),
            Wrong::Declared(error) => error,
        })
    }

    /// As Kitex: a declared exception is a normal answer, whose status is the one that a field of it says; here its name
    /// stands in a header.
    fn answer_route(&self, d: &Descriptor, function: &Function, result: &[u8]) -> Result<Response<Bytes>, Wrong> {
        let (response, thrown) = match self.http.decode_response(d, function, result)? {
            Outcome::Value(response) => (response, None),
            Outcome::Exception { id, value } => (value, Some(exception_name(d, function, id))),
            Outcome::Void | Outcome::Empty | _ => {
                let mut empty = Response::new(Bytes::new());
                *empty.status_mut() = StatusCode::NO_CONTENT;
                return Ok(empty);
            }
        };
        let mut response = response.into_http()?;
        for name in OURS {
            response.headers_mut().remove(name);
        }
        if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            *response.body_mut() = Bytes::new();
        }
        if let Some(name) = thrown.and_then(|name| HeaderValue::from_str(name).ok()) {
            response.headers_mut().insert(EXCEPTION, name);
        }
        Ok(response)
    }

    fn answer_name(&self, d: &Descriptor, function: &Function, result: &[u8]) -> Result<Response<Bytes>, Wrong> {
        let mut json = Vec::with_capacity(result.len().saturating_mul(2));
        match self.json.decode_response(d, function, result, &mut json)? {
            // Bare text, as Kitex has it, is no JSON.
            Outcome::Value(()) if matches!(function.response, Type::String | Type::Binary) => {
                json = serde_json::Value::from(String::from_utf8_lossy(&json)).to_string().into_bytes();
            }
            Outcome::Value(()) => {}
            Outcome::Exception { id, .. } => {
                return Err(Wrong::Declared(Error::declared(exception_name(d, function, id), &json)));
            }
            Outcome::Void | Outcome::Empty | _ => json = b"null".to_vec(),
        }
        Ok(with_type(json.into(), JSON))
    }

    /// The list of what there is, for people; `host` is what the caller calls us.
    pub(crate) fn page(&self, host: &str) -> Response<Bytes> {
        let mut response = with_type(self.page.told_to(host).into(), "text/html; charset=utf-8");
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'");
        response.headers_mut().insert(http::header::CONTENT_SECURITY_POLICY, policy);
        response
    }

    /// The same for machines.
    pub(crate) fn openapi(&self) -> Response<Bytes> {
        with_type(self.openapi.clone(), JSON)
    }
}

fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in files {
        // One that is gone is another one, too.
        (path, std::fs::read(path).ok()).hash(&mut hasher);
    }
    hasher.finish()
}

/// Why a result is no answer.
enum Wrong {
    Result(thrift_generic::Error),
    Declared(Error),
}

impl From<thrift_generic::Error> for Wrong {
    fn from(error: thrift_generic::Error) -> Self {
        Self::Result(error)
    }
}

/// A framework's exception. What gRPC said as a status (streaming-wire D3) is one again.
fn exception(reply: &Message) -> Error {
    let unreadable = |error: &dyn std::fmt::Display| Error::exception(0, format!("unreadable: {error}").as_bytes());
    let (code, text) = if reply.shape().version == Version::KITEX_PROTOBUF {
        match ErrorProto::parse(reply.body()) {
            Ok(error) => (error.code, error.message),
            Err(error) => return unreadable(&error),
        }
    } else {
        match ApplicationException::parse(reply.body()) {
            Ok(exception) => (exception.code, exception.message),
            Err(error) => return unreadable(&error),
        }
    };
    match status::parse_rpc_error(text) {
        Some((code, text)) if code != Code::OK => Error::grpc(code, text),
        _ => Error::exception(code, text),
    }
}

/// The name of the struct that a method throws under this id.
fn exception_name<'a>(d: &'a Descriptor, function: &'a Function, id: i16) -> &'a str {
    match d.structure(function.result).fields.by_id(id) {
        Some(field) => match field.ty {
            Type::Struct(exception) => &d.structure(exception).name,
            _ => &field.name,
        },
        None => "exception",
    }
}

fn takes_raw_body(d: &Descriptor, function: &Function) -> bool {
    let Type::Struct(request) = function.request else { return false };
    d.structure(request).fields.iter().any(|field| field.http.iter().any(|source| matches!(source, Source::RawBody)))
}

fn with_type(body: Bytes, content_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The name of a declared exception in the answer of a route.
const EXCEPTION: HeaderName = HeaderName::from_static("thrift-exception");
/// What a field of a result can't say: how the answer is carried is a matter of its connection.
const OURS: [HeaderName; 7] = [CONNECTION, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING, TRAILER, TE, UPGRADE];
const FORM: &str = "application/x-www-form-urlencoded";
