//! BCa's acceleration, from the influences of the units on a statistic.

use super::design::Units;
use super::designs::{Parts, centred};
use super::statistic::Statistic;
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory::NoMemory;
use crate::simd::{Isa, Kernel, dispatch, scalar, tree64};
use std::ops::Range;

const LANES: usize = 16;

/// BCa's acceleration in closed form, `a = sum U^3 / (6 (sum U^2)^1.5)` with the influences U of the units (Efron 1987,
/// eq. 6.6 and 7.3): `x_i - mean` for a mean, `S_g - value n_g` for a quotient.
///
/// `scale` is a typical size of the U, such as their root mean square, so that powers of `U / scale` neither overflow
/// nor underflow. NaN where all U are 0. The error of the sum of cubes is below 1e-12 of `sum |U|^3`.
pub fn acceleration<U: Units<K>, S: Statistic<K>, const K: usize>(
    units: U,
    statistic: S,
    value: f64,
    scale: f64,
    progress: Progress<'_>,
) -> Result<f64, Stopped> {
    let count = units.count();
    let parts = map_chunks(chunks(count, CHUNK), count * units.bytes(), progress, |index| {
        dispatch(Powers { units, within: chunk(index, count, CHUNK), statistic, value, scale })
    })?;
    Ok(scalar(|| {
        let [squares, cubes] = parts.into_iter().fold([0.0; 2], |t, p| [t[0] + p[0], t[1] + p[1]]);
        cubes / (6.0 * squares * squares.sqrt())
    }))
}

/// BCa's acceleration by the jackknife: `sum U^3 / (6 (sum U^2)^1.5)` with `U` the mean of the values with one unit (or
/// group of units) left out, minus each of them; 0 where they differ by no more than `rounding`. Each value comes with
/// the number of times that it occurs.
pub(super) fn jackknife_acceleration(
    left_out: impl Iterator<Item = (f64, f64)> + Clone,
    rounding: f64,
) -> f64 {
    scalar(|| {
        // About the first value, so that equal values have exactly their mean.
        let Some((first, _)) = left_out.clone().next() else { return 0.0 };
        let (mut sum, mut count) = (0.0, 0.0);
        for (value, times) in left_out.clone() {
            sum += times * (value - first);
            count += times;
        }
        let mean = first + sum / count;
        skewness_of(left_out.map(|(value, times)| (mean - value, times)), rounding)
    })
}

/// BCa's acceleration from the statistics without each of some parts of the units: that of the jackknife, or in strata
/// with U the `value` of all units minus that of the rest, less what the part has in the mean of its stratum; 0 where no
/// U is above `rounding`.
///
/// What is left out leaves the sample of all strata, whose shares change with it; the mean of the stratum takes that off
/// to first order, exactly for a mean. (The factors `(n_h - 1)/n_h` of Davison and Hinkley 1997 are for statistics
/// of the strata's distributions, which keep their shares when a unit is left out.)
pub(super) fn left_out_acceleration(
    parts: &Parts,
    value: f64,
    mut left_out: Vec<f64>,
    rounding: f64,
) -> Result<f64, NoMemory> {
    if parts.strata.is_none() {
        return Ok(jackknife_acceleration(once(&left_out), rounding));
    }
    scalar(|| {
        for left_out in &mut left_out {
            *left_out = value - *left_out;
        }
        centred(parts, &mut left_out)?;
        Ok(skewness(&left_out, rounding))
    })
}

/// `sum U^3 / (6 (sum U^2)^1.5)` of influences U; 0 where none is above `rounding`.
pub(super) fn skewness(influences: &[f64], rounding: f64) -> f64 {
    scalar(|| skewness_of(once(influences), rounding))
}

/// The same of influences that occur so many times each.
pub(super) fn skewness_of_many(influences: &[(f64, f64)], rounding: f64) -> f64 {
    scalar(|| skewness_of(influences.iter().copied(), rounding))
}

/// Values that each occur once.
pub(super) fn once(values: &[f64]) -> impl Iterator<Item = (f64, f64)> + Clone {
    values.iter().map(|&value| (value, 1.0))
}

fn skewness_of(influences: impl Iterator<Item = (f64, f64)> + Clone, rounding: f64) -> f64 {
    let largest =
        influences.clone().fold(0.0, |most: f64, (u, _)| if u.abs() > most { u.abs() } else { most });
    if largest <= rounding {
        return 0.0;
    }
    let (mut squares, mut cubes) = (0.0, 0.0);
    for (influence, times) in influences {
        let u = influence / largest;
        squares += times * (u * u);
        cubes += times * (u * u * u);
    }
    cubes / (6.0 * squares * squares.sqrt())
}

/// `sum U^2` and `sum U^3` over a range of units, with U divided by the scale.
struct Powers<U, S, const K: usize> {
    units: U,
    within: Range<usize>,
    statistic: S,
    value: f64,
    scale: f64,
}

impl<U: Units<K>, S: Statistic<K>, const K: usize> Kernel for Powers<U, S, K> {
    type Out = [f64; 2];

    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; 2] {
        let inverse = 1.0 / self.scale;
        let mut sums = [[0.0; LANES]; 2];
        for start in self.within.clone().step_by(LANES) {
            let filled = LANES.min(self.within.end - start);
            let mut parts = [[0.0; K]; LANES];
            self.units.read(start, &mut parts[..filled]);
            let mut u = [0.0; LANES];
            for (u, part) in u.iter_mut().zip(&parts[..filled]) {
                *u = self.statistic.influence(*part, self.value) * inverse;
            }
            for i in 0..LANES {
                sums[0][i] += u[i] * u[i];
                sums[1][i] += u[i] * u[i] * u[i];
            }
        }
        sums.map(tree64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uncertainty::{Mean, Pairs, Quotient, Rows};

    fn of_quotient(sums: &[f64], sizes: &[f64], value: f64, scale: f64) -> f64 {
        acceleration(Pairs { sums, sizes }, Quotient { shift: 0.0 }, value, scale, &mut |_| true).unwrap()
    }

    /// The ratio sum x / sum u of the city data of Efron and Tibshirani: the acceleration is that of the influence
    /// values. (That of the jackknife would be -0.0112031940.)
    #[test]
    fn the_city_ratio() {
        let u = [138.0, 93.0, 61.0, 179.0, 48.0, 37.0, 29.0, 23.0, 30.0, 2.0];
        let x = [143.0, 104.0, 69.0, 260.0, 75.0, 63.0, 50.0, 48.0, 111.0, 50.0];
        let value = 973.0 / 640.0;
        let (mut squares, mut cubes) = (0.0, 0.0);
        for (x, u) in x.iter().zip(u) {
            let influence = x - value * u;
            squares += influence * influence;
            cubes += influence * influence * influence;
        }
        let want = cubes / (6.0 * squares * f64::sqrt(squares));
        for scale in [1.0, 30.0, 1e-3] {
            let got = of_quotient(&x, &u, value, scale);
            assert!((got - want).abs() < 1e-15, "{got} {want}");
        }
    }

    #[test]
    fn huge_values_do_not_overflow_and_symmetric_ones_have_no_acceleration() {
        let x: Vec<f64> = (0..1001).map(|i| (f64::from(i) - 500.0) * 1e200).collect();
        assert!(of_quotient(&x, &[1.0; 1001], 0.0, 3e202).abs() < 1e-15);
        let skewed = of_quotient(&[0.0, 0.0, 3e200], &[1.0; 3], 1e200, 1e200);
        assert!((skewed - 6.0 / (6.0 * 6.0 * 6f64.sqrt())).abs() < 1e-16);
        assert!(of_quotient(&[2.0; 3], &[1.0; 3], 2.0, 1.0).is_nan());
    }

    #[test]
    fn a_mean_is_a_quotient_of_rows_of_one() {
        let x: Vec<f32> = (0..100_003).map(|i| ((i * 7919) % 1000) as f32).collect();
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let mean = Mean { shift: 0.0, n: x.len() as f64 };
        let rows = Rows { x: &x[..], shift: 0.0 };
        let got = acceleration(rows, mean, 400.0, 300.0, &mut |_| true).unwrap();
        assert_eq!(got, of_quotient(&wide, &vec![1.0; x.len()], 400.0, 300.0));
    }
}
