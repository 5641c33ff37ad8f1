//! The negative log-likelihood of whole sequences.

use crate::exact::Fixed;
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::memory;
use crate::simd::scalar;

/// The approximate number of tokens per chunk.
const TOKENS: usize = 1 << 16;

/// The sum of `nll` over the counted tokens of each of `rows` sequences of the same length: exact except for one
/// rounding, infinite where the NLL of a counted token is, 0 where no token counts. Where an NLL is 2^62 or more (as it
/// is where tokens are masked by the lowest finite logit) or the sum 2^63 or more, the sum is one of f64, token after
/// token.
pub fn sequence_nll(
    nll: &[f64],
    counted: &[u8],
    rows: usize,
    progress: Progress<'_>,
) -> Result<Vec<f64>, Stopped> {
    let length = nll.len().checked_div(rows).unwrap_or(0);
    if length > TOKENS {
        return long_rows(nll, counted, rows, progress);
    }
    let size = (TOKENS / length.max(1)).max(1);
    let mut rows_done = |done: usize| progress((done * size).min(rows));
    let parts = map_chunks(chunks(rows, size), size_of_val(nll), &mut rows_done, |index| {
        let row = |r: usize| r * length..(r + 1) * length;
        let sum = |r| part(&nll[row(r)], &counted[row(r)]).value();
        scalar(|| memory::collected(chunk(index, rows, size).map(sum)))
    })?;
    Ok(memory::joined(parts)?)
}

/// As [`sequence_nll`], for long rows, which are cut into parts. The sums of the parts are exact, so that the cuts
/// change no bit.
fn long_rows(nll: &[f64], counted: &[u8], rows: usize, progress: Progress<'_>) -> Result<Vec<f64>, Stopped> {
    let length = nll.len() / rows;
    let each = chunks(length, TOKENS);
    let mut rows_done = |done: usize| progress(done / each);
    let parts = map_chunks(rows * each, size_of_val(nll), &mut rows_done, |index| {
        let here = chunk(index % each, length, TOKENS);
        let start = index / each * length;
        let here = start + here.start..start + here.end;
        scalar(|| part(&nll[here.clone()], &counted[here]))
    })?;
    let sum = |parts: &[Part]| parts.iter().copied().fold(Part::default(), Part::plus).value();
    Ok(memory::collected(parts.chunks(each).map(|parts| scalar(|| sum(parts))))?)
}

/// The sum over the counted tokens in a part of a row.
#[derive(Clone, Copy)]
struct Part {
    /// The exact sum; `None` where the sum or a value is too large for it.
    exact: Option<Fixed>,
    /// The sum in f64.
    plain: f64,
}

impl Default for Part {
    fn default() -> Self {
        Part { exact: Some(Fixed::new()), plain: 0.0 }
    }
}

impl Part {
    fn plus(self, other: Part) -> Part {
        let exact = self.exact.zip(other.exact);
        let exact = exact.and_then(|(mut sum, other)| sum.merge(other).then_some(sum));
        Part { exact, plain: self.plain + other.plain }
    }

    fn value(self) -> f64 {
        self.exact.map_or(self.plain, Fixed::value)
    }
}

fn part(nll: &[f64], counted: &[u8]) -> Part {
    let (mut sum, mut every, mut plain) = (Fixed::new(), true, 0.0);
    for (&x, &counts) in nll.iter().zip(counted) {
        if counts != 0 {
            every &= sum.add(x);
            plain += x;
        }
    }
    Part { exact: every.then_some(sum), plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counted_tokens_are_summed() {
        let nll = [1.0, f64::NAN, 2.5, f64::INFINITY, 1.0, 0.5, f64::NAN, f64::NAN, f64::NAN];
        let counted = [1, 0, 1, 1, 1, 1, 0, 0, 0];
        let sums = sequence_nll(&nll, &counted, 3, &mut |_| true).unwrap();
        assert_eq!(sums, [3.5, f64::INFINITY, 0.0]);
        let masked = [3.4e38, 1.0, 3.4e38, 2.0, f64::MAX, f64::MAX];
        assert_eq!(
            sequence_nll(&masked, &[1; 6], 3, &mut |_| true).unwrap(),
            [3.4e38, 3.4e38, f64::INFINITY]
        );
        assert_eq!(sequence_nll(&[], &[], 2, &mut |_| true).unwrap(), [0.0, 0.0]);
        assert!(sequence_nll(&[], &[], 0, &mut |_| true).unwrap().is_empty());
    }

    #[test]
    fn long_rows_are_cut_and_stay_exact() {
        let length = 2 * TOKENS + 77;
        let nll: Vec<f64> = (0..2 * length).map(|i| (i % 1013) as f64 * 0.37).collect();
        let counted: Vec<u8> = (0..2 * length).map(|i| u8::from(i % 5 != 0)).collect();
        let whole = |row: usize| {
            let row = row * length..(row + 1) * length;
            part(&nll[row.clone()], &counted[row]).value()
        };
        assert_eq!(sequence_nll(&nll, &counted, 2, &mut |_| true).unwrap(), [whole(0), whole(1)]);
        let mut infinite = nll.clone();
        infinite[length + TOKENS + 1] = f64::INFINITY;
        let got = sequence_nll(&infinite, &vec![1; 2 * length], 2, &mut |_| true).unwrap();
        assert!(got[0].is_finite() && got[1] == f64::INFINITY);
    }
}
