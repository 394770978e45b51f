/// Numbers that look random and are the same for the same seed (SplitMix64), for tests that say which seed they had.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Starts at `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not zero.
    ///
    /// # Panics
    ///
    /// When `limit` is zero.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a count");
        usize::try_from(self.draw() % limit).expect("a count")
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.draw().to_be_bytes()[0]
    }

    /// One of `things`.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }
}
