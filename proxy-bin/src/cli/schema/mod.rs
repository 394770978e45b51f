//! What an IDL says of services, for commands that speak JSON: Thrift or Protobuf, by the kind of its file.

mod protobuf;
mod thrift;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use grpc_frame::content_type::Codec;
use thrift_generic::Profile;

/// The options that name an IDL.
#[derive(Debug, Args)]
pub(crate) struct IdlOptions {
    /// The IDL: a .thrift file, a .proto file, or a descriptor set (any other ending).
    #[arg(long, value_name = "FILE")]
    pub(crate) idl: Option<PathBuf>,
    /// Where included and imported files are looked for, beside the file that names them.
    #[arg(long, short = 'I', value_name = "DIR")]
    pub(crate) include: Vec<PathBuf>,
    /// Whose rules JSON follows: Kitex's own converter, or the stricter dynamicgo.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = ProfileName::Default)]
    pub(crate) profile: ProfileName,
}

/// A profile, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// Kitex's own converter, lenient.
    Default,
    /// Kitex with dynamicgo, strict.
    Dynamic,
}

/// The services of an IDL.
#[derive(Debug)]
pub(crate) enum Schema {
    Thrift(thrift::Services),
    Protobuf(protobuf::Services),
}

/// A method.
#[derive(Debug)]
pub(crate) enum Method<'s> {
    Thrift(thrift::Method<'s>),
    Protobuf(protobuf::Method<'s>),
}

/// The result of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// JSON text, or bare text where the method's result is a string.
    Value(String),
    /// The method is void.
    Void,
    /// The result is not there.
    Empty,
    /// A declared exception: its name in `throws`, its type, and its JSON.
    Declared { name: String, ty: String, json: String },
}

/// A body of a message, in which it may be wrapped or bare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Request,
    Response,
}

impl Schema {
    /// Reads an IDL and whatever it includes.
    ///
    /// # Errors
    ///
    /// What is wrong, with file, line and column.
    pub(crate) fn load(options: &IdlOptions, path: &Path) -> Result<Self, String> {
        let profile = match options.profile {
            ProfileName::Default => Profile::Default,
            ProfileName::Dynamic => Profile::Dynamic,
        };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("thrift") => thrift::Services::load(path, &options.include, profile).map(Self::Thrift),
            _ => protobuf::Services::load(path, &options.include).map(Self::Protobuf),
        }
    }

    /// The services, with their packages.
    pub(crate) fn services(&self) -> Vec<String> {
        match self {
            Self::Thrift(services) => services.names().map(str::to_owned).collect(),
            Self::Protobuf(services) => services.names().collect(),
        }
    }

    /// The methods of a service: names as [`Schema::method`] takes them.
    pub(crate) fn methods(&self, service: &str) -> Vec<String> {
        match self {
            Self::Thrift(services) => services.methods(service),
            Self::Protobuf(services) => services.methods(service),
        }
    }

    /// The method called `name`, of this service, or of the only one that has it where none is named. A package in front of
    /// the service is passed over where the IDL says none.
    pub(crate) fn method(&self, service: &str, name: &str) -> Option<Method<'_>> {
        match self {
            Self::Thrift(services) => services.method(service, name).map(Method::Thrift),
            Self::Protobuf(services) => services.method(service, name).map(Method::Protobuf),
        }
    }

    /// What `name` is, in the words of the IDL: everything where it is empty, a service, a method (`Service/method`), or a
    /// type (`.Type`, `Service.Type`).
    pub(crate) fn describe(&self, name: &str) -> Option<String> {
        match self {
            Self::Thrift(services) => services.describe(name),
            Self::Protobuf(services) => services.describe(name),
        }
    }
}

impl Method<'_> {
    /// The service that it is called by, without a package.
    pub(crate) fn service(&self) -> &str {
        match self {
            Self::Thrift(method) => method.service(),
            Self::Protobuf(method) => method.service(),
        }
    }

    /// The package of the service, where the IDL says one.
    pub(crate) fn package(&self) -> &str {
        match self {
            Self::Thrift(_) => "",
            Self::Protobuf(method) => method.package(),
        }
    }

    /// The method's own name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Thrift(method) => &method.function.name,
            Self::Protobuf(method) => &method.function.name,
        }
    }

    /// What its messages are.
    pub(crate) fn codec(&self) -> Codec {
        match self {
            Self::Thrift(_) => Codec::Thrift,
            Self::Protobuf(_) => Codec::Protobuf,
        }
    }

    /// Whether no reply is expected.
    pub(crate) fn is_oneway(&self) -> bool {
        matches!(self, Self::Thrift(method) if method.function.oneway)
    }

    /// Whether many requests, and whether many responses.
    pub(crate) fn streams(&self) -> (bool, bool) {
        match self {
            Self::Thrift(method) => method.streams(),
            Self::Protobuf(method) => (method.function.client_streaming, method.function.server_streaming),
        }
    }

    /// The bytes of the request that JSON text says: of a stream one message, else all arguments.
    ///
    /// # Errors
    ///
    /// The text is no such request; says where.
    pub(crate) fn encode_request(&self, json: Option<&str>) -> Result<Vec<u8>, String> {
        match self {
            Self::Thrift(method) => method.encode_request(json),
            Self::Protobuf(method) => method.encode_request(json),
        }
    }

    /// The result that bytes are, of a stream one message.
    ///
    /// # Errors
    ///
    /// They are none; says where.
    pub(crate) fn decode_response(&self, bytes: &[u8]) -> Result<Answer, String> {
        match self {
            Self::Thrift(method) => method.decode_response(bytes),
            Self::Protobuf(method) => method.decode(Part::Response, bytes).map(Answer::Value),
        }
    }

    /// The request that bytes are, as a server reads it.
    ///
    /// # Errors
    ///
    /// They are none; says where.
    pub(crate) fn decode_request(&self, bytes: &[u8]) -> Result<String, String> {
        match self {
            Self::Thrift(method) => method.decode_request(bytes),
            Self::Protobuf(method) => method.decode(Part::Request, bytes),
        }
    }

    /// JSON that is a request, every field with an example.
    pub(crate) fn example(&self) -> String {
        match self {
            Self::Thrift(method) => method.example(),
            Self::Protobuf(method) => method.example(),
        }
    }
}
