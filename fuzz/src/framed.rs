use bytes::{Bytes, BytesMut};
use framed::{CodecError, FramedCodec};
use testkit::decode_in_reads;
use tokio_util::codec::Encoder;

/// [`FramedCodec`]: the same items and the same error however the bytes are split; what decodes encodes to the bytes
/// it came from.
pub fn framed(data: &[u8]) {
    let new = || FramedCodec::builder().max_frame_len(1 << 12).build();
    let whole = decode_in_reads(&mut new(), [data]);
    assert_eq!(decode_in_reads(&mut new(), data.chunks(1)), whole, "one byte at a time");
    let (first, second) = data.split_at(data.len() / 2);
    assert_eq!(decode_in_reads(&mut new(), [first, second]), whole, "two halves");

    let (items, error) = whole;
    let encoded = encode(&mut new(), &items).expect("what decoded is within the limit");
    assert!(data.starts_with(&encoded), "frames do not encode to what they came from");
    assert_eq!(error.is_none(), encoded.len() == data.len(), "bytes are left over and nobody said so");
}

fn encode(codec: &mut FramedCodec, items: &[Bytes]) -> Result<BytesMut, CodecError> {
    let mut dst = BytesMut::new();
    for item in items {
        codec.encode(item.clone(), &mut dst)?;
    }
    Ok(dst)
}
