//! Bootstrap replicates and their limits.

use super::inputs::{Draw, tame, ways};
use super::{Entry, Run, entry};
use steelyard_kernels::simd::{Bf16, F16};
use steelyard_kernels::uncertainty::{
    Method, limits, mean_acceleration, mean_replicates, ratio_acceleration, ratio_replicates,
};

pub const TABLE: &[Entry] = &[
    entry("uncertainty.mean", "float32", mean::<f32>),
    entry("uncertainty.mean", "float64", mean::<f64>),
    entry("uncertainty.mean", "bfloat16", mean::<Bf16>),
    entry("uncertainty.mean", "float16", mean::<F16>),
    entry("uncertainty.ratio", "float64", ratio),
    entry("uncertainty.limits", "float64", ends),
];

fn mean<T: Draw>(n: usize) -> Run {
    let x: Vec<T> = tame(n, 70);
    Box::new(move |digest| {
        if !x.is_empty() {
            digest
                .of("replicates")
                .doubles(&mean_replicates(&x, 0.5, u64::MAX, 9, &mut |_| true).unwrap_or_default());
            digest
                .of("acceleration")
                .double(mean_acceleration(&x, 0.25, 7.0, &mut |_| true).unwrap_or_default());
        }
    })
}

fn ratio(n: usize) -> Run {
    let sums: Vec<f64> = tame(n, 71);
    let rows: Vec<[f64; 2]> =
        sums.into_iter().enumerate().map(|(i, sum)| [sum, (i % 9 + 1) as f64]).collect();
    Box::new(move |digest| {
        if !rows.is_empty() {
            digest
                .of("replicates")
                .doubles(&ratio_replicates(&rows, 0.5, 3, 9, &mut |_| true).unwrap_or_default());
            digest
                .of("acceleration")
                .double(ratio_acceleration(&rows, 0.25, 7.0, &mut |_| true).unwrap_or_default());
        }
    })
}

const METHODS: [(&str, Method); 3] = [
    ("percentile", Method::Percentile),
    ("basic", Method::Basic),
    ("bca", Method::Bca { acceleration: 0.02, tie: 0.0 }),
];

fn ends(n: usize) -> Run {
    let replicates: Vec<f64> = tame(n, 72);
    Box::new(move |digest| {
        for (name, method) in METHODS {
            for (alternative, how) in ways() {
                let digest = digest.of(name).of(alternative);
                match limits(replicates.clone(), 0.125, method, how, &mut |_| true) {
                    Ok(Ok(found)) => {
                        let (low, high) = (found.low, found.high);
                        digest.doubles(&[low.value, low.error, high.value, high.error]);
                    }
                    _ => digest.word(1),
                }
            }
        }
    })
}
