//! Reads and checks the replies of one connection as they arrive, without keeping them.

use crate::wire::{ReplyHead, Template, Violation, parse_reply_head};

/// Results up to this size are compared in full, of larger ones one in [`SAMPLE`].
const COMPARE_ALL_MAX: usize = 1 << 10;
const SAMPLE: u32 = 16;
/// The largest head that is waited for.
const HEAD_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct ReplyReader {
    /// The beginning of a head whose end has not come.
    stash: Vec<u8>,
    body: Option<Body>,
    /// Replies until the next one that is compared in full.
    until_sample: u32,
    compare_all: bool,
}

/// A reply whose head has been read.
#[derive(Clone, Copy, Debug)]
struct Body {
    seqid: u32,
    at: usize,
    compare: bool,
}

impl ReplyReader {
    pub(super) fn new(template: &Template) -> Self {
        let compare_all = template.reply_body().len() <= COMPARE_ALL_MAX;
        Self { stash: Vec::new(), body: None, until_sample: 0, compare_all }
    }

    /// Takes one reply off the front of `chunk`; its sequence id once it is complete. `None` means that `chunk` is
    /// used up.
    pub(super) fn take(&mut self, chunk: &mut &[u8], template: &Template) -> Result<Option<u32>, Violation> {
        let expected = template.reply_body();
        let mut body = match self.body.take() {
            Some(body) => body,
            None => {
                let Some(head) = self.take_head(chunk, template)? else { return Ok(None) };
                if let Some(actual) = head.body_len.filter(|&len| len != expected.len()) {
                    return Err(Violation::Length { expected: expected.len(), actual });
                }
                let compare = self.compare_all || self.until_sample == 0;
                self.until_sample = self.until_sample.checked_sub(1).unwrap_or(SAMPLE.saturating_sub(1));
                Body { seqid: head.seqid, at: 0, compare }
            }
        };
        let missing = expected.get(body.at..).unwrap_or_default();
        let (came, rest) = chunk.split_at_checked(missing.len()).unwrap_or((chunk, &[]));
        let wanted = missing.get(..came.len()).unwrap_or_default();
        if body.compare && came != wanted {
            return Err(Violation::Payload);
        }
        *chunk = rest;
        body.at = body.at.saturating_add(came.len());
        if body.at < expected.len() {
            self.body = Some(body);
            return Ok(None);
        }
        Ok(Some(body.seqid))
    }

    fn take_head(&mut self, chunk: &mut &[u8], template: &Template) -> Result<Option<ReplyHead>, Violation> {
        if self.stash.is_empty() {
            if let Some(head) = parse_reply_head(chunk, template.transport())? {
                *chunk = chunk.get(head.len..).unwrap_or_default();
                return Ok(Some(head));
            }
            self.stash.extend_from_slice(chunk);
            *chunk = &[];
            return Ok(None);
        }
        let before = self.stash.len();
        self.stash.extend_from_slice(chunk.get(..HEAD_MAX).unwrap_or(chunk));
        let Some(head) = parse_reply_head(&self.stash, template.transport())? else {
            if self.stash.len() > HEAD_MAX {
                return Err(Violation::Transport);
            }
            *chunk = &[];
            return Ok(None);
        };
        *chunk = chunk.get(head.len.saturating_sub(before)..).unwrap_or_default();
        self.stash.clear();
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Shape, Transport};

    /// The reply to `template` as the backend would write it.
    fn reply(template: &Template, seqid: u32) -> Vec<u8> {
        let mut wire = Vec::new();
        template.push_head(seqid, &mut wire);
        wire.extend_from_slice(template.body());
        crate::backend::request::answer(&wire)
    }

    #[test]
    fn every_split_gives_the_same_reply() {
        for transport in [Transport::Buffered, Transport::Framed, Transport::Ttheader, Transport::TtheaderFramed] {
            let template = Template::new(transport, Shape::String, 64);
            let mut wire = reply(&template, 1);
            wire.extend_from_slice(&reply(&template, 2));
            for cut in 0..wire.len() {
                let mut reader = ReplyReader::new(&template);
                let mut seen = Vec::new();
                for mut chunk in [&wire[..cut], &wire[cut..]] {
                    while let Some(seqid) = reader.take(&mut chunk, &template).unwrap() {
                        seen.push(seqid);
                    }
                    assert!(chunk.is_empty());
                }
                assert_eq!(seen, [1, 2], "{transport} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_wrong_byte_is_found() {
        let template = Template::new(Transport::Framed, Shape::Records, 1024);
        let mut wire = reply(&template, 1);
        wire[500] ^= 1;
        let mut reader = ReplyReader::new(&template);
        assert_eq!(reader.take(&mut wire.as_slice(), &template), Err(Violation::Payload));
    }

    #[test]
    fn a_short_result_is_found() {
        let template = Template::new(Transport::Framed, Shape::String, 64);
        let shorter = Template::new(Transport::Framed, Shape::String, 63);
        let mut reader = ReplyReader::new(&template);
        let expected = Err(Violation::Length { expected: 72, actual: 71 });
        assert_eq!(reader.take(&mut reply(&shorter, 1).as_slice(), &template), expected);
    }
}
