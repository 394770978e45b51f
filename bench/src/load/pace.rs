//! When the calls of an open loop are due, and on which connection.

/// Calls at equal distances, dealt to the connections in turn.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u64,
    connections: u64,
    sent: u64,
}

impl Pace {
    pub(super) fn new(rate: u32, connections: usize) -> Self {
        Self { rate: u64::from(rate.max(1)), connections: u64::try_from(connections.max(1)).unwrap_or(1), sent: 0 }
    }

    /// Connection and due time of the next call, if it is due by `now`; nanoseconds since the start.
    pub(super) fn next_due(&mut self, now: u64) -> Option<(usize, u64)> {
        let due = self.next_at();
        if due > now {
            return None;
        }
        let token = usize::try_from(self.sent.checked_rem(self.connections).unwrap_or(0)).unwrap_or(0);
        self.sent = self.sent.saturating_add(1);
        Some((token, due))
    }

    /// When the next call is due. From the count and not from the last one, so that nothing drifts.
    pub(super) fn next_at(&self) -> u64 {
        let at = u128::from(self.sent).saturating_mul(1_000_000_000).checked_div(u128::from(self.rate)).unwrap_or(0);
        u64::try_from(at).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_dealt_in_turn_at_the_rate() {
        let mut pace = Pace::new(1_000, 2);
        assert_eq!(pace.next_due(0), Some((0, 0)));
        assert_eq!(pace.next_due(0), None);
        assert_eq!(pace.next_due(2_500_000), Some((1, 1_000_000)));
        assert_eq!(pace.next_due(2_500_000), Some((0, 2_000_000)));
        assert_eq!(pace.next_due(2_500_000), None);
        assert_eq!(pace.next_at(), 3_000_000);
    }
}
