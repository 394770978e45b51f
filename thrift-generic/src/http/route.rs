//! Which method of which service an HTTP request calls (generic-call 5.3).

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::descriptor::{Descriptor, Route};
use crate::http::escape::unescape;

/// Finds the method that an HTTP request calls, by its HTTP method and path (generic-call 5.3).
///
/// It may serve several descriptors: a gateway's services. A path is compared segment by segment after its
/// percent-escapes are resolved, so that `%2F` separates segments; a literal comes before `:name`, a longer prefix of
/// `:name` before a shorter one, and `*name` last, with a return to the next best wherever that leads nowhere. Routes
/// for any HTTP method (`*`) are tried after those for the request's own.
#[derive(Debug, Default)]
pub struct Router {
    trees: HashMap<Box<str>, Tree>,
    routes: Vec<RouteInfo>,
    unescape_params: bool,
}

/// A route that a [`Router`] serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteInfo {
    /// The HTTP method, `*` for any.
    pub method: Box<str>,
    /// The path, with `:name` and `*name` as placeholders.
    pub path: Box<str>,
    /// The descriptor's number: what [`RouterBuilder::add`] returned.
    pub descriptor: usize,
    /// The number of the function among [`Descriptor::functions`].
    pub function: usize,
    /// The service that declares the function.
    pub service: Box<str>,
    /// The function's name.
    pub name: Box<str>,
    placeholders: Arc<[Box<str>]>,
}

/// What a [`Router`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteMatch {
    /// The descriptor's number: what [`RouterBuilder::add`] returned.
    pub descriptor: usize,
    /// The number of the function among [`Descriptor::functions`].
    pub function: usize,
    /// The number of the route among [`Router::routes`].
    pub route: usize,
    /// What stands in the path for the route's placeholders.
    pub params: Params,
}

/// What stands in a path for a route's placeholders, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    names: Arc<[Box<str>]>,
    values: Vec<Box<[u8]>>,
}

/// No route matches a request. `Display` gives Kitex's text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteNotFound {
    /// The HTTP method asked for.
    pub method: Box<str>,
    /// The path asked for, as it came.
    pub path: Box<str>,
    /// What about it does not match.
    pub reason: RouteMismatch,
}

/// What about a request does not match any route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteMismatch {
    /// There is no route for this HTTP method.
    Method,
    /// No route for this HTTP method has such a path.
    Path,
    /// The path has a broken percent-escape.
    Escape,
}

/// Why a route can't be added. `Display` gives Kitex's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Another route has the same place.
    #[error("handlers are already registered for path '{path}'")]
    Taken {
        /// The HTTP method.
        method: Box<str>,
        /// The new route's path.
        path: Box<str>,
        /// The number among [`RouterBuilder::routes`] of the route that is there.
        by: usize,
    },
    /// A path does not start with `/`.
    #[error("path must begin with '/' in path '{0}'")]
    NoSlash(Box<str>),
    /// A placeholder has no name.
    #[error("wildcards must be named with a non-empty name in path '{0}'")]
    NoName(Box<str>),
    /// A segment has two placeholders.
    #[error("only one wildcard per path segment is allowed, find multi in path '{0}'")]
    TwoWildcards(Box<str>),
    /// `*name` is not the last segment.
    #[error("catch-all routes are only allowed at the end of the path in path '{0}'")]
    CatchAllNotLast(Box<str>),
    /// `*name` has a prefix in its segment.
    #[error("no / before wildcards in path {0}")]
    CatchAllPrefix(Box<str>),
    /// No HTTP method is given.
    #[error("method must not be empty")]
    NoMethod,
    /// There is no such function.
    #[error("adding route without handler function: {0}")]
    NoFunction(Box<str>),
}

/// Builds a [`Router`].
#[derive(Debug, Default)]
pub struct RouterBuilder {
    router: Router,
    /// How many descriptors there are.
    descriptors: usize,
}

impl Router {
    /// A router without routes, to be filled.
    #[must_use]
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    /// The method that a request with this HTTP method and path calls. The path is that of the request's URI, with its
    /// percent-escapes; HTTP methods are told apart by case.
    ///
    /// # Errors
    ///
    /// No route matches, or a percent-escape in the path is broken.
    pub fn find(&self, method: &str, path: &str) -> Result<RouteMatch, RouteNotFound> {
        let not_found = |reason| RouteNotFound { method: method.into(), path: path.into(), reason };
        let (own, any) = (self.trees.get(method), self.trees.get(ANY));
        if own.is_none() && any.is_none() {
            return Err(not_found(RouteMismatch::Method));
        }
        let decoded = if self.unescape_params {
            Cow::Borrowed(path.as_bytes())
        } else {
            unescape(path.as_bytes(), false).ok_or_else(|| not_found(RouteMismatch::Escape))?
        };
        own.into_iter()
            .chain(any)
            .find_map(|tree| tree.find(&decoded))
            .and_then(|(route, values)| self.matched(route, &decoded, &values))
            .ok_or_else(|| not_found(RouteMismatch::Path))
    }

    /// All routes, in the order in which they were added.
    #[must_use]
    pub fn routes(&self) -> impl ExactSizeIterator<Item = &RouteInfo> {
        self.routes.iter()
    }

    fn matched(&self, number: usize, path: &[u8], values: &[Range<usize>]) -> Option<RouteMatch> {
        let route = self.routes.get(number)?;
        let value = |range: &Range<usize>| {
            let raw = path.get(range.clone()).unwrap_or_default();
            match self.unescape_params.then(|| unescape(raw, true)).flatten() {
                Some(unescaped) => unescaped.into(),
                None => raw.into(),
            }
        };
        Some(RouteMatch {
            descriptor: route.descriptor,
            function: route.function,
            route: number,
            params: Params { names: Arc::clone(&route.placeholders), values: values.iter().map(value).collect() },
        })
    }
}

impl RouterBuilder {
    /// Compares paths as they come, and resolves the escapes of what stands for a placeholder afterwards, `+` to a
    /// space: `%2F` is then part of a segment. Kitex has this mode and does not use it.
    #[must_use]
    pub fn unescape_params(mut self, unescape: bool) -> Self {
        self.router.unescape_params = unescape;
        self
    }

    /// Adds all routes of a descriptor, and returns its number: 0 for the first. With an error, none of them is added,
    /// and its number is not used up.
    ///
    /// # Errors
    ///
    /// A route's path is malformed, or taken.
    pub fn add(&mut self, descriptor: &Descriptor) -> Result<usize, RouteError> {
        let before = self.router.routes.len();
        let number = self.add_descriptor();
        for (index, function) in descriptor.functions().iter().enumerate() {
            for route in &function.routes {
                if let Err(error) = self.add_route(number, index, descriptor, route) {
                    self.forget_from(before);
                    self.descriptors = number;
                    return Err(error);
                }
            }
        }
        Ok(number)
    }

    /// A number for a descriptor whose routes are added one by one by [`RouterBuilder::add_route`].
    pub fn add_descriptor(&mut self) -> usize {
        let number = self.descriptors;
        self.descriptors = number.saturating_add(1);
        number
    }

    /// Adds one route to a function of a descriptor with this number: for callers that want to go on without the routes
    /// that can't be added.
    ///
    /// # Errors
    ///
    /// The route's path is malformed, or taken; or there is no such function.
    pub fn add_route(
        &mut self,
        number: usize,
        function: usize,
        descriptor: &Descriptor,
        route: &Route,
    ) -> Result<(), RouteError> {
        let Some(called) = descriptor.functions().get(function) else {
            return Err(RouteError::NoFunction(route.path.clone()));
        };
        if route.method.is_empty() {
            return Err(RouteError::NoMethod);
        }
        let pattern = Pattern::parse(&route.path)?;
        let tree = self.router.trees.entry(route.method.clone()).or_default();
        tree.insert(&pattern, self.router.routes.len()).map_err(|by| RouteError::Taken {
            method: route.method.clone(),
            path: route.path.clone(),
            by,
        })?;
        self.router.routes.push(RouteInfo {
            method: route.method.clone(),
            path: route.path.clone(),
            descriptor: number,
            function,
            service: called.service.clone(),
            name: called.name.clone(),
            placeholders: pattern.names(),
        });
        Ok(())
    }

    /// The routes so far.
    #[must_use]
    pub fn routes(&self) -> &[RouteInfo] {
        &self.router.routes
    }

    /// The router.
    #[must_use]
    pub fn build(self) -> Router {
        self.router
    }

    fn forget_from(&mut self, first: usize) {
        self.router.routes.truncate(first);
        for tree in self.router.trees.values_mut() {
            tree.forget_from(first);
        }
        self.router.trees.retain(|_, tree| !tree.is_empty());
    }
}

impl Params {
    /// What stands for this placeholder, as text; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.bytes(name).map(String::from_utf8_lossy)
    }

    /// What stands for this placeholder. Of two with the same name the first one counts.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let at = self.names.iter().position(|known| **known == *name)?;
        self.values.get(at).map(AsRef::as_ref)
    }

    /// Names and values, in the path's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.names.iter().map(AsRef::as_ref).zip(self.values.iter().map(AsRef::as_ref))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<N: Into<Box<str>>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(params: I) -> Self {
        let (names, values): (Vec<_>, _) =
            params.into_iter().map(|(name, value)| (name.into(), value.into().into_boxed_slice())).unzip();
        Self { names: names.into(), values }
    }
}

impl RouteNotFound {
    /// What a call by Kitex's HTTP generic client reports: there, a request without a route calls a method without a name.
    #[must_use]
    pub fn kitex_call_error(&self, service: &str) -> String {
        format!("internal exception: non-existent method, service: {service}, method: ")
    }
}

impl fmt::Display for RouteNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            RouteMismatch::Method => write!(f, "function lookup failed, no root with method={}", self.method),
            RouteMismatch::Path => write!(f, "function lookup failed, path={}", self.path),
            RouteMismatch::Escape => write!(f, "function lookup failed, invalid URL escape, path={}", self.path),
        }
    }
}

impl std::error::Error for RouteNotFound {}

/// A route's path, checked and taken apart.
struct Pattern<'a>(Vec<Segment<'a>>);

/// What stands between two slashes.
enum Segment<'a> {
    Literal(&'a str),
    /// A literal prefix, then something that has this name.
    Param {
        prefix: &'a str,
        name: &'a str,
    },
    /// This segment and all that follow.
    CatchAll {
        name: &'a str,
    },
}

impl<'a> Pattern<'a> {
    fn parse(path: &'a str) -> Result<Self, RouteError> {
        let mut rest = path.strip_prefix('/').ok_or_else(|| RouteError::NoSlash(path.into()))?;
        let mut segments = Vec::new();
        loop {
            // A catch-all takes all that is left, so that its name may have a colon, but no slash.
            if let Some(name) = rest.strip_prefix('*') {
                segments.push(Segment::CatchAll { name: catch_all_name(name, path)? });
                return Ok(Self(segments));
            }
            let (segment, tail) = match rest.split_once('/') {
                Some((segment, tail)) => (segment, Some(tail)),
                None => (rest, None),
            };
            segments.push(Segment::parse(segment, path)?);
            match tail {
                Some(tail) => rest = tail,
                None => return Ok(Self(segments)),
            }
        }
    }

    fn names(&self) -> Arc<[Box<str>]> {
        self.0.iter().filter_map(Segment::name).map(Box::from).collect()
    }
}

fn catch_all_name<'a>(name: &'a str, path: &str) -> Result<&'a str, RouteError> {
    if name.is_empty() {
        Err(RouteError::NoName(path.into()))
    } else if name.contains('/') {
        Err(RouteError::CatchAllNotLast(path.into()))
    } else if name.contains('*') {
        Err(RouteError::CatchAllPrefix(path.into()))
    } else {
        Ok(name)
    }
}

impl<'a> Segment<'a> {
    fn parse(segment: &'a str, path: &str) -> Result<Self, RouteError> {
        let Some((prefix, name)) = segment.split_once([':', '*']) else {
            return Ok(Self::Literal(segment));
        };
        if segment.get(prefix.len()..).is_some_and(|wildcard| wildcard.starts_with('*')) {
            return Err(RouteError::CatchAllPrefix(path.into()));
        }
        if name.is_empty() {
            return Err(RouteError::NoName(path.into()));
        }
        if name.contains([':', '*']) {
            return Err(RouteError::TwoWildcards(path.into()));
        }
        Ok(Self::Param { prefix, name })
    }

    fn name(&self) -> Option<&'a str> {
        match *self {
            Self::Literal(_) => None,
            Self::Param { name, .. } | Self::CatchAll { name } => Some(name),
        }
    }
}

/// The routes of one HTTP method: a tree of segments, its nodes in a vector, so that no path is too long to walk or drop.
#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
}

/// The place after some segments.
#[derive(Debug, Default)]
struct Node {
    /// The route that ends here.
    route: Option<usize>,
    /// Where to go on by a whole segment.
    literals: HashMap<Box<[u8]>, usize>,
    /// Where to go on by a segment with this prefix and at least one more byte; longest prefix first.
    params: Vec<(Box<[u8]>, usize)>,
    /// The route that takes whatever follows.
    catch_all: Option<usize>,
}

/// A node that is being searched.
struct Frame {
    node: usize,
    /// Where the segment starts that leads on from here.
    start: usize,
    /// How many ways on were tried.
    tried: usize,
    /// What the way taken puts into a placeholder.
    value: Option<Range<usize>>,
}

const ROOT: usize = 0;

/// The HTTP method of routes for any.
const ANY: &str = "*";

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// Adds a route by its number, or tells that of the route that is there.
    fn insert(&mut self, pattern: &Pattern<'_>, route: usize) -> Result<(), usize> {
        let mut at = ROOT;
        for segment in &pattern.0 {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            at = match *segment {
                Segment::Literal(literal) => match node.literals.entry(literal.as_bytes().into()) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(vacant) => *vacant.insert(next),
                },
                Segment::Param { prefix, .. } => node.param(prefix.as_bytes(), next),
                Segment::CatchAll { .. } => return claim(&mut node.catch_all, route),
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        self.nodes.get_mut(at).map_or(Ok(()), |node| claim(&mut node.route, route))
    }

    fn find(&self, path: &[u8]) -> Option<(usize, Vec<Range<usize>>)> {
        path.strip_prefix(b"/")?;
        let mut frames = vec![Frame { node: ROOT, start: 1, tried: 0, value: None }];
        while let Some(frame) = frames.last_mut() {
            let node = self.nodes.get(frame.node)?;
            let rest = path.get(frame.start..)?;
            let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            let (segment, tail) = rest.split_at_checked(len)?;
            let way = frame.tried;
            frame.tried = way.saturating_add(1);
            let Some((next, prefix)) = node.way(way, segment) else {
                // All ways but the last resort are used up, or even that one is.
                if let Some(route) = node.catch_all {
                    frame.value = Some(frame.start..path.len());
                    return Some((route, values(frames)));
                }
                frames.pop();
                continue;
            };
            let Some(next) = next else { continue };
            let end = frame.start.saturating_add(len);
            frame.value = prefix.map(|len| frame.start.saturating_add(len)..end);
            if !tail.is_empty() {
                frames.push(Frame { node: next, start: end.saturating_add(1), tried: 0, value: None });
            } else if let Some(route) = self.nodes.get(next)?.route {
                return Some((route, values(frames)));
            }
        }
        None
    }

    fn forget_from(&mut self, first: usize) {
        for node in &mut self.nodes {
            node.route = node.route.filter(|&route| route < first);
            node.catch_all = node.catch_all.filter(|&route| route < first);
        }
    }

    fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| node.route.is_none() && node.catch_all.is_none())
    }
}

impl Node {
    /// The node behind a placeholder with this prefix: `next` if there is none yet.
    fn param(&mut self, prefix: &[u8], next: usize) -> usize {
        match self.params.iter().find(|(known, _)| **known == *prefix) {
            Some(&(_, node)) => node,
            None => {
                let at = self.params.partition_point(|(known, _)| known.len() >= prefix.len());
                self.params.insert(at, (prefix.into(), next));
                next
            }
        }
    }

    /// The `way`th way on, best first: `None` where there are no more, and no node where it does not take this segment.
    /// With it the length of a placeholder's prefix.
    fn way(&self, way: usize, segment: &[u8]) -> Option<(Option<usize>, Option<usize>)> {
        let Some(param) = way.checked_sub(1) else {
            return Some((self.literals.get(segment).copied(), None));
        };
        let (prefix, node) = self.params.get(param)?;
        let takes = segment.len() > prefix.len() && segment.starts_with(prefix);
        Some((takes.then_some(*node), Some(prefix.len())))
    }
}

fn claim(place: &mut Option<usize>, route: usize) -> Result<(), usize> {
    match *place {
        Some(by) => Err(by),
        None => {
            *place = Some(route);
            Ok(())
        }
    }
}

fn values(frames: Vec<Frame>) -> Vec<Range<usize>> {
    frames.into_iter().filter_map(|frame| frame.value).collect()
}
