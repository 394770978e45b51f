use std::rc::Rc;
use std::time::{Duration, Instant};

use grpc_frame::content_type::{self, ContentType};
use grpc_frame::metadata::{DESTINATION_SERVICE, SOURCE_METHOD, SOURCE_SERVICE};
use grpc_frame::path::Path;
use http::{HeaderMap, Uri};
use ttstream::{Frame, IntKey};

pub use grpc_frame::content_type::Codec;

use crate::rpc::stream::metadata::{self, Entry};
use crate::rpc::{Downstream, Head, Protocol};

/// What opens a stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamHead {
    /// What opened it, in the form it came in.
    pub form: HeadForm,
    /// The connection that it came by.
    pub downstream: Rc<Downstream>,
    /// How long the caller waits from its arrival on, where it says so.
    pub timeout: Option<Duration>,
    /// When an answer is of no more use, worked out of `timeout` and the route's; set by the pipeline.
    pub deadline: Option<Instant>,
}

/// The opening of a stream, as it came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HeadForm {
    /// A request of gRPC; its path has been found to have a service and a method.
    Http2 {
        /// `:scheme`, `:authority`, `:path`.
        uri: Uri,
        /// The other fields.
        fields: HeaderMap,
    },
    /// A header frame.
    Frame(Frame),
}

impl StreamHead {
    /// A head without a deadline.
    #[must_use]
    pub fn new(form: HeadForm, downstream: Rc<Downstream>) -> Self {
        Self { form, downstream, timeout: None, deadline: None }
    }

    /// What the messages are.
    #[must_use]
    pub fn codec(&self) -> Codec {
        match &self.form {
            HeadForm::Http2 { fields, .. } => fields
                .get(content_type::NAME)
                .and_then(|value| ContentType::parse(value.as_bytes()))
                .map_or(Codec::Protobuf, |content_type| content_type.codec()),
            HeadForm::Frame(_) => Codec::Thrift,
        }
    }

    /// The name under which discovery knows the called service, where it travels (streaming-wire D1).
    #[must_use]
    pub fn destination(&self) -> Option<&[u8]> {
        match &self.form {
            HeadForm::Http2 { uri, fields } => field(fields, DESTINATION_SERVICE)
                .or_else(|| uri.authority().map(|authority| authority.as_str().as_bytes())),
            HeadForm::Frame(frame) => frame.header().int(IntKey::TO_SERVICE),
        }
    }

    /// The method that the caller is itself serving, where it says so.
    #[must_use]
    pub fn caller_method(&self) -> Option<&[u8]> {
        match &self.form {
            HeadForm::Http2 { fields, .. } => field(fields, SOURCE_METHOD),
            HeadForm::Frame(frame) => frame.header().int(IntKey::FROM_METHOD),
        }
    }

    /// Every pair of metadata that can travel on another protocol, as those of [`Metadata`](super::Metadata::entries).
    pub fn entries<'a>(&'a self, dropped: impl FnMut()) -> impl Iterator<Item = Entry<'a>> {
        match &self.form {
            HeadForm::Http2 { fields, .. } => metadata::entries(Some(fields), None, dropped),
            HeadForm::Frame(frame) => metadata::entries(None, Some(frame), dropped),
        }
    }

    fn path(&self) -> Option<Path<'_>> {
        match &self.form {
            HeadForm::Http2 { uri, .. } => Path::parse(uri.path()).ok(),
            HeadForm::Frame(_) => None,
        }
    }
}

impl Head for StreamHead {
    fn protocol(&self) -> Protocol {
        match &self.form {
            HeadForm::Http2 { .. } => Protocol::Grpc,
            HeadForm::Frame(_) => Protocol::TtStream,
        }
    }

    fn service(&self) -> &[u8] {
        let named = match &self.form {
            HeadForm::Http2 { .. } => self.path().map(|path| path.service().as_bytes()),
            HeadForm::Frame(frame) => frame.service(),
        };
        named.filter(|service| !service.is_empty()).or(self.downstream.default_service.as_deref()).unwrap_or_default()
    }

    fn full_service(&self) -> &[u8] {
        self.path().map_or_else(|| self.service(), |path| path.full_service().as_bytes())
    }

    fn method(&self) -> &[u8] {
        match &self.form {
            HeadForm::Http2 { .. } => self.path().map_or(&[], |path| path.method().as_bytes()),
            HeadForm::Frame(frame) => frame.method(),
        }
    }

    fn caller(&self) -> Option<&[u8]> {
        match &self.form {
            HeadForm::Http2 { fields, .. } => field(fields, SOURCE_SERVICE),
            HeadForm::Frame(frame) => frame.header().int(IntKey::FROM_SERVICE),
        }
    }

    fn metadata(&self, key: &[u8]) -> Option<&[u8]> {
        match &self.form {
            HeadForm::Http2 { fields, .. } => str::from_utf8(key).ok().and_then(|key| field(fields, key)),
            HeadForm::Frame(frame) => frame.string(key),
        }
    }

    fn downstream(&self) -> &Downstream {
        &self.downstream
    }
}

fn field<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    fields.get(name).map(http::HeaderValue::as_bytes)
}
