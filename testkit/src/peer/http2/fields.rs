use std::fmt;

use bytes::Bytes;

/// A header list as it came, decoded: names and values in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    /// These fields.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.as_ref().to_vec(), value.as_ref().to_vec())).collect())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// The first value of `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
    }

    /// The first value of `name`, which is text.
    ///
    /// # Panics
    ///
    /// When it is not.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).map(|value| std::str::from_utf8(value).expect("a text"))
    }

    /// All values of `name`, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.iter().filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value).collect()
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// All of them as they were, and this one behind them.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// All of them but those of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(key, _)| key != name.as_bytes());
        self
    }

    /// The header block of these fields, each as a literal that is not indexed, its name spelt out, without Huffman
    /// codes: it needs no table and leaves none behind.
    #[must_use]
    pub fn literal_block(&self) -> Bytes {
        let mut block = Vec::new();
        for (name, value) in self.iter() {
            block.push(0);
            for text in [name, value] {
                put_len(text.len(), &mut block);
                block.extend_from_slice(text);
            }
        }
        block.into()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> From<&[(N, V)]> for Fields {
    fn from(fields: &[(N, V)]) -> Self {
        Self::new(fields.iter().map(|(name, value)| (name, value)))
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const LEN: usize> From<[(N, V); LEN]> for Fields {
    fn from(fields: [(N, V); LEN]) -> Self {
        Self::new(fields)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |octets: &[u8]| octets.escape_ascii().to_string();
        f.debug_list().entries(self.iter().map(|(name, value)| format!("{}: {}", text(name), text(value)))).finish()
    }
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn put_len(len: usize, block: &mut Vec<u8>) {
    let octet = |len: usize| u8::try_from(len).expect("less than 256");
    if len < 0x7f {
        return block.push(octet(len));
    }
    block.push(0x7f);
    let mut rest = len - 0x7f;
    while rest >= 0x80 {
        block.push(octet(rest % 0x80 + 0x80));
        rest /= 0x80;
    }
    block.push(octet(rest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_block_is_what_an_hpack_decoder_reads() {
        let fields = Fields::from([("grpc-status", "0"), ("empty", ""), ("X-Upper", "\n")]);
        let fields =
            fields.with("long", vec![b'x'; 100_000]).with("edge", vec![b'x'; 127]).with("edge", vec![b'y'; 255]);
        let decoded = loona_hpack::Decoder::new().decode(&fields.literal_block()).unwrap();
        assert_eq!(Fields(decoded), fields);
    }

    #[test]
    fn fields_are_found_by_name() {
        let fields = Fields::from([("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!((fields.text("a"), fields.values("a").len()), (Some("1"), 2));
        assert_eq!((fields.value("c"), fields.contains("b")), (None, true));
        assert_eq!(fields.without("a"), Fields::from([("b", "2")]));
    }
}
