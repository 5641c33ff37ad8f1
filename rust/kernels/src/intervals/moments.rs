//! The mean, centred sum of squares and extremes of a column, and whether it holds only 0 and 1.

use crate::grid::{self, CHUNK, Progress, Stopped};
use crate::simd::{self, Element, Isa, Kernel, padded, tree64};

const LANES: usize = 16;

/// What an interval for the mean needs to know about a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean. The error of the sums is below 2^-40 of mean |x| for 10^9 values. It is not finite only
    /// where the sum overflows.
    pub mean: f64,
    /// sum (x - mean)^2, by a second pass that subtracts the mean from the first pass.
    pub squares: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// A unit in the last place of the largest |x|: 2^-52 of it for f64, 2^-23 for f32. 16-bit floats count as f64,
    /// because values that differ in the third digit seldom do so by rounding alone.
    pub step: f64,
    /// Whether every value is 0 or 1; then `mean` is ones/n, rounded once.
    pub binary: bool,
    /// The number of ones where every value is 0 or 1; otherwise 0.
    pub ones: u64,
}

/// The moments of a column, or where it is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column {
    /// All values are finite.
    Finite(Moments),
    /// The index of the first value that is NaN or infinite.
    Bad(usize),
}

/// The first pass over a chunk: the sum, the extremes, and whether any value is neither 0 nor 1 (`graded`).
struct First<'a, T>(&'a [T]);

#[derive(Clone, Copy)]
struct FirstOut {
    sum: f64,
    min: f64,
    max: f64,
    graded: bool,
}

struct FirstLanes {
    sum: [f64; LANES],
    min: [f64; LANES],
    max: [f64; LANES],
    graded: [f64; LANES],
}

impl FirstLanes {
    #[inline(always)]
    fn add(&mut self, values: [f64; LANES], addends: [f64; LANES]) {
        for l in 0..LANES {
            let x = values[l];
            self.sum[l] += addends[l];
            self.min[l] = if x < self.min[l] { x } else { self.min[l] };
            self.max[l] = if x > self.max[l] { x } else { self.max[l] };
            self.graded[l] = if x == 0.0 || x == 1.0 { self.graded[l] } else { 1.0 };
        }
    }
}

#[inline(always)]
fn widen<T: Element>(block: &[T; LANES]) -> [f64; LANES] {
    let mut wide = [0.0; LANES];
    for l in 0..LANES {
        wide[l] = block[l].to_f64();
    }
    wide
}

impl<T: Element> Kernel for First<'_, T> {
    type Out = FirstOut;
    #[inline(always)]
    fn run<I: Isa>(self) -> FirstOut {
        let mut lanes = FirstLanes {
            sum: [0.0; LANES],
            min: [f64::INFINITY; LANES],
            max: [f64::NEG_INFINITY; LANES],
            graded: [0.0; LANES],
        };
        let (blocks, tail) = self.0.as_chunks::<LANES>();
        for block in blocks {
            let values = widen(block);
            lanes.add(values, values);
        }
        if !tail.is_empty() {
            // The lanes past the end repeat the tail's first value, which is neutral for everything but the sum; to the
            // sum they add 0.
            let values = widen(&padded::<T, LANES>(tail, tail[0]));
            let mut addends = [0.0; LANES];
            addends[..tail.len()].copy_from_slice(&values[..tail.len()]);
            lanes.add(values, addends);
        }
        let mut out =
            FirstOut { sum: tree64(lanes.sum), min: lanes.min[0], max: lanes.max[0], graded: false };
        for l in 0..LANES {
            out.min = if lanes.min[l] < out.min { lanes.min[l] } else { out.min };
            out.max = if lanes.max[l] > out.max { lanes.max[l] } else { out.max };
            out.graded |= lanes.graded[l] > 0.0;
        }
        out
    }
}

#[inline(always)]
fn add_deviations(first: &mut [f64; LANES], second: &mut [f64; LANES], values: [f64; LANES], centre: f64) {
    for l in 0..LANES {
        let d = values[l] - centre;
        first[l] += d;
        second[l] += d * d;
    }
}

/// The second pass over a chunk: sum (x - centre) and sum (x - centre)^2.
struct Second<'a, T>(&'a [T], f64);

impl<T: Element> Kernel for Second<'_, T> {
    type Out = [f64; 2];
    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; 2] {
        let centre = self.1;
        let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
        let (blocks, tail) = self.0.as_chunks::<LANES>();
        for block in blocks {
            add_deviations(&mut first, &mut second, widen(block), centre);
        }
        if !tail.is_empty() {
            let mut values = widen(&padded::<T, LANES>(tail, tail[0]));
            values[tail.len()..].fill(centre); // their deviation is 0
            add_deviations(&mut first, &mut second, values, centre);
        }
        [tree64(first), tree64(second)]
    }
}

/// The moments of a column. It is read once, and a second time where it holds anything but 0 and 1 and is not constant.
/// The mean of no values is NaN.
///
/// The second pass subtracts the mean: with the textbook formula, sum x^2 - n mean^2, a standard deviation of 0.1 at a
/// mean of 10^7 would be lost to cancellation altogether.
pub fn moments<T: Element>(x: &[T], progress: Progress<'_>) -> Result<Column, Stopped> {
    let (n, bytes) = (x.len(), size_of_val(x));
    let count = grid::chunks(n, CHUNK);
    let part = |index| &x[grid::chunk(index, n, CHUNK)];
    let firsts = grid::map_chunks(count, bytes, &mut *progress, |i| simd::dispatch(First(part(i))))?;
    if let Some(bad) = first_bad(x, &firsts) {
        return Ok(Column::Bad(bad));
    }
    let total = simd::scalar(|| {
        let none = FirstOut { sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, graded: false };
        firsts.iter().fold(none, |a, b| FirstOut {
            sum: a.sum + b.sum,
            min: if b.min < a.min { b.min } else { a.min },
            max: if b.max > a.max { b.max } else { a.max },
            graded: a.graded || b.graded,
        })
    });
    let FirstOut { sum, min, max, graded } = total;
    let (centre, step) = simd::scalar(|| {
        let largest = if -min > max { -min } else { max };
        (sum / n as f64, largest * epsilon::<T>())
    });
    if !graded {
        // The sum of zeros and ones is exact.
        let squares = simd::scalar(|| sum * ((n as f64 - sum) / n as f64));
        let ones = sum as u64;
        return Ok(Column::Finite(Moments { mean: centre, squares, min, max, step, binary: true, ones }));
    }
    if min == max {
        // Summing equal values may round, so their common value is taken as the mean.
        return Ok(Column::Finite(Moments {
            mean: min,
            squares: 0.0,
            min,
            max,
            step,
            binary: false,
            ones: 0,
        }));
    }
    let seconds = grid::map_chunks(count, bytes, progress, |i| simd::dispatch(Second(part(i), centre)))?;
    let (mean, squares) = simd::scalar(|| {
        let [first, second] = seconds.iter().fold([0.0, 0.0], |a, b| [a[0] + b[0], a[1] + b[1]]);
        let squares = second - first * (first / n as f64);
        (centre + first / n as f64, if squares > 0.0 || squares.is_nan() { squares } else { 0.0 })
    });
    Ok(Column::Finite(Moments { mean, squares, min, max, step, binary: false, ones: 0 }))
}

/// The relative step of the values of a type; values of 16 bits are taken as the numbers of f64 that they are.
pub(crate) fn epsilon<T: Element>() -> f64 {
    if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON }
}

/// The index of the first value that is not finite; only chunks whose sum or extremes are not finite are searched.
fn first_bad<T: Element>(x: &[T], firsts: &[FirstOut]) -> Option<usize> {
    let suspect = |f: &FirstOut| !(f.sum.is_finite() && f.min.is_finite() && f.max.is_finite());
    firsts.iter().enumerate().filter(|(_, f)| suspect(f)).find_map(|(index, _)| {
        let rows = grid::chunk(index, x.len(), CHUNK);
        x[rows.clone()].iter().position(|v| !v.to_f64().is_finite()).map(|at| rows.start + at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finite<T: Element>(x: &[T]) -> Moments {
        match moments(x, &mut |_| true).unwrap() {
            Column::Finite(m) => m,
            Column::Bad(index) => panic!("bad at {index}"),
        }
    }

    #[test]
    fn nist_numacc_3_and_4() {
        // 1001 values: one at the middle, then alternately a tenth below and above; s is 0.1 exactly.
        for base in [1_000_000.0, 10_000_000.0] {
            let mut x = vec![base + 0.2];
            x.extend((0..500).flat_map(|_| [base + 0.1, base + 0.3]));
            let got = finite(&x);
            assert!((got.mean / (base + 0.2) - 1.0).abs() < 1e-15);
            assert!(((got.squares / 1000.0).sqrt() - 0.1).abs() < 1e-8, "{}", got.squares);
            assert!(!got.binary);
        }
    }

    #[test]
    fn columns_of_any_length_are_summed_completely() {
        for n in [1, 2, 15, 16, 17, 1000, CHUNK + 3] {
            let x: Vec<f32> = (0..n).map(|i| (i % 5) as f32 - 2.5).collect();
            let got = finite(&x);
            let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
            let squares: f64 = x.iter().map(|&v| (f64::from(v) - mean) * (f64::from(v) - mean)).sum();
            assert!((got.mean - mean).abs() < 1e-12 && (got.squares - squares).abs() <= 1e-9 * squares);
            assert_eq!((got.min, got.max), (-2.5, if n < 5 { n as f64 - 3.5 } else { 1.5 }));
        }
    }

    #[test]
    fn a_binary_column_is_recognised() {
        let got = finite(&[1.0f64, 0.0, 1.0, -0.0, 1.0]);
        assert!(got.binary && got.ones == 3 && got.mean == 0.6);
        assert!((got.squares - 1.2).abs() < 1e-15);
        assert!(!finite(&[1.0f32, 0.0, 2.0]).binary);
    }

    #[test]
    fn equal_values_have_a_sum_of_squares_of_exactly_zero() {
        let got = finite(&[0.1f64; 1003]);
        assert_eq!((got.mean, got.squares), (0.1, 0.0));
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_found() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in [0, 7, CHUNK, CHUNK + 20] {
                let mut x = vec![0.5; CHUNK + 21];
                x[at] = bad;
                x[CHUNK + 20] = bad;
                assert_eq!(moments(&x, &mut |_| true), Ok(Column::Bad(at)));
            }
        }
    }

    #[test]
    fn an_overflowing_sum_is_not_called_bad() {
        assert!(!finite(&[1e308, 1e308, 0.5]).mean.is_finite());
    }
}
