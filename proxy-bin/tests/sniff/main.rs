//! `proxy-bin sniff`, the binary itself: verdicts, frames, dumps and captures.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong may panic"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{from_hex, to_hex};

/// The exit code, and what was printed.
fn sniff(arguments: &[&str], input: &[u8]) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_proxy-bin"))
        .arg("sniff")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that has seen enough closes.
    let _closed = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn testdata(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sniff/testdata").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_vector_is_told_by_form_and_method() {
    for vector in testkit::vectors() {
        let (code, text) = sniff(&["-"], &vector.bytes);
        let name = &vector.name;
        if vector.kitex_server_accepts != Some(false) && vector.kitex_client_accepts != Some(false) {
            assert_eq!(code, 0, "{name}: {text}");
            let messages = vector.fields.as_array().map_or(1, Vec::len);
            assert_eq!(text.lines().filter(|line| line.starts_with('@')).count(), messages, "{name}: {text}");
            if let Some(method) = vector.fields["message"]["method"].as_str() {
                assert!(text.contains(&format!(" {method:?}, seqid ")), "{name}: {text}");
            }
        }
    }
}

#[test]
fn header_keys_have_their_names() {
    let (_, text) = sniff(&["-"], &testkit::vector("ttheader_call_full").bytes);
    for line in [
        "@0 ttheader CALL \"echo\", seqid 1, 184 bytes",
        "        ACL token = \"tok\"",
        "        RPC_PERSIST_p1 = \"pv\"",
        "        12 RPCTimeout = \"1500\"",
        "        3 FromService = \"caller.svc\"",
        "    1: string \"hi\"",
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line}: {text}");
    }
}

#[test]
fn what_makes_no_sense_is_told_with_its_place() {
    let good = testkit::vector("framed_call").bytes;
    let twice = [&good[..], &[0xff; 12]].concat();
    let (code, text) = sniff(&["-"], &twice);
    assert_eq!(code, 1);
    assert!(text.contains("@0 framed CALL \"echo\""), "{text}");
    assert!(text.contains("@30 !! at byte 30: makes no sense from here on, 12 bytes"), "{text}");

    let (code, text) = sniff(&["-"], &good[..20]);
    assert_eq!(code, 1);
    assert!(text.contains("!! at byte 0: the last 20 bytes are a frame that is cut off"), "{text}");

    // A string in a struct that is longer than its frame: the frame is whole, the struct is not.
    let mut long = good.clone();
    long[26] = 9;
    let (code, text) = sniff(&["-"], &long);
    assert_eq!(code, 1);
    assert!(text.contains("!! at byte 20: the struct makes no sense:"), "{text}");
}

#[test]
fn a_struct_without_idl_is_a_tree() {
    let body = from_hex(
        "020001 01  030002 ff  060003 7fff  080004 80000000  0a0005 0000000000000001  040006 3ff8000000000000 \
         0b0007 00000003 00ff01  0f0008 08 00000003 00000001 00000002 00000003 \
         0d0009 0b 0c 00000001 00000001 61 080001 00000007 00  0e000a 0b 00000000  0c000b 00  00",
    );
    let (code, text) = sniff(&["--as", "struct", "-"], &body);
    let lines: Vec<&str> = text.lines().skip(2).map(|line| line.strip_prefix("    ").unwrap()).collect();
    let expected = [
        "1: bool true",
        "2: i8 -1",
        "3: i16 32767",
        "4: i32 -2147483648",
        "5: i64 1",
        "6: double 1.5",
        "7: string 0x00ff01",
        "8: list<i32> (3) [1, 2, 3]",
        "9: map<string, struct> (1)",
        "    \"a\" = struct",
        "        1: i32 7",
        "10: set<string> (0) []",
        "11: struct",
    ];
    assert_eq!((code, &lines[..]), (0, &expected[..]));
}

#[test]
fn dumps_of_other_tools_are_read() {
    let bytes = testkit::vector("ttheader_call_full").bytes;
    let (code, expected) = sniff(&["-"], &bytes);
    assert_eq!(code, 0);
    let frames = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    for dump in [to_hex(&bytes), xxd(&bytes)] {
        let (code, text) = sniff(&["-"], dump.as_bytes());
        assert_eq!(code, 0, "{text}");
        assert!(text.starts_with("hex dump: 184 bytes, ttheader\n"), "{text}");
        assert_eq!(frames(&text), frames(&expected));
    }
}

fn xxd(bytes: &[u8]) -> String {
    let row = |(index, row): (usize, &[u8])| {
        let groups: Vec<String> = row.chunks(2).map(to_hex).collect();
        let text: String =
            row.iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }).collect();
        format!("{:08x}: {:<39}  {text}\n", index * 16, groups.join(" "))
    };
    bytes.chunks(16).enumerate().map(row).collect()
}

#[test]
fn payloads_are_dumped_when_asked() {
    let (_, text) = sniff(&["--hex", "-"], &testkit::vector("framed_call").bytes);
    assert!(text.contains("    00000014  0b 00 01 00 00 00 02 68 69 00                    .......hi."), "{text}");
}

#[test]
fn a_capture_is_put_together_and_told_connection_by_connection() {
    let (code, text) = sniff(&[&testdata("streams.pcap")], b"");
    assert_eq!(code, 0, "{text}");
    assert_eq!(text, std::fs::read_to_string(testdata("streams.txt")).unwrap());
}

#[test]
fn a_gap_in_a_capture_is_told_and_passed_over() {
    let (code, text) = sniff(&[&testdata("gap.pcapng")], b"");
    assert_eq!(code, 1, "{text}");
    assert_eq!(text, std::fs::read_to_string(testdata("gap.txt")).unwrap());
}

#[test]
fn a_capture_that_is_cut_off_is_read_as_far_as_it_goes() {
    let whole = std::fs::read(testdata("streams.pcap")).unwrap();
    let (code, text) = sniff(&["-"], &whole[..whole.len() / 2]);
    assert_eq!(code, 1);
    assert!(text.contains("→ @46 #10 ttstream data frame"), "{text}");
    assert!(text.contains("unreadable record at byte"), "{text}");
}

#[test]
fn other_protocols_are_named() {
    let hello = from_hex("16 03 01 00 04 01 00 00 00");
    let (code, text) = sniff(&["-"], &hello);
    assert_eq!((code, text.as_str()), (0, "9 bytes, TLS\n@0 TLS: encrypted, 9 bytes\n"));
    let (code, text) = sniff(&["-"], b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(code, 0);
    assert!(text.contains("HTTP/1, 28 bytes\n    \"GET /x HTTP/1.1\"\n    \"host: a\"\n"), "{text}");
    let (code, text) = sniff(&["-"], &from_hex("00 00000005 0a 03 61 62 63"));
    assert_eq!(code, 0);
    assert!(text.contains("gRPC message") && text.contains("1: bytes \"abc\""), "{text}");
    let (code, text) = sniff(&["-"], b"");
    assert_eq!((code, text.as_str()), (0, "0 bytes, nothing\n"));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let (code, text) = sniff(&["/nowhere/at/all"], b"");
    assert_eq!(code, 1);
    assert!(text.starts_with("error: /nowhere/at/all: "), "{text}");
    let (code, _) = sniff(&[], b"");
    assert_eq!(code, 2);
    let (code, text) = sniff(&["-"], b"80 01 0g 00");
    assert_eq!((code, text.as_str()), (1, "error: -: hex, line 1: \"0g\" is not pairs of hex digits\n"));
}

/// The lines of a capture's frames that an IDL turns into JSON, without blanks.
fn bodies(arguments: &[&str]) -> String {
    let (code, text) = sniff(arguments, b"");
    assert_eq!(code, 0, "{text}");
    text.split_whitespace().collect()
}

#[test]
fn bodies_are_json_where_an_idl_knows_them() {
    let (thrift, proto, capture) = (testdata("live.thrift"), testdata("live.proto"), testdata("streams.pcap"));
    let by_thrift = bodies(&["--idl", &thrift, &capture]);
    // Over ttstream and over gRPC, a message there and its echo, twice.
    for text in ["m0", "m1"] {
        assert_eq!(by_thrift.matches(&format!("{{\"text\":\"{text}\"}}")).count(), 4, "{by_thrift}");
    }
    // The Framed call and its reply are text alone.
    assert!(by_thrift.contains("seqid1,30bytes\"hi\"←"), "{by_thrift}");
    // The IDL has no such service: a tree.
    assert!(by_thrift.contains("1:bytes\"bizerror\""), "{by_thrift}");
    let by_proto = bodies(&["--idl", &proto, &capture]);
    assert!(by_proto.contains("{\"text\":\"bizerror\"}"), "{by_proto}");
    assert!(by_proto.contains("1:string\"m0\""), "{by_proto}");
}

#[test]
fn results_are_told_apart_by_their_idl() {
    let thrift = testdata("live.thrift");
    for (vector, expected) in [
        ("framed_call", "    \"hi\"\n"),
        (
            "framed_reply_declared_exception",
            "    exception oops: Oops\n        {\n          \"why\": \"mock exception\"\n",
        ),
        ("framed_reply_empty_result", "    (no result)\n"),
    ] {
        let (code, text) = sniff(&["--idl", &thrift, "-"], &testkit::vector(vector).bytes);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(expected), "{vector}: {text}");
    }
    // A body that is not what the IDL says is shown as what it is.
    let number = from_hex("0000001c 80010001 00000004 6563686f 00000001 0a0001 000000000000002a 00");
    let (code, text) = sniff(&["--idl", &thrift, "-"], &number);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("(not what the IDL says: ") && text.contains("    1: i64 42\n"), "{text}");

    let (code, text) = sniff(&["--idl", "/no/such.thrift", "-"], b"");
    assert_eq!(code, 1);
    assert!(text.starts_with("error: "), "{text}");
}
