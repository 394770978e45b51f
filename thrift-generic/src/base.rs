//! What a framework adds to requests that have a `base.Base` (generic-call 3.8).

use thrift_codec::TType;

use crate::error::Error;
use crate::wire;

/// The framework's part of a `base.Base`. LogID, Caller, Addr, Client and TrafficEnv come from here alone; `extra` is
/// merged with the caller's, and wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Base {
    /// Field 1.
    pub log_id: String,
    /// Field 2.
    pub caller: String,
    /// Field 3.
    pub addr: String,
    /// Field 4; not written when empty.
    pub client: String,
    /// Field 5, its two fields (`Open`, `Env`).
    pub traffic_env: Option<(bool, String)>,
    /// Field 6, in order.
    pub extra: Vec<(String, String)>,
}

impl Base {
    /// Appends the struct, merged with the `Extra` of the caller: its pairs first, in their order, then those that only
    /// the framework has. Where there are no pairs at all there is no field 6.
    ///
    /// # Errors
    ///
    /// A text is too long for Thrift.
    pub(crate) fn write<K, V>(&self, caller: &[(K, V)], out: &mut Vec<u8>) -> Result<(), Error>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        for (id, text) in [(1, &self.log_id), (2, &self.caller), (3, &self.addr)] {
            wire::field(out, TType::STRING, id);
            wire::bytes(out, text.as_bytes())?;
        }
        if !self.client.is_empty() {
            wire::field(out, TType::STRING, 4);
            wire::bytes(out, self.client.as_bytes())?;
        }
        if let Some((open, env)) = &self.traffic_env {
            wire::field(out, TType::STRUCT, 5);
            wire::field(out, TType::BOOL, 1);
            out.push(u8::from(*open));
            wire::field(out, TType::STRING, 2);
            wire::bytes(out, env.as_bytes())?;
            wire::stop(out);
        }
        let own = |key: &[u8]| self.extra.iter().rev().find(|(known, _)| known.as_bytes() == key);
        let is_first = |(at, key): (usize, &str)| !self.extra.iter().take(at).any(|(known, _)| known == key);
        let framework = self.extra.iter().enumerate().filter(|(at, (key, _))| is_first((*at, key)));
        let caller: Vec<_> = caller.iter().filter(|(key, _)| own(key.as_ref()).is_none()).collect();
        let count = framework.clone().count().saturating_add(caller.len());
        if count > 0 {
            wire::field(out, TType::MAP, 6);
            wire::map_header(out, TType::STRING, TType::STRING, count)?;
            for (key, value) in caller {
                wire::bytes(out, key.as_ref())?;
                wire::bytes(out, value.as_ref())?;
            }
            for (_, (key, _)) in framework {
                wire::bytes(out, key.as_bytes())?;
                let value = own(key.as_bytes()).map_or(&[][..], |(_, value)| value.as_bytes());
                wire::bytes(out, value)?;
            }
        }
        wire::stop(out);
        Ok(())
    }
}
