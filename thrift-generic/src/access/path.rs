use std::fmt;

use thrift_codec::{MAX_DEPTH, TType};

use crate::access::found::Found;
use crate::access::get::get;
use crate::access::set::{Change, set};
use crate::access::tree::{Child, Key, Node, Select};
use crate::descriptor::{Descriptor, Requiredness, Type};
use crate::error::Error;
use crate::path::Step;

/// A way into a value: `items[3].price`, `tags["a"]`, `by_id[7]`.
///
/// A name is a field's effective name; one that no field has may be a field's id (`255.6`). In brackets stand the
/// place of an element, counted from 0, or a key: text in quotation marks, in which `\"` and `\\` are escapes; a
/// number; `true` and `false`; the name of an enum's value. A field whose name has a dot or a bracket in it goes into
/// quotation marks too: `["c.d"]`. The empty path is the whole value.
///
/// A path is as good for later descriptors as the ids and types in it are.
#[derive(Clone)]
pub struct Path {
    text: Box<str>,
    root: Node,
    ty: Option<Type>,
}

/// A text that is no path, or none into a value of that type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} at byte {at}: {reason}")]
#[non_exhaustive]
pub struct PathError {
    /// The text.
    pub path: Box<str>,
    /// Where in it, in bytes.
    pub at: usize,
    /// What is wrong.
    pub reason: Box<str>,
}

impl Path {
    /// Compiles a path into values of type `ty`.
    ///
    /// # Errors
    ///
    /// The text is none, or `ty` has no such part.
    pub fn parse(d: &Descriptor, ty: Type, text: &str) -> Result<Self, PathError> {
        Parser { text, at: 0, d: Some(d) }.path(Some(ty))
    }

    /// Compiles a path of which no types are known: names are ids of fields (`255.6["user"]`). Whether it fits is seen
    /// in the bytes.
    ///
    /// # Errors
    ///
    /// The text is none.
    pub fn untyped(text: &str) -> Result<Self, PathError> {
        Parser { text, at: 0, d: None }.path(None)
    }

    /// The path over these fields, each within the one before.
    ///
    /// # Errors
    ///
    /// There are more than 64.
    pub fn ids(ids: &[i16]) -> Result<Self, PathError> {
        let text: Vec<String> = ids.iter().map(i16::to_string).collect();
        Self::untyped(&text.join("."))
    }

    /// The type that it leads to; `None` for a path that knows no types.
    #[must_use]
    pub fn ty(&self) -> Option<Type> {
        self.ty
    }

    /// What stands there, if anything does. The bytes are those of one value, without a header; the struct of a call's
    /// arguments, for one.
    ///
    /// # Errors
    ///
    /// The bytes are no value, or there are more of them; something on the way is of another type than the path wants.
    pub fn get<'a>(&self, bytes: &'a [u8]) -> Result<Option<Found<'a>>, Error> {
        let mut found = [None];
        get(&self.root, &[self.ty], bytes, &mut found)?;
        let [found] = found;
        Ok(found)
    }

    /// Whether anything stands there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn exists(&self, bytes: &[u8]) -> Result<bool, Error> {
        self.get(bytes).map(|found| found.is_some())
    }

    /// The bytes with a change made there. A field or a key that is missing is added, with the structs around it; what
    /// is missing is not unset again.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); also where the new value is of another type than what stands there, a list is too short,
    /// or a required field would be unset.
    pub fn set(&self, bytes: &[u8], change: &Change<'_>) -> Result<Vec<u8>, Error> {
        set(&self.root, bytes, std::slice::from_ref(change))
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Path").field(&self.text).finish()
    }
}

struct Parser<'t, 'd> {
    text: &'t str,
    at: usize,
    d: Option<&'d Descriptor>,
}

/// A step, and the type it leads to.
struct Next {
    child: Child,
    ty: Option<Type>,
}

impl<'t> Parser<'t, '_> {
    fn path(mut self, ty: Option<Type>) -> Result<Path, PathError> {
        let mut steps = Vec::new();
        let mut last = ty;
        while !self.rest().is_empty() {
            if steps.len() >= MAX_DEPTH {
                return Err(self.error(format!("more than {MAX_DEPTH} steps")));
            }
            let next = self.step(last, steps.is_empty())?;
            last = next.ty;
            steps.push(next.child);
        }
        let mut node = Node { ends: vec![0], ttype: last.map(Type::ttype), children: Vec::new() };
        for mut child in steps.into_iter().rev() {
            child.node = node;
            node = Node { ttype: None, ends: Vec::new(), children: vec![child] };
        }
        node.ttype = ty.map(Type::ttype);
        // Every node on the way gets the type of its step.
        let mut at = &mut node;
        let mut of = ty;
        while let Some(child) = at.children.first_mut() {
            of = of.and_then(|of| self.ty_of(of, &child.select));
            child.node.ttype = of.map(Type::ttype);
            at = &mut child.node;
        }
        Ok(Path { text: self.text.into(), root: node, ty: last })
    }

    fn ty_of(&self, of: Type, select: &Select) -> Option<Type> {
        let d = self.d?;
        match (of, select) {
            (Type::Struct(id), Select::Field(field)) => d.structure(id).fields.by_id(*field).map(|field| field.ty),
            (Type::List(element) | Type::Set(element), Select::Index(_)) => Some(d.ty(element)),
            (Type::Map(_, item), Select::Key(..)) => Some(d.ty(item)),
            _ => None,
        }
    }

    fn step(&mut self, ty: Option<Type>, is_first: bool) -> Result<Next, PathError> {
        match self.rest().as_bytes().first() {
            Some(b'[') => {
                let start = self.at;
                self.at = self.at.saturating_add(1);
                let next = self.bracket(ty, start)?;
                if !self.rest().starts_with(']') {
                    return Err(self.error("expected ]"));
                }
                self.at = self.at.saturating_add(1);
                Ok(next)
            }
            Some(b'.') if !is_first => {
                self.at = self.at.saturating_add(1);
                self.name(ty)
            }
            _ if is_first => self.name(ty),
            _ => Err(self.error("expected . or [")),
        }
    }

    fn name(&mut self, ty: Option<Type>) -> Result<Next, PathError> {
        let start = self.at;
        let rest = self.rest();
        let len = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = rest.get(..len).unwrap_or_default();
        if name.is_empty() {
            return Err(self.error("expected a name"));
        }
        self.at = self.at.saturating_add(len);
        self.field(ty, name, start)
    }

    fn field(&self, ty: Option<Type>, name: &str, start: usize) -> Result<Next, PathError> {
        let id = name.parse::<i16>().ok();
        let (select, is_required, ty) = match (ty, self.d) {
            (Some(Type::Struct(structure)), Some(d)) => {
                let structure = d.structure(structure);
                let by_id = || structure.fields.by_id(id?);
                let Some(field) = structure.fields.by_key(name).or_else(by_id) else {
                    return Err(self.error_at(start, format!("{} has no field {name:?}", structure.name)));
                };
                (Select::Field(field.id), field.requiredness == Requiredness::Required, Some(field.ty))
            }
            (Some(ty), _) => return Err(self.error_at(start, format!("a {} has no fields", ty.name()))),
            (None, _) => match id {
                Some(id) => (Select::Field(id), false, None),
                None => return Err(self.error_at(start, "without a descriptor a field is an id")),
            },
        };
        Ok(Next { child: child(select, is_required, Step::Field(name.into())), ty })
    }

    fn bracket(&mut self, ty: Option<Type>, start: usize) -> Result<Next, PathError> {
        if self.rest().starts_with('"') {
            let text = self.quoted()?;
            let step = Step::Entry(text.as_str().into());
            let key = Key::Text(text.as_bytes().into());
            return match (ty, self.d) {
                (Some(Type::Struct(_)), _) => self.field(ty, &text, start),
                (Some(Type::Map(key_type, item)), Some(d)) => match d.ty(key_type) {
                    Type::String | Type::Binary => {
                        let select = Select::Key(key, Some(TType::STRING));
                        Ok(Next { child: child(select, false, step), ty: Some(d.ty(item)) })
                    }
                    other => Err(self.error_at(start, format!("the keys are {}", other.name()))),
                },
                (Some(ty), _) => Err(self.error_at(start, format!("a {} has no such part", ty.name()))),
                (None, _) => Ok(Next { child: child(Select::Key(key, None), false, step), ty: None }),
            };
        }
        let rest = self.rest();
        let len = rest.find(']').unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        self.at = self.at.saturating_add(len);
        match (ty, self.d) {
            (Some(Type::List(element) | Type::Set(element)), Some(d)) => match word.parse() {
                Ok(index) => Ok(Next { child: element_at(index), ty: Some(d.ty(element)) }),
                Err(_) => Err(self.error_at(start, "expected the place of an element")),
            },
            (Some(Type::Map(key_type, item)), Some(d)) => {
                let key_type = d.ty(key_type);
                let key = self.key(d, key_type, word, start)?;
                let select = Select::Key(key, Some(key_type.ttype()));
                Ok(Next { child: child(select, false, Step::Entry(word.into())), ty: Some(d.ty(item)) })
            }
            (Some(ty), _) => Err(self.error_at(start, format!("a {} has no such part", ty.name()))),
            // An element or a key: the bytes will say.
            (None, _) => match (word.parse::<usize>(), word.parse::<i64>(), word.parse::<bool>()) {
                (Ok(index), ..) => Ok(Next { child: element_at(index), ty: None }),
                (_, Ok(number), _) => Ok(untyped_key(Key::Integer(number), word)),
                (.., Ok(value)) => Ok(untyped_key(Key::Bool(value), word)),
                _ => Err(self.error_at(start, "expected a number, true, false, or text in quotation marks")),
            },
        }
    }

    fn key(&self, d: &Descriptor, ty: Type, word: &str, start: usize) -> Result<Key, PathError> {
        let named = || match ty {
            Type::Enum(id) => d
                .enumeration(id)
                .values
                .iter()
                .find_map(|(name, number)| (**name == *word).then_some(i64::from(*number))),
            _ => None,
        };
        let key = match ty {
            Type::Byte | Type::I16 | Type::I32 | Type::I64 | Type::Enum(_) => {
                word.parse().ok().or_else(named).map(Key::Integer)
            }
            Type::Bool => word.parse().ok().map(Key::Bool),
            Type::Double => word.parse().ok().map(Key::Double),
            _ => None,
        };
        key.ok_or_else(|| self.error_at(start, format!("{word:?} is no key of type {}", ty.name())))
    }

    fn quoted(&mut self) -> Result<String, PathError> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.at = self.at.saturating_add(at).saturating_add(1);
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    _ => return Err(self.error("a backslash stands before \" and \\ only")),
                },
                char => text.push(char),
            }
        }
        Err(self.error("the quotation mark is never closed"))
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, reason: impl Into<Box<str>>) -> PathError {
        self.error_at(self.at, reason)
    }

    fn error_at(&self, at: usize, reason: impl Into<Box<str>>) -> PathError {
        PathError { path: self.text.into(), at, reason: reason.into() }
    }
}

fn child(select: Select, is_required: bool, step: Step) -> Child {
    Child { select, is_required, step, node: Node::default() }
}

fn element_at(index: usize) -> Child {
    child(Select::Index(index), false, Step::Index(index))
}

fn untyped_key(key: Key, word: &str) -> Next {
    Next { child: child(Select::Key(key, None), false, Step::Entry(word.into())), ty: None }
}
