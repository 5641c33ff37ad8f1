//! How much each unit pulls at a statistic, and the skewness of it.

use super::design::Units;
use super::statistic::Statistic;
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, map_chunks};
use crate::simd::{Isa, Kernel, dispatch, scalar, tree64};
use std::ops::Range;

const LANES: usize = 16;

/// BCa's acceleration in closed form, `a = sum U^3 / (6 (sum U^2)^1.5)` with the influences U of the units (Efron 1987,
/// eq. 6.6 and 7.3); of a mean they are `x_i - mean`, of a quotient `S_g - value n_g`.
///
/// `scale` is a size of the U, their root mean square say: powers of `U / scale` neither overflow nor vanish.
/// NaN where no U differs from zero. Relative error below 1e-12 of `sum |U|^3`.
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

/// `sum U^2` and `sum U^3`, U in units of the scale.
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
            let mut pull = [0.0; LANES];
            for (pull, part) in pull.iter_mut().zip(&parts[..filled]) {
                *pull = self.statistic.influence(*part, self.value) * inverse;
            }
            for i in 0..LANES {
                sums[0][i] += pull[i] * pull[i];
                sums[1][i] += pull[i] * pull[i] * pull[i];
            }
        }
        sums.map(tree64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uncertainty::{Mean, Pairs, Quotient, Rows};

    fn of(sums: &[f64], sizes: &[f64], value: f64, scale: f64) -> f64 {
        acceleration(Pairs { sums, sizes }, Quotient { shift: 0.0 }, value, scale, &mut |_| true).unwrap()
    }

    /// The city data of Efron and Tibshirani, ratio sum x / sum u: the influence values' own skewness. (The
    /// jackknife's is -0.0112031940.)
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
            assert!((of(&x, &u, value, scale) - want).abs() < 1e-15, "{} {want}", of(&x, &u, value, scale));
        }
    }

    #[test]
    fn huge_values_do_not_overflow_and_symmetry_has_none() {
        let x: Vec<f64> = (0..1001).map(|i| (f64::from(i) - 500.0) * 1e200).collect();
        assert!(of(&x, &[1.0; 1001], 0.0, 3e202).abs() < 1e-15);
        let skewed = of(&[0.0, 0.0, 3e200], &[1.0; 3], 1e200, 1e200);
        assert!((skewed - 6.0 / (6.0 * 6.0 * 6f64.sqrt())).abs() < 1e-16);
        assert!(of(&[2.0; 3], &[1.0; 3], 2.0, 1.0).is_nan());
    }

    #[test]
    fn a_mean_is_a_quotient_of_rows_of_one() {
        let x: Vec<f32> = (0..100_003).map(|i| ((i * 7919) % 1000) as f32).collect();
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let mean = Mean { shift: 0.0, n: x.len() as f64 };
        let rows = Rows { x: &x[..], shift: 0.0 };
        let got = acceleration(rows, mean, 400.0, 300.0, &mut |_| true).unwrap();
        assert_eq!(got, of(&wide, &vec![1.0; x.len()], 400.0, 300.0));
    }
}
