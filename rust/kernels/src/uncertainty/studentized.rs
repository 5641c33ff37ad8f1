//! The studentised bootstrap: the error of each replicate in closed form, from the counts that made it.

use super::design::Units;
use super::replicates::{Run, sum_each, sums};
use super::statistic::{Line, Statistic};
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::sums::sums_at;
use crate::memory;
use crate::simd::scalar;

/// An error below this share of the error of the data is rounding: the replicate shows no spread.
const NO_SPREAD: f64 = 1e-12;
/// Units whose influences are computed together.
const BLOCK: usize = 64;

/// Replicates of a statistic, each with the error that makes a t of it.
pub(super) struct Studentized {
    pub replicates: Vec<f64>,
    /// `(replicate - value)/error`; infinite for a replicate without spread, and 0 where such a one equals the value.
    pub t: Option<Vec<f64>>,
    /// The error of the data; NaN where there are no t.
    pub error: f64,
}

impl Studentized {
    /// Replicates for a method that needs no t.
    pub fn without_t(replicates: Vec<f64>) -> Studentized {
        Studentized { replicates, t: None, error: f64::NAN }
    }
}

/// Replicates with their t: `error^2 = sum c_g U_g^2` with the influences `U_g` at the sums of the replicate
/// ("nonparametric delta method", Davison and Hinkley 1997, section 2.7.2). The counts are drawn a second time for it.
pub(super) fn studentized<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    value: f64,
    run: Run,
    progress: Progress<'_>,
) -> Result<Studentized, Stopped> {
    let n = units.count();
    let error = error_of_data(units, statistic, &mut |_| progress(0))?;
    let sums = sums(units, run, &mut |done| progress(done / 2))?;
    let line = |r: usize| Squares { units, line: scalar(|| statistic.line(sums[r], n as f64)) };
    let mut second = |done: usize| progress(run.count as usize / 2 + done / 2);
    let mut t = sum_each(n, line, run, &mut second)?;
    scalar(|| {
        let replicates = memory::collected(sums.iter().map(|&sums| statistic.value(sums)))?;
        for (t, replicate) in t.iter_mut().zip(&replicates) {
            *t = studentised(replicate - value, t.sqrt(), error);
        }
        Ok(Studentized { replicates, t: Some(t), error })
    })
}

/// The t of a replicate at this distance from the value, where the error of the data is `error`.
pub(super) fn studentised(distance: f64, of_replicate: f64, error: f64) -> f64 {
    if of_replicate > NO_SPREAD * error {
        distance / of_replicate
    } else if distance.abs() <= NO_SPREAD * error {
        0.0
    } else {
        distance.signum() * f64::INFINITY
    }
}

/// The square root of `sum U_g^2` over the units, each of which counts once.
pub(super) fn error_of_data<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    progress: Progress<'_>,
) -> Result<f64, Stopped> {
    let (n, mut pace) = (units.count(), Pace::new(progress));
    let sums = sums_at(n, &mut pace, |g| part(units, g))?;
    let line = scalar(|| statistic.line(sums, n as f64));
    let [squares] = sums_at(n, &mut pace, |g| {
        let influence = line.at(&part(units, g));
        [influence * influence]
    })?;
    Ok(scalar(|| squares.sqrt()))
}

/// The parts of one unit.
fn part<U: Units<K>, const K: usize>(units: U, unit: usize) -> [f64; K] {
    let mut part = [[0.0; K]];
    units.read(unit, &mut part);
    part[0]
}

/// The squares of the influences of units.
#[derive(Clone, Copy)]
struct Squares<U, const K: usize> {
    units: U,
    line: Line<K>,
}

impl<U: Units<K>, const K: usize> Units<1> for Squares<U, K> {
    #[inline(always)]
    fn count(self) -> usize {
        self.units.count()
    }

    #[inline(always)]
    fn bytes(self) -> usize {
        self.units.bytes()
    }

    #[inline(always)]
    fn read(self, start: usize, parts: &mut [[f64; 1]]) {
        let mut block = [[0.0; K]; BLOCK];
        for (index, squares) in parts.chunks_mut(BLOCK).enumerate() {
            let block = &mut block[..squares.len()];
            self.units.read(start + index * BLOCK, block);
            for (square, part) in squares.iter_mut().zip(block.iter()) {
                let influence = self.line.at(part);
                *square = [influence * influence];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, Stream, counts};
    use crate::uncertainty::{Mean, Pairs, Quotient, Rows};

    fn column(n: usize) -> Vec<f64> {
        (0..n as u64).map(|i| (i.wrapping_mul(2654435761) % 1009) as f64 * 0.37 - 100.0).collect()
    }

    /// Each t is that of the mean and the standard deviation of the rows that were drawn.
    #[test]
    fn a_t_is_that_of_the_rows_drawn() {
        for n in [7, 300, 1025, 3000] {
            let x = column(n);
            let mean = x.iter().sum::<f64>() / n as f64;
            let (rows, statistic) = (Rows { x: &x[..], shift: mean }, Mean { shift: mean, n: n as f64 });
            let found = studentized(rows, statistic, mean, Run::of_first(20, 3), &mut |_| true).unwrap();
            let wanted: f64 = x.iter().map(|x| (x - mean) * (x - mean)).sum();
            assert!((found.error / (wanted.sqrt() / n as f64) - 1.0).abs() < 1e-12);
            let ts = found.t.unwrap();
            for (r, t) in ts.iter().enumerate() {
                let counts = counts(Stream::new(3, Domain::Bootstrap, r as u32), n).unwrap();
                let drawn = || x.iter().zip(&counts).map(|(&x, &c)| (x, f64::from(c)));
                let center = drawn().map(|(x, c)| x * c).sum::<f64>() / n as f64;
                let squares: f64 = drawn().map(|(x, c)| c * (x - center) * (x - center)).sum();
                let want = (center - mean) / (squares.sqrt() / n as f64);
                assert!((t - want).abs() < 1e-9 * (1.0 + want.abs()), "n = {n}, replicate {r}: {t} {want}");
            }
            // The mean as a quotient to ones has the same t.
            let pairs = Pairs { sums: &x, sizes: &vec![1.0; n] };
            let ratio =
                studentized(pairs, Quotient { shift: 0.0 }, mean, Run::of_first(20, 3), &mut |_| true)
                    .unwrap();
            assert!(ratio.t.unwrap().iter().zip(&ts).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }

    #[test]
    fn replicates_without_spread_have_no_finite_t() {
        assert_eq!(studentised(1.0, 0.0, 2.0), f64::INFINITY);
        assert_eq!(studentised(-1.0, 1e-14, 2.0), f64::NEG_INFINITY);
        assert_eq!(studentised(-1.0, f64::NAN, 2.0), f64::NEG_INFINITY);
        assert_eq!(studentised(0.0, 0.0, 2.0), 0.0);
        assert_eq!(studentised(1.0, 0.5, 2.0), 2.0);
    }
}
