use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grpc_frame::content_type;
use grpc_frame::metadata::{SOURCE_SERVICE, STREAM_LOG_ID};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ttstream::{EncodeError, Frame, FrameType, IntKey, StreamEncoder, keys};

use crate::client::stream::unfit;
use crate::rpc::stream::{Codec, Entry, HeadForm, StreamHead};
use crate::rpc::{Downstream, Fault, StreamTransport};
use crate::wire::grpc;

/// What is called, and what is said along with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Invocation {
    /// The service as its IDL calls it, without a package: `isn` of a header, the last part of a gRPC path.
    pub service: String,
    /// The package, which gRPC's paths have; empty for none.
    pub package: String,
    /// The method.
    pub method: String,
    /// What the payload is.
    pub codec: Codec,
    /// Whether no reply is expected.
    pub oneway: bool,
    /// String keys as TTHeader has them, metainfo with its prefix (`RPC_PERSIST_`), and their values. Over gRPC they are
    /// fields, over Buffered and Framed they have no form and stay behind.
    pub metadata: Vec<(Bytes, Bytes)>,
    /// What the caller calls itself.
    pub caller: Option<String>,
    /// The log id.
    pub log_id: Option<String>,
    /// How long all of it may take.
    pub timeout: Option<Duration>,
}

impl Invocation {
    /// A Thrift method, with nothing said beside.
    #[must_use]
    pub fn new(service: impl Into<String>, method: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            package: String::new(),
            method: method.into(),
            codec: Codec::Thrift,
            oneway: false,
            metadata: Vec::new(),
            caller: None,
            log_id: None,
            timeout: None,
        }
    }

    /// What opens it as a stream.
    pub(super) fn head(&self, transport: StreamTransport, downstream: &Rc<Downstream>) -> Result<StreamHead, Fault> {
        let form = match transport {
            StreamTransport::Grpc => self.request().ok_or_else(|| unfit("service or method is no part of a path"))?,
            StreamTransport::TtStream if self.codec != Codec::Thrift => {
                return Err(unfit("ttstream carries Thrift alone"));
            }
            StreamTransport::TtStream => HeadForm::Frame(self.frame()?),
        };
        Ok(StreamHead::new(form, Rc::clone(downstream)))
    }

    /// A header frame; its stream's id is the driver's to give.
    fn frame(&self) -> Result<Frame, Fault> {
        let mut head = BytesMut::new();
        self.write_head(&mut head).map_err(unfit)?;
        Frame::parse(head.freeze()).map_err(unfit)
    }

    fn write_head(&self, head: &mut BytesMut) -> Result<(), EncodeError> {
        let encoder = StreamEncoder::new(1, self.method.as_bytes())?;
        let mut frame = encoder.writer(FrameType::Header, head)?;
        frame.string(keys::IDL_SERVICE_NAME, self.service.as_bytes())?;
        frame.strings(self.metadata.iter().map(|(key, value)| (&**key, &**value)))?;
        for (key, value) in [(IntKey::FROM_SERVICE, &self.caller), (IntKey::LOG_ID, &self.log_id)] {
            if let Some(value) = value {
                frame.int(key, value.as_bytes())?;
            }
        }
        frame.finish(0)
    }

    fn request(&self) -> Option<HeadForm> {
        let path = grpc::path(&self.package, self.service.as_bytes(), self.method.as_bytes())?;
        let mut fields = HeaderMap::new();
        let content_type = match self.codec {
            Codec::Thrift => content_type::GRPC_THRIFT,
            _ => content_type::GRPC,
        };
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        fields.insert(TE, HeaderValue::from_static("trailers"));
        for (name, value) in [(SOURCE_SERVICE, &self.caller), (STREAM_LOG_ID, &self.log_id)] {
            if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
                fields.insert(HeaderName::from_static(name), value);
            }
        }
        let entries = self.metadata.iter().map(|(key, value)| Entry { key: key[..].into(), value: value[..].into() });
        grpc::add_entries(&mut fields, entries);
        Some(HeadForm::Http2 { uri: Uri::from(path), fields })
    }
}
