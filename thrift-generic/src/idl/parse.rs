//! The grammar (generic-call 1.2, 1.3).

use std::collections::{HashMap, HashSet};

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt};
use nom::sequence::{delimited, pair, preceded, terminated};

use crate::descriptor::{Annotation, Annotations, Requiredness, StructKind, Type as BaseType};
use crate::idl::ast::{
    Const, Definition, Document, Enum, Field, Function, Name, Service, Struct, Type, Typedef, Value, ValueKind,
};
use crate::idl::error::IdlErrorKind;
use crate::idl::token::{
    Fault, Number, Parsed, Span, integer, integer_text, keyword, literal, name, nested, number, separator, shorten,
    symbol, word,
};

/// A whole file.
pub(crate) fn parse(text: &str) -> Result<Document, Fault> {
    match document(Span::new(text)) {
        Ok((_, document)) => Ok(document),
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => Err(fault),
        // Only parsers of streams ask for more.
        Err(nom::Err::Incomplete(_)) => Ok(Document::default()),
    }
}

fn document(span: Span<'_>) -> Parsed<'_, Document> {
    if span.is_empty() {
        return span.fail(IdlErrorKind::Empty);
    }
    let mut document = Document::default();
    let mut span = span;
    let mut seen = HashSet::new();
    while let Ok((rest, (header, _))) = word("")(span) {
        let header: Parsed<'_, Option<Name>> = match header {
            "include" => map(cut(literal("the path of a file in quotes")), Some).parse(rest),
            "cpp_include" => map(cut(literal("the path of a file in quotes")), |_| None).parse(rest),
            "namespace" => map(cut(namespace), |()| None).parse(rest),
            _ => break,
        };
        let (rest, include) = header?;
        document.includes.extend(include.filter(|include| seen.insert(include.text.clone())));
        span = rest;
    }
    span = span.skip();
    while !span.is_empty() {
        let (rest, definition) = definition(span)?;
        document.definitions.push(definition);
        span = rest.skip();
    }
    Ok((span, document))
}

fn namespace(span: Span<'_>) -> Parsed<'_, ()> {
    let scope =
        alt((map(word("a scope of the namespace, or *"), |_| ()), symbol('*', "a scope of the namespace, or *")));
    let (span, _) = (scope, word("the namespace"), annotations).parse(span)?;
    Ok((span, ()))
}

fn definition(span: Span<'_>) -> Parsed<'_, Definition> {
    let (rest, (keyword, _)) = word("a definition")(span)?;
    let (span, definition) = match keyword {
        "const" => map(cut(const_), Definition::Const).parse(rest)?,
        "typedef" => map(cut(typedef), Definition::Typedef).parse(rest)?,
        "enum" => map(cut(enum_), Definition::Enum).parse(rest)?,
        "struct" => map(cut(struct_like(StructKind::Struct)), Definition::Struct).parse(rest)?,
        "union" => map(cut(struct_like(StructKind::Union)), Definition::Struct).parse(rest)?,
        "exception" => map(cut(struct_like(StructKind::Exception)), Definition::Struct).parse(rest)?,
        "service" => map(cut(service), Definition::Service).parse(rest)?,
        "include" | "cpp_include" | "namespace" => {
            return span.skip().expected("a definition (headers stand before all definitions)");
        }
        _ => return span.skip().expected("a definition"),
    };
    // thriftgo wants no separator after a typedef or `}`; Apache Thrift does not mind.
    let (span, _) = (annotations, separator, annotations).parse(span)?;
    Ok((span, definition))
}

fn const_(span: Span<'_>) -> Parsed<'_, Const> {
    let (span, ty) = field_type("the constant's type")(span)?;
    let (span, name) = name("the constant's name")(span)?;
    let (span, value) = preceded(symbol('=', "'='"), value).parse(span)?;
    Ok((span, Const { name, ty, value }))
}

fn typedef(span: Span<'_>) -> Parsed<'_, Typedef> {
    let (span, ty) = field_type("the type to be named")(span)?;
    let (span, name) = name("the type's name")(span)?;
    Ok((span, Typedef { name, ty }))
}

fn enum_(span: Span<'_>) -> Parsed<'_, Enum> {
    let (span, name) = name("the enum's name")(span)?;
    let mut next = 0_i64;
    let value = |span| {
        let (span, (name, _)) = word("a value of the enum, or '}'")(span)?;
        let (span, number) = opt(preceded(symbol('=', "'='"), cut(integer("an integer")))).parse(span)?;
        let (span, _) = (annotations, separator).parse(span)?;
        let number = number.unwrap_or(next);
        next = number.wrapping_add(1);
        Ok((span, (name.into(), number)))
    };
    let (span, values) = block('{', "'{'", '}', value)(span)?;
    Ok((span, Enum { name, values }))
}

fn struct_like<'a>(kind: StructKind) -> impl FnMut(Span<'a>) -> Parsed<'a, Struct> {
    move |span| {
        let (span, name) = name("a name")(span)?;
        let (span, mut fields) = fields('{', "'{'", '}', "a field, or '}'")(span)?;
        if kind == StructKind::Union {
            fields.iter_mut().for_each(|field| field.requiredness = Requiredness::Optional);
        }
        Ok((span, Struct { name, kind, fields }))
    }
}

fn service(span: Span<'_>) -> Parsed<'_, Service> {
    let (span, name) = name("the service's name")(span)?;
    let extends = preceded(keyword("extends", "'extends'"), cut(self::name("the service to extend")));
    let (span, extends) = opt(extends).parse(span)?;
    let (span, functions) = block('{', "'{' or 'extends'", '}', function)(span)?;
    Ok((span, Service { name, extends, functions }))
}

fn function(span: Span<'_>) -> Parsed<'_, Function> {
    const START: &str = "a function, or '}'";
    let (span, oneway) = opt(keyword("oneway", START)).parse(span)?;
    let (span, result) = match keyword("void", START)(span) {
        Ok((span, ())) => (span, None),
        Err(_) => map(field_type(START), Some).parse(span)?,
    };
    let (span, name) = name("the function's name")(span)?;
    let (span, arguments) = fields('(', "'('", ')', "an argument, or ')'")(span)?;
    let throws = preceded(keyword("throws", "'throws'"), cut(fields('(', "'('", ')', "an exception, or ')'")));
    let (span, throws) = opt(throws).parse(span)?;
    let (span, annotations) = terminated(annotations, separator).parse(span)?;
    let mut throws = throws.unwrap_or_default();
    throws.iter_mut().for_each(|field| field.requiredness = Requiredness::Optional);
    Ok((span, Function { name, oneway: oneway.is_some(), result, arguments, throws, annotations }))
}

/// Fields in brackets, each with an id.
fn fields<'a>(
    open: char,
    expected_open: &'static str,
    close: char,
    expected: &'static str,
) -> impl FnMut(Span<'a>) -> Parsed<'a, Vec<Field>> {
    move |span| {
        let mut next = Some(1);
        let field = |span| {
            let start = Span::skip(span);
            let (span, field) = field(next, expected)(span)?;
            match field {
                Some(field) => {
                    next = field.id.checked_add(1);
                    Ok((span, field))
                }
                None => start.fail(IdlErrorKind::FieldId("32768".into())),
            }
        };
        block(open, expected_open, close, field)(span)
    }
}

/// A field; none if it has no id of its own, and `implicit` is none.
fn field<'a>(implicit: Option<i16>, expected: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Option<Field>> {
    move |span| {
        let (span, explicit) = opt(terminated(integer_text("a field's id"), cut(symbol(':', "':'")))).parse(span)?;
        let explicit = match explicit {
            Some((text, start)) => match text.parse() {
                Ok(id) => Some(id),
                Err(_) => return start.fail(IdlErrorKind::FieldId(shorten(text))),
            },
            None => None,
        };
        let expected = if explicit.is_some() { "a field's type" } else { expected };
        let (span, requiredness) = opt(alt((
            map(keyword("required", expected), |()| Requiredness::Required),
            map(keyword("optional", expected), |()| Requiredness::Optional),
        )))
        .parse(span)?;
        let (span, ty) = field_type(expected)(span)?;
        let (span, name) = name("a field's name")(span)?;
        let (span, default) = opt(preceded(symbol('=', "'='"), cut(value))).parse(span)?;
        let (span, annotations) = terminated(annotations, separator).parse(span)?;
        let requiredness = requiredness.unwrap_or(Requiredness::Default);
        let field = explicit.or(implicit).map(|id| Field { id, name, requiredness, ty, default, annotations });
        Ok((span, field))
    }
}

fn field_type<'a>(expected: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Type> {
    move |span| {
        let (rest, (text, at)) = word(expected)(span)?;
        let base = |ty| Ok((rest, Type::Base(ty)));
        let (span, ty) = match text {
            "bool" => base(BaseType::Bool),
            "byte" | "i8" => base(BaseType::Byte),
            "i16" => base(BaseType::I16),
            "i32" => base(BaseType::I32),
            "i64" => base(BaseType::I64),
            "double" => base(BaseType::Double),
            "string" => base(BaseType::String),
            "binary" => base(BaseType::Binary),
            // These are no reserved words: without `<` they are names like any other.
            "map" if opens_container(rest) => {
                let types = pair(terminated(nested_type, symbol(',', "','")), nested_type);
                map(container(types), |types| Type::Map(types.into())).parse(rest)
            }
            "set" if opens_container(rest) => map(container(nested_type), |ty| Type::Set(ty.into())).parse(rest),
            "list" if opens_container(rest) => {
                map(terminated(container(nested_type), opt(cpp_type)), |ty| Type::List(ty.into())).parse(rest)
            }
            _ => Ok((rest, Type::Named(Name { text: text.into(), at }))),
        }?;
        let (span, _) = annotations(span)?;
        Ok((span, ty))
    }
}

fn opens_container(span: Span<'_>) -> bool {
    preceded(opt(cpp_type), symbol('<', "'<'")).parse(span).is_ok()
}

fn container<'a, T>(
    parser: impl Parser<Span<'a>, Output = T, Error = Fault>,
) -> impl Parser<Span<'a>, Output = T, Error = Fault> {
    preceded(opt(cpp_type), cut(delimited(symbol('<', "'<'"), parser, symbol('>', "'>'"))))
}

fn nested_type(span: Span<'_>) -> Parsed<'_, Type> {
    nested(field_type("a type"))(span)
}

fn cpp_type(span: Span<'_>) -> Parsed<'_, ()> {
    map(pair(keyword("cpp_type", "'cpp_type'"), literal("a literal")), |_| ()).parse(span)
}

fn value(span: Span<'_>) -> Parsed<'_, Value> {
    const START: &str = "a constant";
    let at = span.skip().at();
    let number = map(number(START), |number| match number {
        Number::Int(value) => ValueKind::Int(value),
        Number::Double(value) => ValueKind::Double(value),
    });
    let literal = map(literal(START), |literal| ValueKind::Literal(literal.text));
    let name = map(word(START), |(text, _)| ValueKind::Name(text.into()));
    let (span, kind) = alt((number, literal, name, nested(list), nested(map_of_values))).parse(span)?;
    Ok((span, Value { kind, at }))
}

fn list(span: Span<'_>) -> Parsed<'_, ValueKind> {
    map(block('[', "a constant", ']', terminated(value, separator)), ValueKind::List).parse(span)
}

fn map_of_values(span: Span<'_>) -> Parsed<'_, ValueKind> {
    let entry = (terminated(value, symbol(':', "':'")), terminated(value, separator));
    map(block('{', "a constant", '}', entry), ValueKind::Map).parse(span)
}

/// Brackets, and any number of items within.
fn block<'a, T>(
    open: char,
    expected_open: &'static str,
    close: char,
    mut item: impl Parser<Span<'a>, Output = T, Error = Fault>,
) -> impl FnMut(Span<'a>) -> Parsed<'a, Vec<T>> {
    move |span| {
        let (mut span, ()) = symbol(open, expected_open)(span)?;
        let mut items = Vec::new();
        loop {
            if let Ok((rest, ())) = symbol(close, "")(span) {
                return Ok((rest, items));
            }
            // Behind the opening bracket there is nothing else to try.
            let (rest, value) = cut(|span| item.parse(span)).parse(span)?;
            items.push(value);
            span = rest;
        }
    }
}

/// Annotations in brackets, or nothing. Values of one key are gathered at its first place.
fn annotations(span: Span<'_>) -> Parsed<'_, Annotations> {
    let annotation = |span| {
        let (span, (key, _)) = word("an annotation, or ')'")(span)?;
        let (span, value) = delimited(symbol('=', "'='"), literal("a value in quotes"), separator).parse(span)?;
        Ok((span, (key, value.text)))
    };
    let pairs = match symbol('(', "'('")(span) {
        Ok(_) => block('(', "'('", ')', annotation)(span)?,
        Err(_) => return Ok((span, Vec::new())),
    };
    let (span, pairs) = pairs;
    let mut annotations = Annotations::new();
    let mut places = HashMap::new();
    for (key, value) in pairs {
        let place = *places.entry(key).or_insert(annotations.len());
        match annotations.get_mut(place) {
            Some(Annotation { values, .. }) => values.push(value),
            None => annotations.push(Annotation::new(key, vec![value])),
        }
    }
    Ok((span, annotations))
}
