//! JSON text to Thrift bytes: the rows of generic-call 7.7. Those that are conversions of data lie in
//! `rows/json-write.json`, from where they are played against live Kitex too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that is wrong may panic"
)]

mod support {
    pub(crate) mod dump;
    pub(crate) mod json;
}

use support::json::play;
use thrift_generic::base::Base;
use thrift_generic::descriptor::Function;
use thrift_generic::json::JsonCodec;
use thrift_generic::{Descriptor, Error, ErrorKind};

#[test]
fn jw_01_bool() {
    play("json-write.json", "JW-01");
}

#[test]
fn jw_02_what_the_default_profile_takes_for_a_bool() {
    play("json-write.json", "JW-02");
}

#[test]
fn jw_03_the_dynamic_profile_takes_bools_only() {
    play("json-write.json", "JW-03");
}

#[test]
fn jw_04_integers_out_of_range_wrap() {
    play("json-write.json", "JW-04");
}

#[test]
fn jw_05_64_bits_are_exact() {
    play("json-write.json", "JW-05");
}

#[test]
fn jw_06_64_bits_as_text_are_exact() {
    play("json-write.json", "JW-06");
}

#[test]
fn jw_07_integers_as_text() {
    play("json-write.json", "JW-07");
}

#[test]
fn jw_08_what_is_no_integer_is_zero() {
    play("json-write.json", "JW-08");
}

#[test]
fn jw_09_what_is_no_integer_is_an_error_in_the_dynamic_profile() {
    play("json-write.json", "JW-09");
}

#[test]
fn jw_10_fractions_are_cut() {
    play("json-write.json", "JW-10");
}

#[test]
fn jw_11_doubles_as_text() {
    play("json-write.json", "JW-11");
}

#[test]
fn jw_12_a_double_too_large() {
    play("json-write.json", "JW-12");
}

#[test]
fn jw_13_escapes() {
    play("json-write.json", "JW-13");
}

#[test]
fn jw_14_half_a_surrogate_pair() {
    play("json-write.json", "JW-14");
}

#[test]
fn jw_15_numbers_as_text() {
    play("json-write.json", "JW-15");
}

#[test]
fn jw_16_anything_as_text() {
    play("json-write.json", "JW-16");
}

#[test]
fn jw_17_base64() {
    play("json-write.json", "JW-17");
}

#[test]
fn jw_18_binary_as_text() {
    play("json-write.json", "JW-18");
}

#[test]
fn jw_19_null_in_a_list() {
    play("json-write.json", "JW-19");
}

#[test]
fn jw_20_a_scalar_is_a_list_of_one() {
    play("json-write.json", "JW-20");
}

#[test]
fn jw_21_sets_keep_what_is_there_twice() {
    play("json-write.json", "JW-21");
}

#[test]
fn jw_22_null_in_a_map() {
    play("json-write.json", "JW-22");
}

#[test]
fn jw_23_integers_as_keys() {
    play("json-write.json", "JW-23");
}

#[test]
fn jw_24_what_is_no_key() {
    play("json-write.json", "JW-24");
}

#[test]
fn jw_25_bools_as_keys() {
    play("json-write.json", "JW-25");
}

#[test]
fn jw_26_doubles_as_keys() {
    play("json-write.json", "JW-26");
}

#[test]
fn jw_27_binary_as_keys() {
    play("json-write.json", "JW-27");
}

#[test]
fn jw_28_enums_are_numbers() {
    play("json-write.json", "JW-28");
}

#[test]
fn jw_29_structs_and_null() {
    play("json-write.json", "JW-29");
}

#[test]
fn jw_30_null_among_structs() {
    play("json-write.json", "JW-30");
}

#[test]
fn jw_31_unknown_members_are_passed() {
    play("json-write.json", "JW-31");
}

#[test]
fn jw_32_names_have_a_case() {
    play("json-write.json", "JW-32");
}

#[test]
fn jw_33_names_may_be_escaped() {
    play("json-write.json", "JW-33");
}

#[test]
fn jw_34_what_follows_does_not_matter() {
    play("json-write.json", "JW-34");
}

#[test]
fn jw_35_what_is_no_json() {
    play("json-write.json", "JW-35");
}

#[test]
fn jw_36_js_conv() {
    play("json-write.json", "JW-36");
}

#[test]
fn jw_37_js_conv_of_containers() {
    play("json-write.json", "JW-37");
}

#[test]
fn jw_38_an_empty_object_in_the_default_profile() {
    play("json-write.json", "JW-38");
}

#[test]
fn jw_39_an_empty_object_in_the_dynamic_profile() {
    play("json-write.json", "JW-39");
}

#[test]
fn jw_40_null_means_missing() {
    play("json-write.json", "JW-40");
}

#[test]
fn jw_41_an_inner_struct_is_filled_too() {
    play("json-write.json", "JW-41");
}

#[test]
fn jw_42_a_base_of_the_caller() {
    play("json-write.json", "JW-42");
}

#[test]
fn jw_43_a_base_of_the_framework_is_merged() {
    play("json-write.json", "JW-43");
}

#[test]
fn jw_44_text_need_not_be_quoted() {
    play("json-write.json", "JW-44");
}

#[test]
fn jw_45_text_is_taken_as_it_is() {
    play("json-write.json", "JW-45");
}

#[test]
fn jw_46_base64_need_not_be_quoted() {
    play("json-write.json", "JW-46");
}

#[test]
fn jw_47_arguments_of_other_types() {
    play("json-write.json", "JW-47");
}

#[test]
fn jw_48_unions_may_have_several_members() {
    play("json-write.json", "JW-48");
}

#[test]
fn jw_50_no_request_at_all() {
    play("json-write.json", "JW-50");
}

#[test]
fn jw_51_aliases() {
    play("json-write.json", "JW-51");
}

#[test]
fn jw_52_api_key() {
    play("json-write.json", "JW-52");
}

#[test]
fn jw_54_nesting_has_a_limit() {
    play("json-write.json", "JW-54");
}

#[test]
fn jw_49_a_request_is_text_by_its_type() {
    // Kitex answers `decode msg failed, is not string` to everything else; here the compiler does.
    type Encode =
        fn(&JsonCodec, &Descriptor, &Function, Option<&[u8]>, Option<&Base>, &mut Vec<u8>) -> Result<(), Error>;
    let encode: Encode = JsonCodec::encode_request;
    let d = Descriptor::from_text("service S { void M(1: i32 i) }").unwrap();
    let codec = JsonCodec::new(thrift_generic::Options::json(thrift_generic::Profile::Default));
    // Text that is none: bytes that no JSON has.
    let error = encode(&codec, &d, d.function("M").unwrap(), Some(b"\x01\x02"), None, &mut Vec::new()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Syntax { .. }), "{error}");
}

#[test]
fn jw_53_an_unknown_method() {
    let d = Descriptor::from_text("service Shop { void M(1: i32 i) }").unwrap();
    assert!(d.function("N").is_none());
    let error = d.method("N").unwrap_err();
    assert_eq!(error.to_string(), "missing method: N in service: Shop");
    assert_eq!(&*d.method("M").unwrap().name, "M");
}
