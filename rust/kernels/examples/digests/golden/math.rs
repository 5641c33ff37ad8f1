//! Elementary and special functions.

use super::inputs::{Draw, tame, wild};
use super::{Entry, Run, entry};
use steelyard_kernels::math::{self, Exp, Exp32, Expm1, Function, Log, Log1p};

pub const TABLE: &[Entry] = &[
    entry("math.exp", "float32", |n| map32(n, || Exp32)),
    entry("math.exp", "float64", |n| map64(n, || Exp)),
    entry("math.expm1", "float64", |n| map64(n, || Expm1)),
    entry("math.log", "float64", |n| map64(n, || Log)),
    entry("math.log1p", "float64", |n| map64(n, || Log1p)),
];

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
