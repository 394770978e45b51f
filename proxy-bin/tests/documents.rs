//! What the documents say is what the code does.

use std::path::Path;
use std::time::Duration;

use proxy::Config;
use proxy::config::defaults;

/// Each line of the README's table of keys that has a default, beside the constant.
#[test]
fn the_table_of_defaults_is_the_code() {
    let readme = include_str!("../README.md");
    let time = |time: Duration| format!("`{time:?}`");
    let size = |bytes: u64| {
        if bytes.is_multiple_of(1 << 20) { format!("`{}MiB`", bytes >> 20) } else { format!("`{}KiB`", bytes >> 10) }
    };
    let defaults = [
        ("drain", time(defaults::DRAIN)),
        ("max_message", size(defaults::MAX_MESSAGE)),
        ("cut_through", size(defaults::CUT_THROUGH)),
        ("max_in_flight", format!("`{}`", defaults::MAX_IN_FLIGHT)),
        ("max_connections", format!("`{}`", defaults::MAX_CONNECTIONS)),
        ("sniff_timeout", time(defaults::SNIFF_TIMEOUT)),
        ("half_close_timeout", time(defaults::HALF_CLOSE_TIMEOUT)),
        ("connect_timeout", time(defaults::CONNECT_TIMEOUT)),
        ("idle_timeout", time(defaults::IDLE_TIMEOUT)),
        ("read_timeout", time(defaults::READ_TIMEOUT)),
        ("write_timeout", time(defaults::WRITE_TIMEOUT)),
    ];
    for (key, default) in defaults {
        let rows: Vec<_> = readme.lines().filter(|line| line.starts_with(&format!("| `{key}` |"))).collect();
        assert!(!rows.is_empty(), "{key} is not in the table");
        for row in rows {
            assert_eq!(row.split('|').nth(2).map(str::trim), Some(&*default), "{row}");
        }
    }
    assert!(readme.contains(&format!("weight = {} }}`", defaults::WEIGHT)));
}

#[test]
fn every_example_is_a_good_configuration() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut checked = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked} examples");
}

/// The smallest file of the root README.
#[test]
fn the_readme_s_file_is_a_good_configuration() {
    let readme = include_str!("../../README.md");
    let file = readme.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    Config::parse(file, "README.md").unwrap_or_else(|error| panic!("{error}"));
}
