//! Two models on the same rows: their differences, and the intervals and tests of 0/1 answers.

mod answers;
mod bonett_price;
mod exact;
mod mcnemar;
mod newcombe;
mod tango;

pub use answers::{Method, Table, paired_binary, unspread_difference};
pub use mcnemar::mcnemar;
pub use tango::tango;
pub(crate) use tango::tango_exceeds;

use crate::grid::{self, CHUNK, Progress, Stopped};
use crate::intervals::cluster::{ClusterSums, cluster_sums};
use crate::intervals::moments::{Column, epsilon, moments};
use crate::intervals::spread::STEPS;
use crate::memory;
use crate::simd::{self, Element};

/// A column of any element type that is widened to f64 chunk by chunk, so that code that reads two columns is not
/// compiled for each pair of element types.
pub trait Wide: Sync {
    /// The number of values.
    fn len(&self) -> usize;
    /// Whether there are no values.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Writes the values from `start` on to `out` until it is full.
    fn widen(&self, start: usize, out: &mut [f64]);
    /// The values themselves, where they are of f64.
    fn as_f64(&self) -> Option<&[f64]> {
        None
    }
    /// The nearest number of the type of the values.
    fn rounded(&self, x: f64) -> f64;
    /// The relative step of the values, as in [`moments`](fn@moments).
    fn epsilon(&self) -> f64;
    /// The moments of the column: see [`moments`](fn@moments).
    fn moments(&self, progress: Progress<'_>) -> Result<Column, Stopped>;
    /// The sums of the values minus `shift` by cluster: see [`cluster_sums`]. `None` where a code lies outside.
    fn cluster_sums(
        &self,
        codes: &[i64],
        count: usize,
        shift: f64,
        progress: Progress<'_>,
    ) -> Result<Option<ClusterSums>, Stopped>;
}

impl<T: Element> Wide for &[T] {
    fn len(&self) -> usize {
        <[T]>::len(self)
    }
    fn widen(&self, start: usize, out: &mut [f64]) {
        for (out, value) in out.iter_mut().zip(&self[start..]) {
            *out = value.to_f64();
        }
    }
    fn as_f64(&self) -> Option<&[f64]> {
        T::as_f64(self)
    }
    fn rounded(&self, x: f64) -> f64 {
        T::from_f64(x).to_f64()
    }
    fn epsilon(&self) -> f64 {
        epsilon::<T>()
    }
    fn moments(&self, progress: Progress<'_>) -> Result<Column, Stopped> {
        moments(self, progress)
    }
    fn cluster_sums(
        &self,
        codes: &[i64],
        count: usize,
        shift: f64,
        progress: Progress<'_>,
    ) -> Result<Option<ClusterSums>, Stopped> {
        cluster_sums(self, codes, count, shift, None, progress)
    }
}

/// The differences new - base of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Differences {
    /// The differences.
    pub values: Vec<f64>,
    /// The number of rows where new is larger.
    pub wins: u64,
    /// The number of rows where base is larger.
    pub losses: u64,
}

/// Scores whose relative difference is at most this are equal except for rounding.
const EQUAL: f64 = STEPS * f64::EPSILON;

/// The differences new - base in f64, and how often either is larger. Both have the same length and no NaN. A
/// difference that may be rounding alone (at most 2^-49 of the larger score) counts as 0.
///
/// `coarse` is for two columns of different element types: the unit in the last place of 1 and the smallest positive
/// number of the less precise type. A difference within that unit, relative to the larger score, or within that number
/// then counts as rounding as well. (0, 0) for columns of the same type.
pub fn differences(
    new: &dyn Wide,
    base: &dyn Wide,
    coarse: (f64, f64),
    progress: Progress<'_>,
) -> Result<Differences, Stopped> {
    let tie = Tie { relative: if coarse.0 > EQUAL { coarse.0 } else { EQUAL }, absolute: coarse.1 };
    let n = new.len();
    let mut all = Differences { values: memory::filled(n, 0.0)?, wins: 0, losses: 0 };
    let parts = memory::collected(all.values.chunks_mut(CHUNK))?;
    let counts = grid::fill_chunks(parts, 24 * n, progress, |index, part| {
        simd::scalar(|| {
            let mut base_values = [0.0; BLOCK];
            let (mut wins, mut losses) = (0, 0);
            for (block, values) in part.chunks_mut(BLOCK).enumerate() {
                let start = index * CHUNK + block * BLOCK;
                let base_values = &mut base_values[..values.len()];
                new.widen(start, values);
                base.widen(start, base_values);
                let (up, down) = subtract(values, base_values, tie);
                (wins, losses) = (wins + up, losses + down);
            }
            (wins, losses)
        })
    })?;
    for (wins, losses) in counts {
        all.wins += wins;
        all.losses += losses;
    }
    Ok(all)
}

/// As many values are widened at a time: few enough that they stay in the processor's first cache, and on the stack.
const BLOCK: usize = 1 << 10;

/// Two scores are equal where they differ by at most `relative` times the larger one, or by at most `absolute`.
#[derive(Clone, Copy)]
struct Tie {
    relative: f64,
    absolute: f64,
}

/// Subtracts `base` from `new`: how often new is larger, and how often base is.
#[inline(always)]
fn subtract(new: &mut [f64], base: &[f64], tie: Tie) -> (u64, u64) {
    let (mut wins, mut losses) = (0, 0);
    for (a, &b) in new.iter_mut().zip(base) {
        let (up, down) = (a.abs(), b.abs());
        let difference = *a - b;
        let (near, larger) = (difference.abs(), if up > down { up } else { down });
        let tie = near <= tie.relative * larger || near <= tie.absolute;
        wins += u64::from(*a > b && !tie);
        losses += u64::from(*a < b && !tie);
        *a = if tie { 0.0 } else { difference };
    }
    (wins, losses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_of_two_types() {
        let new: &[f32] = &[1.0, 0.5, 0.0, 2.0];
        let base: &[f64] = &[0.0, 0.5, 1.0, 0.25];
        let got = differences(&new, &base, (0.0, 0.0), &mut |_| true).unwrap();
        assert_eq!(got, Differences { values: vec![1.0, 0.0, -1.0, 1.75], wins: 2, losses: 1 });
    }

    #[test]
    fn a_difference_by_rounding_alone_is_a_tie() {
        let new: &[f64] = &[0.1 + 0.2, 0.3, 0.3 + 1e-15, -5e-324, 1e15 + 2.0, 0.0, f64::MAX];
        let base: &[f64] = &[0.3, 0.1 + 0.2, 0.3, 5e-324, 1e15, -0.0, -f64::MAX];
        let got = differences(&new, &base, (0.0, 0.0), &mut |_| true).unwrap();
        assert_eq!((got.wins, got.losses), (3, 1));
        assert_eq!(got.values[..2], [0.0, 0.0]);
        assert!(got.values[2] > 1e-16 && got.values[3] == -1e-323 && got.values[4] == 2.0);
    }
}
