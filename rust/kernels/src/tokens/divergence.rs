//! How far two distributions lie apart, from the logits of both: sums whose terms are never negative.
//!
//! For a class with probabilities p (new) and q (base), let t = -|log p - log q| and w the larger of both, so that the
//! smaller is w exp(t). Since the probabilities sum to 1,
//! KL(q, p) = sum q (log q - log p) = sum (q (log q - log p) - q + p),
//! whose terms are w (exp(t) - 1 - t) where q is the larger, and w (1 - exp(t) + t exp(t)) where p is. None is negative,
//! all are exactly 0 for equal rows, and an error of log S enters only by its square (in the total variation as it is).
//! The sum of q (log q - log p) itself has terms of both signs, which cancel, and may end below 0.

use super::fold::BLOCK;
use super::terms::{Exponential, GROUPS, LANES, Lanes, Logit, STEPS, Totals};
use crate::simd::Isa;

/// llama.cpp leaves out classes whose stored log-probability is not above this.
const LEAST_STORED: f64 = -16.0;

/// What is subtracted from the logits of a row to get log-probabilities.
#[derive(Clone, Copy, Debug, Default)]
pub struct Normaliser {
    /// M, the largest logit.
    pub max: f64,
    /// log S. Their sum, log Z, would lose the digits of log S where M is large.
    pub log_sum: f64,
}

/// The sums over a pair of rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Divergence {
    /// KL of the new row from the base, sum q log(q / p).
    pub kl: f64,
    /// KL of the base row from the new, sum p log(p / q).
    pub kl_reverse: f64,
    /// Total variation, sum |p - q| / 2.
    pub tv: f64,
    /// Jensen and Shannon's, the mean of the KL of both from their mean; 0 where it was not asked for.
    pub js: f64,
    /// What llama.cpp adds up, see [`AsStored`]; 0 where it was not asked for.
    pub as_stored: f64,
}

/// Which sums are computed; the others are 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Both KL divergences and the total variation.
    pub divergences: bool,
    /// Jensen and Shannon's, with which the divergences are computed too.
    pub js: bool,
    /// What llama.cpp adds up.
    pub as_stored: bool,
}

/// The rows of two models that are compared, block by block.
#[derive(Clone, Copy)]
pub struct Compared {
    of: [Normaliser; 2],
    sums: [f64; 4],
    as_stored: f64,
}

impl Compared {
    /// Before anything was compared: of the new row and of the base row.
    #[inline(always)]
    pub fn new(of: [Normaliser; 2]) -> Self {
        Compared { of, sums: [0.0; 4], as_stored: 0.0 }
    }

    /// Adds a block of both rows.
    #[inline(always)]
    pub fn block<I: Isa, T: Logit>(&mut self, new: &[T], base: &[T], wanted: Wanted) {
        debug_assert!(new.len() == base.len() && new.len() <= BLOCK);
        if wanted.as_stored {
            let [sum] = sums_of_pairs::<I, T, AsStored, 1>(new, base, self.of);
            self.as_stored += sum;
        }
        if wanted.js {
            let sums = sums_of_pairs::<I, T, WithJs, 4>(new, base, self.of);
            for k in 0..4 {
                self.sums[k] += sums[k];
            }
        } else if wanted.divergences {
            let sums = sums_of_pairs::<I, T, WithoutJs, 3>(new, base, self.of);
            for k in 0..3 {
                self.sums[k] += sums[k];
            }
        }
    }

    /// The sums of the whole rows.
    #[inline(always)]
    pub fn finish(&self) -> Divergence {
        let [kl, kl_reverse, absolute, js] = self.sums;
        Divergence {
            kl,
            kl_reverse,
            tv: at_most(0.5 * absolute, 1.0),
            js: at_most(js, std::f64::consts::LN_2),
            as_stored: self.as_stored,
        }
    }
}

/// A sum of rounded terms may end above the largest value.
#[inline(always)]
fn at_most(x: f64, limit: f64) -> f64 {
    if x > limit { limit } else { x }
}

/// What two probabilities of a class contribute.
struct Pair<R> {
    kl: R,
    kl_reverse: R,
    /// |p - q|.
    absolute: R,
    /// The larger of both.
    larger: R,
    /// -|log p - log q|, and its exponential.
    t: R,
    ratio: R,
}

/// Logits of any size lose nothing in f64 when M is subtracted, and the difference of the log-probabilities is rounded
/// once: relative to itself.
#[inline(always)]
fn pair<I: Isa, R: Exponential>(new: R, base: R, of: [Normaliser; 2]) -> Pair<R> {
    let (zero, one) = (R::default(), R::from_f64(1.0));
    let (new, base) = (new.to_f64() - of[0].max, base.to_f64() - of[1].max);
    let difference = R::from_f64((new - base) - (of[0].log_sum - of[1].log_sum));
    let base_larger = difference <= zero;
    let t = if base_larger { difference } else { -difference };
    let log_larger = if base_larger { base - of[1].log_sum } else { new - of[0].log_sum };
    let larger = R::exp::<I>(R::from_f64(log_larger));
    let near = if t < R::LEAST { R::LEAST } else { t };
    let (ratio, bend) = R::exp_and_bend::<I>(near);
    // Beyond the least argument the exponential is 0, and exp(t) - 1 - t goes on as a line, to infinity.
    let of_larger = bend + (near - t);
    // 1 - exp(t), and 1 - exp(t) + t exp(t), which near 0 is computed as t^2 - (1 - t) (exp(t) - 1 - t).
    let lost = if near < -one { one - ratio } else { -(bend + near) };
    let of_smaller = if near < -one {
        R::fma::<I>(near, ratio, lost)
    } else {
        R::fma::<I>(near, near, -(bend * (one - near)))
    };
    // Where both probabilities are 0, t may be anything, NaN included.
    let counts = larger > zero;
    let kl = if base_larger { of_larger } else { of_smaller };
    let kl_reverse = if base_larger { of_smaller } else { of_larger };
    Pair {
        kl: if counts { kl * larger } else { zero },
        kl_reverse: if counts { kl_reverse * larger } else { zero },
        absolute: if counts { lost * larger } else { zero },
        larger,
        t: near,
        ratio,
    }
}

/// The term q log(q / p) - q + p of a class with log-probabilities log p (new) and log q (base), neither above 0.
#[inline(always)]
pub fn kl_term<I: Isa>(new: f64, base: f64) -> f64 {
    pair::<I, f64>(new, base, [Normaliser::default(); 2]).kl
}

/// `K` sums over pairs of logits.
trait Pairs<const K: usize> {
    /// What the logits of a class add to each of them.
    fn terms<I: Isa, R: Exponential>(new: R, base: R, of: [Normaliser; 2]) -> [R; K];
}

struct WithoutJs;

impl Pairs<3> for WithoutJs {
    #[inline(always)]
    fn terms<I: Isa, R: Exponential>(new: R, base: R, of: [Normaliser; 2]) -> [R; 3] {
        let pair = pair::<I, R>(new, base, of);
        [pair.kl, pair.kl_reverse, pair.absolute]
    }
}

struct WithJs;

impl Pairs<4> for WithJs {
    #[inline(always)]
    fn terms<I: Isa, R: Exponential>(new: R, base: R, of: [Normaliser; 2]) -> [R; 4] {
        let pair = pair::<I, R>(new, base, of);
        [pair.kl, pair.kl_reverse, pair.absolute, jensen_shannon(&pair)]
    }
}

/// The term of a class: with m = (p + q) / 2 and s = |p - q| / (p + q), m ((1 + s) log(1 + s) + (1 - s) log(1 - s)) / 2.
///
/// In brackets it is s^2/2 + s^4/12 + ..., by which it is computed for small s; else log 2 - log(1 + e) + t e / (1 + e)
/// with e = exp(t), and log(1 + e) by the series of the inverse hyperbolic tangent of e / (2 + e).
#[inline(always)]
fn jensen_shannon<R: Exponential>(pair: &Pair<R>) -> R {
    let [one, two] = [1.0, 2.0].map(R::from_f64);
    let sum = one + pair.ratio;
    let s = (one - pair.ratio) / sum;
    let z = pair.ratio / (two + pair.ratio);
    let (square, z_square) = (s * s, z * z);
    let (mut series, mut tangent) = (R::default(), R::default());
    for &[of_series, of_tangent] in R::SERIES {
        series = series * square + of_series;
        tangent = tangent * z_square + of_tangent;
    }
    let far = (R::from_f64(std::f64::consts::LN_2) - two * z * tangent) + pair.t * (pair.ratio / sum);
    let bracket = if pair.t > R::from_f64(-0.5) { square * series } else { far };
    if pair.larger > R::default() { pair.larger * (sum / two) * bracket } else { R::default() }
}

/// The KL divergence that llama.cpp prints: with the numbers b of the base row taken as log-probabilities as they are,
/// the sum of exp(b) (b - log p) over the classes with b > -16. Since these probabilities need not sum to 1, terms of
/// both signs are left, and the sum may be below 0. Numbers above 0 count as 0.
///
/// Error in f32: 1e-6 of itself and 5e-6. The exponential and the product have an error of 2^-22 of the magnitudes of the
/// terms, which sum to at most the sum and 2; the differences one of 3 * 2^-24 times up to 16 nats, log S 1e-6.
struct AsStored;

impl Pairs<1> for AsStored {
    #[inline(always)]
    fn terms<I: Isa, R: Exponential>(new: R, base: R, [of, _]: [Normaliser; 2]) -> [R; 1] {
        let zero = R::default();
        let base = if base > zero { zero } else { base };
        // M is a logit, so that it is not rounded.
        let log_p = (new - R::from_f64(of.max)) - R::from_f64(of.log_sum);
        let term = R::exp::<I>(base) * (base - log_p);
        [if base > R::from_f64(LEAST_STORED) { term } else { zero }]
    }
}

/// The sums of `F` over a block of both rows, in the lanes and the order of `sums_of_terms`.
#[inline(always)]
fn sums_of_pairs<I: Isa, T: Logit, F: Pairs<K>, const K: usize>(
    new: &[T],
    base: &[T],
    of: [Normaliser; 2],
) -> [f64; K] {
    let ((body, tail), (other, other_tail)) = (new.as_chunks::<LANES>(), base.as_chunks::<LANES>());
    let ((groups, rest), (others, other_rest)) = (body.as_chunks::<STEPS>(), other.as_chunks::<STEPS>());
    let zeros = [[T::Real::default(); LANES]; K];
    let mut totals = Totals::<T::Real, K>::new();
    for (groups, others) in groups.chunks(GROUPS).zip(others.chunks(GROUPS)) {
        for (lanes, (group, others)) in totals.lanes.iter_mut().zip(groups.iter().zip(others)) {
            *lanes = zeros;
            for (chunk, other) in group.iter().zip(others) {
                *lanes = added::<I, T, F, K>(lanes, chunk, other, of);
            }
        }
        totals.add(groups.len());
    }
    let mut last = zeros;
    for (chunk, other) in rest.iter().zip(other_rest) {
        last = added::<I, T, F, K>(&last, chunk, other, of);
    }
    for i in 0..tail.len().min(other_tail.len()) {
        let terms = F::terms::<I, T::Real>(tail[i].real(), other_tail[i].real(), of);
        for k in 0..K {
            last[k][i] = last[k][i] + terms[k];
        }
    }
    totals.lanes[0] = last;
    totals.add(1);
    totals.finish()
}

/// The lanes with the terms of a chunk of both rows added.
#[inline(always)]
fn added<I: Isa, T: Logit, F: Pairs<K>, const K: usize>(
    lanes: &Lanes<T::Real, K>,
    new: &[T; LANES],
    base: &[T; LANES],
    of: [Normaliser; 2],
) -> Lanes<T::Real, K> {
    let mut next = [[T::Real::default(); LANES]; K];
    for i in 0..LANES {
        let terms = F::terms::<I, T::Real>(new[i].real(), base[i].real(), of);
        for k in 0..K {
            next[k][i] = lanes[k][i] + terms[k];
        }
    }
    next
}
