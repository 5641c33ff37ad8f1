//! Token scores.

use super::inputs::{Draw, tame, words};
use super::{Entry, Run, entry};
use steelyard_kernels::rows::Table;
use steelyard_kernels::simd::{Bf16, F16};
use steelyard_kernels::tokens::{Logit, token_scores};

pub const TABLE: &[Entry] = &[
    entry("tokens.token_scores", "float32", scores::<f32>),
    entry("tokens.token_scores", "float64", scores::<f64>),
    entry("tokens.token_scores", "bfloat16", scores::<Bf16>),
    entry("tokens.token_scores", "float16", scores::<F16>),
];

const WIDEST: usize = 4097;
const IGNORE: i64 = -100;

/// One row of `n` logits, or as many of 4097 as `n` holds; every ninth target is ignored.
fn scores<T: Draw + Logit>(n: usize) -> Run {
    let width = n.clamp(1, WIDEST);
    let logits: Vec<T> = tame(n / width * width, 30);
    let target = |(row, word): (usize, u64)| if row % 9 == 8 { IGNORE } else { (word % width as u64) as i64 };
    let targets: Vec<i64> = words(n / width, 31).enumerate().map(target).collect();
    Box::new(move |digest| {
        let scores = Table::new(&logits, width)
            .and_then(|table| token_scores(&table, &targets, Some(IGNORE), &mut |_| true).ok())
            .and_then(Result::ok);
        match scores {
            Some(scores) => {
                digest.doubles(&scores.nll);
                digest.doubles(&scores.log_z);
                scores.counted.iter().for_each(|&counted| digest.word(counted.into()));
            }
            None => digest.word(u64::MAX),
        }
    })
}
