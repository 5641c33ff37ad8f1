//! The limits of both models' shares of right answers, combined with the correlation of their answers.

use super::answers::Table;
use crate::intervals::Interval;
use crate::intervals::proportion::wilson;

/// Newcombe's interval for the difference of two dependent shares p and q (1998, Statistics in Medicine 17:2635, method
/// 10): with their Wilson limits and the correlation phi of the answers, the lower limit is
/// p - q - sqrt(x^2 - 2 phi x y + y^2), x = `p - p_low`, y = `q_high - q`, and the upper one accordingly.
pub(super) fn interval(of: Table, z: f64) -> Interval {
    let [new, base] = [of.hits(), of.base_hits()].map(|ones| {
        let (hits, misses) = (ones as f64, (of.pairs() - ones) as f64);
        let (share, limits) = (hits / (hits + misses), wilson(hits, misses, z));
        (share - limits.low, limits.high - share)
    });
    let phi = correlation(of);
    let [wins, losses] = [of.wins as f64, of.losses as f64];
    let value = (wins - losses) / of.pairs() as f64;
    Interval { low: value - root(new.0, base.1, phi), high: value + root(new.1, base.0, phi) }
}

/// sqrt(x^2 - 2 phi x y + y^2); below 0 where x and y are, at a critical value below 0.
fn root(x: f64, y: f64, phi: f64) -> f64 {
    let squares = (x * x + y * y) - 2.0 * phi * (x * y);
    let root = (if squares > 0.0 { squares } else { 0.0 }).sqrt();
    if x + y < 0.0 { -root } else { root }
}

/// The correlation of the answers of both models, corrected for continuity where it is positive: ad - bc, less n/2 but
/// not below 0, over the root of the product of the four margins. It is 0 where a margin is.
fn correlation(of: Table) -> f64 {
    let all = of.pairs();
    let [new, base] = [of.hits(), of.base_hits()].map(|ones| ones as f64 * (all - ones) as f64);
    if new == 0.0 || base == 0.0 {
        return 0.0;
    }
    let Table { both, wins, losses, neither } = of.floats();
    let product = both * neither - wins * losses;
    let half = 0.5 * all as f64;
    let corrected = if product > half {
        product - half
    } else if product < 0.0 {
        product
    } else {
        0.0
    };
    corrected / (new.sqrt() * base.sqrt())
}
