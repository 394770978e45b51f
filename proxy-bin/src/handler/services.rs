//! Which handler answers what: a Kitex server's rules for several services on one port (generic-call 6.4).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::handler::Handler;
use crate::rpc::{Head, Protocol};

/// Services that are answered in the process itself; immutable, shared by all workers.
#[derive(Clone, Debug, Default)]
pub struct Services {
    services: Vec<Service>,
    by_name: HashMap<Vec<u8>, usize>,
    unknown: Option<Unknown>,
    named_only: bool,
}

#[derive(Clone)]
struct Unknown(Arc<dyn Handler>);

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unknown")
    }
}

/// A service and who answers it.
#[derive(Clone)]
pub struct Service {
    name: String,
    /// None: every method, as a binary generic service has.
    methods: Option<Vec<Vec<u8>>>,
    fallback: bool,
    combined: bool,
    handler: Arc<dyn Handler>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("methods", &self.methods).finish_non_exhaustive()
    }
}

impl Service {
    /// A service that has every method.
    pub fn new(name: impl Into<String>, handler: impl Handler + 'static) -> Self {
        Self { name: name.into(), methods: None, fallback: false, combined: false, handler: Arc::new(handler) }
    }

    /// The service has these methods and no others; calls without a service name find it by them.
    #[must_use]
    pub fn methods<M: Into<Vec<u8>>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.methods = Some(methods.into_iter().map(Into::into).collect());
        self
    }

    /// The service that calls without a service name try first.
    #[must_use]
    pub fn fallback(mut self) -> Self {
        self.fallback = true;
        self
    }

    /// The service has the methods of several and takes every call, whatever service it names. It must be the only one.
    #[must_use]
    pub fn combined(mut self) -> Self {
        self.combined = true;
        self
    }

    fn has(&self, method: &[u8]) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.iter().any(|known| known == method))
    }

    /// Whether it is known to have the method: one that has every method is never found by one.
    fn lists(&self, method: &[u8]) -> bool {
        self.methods.is_some() && self.has(method)
    }
}

/// Why services can't be served together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// A name twice.
    #[error("service [{0}] has already been registered")]
    Duplicate(String),
    /// A second fallback.
    #[error("multiple fallback services cannot be registered. [{0}] is already registered as a fallback service")]
    Fallbacks(String),
    /// A second handler for unknown services.
    #[error("multiple unknown services cannot be registered")]
    Unknowns,
    /// A combined service beside another.
    #[error("combine service doesn't support multi services")]
    Combined,
    /// A combined service beside a handler for unknown services.
    #[error("combine service doesn't support unknown service")]
    CombinedUnknown,
    /// A method that a call without a service name could mean of either.
    #[error("method name [{0}] is conflicted between services but no fallback service is specified")]
    Method(String),
    /// Nothing at all.
    #[error("run: no service. Use RegisterService to set one")]
    Empty,
}

/// Puts services together.
#[derive(Debug, Default)]
pub struct ServicesBuilder {
    services: Vec<Service>,
    unknown: Vec<Unknown>,
    named_only: bool,
}

impl ServicesBuilder {
    /// Adds a service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Answers calls of services, and of methods of known services, that nobody else knows. Without one they go where
    /// the routes say.
    #[must_use]
    pub fn unknown(mut self, handler: impl Handler + 'static) -> Self {
        self.unknown.push(Unknown(Arc::new(handler)));
        self
    }

    /// Takes no calls that name no service.
    #[must_use]
    pub fn named_only(mut self) -> Self {
        self.named_only = true;
        self
    }

    /// Checks that the services go together.
    ///
    /// # Errors
    ///
    /// They don't.
    pub fn build(self) -> Result<Services, RegisterError> {
        let Self { services, mut unknown, named_only } = self;
        if unknown.len() > 1 {
            return Err(RegisterError::Unknowns);
        }
        if services.is_empty() && unknown.is_empty() {
            return Err(RegisterError::Empty);
        }
        let mut by_name = HashMap::new();
        for (index, service) in services.iter().enumerate() {
            if by_name.insert(service.name.clone().into_bytes(), index).is_some() {
                return Err(RegisterError::Duplicate(service.name.clone()));
            }
        }
        let mut fallbacks = services.iter().filter(|service| service.fallback);
        let fallback = fallbacks.next();
        if let (Some(first), Some(_)) = (fallback, fallbacks.next()) {
            return Err(RegisterError::Fallbacks(first.name.clone()));
        }
        if services.iter().any(|service| service.combined) {
            if services.len() > 1 {
                return Err(RegisterError::Combined);
            }
            if !unknown.is_empty() {
                return Err(RegisterError::CombinedUnknown);
            }
        }
        if fallback.is_none() && !named_only {
            let mut seen = HashMap::new();
            for (index, service) in services.iter().enumerate() {
                for method in service.methods.iter().flatten() {
                    if seen.insert(method, index).is_some_and(|other| other != index) {
                        return Err(RegisterError::Method(String::from_utf8_lossy(method).into_owned()));
                    }
                }
            }
        }
        Ok(Services { services, by_name, unknown: unknown.pop(), named_only })
    }
}

/// Who answers a call.
pub(crate) enum Answerer<'a> {
    /// This handler.
    Handler(&'a Arc<dyn Handler>),
    /// Nobody: a service here has the name and not the method.
    NoMethod,
    /// Nobody here knows the service.
    NoService,
}

impl Services {
    /// Begins with no service.
    #[must_use]
    pub fn builder() -> ServicesBuilder {
        ServicesBuilder::default()
    }

    /// Whether nothing is answered here.
    pub(crate) fn is_empty(&self) -> bool {
        self.services.is_empty() && self.unknown.is_none()
    }

    /// Who answers the call of `head`.
    pub(crate) fn find(&self, head: &impl Head) -> Answerer<'_> {
        let (service, method) = (head.service(), head.method());
        let found = if self.named_only || head.protocol() == Protocol::Grpc {
            self.named(service).or_else(|| self.named(head.full_service()))
        } else if let [only] = &self.services[..]
            && only.combined
        {
            Some(only)
        } else if service.is_empty() {
            self.by_method(method)
        } else {
            self.named(service).or_else(|| self.only_with(method))
        };
        match found {
            Some(service) if service.has(method) => Answerer::Handler(&service.handler),
            found => match &self.unknown {
                Some(Unknown(handler)) => Answerer::Handler(handler),
                None if found.is_some() => Answerer::NoMethod,
                None => Answerer::NoService,
            },
        }
    }

    fn named(&self, name: &[u8]) -> Option<&Service> {
        self.by_name.get(name).and_then(|&index| self.services.get(index))
    }

    /// The fallback is asked first, then the others in the order of their registration.
    fn by_method(&self, method: &[u8]) -> Option<&Service> {
        let fallback = self.services.iter().filter(|service| service.fallback);
        fallback.chain(&self.services).find(|service| service.lists(method))
    }

    /// The service that has the method, where no other has.
    fn only_with(&self, method: &[u8]) -> Option<&Service> {
        let mut having = self.services.iter().filter(|service| service.lists(method));
        let only = having.next();
        if having.next().is_some() { None } else { only }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::handler::{Response, calls};
    use crate::rpc::Downstream;

    fn echo() -> impl Handler {
        calls(|request| async move { Ok(Response::new(request.body)) })
    }

    struct Asked(Protocol, &'static [u8], &'static [u8], Rc<Downstream>);

    impl Head for Asked {
        fn protocol(&self) -> Protocol {
            self.0
        }
        fn service(&self) -> &[u8] {
            self.1
        }
        fn method(&self) -> &[u8] {
            self.2
        }
        fn caller(&self) -> Option<&[u8]> {
            None
        }
        fn metadata(&self, _: &[u8]) -> Option<&[u8]> {
            None
        }
        fn downstream(&self) -> &Downstream {
            &self.3
        }
    }

    /// The name of the service that answers, `?` for the handler of unknown ones.
    fn who(services: &Services, protocol: Protocol, service: &'static str, method: &'static str) -> String {
        let downstream = Rc::new(Downstream::new(([127, 0, 0, 1], 1).into(), String::new(), None));
        match services.find(&Asked(protocol, service.as_bytes(), method.as_bytes(), downstream)) {
            Answerer::Handler(handler) => {
                let named = services.services.iter().find(|service| Arc::ptr_eq(&service.handler, handler));
                named.map_or_else(|| "?".to_owned(), |service| service.name.clone())
            }
            Answerer::NoMethod => "no method".to_owned(),
            Answerer::NoService => "no service".to_owned(),
        }
    }

    #[test]
    fn s_15_services_that_do_not_go_together_are_refused() {
        let build = |services: Vec<Service>| {
            services.into_iter().fold(Services::builder(), ServicesBuilder::service).build().map(|_| ()).unwrap_err()
        };
        let (a, b) = (|| Service::new("A", echo()), || Service::new("B", echo()));
        assert_eq!(build(vec![a(), a()]).to_string(), "service [A] has already been registered");
        assert_eq!(
            build(vec![a().fallback(), b().fallback()]).to_string(),
            "multiple fallback services cannot be registered. [A] is already registered as a fallback service"
        );
        assert_eq!(build(vec![a().combined(), b()]).to_string(), "combine service doesn't support multi services");
        assert_eq!(
            build(vec![a().methods(["M"]), b().methods(["M"])]).to_string(),
            "method name [M] is conflicted between services but no fallback service is specified"
        );
        assert_eq!(build(vec![]).to_string(), "run: no service. Use RegisterService to set one");
        let twice = Services::builder().unknown(echo()).unknown(echo()).build().unwrap_err();
        assert_eq!(twice.to_string(), "multiple unknown services cannot be registered");
        let both = Services::builder().service(a().combined()).unknown(echo()).build().unwrap_err();
        assert_eq!(both.to_string(), "combine service doesn't support unknown service");
        let named = Services::builder().service(a().methods(["M"])).service(b().methods(["M"])).named_only().build();
        assert!(named.is_ok());
    }

    #[test]
    fn s_16_a_call_without_a_service_name_goes_to_the_fallback() {
        let services = Services::builder()
            .service(Service::new("A", echo()).methods(["M", "OnlyA"]))
            .service(Service::new("B", echo()).methods(["M"]).fallback())
            .service(Service::new("Every", echo()))
            .build()
            .unwrap();
        assert_eq!(who(&services, Protocol::Framed, "", "M"), "B");
        assert_eq!(who(&services, Protocol::Framed, "", "OnlyA"), "A");
        assert_eq!(who(&services, Protocol::Framed, "", "Other"), "no service");
        assert_eq!(who(&services, Protocol::TtHeader, "A", "M"), "A");
        assert_eq!(who(&services, Protocol::TtHeader, "Every", "Other"), "Every");
        assert_eq!(who(&services, Protocol::TtHeader, "B", "Other"), "no method");
        // old clients of generic services
        assert_eq!(who(&services, Protocol::TtHeader, "$GenericService", "OnlyA"), "A");
        assert_eq!(who(&services, Protocol::TtHeader, "$GenericService", "M"), "no service");
        assert_eq!(who(&services, Protocol::Grpc, "$GenericService", "OnlyA"), "no service");
    }

    #[test]
    fn s_11_a_handler_of_unknown_services_takes_unknown_methods_too_and_no_known_ones() {
        let services =
            Services::builder().service(Service::new("A", echo()).methods(["M"])).unknown(echo()).build().unwrap();
        assert_eq!(who(&services, Protocol::TtHeader, "A", "M"), "A");
        assert_eq!(who(&services, Protocol::TtHeader, "A", "Other"), "?");
        assert_eq!(who(&services, Protocol::Grpc, "Nobody", "M"), "?");
        assert_eq!(who(&services, Protocol::Framed, "", "Other"), "?");
    }

    #[test]
    fn a_combined_service_takes_calls_of_any_service() {
        let services =
            Services::builder().service(Service::new("CombinedServices", echo()).combined()).build().unwrap();
        assert_eq!(who(&services, Protocol::TtHeader, "Whatever", "M"), "CombinedServices");
        assert_eq!(who(&services, Protocol::Framed, "", "M"), "CombinedServices");
    }
}
