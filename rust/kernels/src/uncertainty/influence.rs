//! How much each row pulls at a mean or a ratio, and the skewness of it.

use crate::grid::{CHUNK, Stopped, Watch, chunk, chunks, map_chunks};
use crate::simd::{Element, Isa, Kernel, dispatch, scalar, tree64};

const LANES: usize = 16;

/// BCa's acceleration of a mean in closed form, `a = sum U^3 / (6 (sum U^2)^1.5)` with the influence values
/// `U_i = x_i - mean` (Efron 1987, eq. 6.6 and 7.3).
///
/// `scale` is a size of the U, their root mean square say: powers of `U / scale` neither overflow nor vanish.
/// NaN where no U differs from zero. Relative error below 1e-12 of `sum |U|^3`.
pub fn mean_acceleration<T: Element>(
    x: &[T],
    mean: f64,
    scale: f64,
    watch: Watch<'_>,
) -> Result<f64, Stopped> {
    acceleration(x.as_chunks::<1>().0, mean, scale, watch)
}

/// The same of a ratio `sum S / sum n` of rows `(S_g, n_g)`, whose influence values are `S_g - ratio n_g` but
/// for a factor that cancels.
pub fn ratio_acceleration(
    rows: &[[f64; 2]],
    ratio: f64,
    scale: f64,
    watch: Watch<'_>,
) -> Result<f64, Stopped> {
    acceleration(rows, ratio, scale, watch)
}

fn acceleration<T: Element, const K: usize>(
    rows: &[[T; K]],
    value: f64,
    scale: f64,
    watch: Watch<'_>,
) -> Result<f64, Stopped> {
    let parts = map_chunks(chunks(rows.len(), CHUNK), size_of_val(rows), watch, |index| {
        dispatch(Powers { rows: &rows[chunk(index, rows.len(), CHUNK)], value, scale })
    })?;
    Ok(scalar(|| {
        let [squares, cubes] = parts.into_iter().fold([0.0; 2], |t, p| [t[0] + p[0], t[1] + p[1]]);
        cubes / (6.0 * squares * squares.sqrt())
    }))
}

/// `sum U^2` and `sum U^3`, U in units of the scale.
struct Powers<'a, T, const K: usize> {
    rows: &'a [[T; K]],
    value: f64,
    scale: f64,
}

impl<T: Element, const K: usize> Kernel for Powers<'_, T, K> {
    type Out = [f64; 2];

    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; 2] {
        let inverse = 1.0 / self.scale;
        let mut sums = [[0.0; LANES]; 2];
        for block in self.rows.chunks(LANES) {
            let mut pull = [0.0; LANES];
            for (u, row) in pull.iter_mut().zip(block) {
                let size = if K > 1 { row[K - 1].to_f64() } else { 1.0 };
                *u = (row[0].to_f64() - self.value * size) * inverse;
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

    fn of(rows: &[[f64; 2]], value: f64, scale: f64) -> f64 {
        ratio_acceleration(rows, value, scale, &mut |_| true).unwrap()
    }

    /// The city data of Efron and Tibshirani, ratio sum x / sum u: the influence values' own skewness. (The
    /// jackknife's is -0.0112031940.)
    #[test]
    fn the_city_ratio() {
        let u = [138.0, 93.0, 61.0, 179.0, 48.0, 37.0, 29.0, 23.0, 30.0, 2.0];
        let x = [143.0, 104.0, 69.0, 260.0, 75.0, 63.0, 50.0, 48.0, 111.0, 50.0];
        let rows: Vec<[f64; 2]> = x.into_iter().zip(u).map(|(x, u)| [x, u]).collect();
        let value = 973.0 / 640.0;
        let (mut squares, mut cubes) = (0.0, 0.0);
        for [x, u] in &rows {
            let influence = x - value * u;
            squares += influence * influence;
            cubes += influence * influence * influence;
        }
        let want = cubes / (6.0 * squares * f64::sqrt(squares));
        for scale in [1.0, 30.0, 1e-3] {
            assert!((of(&rows, value, scale) - want).abs() < 1e-15, "{} {want}", of(&rows, value, scale));
        }
    }

    #[test]
    fn huge_values_do_not_overflow_and_symmetry_has_none() {
        let rows: Vec<[f64; 2]> = (0..1001).map(|i| [(f64::from(i) - 500.0) * 1e200, 1.0]).collect();
        assert!(of(&rows, 0.0, 3e202).abs() < 1e-15);
        let skewed = [[0.0, 1.0], [0.0, 1.0], [3e200, 1.0]];
        assert!((of(&skewed, 1e200, 1e200) - 6.0 / (6.0 * 6.0 * 6f64.sqrt())).abs() < 1e-16);
        assert!(of(&[[2.0, 1.0]; 3], 2.0, 1.0).is_nan());
    }

    #[test]
    fn a_mean_is_a_ratio_of_rows_of_one() {
        let x: Vec<f32> = (0..100_003).map(|i| ((i * 7919) % 1000) as f32).collect();
        let rows: Vec<[f64; 2]> = x.iter().map(|&v| [f64::from(v), 1.0]).collect();
        let mean = mean_acceleration(&x, 400.0, 300.0, &mut |_| true).unwrap();
        assert_eq!(mean, of(&rows, 400.0, 300.0));
    }
}
