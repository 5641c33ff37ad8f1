//! Symmetric matrices by the rows of their upper triangle, in an order of operations that data do not change.
//!
//! Rows begin [`padded`] places apart. What stands below the diagonal is never read, and may be anything finite.

use crate::simd::tree64;

/// Places that are computed side by side.
pub const LANES: usize = 8;

/// The distance of the rows of a matrix of `n` columns: whole lanes, with one column to spare.
pub fn padded(n: usize) -> usize {
    (n + 1).next_multiple_of(LANES)
}

/// Replaces a positive definite matrix of `n` rows by the upper triangle U of `U' U`; false where it is not.
#[inline(always)]
pub fn factor(h: &mut [f64], n: usize, stride: usize) -> bool {
    for k in 0..n {
        let (above, below) = h.split_at_mut((k + 1) * stride);
        let row = &mut above[k * stride..];
        let pivot = row[k];
        if !(pivot > 0.0 && pivot < f64::INFINITY) {
            return false;
        }
        let inverse = 1.0 / pivot.sqrt();
        for value in row[k / LANES * LANES..].as_chunks_mut::<LANES>().0 {
            for lane in 0..LANES {
                value[lane] *= inverse;
            }
        }
        for i in k + 1..n {
            let (factor, from) = (row[i], i / LANES * LANES);
            let start = (i - k - 1) * stride;
            let to = below[start + from..start + stride].as_chunks_mut::<LANES>().0;
            for (to, from) in to.iter_mut().zip(row[from..].as_chunks::<LANES>().0) {
                for lane in 0..LANES {
                    to[lane] -= factor * from[lane];
                }
            }
        }
    }
    true
}

/// Replaces the right side `x`, in [`padded`] places, by the solution of `U' U x`; its places from `n` on become 0.
#[inline(always)]
pub fn solve(u: &[f64], n: usize, stride: usize, x: &mut [f64]) {
    for k in 0..n {
        let row = &u[k * stride..(k + 1) * stride];
        let value = x[k] / row[k];
        x[k] = value;
        let edge = (k + 1).next_multiple_of(LANES);
        for j in k + 1..edge {
            x[j] -= value * row[j];
        }
        let to = x[edge..stride].as_chunks_mut::<LANES>().0;
        for (to, row) in to.iter_mut().zip(row[edge..].as_chunks::<LANES>().0) {
            for lane in 0..LANES {
                to[lane] -= value * row[lane];
            }
        }
    }
    x[n..stride].fill(0.0);
    for k in (0..n).rev() {
        let row = &u[k * stride..(k + 1) * stride];
        let edge = (k + 1).next_multiple_of(LANES);
        let mut sums = [0.0; LANES];
        for (x, row) in x[edge..stride].as_chunks::<LANES>().0.iter().zip(row[edge..].as_chunks::<LANES>().0)
        {
            for lane in 0..LANES {
                sums[lane] += x[lane] * row[lane];
            }
        }
        let mut sum = tree64(sums);
        for j in k + 1..edge {
            sum += x[j] * row[j];
        }
        x[k] = (x[k] - sum) / row[k];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solution_solves() {
        for n in 1..30 {
            let stride = padded(n);
            let mut h = vec![7.0; n * stride];
            for i in 0..n {
                for j in i..n {
                    h[i * stride + j] =
                        if i == j { 3.0 + n as f64 } else { ((i * 7 + j * 3) % 5) as f64 / 5.0 };
                }
            }
            let full = h.clone();
            let entry = |i: usize, j: usize| full[i.min(j) * stride + i.max(j)];
            let mut x: Vec<f64> =
                (0..stride).map(|i| if i < n { (i as f64 - 3.5) * 1.25 } else { 0.0 }).collect();
            let right = x.clone();
            assert!(factor(&mut h, n, stride));
            solve(&h, n, stride, &mut x);
            for i in 0..n {
                let got: f64 = (0..n).map(|j| entry(i, j) * x[j]).sum();
                assert!((got - right[i]).abs() < 1e-12 * n as f64, "{n}: {got} and not {}", right[i]);
            }
        }
        let mut flat = vec![1.0; 2 * 8];
        assert!(!factor(&mut flat, 2, 8));
    }
}
