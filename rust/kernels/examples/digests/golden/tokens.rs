//! Token scores and perplexity.

use super::inputs::{Draw, given, tame, words};
use super::{Entry, Run, entry};
use steelyard_kernels::clusters::Names;
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::intervals::{Alternative, Confidence};
use steelyard_kernels::named::Named;
use steelyard_kernels::rows::{Rows, Source, Table};
use steelyard_kernels::simd::{self, Bf16, F16};
use steelyard_kernels::state::State;
use steelyard_kernels::tokens::{
    Asked, Batch, CodedRows, Column, Exponential, Logit, Loss, Models, PairColumn, Per, Placed, Sketch,
    Sketched, Targets, Totals, Transform, Transformed, Unit, coded_length, encode_rows, join_shards,
    pair_scores, products, sketch_kl, stratified_perplexity, sum_batch, token_gradients, token_scores,
    token_scores_from_hidden, token_shard, token_sketch,
};

pub const TABLE: &[Entry] = &[
    entry("tokens.token_scores", "float32", scores::<f32>),
    entry("tokens.token_scores", "float64", scores::<f64>),
    entry("tokens.token_scores", "bfloat16", scores::<Bf16>),
    entry("tokens.token_scores", "float16", scores::<F16>),
    entry("tokens.shards", "float32", shards::<f32>),
    entry("tokens.shards", "float64", shards::<f64>),
    entry("tokens.shards", "bfloat16", shards::<Bf16>),
    entry("tokens.transformed", "float32", transformed::<f32, f32>),
    entry("tokens.transformed", "float64", transformed::<f64, f64>),
    entry("tokens.gradients", "float32", gradients::<f32>),
    entry("tokens.gradients", "float64", gradients::<f64>),
    entry("tokens.gradients", "bfloat16", gradients::<Bf16>),
    entry("tokens.gradients", "float16", gradients::<F16>),
    entry("tokens.hidden", "float32", hidden::<f32, f32>),
    entry("tokens.hidden", "float64", hidden::<f64, f64>),
    entry("tokens.hidden", "bfloat16", hidden::<Bf16, f32>),
    entry("tokens.row_products", "float32", row_products::<f32, f32>),
    entry("tokens.row_products", "float64", row_products::<f64, f64>),
    entry("tokens.row_products", "bfloat16", row_products::<Bf16, f32>),
    entry("tokens.pair_scores", "float32", pairs::<f32>),
    entry("tokens.pair_scores", "float64", pairs::<f64>),
    entry("tokens.pair_scores", "bfloat16", pairs::<Bf16>),
    entry("tokens.coded_rows", "float32", coded::<f32>),
    entry("tokens.coded_rows", "bfloat16", coded::<Bf16>),
    entry("tokens.sketch", "float32", sketch::<f32>),
    entry("tokens.sketch", "float64", sketch::<f64>),
    entry("tokens.sketch", "bfloat16", sketch::<Bf16>),
    entry("tokens.perplexity", "float64", perplexity),
    entry("tokens.perplexity_strata", "float64", strata),
];

const WIDEST: usize = 4097;
const IGNORE: i64 = -100;

/// One row of `n` logits, or as many rows of 4097 as there are in `n`; every ninth target is ignored.
fn scores<T: Draw + Logit>(n: usize) -> Run {
    let width = n.clamp(1, WIDEST);
    let logits: Vec<T> = tame(n / width * width, 30);
    let target = |(row, word): (usize, u64)| if row % 9 == 8 { IGNORE } else { (word % width as u64) as i64 };
    let targets: Vec<i64> = words(n / width, 31).enumerate().map(target).collect();
    Box::new(move |digest| {
        let table = given(Table::new(&logits, width).ok_or("rows of no class"));
        let source = Source::Lent(&table);
        let targets = Targets { ignore: Some(IGNORE), ..Targets::new(&targets) };
        let asked = Asked { columns: Column::ALL, label_smoothing: 0.125 };
        let scores = given(given(token_scores(source, targets, asked, &mut |_| true)));
        for &column in Column::ALL {
            digest.of(column.name()).doubles(&scores[column]);
        }
        let counted = digest.of("counted");
        for one in scores.counted {
            counted.word(one.into());
        }
    })
}

/// The rows of `scores`, whose classes lie in two shards.
fn shards<T: Draw + Logit>(n: usize) -> Run {
    let width = n.clamp(2, WIDEST);
    let (rows, cut) = (n / width, width / 3 + 1);
    let parts: [Vec<T>; 2] = [tame(rows * cut, 52), tame(rows * (width - cut), 53)];
    let targets: Vec<i64> = words(rows, 54).map(|word| (word % width as u64) as i64).collect();
    Box::new(move |digest| {
        let columns =
            [Column::Nll, Column::LogZ, Column::Top, Column::Margin, Column::Varentropy, Column::MeanLogit];
        let asked = Asked { columns: &columns, label_smoothing: 0.0 };
        let mut logits = vec![0.0; rows];
        let shards = [0, cut].map(|start| {
            let (part, end) = if start == 0 { (&parts[0], cut) } else { (&parts[1], width) };
            let own = |class: i64| (start as i64..end as i64).contains(&class);
            let local: Vec<i64> =
                targets.iter().map(|&class| if own(class) { class - start as i64 } else { 0 }).collect();
            let table = given(Table::new(part, end - start).ok_or("rows of no class"));
            let read = token_shard(Source::Lent(&table), Targets::new(&local), asked, &mut |_| true);
            let shard = given(given(read));
            for (i, &class) in targets.iter().enumerate() {
                if own(class) {
                    logits[i] = shard.logits[i];
                }
            }
            shard.rows
        });
        let placed = [Placed { start: 0, rows: &shards[0] }, Placed { start: cut, rows: &shards[1] }];
        let joined = join_shards(&placed, &logits, width, Targets::new(&targets), asked, &mut |_| true);
        let scores = given(given(joined));
        for column in columns {
            digest.of(column.name()).doubles(&scores[column]);
        }
    })
}

/// Logits with a bias that are scaled, capped and divided by a temperature while they are read.
fn transformed<T: Draw + Logit, R: Exponential + Logit>(n: usize) -> Run {
    let width = n.clamp(1, WIDEST);
    let logits: Vec<T> = tame(n / width * width, 39);
    let bias: Vec<f64> = tame(width, 40);
    let targets: Vec<i64> = words(n / width, 41).map(|word| (word % width as u64) as i64).collect();
    Box::new(move |digest| {
        let table = given(Table::new(&logits, width).ok_or("rows of no class"));
        let transform =
            Transform { bias: Some(&bias), scale: Some(1.3), softcap: Some(5.5), temperature: Some(0.7) };
        let rows = given(Transformed::<T, R>::new(&table, transform));
        let asked = Asked::from(&[Column::Nll, Column::LogZ][..]);
        let scores =
            given(given(token_scores(Source::Made(&rows), Targets::new(&targets), asked, &mut |_| true)));
        for &column in asked.columns {
            digest.of(column.name()).doubles(&scores[column]);
        }
    })
}

/// The gradient of rows of `n` logits with all options.
fn gradients<T: Draw + Logit>(n: usize) -> Run {
    let width = n.clamp(1, WIDEST);
    let logits: Vec<T> = tame(n / width * width, 46);
    let targets: Vec<i64> = words(n / width, 47).map(|word| (word % width as u64) as i64).collect();
    let factors: Vec<f64> = tame(n / width, 48);
    Box::new(move |digest| {
        let table = given(Table::new(&logits, width).ok_or("rows of no class"));
        let transform = Transform { softcap: Some(5.5), ..Transform::default() };
        let loss = Loss { transform, label_smoothing: 0.125, z_loss: 0.01, shard: None };
        let log_z = vec![7.0; n / width];
        let mut gradient = vec![T::default(); logits.len()];
        let targets = Targets::new(&targets);
        given(given(token_gradients(&table, targets, loss, &log_z, &factors, &mut gradient, &mut |_| true)));
        for x in gradient {
            digest.double(simd::standard(|| x.to_f64()));
        }
    })
}

/// As many hidden states of 4 to 600 elements as there are in `n`, and the weights of 45 classes.
fn hidden<T: Draw + Logit, R: Exponential + Logit<Real = R>>(n: usize) -> Run {
    let length = (n / 9).clamp(4, 600);
    let states: Vec<T> = tame(n / length * length, 43);
    let weight: Vec<T> = tame(45 * length, 44);
    let scale = 1.0 / length as f64;
    let targets: Vec<i64> = words(n / length, 45).map(|word| (word % 45) as i64).collect();
    Box::new(move |digest| {
        let [x, w] = [&states, &weight].map(|rows| given(Table::new(rows, length).ok_or("rows of nothing")));
        let transform = Transform { scale: Some(scale), ..Transform::default() };
        let asked = Asked::from(&[Column::Nll, Column::LogZ, Column::Entropy][..]);
        let targets = Targets::new(&targets);
        let scored = token_scores_from_hidden::<T, T, R>(&x, &w, transform, targets, asked, &mut |_| true);
        let scores = given(given(scored));
        for &column in asked.columns {
            digest.of(column.name()).doubles(&scores[column]);
        }
    })
}

/// The products of the same arrays.
fn row_products<T: Draw + Logit, R: Exponential + Logit<Real = R>>(n: usize) -> Run {
    let length = (n / 9).clamp(4, 600);
    let states: Vec<T> = tame(n / length * length, 43);
    let weight: Vec<T> = tame(45 * length, 44);
    Box::new(move |digest| {
        let [x, w] = [&states, &weight].map(|rows| given(Table::new(rows, length).ok_or("rows of nothing")));
        let mut to = vec![R::default(); x.count() * w.count()];
        given(products::<T, T, R>(&x, &w, &mut to, &mut |_| true));
        for x in to {
            digest.double(simd::standard(|| x.to_f64()));
        }
    })
}

/// Two models' logits for the same rows.
fn pairs<T: Draw + Logit>(n: usize) -> Run {
    let width = n.clamp(1, WIDEST);
    let [new, base]: [Vec<T>; 2] = [36, 37].map(|stream| tame(n / width * width, stream));
    let targets: Vec<i64> = words(n / width, 38).map(|word| (word % width as u64) as i64).collect();
    Box::new(move |digest| {
        let [a, b] = [&new, &base].map(|rows| given(Table::new(rows, width).ok_or("rows of no class")));
        let models = Models { new: Source::Lent(&a), base: Source::Lent(&b) };
        let asked = Asked::from(&[Column::Nll][..]);
        let targets = Targets::new(&targets);
        let scores = given(pair_scores(models, targets, asked, PairColumn::ALL, &mut |_| true));
        let scores = given(scores.map_err(|refusal| refusal.reason));
        for &column in PairColumn::ALL {
            digest.of(column.name()).doubles(&scores[column]);
        }
    })
}

/// Logits in 16 bits, and other logits compared with them.
fn coded<T: Draw + Logit>(n: usize) -> Run {
    let width = n.clamp(1, WIDEST);
    let logits: Vec<T> = tame(n / width * width, 42);
    let new: Vec<f32> = tame(n / width * width, 43);
    let targets: Vec<i64> = words(n / width, 44).map(|word| (word % width as u64) as i64).collect();
    Box::new(move |digest| {
        let table = given(Table::new(&logits, width).ok_or("rows of no class"));
        let mut codes = vec![0; targets.len() * coded_length(width)];
        given(given(encode_rows(Source::Lent(&table), &mut codes, &mut |_| true)));
        let of_codes = digest.of("codes");
        for &code in &codes {
            of_codes.word(code.into());
        }
        let base = given(CodedRows::new(&codes, width).ok_or("codes of no class"));
        let new = given(Table::new(&new, width).ok_or("rows of no class"));
        let models = Models { new: Source::Lent(&new), base: Source::Made(&base) };
        let pairs = [PairColumn::Kl, PairColumn::KlLlamaCpp];
        let asked = Asked::from(&[Column::Nll][..]);
        let scores = given(pair_scores(models, Targets::new(&targets), asked, &pairs, &mut |_| true));
        let scores = given(scores.map_err(|refusal| refusal.reason));
        for column in pairs {
            digest.of(column.name()).doubles(&scores[column]);
        }
        digest.of("nll").doubles(&scores.base[Column::Nll]);
    })
}

/// Sketches of one model's logits, and the bounds of another's against them.
fn sketch<T: Draw + Logit>(n: usize) -> Run {
    let width = n.clamp(1, WIDEST);
    let k = width.min(33);
    let [new, base]: [Vec<T>; 2] = [46, 47].map(|stream| tame(n / width * width, stream));
    Box::new(move |digest| {
        let [a, b] = [&new, &base].map(|rows| given(Table::new(rows, width).ok_or("rows of no class")));
        let Sketch { ids, logits, log_z, tail, entropy } =
            given(given(token_sketch(&b, k, None, &mut |_| true)));
        let of = Sketched { k, ids: &ids, logits: &logits, log_z: &log_z, tail: &tail };
        let kl = given(given(sketch_kl(&a, of, &mut |_| true)));
        let classes = digest.of("ids");
        for &id in &ids {
            classes.word(id as u64);
        }
        for (name, values) in [("logits", logits), ("tail", tail), ("entropy", entropy), ("kl", kl)] {
            digest.of(name).doubles(&values);
        }
    })
}

/// The bytes and the results of a state with the NLL of tokens in about `n / 9` documents, divided by units other than
/// tokens.
fn perplexity(n: usize) -> Run {
    let nll: Vec<f64> = tame::<f64>(n, 32).into_iter().map(f64::abs).collect();
    let per: Vec<f64> = words(n, 33).map(|word| (word % 7) as f64 + 0.25).collect();
    let clusters = n / 9 + 2;
    let codes: Vec<i64> = words(n, 34).map(|word| (word % clusters as u64) as i64).collect();
    let names: Vec<i64> = (0..clusters as i64).rev().collect();
    Box::new(move |digest| {
        let batch = Batch {
            nll: &nll,
            status: None,
            length: 1,
            codes: Per::Token(&codes),
            clusters,
            per: Per::Token(&per),
            omit_nan: false,
        };
        let mut go = |_| true;
        let summed = given(given(sum_batch(&batch, &mut go)));
        let totals = given(given(Totals::new().with(&summed, Names::Numbers(&names), &mut go)));
        digest.word(1); // a batch that was added
        let bytes = given(totals.to_bytes(b"", &mut go));
        digest.of("bytes").bytes(&given(bytes.ok_or("too many clusters for bytes")));
        let confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
        for &unit in Unit::ALL {
            // Without tokens there is no perplexity.
            if let Some(all) = given(totals.perplexity(unit, confidence, &mut go)) {
                let (low, high) = (all.interval.low, all.interval.high);
                digest.of(unit.name()).doubles(&[all.value, all.standard_error, low, high, all.df]);
            }
        }
    })
}

/// The perplexity of three strata with tokens in about `n / 27` documents each.
fn strata(n: usize) -> Run {
    let states: Vec<Totals> = (35..38)
        .map(|stream| {
            let nll: Vec<f64> = tame::<f64>(n / 3 + 4, stream).into_iter().map(f64::abs).collect();
            let codes: Vec<i64> = (0..nll.len()).map(|i| (i % (nll.len() / 9 + 2)) as i64).collect();
            let batch = Batch {
                nll: &nll,
                status: None,
                length: 1,
                codes: Per::Token(&codes),
                clusters: nll.len() / 9 + 2,
                per: Per::Nothing,
                omit_nan: false,
            };
            let mut go = |_| true;
            let summed = given(given(sum_batch(&batch, &mut go)));
            given(given(Totals::new().with(&summed, Names::None, &mut go)))
        })
        .collect();
    Box::new(move |digest| {
        let confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
        let states: Vec<&Totals> = states.iter().collect();
        for &average in Average::ALL {
            let found = stratified_perplexity(&states, average, Unit::Perplexity, confidence, &mut |_| true);
            let all = given(given(found).ok_or("strata without tokens"));
            let (low, high) = (all.interval.low, all.interval.high);
            digest.of(average.name()).doubles(&[all.value, all.standard_error, low, high, all.df]);
        }
    })
}
