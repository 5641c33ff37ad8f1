//! How a statistic of sums bends: its second derivatives.

use super::Sums;
use crate::memory::{self, NoMemory};

/// The step of the difference of two gradients, as a share of the magnitudes that make up a sum.
const STEP: f64 = 1e-5;

/// The second derivatives of a statistic with respect to its sums.
pub(super) struct Curved {
    rows: Vec<f64>,
    width: usize,
}

impl Curved {
    /// At `totals`, sums of terms whose magnitudes add up to `sizes`: central differences of exact gradients, whose
    /// relative error is about 1e-10.
    pub fn of(statistic: &dyn Sums, totals: &[f64], sizes: &[f64]) -> Result<Curved, NoMemory> {
        let width = totals.len();
        let mut rows = memory::filled(width * width, 0.0)?;
        let mut moved = memory::copied(totals)?;
        let mut gradients = [memory::filled(width, 0.0)?, memory::filled(width, 0.0)?];
        for k in 0..statistic.width() {
            let step = STEP * sizes[k];
            // To a sum of nothing no unit adds anything.
            if step == 0.0 {
                continue;
            }
            for (side, gradient) in [step, -step].into_iter().zip(&mut gradients) {
                moved[k] = totals[k] + side;
                statistic.gradient(&moved, gradient);
            }
            moved[k] = totals[k];
            for (j, bent) in rows[k * width..(k + 1) * width].iter_mut().enumerate() {
                *bent = (gradients[0][j] - gradients[1][j]) / (2.0 * step);
            }
        }
        Ok(Curved { rows, width })
    }

    /// The second derivative in a direction, whose parts `towards` gives.
    pub fn along(&self, towards: impl Fn(usize) -> f64) -> f64 {
        let mut sum = 0.0;
        for (k, row) in self.rows.chunks_exact(self.width).enumerate() {
            let mut of_row = 0.0;
            for (j, bent) in row.iter().enumerate() {
                of_row += bent * towards(j);
            }
            sum += of_row * towards(k);
        }
        sum
    }
}
