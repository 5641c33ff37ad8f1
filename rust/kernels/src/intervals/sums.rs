//! Sums over an index in fixed lanes, for formulas over clusters, where the term is a closure that is called per index.

use crate::grid::{Pace, Stopped};
use crate::simd::{scalar, tree64};

const LANES: usize = 16;
/// Terms that are added in the lanes before these are reduced to one number, which bounds how rounding errors grow.
const BLOCK: usize = 1 << 12;

/// The sums of `N` terms at once over `0..n`: each sum has 16 lanes, which are reduced by a tree every 4,096 terms; the
/// results of the trees are added in order.
pub fn sums<const N: usize>(n: usize, term: impl Fn(usize) -> [f64; N]) -> [f64; N] {
    let mut total = [0.0; N];
    for start in (0..n).step_by(BLOCK) {
        let mut lanes = [[0.0; LANES]; N];
        for i in start..n.min(start + BLOCK) {
            for (lane, value) in lanes.iter_mut().zip(term(i)) {
                lane[i % LANES] += value;
            }
        }
        for (total, lane) in total.iter_mut().zip(lanes) {
            *total += tree64(lane);
        }
    }
    total
}

/// As [`sums`], for many terms: under the floating-point guard, and stopped through `pace`.
pub fn sums_at<const N: usize>(
    n: usize,
    pace: &mut Pace<'_>,
    term: impl Fn(usize) -> [f64; N],
) -> Result<[f64; N], Stopped> {
    let mut total = [0.0; N];
    for start in (0..n).step_by(BLOCK) {
        let block = n.min(start + BLOCK) - start;
        let part = scalar(|| sums(block, |i| term(start + i)));
        scalar(|| (0..N).for_each(|k| total[k] += part[k]));
        pace.stride(block)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_counts_once() {
        for n in [0, 1, 15, 16, 17, BLOCK - 1, BLOCK, 3 * BLOCK + 5] {
            let [count, triangle] = sums(n, |i| [1.0, i as f64]);
            assert_eq!(count, n as f64);
            assert_eq!(triangle, (n * n.saturating_sub(1) / 2) as f64);
            let part = |i: usize| [1.0 / (i as f64 + 0.5)];
            assert_eq!(sums_at(n, &mut Pace::new(&mut |_| true), part).unwrap(), sums(n, part));
        }
    }
}
