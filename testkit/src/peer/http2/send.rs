use bytes::Bytes;
use grpc_frame::http2::{
    Continuation, Data, ErrorCode, Flags, Frame, FrameType, GoAway, Headers, PREFACE, Peer, Ping, RstStream, SettingId,
    Settings, StreamId, Unknown, WindowUpdate,
};

use super::{Fields, Pulled, RawH2, encoded};

/// Sending.
impl RawH2 {
    /// Sends what opens the connection: on a client's side the preface, and SETTINGS with these values.
    ///
    /// # Panics
    ///
    /// When a value is one that it must not have, or the peer is gone.
    pub fn open(&mut self, settings: &[(SettingId, u32)]) {
        if self.peer == Peer::Server {
            self.conn.send(PREFACE);
        }
        self.send_settings(settings);
    }

    /// Sends `octets`, whatever they are.
    ///
    /// # Panics
    ///
    /// When the peer is gone.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.conn.send(octets);
    }

    /// Sends `octets` if the peer takes them; false when it is gone, or takes nothing for a long time.
    pub fn try_send(&mut self, octets: impl AsRef<[u8]>) -> bool {
        self.conn.try_send(octets)
    }

    /// Sends a frame that breaks no rule of its own.
    ///
    /// # Panics
    ///
    /// When it does, or the peer is gone.
    pub fn send_frame(&mut self, frame: impl Into<Frame>) {
        let frame = frame.into();
        self.windows.sent(&frame);
        self.conn.send(encoded(&frame));
    }

    /// Sends a frame of any type with anything in it.
    ///
    /// # Panics
    ///
    /// When Length cannot say how long it is, or the peer is gone.
    pub fn send_any(&mut self, frame_type: FrameType, flags: Flags, stream: u32, payload: impl AsRef<[u8]>) {
        let payload = Bytes::copy_from_slice(payload.as_ref());
        let frame = Unknown { frame_type, flags, stream_id: StreamId::new(stream), payload };
        self.conn.send(encoded(&frame.into()));
    }

    /// Sends SETTINGS. A larger frame size is taken from now on.
    ///
    /// # Panics
    ///
    /// When a value is one that it must not have, or the peer is gone.
    pub fn send_settings(&mut self, settings: &[(SettingId, u32)]) {
        let settings = Settings::new(settings.iter().copied()).expect("values in range");
        if let Some(size) = settings.value(SettingId::MAX_FRAME_SIZE) {
            self.codec.set_max_frame_size(usize::try_from(size).expect("24 bits"));
        }
        self.send_frame(settings);
    }

    /// Sends HEADERS with these fields as literals that are not indexed.
    pub fn send_headers(&mut self, stream: u32, fields: impl Into<Fields>, end_stream: bool) {
        self.send_block(stream, fields.into().literal_block(), end_stream);
    }

    /// Sends HEADERS with this header block, which need not be one.
    pub fn send_block(&mut self, stream: u32, block: impl Into<Bytes>, end_stream: bool) {
        let flags = Flags::END_HEADERS.with(Flags::END_STREAM, end_stream);
        self.send_frame(Headers::new(StreamId::new(stream), block.into()).with_flags(flags));
    }

    /// Sends a header block as HEADERS and CONTINUATION, `piece` octets each.
    pub fn send_block_in_pieces(&mut self, stream: u32, block: impl Into<Bytes>, piece: usize, end_stream: bool) {
        let (stream_id, mut block) = (StreamId::new(stream), block.into());
        let first = block.split_to(piece.min(block.len()));
        let flags = |block: &Bytes| Flags::NONE.with(Flags::END_HEADERS, block.is_empty());
        let first_flags = flags(&block).with(Flags::END_STREAM, end_stream);
        self.send_frame(Headers::new(stream_id, first).with_flags(first_flags));
        while !block.is_empty() {
            let fragment = block.split_to(piece.min(block.len()));
            self.send_frame(Continuation { stream_id, flags: flags(&block), fragment });
        }
    }

    /// The header block of these fields by this connection's table, which grows: it has to be sent, and in turn.
    pub fn encode_fields(&mut self, fields: impl Into<Fields>) -> Bytes {
        self.encoder.encode(fields.into().iter()).into()
    }

    /// Sends one DATA frame, whatever the windows are.
    pub fn send_data(&mut self, stream: u32, data: impl AsRef<[u8]>, end_stream: bool) {
        let data = Data::new(StreamId::new(stream), Bytes::copy_from_slice(data.as_ref()));
        self.send_frame(data.with_flags(Flags::NONE.with(Flags::END_STREAM, end_stream)));
    }

    /// Sends DATA frames as the windows allow, waiting for them to open; false when the stream is reset or the
    /// connection closed first. Other frames that come meanwhile stay to be read.
    ///
    /// # Panics
    ///
    /// When the windows stay shut.
    pub fn send_all(&mut self, stream: u32, data: impl AsRef<[u8]>, end_stream: bool) -> bool {
        let mut rest = data.as_ref();
        loop {
            let window = usize::try_from(self.window(stream)).unwrap_or_default();
            let (piece, after) = rest.split_at(rest.len().min(window).min(self.windows.max_frame_size));
            if !piece.is_empty() || after.is_empty() {
                self.send_data(stream, piece, end_stream && after.is_empty());
                rest = after;
                if rest.is_empty() {
                    return true;
                }
                continue;
            }
            match self.pull(Some(self.conn.deadline())) {
                Pulled::Frame(frame) => {
                    let reset = frame.stream() == stream && matches!(frame.frame, Frame::RstStream(_));
                    self.unread.push_back(frame);
                    if reset {
                        return false;
                    }
                }
                Pulled::End => return false,
                Pulled::Nothing => panic!("the window of stream {stream} stays at {}", self.window(stream)),
            }
        }
    }

    /// Sends RST_STREAM.
    pub fn send_reset(&mut self, stream: u32, code: ErrorCode) {
        self.send_frame(RstStream::new(StreamId::new(stream), code));
    }

    /// Sends PING.
    pub fn send_ping(&mut self, data: [u8; 8]) {
        self.send_frame(Ping::new(data));
    }

    /// Sends GOAWAY.
    pub fn send_goaway(&mut self, last_stream: u32, code: ErrorCode, text: &str) {
        let debug_data = Bytes::copy_from_slice(text.as_bytes());
        self.send_frame(GoAway::new(StreamId::new(last_stream), code, debug_data));
    }

    /// Sends WINDOW_UPDATE; stream 0 is the connection.
    pub fn grant(&mut self, stream: u32, octets: u32) {
        self.send_frame(WindowUpdate::new(StreamId::new(stream), octets));
    }

    /// How many octets of DATA the peer takes on `stream` now, by SETTINGS and WINDOW_UPDATE as far as they were read
    /// and DATA as it was sent.
    #[must_use]
    pub fn window(&self, stream: u32) -> i64 {
        self.windows.of(stream)
    }
}
