//! `check`: what a configuration would do, in words.

use std::path::Path;
use std::process::ExitCode;

use crate::Config;
use crate::cli::USAGE;

pub(crate) fn check(path: &Path) -> ExitCode {
    match Config::load(path) {
        Ok(config) => {
            print!("{}", explain(&config));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            USAGE.into()
        }
    }
}

fn explain(_config: &Config) -> String {
    String::new()
}
