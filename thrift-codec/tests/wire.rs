//! Bytes that Kitex peers exchange, both ways.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use thrift_codec::{BufferedCodec, Skipper};

#[test]
fn every_split_decodes_the_same() {
    let wire = [testkit::vector("buffered_call").bytes, testkit::vector("buffered_reply").bytes].concat();
    testkit::assert_split_invariant(BufferedCodec::default, &wire);
    testkit::assert_every_cut_is_an_error(BufferedCodec::default, testkit::vector("buffered_call").bytes);
}

#[test]
fn exceptions_are_walked() {
    let bytes = testkit::vector("framed_exception_internal_error").bytes;
    let body = &bytes[20..];
    for cut in 0..body.len() {
        let mut skipper = Skipper::new_struct();
        assert_eq!(skipper.skip(&body[..cut]).unwrap(), None);
        assert_eq!(skipper.skip(&body[cut..]).unwrap(), Some(body.len() - cut));
    }
}
