//! From a parsed IDL to a descriptor.

use std::collections::{HashMap, HashSet};

use crate::descriptor::constant::{Constants, Member, Target, Types, low};
use crate::descriptor::effect::{Effects, bare_field, streaming};
use crate::descriptor::{
    Descriptor, Enum, EnumId, Field, FieldSet, Function, Registry, Requiredness, Struct, StructId, StructKind, Type,
    TypeId,
};
use crate::http::Router;
use crate::idl::names::{Field as IdlField, Function as IdlFunction, Service, Type as IdlType, TypeNumber};
use crate::idl::{Idl, IdlError, IdlErrorKind};
use crate::limits::MAX_IDL_LEN;
use crate::options::Profile;

/// Which services of the main file a descriptor takes (generic-call 1.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "Kitex has these three")]
pub enum ParseMode {
    /// The last one.
    #[default]
    Last,
    /// The first one.
    First,
    /// All, as one named `CombinedServices`.
    Combine,
}

/// Why no descriptor can be built: always something in the IDL, and so of the same type.
pub type BuildError = IdlError;

/// Builds descriptors (generic-call 1.7 to 1.9).
///
/// ```
/// use thrift_generic::descriptor::{Builder, ParseMode};
/// use thrift_generic::idl::Idl;
///
/// let idl = Idl::from_text("service A { void Hi(1: string name) } service B { i64 Count(1: string of) }")?;
/// assert_eq!(Builder::new().build(&idl)?.name(), "B");
/// assert_eq!(Builder::new().service("A").build(&idl)?.name(), "A");
/// assert_eq!(Builder::new().mode(ParseMode::Combine).build(&idl)?.functions().len(), 2);
/// # Ok::<(), thrift_generic::descriptor::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    mode: ParseMode,
    service: Option<Box<str>>,
    go_tag: Option<bool>,
    profile: Profile,
    registry: Registry,
    duplicate_ids: bool,
    no_arguments: bool,
}

impl Builder {
    /// The last service, the default profile, and aliases by `go.tag`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which services are taken.
    #[must_use]
    pub fn mode(mut self, mode: ParseMode) -> Self {
        self.mode = mode;
        self
    }

    /// The service with this name is taken, whatever the mode.
    #[must_use]
    pub fn service(mut self, name: impl Into<Box<str>>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// Whether `go.tag` gives fields an alias. Unless this is called, it does so if the environment variable
    /// `KITEX_GENERIC_GOTAG_ALIAS_DISABLED` is not `True`.
    #[must_use]
    pub fn go_tag(mut self, alias: bool) -> Self {
        self.go_tag = Some(alias);
        self
    }

    /// Whose rules annotations follow. [`Profile::Dynamic`] compares the keys of fields' annotations without regard to
    /// case, takes `api.key` for an alias, and leaves out fields with `dynamicgo.deprecated`.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The user's own annotations.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Whether two fields of a struct may have the same id. Kitex allows it, and knows the later one only.
    #[must_use]
    pub fn allow_duplicate_ids(mut self, allow: bool) -> Self {
        self.duplicate_ids = allow;
        self
    }

    /// Whether methods may have no arguments. Kitex's generic calls don't allow it; [`Function::request`] is
    /// [`Type::Void`] then.
    #[must_use]
    pub fn allow_no_arguments(mut self, allow: bool) -> Self {
        self.no_arguments = allow;
        self
    }

    /// Builds a descriptor: of the services chosen and their ancestors all methods, with all types that they reach.
    ///
    /// # Errors
    ///
    /// There is no such service; or some default, annotation or route of it can't be right.
    pub fn build(&self, idl: &Idl) -> Result<Descriptor, BuildError> {
        let services = &idl.model.services;
        let own = &idl.model.main_services;
        let (Some(first), Some(last)) = (own.first(), own.last()) else {
            return Err(IdlError::new(IdlErrorKind::NoService));
        };
        let name_of = |number: &usize| services.get(*number).map(|service| service.name.text.clone());
        let (chosen, name) = match (&self.service, self.mode) {
            (Some(name), _) => match own.iter().find(|number| name_of(number).as_ref() == Some(name)) {
                Some(number) => (vec![*number], Some(name.clone())),
                None => return Err(IdlError::new(IdlErrorKind::UnknownService(name.clone()))),
            },
            (None, ParseMode::Last) => (vec![*last], name_of(last)),
            (None, ParseMode::First) => (vec![*first], name_of(first)),
            (None, ParseMode::Combine) => (own.clone(), None),
        };
        let mut draft = Draft::new(self, idl);
        let mut visited = HashSet::new();
        for chosen in chosen {
            let mut next = Some(chosen);
            while let Some((number, service)) = next.and_then(|number| Some((number, services.get(number)?))) {
                // Its ancestors were visited along with it.
                if !visited.insert(number) {
                    break;
                }
                draft.add_service(service)?;
                next = service.extends;
            }
        }
        draft.finish(name)
    }
}

/// A descriptor in the making.
struct Draft<'a> {
    builder: &'a Builder,
    idl: &'a Idl,
    effects: Effects<'a>,
    functions: Vec<Function>,
    functions_by_name: HashMap<Box<str>, usize>,
    /// Where each function stands.
    places: Vec<(usize, usize)>,
    types: Vec<Type>,
    type_ids: HashMap<Type, TypeId>,
    known: HashMap<TypeNumber, Type>,
    structs: Vec<StructDraft<'a>>,
    struct_ids: HashMap<usize, StructId>,
    enums: Vec<Enum>,
    enum_ids: HashMap<usize, EnumId>,
}

struct StructDraft<'a> {
    name: Box<str>,
    kind: StructKind,
    file: usize,
    fields: Vec<Field>,
    /// What the fields are made from, in the same order.
    sources: Vec<&'a IdlField>,
    by_name: HashMap<&'a str, usize>,
    by_key: HashMap<Box<str>, usize>,
    /// Its number in the IDL, until its fields are there.
    pending: Option<usize>,
}

impl<'a> Draft<'a> {
    fn new(builder: &'a Builder, idl: &'a Idl) -> Self {
        Self {
            builder,
            idl,
            effects: Effects::new(builder.profile, builder.go_tag, &builder.registry),
            functions: Vec::new(),
            functions_by_name: HashMap::new(),
            places: Vec::new(),
            types: Vec::new(),
            type_ids: HashMap::new(),
            known: HashMap::new(),
            structs: Vec::new(),
            struct_ids: HashMap::new(),
            enums: Vec::new(),
            enum_ids: HashMap::new(),
        }
    }

    fn add_service(&mut self, service: &'a Service) -> Result<(), IdlError> {
        for function in &service.functions {
            self.add_function(service, function)
                .map_err(|trouble| trouble.placed(self.idl, service.file, function.name.at))?;
        }
        Ok(())
    }

    fn add_function(&mut self, service: &'a Service, function: &'a IdlFunction) -> Result<(), Trouble> {
        let (name, at) = (&function.name.text, function.name.at);
        if self.functions_by_name.insert(name.clone(), self.functions.len()).is_some() {
            return Err(IdlErrorKind::DuplicateMethod(name.clone()).into());
        }
        let first = function.arguments.first();
        if first.is_none() && !self.builder.no_arguments {
            return Err(IdlErrorKind::NoArguments(name.clone()).into());
        }
        let streaming = streaming(function)?;
        if function.throws.iter().any(|throws| throws.id == 0) {
            return Err(IdlErrorKind::ThrowsId(name.clone()).into());
        }
        let request = first.map_or(Type::Void, |first| self.ty(first.ty));
        let response = function.result.map_or(Type::Void, |ty| self.ty(ty));
        let arguments = self.arguments(service.file, function)?;
        let result = self.result(service.file, function, response)?;
        let function = Function {
            name: name.clone(),
            service: service.name.text.clone(),
            oneway: function.oneway,
            arguments,
            result,
            request,
            response,
            streaming,
            has_base: false,
            annotations: function.annotations.clone(),
            routes: Vec::new(),
        };
        let routes = self.effects.routes(&function);
        self.functions.push(Function { routes, has_base: first.is_some_and(|first| first.direct), ..function });
        self.places.push((service.file, at));
        Ok(())
    }

    fn arguments(&mut self, file: usize, function: &'a IdlFunction) -> Result<StructId, Trouble> {
        let mut draft = StructDraft::new(&function.name.text, StructKind::Arguments, file);
        for field in &function.arguments {
            draft.push(field, self.plain_field(field, Requiredness::Default));
        }
        self.check_ids(&draft)?;
        Ok(self.add_struct(draft))
    }

    fn result(&mut self, file: usize, function: &'a IdlFunction, response: Type) -> Result<StructId, Trouble> {
        let mut draft = StructDraft::new(&function.name.text, StructKind::Result, file);
        for field in &function.throws {
            draft.push(field, self.plain_field(field, Requiredness::Optional));
        }
        self.check_ids(&draft)?;
        if response != Type::Void {
            draft.fields.insert(0, bare_field(0, "", Requiredness::Optional, response));
        }
        Ok(self.add_struct(draft))
    }

    /// A field whose annotations have no effect, and that has no default: one of arguments and results.
    fn plain_field(&mut self, field: &IdlField, requiredness: Requiredness) -> Field {
        let ty = self.ty(field.ty);
        Field { annotations: field.annotations.clone(), ..bare_field(field.id, &field.name.text, requiredness, ty) }
    }

    fn add_struct(&mut self, draft: StructDraft<'a>) -> StructId {
        let id = StructId(id_of(self.structs.len()));
        self.structs.push(draft);
        id
    }

    /// A type of the IDL as one of the descriptor. Its depth is limited.
    fn ty(&mut self, number: TypeNumber) -> Type {
        if let Some(ty) = self.known.get(&number) {
            return *ty;
        }
        let ty = match self.idl.model.types.get(number) {
            IdlType::Base(ty) => ty,
            IdlType::Enum(number) => Type::Enum(self.enumeration(number)),
            IdlType::Struct(number) => Type::Struct(self.structure(number)),
            IdlType::List(element) => Type::List(self.type_id(element)),
            IdlType::Set(element) => Type::Set(self.type_id(element)),
            IdlType::Map(key, value) => Type::Map(self.type_id(key), self.type_id(value)),
        };
        self.known.insert(number, ty);
        ty
    }

    fn type_id(&mut self, number: TypeNumber) -> TypeId {
        let ty = self.ty(number);
        let next = TypeId(id_of(self.types.len()));
        let id = *self.type_ids.entry(ty).or_insert(next);
        if id == next {
            self.types.push(ty);
        }
        id
    }

    fn enumeration(&mut self, number: usize) -> EnumId {
        let next = EnumId(id_of(self.enums.len()));
        let id = *self.enum_ids.entry(number).or_insert(next);
        if let Some(source) = self.idl.model.enums.get(number).filter(|_| id == next) {
            let values = source.values.iter().map(|(name, value)| (name.clone(), low(*value))).collect();
            self.enums.push(Enum { name: self.idl.full_name(source.file, &source.name.text), values });
        }
        id
    }

    /// A struct's id; its fields come later, so that it may contain itself.
    fn structure(&mut self, number: usize) -> StructId {
        if let Some(id) = self.struct_ids.get(&number) {
            return *id;
        }
        let mut draft = StructDraft::new("", StructKind::Struct, 0);
        if let Some(source) = self.idl.model.structs.get(number) {
            let name = self.idl.full_name(source.file, &source.name.text);
            draft = StructDraft { name, ..StructDraft::new("", source.kind, source.file) };
        }
        draft.pending = Some(number);
        let id = self.add_struct(draft);
        self.struct_ids.insert(number, id);
        id
    }

    fn finish(mut self, name: Option<Box<str>>) -> Result<Descriptor, IdlError> {
        let mut at = 0;
        while at < self.structs.len() {
            self.fill(at)?;
            at = at.saturating_add(1);
        }
        self.set_defaults()?;
        for function in &mut self.functions {
            let Type::Struct(StructId(id)) = function.request else {
                function.has_base = false;
                continue;
            };
            let fields = self.structs.get(super::index(id)).map(|draft| &draft.fields[..]).unwrap_or_default();
            function.has_base &= fields.iter().any(|field| field.base == Some(super::BaseKind::Base));
        }
        let structs = self.structs.into_iter();
        let descriptor = Descriptor {
            combined: name.is_none(),
            profile: self.builder.profile,
            name: name.unwrap_or_else(|| COMBINED.into()),
            functions: self.functions,
            functions_by_name: self.functions_by_name,
            types: self.types,
            structs: structs.map(|s| Struct { name: s.name, kind: s.kind, fields: FieldSet::new(s.fields) }).collect(),
            enums: self.enums,
        };
        check_routes(self.idl, &descriptor, &self.places)?;
        Ok(descriptor)
    }

    /// Makes the fields of a struct.
    fn fill(&mut self, at: usize) -> Result<(), IdlError> {
        let Some(mut draft) = self.structs.get_mut(at).filter(|draft| draft.pending.is_some()).map(StructDraft::take)
        else {
            return Ok(());
        };
        let source = draft.pending.and_then(|number| self.idl.model.structs.get(number));
        for field in source.map(|source| &source.fields).into_iter().flatten() {
            let ty = self.ty(field.ty);
            let made = self.effects.field(field, ty).map_err(|kind| self.idl.error(draft.file, field.name.at, kind))?;
            if let Some(made) = made {
                draft.push(field, made);
            }
        }
        draft.pending = None;
        self.check_ids(&draft).map_err(|trouble| trouble.placed(self.idl, draft.file, 0))?;
        if let Some(place) = self.structs.get_mut(at) {
            *place = draft;
        }
        Ok(())
    }

    fn check_ids(&self, draft: &StructDraft<'_>) -> Result<(), Trouble> {
        let mut seen: HashMap<i16, &IdlField> = HashMap::new();
        for field in draft.sources.iter().filter(|_| !self.builder.duplicate_ids) {
            if let Some(other) = seen.insert(field.id, field) {
                let owner = draft.name.clone();
                let (name, other) = (field.name.text.clone(), other.name.text.clone());
                let kind = IdlErrorKind::DuplicateFieldId { owner, name, other, id: field.id };
                return Err(Trouble { kind, at: Some(field.name.at) });
            }
        }
        Ok(())
    }

    /// Once all fields are there, because defaults of structs go by the effective names of their fields.
    fn set_defaults(&mut self) -> Result<(), IdlError> {
        let mut defaults = Vec::new();
        let mut constants = Constants { idl: self.idl, types: &*self, room: MAX_IDL_LEN };
        for (number, draft) in self.structs.iter().enumerate() {
            if matches!(draft.kind, StructKind::Arguments | StructKind::Result) {
                continue;
            }
            for (index, (field, source)) in draft.fields.iter().zip(&draft.sources).enumerate() {
                if let Some(constant) = &source.default {
                    let target = Target { file: draft.file, at: constant.at, name: &source.name.text };
                    defaults.push((number, index, constants.value(target, field.ty, constant)?));
                }
            }
        }
        for (number, index, default) in defaults {
            if let Some(field) = self.structs.get_mut(number).and_then(|draft| draft.fields.get_mut(index)) {
                field.default = Some(default);
            }
        }
        Ok(())
    }
}

impl Types for Draft<'_> {
    fn ty(&self, id: TypeId) -> Type {
        self.types.get(super::index(id.0)).copied().unwrap_or(Type::Void)
    }

    fn member(&self, ty: Type, name: &str) -> Option<Member> {
        let draft = self.draft_of(ty)?;
        let at = *draft.by_name.get(name)?;
        let field = draft.fields.get(at)?;
        Some(Member { key: field.key.clone(), ty: field.ty, hidden: draft.by_key.get(&field.key) != Some(&at) })
    }

    fn struct_name(&self, ty: Type) -> (Box<str>, Box<str>) {
        self.draft_of(ty).map(|draft| (draft.name.clone(), self.idl.file_name(draft.file))).unwrap_or_default()
    }
}

impl Draft<'_> {
    fn draft_of(&self, ty: Type) -> Option<&StructDraft<'_>> {
        match ty {
            Type::Struct(StructId(id)) => self.structs.get(super::index(id)),
            _ => None,
        }
    }
}

impl<'a> StructDraft<'a> {
    fn new(name: &str, kind: StructKind, file: usize) -> Self {
        let (fields, sources, by_name, by_key) = Default::default();
        Self { name: name.into(), kind, file, fields, sources, by_name, by_key, pending: None }
    }

    fn push(&mut self, source: &'a IdlField, field: Field) {
        self.by_name.insert(&source.name.text, self.fields.len());
        self.by_key.insert(field.key.clone(), self.fields.len());
        self.sources.push(source);
        self.fields.push(field);
    }

    /// Leaves an empty one of the same name.
    fn take(&mut self) -> Self {
        let empty = Self { name: self.name.clone(), ..Self::new("", self.kind, self.file) };
        std::mem::replace(self, empty)
    }
}

/// What is wrong, and where, if that is not the function or struct as a whole.
struct Trouble {
    kind: IdlErrorKind,
    at: Option<usize>,
}

impl Trouble {
    fn placed(self, idl: &Idl, file: usize, at: usize) -> IdlError {
        idl.error(file, self.at.unwrap_or(at), self.kind)
    }
}

impl From<IdlErrorKind> for Trouble {
    fn from(kind: IdlErrorKind) -> Self {
        Self { kind, at: None }
    }
}

/// Whether one router could serve all routes.
fn check_routes(idl: &Idl, descriptor: &Descriptor, places: &[(usize, usize)]) -> Result<(), IdlError> {
    let mut router = Router::builder();
    let number = router.add_descriptor();
    for (index, (function, (file, at))) in descriptor.functions.iter().zip(places).enumerate() {
        for route in &function.routes {
            let added = router.add_route(number, index, descriptor, route);
            added.map_err(|error| idl.error(*file, *at, IdlErrorKind::Route(error)))?;
        }
    }
    Ok(())
}

fn id_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The name of several services as one.
const COMBINED: &str = "CombinedServices";
