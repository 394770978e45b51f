//! Files → services.

use std::path::{Path, PathBuf};

use thrift_generic::Descriptor;
use thrift_generic::descriptor::{BuildError, Builder};
use thrift_generic::http::RouteError;
use thrift_generic::idl::{Idl, IdlError};
use thrift_generic::protobuf::PbIdlError;

use crate::config;
use crate::gateway::model::Service;

/// Why an IDL can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{path}: can't be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Idl(#[from] IdlError),
    #[error("{path}: service {service}: {source}", path = path.display())]
    Build { path: PathBuf, service: String, source: BuildError },
    #[error("{path}: service {service}: {source}", path = path.display())]
    Route { path: PathBuf, service: String, source: RouteError },
    #[error("service {service} is in {first} and in {second}", first = first.display(), second = second.display())]
    Twice { service: String, first: PathBuf, second: PathBuf },
    #[error("{path}: {source}", path = path.display())]
    Protobuf { path: PathBuf, source: PbIdlError },
    #[error("{path}: no service, expected one in a .thrift file", path = path.display())]
    Empty { path: PathBuf },
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) services: Vec<Service>,
    /// Every file that took part, included ones too.
    pub(super) files: Vec<PathBuf>,
}

/// Reads every service of the IDL.
pub(super) fn load(config: &config::Gateway) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    for path in files(&config.idl)? {
        let idl = Idl::from_file(&path, &config.include)?;
        loaded.files.extend(idl.files().map(Path::to_path_buf));
        let services: Vec<_> = idl.services().map(str::to_owned).collect();
        for service in services {
            let descriptor = build(&idl, &service, config).map_err(|source| LoadError::Build {
                path: path.clone(),
                service: service.clone(),
                source,
            })?;
            if let Some(first) = loaded.services.iter().find(|known| known.name() == service) {
                return Err(LoadError::Twice { service, first: first.file.clone(), second: path });
            }
            loaded.services.push(Service { descriptor, file: path.clone() });
        }
    }
    if loaded.services.is_empty() {
        return Err(LoadError::Empty { path: config.idl.clone() });
    }
    Ok(loaded)
}

fn build(idl: &Idl, service: &str, config: &config::Gateway) -> Result<Descriptor, BuildError> {
    Builder::new().service(service).profile(config.profile).allow_no_arguments(true).build(idl)
}

/// The file, or the IDL files that lie in the directory itself; those further down are for including.
fn files(idl: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let unreadable = |source| LoadError::Read { path: idl.to_path_buf(), source };
    if !std::fs::metadata(idl).map_err(unreadable)?.is_dir() {
        return Ok(vec![idl.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(idl).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "thrift") && path.is_file() {
            files.push(path);
        }
    }
    // Whatever order the file system has them in.
    files.sort();
    Ok(files)
}
