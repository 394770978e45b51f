use std::collections::HashMap;
use std::sync::Arc;

use prost_reflect::{MessageDescriptor, ServiceDescriptor};

use crate::protobuf::idl::{PbIdl, PbIdlError};
use crate::protobuf::schema::{PbMessage, Schema};

/// What several services in one are called. (Thrift's are `CombinedServices`.)
pub const COMBINED: &str = "CombinedService";

/// Which services a descriptor takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PbServices {
    /// The last one of the main file.
    #[default]
    Last,
    /// The first one of the main file.
    First,
    /// All of the main file, as one named [`COMBINED`]; of methods with one name the last is found by it.
    Combine,
    /// All, those of imported files too, as one named [`COMBINED`].
    All,
    /// The one with this name, with the package or, if it is of the main file, without.
    Named(Box<str>),
}

/// Services as callers see them: their methods, and every message that there is.
///
/// Immutable, and cheap to clone.
#[derive(Clone, Debug)]
pub struct PbDescriptor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    idl: PbIdl,
    name: Box<str>,
    package: Box<str>,
    combined: bool,
    functions: Vec<PbFunction>,
    by_name: HashMap<Box<str>, usize>,
    by_path: HashMap<Box<str>, usize>,
}

/// A method.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PbFunction {
    /// Its name.
    pub name: Box<str>,
    /// The service that declares it, with its package: `shop.Shop`.
    pub service: Box<str>,
    /// What it takes.
    pub input: PbMessage,
    /// What it gives.
    pub output: PbMessage,
    /// Whether many messages come in.
    pub client_streaming: bool,
    /// Whether many messages go out.
    pub server_streaming: bool,
    path: Box<str>,
}

impl PbDescriptor {
    /// The services of these files that `services` tells.
    ///
    /// # Errors
    ///
    /// There is no such service.
    pub fn new(idl: &PbIdl, services: &PbServices) -> Result<Self, PbIdlError> {
        let of_main: Vec<_> = idl.main.services().collect();
        let missing = || PbIdlError("no service in the file".into());
        let taken = match services {
            PbServices::Last => vec![of_main.last().cloned().ok_or_else(missing)?],
            PbServices::First => vec![of_main.first().cloned().ok_or_else(missing)?],
            PbServices::Combine => of_main,
            PbServices::All => idl.pool().services().collect(),
            PbServices::Named(name) => {
                let of_main = of_main.into_iter().find(|service| *service.name() == **name);
                let found = of_main.or_else(|| idl.pool().get_service_by_name(name));
                vec![found.ok_or_else(|| PbIdlError(format!("no service {name} in the files").into()))?]
            }
        };
        let package = taken.last().ok_or_else(missing)?.package_name().into();
        let combined = matches!(services, PbServices::Combine | PbServices::All);
        let name = taken.first().filter(|_| !combined).map_or(COMBINED, ServiceDescriptor::name).into();
        let functions = functions(&idl.schema, &taken);
        let by_name = functions.iter().zip(0..).map(|(function, at)| (function.name.clone(), at)).collect();
        let by_path = functions.iter().zip(0..).map(|(function, at)| (function.path.clone(), at)).collect();
        Ok(Self(Arc::new(Inner { idl: idl.clone(), name, package, combined, functions, by_name, by_path })))
    }

    /// The service's name without its package, or [`COMBINED`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The package of the service: what stands in front of its name on gRPC. Empty if there is none; of several services
    /// that of the last.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.0.package
    }

    /// Whether it has the methods of several services.
    #[must_use]
    pub fn is_combined(&self) -> bool {
        self.0.combined
    }

    /// The methods, in the order of their declaration.
    #[must_use]
    pub fn functions(&self) -> &[PbFunction] {
        &self.0.functions
    }

    /// The method of this name; of several that of the last service that has one.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&PbFunction> {
        self.0.by_name.get(name).and_then(|&at| self.0.functions.get(at))
    }

    /// The method with this path on gRPC: `/package.Service/Method`.
    #[must_use]
    pub fn function_at(&self, path: &str) -> Option<&PbFunction> {
        self.0.by_path.get(path).and_then(|&at| self.0.functions.get(at))
    }

    /// The message of this full name, such as `shop.Order`.
    #[must_use]
    pub fn message(&self, full_name: &str) -> Option<PbMessage> {
        self.schema().find(full_name)
    }

    /// A message for work with [`prost_reflect::DynamicMessage`].
    ///
    /// # Panics
    ///
    /// The message is of other files.
    #[must_use]
    pub fn reflect(&self, message: PbMessage) -> MessageDescriptor {
        #[expect(clippy::expect_used, reason = "every message of the schema is of the pool")]
        self.0.idl.pool().get_message_by_name(&self.schema().message(message).full_name).expect("a message of the pool")
    }

    /// The files that it was made of.
    #[must_use]
    pub fn idl(&self) -> &PbIdl {
        &self.0.idl
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.0.idl.schema
    }
}

impl PbFunction {
    /// Its path on gRPC: `/package.Service/Method`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether several messages go one way or the other.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.client_streaming || self.server_streaming
    }
}

fn functions(schema: &Schema, services: &[ServiceDescriptor]) -> Vec<PbFunction> {
    let methods = services.iter().flat_map(|service| service.methods().map(move |method| (service, method)));
    let function = |(service, method): (&ServiceDescriptor, prost_reflect::MethodDescriptor)| {
        Some(PbFunction {
            name: method.name().into(),
            service: service.full_name().into(),
            input: schema.find(method.input().full_name())?,
            output: schema.find(method.output().full_name())?,
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
            path: format!("/{}/{}", service.full_name(), method.name()).into(),
        })
    };
    methods.filter_map(function).collect()
}
