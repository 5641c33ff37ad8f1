//! Elementary and special functions.

use super::inputs::{Digest, Draw, tame, wild, words};
use super::{Entry, Run, entry};
use steelyard_kernels::math::{
    self, Exp, Exp32, Expm1, Function, Log, Log1p, beta, binomial, normal, student_t,
};

pub const TABLE: &[Entry] = &[
    entry("math.exp", "float32", |n| map32(n, || Exp32)),
    entry("math.exp", "float64", |n| map64(n, || Exp)),
    entry("math.expm1", "float64", |n| map64(n, || Expm1)),
    entry("math.log", "float64", |n| map64(n, || Log)),
    entry("math.log1p", "float64", |n| map64(n, || Log1p)),
    scalars("math.special", |n| draws(n, special)),
    scalars("math.normal", |n| draws(n, normal)),
    scalars("math.student_t", |n| draws(n, student_t)),
    scalars("math.beta", |n| draws(n, beta)),
    scalars("math.binomial", |n| draws(n, binomial)),
];

/// Functions of single numbers: nothing depends on a length, and each takes microseconds.
const fn scalars(name: &'static str, prepare: fn(usize) -> Run) -> Entry {
    Entry { name, dtype: "float64", lengths: [0, 1, 7, 16, 33, 100, 500], prepare }
}

/// Any bit pattern, and numbers of ordinary size.
fn inputs<T: Draw>(n: usize) -> Vec<T> {
    wild(n, 10).into_iter().chain(tame(n, 11)).collect()
}

fn map32<F: Function<f32> + 'static>(n: usize, function: fn() -> F) -> Run {
    let x: Vec<f32> = inputs(n);
    Box::new(move |digest| {
        let mut out = vec![0.0; x.len()];
        math::map(function(), &x, &mut out);
        for y in out {
            digest.single(y);
        }
    })
}

fn map64<F: Function<f64> + 'static>(n: usize, function: fn() -> F) -> Run {
    let x: Vec<f64> = inputs(n);
    Box::new(move |digest| {
        let mut out = vec![0.0; x.len()];
        math::map(function(), &x, &mut out);
        digest.doubles(&out);
    })
}

/// Feeds `f` of three numbers in [0, 1) and a word, `n` times.
fn draws(n: usize, f: fn(&mut Digest, [f64; 3], u64)) -> Run {
    let words: Vec<u64> = words(4 * n, 12).collect();
    Box::new(move |digest| {
        for w in words.as_chunks::<4>().0 {
            f(digest, [f64::unit(w[0]), f64::unit(w[1]), f64::unit(w[2])], w[3]);
        }
    })
}

/// `u` bent towards zero, down to about 1e-250 and never 0.
fn tail(u: f64) -> f64 {
    math::powi(u + 1e-8, 32) * 0.5
}

fn special(digest: &mut Digest, [u, v, w]: [f64; 3], word: u64) {
    let powi = math::powi(0.9 + 0.1 * w, word % 100_000);
    digest.doubles(&[math::cos(100.0 * u), math::erfc(30.0 * v - 3.0), math::lgamma(1e3 * u * u * u), powi]);
}

fn normal(digest: &mut Digest, [u, v, _]: [f64; 3], _: u64) {
    let x = 76.0 * u - 38.0;
    digest.doubles(&[
        normal::pdf(x),
        normal::cdf(x),
        normal::sf(x),
        normal::quantile(v),
        normal::quantile(tail(v)),
    ]);
}

fn student_t(digest: &mut Digest, [u, v, w]: [f64; 3], word: u64) {
    let df = if word.is_multiple_of(5) { 1e10 * w } else { 0.5 + 100.0 * w };
    let t = (u - 0.5) / (1.001 - u);
    digest.doubles(&[student_t::cdf(t, df), student_t::sf(t, df), student_t::quantile(tail(v), df)]);
}

fn beta(digest: &mut Digest, [u, v, w]: [f64; 3], word: u64) {
    let (a, b) = (0.5 + 1000.0 * u * u * u, if word.is_multiple_of(5) { 1e6 * v } else { 0.5 + 30.0 * v });
    digest.doubles(&[
        beta::cdf(a, b, w),
        beta::sf(a, b, w),
        beta::quantile(a, b, tail(w)),
        beta::isf(a, b, tail(w)),
    ]);
}

fn binomial(digest: &mut Digest, [u, v, _]: [f64; 3], word: u64) {
    let n = word % 10_000;
    let (k, p) = ((u * n as f64) as u64, if word.is_multiple_of(3) { 0.5 } else { v });
    digest.doubles(&[binomial::pmf(k, n, p), binomial::cdf(k, n, p), binomial::sf(k, n, p)]);
}
