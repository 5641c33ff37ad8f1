//! The negative log-likelihood of whole sequences.

use crate::exact::Fixed;
use crate::grid::{Stopped, Watch, chunk, chunks, map_chunks};
use crate::memory;
use crate::simd::scalar;

/// Tokens in a chunk, about.
const TOKENS: usize = 1 << 16;

/// The sum of `nll` over the counted tokens of each of `rows` sequences of one length: exact but for one
/// rounding, infinite where a counted token is (or where the sum would pass 2^62), 0 without tokens.
pub fn sequence_nll(nll: &[f64], counted: &[u8], rows: usize, watch: Watch<'_>) -> Result<Vec<f64>, Stopped> {
    let length = nll.len().checked_div(rows).unwrap_or(0);
    let size = (TOKENS / length.max(1)).max(1);
    let mut rows_done = |done: usize| watch((done * size).min(rows));
    let parts = map_chunks(chunks(rows, size), size_of_val(nll), &mut rows_done, |index| {
        let row = |r: usize| r * length..(r + 1) * length;
        let sum = |r| one(&nll[row(r)], &counted[row(r)]);
        scalar(|| memory::collected(chunk(index, rows, size).map(sum)))
    })?;
    Ok(memory::joined(parts)?)
}

fn one(nll: &[f64], counted: &[u8]) -> f64 {
    let mut sum = Fixed::new();
    let mut every = true;
    for (&x, &counts) in nll.iter().zip(counted) {
        if counts != 0 {
            every &= sum.add(x);
        }
    }
    if every { sum.value() } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_what_counts() {
        let nll = [1.0, f64::NAN, 2.5, f64::INFINITY, 1.0, 0.5, f64::NAN, f64::NAN, f64::NAN];
        let counted = [1, 0, 1, 1, 1, 1, 0, 0, 0];
        let sums = sequence_nll(&nll, &counted, 3, &mut |_| true).unwrap();
        assert_eq!(sums, [3.5, f64::INFINITY, 0.0]);
        assert_eq!(sequence_nll(&[], &[], 2, &mut |_| true).unwrap(), [0.0, 0.0]);
        assert!(sequence_nll(&[], &[], 0, &mut |_| true).unwrap().is_empty());
    }
}
