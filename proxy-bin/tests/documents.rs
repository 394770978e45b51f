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
    // A key of several tables has its defaults in their order.
    let defaults = [
        ("name", vec![format!("`{}`", defaults::NAME), "the address".into(), "its number".into()]),
        ("drain", vec![time(defaults::DRAIN)]),
        ("stream_memory", vec![size(defaults::STREAM_MEMORY)]),
        ("profile", vec![format!("`{}`", format!("{:?}", defaults::PROFILE).to_lowercase())]),
        ("base64", vec![format!("`{}`", defaults::BASE64)]),
        ("max_message", vec![size(defaults::MAX_MESSAGE)]),
        ("cut_through", vec![size(defaults::CUT_THROUGH)]),
        ("max_in_flight", vec![format!("`{}`", defaults::MAX_IN_FLIGHT)]),
        ("max_connections", vec![format!("`{}`", defaults::MAX_CONNECTIONS)]),
        ("max_streams", vec![format!("`{}`", defaults::MAX_STREAMS)]),
        ("sniff_timeout", vec![time(defaults::SNIFF_TIMEOUT)]),
        ("half_close_timeout", vec![time(defaults::HALF_CLOSE_TIMEOUT)]),
        ("connect_timeout", vec![time(defaults::CONNECT_TIMEOUT)]),
        ("idle_timeout", vec![time(defaults::LISTENER_IDLE_TIMEOUT), time(defaults::IDLE_TIMEOUT)]),
        ("keepalive", vec![time(defaults::LISTENER_KEEPALIVE), time(defaults::CLUSTER_KEEPALIVE)]),
        ("stream_budget", vec![size(defaults::STREAM_BUDGET), size(defaults::STREAM_BUDGET)]),
        ("read_timeout", vec![time(defaults::READ_TIMEOUT), time(defaults::READ_TIMEOUT)]),
        ("write_timeout", vec![time(defaults::WRITE_TIMEOUT), time(defaults::WRITE_TIMEOUT)]),
    ];
    for (key, defaults) in defaults {
        let rows = readme.lines().filter(|line| line.starts_with(&format!("| `{key}` |")));
        let told: Vec<_> = rows.filter_map(|row| row.split('|').nth(2)).map(str::trim).collect();
        assert_eq!(told, defaults, "{key}");
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
