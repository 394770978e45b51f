//! volo-thrift's TTHeader codec around a payload codec that does nothing.

use std::{cell::RefCell, time::Duration};

use bytes::Bytes;
use linkedbytes::LinkedBytes;
use metainfo::{Forward, METAINFO, MetaInfo};
use pilota::thrift::{TMessageType, ThriftException};
use tokio::io::AsyncRead;
use ttheader::IntKey;
use volo::{
    FastStr,
    context::{Context, Role, RpcInfo},
    net::Address,
    util::buf_reader::BufReader,
};
use volo_thrift::{
    EntryMessage, ThriftMessage,
    codec::default::{
        ZeroCopyDecoder, ZeroCopyEncoder,
        ttheader::{TTHeaderDecoder, TTHeaderEncoder},
    },
    context::{ClientContext, ServerContext, ThriftContext},
};

/// Runs `work` where volo-thrift finds its metadata.
pub fn in_scope(work: impl FnOnce()) {
    METAINFO.sync_scope(RefCell::new(MetaInfo::default()), work);
}

pub struct Server {
    decoder: TTHeaderDecoder<Nothing>,
    cx: ServerContext,
}

impl Default for Server {
    fn default() -> Self {
        Self { decoder: TTHeaderDecoder::new(Nothing), cx: ServerContext::default() }
    }
}

impl Server {
    /// Context and maps of metadata are kept from call to call, in its favour.
    pub fn decode(&mut self, wire: &Bytes) {
        METAINFO.with(|metainfo| metainfo.borrow_mut().clear());
        let decoded = self.decoder.decode::<Bytes, _>(&mut self.cx, &mut wire.clone());
        assert!(matches!(decoded, Ok(None)));
    }
}

pub struct Client {
    encoder: TTHeaderEncoder<Nothing>,
    cx: ClientContext,
    dst: LinkedBytes,
}

impl Client {
    pub fn new(strings: &[(&str, &str)], ints: &[(IntKey, &str)]) -> Self {
        let mut cx = ClientContext::new(7, RpcInfo::with_role(Role::Client), TMessageType::Call);
        METAINFO.with(|metainfo| {
            let metainfo = &mut *metainfo.borrow_mut();
            metainfo.clear();
            for (key, value) in strings {
                let value = FastStr::new(value);
                if let Some(key) = key.strip_prefix("RPC_PERSIST_") {
                    metainfo.set_persistent(FastStr::new(key), value);
                } else if let Some(key) = key.strip_prefix("RPC_TRANSIT_") {
                    metainfo.set_transient(FastStr::new(key), value);
                } else {
                    cx.set_idl_service_name(value);
                }
            }
        });
        for (key, value) in ints {
            let text = FastStr::new(value);
            let info = cx.rpc_info_mut();
            match *key {
                IntKey::FROM_SERVICE => info.caller_mut().set_service_name(text),
                IntKey::TO_SERVICE => info.callee_mut().set_service_name(text),
                IntKey::TO_METHOD => info.set_method(text),
                IntKey::DEST_ADDRESS => {
                    let address: std::net::SocketAddr = value.parse().unwrap();
                    info.callee_mut().set_address(Address::from(address));
                }
                IntKey::RPC_TIMEOUT => {
                    let timeout = Duration::from_millis(value.parse().unwrap());
                    info.config_mut().set_rpc_timeout(Some(timeout));
                }
                _ => {}
            }
        }
        Self { encoder: TTHeaderEncoder::new(Nothing), cx, dst: LinkedBytes::with_capacity(4 << 10) }
    }

    /// For no payload: its length comes from the codec of the payload, which does nothing here.
    pub fn encode(&mut self) -> &[u8] {
        self.dst.reset();
        let message = ThriftMessage::mk_client_msg(&self.cx, Bytes::new());
        self.encoder.encode(&mut self.cx, &mut self.dst, message).unwrap();
        self.dst.bytes()
    }
}

/// A payload codec that leaves the payload alone.
struct Nothing;

impl ZeroCopyDecoder for Nothing {
    fn decode<Msg: Send + EntryMessage, Cx: ThriftContext>(
        &mut self,
        _: &mut Cx,
        _: &mut Bytes,
    ) -> Result<Option<ThriftMessage<Msg>>, ThriftException> {
        Ok(None)
    }

    async fn decode_async<Msg: Send + EntryMessage, Cx: ThriftContext, R: AsyncRead + Unpin + Send + Sync>(
        &mut self,
        _: &mut Cx,
        _: &mut BufReader<R>,
    ) -> Result<Option<ThriftMessage<Msg>>, ThriftException> {
        Ok(None)
    }
}

impl ZeroCopyEncoder for Nothing {
    fn encode<Msg: Send + EntryMessage, Cx: ThriftContext>(
        &mut self,
        _: &mut Cx,
        _: &mut LinkedBytes,
        _: ThriftMessage<Msg>,
    ) -> Result<(), ThriftException> {
        Ok(())
    }

    fn size<Msg: Send + EntryMessage, Cx: ThriftContext>(
        &mut self,
        _: &mut Cx,
        _: &ThriftMessage<Msg>,
    ) -> Result<(usize, usize), ThriftException> {
        Ok((0, 0))
    }
}
