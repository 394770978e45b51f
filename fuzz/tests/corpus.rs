//! Replays the checked-in corpus on the stable compiler, without a fuzzer.
#![allow(clippy::unwrap_used, reason = "a test that is wrong may panic")]

use std::{collections::BTreeSet, fs, path::Path};

use fuzz::ORACLES;

#[test]
fn every_input_is_handled_well() {
    for (target, oracle) in ORACLES {
        let inputs: Vec<_> = fs::read_dir(corpus().join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "no corpus for {target}");
        for input in inputs {
            // Shown when the oracle panics.
            println!("{}", input.display());
            oracle(&fs::read(&input).unwrap());
        }
    }
}

#[test]
fn every_target_has_an_oracle_a_corpus_and_two_lines() {
    let oracles: BTreeSet<String> = ORACLES.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(names(&corpus()), oracles);
    assert_eq!(names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets")), oracles);
}

#[test]
fn short_inputs_of_every_kind_are_handled_well() {
    for (_, oracle) in ORACLES {
        oracle(&[]);
        for first in 0..=u8::MAX {
            oracle(&[first]);
            for second in [0, 1, 0x7f, 0x80, 0xff] {
                oracle(&[first, second]);
                oracle(&[first, second, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
                oracle(&[first, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
    }
}

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}
