//! From a main file to all files, by includes (generic-call 1.6).

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::idl::ast::{Document, Name};
use crate::idl::error::{IdlError, IdlErrorKind};
use crate::idl::parse::parse;
use crate::limits::{MAX_IDL_FILES, MAX_IDL_LEN};

/// A file, with the numbers of those that it includes.
#[derive(Debug)]
pub(crate) struct Source {
    /// As it is called in messages, and where it was read.
    pub(crate) path: Arc<Path>,
    pub(crate) text: Box<str>,
    pub(crate) document: Document,
    /// Prefixes and numbers, in order.
    pub(crate) includes: Vec<(Box<str>, usize)>,
}

impl Source {
    /// An error in this file.
    #[cold]
    pub(crate) fn error(&self, kind: IdlErrorKind, at: usize) -> IdlError {
        IdlError::at(kind, &self.path, &self.text, at)
    }

    /// Its path as text.
    pub(crate) fn name(&self) -> Box<str> {
        self.path.display().to_string().into()
    }
}

/// Where texts come from.
pub(crate) trait Texts {
    /// What tells files apart.
    type Key: Clone + Eq + Hash;

    /// Where the file is that another one includes.
    fn find(&self, from: &Path, include: &str) -> Option<(Self::Key, PathBuf)>;

    /// Its text, of not more than `max_len` bytes (and one more, if it is longer).
    fn read(&self, key: &Self::Key, max_len: usize) -> Result<String, IdlErrorKind>;
}

/// Reads and parses the main file, and all that it leads to. The main file is the first one.
pub(crate) fn load<T: Texts>(texts: &T, main: T::Key, path: PathBuf) -> Result<Vec<Source>, IdlError> {
    let mut loader = Loader { texts, numbers: HashMap::new(), sources: Vec::new(), rest: MAX_IDL_LEN };
    loader.read(main, path).map_err(|error| error.unwrap_or_else(IdlError::new))?;
    let mut at = 0;
    // A work list, not recursion: how deep files include each other is up to the files.
    while let Some(source) = loader.sources.get_mut(at) {
        let includes = std::mem::take(&mut source.document.includes);
        for include in &includes {
            let number = loader.include(at, include)?;
            if let Some(source) = loader.sources.get_mut(at) {
                source.includes.push((prefix_of(&include.text).into(), number));
            }
        }
        at = at.saturating_add(1);
    }
    Ok(loader.sources)
}

struct Loader<'a, T: Texts> {
    texts: &'a T,
    numbers: HashMap<T::Key, usize>,
    sources: Vec<Source>,
    /// How many more bytes may be read.
    rest: usize,
}

/// An error with its place, or what is wrong with a file as a whole.
enum Trouble {
    Placed(IdlError),
    Whole(IdlErrorKind),
}

impl Trouble {
    fn unwrap_or_else(self, place: impl FnOnce(IdlErrorKind) -> IdlError) -> IdlError {
        match self {
            Self::Placed(error) => error,
            Self::Whole(kind) => place(kind),
        }
    }
}

impl<T: Texts> Loader<'_, T> {
    fn include(&mut self, from: usize, include: &Name) -> Result<usize, IdlError> {
        let Some(source) = self.sources.get(from) else { return Ok(0) };
        let found = self.texts.find(&source.path, &include.text);
        let read = match found {
            Some((key, path)) => self.read(key, path),
            None => {
                Err(Trouble::Whole(IdlErrorKind::MissingInclude { path: include.text.clone(), file: source.name() }))
            }
        };
        read.map_err(|trouble| {
            trouble.unwrap_or_else(|kind| match self.sources.get(from) {
                Some(source) => source.error(kind, include.at),
                None => IdlError::new(kind),
            })
        })
    }

    /// The number of a file, which is read unless it was before.
    fn read(&mut self, key: T::Key, path: PathBuf) -> Result<usize, Trouble> {
        if let Some(&number) = self.numbers.get(&key) {
            return Ok(number);
        }
        let number = self.sources.len();
        if number >= MAX_IDL_FILES {
            return Err(Trouble::Whole(IdlErrorKind::TooManyFiles));
        }
        let text = self.texts.read(&key, self.rest).map_err(Trouble::Whole)?;
        self.rest = self.rest.checked_sub(text.len()).ok_or(Trouble::Whole(IdlErrorKind::TooLong))?;
        let path: Arc<Path> = path.into();
        let document = parse(&text).map_err(|fault| {
            let at = fault.at();
            Trouble::Placed(IdlError::at(fault.kind(&text), &path, &text, at))
        })?;
        self.numbers.insert(key, number);
        self.sources.push(Source { path, text: text.into(), document, includes: Vec::new() });
        Ok(number)
    }
}

/// The prefix of an included file's names: the file's name without its last extension.
fn prefix_of(include: &str) -> &str {
    let name = include.rsplit('/').next().unwrap_or(include);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Files on disk: an include is looked up in the working directory, beside the file that includes it, and in the
/// directories given.
pub(crate) struct Files<'a> {
    pub(crate) include_dirs: &'a [PathBuf],
}

impl Files<'_> {
    /// What tells files apart, however they are called.
    pub(crate) fn key(path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }
}

impl Texts for Files<'_> {
    type Key = PathBuf;

    fn find(&self, from: &Path, include: &str) -> Option<(PathBuf, PathBuf)> {
        let beside = from.parent().map(|parent| parent.join(include));
        let elsewhere = self.include_dirs.iter().map(|dir| dir.join(include));
        let path = [PathBuf::from(include)].into_iter().chain(beside).chain(elsewhere).find(|path| path.is_file())?;
        Some((Self::key(&path), path))
    }

    fn read(&self, key: &PathBuf, max_len: usize) -> Result<String, IdlErrorKind> {
        let limit = u64::try_from(max_len).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        let read = File::open(key).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        match read {
            // Comments are in all sorts of encodings, and nothing else is affected.
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => Err(IdlErrorKind::Io { path: key.clone(), reason: error.to_string().into() }),
        }
    }
}

/// Texts under names.
pub(crate) struct Contents<'a> {
    pub(crate) main: (&'a str, &'a str),
    pub(crate) others: &'a HashMap<String, String>,
    /// Whether an include is first looked up relative to the file that includes it.
    pub(crate) relative: bool,
}

impl Texts for Contents<'_> {
    type Key = String;

    fn find(&self, from: &Path, include: &str) -> Option<(String, PathBuf)> {
        let joined = self.relative.then(|| join(from, include));
        let known = |name: &String| *name == self.main.0 || self.others.contains_key(name);
        let name = joined.into_iter().chain([include.to_owned()]).find(known)?;
        let path = PathBuf::from(&name);
        Some((name, path))
    }

    fn read(&self, key: &String, max_len: usize) -> Result<String, IdlErrorKind> {
        let (main, text) = self.main;
        let text = if key == main { text } else { self.others.get(key).map_or("", String::as_str) };
        if text.len() > max_len { Err(IdlErrorKind::TooLong) } else { Ok(text.to_owned()) }
    }
}

/// An include's path as seen from the file that has it: `/a/b/c.thrift` and `../d.thrift` give `/a/d.thrift`.
fn join(from: &Path, include: &str) -> String {
    let mut parts: Vec<Component<'_>> = Vec::new();
    let path = from.parent().unwrap_or(Path::new("")).join(include);
    for part in path.components() {
        match (part, parts.last()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => _ = parts.pop(),
            (Component::ParentDir, Some(Component::RootDir)) => {}
            _ => parts.push(part),
        }
    }
    parts.iter().collect::<PathBuf>().to_string_lossy().into_owned()
}

/// A way from a file back to itself, by the names of the files on it.
pub(crate) fn cycle(sources: &[Source]) -> Option<Vec<String>> {
    let mut done = vec![false; sources.len()];
    // The files on the way from the main one, and how many of their includes were followed.
    let mut way: Vec<(usize, usize)> = vec![(0, 0)];
    let mut on_way = vec![false; sources.len()];
    while let Some((file, followed)) = way.last_mut() {
        let file = *file;
        on_way.get_mut(file).into_iter().for_each(|on| *on = true);
        let next = sources.get(file).and_then(|source| source.includes.get(*followed)).map(|(_, number)| *number);
        *followed = followed.saturating_add(1);
        match next {
            None => {
                on_way.get_mut(file).into_iter().for_each(|on| *on = false);
                done.get_mut(file).into_iter().for_each(|done| *done = true);
                way.pop();
            }
            Some(next) if on_way.get(next) == Some(&true) => {
                let from = way.iter().position(|(file, _)| *file == next).unwrap_or(0);
                let files = way.iter().skip(from).map(|(file, _)| *file).chain([next]);
                return Some(files.filter_map(|file| sources.get(file)).map(|source| source.name().into()).collect());
            }
            Some(next) if done.get(next) == Some(&true) => {}
            Some(next) => way.push((next, 0)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_01_includes_are_joined_to_the_including_files_directory() {
        assert_eq!(join(Path::new("/a/b/c.thrift"), "../d.thrift"), "/a/d.thrift");
        assert_eq!(join(Path::new("/a/b/c.thrift"), "/a/d.thrift"), "/a/d.thrift");
        assert_eq!(join(Path::new("a/b.thrift"), "./x/../c.thrift"), "a/c.thrift");
        assert_eq!(join(Path::new("b.thrift"), "../c.thrift"), "../c.thrift");
        assert_eq!(join(Path::new("/b.thrift"), "../../c.thrift"), "/c.thrift");
    }

    #[test]
    fn a_prefix_is_the_files_name_without_its_last_extension() {
        assert_eq!(prefix_of("dir/x.y.thrift"), "x.y");
        assert_eq!(prefix_of("base.thrift"), "base");
        assert_eq!(prefix_of("plain"), "plain");
    }
}
