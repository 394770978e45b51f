//! What annotations do to fields and methods (generic-call 1.8, 1.9, 5.2, 5.3).

use crate::descriptor::tag::json_alias;
use crate::descriptor::{Annotation, Field, Function, Handler, Registry, Requiredness, Route, Source, Streaming, Type};
use crate::idl::IdlErrorKind;
use crate::idl::names::{Field as IdlField, Function as IdlFunction};
use crate::options::Profile;

/// Which annotations there are, and what they do.
pub(crate) struct Effects<'a> {
    profile: Profile,
    go_tag: bool,
    registry: &'a Registry,
}

impl<'a> Effects<'a> {
    /// Whether `go.tag` counts is up to the environment where nothing else is said.
    pub(crate) fn new(profile: Profile, go_tag: Option<bool>, registry: &'a Registry) -> Self {
        let go_tag = go_tag.unwrap_or_else(|| !matches!(std::env::var(GO_TAG_DISABLED).as_deref(), Ok("True")));
        Self { profile, go_tag, registry }
    }

    /// The routes of a function: of each annotation that gives one the first.
    pub(crate) fn routes(&self, function: &Function) -> Vec<Route> {
        let route = |Annotation { key, values }: &Annotation| {
            if let Some(method) = http_method(key) {
                return values.first().map(|path| Route::new(method, path.clone()));
            }
            match self.registry.find(key) {
                Some(Handler::Route(mapping)) => values.iter().find_map(|value| mapping.route(value, function)),
                _ => None,
            }
        };
        function.annotations.iter().filter_map(route).collect()
    }

    /// A field without its default; none if annotations take it away.
    pub(crate) fn field(&self, source: &IdlField, ty: Type) -> Result<Option<Field>, IdlErrorKind> {
        let mut field = Field {
            base: source.base,
            annotations: source.annotations.clone(),
            ..bare_field(source.id, &source.name.text, source.requiredness, ty)
        };
        let dynamic = self.profile == Profile::Dynamic;
        for annotation in &source.annotations {
            let key = &annotation.key;
            let known = if dynamic { key.to_ascii_lowercase().into() } else { key.clone() };
            if dynamic && &*known == "dynamicgo.deprecated" {
                return Ok(None);
            }
            for value in &annotation.values {
                self.annotate(&mut field, &known, key, value)?;
            }
        }
        Ok(Some(field))
    }

    /// What one value of an annotation does to its field.
    fn annotate(&self, field: &mut Field, known: &str, key: &str, value: &str) -> Result<(), IdlErrorKind> {
        match known {
            "api.query" => field.http.push(Source::Query(value.into())),
            "api.path" => field.http.push(Source::Path(value.into())),
            "api.header" => field.http.push(Source::Header(value.into())),
            "api.cookie" => field.http.push(Source::Cookie(value.into())),
            "api.body" => field.http.push(Source::Body(value.into())),
            "api.form" => field.http.push(Source::Form(value.into())),
            "api.raw_body" => field.http.push(Source::RawBody),
            "api.raw_uri" => field.http.push(Source::RawUri),
            "api.http_code" => field.http.push(Source::HttpCode),
            "api.no_body_struct" => field.http.push(Source::StepInto),
            "api.none" => {
                field.http.push(Source::None);
                field.hidden = true;
            }
            "api.js_conv" => field.js_conv = true,
            "go.tag" => field.key = json_alias(value).filter(|_| self.go_tag).unwrap_or_else(|| field.key.clone()),
            "api.key" if self.profile == Profile::Dynamic => {
                if !value.is_empty() {
                    field.key = value.into();
                }
            }
            _ => match self.registry.find(key) {
                Some(Handler::Http(make)) => field.http.push(Source::Custom(make(value))),
                Some(Handler::Value(make)) => field.value_mapping = Some(make(value)),
                Some(Handler::Field(make)) => make(value).apply(field),
                Some(Handler::Route(_)) => return Err(IdlErrorKind::Handler { key: key.into(), handler: "Route" }),
                None => {}
            },
        }
        Ok(())
    }
}

/// A field that has nothing but a name and a type.
pub(crate) fn bare_field(id: i16, name: &str, requiredness: Requiredness, ty: Type) -> Field {
    Field {
        id,
        name: name.into(),
        key: name.into(),
        requiredness,
        ty,
        default: None,
        js_conv: false,
        base: None,
        http: Vec::new(),
        value_mapping: None,
        hidden: false,
        annotations: Vec::new(),
    }
}

/// How a function streams.
pub(crate) fn streaming(function: &IdlFunction) -> Result<Streaming, IdlErrorKind> {
    let name = &function.name.text;
    let Some(annotation) = function.annotations.iter().find(|annotation| &*annotation.key == "streaming.mode") else {
        return Ok(Streaming::None);
    };
    let [value] = &annotation.values[..] else { return Err(IdlErrorKind::StreamingModes(name.clone())) };
    let streaming = match &**value {
        "unary" => Streaming::Unary,
        "client" => Streaming::Client,
        "server" => Streaming::Server,
        "bidirectional" => Streaming::Bidirectional,
        _ => return Err(IdlErrorKind::StreamingMode(value.clone())),
    };
    match function.arguments.len() {
        1 => Ok(streaming),
        _ => Err(IdlErrorKind::StreamingArguments(name.clone())),
    }
}

/// The HTTP method of an annotation that gives a route.
fn http_method(key: &str) -> Option<&'static str> {
    match key {
        "api.get" => Some("GET"),
        "api.post" => Some("POST"),
        "api.put" => Some("PUT"),
        "api.delete" => Some("DELETE"),
        "api.patch" => Some("PATCH"),
        "api.head" => Some("HEAD"),
        "api.options" => Some("OPTIONS"),
        "api.any" => Some("*"),
        _ => None,
    }
}

/// The environment variable that turns off aliases by `go.tag`.
const GO_TAG_DISABLED: &str = "KITEX_GENERIC_GOTAG_ALIAS_DISABLED";
