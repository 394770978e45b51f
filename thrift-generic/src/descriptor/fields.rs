use std::collections::HashMap;
use std::ops::Deref;
use std::sync::OnceLock;

use crate::descriptor::Field;
use crate::descriptor::plan::Plan;
use crate::http::HttpPlan;
use crate::options::Profile;

/// The fields of a struct in declaration order, found by id in O(1) and by effective name by hash.
#[derive(Debug, Default)]
pub struct FieldSet {
    fields: Vec<Field>,
    /// The index of the field with id `first_id + n`, `u16::MAX` where there is none; for ids close together.
    dense: Vec<u16>,
    first_id: i16,
    sparse: HashMap<i16, u16>,
    /// Where HTTP requests have the fields' values, for each profile; worked out when it is first needed.
    http: [OnceLock<HttpPlan>; 2],
    plan: Plan,
}

/// Ids further apart than this are found by hash.
const MAX_DENSE: usize = 1024;

const NONE: u16 = u16::MAX;

impl FieldSet {
    /// The tables over these fields. Of two with the same id or name the later one is found.
    #[must_use]
    pub fn new(fields: Vec<Field>) -> Self {
        let mut set = Self { fields, ..Self::default() };
        let (Some(first), Some(last)) =
            (set.fields.iter().map(|field| field.id).min(), set.fields.iter().map(|field| field.id).max())
        else {
            set.plan = Plan::new(&[], |_| None);
            return set;
        };
        set.first_id = first;
        let span = usize::from(last.abs_diff(first)).saturating_add(1);
        if span <= MAX_DENSE {
            set.dense = vec![NONE; span];
        }
        for (field, index) in set.fields.iter().zip(0u16..) {
            match set.dense.get_mut(usize::from(field.id.abs_diff(first))) {
                Some(slot) => *slot = index,
                None => _ = set.sparse.insert(field.id, index),
            }
        }
        set.plan = Plan::new(&set.fields, |id| set.index_of_id(id));
        set
    }

    /// The index of the field with this id.
    #[must_use]
    #[inline]
    pub fn index_of_id(&self, id: i16) -> Option<usize> {
        if id < self.first_id {
            return None;
        }
        let index = match self.dense.get(usize::from(id.abs_diff(self.first_id))) {
            Some(&index) => index,
            None => *self.sparse.get(&id)?,
        };
        (index != NONE).then_some(usize::from(index))
    }

    /// The index of the field with this effective name.
    #[must_use]
    pub fn index_of_key(&self, key: &str) -> Option<usize> {
        self.plan.index_of_key(key.as_bytes())
    }

    /// What converters need.
    #[inline(always)]
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where HTTP requests have the fields' values.
    pub(crate) fn http_plan(&self, profile: Profile, make: impl FnOnce(Profile) -> HttpPlan) -> &HttpPlan {
        let [default, dynamic] = &self.http;
        let plan = if profile == Profile::Default { default } else { dynamic };
        plan.get_or_init(|| make(profile))
    }

    /// The field with this id.
    #[must_use]
    pub fn by_id(&self, id: i16) -> Option<&Field> {
        self.index_of_id(id).and_then(|index| self.fields.get(index))
    }

    /// The field with this effective name.
    #[must_use]
    pub fn by_key(&self, key: &str) -> Option<&Field> {
        self.index_of_key(key).and_then(|index| self.fields.get(index))
    }
}

impl Deref for FieldSet {
    type Target = [Field];

    fn deref(&self) -> &[Field] {
        &self.fields
    }
}
