//! Recorded traffic of live Kitex peers: every frame decodes and goes back to the wire as it came, and drives the
//! machines of both ends to what the two applications saw.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

mod replay;

use std::fmt::Write as _;

use serde_json::Value;
use testkit::streaming_captures;

use crate::replay::{Replay, Side};

#[test]
fn both_ends_of_every_capture_see_what_happened() {
    let mut stories = String::new();
    for capture in captures() {
        for connection in connections(capture) {
            let replay = Replay::of_capture(&connection["chunks"]);
            write!(
                stories,
                "{} {}, {}\n{replay}",
                text(&capture["id"]),
                text(&capture["name"]),
                text(&connection["link"])
            )
            .unwrap();
        }
    }
    assert_same(&stories, include_str!("replay/captures.txt"));
}

#[test]
fn both_ends_of_every_probe_see_what_happened() {
    let mut stories = String::new();
    for probe in probes() {
        write!(stories, "{} {}\n{}", text(&probe["id"]), text(&probe["name"]), replay(probe)).unwrap();
    }
    assert_same(&stories, include_str!("replay/probes.txt"));
}

/// The sentence of the capture is what a Kitex client makes of the end that the machine has told.
#[test]
fn the_end_is_the_one_that_the_application_was_told() {
    let mut seen = 0;
    for capture in captures().filter(|capture| capture["application_sees"].is_string()) {
        let sees = text(&capture["application_sees"]);
        for connection in connections(capture) {
            // Behind a proxy made of Kitex the caller sees what the proxy says, and a caller over gRPC another form.
            let link = text(&connection["link"]);
            if capture["protocol"] != "ttstream" || !(link == "client to server" || link == "caller to proxy") {
                continue;
            }
            for told in Replay::of_capture(&connection["chunks"]).told() {
                assert!(sees.starts_with(told), "{}: {sees:?}, not {told:?}", capture["id"]);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 37, "streams with a sentence");
}

#[test]
fn the_end_is_the_one_that_a_live_client_made_of_a_script() {
    let mut seen = 0;
    for probe in probes().filter(|probe| probe["live_side"] == "client") {
        let what = text(&probe["what"]);
        let sees = what.split_once("the application sees: ").unwrap().1;
        let replay = replay(probe);
        match text(&probe["id"]) {
            "PT28" => assert!(replay.to_string().contains("a second header") && sees.contains("code=12002")),
            "PT35" => assert!(replay.to_string().contains("FrameType at") && sees.contains("code=12004")),
            // The keys are checked by whoever shows the error; the end is the same.
            "PT31" => assert!(replay.to_string().contains("business error 502") && sees.contains("code=12003")),
            // The fault of the Go reader, which ours does not share.
            "PT34" => assert_eq!(replay.told(), ["[ttstream error, code=12001] [client-side stream] z"]),
            id => {
                let told = replay.told();
                assert!(told.len() == 1 && sees.starts_with(told[0]), "{id}: {sees:?}, not {told:?}");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 9);
}

/// What a live server closes the connection for, and nothing else, is an error here too.
#[test]
fn verdicts_are_those_of_a_live_server() {
    for probe in probes().filter(|probe| probe["live_side"] == "server") {
        let broken = replay(probe).broken().is_some();
        match text(&probe["id"]) {
            // Where a stock server mixes up streams, or takes an id that is reserved.
            "PT13" | "PT24" => assert!(broken && probe["live_side_closed"] == false),
            // The end of the socket, not of the frames.
            "PT27" => assert!(!broken && probe["live_side_closed"] == true),
            id => assert_eq!(broken, probe["live_side_closed"].as_bool().unwrap(), "{id}"),
        }
    }
}

fn replay(probe: &Value) -> Replay {
    let scripted = if probe["live_side"] == "client" { Side::Server } else { Side::Client };
    let mut replay = Replay::of_probe(&probe["chunks"], scripted);
    if probe["live_side_closed"] == true && replay.broken().is_none() {
        replay.end();
    }
    replay
}

fn captures() -> impl Iterator<Item = &'static Value> {
    streaming_captures()["captures"].as_array().unwrap().iter()
}

fn probes() -> impl Iterator<Item = &'static Value> {
    let probes = streaming_captures()["probes"].as_array().unwrap().iter();
    probes.filter(|probe| probe["protocol"] == "ttstream")
}

/// Those of a capture that carry streams, and any bytes at all.
fn connections(capture: &Value) -> impl Iterator<Item = &Value> {
    let connections = capture["connections"].as_array().unwrap().iter();
    connections
        .filter(|connection| connection["protocol"] == "ttstream")
        .filter(|connection| connection["chunks"].as_array().unwrap().iter().any(|chunk| chunk["hex"].is_string()))
}

fn assert_same(ours: &str, expected: &str) {
    for (ours, expected) in ours.lines().zip(expected.lines()) {
        assert_eq!(ours, expected);
    }
    assert_eq!(ours.lines().count(), expected.lines().count());
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
