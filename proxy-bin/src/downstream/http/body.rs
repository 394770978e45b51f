//! The body of a request, whole, and of an answer: limits, waits, gzip.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::{Body as _, Incoming};

use crate::gateway::Error;
use crate::rpc::{Fault, FaultKind};
use crate::wire::conn::Stall;
use crate::wire::meter::Meter;

/// How the body of a request is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
}

impl Packing {
    /// What the request says.
    ///
    /// # Errors
    ///
    /// It is another one.
    pub(super) fn of(fields: &HeaderMap) -> Result<Self, Error> {
        let mut packing = Self::None;
        for value in fields.get_all(CONTENT_ENCODING) {
            packing = match value.to_str() {
                Ok(name) if name.eq_ignore_ascii_case("identity") || name.is_empty() => continue,
                Ok(name) if is_gzip(name) && packing == Self::None => Self::Gzip,
                _ => return Err(Error::content_encoding(&String::from_utf8_lossy(value.as_bytes()))),
            };
        }
        Ok(packing)
    }
}

/// Reads the whole body, at most `limit` bytes before and after unpacking; `meter` counts what is held. `wait` is how long
/// it may pause inside, or take for 64 KiB.
///
/// # Errors
///
/// The body is too large, too slow, not what it says, or broke off.
pub(super) async fn read(
    body: &mut Incoming,
    fields: &HeaderMap,
    packing: Packing,
    limit: usize,
    wait: Duration,
    meter: &Meter,
) -> Result<Bytes, Error> {
    let announced = fields.get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|len| len > u64::try_from(limit).unwrap_or(u64::MAX)) {
        return Err(Error::too_large(limit));
    }
    let mut stall = Stall::new(wait);
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    loop {
        let frame = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
            std::task::Poll::Pending => stall.poll(cx).map(|()| Err(slow(wait))),
            std::task::Poll::Ready(frame) => std::task::Poll::Ready(Ok(frame)),
        })
        .await?;
        let data = match frame {
            None => break,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                // Trailers say nothing here.
                Err(_) => continue,
            },
            Some(Err(error)) => return Err(Error::bad_request(format!("the body broke off: {error}"))),
        };
        stall.moved(data.len());
        let held = first.len().saturating_add(whole.len());
        if held.saturating_add(data.len()) > limit {
            return Err(Error::too_large(limit));
        }
        if !meter.take(data.len()) {
            let text = "request over limit: the requests of this worker hold too much (stream_memory)";
            return Err(Fault::unsent(FaultKind::OverLimit, text).into());
        }
        // A body of one piece is not copied.
        if held == 0 {
            first = data;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&data);
        }
    }
    let packed = if whole.is_empty() { first } else { whole.freeze() };
    match packing {
        Packing::None => Ok(packed),
        Packing::Gzip => unpack(&packed, limit, meter),
    }
}

/// Reads past what is left of a body that nobody wants, within bounds: a peer whose sending is cut off may not see its
/// answer, as curl over HTTP/2. What the peer has not begun to send since it waits for a word is not asked for.
pub(super) async fn discard(body: &mut Incoming, fields: &HeaderMap) {
    if body.is_end_stream() || fields.contains_key(EXPECT) {
        return;
    }
    let discarded = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whether or not it came to an end.
    let _done = tokio::time::timeout(DISCARD_TIME, discarded).await;
}

/// Takes one byte more than allowed at the most, however much the packed bytes stand for.
fn unpack(packed: &[u8], limit: usize, meter: &Meter) -> Result<Bytes, Error> {
    let mut plain = Vec::new();
    let room = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed)
        .take(room)
        .read_to_end(&mut plain)
        .map_err(|error| Error::bad_request(format!("the body is no good gzip: {error}")))?;
    if plain.len() > limit {
        return Err(Error::too_large(limit));
    }
    // It is here already: the count is for those that come next.
    let _over = meter.take(plain.len());
    Ok(plain.into())
}

fn slow(wait: Duration) -> Error {
    Error::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", format!("the body paused for longer than {wait:?}"))
}

/// Packs the body of `response` where the caller takes it and it is worth the time.
pub(super) fn pack(response: &mut Response<Bytes>, wanted: bool) {
    if response.body().len() < WORTH_PACKING || response.headers().contains_key(CONTENT_ENCODING) {
        return;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    if !wanted {
        return;
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail.
    let packed = packer.write_all(response.body()).and_then(|()| packer.finish());
    if let Ok(packed) = packed.map(Bytes::from)
        && packed.len() < response.body().len()
    {
        *response.body_mut() = packed;
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// Whether the caller takes gzip (RFC 9110 section 12.5.3).
pub(super) fn takes_gzip(fields: &HeaderMap) -> bool {
    let mut others = None;
    for coding in
        fields.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','))
    {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.and_then(|weight| weight.parse::<f32>().ok()).is_some_and(|weight| weight <= 0.0)
        });
        if is_gzip(name) {
            return !refused;
        }
        if name == "*" {
            others = Some(!refused);
        }
    }
    others.unwrap_or(false)
}

fn is_gzip(name: &str) -> bool {
    name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip")
}

/// What is read of a body that nobody wants, in bytes, and for how long.
const MAX_DISCARDED: usize = 256 << 10;
const DISCARD_TIME: Duration = Duration::from_millis(500);
/// Below this, in bytes, a body fits into a packet or two either way.
const WORTH_PACKING: usize = 1024;
