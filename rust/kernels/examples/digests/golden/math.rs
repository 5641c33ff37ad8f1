//! Elementary and special functions.

use super::inputs::{Draw, tame, wild, words};
use super::{Entry, Run, entry};
use steelyard_kernels::math::{
    self, Bend, Exp, Exp32, Expm1, Function, Log, Log1p, beta, binomial, noncentral_t, normal, student_t,
};

pub const TABLE: &[Entry] = &[
    entry("math.exp", "float32", |n| map32(n, || Exp32)),
    entry("math.exp", "float64", |n| map64(n, || Exp)),
    entry("math.expm1", "float64", |n| map64(n, || Expm1)),
    entry("math.bend", "float64", |n| map64(n, || Bend)),
    entry("math.log", "float64", |n| map64(n, || Log)),
    entry("math.log1p", "float64", |n| map64(n, || Log1p)),
    scalars("math.special", special),
    scalars("math.normal", normal),
    scalars("math.student_t", student_t),
    scalars("math.noncentral_t", noncentral),
    scalars("math.beta", beta),
    scalars("math.binomial", binomial),
];

/// An entry of functions of single numbers. Nothing in them depends on a length, and each call takes microseconds, so
/// that shorter lengths suffice.
const fn scalars(name: &'static str, prepare: fn(usize) -> Run) -> Entry {
    Entry { name, dtype: "float64", lengths: [0, 1, 7, 16, 33, 100, 500], prepare }
}

/// Numbers of any bit pattern, and numbers of ordinary size.
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

/// Named functions of one tuple of arguments.
type Functions<A> = &'static [(&'static str, fn(&A) -> f64)];

/// Evaluates each function at `n` tuples of arguments, each of which `arguments` makes from three numbers in [0, 1) and
/// a word.
fn draws<A: 'static>(n: usize, arguments: fn([f64; 3], u64) -> A, functions: Functions<A>) -> Run {
    let words: Vec<u64> = words(4 * n, 12).collect();
    let units = |w: &[u64; 4]| [f64::unit(w[0]), f64::unit(w[1]), f64::unit(w[2])];
    let all: Vec<A> = words.as_chunks::<4>().0.iter().map(|w| arguments(units(w), w[3])).collect();
    Box::new(move |digest| {
        for (name, function) in functions {
            let digest = digest.of(name);
            for one in &all {
                digest.double(function(one));
            }
        }
    })
}

/// A probability in a tail, made from `u` in [0, 1): from 1/2 down to about 1e-256, and never 0.
fn tail(u: f64) -> f64 {
    math::powi(u + 1e-8, 32) * 0.5
}

fn special(n: usize) -> Run {
    let arguments = |[u, v, w]: [f64; 3], word: u64| {
        (100.0 * u, 30.0 * v - 3.0, 1e3 * u * u * u, (0.9 + 0.1 * w, word % 100_000))
    };
    draws(
        n,
        arguments,
        &[
            ("cos", |&(x, ..)| math::cos(x)),
            ("erfc", |&(_, tail, ..)| math::erfc(tail)),
            ("lgamma", |&(_, _, gamma, _)| math::lgamma(gamma)),
            ("powi", |&(.., (base, power))| math::powi(base, power)),
        ],
    )
}

fn normal(n: usize) -> Run {
    draws::<(f64, f64, f64)>(
        n,
        |[u, v, _], _| (76.0 * u - 38.0, v, tail(v)),
        &[
            ("pdf", |&(x, ..)| normal::pdf(x)),
            ("cdf", |&(x, ..)| normal::cdf(x)),
            ("sf", |&(x, ..)| normal::sf(x)),
            ("quantile", |&(_, p, _)| normal::quantile(p)),
            ("quantile_of_small", |&(.., small)| normal::quantile(small)),
        ],
    )
}

fn student_t(n: usize) -> Run {
    let arguments = |[u, v, w]: [f64; 3], word: u64| {
        let df = if word.is_multiple_of(5) { 1e10 * w } else { 0.5 + 100.0 * w };
        ((u - 0.5) / (1.001 - u), df, tail(v))
    };
    draws(
        n,
        arguments,
        &[
            ("cdf", |&(t, df, _)| student_t::cdf(t, df)),
            ("sf", |&(t, df, _)| student_t::sf(t, df)),
            ("quantile", |&(_, df, p)| student_t::quantile(p, df)),
        ],
    )
}

fn noncentral(n: usize) -> Run {
    let arguments = |[u, v, w]: [f64; 3], word: u64| {
        let df = if word.is_multiple_of(5) { 1e9 * w } else { 1.0 + 100.0 * w };
        (20.0 * u - 4.0, df, 16.0 * v - 4.0)
    };
    draws(n, arguments, &[("sf", |&(t, df, delta)| noncentral_t::sf(t, df, delta))])
}

fn beta(n: usize) -> Run {
    let arguments = |[u, v, w]: [f64; 3], word: u64| {
        let b = if word.is_multiple_of(5) { 1e6 * v } else { 0.5 + 30.0 * v };
        (0.5 + 1000.0 * u * u * u, b, w, tail(w))
    };
    draws(
        n,
        arguments,
        &[
            ("cdf", |&(a, b, x, _)| beta::cdf(a, b, x)),
            ("sf", |&(a, b, x, _)| beta::sf(a, b, x)),
            ("quantile", |&(a, b, _, p)| beta::quantile(a, b, p)),
            ("isf", |&(a, b, _, p)| beta::isf(a, b, p)),
        ],
    )
}

fn binomial(n: usize) -> Run {
    let arguments = |[u, v, _]: [f64; 3], word: u64| {
        let n = word % 10_000;
        ((u * n as f64) as u64, n, if word.is_multiple_of(3) { 0.5 } else { v })
    };
    draws(
        n,
        arguments,
        &[
            ("pmf", |&(k, n, p)| binomial::pmf(k, n, p)),
            ("cdf", |&(k, n, p)| binomial::cdf(k, n, p)),
            ("sf", |&(k, n, p)| binomial::sf(k, n, p)),
        ],
    )
}
