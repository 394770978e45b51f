use std::time::{Duration, Instant};

use grpc_frame::http2::{Data, ErrorCode, Frame, GoAway, Settings, StreamId, WindowUpdate};
use tokio_util::codec::Decoder;

use super::{Fields, H2Frame, Pulled, RawH2, encoded};
use crate::peer::conn::Came;

/// Reading.
impl RawH2 {
    /// Reads the next frame.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn read_frame(&mut self) -> H2Frame {
        self.wait_for("a frame", |_| true)
    }

    /// Reads the next frame however long it takes; `None` when the peer closes first.
    pub fn next_frame(&mut self) -> Option<H2Frame> {
        self.find(None, |_| true)
    }

    /// Reads the next frame if one comes within `time`.
    pub fn poll_frame(&mut self, time: Duration) -> Option<H2Frame> {
        self.find(Some(Instant::now() + time), |_| true)
    }

    /// Reads the first frame that is as `wanted`. Those before it stay to be read.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&H2Frame) -> bool) -> H2Frame {
        let deadline = self.conn.deadline();
        self.find(Some(deadline), wanted).unwrap_or_else(|| {
            let state = if self.closed { "closed" } else { "not in time" };
            panic!("{what}: {state}; unread are {:#?}", self.unread)
        })
    }

    /// Reads the next HEADERS of `stream`.
    pub fn wait_for_headers(&mut self, stream: u32) -> H2Frame {
        let wanted = |frame: &H2Frame| matches!(frame.frame, Frame::Headers(_)) && frame.stream() == stream;
        self.wait_for(&format!("HEADERS of stream {stream}"), wanted)
    }

    /// Reads the next DATA of `stream`.
    pub fn wait_for_data(&mut self, stream: u32) -> Data {
        let wanted = |frame: &H2Frame| matches!(frame.frame, Frame::Data(_)) && frame.stream() == stream;
        match self.wait_for(&format!("DATA of stream {stream}"), wanted).frame {
            Frame::Data(data) => data,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads the reset of `stream`: its code.
    pub fn wait_for_reset(&mut self, stream: u32) -> ErrorCode {
        let wanted = |frame: &H2Frame| matches!(frame.frame, Frame::RstStream(_)) && frame.stream() == stream;
        match self.wait_for(&format!("RST_STREAM of stream {stream}"), wanted).frame {
            Frame::RstStream(reset) => reset.code,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads the next GOAWAY.
    pub fn wait_for_goaway(&mut self) -> GoAway {
        match self.wait_for("GOAWAY", |frame| matches!(frame.frame, Frame::GoAway(_))).frame {
            Frame::GoAway(goaway) => goaway,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads the next SETTINGS that are no acknowledgement.
    pub fn wait_for_settings(&mut self) -> Settings {
        let wanted = |frame: &H2Frame| matches!(&frame.frame, Frame::Settings(settings) if !settings.is_ack());
        match self.wait_for("SETTINGS", wanted).frame {
            Frame::Settings(settings) => settings,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads the acknowledgement of SETTINGS of ours.
    pub fn wait_for_settings_ack(&mut self) {
        self.wait_for(
            "the acknowledgement of SETTINGS",
            |frame| matches!(&frame.frame, Frame::Settings(settings) if settings.is_ack()),
        );
    }

    /// Reads the answer to a PING of ours.
    pub fn wait_for_pong(&mut self, data: [u8; 8]) {
        self.wait_for(
            "the answer to PING",
            |frame| matches!(&frame.frame, Frame::Ping(ping) if ping.is_ack() && ping.data == data),
        );
    }

    /// Reads the next WINDOW_UPDATE of `stream`: its increment.
    pub fn wait_for_credit(&mut self, stream: u32) -> u32 {
        let wanted = |frame: &H2Frame| matches!(frame.frame, Frame::WindowUpdate(_)) && frame.stream() == stream;
        match self.wait_for(&format!("WINDOW_UPDATE of stream {stream}"), wanted).frame {
            Frame::WindowUpdate(update) => update.increment,
            other => unreachable!("{other:?}"),
        }
    }

    /// Reads up to the peer's close or reset: all frames that came.
    ///
    /// # Panics
    ///
    /// When the peer does not close.
    pub fn read_to_close(&mut self) -> Vec<H2Frame> {
        let deadline = self.conn.deadline();
        loop {
            match self.pull(Some(deadline)) {
                Pulled::Frame(frame) => self.unread.push_back(frame),
                Pulled::End => return self.unread.drain(..).collect(),
                Pulled::Nothing => panic!("not closed in time; unread are {:#?}", self.unread),
            }
        }
    }

    /// Expects that no frame of these streams comes within `time`; frames of others, and a close, are no matter.
    ///
    /// # Panics
    ///
    /// When one does, or is unread already.
    pub fn expect_silence(&mut self, streams: &[u32], time: Duration) {
        let wanted = |frame: &H2Frame| streams.contains(&frame.stream());
        if let Some(frame) = self.find(Some(Instant::now() + time), wanted) {
            panic!("a frame where silence was expected: {frame:?}");
        }
    }

    /// Closes the sending side.
    pub fn half_close(&self) {
        self.conn.half_close();
    }

    /// Ends both directions at once.
    pub fn shut_down(&self) {
        self.conn.shut_down();
    }

    /// Closes without a goodbye: the peer gets a TCP reset.
    pub fn reset(self) {
        self.conn.reset();
    }

    /// The first frame that is as `wanted`, unread or still to come before `deadline` and the peer's close.
    pub(super) fn find(&mut self, deadline: Option<Instant>, wanted: impl Fn(&H2Frame) -> bool) -> Option<H2Frame> {
        if let Some(place) = self.unread.iter().position(&wanted) {
            return self.unread.remove(place);
        }
        loop {
            match self.pull(deadline) {
                Pulled::Frame(frame) if wanted(&frame) => return Some(frame),
                Pulled::Frame(frame) => self.unread.push_back(frame),
                Pulled::End | Pulled::Nothing => return None,
            }
        }
    }

    pub(super) fn pull(&mut self, deadline: Option<Instant>) -> Pulled {
        loop {
            match self.codec.decode(&mut self.inbox) {
                Ok(Some(frame)) => return Pulled::Frame(self.take(frame)),
                Ok(None) => {}
                Err(error) => panic!("the peer broke a rule: {error}; {:02x?}", self.inbox),
            }
            match self.conn.fill(deadline) {
                Came::Bytes => self.inbox.extend_from_slice(&self.conn.drain()),
                Came::End => {
                    self.closed = true;
                    return Pulled::End;
                }
                Came::Nothing => return Pulled::Nothing,
            }
        }
    }

    /// Decodes the header list, keeps the windows' accounts, and answers what is to be answered.
    fn take(&mut self, frame: Frame) -> H2Frame {
        self.windows.received(&frame);
        // A peer that is gone needs no answer.
        match &frame {
            Frame::Settings(settings) if self.acknowledges && !settings.is_ack() => {
                self.conn.try_send(encoded(&Settings::ack().into()));
            }
            Frame::Ping(ping) if self.acknowledges && !ping.is_ack() => {
                self.conn.try_send(encoded(&ping.to_ack().into()));
            }
            Frame::Data(data) if self.credits && data.flow_len() > 0 => {
                let octets = u32::try_from(data.flow_len()).expect("24 bits");
                for stream_id in [StreamId::CONNECTION, data.stream_id] {
                    self.conn.try_send(encoded(&WindowUpdate::new(stream_id, octets).into()));
                }
            }
            _ => {}
        }
        let fields = match &frame {
            Frame::Headers(headers) => self.decode_fields(&headers.fragment),
            Frame::PushPromise(promise) => self.decode_fields(&promise.fragment),
            _ => Fields::default(),
        };
        H2Frame { frame, fields }
    }

    fn decode_fields(&mut self, block: &[u8]) -> Fields {
        Fields::new(self.decoder.decode(block).unwrap_or_else(|error| panic!("a header block: {error}; {block:02x?}")))
    }
}
