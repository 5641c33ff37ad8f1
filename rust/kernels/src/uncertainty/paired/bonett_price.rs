//! Wald's interval of paired 0/1 answers after a pair is added to each kind of discordant pairs.

use super::answers::Table;
use crate::intervals::Interval;
use crate::uncertainty::smooth::within_one;

/// Wald's interval for the difference of the shares w = (b + 1)/(n + 2) of wins and l = (c + 1)/(n + 2) of losses (Bonett
/// and Price 2012): w - l +- z sqrt((w + l - (w - l)^2)/(n + 2)), cut off at -1 and 1.
pub(super) fn interval(of: Table, z: f64) -> Interval {
    let Table { wins, losses, .. } = of.floats();
    let n = of.pairs() as f64 + 2.0;
    let (sum, difference) = ((wins + losses + 2.0) / n, (wins - losses) / n);
    let half = z * ((sum - difference * difference) / n).sqrt();
    Interval { low: within_one(difference - half), high: within_one(difference + half) }
}
