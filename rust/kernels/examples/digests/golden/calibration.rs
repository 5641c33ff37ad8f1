//! Reliability states.

use super::inputs::{Digest, Draw, given, unit, words};
use super::{Entry, Run, entry};
use steelyard_kernels::calibration::{
    BinTotals, Clusters, Labels, Options, Probability, Scores, Source, TopLabels, summarise, tally,
    tally_clusters, tally_weighted,
};
use steelyard_kernels::clusters::Names;
use steelyard_kernels::intervals::{Alternative, Confidence};
use steelyard_kernels::rows::Table;
use steelyard_kernels::simd::{Bf16, F16};
use steelyard_kernels::state::State as _;

pub const TABLE: &[Entry] = &[
    entry("calibration.scores", "float32", scores::<f32>),
    entry("calibration.scores", "float64", scores::<f64>),
    entry("calibration.scores", "bfloat16", scores::<Bf16>),
    entry("calibration.scores", "float16", scores::<F16>),
    entry("calibration.clusters", "float32", clusters::<f32>),
    entry("calibration.clusters", "float64", clusters::<f64>),
    entry("calibration.clusters", "bfloat16", clusters::<Bf16>),
    entry("calibration.clusters", "float16", clusters::<F16>),
    entry("calibration.weighted_clusters", "float32", weighted_clusters::<f32>),
    entry("calibration.weighted_clusters", "bfloat16", weighted_clusters::<Bf16>),
    entry("calibration.weighted_rows", "float64", weighted_rows::<f64>),
    entry("calibration.weighted_rows", "float16", weighted_rows::<F16>),
    entry("calibration.top_labels", "float32", top_labels::<f32>),
    entry("calibration.top_labels", "float64", top_labels::<f64>),
    entry("calibration.top_labels", "bfloat16", top_labels::<Bf16>),
    entry("calibration.top_labels", "float16", top_labels::<F16>),
];

fn feed<S: Source>(source: &S, n_bins: usize, digest: &mut Digest) {
    let options = Options { n_bins, omit_nan: false };
    let tally = given(given(tally(source, options, &mut |_| true)));
    for bin in tally.bins {
        digest.word(bin.count);
        digest.word(bin.correct);
        digest.wide(bin.sum);
    }
    digest.word(tally.left_out.excluded);
}

fn scores<T: Draw + Probability>(n: usize) -> Run {
    let probs: Vec<T> = unit(n, 20);
    let labels: Vec<u8> = words(n, 21).map(|word| (word >> 63) as u8).collect();
    let keep: Vec<u8> = words(n, 22).map(|word| u8::from(word >> 61 != 0)).collect();
    Box::new(move |digest| {
        for n_bins in [10, 15, 2000] {
            let source = Scores { probs: &probs, labels: Labels::U8(&labels), keep: Some(&keep) };
            feed(&source, n_bins, digest);
        }
    })
}

/// Rows in clusters: the bytes and the summary of their state.
fn clusters<T: Draw + Probability>(n: usize) -> Run {
    let probs: Vec<T> = unit(n, 25);
    let labels: Vec<u8> = words(n, 26).map(|word| (word >> 63) as u8).collect();
    let names: Vec<i64> = (0..n as i64 / 20 + 2).collect();
    let codes: Vec<i64> = words(n, 27).map(|word| (word >> 20) as i64 % names.len() as i64).collect();
    Box::new(move |digest| {
        let source = Scores { probs: &probs, labels: Labels::U8(&labels), keep: None };
        let clusters = Clusters { codes: &codes, names: Names::Numbers(&names), weights: None };
        let options = Options { n_bins: 15, omit_nan: false };
        add_state(&given(given(tally_clusters(&source, options, clusters, &mut |_| true))), digest);
    })
}

/// Rows with weights from 1/64 to 16, in clusters: the bytes and the summary of their state.
fn weighted_clusters<T: Draw + Probability>(n: usize) -> Run {
    let probs: Vec<T> = unit(n, 28);
    let labels: Vec<u8> = words(n, 29).map(|word| (word >> 63) as u8).collect();
    let names: Vec<i64> = (0..n as i64 / 10 + 2).map(|code| code / 2).collect();
    let codes: Vec<i64> = words(n, 30).map(|word| (word >> 20) as i64 % names.len() as i64).collect();
    let weights: Vec<f64> = words(names.len(), 32).map(weight).collect();
    Box::new(move |digest| {
        let source = Scores { probs: &probs, labels: Labels::U8(&labels), keep: None };
        let clusters = Clusters { codes: &codes, names: Names::Numbers(&names), weights: Some(&weights) };
        let options = Options { n_bins: 15, omit_nan: false };
        add_state(&given(given(tally_clusters(&source, options, clusters, &mut |_| true))), digest);
    })
}

/// Rows with such weights, without clusters.
fn weighted_rows<T: Draw + Probability>(n: usize) -> Run {
    let probs: Vec<T> = unit(n, 28);
    let labels: Vec<u8> = words(n, 29).map(|word| (word >> 63) as u8).collect();
    let weights: Vec<f64> = words(n, 31).map(weight).collect();
    Box::new(move |digest| {
        let source = Scores { probs: &probs, labels: Labels::U8(&labels), keep: None };
        let options = Options { n_bins: 15, omit_nan: false };
        add_state(&given(given(tally_weighted(&source, options, &weights, &mut |_| true))), digest);
    })
}

fn weight(word: u64) -> f64 {
    (1 + (word >> 54)) as f64 / 64.0
}

/// Adds the bytes of a state, and its calibration errors with their limits.
fn add_state(state: &BinTotals, digest: &mut Digest) {
    let bytes = given(state.to_bytes(b"", &mut |_| true));
    digest.of("bytes").bytes(&given(bytes.ok_or("too many clusters for bytes")));
    let confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
    // A state without rows has no summary.
    if let Some(summary) = given(summarise(state, confidence, &mut |_| true)) {
        let errors =
            [("ece", summary.ece), ("rmsce", summary.rmsce), ("mce", summary.mce), ("gap", summary.gap)];
        for (name, limits) in errors {
            let error = limits.standard_error.unwrap_or(-1.0);
            digest.of(name).doubles(&[limits.value, error, limits.low, limits.high]);
        }
        digest.of("noise_floor").double(summary.noise_floor);
    }
}

/// Rows of four classes, whose probabilities are multiples of 1/128.
fn top_labels<T: Draw + Probability>(n: usize) -> Run {
    let rows = n / 4;
    let mut probs: Vec<T> = Vec::with_capacity(4 * rows);
    for word in words(rows, 23) {
        let mut left = 128;
        for part in 0..3 {
            let k = (word >> (16 * part)) % (left + 1);
            probs.push(T::part_of_128(k));
            left -= k;
        }
        probs.push(T::part_of_128(left));
    }
    let labels: Vec<i64> = words(rows, 24).map(|word| (word >> 62) as i64).collect();
    Box::new(move |digest| {
        let table = given(Table::new(&probs, 4).ok_or("rows of another length"));
        feed(&TopLabels::new(&table, Labels::I64(&labels), None), 15, digest);
    })
}
