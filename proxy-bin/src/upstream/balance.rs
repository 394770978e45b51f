//! Which endpoint is next.

use std::cell::RefCell;

/// Smooth weighted round robin: within one cycle each endpoint comes as often as its weight, and never in a row when
/// another one is due.
#[derive(Debug)]
pub(crate) struct RoundRobin {
    turns: RefCell<Vec<Turn>>,
    total: i64,
}

#[derive(Debug)]
struct Turn {
    weight: i64,
    credit: i64,
}

impl RoundRobin {
    pub(crate) fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let turns: Vec<_> = weights.into_iter().map(|weight| Turn { weight: i64::from(weight), credit: 0 }).collect();
        let total = turns.iter().map(|turn| turn.weight).sum();
        Self { turns: RefCell::new(turns), total }
    }

    /// The index of the next endpoint.
    pub(crate) fn next(&self) -> usize {
        let mut turns = self.turns.borrow_mut();
        if turns.len() < 2 {
            return 0;
        }
        let mut best = 0;
        let mut best_credit = i64::MIN;
        for (index, turn) in turns.iter_mut().enumerate() {
            turn.credit = turn.credit.saturating_add(turn.weight);
            if turn.credit > best_credit {
                (best, best_credit) = (index, turn.credit);
            }
        }
        if let Some(turn) = turns.get_mut(best) {
            turn.credit = turn.credit.saturating_sub(self.total);
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_within_a_cycle_and_mixed() {
        let balance = RoundRobin::new([5, 1, 1]);
        let picks: Vec<_> = (0..7).map(|_| balance.next()).collect();
        assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn equal_weights_take_turns() {
        let balance = RoundRobin::new([10, 10, 10]);
        let picks: Vec<_> = (0..6).map(|_| balance.next()).collect();
        assert_eq!(picks, [0, 1, 2, 0, 1, 2]);
    }
}
