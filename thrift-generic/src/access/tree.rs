use thrift_codec::TType;

use crate::access::Path;
use crate::access::found::Found;
use crate::access::get::get;
use crate::access::set::{Change, set};
use crate::descriptor::Type;
use crate::error::Error;
use crate::path::Step;

/// Several paths that are followed in one pass over the bytes.
#[derive(Clone, Debug)]
pub struct Paths {
    root: Node,
    types: Vec<Option<Type>>,
}

/// A value on the way of some paths.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Its type on the wire, where a descriptor said so.
    pub(crate) ttype: Option<TType>,
    /// The paths that end here, by their place in what was given.
    pub(crate) ends: Vec<usize>,
    /// Where the others go on: to fields, or to elements in their order, or to keys.
    pub(crate) children: Vec<Child>,
}

/// One step further.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) select: Select,
    /// Whether it is a required field.
    pub(crate) is_required: bool,
    /// What it is called in errors.
    pub(crate) step: Step,
    pub(crate) node: Node,
}

/// Which part of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Select {
    /// The field with this id.
    Field(i16),
    /// The element at this place.
    Index(usize),
    /// What a map has under this key; the key's type on the wire, where a descriptor said so.
    Key(Key, Option<TType>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Text(Box<[u8]>),
    Integer(i64),
    Bool(bool),
    Double(f64),
}

impl Paths {
    /// These paths, all of values of the same type.
    #[must_use]
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let mut all = Self { root: Node::default(), types: Vec::new() };
        for (at, path) in paths.into_iter().enumerate() {
            all.root.merge(path.root(), at);
            all.types.push(path.ty());
        }
        all
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// What stands at each path, in their order; `None` where there is nothing.
    ///
    /// # Errors
    ///
    /// As [`Path::get`].
    pub fn get<'a>(&self, bytes: &'a [u8]) -> Result<Vec<Option<Found<'a>>>, Error> {
        let mut found = vec![None; self.len()];
        get(&self.root, &self.types, bytes, &mut found)?;
        Ok(found)
    }

    /// The bytes with a change made at each path; `changes` are in the order of the paths. The places of elements are
    /// those that they had before.
    ///
    /// # Errors
    ///
    /// As [`Path::set`]; also where there are not as many changes as paths, two paths are the same, or one leads into
    /// what another replaces.
    pub fn set(&self, bytes: &[u8], changes: &[Change<'_>]) -> Result<Vec<u8>, Error> {
        if changes.len() != self.len() {
            return Err(Error::unsupported(format!("{} changes for {} paths", changes.len(), self.len())));
        }
        if self.root.overlaps() {
            return Err(Error::unsupported("two paths lead to the same value, or one into that of another"));
        }
        set(&self.root, bytes, changes)
    }
}

impl Node {
    /// Adds a path, of which there is one child at each node.
    fn merge(&mut self, path: &Self, end: usize) {
        self.ttype = self.ttype.or(path.ttype);
        if !path.ends.is_empty() {
            self.ends.push(end);
        }
        for child in &path.children {
            let place = match self.children.iter().position(|known| known.select == child.select) {
                Some(place) => place,
                None => {
                    // Elements are looked for in their order.
                    let before = |known: &Child| match (&known.select, &child.select) {
                        (Select::Index(known), Select::Index(new)) => known < new,
                        _ => true,
                    };
                    let place = self.children.partition_point(before);
                    self.children.insert(place, Child { node: Self::default(), ..child.clone() });
                    place
                }
            };
            if let Some(known) = self.children.get_mut(place) {
                known.node.merge(&child.node, end);
            }
        }
    }

    /// Whether there is more than one change to some value.
    fn overlaps(&self) -> bool {
        let own = self.ends.len() > 1 || !self.ends.is_empty() && !self.children.is_empty();
        own || self.children.iter().any(|child| child.node.overlaps())
    }
}
