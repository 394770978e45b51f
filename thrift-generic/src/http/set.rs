/// Which fields of a struct there were.
#[derive(Debug)]
pub(super) struct Set {
    few: u64,
    many: Vec<bool>,
}

impl Set {
    pub(super) fn new(len: usize) -> Self {
        let many = if len > 64 { vec![false; len] } else { Vec::new() };
        Self { few: 0, many }
    }

    #[inline]
    pub(super) fn contains(&self, index: usize) -> bool {
        match self.many.get(index) {
            Some(is_set) => *is_set,
            None => self.few & bit(index) != 0,
        }
    }

    #[inline]
    pub(super) fn insert(&mut self, index: usize) {
        match self.many.get_mut(index) {
            Some(is_set) => *is_set = true,
            None => self.few |= bit(index),
        }
    }
}

#[inline]
fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or_default()
}
