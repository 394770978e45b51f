use std::time::Duration;

use grpc_frame::http2::{ErrorCode, Flags, Frame, FrameType, SettingId};

use super::{NONE, RawH2, grpc_message, grpc_request};
use crate::peer::RawServer;

#[test]
fn a_call_goes_there_and_back() {
    let backend = echo();
    let mut client = RawH2::client(backend.addr());
    let answer = client.call("/echo.Echo/Echo", [("x-key", "value")], "hello");
    assert_eq!((answer.status(), answer.message()), (Some(0), Some("value")));
    assert_eq!(answer.messages(), [b"hello"]);
    assert!(!answer.is_trailers_only());
    client.wait_for_settings();
    client.wait_for_settings_ack();
    assert_eq!((client.wait_for_credit(0), client.wait_for_credit(1)), (10, 10));
    client.expect_silence(&[0, 1], Duration::from_millis(20));
}

#[test]
fn trailers_alone_are_told_from_an_answer() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        while let Some(request) = conn.next_request() {
            conn.trailers(request.stream, 12, "no such method");
        }
    });
    let mut client = RawH2::client(backend.addr());
    let answer = client.call("/a/b", NONE, "");
    assert_eq!((answer.status(), answer.is_trailers_only()), (Some(12), true));
    assert_eq!(client.call("/a/b", NONE, "").message(), Some("no such method"));
}

#[test]
fn more_than_a_window_goes_as_credit_comes() {
    let backend = echo();
    let mut client = RawH2::client(backend.addr());
    client.auto_credit(true);
    let payload = vec![b'm'; 1 << 20];
    let answer = client.call("/a/b", NONE, &payload);
    assert_eq!(answer.messages(), [payload]);
    assert!(answer.data_frames.iter().all(|len| *len <= 16_384));
}

#[test]
fn windows_are_counted() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::accepted(conn);
        conn.open(&[(SettingId::INITIAL_WINDOW_SIZE, 10)]);
        let request = conn.next_request().unwrap();
        conn.grant(request.stream, 5);
        conn.wait_for_data(request.stream);
        conn.send_reset(request.stream, ErrorCode::CANCEL);
        conn.next_frame();
    });
    let mut client = RawH2::client(backend.addr());
    assert_eq!(client.window(1), 65_535);
    let stream = client.request("/a/b", NONE);
    client.wait_for_settings();
    assert_eq!(client.wait_for_credit(stream), 5);
    assert_eq!(client.window(stream), 15);
    assert!(!client.send_all(stream, [0; 16], true));
    assert_eq!((client.window(stream), client.window(3)), (0, 10));
    assert_eq!(client.wait_for_reset(stream), ErrorCode::CANCEL);
}

#[test]
fn header_blocks_go_in_pieces_and_by_table() {
    let backend = echo();
    let mut client = RawH2::client(backend.addr());
    for stream in [1, 3, 5] {
        let fields = grpc_request("/a/b", [("x-key", "table")]);
        let block = client.encode_fields(fields);
        client.send_block_in_pieces(stream, block, 3, false);
        client.send_data(stream, grpc_message("m"), true);
        assert_eq!(client.read_answer(stream).message(), Some("table"));
    }
}

#[test]
fn acknowledgements_can_be_left_out() {
    let backend = RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        conn.auto_ack(false);
        let ping = conn.wait_for("PING", |frame| matches!(frame.frame, Frame::Ping(_)));
        let Frame::Ping(ping) = ping.frame else { unreachable!() };
        conn.send_frame(ping.to_ack());
        conn.send_goaway(0, ErrorCode::ENHANCE_YOUR_CALM, "too_many_pings");
        conn.shut_down();
    });
    let mut client = RawH2::client(backend.addr());
    client.send_ping(*b"01234567");
    client.wait_for_pong(*b"01234567");
    let goaway = client.wait_for_goaway();
    assert_eq!((goaway.code, &goaway.debug_data[..]), (ErrorCode::ENHANCE_YOUR_CALM, &b"too_many_pings"[..]));
    // SETTINGS of the server alone: ours were not acknowledged.
    let rest = client.read_to_close();
    assert_eq!(rest.iter().map(|frame| frame.frame.frame_type()).collect::<Vec<_>>(), [FrameType::SETTINGS]);
    assert!(matches!(&rest[0].frame, Frame::Settings(settings) if !settings.is_ack()));
}

#[test]
fn what_breaks_a_rule_can_be_sent_and_is_noticed() {
    let backend = RawServer::start(|mut conn| {
        conn.read_exact(24 + 9 + 9 + 3);
        conn.send([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        conn.next_message();
    });
    let mut client = RawH2::client(backend.addr());
    client.send_any(FrameType::PING, Flags::NONE, 3, b"abc");
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.wait_for_credit(1)));
    let text = caught.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("Window Size Increment"), "{text}");
}

/// Echoes messages, and in `grpc-message` the value of `x-key`.
fn echo() -> RawServer {
    RawServer::start(|conn| {
        let mut conn = RawH2::server(conn);
        conn.auto_credit(true);
        while let Some(request) = conn.next_request() {
            while let Some(message) = conn.next_grpc_message(request.stream) {
                conn.respond(request.stream);
                if !conn.send_all(request.stream, grpc_message(message), false) {
                    return;
                }
            }
            conn.trailers(request.stream, 0, request.fields.text("x-key").unwrap_or_default());
        }
    })
}
