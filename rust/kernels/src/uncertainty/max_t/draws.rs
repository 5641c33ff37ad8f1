//! All pairs of many estimates, tested together by draws of their errors.
//!
//! As with flipped signs, but a pattern is a draw of the errors of all estimates: from a normal law (or Student's t) with
//! their covariance, or the deviation of a bootstrap replicate from the estimates. The statistic of a pair is its
//! difference divided by the standard error of the difference.

use super::{LANES, Lanes, Pair, Reached, TOGETHER, blocks, gathered};
use super::{MaxT, inverse_root};
use crate::grid::{self, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::random::{Domain, Stream};
use crate::simd::{Isa, Kernel, dispatch, scalar};
use crate::uncertainty::smoothed::noise;

/// Where the errors come from.
#[derive(Clone, Copy, Debug)]
pub enum Errors<'a> {
    /// So many draws of a normal law with the covariance of the estimates, or of Student's t with this many degrees of
    /// freedom.
    Normal {
        /// How many are drawn.
        count: usize,
        /// The degrees of freedom; none for the normal law.
        df: Option<u64>,
    },
    /// The estimates of bootstrap replicates, row by row.
    Replicates(&'a [f64]),
}

/// Degrees of freedom from which on Student's t is drawn as normal.
const MANY: u64 = 1000;

/// Tests all pairs of estimates whose covariance is the `covariance`, row by row. The patterns of the result are the draws
/// and the observed one.
pub fn by_draws(
    values: &[f64],
    covariance: &[f64],
    errors: Errors<'_>,
    progress: Progress<'_>,
) -> Result<MaxT, Stopped> {
    scalar(|| tested(values, covariance, errors, progress))
}

fn tested(
    values: &[f64],
    covariance: &[f64],
    errors: Errors<'_>,
    progress: Progress<'_>,
) -> Result<MaxT, Stopped> {
    let n = values.len();
    let pairs = pairs(values, covariance)?;
    let (root, draws) = match errors {
        Errors::Normal { count, .. } => (root(covariance, n)?, count),
        Errors::Replicates(replicates) => (Vec::new(), replicates.len() / n.max(1)),
    };
    let mut counts = memory::filled(pairs.len(), 0u32)?;
    let count = blocks(draws);
    for first in (0..count).step_by(TOGETHER) {
        let group = first..count.min(first + TOGETHER);
        let bytes = group.len() * (pairs.len() + n * n) * LANES * 16;
        let found = grid::map_chunks(group.len(), bytes, &mut |_| progress(first), |b| {
            let (from, mut counts) = ((first + b) * LANES, memory::filled(pairs.len(), 0u32)?);
            let live = LANES.min(draws - from);
            let mut sums = memory::filled(n, Lanes::ZERO)?;
            match errors {
                Errors::Normal { df, .. } => scalar(|| draw(&root, df, from as u32, &mut sums))?,
                Errors::Replicates(replicates) => {
                    scalar(|| deviate(&replicates[from * n..], values, live, &mut sums));
                }
            }
            dispatch(Reached { sums: &sums, pairs: &pairs, live, counts: &mut counts });
            Ok::<_, NoMemory>(counts)
        })?;
        for found in found {
            counts.iter_mut().zip(found?).for_each(|(count, more)| *count += more);
        }
    }
    Ok(gathered(&pairs, &counts, n, draws, false)?)
}

/// All pairs, in ascending order of their statistic; a pair whose difference has no error is told apart by none.
fn pairs(values: &[f64], covariance: &[f64]) -> Result<Vec<Pair>, NoMemory> {
    let n = values.len();
    let mut pairs = memory::with_capacity(n * n.saturating_sub(1) / 2)?;
    for i in 0..n {
        for j in i + 1..n {
            let variance = covariance[i * n + i] + covariance[j * n + j] - 2.0 * covariance[i * n + j];
            let (inverse, difference) = (inverse_root(variance), values[i] - values[j]);
            let r = difference.abs() * inverse;
            let (better, worse) = if difference < 0.0 { (j, i) } else { (i, j) };
            pairs.push(Pair { better, worse, inverse, r, bar: r });
        }
    }
    pairs.sort_by(|one, other| one.r.total_cmp(&other.r));
    Ok(pairs)
}

/// A pivot below this share of its entry is rounding: the matrix has no more rank.
const ROUNDING: f64 = 1e-10;

/// The upper triangle U of a covariance `U' U`, which may be singular.
fn root(covariance: &[f64], n: usize) -> Result<Vec<f64>, NoMemory> {
    let mut u = memory::copied(covariance)?;
    for k in 0..n {
        let pivot = u[k * n + k];
        let inverse = if pivot > ROUNDING * covariance[k * n + k] { 1.0 / pivot.sqrt() } else { 0.0 };
        let (above, below) = u.split_at_mut((k + 1) * n);
        let row = &mut above[k * n + k..];
        for value in row.iter_mut() {
            *value *= inverse;
        }
        for i in k + 1..n {
            let factor = row[i - k];
            for (to, &from) in below[(i - k - 1) * n + i..(i - k) * n].iter_mut().zip(&row[i - k..]) {
                *to -= factor * from;
            }
        }
    }
    Ok(u)
}

/// Draws the errors of a block of patterns.
fn draw(u: &[f64], df: Option<u64>, first: u32, sums: &mut [Lanes]) -> Result<(), NoMemory> {
    let n = sums.len();
    let df = df.filter(|&df| df < MANY);
    let mut numbers = memory::filled(n + df.unwrap_or(0) as usize, 0.0)?;
    let mut errors = memory::filled(n, Lanes::ZERO)?;
    for lane in 0..LANES {
        noise(Stream::new(0, Domain::Normals, first + lane as u32), &mut numbers);
        let mut scale = 1.0;
        if let Some(df) = df {
            let squares: f64 = numbers[n..].iter().map(|&number| number * number).sum();
            scale = (df as f64 / squares).sqrt();
        }
        for (errors, &number) in errors.iter_mut().zip(&numbers) {
            errors.0[lane] = scale * number;
        }
    }
    dispatch(Correlate { u, errors: &errors, sums });
    Ok(())
}

/// `sums = U' errors`.
struct Correlate<'a> {
    u: &'a [f64],
    errors: &'a [Lanes],
    sums: &'a mut [Lanes],
}

impl Kernel for Correlate<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let n = self.sums.len();
        for (j, to) in self.sums.iter_mut().enumerate() {
            let mut sum = Lanes::ZERO;
            for (k, errors) in self.errors[..=j].iter().enumerate() {
                let factor = self.u[k * n + j];
                for lane in 0..LANES {
                    sum.0[lane] += factor * errors.0[lane];
                }
            }
            *to = sum;
        }
    }
}

/// The deviations of a block of replicates.
fn deviate(replicates: &[f64], values: &[f64], live: usize, sums: &mut [Lanes]) {
    let n = values.len();
    for lane in 0..live {
        for (i, sums) in sums.iter_mut().enumerate() {
            sums.0[lane] = replicates[lane * n + i] - values[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::normal;

    fn normal_law(values: &[f64], covariance: &[f64], df: Option<u64>) -> MaxT {
        by_draws(values, covariance, Errors::Normal { count: 99_999, df }, &mut |_| true).unwrap()
    }

    /// One pair: p is the two-sided tail of its difference, 2 (1 - Phi(2)) = .0455, and of t with 5 degrees .1019.
    #[test]
    fn one_pair_has_the_tails_of_its_difference() {
        let covariance = [0.5, -0.5, -0.5, 0.5];
        let root2 = 2f64.sqrt();
        let found = normal_law(&[root2, -root2], &covariance, None);
        assert!((found.statistics[1] - 2.0).abs() < 1e-12);
        assert!((found.p[1] - 2.0 * normal::sf(2.0)).abs() < 0.003, "{}", found.p[1]);
        let few = normal_law(&[root2, -root2], &covariance, Some(5));
        assert!((few.p[1] - 0.1019).abs() < 0.004, "{}", few.p[1]);
    }

    /// The replicates are their own law: of 99 deviations, those of 3 are as large as the estimate.
    #[test]
    fn replicates_are_counted() {
        let values = [1.0, 0.0];
        let made: Vec<f64> = (0..99).flat_map(|r| [1.0 + if r < 3 { 2.0 } else { 0.5 }, 0.0]).collect();
        let found =
            by_draws(&values, &[1.0, 0.0, 0.0, 0.0], Errors::Replicates(&made), &mut |_| true).unwrap();
        assert_eq!((found.p[1], found.patterns), (0.04, 100));
    }

    #[test]
    fn a_singular_covariance_has_a_root() {
        let covariance = [2.0, -1.0, -1.0, -1.0, 2.0, -1.0, -1.0, -1.0, 2.0];
        let u = root(&covariance, 3).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                let got: f64 = (0..=i.min(j)).map(|k| u[k * 3 + i] * u[k * 3 + j]).sum();
                assert!((got - covariance[i * 3 + j]).abs() < 1e-14);
            }
        }
    }
}
