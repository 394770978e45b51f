use bytes::Bytes;
use grpc_frame::compression::{self, CompressionError, Encoding};
use grpc_frame::message::{Assembler, Message};
use http::HeaderMap;

use crate::rpc::{Fault, FaultKind};

/// The messages in the data of another protocol.
#[derive(Debug)]
pub(crate) struct Messages {
    assembler: Assembler,
    encoding: Option<Bytes>,
    max_message: usize,
}

impl Messages {
    pub(crate) fn new(max_message: usize) -> Self {
        Self { assembler: Assembler::new(max_message), encoding: None, max_message }
    }

    /// Learns how messages are compressed.
    pub(crate) fn set_encoding(&mut self, fields: &HeaderMap) {
        self.encoding = fields.get(compression::ENCODING).map(|name| Bytes::copy_from_slice(name.as_bytes()));
    }

    pub(crate) fn feed(&mut self, bytes: Bytes) {
        self.assembler.feed(bytes);
    }

    /// The next whole message, uncompressed, as a data frame carries it (D2).
    ///
    /// # Errors
    ///
    /// It is too long, empty, or compressed in a way that can't be undone.
    pub(crate) fn next_message(&mut self) -> Result<Option<Bytes>, Fault> {
        let payload = self.next_payload()?;
        if payload.as_ref().is_some_and(Bytes::is_empty) {
            return Err(Fault::sent(FaultKind::BadArguments, "an empty message has no form in ttstream"));
        }
        Ok(payload)
    }

    /// The next whole message, uncompressed, which may be empty.
    ///
    /// # Errors
    ///
    /// It is too long, or compressed in a way that can't be undone.
    pub(crate) fn next_payload(&mut self) -> Result<Option<Bytes>, Fault> {
        Ok(self.next_as_it_came()?.map(|(_, payload)| payload))
    }

    /// The next whole message: as it came, and uncompressed.
    ///
    /// # Errors
    ///
    /// It is too long, or compressed in a way that can't be undone.
    pub(crate) fn next_as_it_came(&mut self) -> Result<Option<(Message, Bytes)>, Fault> {
        let too_long = |text: String| Fault::sent(FaultKind::OverLimit, text);
        let Some(message) = self.assembler.next_message().map_err(|error| too_long(error.to_string()))? else {
            return Ok(None);
        };
        let payload = if message.flag.is_compressed() {
            let encoding = Encoding::parse(self.encoding.as_deref().unwrap_or_default());
            if encoding == Encoding::Identity {
                let text = "a message is compressed, and `grpc-encoding` does not say how";
                return Err(Fault::sent(FaultKind::BadArguments, text));
            }
            encoding.decompress(&message.payload, self.max_message).map_err(|error| match error {
                CompressionError::TooLong { .. } => too_long(error.to_string()),
                error => Fault::sent(FaultKind::BadArguments, format!("a compressed message: {error}")),
            })?
        } else {
            message.payload.clone()
        };
        Ok(Some((message, payload)))
    }

    /// Whether the sender may end here.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.assembler.is_between_messages()
    }
}
