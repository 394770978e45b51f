//! What a framework adds to requests (generic-call 3.8).

use super::Writer;
use crate::base::Base;
use crate::descriptor::{Field, Type};
use crate::error::Error;

impl Writer<'_, '_> {
    /// The framework's base; if `given`, merged with the caller's, which comes next (generic-call 3.8).
    #[inline(never)]
    pub(super) fn base(&mut self, field: &Field, base: &Base, given: bool, depth: usize) -> Result<(), Error> {
        let Type::Struct(id) = field.ty else {
            return Err(Error::expected("struct", field.ty.name()));
        };
        let structure = self.d.structure(id);
        let [high, low] = field.id.to_be_bytes();
        self.out.put(&[field.ty.ttype().0, high, low]);
        let has = |id| structure.fields.by_id(id);
        for (id, text, always) in
            [(1, &base.log_id, true), (2, &base.caller, true), (3, &base.addr, true), (4, &base.client, false)]
        {
            if has(id).is_some_and(|field| field.ty == Type::String) && (always || !text.is_empty()) {
                self.text_field(id, text)?;
            }
        }
        if let (Some((open, env)), Some(_)) = (&base.traffic_env, has(5)) {
            self.out.put(&[Type::Struct(id).ttype().0, 0, 5, Type::Bool.ttype().0, 0, 1, u8::from(*open)]);
            self.text_field(2, env)?;
            self.out.put(&[0]);
        }
        let extra = has(6).map(|field| &*field.key);
        self.extra(extra, base, given, depth)?;
        self.out.put(&[0]);
        Ok(())
    }

    pub(super) fn text_field(&mut self, id: i16, text: &str) -> Result<(), Error> {
        let [high, low] = id.to_be_bytes();
        self.out.put(&[Type::String.ttype().0, high, low]);
        self.text(text)
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        let at = self.begin_bytes();
        self.out.put_slice(text.as_bytes());
        self.end_bytes(at)
    }

    /// Field 6: the caller's entries that the framework does not have, and the framework's.
    pub(super) fn extra(&mut self, name: Option<&str>, base: &Base, given: bool, depth: usize) -> Result<(), Error> {
        let start = self.out.pos();
        let string = Type::String.ttype().0;
        self.out.put(&[13, 0, 6, string, string, 0, 0, 0, 0]);
        let mut count = 0usize;
        if given {
            count = self.extra_of_caller(name, base, depth)?;
        }
        if name.is_some() {
            for (key, value) in &base.extra {
                self.text(key)?;
                self.text(value)?;
                count = count.saturating_add(1);
            }
        }
        if count == 0 {
            self.out.back_to(start);
            return Ok(());
        }
        self.count(start.saturating_add(5), count)
    }

    pub(super) fn extra_of_caller(&mut self, name: Option<&str>, base: &Base, depth: usize) -> Result<usize, Error> {
        let mut count = 0usize;
        self.members(depth, |this, key, depth| {
            if name.map(str::as_bytes) != Some(key) {
                return this.scan.skip(depth, this.options.max_depth);
            }
            if this.scan.peek() == Some(b'n') {
                return this.scan.word(b"null");
            }
            this.members(depth, |this, key, depth| {
                if base.extra.iter().any(|(name, _)| name.as_bytes() == key) || this.scan.peek() == Some(b'n') {
                    return this.scan.skip(depth, this.options.max_depth);
                }
                let at = this.begin_bytes();
                this.out.put_slice(key);
                this.end_bytes(at)?;
                count = count.saturating_add(1);
                this.string(Type::String, false)
            })
        })?;
        Ok(count)
    }
}
