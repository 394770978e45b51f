//! The list of what a gateway serves, for people: one page, without scripts, with nothing from elsewhere.

use std::fmt::{self, Write as _};

use thrift_generic::Descriptor;
use thrift_generic::descriptor::{Function, Streaming, Type};

use crate::gateway::example::Example;
use crate::gateway::model::{Model, Service};

/// A page with a gap for what the caller calls us.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// The page of these services.
    pub(super) fn new(model: &Model) -> Self {
        let mut body = String::new();
        for service in model.services() {
            section(&mut body, model, service);
        }
        let (services, methods) = (count(model.services().len(), "service"), count(model.methods(), "method"));
        let routes = count(model.routes(), "route");
        Self::of(&format!("{services}, {methods}, {routes}"), &body)
    }

    /// A page of these sections.
    pub(super) fn of(summary: &str, body: &str) -> Self {
        Self(TEMPLATE.replace("{{summary}}", summary).replace("{{services}}", body))
    }

    /// The page as a caller sees it that calls us `host`.
    pub(super) fn told_to(&self, host: &str) -> String {
        let host = if host.is_empty() { "localhost" } else { host };
        self.0.replace(HOST, &Escaped(host).to_string())
    }
}

fn section(out: &mut String, model: &Model, service: &Service) {
    let d = &service.descriptor;
    let file = service.file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    put(out, format_args!("<section><h2>{}<small>{}</small></h2>", Escaped(d.name()), Escaped(&file)));
    // One shows what there is to see in the others.
    let mut first = true;
    for function in d.functions() {
        if function.streaming != Streaming::None {
            let what = "streams: not over HTTP";
            put(out, format_args!("<div class=off>{}<span>{what}</span></div>", signature(d, function)));
            continue;
        }
        for route in &function.routes {
            let method = if &*route.method == "*" { "ANY" } else { &route.method };
            entry(out, d, function, method, &route.path, &Example::by_route(model, d, function, route), first);
            first = false;
        }
        let example = Example::by_name(d, function);
        entry(out, d, function, "POST", &example.target, &example, first);
        first = false;
    }
    out.push_str("</section>");
}

fn entry(
    out: &mut String,
    d: &Descriptor,
    function: &Function,
    method: &str,
    path: &str,
    example: &Example,
    open: bool,
) {
    let class = method.to_ascii_lowercase();
    let open = if open { " open" } else { "" };
    put(out, format_args!("<details{open}><summary><b class=\"m {}\">{}</b>", Escaped(&class), Escaped(method)));
    put(out, format_args!("<code class=p>{}</code>{}</summary>", Path(path), signature(d, function)));
    put(out, format_args!("<h3>Request</h3><pre>{}</pre>", Escaped(&example.curl(HOST))));
    if let Some(body) = &example.body {
        let pretty = serde_json::to_string_pretty(body).unwrap_or_default();
        put(out, format_args!("<h3>Body</h3><pre>{}</pre>", Escaped(&pretty)));
    }
    out.push_str("</details>");
}

/// `Service.method(Request) → Response`.
fn signature(d: &Descriptor, function: &Function) -> String {
    let arguments = d.structure(function.arguments).fields.iter().map(|field| name(d, field.ty));
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    let result = if function.oneway { "oneway".to_owned() } else { name(d, function.response) };
    format!(
        "<span class=s>{}.<b>{}</b>({}) → {}</span>",
        Escaped(d.name()),
        Escaped(&function.name),
        Escaped(&arguments),
        Escaped(&result)
    )
}

fn name(d: &Descriptor, ty: Type) -> String {
    match ty {
        Type::Struct(id) => d.structure(id).name.to_string(),
        Type::Enum(id) => d.enumeration(id).name.to_string(),
        Type::List(element) => format!("list<{}>", name(d, d.ty(element))),
        Type::Set(element) => format!("set<{}>", name(d, d.ty(element))),
        Type::Map(key, value) => format!("map<{}, {}>", name(d, d.ty(key)), name(d, d.ty(value))),
        ty => ty.name().to_owned(),
    }
}

pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

pub(super) fn put(out: &mut String, text: fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
}

/// Text that may come from anybody, for a place between tags or in quotes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

/// A path, its placeholders set apart.
struct Path<'a>(&'a str);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.split('/').enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            match segment.find([':', '*']).and_then(|at| segment.split_at_checked(at)) {
                Some((before, name)) => write!(f, "{}<i>{}</i>", Escaped(before), Escaped(name))?,
                None => Escaped(segment).fmt(f)?,
            }
        }
        Ok(())
    }
}

/// Stands for what the caller calls us. No name of an IDL or a host has such a character.
pub(super) const HOST: &str = "\u{1}host\u{1}";
const TEMPLATE: &str = include_str!("page.html");
