//! From names to what they stand for (generic-call 1.6): of all files first all names, then all uses.

use std::collections::HashMap;

use crate::descriptor::{Annotations, BaseKind, Requiredness, StructKind, Type as BaseType};
use crate::idl::ast;
use crate::idl::ast::{Definition, Name, Offset};
use crate::idl::error::{IdlError, IdlErrorKind};
use crate::idl::load::Source;
use crate::limits::MAX_IDL_DEPTH;

/// Everything that is defined in some file, by numbers.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) types: Types,
    pub(crate) structs: Vec<Struct>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) consts: Vec<Const>,
    pub(crate) services: Vec<Service>,
    /// The services of the main file.
    pub(crate) main_services: Vec<usize>,
}

/// A type without names. Equal types have equal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    Base(BaseType),
    Enum(usize),
    Struct(usize),
    List(TypeNumber),
    Set(TypeNumber),
    Map(TypeNumber, TypeNumber),
}

/// A type among [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TypeNumber(usize);

#[derive(Debug, Default)]
pub(crate) struct Types {
    /// Each with how deep it is.
    types: Vec<(Type, usize)>,
    numbers: HashMap<Type, TypeNumber>,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) file: usize,
    pub(crate) name: Name,
    pub(crate) kind: StructKind,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) id: i16,
    pub(crate) name: Name,
    pub(crate) requiredness: Requiredness,
    pub(crate) ty: TypeNumber,
    /// Whether its type is written as the name of a struct, not as that of a typedef.
    pub(crate) direct: bool,
    pub(crate) base: Option<BaseKind>,
    pub(crate) default: Option<Value>,
    pub(crate) annotations: Annotations,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) file: usize,
    pub(crate) name: Name,
    pub(crate) values: Vec<(Box<str>, i64)>,
    by_name: HashMap<Box<str>, i64>,
}

#[derive(Debug)]
pub(crate) struct Const {
    pub(crate) ty: TypeNumber,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) file: usize,
    pub(crate) name: Name,
    pub(crate) extends: Option<usize>,
    pub(crate) functions: Vec<Function>,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Name,
    pub(crate) oneway: bool,
    /// None for void.
    pub(crate) result: Option<TypeNumber>,
    pub(crate) arguments: Vec<Field>,
    pub(crate) throws: Vec<Field>,
    pub(crate) annotations: Annotations,
}

/// A constant, and where it stands.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) kind: ValueKind,
    pub(crate) at: Offset,
}

#[derive(Debug)]
pub(crate) enum ValueKind {
    Bool(bool),
    Int(i64),
    Double(f64),
    Literal(Box<str>),
    Const(usize),
    EnumValue(i64),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Types {
    /// The type behind a number.
    pub(crate) fn get(&self, number: TypeNumber) -> Type {
        self.types.get(number.0).map_or(Type::Base(BaseType::Void), |(ty, _)| *ty)
    }

    /// The number of a type, none if it is too deep.
    fn number(&mut self, ty: Type) -> Option<TypeNumber> {
        if let Some(number) = self.numbers.get(&ty) {
            return Some(*number);
        }
        let depth_of = |number: TypeNumber| self.types.get(number.0).map_or(0, |(_, depth)| *depth);
        let depth = match ty {
            Type::List(element) | Type::Set(element) => depth_of(element).saturating_add(1),
            Type::Map(key, value) => depth_of(key).max(depth_of(value)).saturating_add(1),
            Type::Base(_) | Type::Enum(_) | Type::Struct(_) => 0,
        };
        if depth > MAX_IDL_DEPTH {
            return None;
        }
        let number = TypeNumber(self.types.len());
        self.types.push((ty, depth));
        self.numbers.insert(ty, number);
        Some(number)
    }
}

/// Takes the definitions out of their files.
pub(crate) fn resolve(sources: &mut [Source]) -> Result<Model, IdlError> {
    let taken: Vec<_> = sources.iter_mut().map(|source| std::mem::take(&mut source.document.definitions)).collect();
    let mut resolver = Resolver::new(sources);
    let mut files = Vec::new();
    for (file, definitions) in taken.into_iter().enumerate() {
        files.push(resolver.declare(file, definitions)?);
    }
    resolver.resolve_typedefs()?;
    for (file, definitions) in files.into_iter().enumerate() {
        for definition in definitions {
            resolver.define(file, definition)?;
        }
    }
    resolver.check_extends()?;
    Ok(resolver.model)
}

/// What a name stands for.
#[derive(Clone, Copy)]
enum Meaning {
    Const(usize),
    Typedef(usize),
    Enum(usize),
    Struct(usize, StructKind),
    Service(usize),
}

impl Meaning {
    /// In Kitex's words.
    fn category(self) -> &'static str {
        match self {
            Self::Const(_) => "Constant",
            Self::Typedef(_) => "Typedef",
            Self::Enum(_) => "Enum",
            Self::Struct(_, StructKind::Union) => "Union",
            Self::Struct(_, StructKind::Exception) => "Exception",
            Self::Struct(..) => "Struct",
            Self::Service(_) => "Service",
        }
    }
}

struct Typedef {
    file: usize,
    name: Name,
    ty: ast::Type,
    resolved: Option<TypeNumber>,
}

struct Resolver<'a> {
    sources: &'a [Source],
    model: Model,
    /// The names of each file.
    names: Vec<HashMap<Box<str>, Meaning>>,
    /// The includes of each file, by prefix.
    includes: Vec<HashMap<&'a str, Vec<usize>>>,
    typedefs: Vec<Typedef>,
    /// How many constants and services are declared so far; enums and structs are defined in the order of declaration.
    consts: usize,
    services: usize,
    structs: usize,
}

/// Behind what a name was looked for: the beginning of an error.
type User<'a> = &'a dyn Fn() -> String;

impl<'a> Resolver<'a> {
    fn new(sources: &'a [Source]) -> Self {
        let includes = sources
            .iter()
            .map(|source| {
                let mut by_prefix: HashMap<&str, Vec<usize>> = HashMap::new();
                for (prefix, file) in &source.includes {
                    by_prefix.entry(prefix).or_default().push(*file);
                }
                by_prefix
            })
            .collect();
        Self {
            sources,
            model: Model::default(),
            names: Vec::new(),
            includes,
            typedefs: Vec::new(),
            consts: 0,
            services: 0,
            structs: 0,
        }
    }

    /// Notes the names of a file, and gives back what is yet to be defined.
    fn declare(&mut self, file: usize, definitions: Vec<Definition>) -> Result<Vec<Definition>, IdlError> {
        let mut names = HashMap::new();
        let mut rest = Vec::new();
        for definition in definitions {
            let (name, meaning) = match &definition {
                Definition::Const(definition) => (&definition.name, Meaning::Const(next(&mut self.consts))),
                Definition::Typedef(definition) => (&definition.name, Meaning::Typedef(self.typedefs.len())),
                Definition::Enum(definition) => (&definition.name, Meaning::Enum(self.model.enums.len())),
                Definition::Struct(definition) => {
                    (&definition.name, Meaning::Struct(next(&mut self.structs), definition.kind))
                }
                Definition::Service(definition) => (&definition.name, Meaning::Service(next(&mut self.services))),
            };
            if names.insert(name.text.clone(), meaning).is_some() {
                return Err(self.error(file, name.at, IdlErrorKind::Duplicate(name.text.clone())));
            }
            match definition {
                Definition::Typedef(ast::Typedef { name, ty }) => {
                    self.typedefs.push(Typedef { file, name, ty, resolved: None });
                }
                Definition::Enum(ast::Enum { name, values }) => {
                    let by_name = values.iter().cloned().collect();
                    self.model.enums.push(Enum { file, name, values, by_name });
                }
                definition => rest.push(definition),
            }
        }
        self.names.push(names);
        Ok(rest)
    }

    /// Resolves typedefs in an order in which each one's own are resolved before.
    fn resolve_typedefs(&mut self) -> Result<(), IdlError> {
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); self.typedefs.len()];
        let mut missing = vec![0_usize; self.typedefs.len()];
        for (number, (typedef, missing)) in self.typedefs.iter().zip(&mut missing).enumerate() {
            for name in names_in(&typedef.ty) {
                if let Some(Meaning::Typedef(other)) = self.find(typedef.file, &name.text) {
                    *missing = missing.saturating_add(1);
                    waiting.get_mut(other).into_iter().for_each(|waiting| waiting.push(number));
                }
            }
        }
        let ready = missing.iter().enumerate().filter(|(_, missing)| **missing == 0);
        let mut ready: Vec<usize> = ready.map(|(number, _)| number).collect();
        while let Some(number) = ready.pop() {
            let Some(place) = self.typedefs.get_mut(number) else { continue };
            let (file, at) = (place.file, place.name.at);
            let ty = std::mem::replace(&mut place.ty, ast::Type::Base(BaseType::Void));
            let name = place.name.text.clone();
            let user = || format!("typedef {name:?}");
            let resolved = self.ty(file, &ty, at, &user)?;
            self.typedefs.get_mut(number).into_iter().for_each(|typedef| typedef.resolved = Some(resolved));
            for waiting in waiting.get_mut(number).map(std::mem::take).unwrap_or_default() {
                let Some(missing) = missing.get_mut(waiting) else { continue };
                *missing = missing.saturating_sub(1);
                if *missing == 0 {
                    ready.push(waiting);
                }
            }
        }
        let mut unresolved = self.typedefs.iter().filter(|typedef| typedef.resolved.is_none());
        let Some(first) = unresolved.next() else { return Ok(()) };
        let list: Vec<_> = std::iter::once(first)
            .chain(unresolved)
            .take(MAX_LISTED)
            .map(|typedef| format!("{:?} in {:?}", typedef.name.text, self.file_name(typedef.file)))
            .collect();
        Err(self.error(first.file, first.name.at, IdlErrorKind::TypedefCycle(list.join(", ").into())))
    }

    fn define(&mut self, file: usize, definition: Definition) -> Result<(), IdlError> {
        match definition {
            Definition::Const(definition) => {
                let user = || format!("constant {:?}", definition.name.text);
                let ty = self.ty(file, &definition.ty, definition.name.at, &user)?;
                let value = self.value(file, definition.value, &user)?;
                self.model.consts.push(Const { ty, value });
            }
            Definition::Struct(ast::Struct { name, kind, fields }) => {
                let fields = self.fields(file, fields, "field", &name.text)?;
                self.model.structs.push(Struct { file, name, kind, fields });
            }
            Definition::Service(definition) => self.service(file, definition)?,
            Definition::Typedef(_) | Definition::Enum(_) => {}
        }
        Ok(())
    }

    fn fields(
        &mut self,
        file: usize,
        fields: Vec<ast::Field>,
        what: &str,
        owner: &str,
    ) -> Result<Vec<Field>, IdlError> {
        fields.into_iter().map(|field| self.field(file, field, what, owner)).collect()
    }

    fn field(&mut self, file: usize, field: ast::Field, what: &str, owner: &str) -> Result<Field, IdlError> {
        let name = field.name;
        let ty = self.ty(file, &field.ty, name.at, &|| format!("resolve {what} {:?} of {owner:?}", name.text))?;
        let user = || format!("resolve default value of {:?} of {owner:?}", name.text);
        let default = field.default.map(|value| self.value(file, value, &user)).transpose()?;
        let (mut base, mut direct) = (None, false);
        if let ast::Type::Named(written) = &field.ty {
            base = match &*written.text {
                "base.Base" => Some(BaseKind::Base),
                "base.BaseResp" => Some(BaseKind::BaseResp),
                _ => None,
            };
            direct = matches!(self.find(file, &written.text), Some(Meaning::Struct(..)));
        }
        Ok(Field {
            id: field.id,
            name,
            requiredness: field.requiredness,
            ty,
            direct,
            base: base.filter(|_| direct),
            default,
            annotations: field.annotations,
        })
    }

    fn service(&mut self, file: usize, service: ast::Service) -> Result<(), IdlError> {
        let extends = match &service.extends {
            None => None,
            Some(base) => match self.find(file, &base.text) {
                Some(Meaning::Service(base)) => Some(base),
                _ => {
                    let kind =
                        IdlErrorKind::UnknownBase { base: base.text.clone(), service: service.name.text.clone() };
                    return Err(self.error(file, base.at, kind));
                }
            },
        };
        let owner = &service.name.text;
        let mut functions = Vec::new();
        for function in service.functions {
            let name = function.name;
            let user = || format!("function {:?} of service {owner:?}", name.text);
            let result = function.result.map(|ty| self.ty(file, &ty, name.at, &user)).transpose()?;
            let of = format!("{}.{}", owner, name.text);
            let arguments = self.fields(file, function.arguments, "argument", &of)?;
            let throws = self.fields(file, function.throws, "exception", &of)?;
            let (oneway, annotations) = (function.oneway, function.annotations);
            functions.push(Function { name, oneway, result, arguments, throws, annotations });
        }
        if file == 0 {
            self.model.main_services.push(self.model.services.len());
        }
        self.model.services.push(Service { file, name: service.name, extends, functions });
        Ok(())
    }

    /// No service is its own ancestor.
    fn check_extends(&self) -> Result<(), IdlError> {
        let services = &self.model.services;
        let mut checked = vec![false; services.len()];
        for start in 0..services.len() {
            let mut way = Vec::new();
            let mut at = Some(start);
            while let Some(number) = at.filter(|&number| checked.get(number) == Some(&false)) {
                checked.get_mut(number).into_iter().for_each(|checked| *checked = true);
                way.push(number);
                at = services.get(number).and_then(|service| service.extends);
            }
            if let Some(service) = at.filter(|number| way.contains(number)).and_then(|number| services.get(number)) {
                let kind = IdlErrorKind::ExtendsCycle(service.name.text.clone());
                return Err(self.error(service.file, service.name.at, kind));
            }
        }
        Ok(())
    }

    /// What a name stands for in a file; that of a direct include if there is a dot in it.
    fn find(&self, file: usize, name: &str) -> Option<Meaning> {
        match split(name) {
            ("", name) => self.names.get(file)?.get(name).copied(),
            (prefix, name) => self.included(file, prefix).find_map(|file| self.names.get(file)?.get(name).copied()),
        }
    }

    fn included(&self, file: usize, prefix: &str) -> impl Iterator<Item = usize> {
        self.includes.get(file).and_then(|includes| includes.get(prefix)).into_iter().flatten().copied()
    }

    fn ty(&mut self, file: usize, ty: &ast::Type, at: Offset, user: User<'_>) -> Result<TypeNumber, IdlError> {
        let ty = match ty {
            ast::Type::Base(ty) => Type::Base(*ty),
            ast::Type::Named(name) => match self.find(file, &name.text) {
                Some(Meaning::Enum(number)) => Type::Enum(number),
                Some(Meaning::Struct(number, _)) => Type::Struct(number),
                Some(Meaning::Typedef(number)) => {
                    let resolved = self.typedefs.get(number).and_then(|typedef| typedef.resolved);
                    return resolved.ok_or_else(|| self.undefined_type(file, name, user));
                }
                Some(meaning @ (Meaning::Const(_) | Meaning::Service(_))) => {
                    let (user, category) = (user().into(), meaning.category());
                    let (name, at, file_name) = (name.text.clone(), name.at, self.file_name(file));
                    let kind = IdlErrorKind::NotAType { user, name, category, file: file_name };
                    return Err(self.error(file, at, kind));
                }
                None => return Err(self.undefined_type(file, name, user)),
            },
            ast::Type::List(element) => Type::List(self.ty(file, element, at, user)?),
            ast::Type::Set(element) => Type::Set(self.ty(file, element, at, user)?),
            ast::Type::Map(types) => {
                let (key, value) = &**types;
                Type::Map(self.ty(file, key, at, user)?, self.ty(file, value, at, user)?)
            }
        };
        self.model.types.number(ty).ok_or_else(|| self.error(file, at, IdlErrorKind::TooDeep))
    }

    fn value(&self, file: usize, value: ast::Value, user: User<'_>) -> Result<Value, IdlError> {
        let at = value.at;
        let kind = match value.kind {
            ast::ValueKind::Int(value) => ValueKind::Int(value),
            ast::ValueKind::Double(value) => ValueKind::Double(value),
            ast::ValueKind::Literal(text) => ValueKind::Literal(text),
            ast::ValueKind::Name(name) => self.named_value(file, name, at, user)?,
            ast::ValueKind::List(elements) => {
                let elements = elements.into_iter().map(|element| self.value(file, element, user));
                ValueKind::List(elements.collect::<Result<_, _>>()?)
            }
            ast::ValueKind::Map(entries) => {
                let entries = entries
                    .into_iter()
                    .map(|(key, value)| Ok((self.value(file, key, user)?, self.value(file, value, user)?)));
                ValueKind::Map(entries.collect::<Result<_, IdlError>>()?)
            }
        };
        Ok(Value { kind, at })
    }

    /// A constant's name, or that of an enum's value behind the enum's.
    fn named_value(&self, file: usize, name: Box<str>, at: Offset, user: User<'_>) -> Result<ValueKind, IdlError> {
        match &*name {
            "true" => return Ok(ValueKind::Bool(true)),
            "false" => return Ok(ValueKind::Bool(false)),
            _ => {}
        }
        let mut found = Vec::new();
        if let Some(Meaning::Const(number)) = self.find(file, &name) {
            found.push(ValueKind::Const(number));
        }
        if let Some((owner, value)) = name.rsplit_once('.') {
            let owner = match self.find(file, owner) {
                Some(Meaning::Enum(number)) => self.model.enums.get(number),
                Some(Meaning::Typedef(number)) => {
                    self.typedefs.get(number).and_then(|typedef| typedef.resolved).and_then(|number| {
                        match self.model.types.get(number) {
                            Type::Enum(number) => self.model.enums.get(number),
                            _ => None,
                        }
                    })
                }
                _ => None,
            };
            let number = owner.and_then(|owner| owner.by_name.get(value));
            found.extend(number.map(|number| ValueKind::EnumValue(*number)));
        }
        let ambiguous = found.len() > 1;
        match found.pop() {
            Some(value) if !ambiguous => Ok(value),
            found => {
                let (user, file_name) = (user().into(), self.file_name(file));
                let kind = match found {
                    Some(_) => IdlErrorKind::AmbiguousValue { user, name, file: file_name },
                    None => IdlErrorKind::UndefinedValue { user, name, file: file_name },
                };
                Err(self.error(file, at, kind))
            }
        }
    }

    #[cold]
    fn undefined_type(&self, file: usize, name: &Name, user: User<'_>) -> IdlError {
        let (user, file_name) = (user().into(), self.file_name(file));
        self.error(file, name.at, IdlErrorKind::UndefinedType { user, name: name.text.clone(), file: file_name })
    }

    fn file_name(&self, file: usize) -> Box<str> {
        self.sources.get(file).map(Source::name).unwrap_or_default()
    }

    #[cold]
    fn error(&self, file: usize, at: Offset, kind: IdlErrorKind) -> IdlError {
        match self.sources.get(file) {
            Some(source) => source.error(kind, at),
            None => IdlError::new(kind),
        }
    }
}

/// The most that a message names of many.
const MAX_LISTED: usize = 10;

fn next(count: &mut usize) -> usize {
    let number = *count;
    *count = count.saturating_add(1);
    number
}

/// A file's prefix, empty for none, and a name in that file.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// The names in a type. Its depth was limited when it was parsed.
fn names_in(ty: &ast::Type) -> Vec<&Name> {
    match ty {
        ast::Type::Base(_) => Vec::new(),
        ast::Type::Named(name) => vec![name],
        ast::Type::List(element) | ast::Type::Set(element) => names_in(element),
        ast::Type::Map(types) => {
            let (key, value) = &**types;
            let mut names = names_in(key);
            names.extend(names_in(value));
            names
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i_20_a_name_is_split_at_its_last_dot() {
        assert_eq!(split(".A"), ("", "A"));
        assert_eq!(split("foo.bar.A"), ("foo.bar", "A"));
        assert_eq!(split("A"), ("", "A"));
        assert_eq!(split(""), ("", ""));
    }
}
