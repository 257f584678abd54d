//! Random samples of collections, for SRANDMEMBER, HRANDFIELD and their kin.

use crate::command::Context;
use crate::session::Origin;
use crate::table::{CommandError, CommandResult};

/// The most elements one reply may repeat (a negative count asks for repetitions). Redis has no bound but
/// the client's output buffer; without one a single request could take all memory.
const REPETITIONS_MAX: u64 = 1 << 26;

/// The shortest element of a reply.
const EMPTY_BULK: &[u8] = b"$0\r\n\r\n";

/// What a count argument asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) enum Wanted {
    /// That many different elements, or all there are.
    Distinct(usize),
    /// That many, the same one possibly several times.
    Repeated(usize),
}

impl Wanted {
    /// As `from_count`. Where so many repetitions would pass the client's output limit in any case, it is
    /// closed, as redis-server does while it writes them; then there is nothing to reply.
    pub(in crate::command) fn for_client(
        ctx: &Context<'_>,
        count: i64,
    ) -> CommandResult<Option<Wanted>> {
        let limits = &ctx.settings.client_output_buffer_limit;
        let hard = ctx.session.output_limit(limits).hard;
        let bytes_min = count.unsigned_abs().saturating_mul(EMPTY_BULK.len() as u64);
        if count < 0 && hard > 0 && bytes_min > hard && ctx.session.origin == Origin::Client {
            ctx.session.client.kill();
            return Ok(None);
        }
        Wanted::from_count(count).map(Some)
    }

    pub(in crate::command) fn from_count(count: i64) -> CommandResult<Wanted> {
        let n = count.unsigned_abs();
        if count >= 0 {
            Ok(Wanted::Distinct(usize::try_from(n).unwrap_or(usize::MAX)))
        } else if n <= REPETITIONS_MAX {
            Ok(Wanted::Repeated(n as usize))
        } else {
            Err(CommandError::fixed("ERR value is out of range"))
        }
    }
}

/// Picks `wanted` of `total` elements in one pass: `take` says for each in turn whether it is among them.
/// Every subset is equally likely.
#[derive(Debug)]
pub(in crate::command) struct Selection {
    wanted: usize,
    left: usize,
}

impl Selection {
    pub(in crate::command) fn new(wanted: usize, total: usize) -> Selection {
        Selection {
            wanted: wanted.min(total),
            left: total,
        }
    }

    pub(in crate::command) fn take(&mut self, rng: &mut fastrand::Rng) -> bool {
        let left = self.left.max(1);
        self.left = left - 1;
        let hit = rng.usize(..left) < self.wanted;
        self.wanted -= usize::from(hit);
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_fair() {
        let mut rng = fastrand::Rng::with_seed(9);
        let mut hits = [0; 10];
        for _ in 0..10_000 {
            let mut selection = Selection::new(3, 10);
            let taken: Vec<_> = (0..10).filter(|_| selection.take(&mut rng)).collect();
            assert_eq!(taken.len(), 3);
            taken.into_iter().for_each(|i| hits[i] += 1);
        }
        assert!(
            hits.iter().all(|&n| (2_800..3_200).contains(&n)),
            "{hits:?}"
        );
    }

    #[test]
    fn counts() {
        assert_eq!(Wanted::from_count(5), Ok(Wanted::Distinct(5)));
        assert_eq!(Wanted::from_count(-5), Ok(Wanted::Repeated(5)));
        assert!(Wanted::from_count(i64::MIN).is_err());
    }
}
