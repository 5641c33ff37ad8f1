//! Bootstrap replicates and their limits, ratios, and the state of a mean.

use super::inputs::{Digest, Draw, given, tame, unit, ways};
use super::{Entry, Run, entry};
use steelyard_kernels::clusters::Names;
use steelyard_kernels::grid::Pace;
use steelyard_kernels::intervals::{Alternative, Confidence};
use steelyard_kernels::named::Named;
use steelyard_kernels::simd::{Bf16, F16};
use steelyard_kernels::state::State;
use steelyard_kernels::uncertainty::comparison::Level;
use steelyard_kernels::uncertainty::designs::{
    Blocks, Crossed, Drawing, Kind, Nested, Sampling, Simple, Strata, block_length,
};
use steelyard_kernels::uncertainty::ideal::{self, Ideal, Plan as Parts, Question, Together};
use steelyard_kernels::uncertainty::max_t::{against_baseline, max_t};
use steelyard_kernels::uncertainty::mean_state::{MeanTotals, sum_values};
use steelyard_kernels::uncertainty::ordered::{
    OrderedEstimate, Quantile, Second, auc_estimate, ordered_bootstrap, quantile_estimate,
};
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::sequence::{self, SequenceTotals, on_unit};
use steelyard_kernels::uncertainty::shuffles::{Of, independence};
use steelyard_kernels::uncertainty::smooth::{self, Abc, Formula, Plan};
use steelyard_kernels::uncertainty::unpaired::{By, Sample, ScoresTest, compare as unpaired, permutation};
use steelyard_kernels::uncertainty::{
    Columns, Correction, Design, Level as Calibrated, Mean, Method, Name, NoEstimate, Options, Pairs,
    Quotient, Rows, Run as Replicates, Votes, acceleration, bandwidth, limits, majority_at,
    mean as mean_bootstrap, pass_at, ratio as estimated_ratio, ratio_bootstrap, replicates, smoothed,
};

pub const TABLE: &[Entry] = &[
    entry("uncertainty.mean", "float32", mean::<f32>),
    entry("uncertainty.mean", "float64", mean::<f64>),
    entry("uncertainty.mean", "bfloat16", mean::<Bf16>),
    entry("uncertainty.mean", "float16", mean::<F16>),
    entry("uncertainty.ratio", "float64", ratio),
    entry("uncertainty.mean_state", "float32", mean_state::<f32>),
    entry("uncertainty.mean_state", "float64", mean_state::<f64>),
    entry("uncertainty.mean_state", "bfloat16", mean_state::<Bf16>),
    entry("uncertainty.mean_state", "float16", mean_state::<F16>),
    // 128 products for each value, eight times.
    Entry { lengths: [0, 1, 7, 16, 33, 1000, 5003], ..entry("uncertainty.sequence", "float64", sequences) },
    entry("uncertainty.limits", "float64", ends),
    entry("uncertainty.statistic", "float64", statistics),
    // 100 for the inversion by many nodes, 20,011 for that by power sums.
    Entry { lengths: [0, 1, 5, 6, 8, 100, 20_011], ..entry("uncertainty.ideal", "float64", ideals) },
    entry("uncertainty.ordered", "float64", ordered),
    entry("uncertainty.designs", "float64", designs),
    entry("uncertainty.repeats", "uint64", repeats),
    entry("uncertainty.max_t", "float64", ranks),
    entry("uncertainty.max_t_baseline", "float64", against),
    Entry { lengths: [1, 2, 7, 8, 16, 33, 100], ..entry("uncertainty.independence", "float64", independent) },
    entry("uncertainty.unpaired", "float64", samples),
    Entry {
        lengths: [1, 2, 7, 16, 33, 60, 100],
        ..entry("uncertainty.scores_tests", "float64", scores_tests)
    },
];

fn mean<T: Draw>(n: usize) -> Run {
    let x: Vec<T> = tame(n, 70);
    Box::new(move |digest| {
        if !x.is_empty() {
            let shifted = |shift| (Rows { x: &x[..], shift }, Mean { shift, n: n as f64 });
            let (units, mean) = shifted(0.5);
            digest.of("replicates").doubles(&given(replicates(
                units,
                mean,
                Replicates::of_first(9, u64::MAX),
                &mut |_| true,
            )));
            let (units, mean) = shifted(0.0);
            digest.of("acceleration").double(given(acceleration(units, mean, 0.25, 7.0, &mut |_| true)));
        }
    })
}

/// The moments, cluster sums and bytes of the state of a mean, with clusters and without.
fn mean_state<T: Draw>(n: usize) -> Run {
    let x: Vec<T> = tame(n, 73);
    let codes: Vec<i64> = (0..n as i64).map(|i| i * i % 7).collect();
    let names = [5, -1, 3, 9, 11, 0, 2];
    Box::new(move |digest| {
        for (form, groups) in [("rows", None), ("clusters", Some((&codes[..], 7)))] {
            let digest = digest.of(form);
            let batch = given(given(sum_values(&x, groups, &mut |_| true)));
            let totals = MeanTotals::new().with(&batch, Names::Numbers(&names), [1, 2], &mut |_| true);
            let totals = given(given(totals));
            if totals.size().0 > 0 {
                let m = totals.moments();
                digest.doubles(&[m.mean, m.squares, m.min, m.max, m.step]);
                digest.doubles(&given(totals.cluster_sums(m.mean, &mut |_| true)).sums);
            }
            let bytes = given(totals.to_bytes(b"{}", &mut |_| true));
            digest.bytes(&given(bytes.ok_or("too many clusters for bytes")));
        }
    })
}

/// Limits at some times by each method, of scores and of differences, and the bytes of the state.
fn sequences(n: usize) -> Run {
    let (x, base): (Vec<f64>, Vec<f64>) = (unit(n, 75), unit(n, 76));
    Box::new(move |digest| {
        let answers: Vec<f64> = x.iter().map(|&x| f64::from(x > 0.25)).collect();
        for &method in sequence::Method::ALL {
            let digest = digest.of(method.name());
            let x = if method.of_order() { &x } else { &answers };
            for base in [None, Some(&base[..])].into_iter().take(1 + usize::from(method.of_order())) {
                let y = given(given(on_unit(x, base, [0.0, 1.0], &mut |_| true)));
                let state = SequenceTotals::new(method.of_order());
                let state = given(given(state.with(&y, base.is_some(), [1, 2], &mut |_| true)));
                let times = if method.of_order() { vec![n.div_ceil(3), n] } else { vec![n] };
                if n > 0 {
                    let found = given(state.looks(method, 0.05, &times, &mut |_| true));
                    digest.doubles(&found.means);
                    found.intervals.into_iter().for_each(|limits| digest.doubles(&[limits.low, limits.high]));
                    digest.double(given(state.p_value(0.05, 0.5, &mut |_| true)));
                }
                let bytes = given(state.to_bytes(b"{}", &mut |_| true));
                digest.bytes(&given(bytes.ok_or("too many values for bytes")));
            }
        }
    })
}

fn ratio(n: usize) -> Run {
    let sums: Vec<f64> = tame(n, 71);
    let sizes: Vec<f64> = (0..n).map(|i| (i % 9 + 1) as f64).collect();
    Box::new(move |digest| {
        if !sums.is_empty() {
            let units = Pairs { sums: &sums, sizes: &sizes };
            let (shifted, plain) = (Quotient { shift: 0.5 }, Quotient { shift: 0.0 });
            digest.of("replicates").doubles(&given(replicates(
                units,
                shifted,
                Replicates::of_first(9, 3),
                &mut |_| true,
            )));
            digest.of("acceleration").double(given(acceleration(units, plain, 0.25, 7.0, &mut |_| true)));
        }
    })
}

/// The level of the quantile, and the share of the trimmed mean.
const PARAMETERS: [f64; 1] = [0.2];
const BINS: [f64; 1] = [15.0];

const QUOTIENTS: [(Name, Name); 2] = [(Name::Mean, Name::Std), (Name::Slope, Name::Correlation)];

/// Each statistic by rows and by clusters, from the columns to the limits.
fn statistics(n: usize) -> Run {
    let x: Vec<f64> = tame(n, 73);
    let y: Vec<f64> = (0..n).map(|i| (i % 7 + 1) as f64).collect();
    let labels: Vec<f64> = (0..n).map(|i| (i % 2) as f64).collect();
    let shares: Vec<f64> = unit(n, 77);
    let codes: Vec<i64> = (0..n).map(|i| (i % 5) as i64).collect();
    Box::new(move |digest| {
        let confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
        let options = Options {
            method: Method::Bca,
            count: 99,
            seed: 5,
            confidence: Confidence { level: 0.5, ..confidence },
            known: &[],
        };
        let designs = [("rows", Design::Rows), ("clusters", Design::Clusters { codes: &codes, count: 5 })];
        for (design_name, design) in designs.into_iter().filter(|_| n >= 5) {
            if (60..2000).contains(&n) {
                without_and_twice(digest, &x[..n.min(100)], design_name, options);
            }
            for (above, below) in QUOTIENTS.into_iter().filter(|_| (60..2000).contains(&n)) {
                let digest = digest.of("quotient").of(above.name()).of(below.name()).of(design_name);
                let formula = Formula::Quotient(above, below);
                sums(digest, formula, n.min(100), design_name == "clusters", options);
            }
            for &name in Name::ALL {
                let numbers = if name == Name::Ece { &BINS } else { &PARAMETERS };
                let parameters = &numbers[..name.about().parameters.len()];
                if n > 1000 && name.ordered(parameters).is_some() {
                    continue; // 599 scans of the sorted rows for each statistic
                }
                let digest = digest.of(name.name()).of(design_name);
                if !matches!(name, Name::Mean | Name::Ratio) && name.ordered(parameters).is_none() {
                    // Once, since other lengths would only add to the time.
                    if (60..2000).contains(&n) {
                        sums(digest, Formula::One(name), n.min(100), design_name == "clusters", options);
                    }
                    continue;
                }
                let columns = Columns { x: &&x[..], y: &&y[..], weights: None, design };
                let bootstrap = match (name, name.ordered(parameters)) {
                    (_, Some((statistic, second))) => {
                        let targets = if second == Second::Ranked { &y[..] } else { &labels[..] };
                        let x = if second == Second::Outcomes { &shares[..] } else { &x[..] };
                        let columns: [&dyn Wide; 2] = [&x, &targets];
                        let columns = &columns[..name.about().columns.len()];
                        ordered_bootstrap(&*statistic, columns, second, design, &Simple, options, &mut |_| {
                            true
                        })
                    }
                    (Name::Ratio, _) => ratio_bootstrap(columns, options, &mut |_| true),
                    (_, None) => mean_bootstrap(&x, design, options, &mut |_| true),
                };
                let bootstrap = match given(bootstrap) {
                    Ok(bootstrap) => bootstrap,
                    // Few rows: a resample without one of the labels.
                    Err(refused) => {
                        digest.bytes(refused.to_string().as_bytes());
                        continue;
                    }
                };
                let (low, high) = (bootstrap.limits.low, bootstrap.limits.high);
                digest.doubles(&[
                    bootstrap.value,
                    bootstrap.standard_error,
                    low.value,
                    low.error,
                    high.value,
                    high.error,
                ]);
                digest.doubles(&bootstrap.replicates);
                if name == Name::Ratio {
                    let ratio = given(given(estimated_ratio(columns, confidence, &mut |_| true)));
                    digest.doubles(&[
                        ratio.value,
                        ratio.standard_error,
                        ratio.interval.low,
                        ratio.interval.high,
                    ]);
                }
            }
        }
    })
}

/// A variance by ABC, which makes no resamples, and by the double bootstrap.
fn without_and_twice(digest: &mut Digest, x: &[f64], design_name: &'static str, options: Options) {
    let codes: Vec<i64> = (0..x.len() as i64).map(|i| i % 12).collect();
    let clustered = Design::Clusters { codes: &codes, count: 12 };
    let design = if design_name == "clusters" { clustered } else { Design::Rows };
    let columns: [&dyn Wide; 1] = [&x];
    let formula = Formula::One(Name::Variance);
    let variance = given(given(smooth::statistic(formula, &columns, &mut |_| true)));
    let found = smooth::abc(&*variance, &columns, None, design, None, options.confidence, &mut |_| true);
    let Abc { value, standard_error, low, high, acceleration, z0, curvature, bias } = given(given(found));
    let digest = digest.of("methods").of(design_name);
    digest.of("abc").doubles(&[value, standard_error, low, high, acceleration, z0, curvature, bias]);
    let options = Options { method: Method::Double, ..options };
    let boot = smooth::bootstrap(&*variance, &columns, design, options, &mut |_| true);
    let limits = given(given(boot)).limits;
    digest.of("double").doubles(&[limits.low.value, limits.low.error, limits.high.value, limits.high.error]);
}

/// A statistic of sums: its interval, with weights too, and its bootstrap by percentiles.
fn sums(digest: &mut Digest, formula: Formula, rows: usize, clustered: bool, options: Options) {
    let codes: Vec<i64> = (0..rows as i64).map(|i| i % 12).collect();
    let design = if clustered { Design::Clusters { codes: &codes, count: 12 } } else { Design::Rows };
    let answers = |seed: i64| (0..rows as i64).map(move |i| f64::from(u8::from((i * i + seed * i) % 7 < 3)));
    let columns: Vec<Vec<f64>> = (formula.columns().iter().enumerate())
        .map(|(place, column)| match (formula, *column) {
            (Formula::One(Name::Rmse | Name::R2), _) | (_, "x" | "y" | "nll" | "weights" | "tokens") => {
                unit(rows, 76 + place as u64)
            }
            (Formula::One(Name::Bleu | Name::Chrf | Name::ChrfPlusPlus), column) => {
                let from = if column.starts_with("matches") { 1 } else { 10 };
                (0..rows).map(|i| (from + (i * i + place * i) % 9) as f64).collect()
            }
            (_, "probabilities") => answers(1).map(|answer| 0.25 + 0.5 * answer).collect(),
            (_, "predictions") => answers(1).collect(),
            _ => answers(2).collect(),
        })
        .collect();
    let slices: Vec<&[f64]> = columns.iter().map(|column| &column[..]).collect();
    let wide: Vec<&dyn Wide> = slices.iter().map(|slice| slice as &dyn Wide).collect();
    let statistic = given(given(smooth::statistic(formula, &wide, &mut |_| true)));
    let weights: Vec<f64> = (0..rows).map(|i| (i % 4 + 1) as f64).collect();
    let level = Confidence { level: 0.95, ..options.confidence };
    for weights in [None, Some(&weights[..])] {
        let found = smooth::closed(&*statistic, &wide, weights, design, None, level, &mut |_| true);
        let found = given(given(found));
        digest.doubles(&[
            found.value,
            found.standard_error,
            found.interval.low,
            found.interval.high,
            found.df,
        ]);
    }
    let options = Options { method: Method::Percentile, ..options };
    let boot = smooth::bootstrap(&*statistic, &wide, design, options, &mut |_| true);
    digest.doubles(&given(given(boot)).replicates);
}

/// A mean in strata, with weights, of strata that count once, in blocks, of nested and crossed clusters and by each
/// sampling; and a median of these.
fn designs(n: usize) -> Run {
    let x: Vec<f64> = tame(n, 79);
    let weights: Vec<f64> = (0..n).map(|i| (i % 4 + 1) as f64).collect();
    let codes: Vec<i64> = (0..n).map(|i| (i % 5 / 3) as i64).collect();
    Box::new(move |digest| {
        if x.len() < 6 {
            return;
        }
        let confidence = Confidence { level: 0.2, alternative: Alternative::TwoSided };
        let options = Options { method: Method::Percentile, count: 49, seed: 6, confidence, known: &[] };
        let columns: [&dyn Wide; 1] = [&&x[..]];
        let mean = given(given(smooth::statistic(Formula::One(Name::Mean), &columns, &mut |_| true)));
        let series = given(given(smooth::influences(&*mean, &columns, &mut |_| true)));
        let strata = given(given(Strata::new(&codes, 2, 0, vec![Box::new(Simple)])));
        let blocks: Vec<(Kind, Blocks)> =
            Kind::ALL.iter().map(|&kind| (kind, Blocks { kind, length: 2.5 })).collect();
        // Two rows in each of the innermost clusters, one to three of these in the next, and two of those in the outermost.
        let inner: Vec<i64> = (0..x.len() as i64).map(|row| row / 2).collect();
        let middle: Vec<i64> =
            (0..).flat_map(|i| vec![i; i as usize % 3 + 1]).take(x.len().div_ceil(2)).collect();
        let outer: Vec<i64> = (0..=middle[middle.len() - 1]).map(|i| i / 2).collect();
        let outermost = outer[outer.len() - 1] as usize + 1;
        let nested = given(given(Nested::new(Box::new(Simple), outermost, &[&outer, &middle])));
        let clusters = Design::Clusters { codes: &inner, count: middle.len() };
        let (items, judges): (Vec<i64>, Vec<i64>) = (0..x.len() as i64).map(|row| (row / 3, row % 3)).unzip();
        let crossed = given(given(Crossed::new([&items, &judges], [x.len().div_ceil(3), 3])));
        let (weights, once) = (Some(&weights[..]), Some((&codes[..], 2)));
        let mut plans: Vec<(&'static str, &dyn Drawing, _, _)> = vec![
            ("weights", &Simple, weights, None),
            ("strata", &strata, None, None),
            ("macro", &strata, None, once),
            ("nested", &nested, None, None),
        ];
        // With fewer rows a resample may have none.
        if x.len() > 9 {
            plans.push(("crossed", &crossed, None, None));
        }
        for (kind, blocks) in &blocks {
            plans.push((kind.name(), blocks, None, None));
            let length = given(block_length(&series, *kind, &mut |_| true));
            digest.of(kind.name()).of("length").double(length);
        }
        let samplings: Vec<Box<dyn Drawing>> =
            Sampling::ALL.iter().map(|sampling| sampling.drawing(options.count, &[3.0])).collect();
        for (sampling, drawing) in Sampling::ALL.iter().zip(&samplings) {
            plans.push((sampling.name(), &**drawing, None, None));
        }
        let sizes: Vec<Box<dyn Drawing>> =
            [3.0, 5.0].iter().map(|&m| Sampling::Subsample.drawing(options.count, &[m])).collect();
        let subsamples = given(given(Strata::new(&codes, 2, 0, sizes)));
        plans.push(("subsamples in strata", &subsamples, None, None));
        for formula in [Formula::One(Name::Mean), Formula::One(Name::Median)] {
            let noise = given(given(bandwidth(columns[0], &mut |_| true)));
            let boot = given(given(smoothed(formula, &[], columns[0], noise, options, &mut |_| true)));
            digest.of("smoothed").of("noise").doubles(&[noise]);
            digest.of("smoothed").of("noise").doubles(&boot.replicates);
        }
        for (name, drawing, weights, once) in plans {
            let digest = digest.of(name);
            let design = if name == "nested" { clusters } else { Design::Rows };
            let plan = Plan { weights, design, drawing, once };
            let boot = given(given(smooth::designed(&*mean, &columns, plan, options, &mut |_| true)));
            digest.doubles(&[boot.value, boot.limits.low.value, boot.limits.high.value]);
            digest.doubles(&boot.replicates);
            if x.len() < 1000 && weights.is_none() && once.is_none() {
                let (median, second) = (&Quantile { q: 0.5 }, Second::Absent);
                let boot =
                    ordered_bootstrap(median, &columns, second, design, drawing, options, &mut |_| true);
                digest.of("median").doubles(&given(given(boot)).replicates);
            }
        }
    })
}

/// The ideal bootstrap by every engine, or why there is none.
fn ideals(n: usize) -> Run {
    let smooth: Vec<f64> = tame(n, 76);
    let steps: Vec<f64> = (0..n).map(|i| (i * i % 37) as f64 / 10.0).collect();
    let mut outlier = smooth.clone();
    outlier.iter_mut().take(1).for_each(|x| *x = 1e8);
    let sizes: Vec<f64> = (0..n).map(|i| (i % 7 + 1) as f64).collect();
    let codes: Vec<i64> = (0..n).map(|i| (i % 5) as i64).collect();
    let strata: Vec<i64> = (0..n).map(|i| (i % 2) as i64).collect();
    Box::new(move |digest| {
        let confidence = Confidence { level: 0.9, alternative: Alternative::TwoSided };
        let question = Question { method: Method::Bca, confidence, at: &[0.5] };
        let kinds = [("smooth", &smooth), ("steps", &steps), ("outlier", &outlier)];
        // Many rows for power sums alone.
        for (kind, x) in kinds.into_iter().take(if n > 100 { 1 } else { 3 }) {
            if n >= 2 {
                for q in [0.5, 0.9] {
                    let found = given(ideal::quantile(&&x[..], q, None, question, &mut |_| true));
                    told(digest.of("quantile").of(kind).of("rows"), found);
                    let halves = Some((&strata[..], 2));
                    let found = given(ideal::quantile(&&x[..], q, halves, question, &mut |_| true));
                    told(digest.of("quantile").of(kind).of("strata"), found);
                }
            }
            for (form, design) in
                [("rows", Design::Rows), ("clusters", Design::Clusters { codes: &codes, count: 5 })]
            {
                for name in [Name::Mean, Name::Ratio].into_iter().filter(|_| n >= 5) {
                    // A ratio is inverted about thirty times, and five clusters take the most nodes: seconds for many
                    // rows, and minutes on an emulated processor.
                    if n > 8 && (name == Name::Ratio || form == "clusters") {
                        continue;
                    }
                    let columns = Columns { x: &&x[..], y: &&sizes[..], weights: None, design };
                    let found = match name {
                        Name::Mean => ideal::mean(x, design, question, &mut |_| true),
                        _ => ideal::ratio(columns, question, &mut |_| true),
                    };
                    told(digest.of(name.name()).of(kind).of(form), given(found));
                }
            }
            for together in [Together::Pooled, Together::Mean, Together::Difference] {
                for name in [Name::Mean, Name::Sum, Name::Ratio, Name::WeightedMean] {
                    if n < 5 || n > 8 && (name != Name::Mean || together != Together::Mean) {
                        continue;
                    }
                    let (weights, strata) = (None, Some((&strata[..], 2)));
                    let plan = Parts { weights, design: Design::Rows, strata, together };
                    let columns: [&dyn Wide; 2] = [&&x[..], &&sizes[..]];
                    let columns = &columns[..name.about().columns.len()];
                    let found = given(ideal::designed(name, columns, plan, question, &mut |_| true));
                    told(digest.of("strata").of(name.name()).of(kind), found);
                }
            }
        }
    })
}

fn told(digest: &mut Digest, found: Result<Ideal, NoEstimate>) {
    match found {
        Ok(found) => {
            digest.doubles(&[found.value, found.low, found.high, found.error, found.bias]);
            digest.doubles(&found.up_to);
        }
        Err(refused) => digest.bytes(refused.to_string().as_bytes()),
    }
}

/// The closed forms of statistics of sorted rows, by rows and by clusters.
fn ordered(n: usize) -> Run {
    let scores: Vec<f64> = tame(n, 76);
    let targets: Vec<f64> = (0..n).map(|i| (i % 2) as f64).collect();
    let codes: Vec<i64> = (0..n).map(|i| (i % 5) as i64).collect();
    Box::new(move |digest| {
        let confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
        let (x, y): (&dyn Wide, &dyn Wide) = (&&scores[..], &&targets[..]);
        let designs = [("rows", Design::Rows), ("clusters", Design::Clusters { codes: &codes, count: 5 })];
        for (design_name, design) in designs.into_iter().filter(|_| n >= 5) {
            let digest = digest.of(design_name);
            let auc = given(given(auc_estimate(x, y, design, confidence, &mut |_| true)));
            let quantile = given(given(quantile_estimate(x, 0.3, design, confidence, &mut |_| true)));
            for found in [auc, quantile] {
                let OrderedEstimate { value, standard_error, interval, df, .. } = found;
                digest.doubles(&[value, standard_error, interval.low, interval.high, df]);
            }
        }
    })
}

/// Two samples, graded and of answers, with clusters and without.
fn samples(n: usize) -> Run {
    let (new, base): (Vec<f64>, Vec<f32>) = (tame(n, 74), tame(n / 2 + 1, 75));
    let right = |x: f64| f64::from(u8::from(x > 0.0));
    let answers: [Vec<f64>; 2] =
        [new.iter().map(|&x| right(x)).collect(), base.iter().map(|&x| right(f64::from(x))).collect()];
    let codes: Vec<i64> = (0..=n as i64).map(|i| i * i % 7).collect();
    Box::new(move |digest| {
        let (new, base) = (&new[..], &base[..]);
        let [new_answers, base_answers] = answers.each_ref().map(|side| &side[..]);
        let scores: [(&str, &dyn Wide, &dyn Wide); 2] =
            [("scores", &new, &base), ("answers", &new_answers, &base_answers)];
        for (kind, new, base) in scores.into_iter().filter(|_| n > 0) {
            for (form, clustered) in [("rows", false), ("clusters", true)] {
                for (alternative, confidence) in ways() {
                    let samples = [new, base].map(|scores| {
                        let clusters = clustered.then(|| (&codes[..scores.len()], 7));
                        Sample { scores, boolean: false, clusters }
                    });
                    let digest = digest.of(kind).of(form).of(alternative);
                    let found = given(given(unpaired(samples, By::DEFAULT, &[confidence], &mut |_| true)));
                    for Level { value, standard_error, interval, df, .. } in found.levels {
                        digest.doubles(&[value, standard_error, interval.low, interval.high, df, found.p]);
                    }
                }
            }
        }
    })
}

/// The tests of two samples of grades in tenths; few of them also without a common step.
fn scores_tests(n: usize) -> Run {
    let grades =
        |n: usize, stream| tame::<f64>(n, stream).into_iter().map(|x| (x.abs() * 10.0).floor() * 0.1);
    let (new, base): (Vec<f64>, Vec<f64>) = (grades(n, 77).collect(), grades(n / 2 + 2, 78).collect());
    let odd: Vec<f64> = tame(n.min(9), 79);
    Box::new(move |digest| {
        let (new, base) = (&new[..], &base[..]);
        let sides: [&dyn Wide; 2] = [&new, &base];
        for &test in ScoresTest::ALL {
            for (alternative, confidence) in ways() {
                let digest = digest.of(test.name()).of(alternative);
                let samples = sides.map(|scores| Sample { scores, boolean: false, clusters: None });
                let by = By { scores: test, ..By::DEFAULT };
                digest.double(given(given(unpaired(samples, by, &[confidence], &mut |_| true))).p);
                if test == ScoresTest::Permutation {
                    let p = permutation(&odd, &base[..2], 0.0, confidence.alternative, &mut |_| true);
                    digest.double(given(p).map_or(f64::NAN, |of| of.p));
                }
            }
        }
    })
}

fn ends(n: usize) -> Run {
    let replicates: Vec<f64> = tame(n, 72);
    Box::new(move |digest| {
        let levels = [Calibrated { at: 0.04, error: 0.01 }, Calibrated { at: 0.93, error: 0.0 }];
        let correction = Correction { acceleration: 0.02, tie: 0.0, units: 20, error: 0.5, levels, inner: 0 };
        for &method in Method::ALL {
            for (alternative, confidence) in ways() {
                let digest = digest.of(method.name()).of(alternative);
                let result = limits(replicates.clone(), 0.125, method, correction, confidence, &mut |_| true);
                match given(result) {
                    Ok(limits) => {
                        let (low, high) = (limits.low, limits.high);
                        digest.doubles(&[low.value, low.error, high.value, high.error]);
                    }
                    Err(_) => digest.word(1), // too few replicates for the limits
                }
            }
        }
    })
}

/// pass@k and maj@k of problems whose answers are counted.
fn repeats(n: usize) -> Run {
    let tried: Vec<u64> = (0..n as u64).map(|i| 8 + i % 40).collect();
    let right: Vec<u64> = tried.iter().zip(0..).map(|(&n, i)| i * i % (n + 1)).collect();
    Box::new(move |digest| {
        for k in [1, 3, 8] {
            digest.of("pass_at").doubles(&given(pass_at(&right, &tried, k, &mut |_| true)));
        }
        for (&right, &tried) in right.iter().zip(&tried).take(100) {
            let half = (tried - right) / 2;
            let votes =
                Votes { right, wrong: &[half, half.div_ceil(2)][..if half > 0 { 2 } else { 0 }], tried };
            let found = majority_at(votes, 5, &mut Pace::new(&mut |_| true));
            digest.of("majority_at").double(given(found));
        }
    })
}

const MODELS: usize = 5;

/// The scores of models of which each is a little better than the one before; every row takes part in 9,999 patterns, so
/// that the longest input is cut.
fn models(n: usize) -> Vec<f64> {
    const MOST: usize = 5_001;
    let mut x: Vec<f64> = tame(n.min(MOST) * MODELS, 74);
    x.iter_mut().enumerate().for_each(|(i, v)| *v += 0.25 * (i % MODELS) as f64);
    x
}

/// The tests of the models against the first one.
fn against(n: usize) -> Run {
    let x = models(n);
    Box::new(move |digest| {
        for (alternative, confidence) in ways() {
            let side = confidence.alternative;
            let found = given(against_baseline(&x, MODELS, 0.0, side, 5, &mut |_| true));
            let digest = digest.of(alternative);
            for column in [&found.statistics, &found.single, &found.step_down] {
                digest.doubles(column);
            }
        }
    })
}

fn independent(n: usize) -> Run {
    let (x, y): (Vec<f64>, Vec<f64>) = (tame(n, 80), tame(n, 81));
    Box::new(move |digest| {
        for &of in Of::ALL {
            for (alternative, confidence) in ways() {
                let found = given(independence(&x, &y, of, confidence.alternative, 5, &mut |_| true));
                digest.of(of.name()).of(alternative).double(found.map_or(f64::NAN, |found| found.p));
            }
        }
    })
}

/// The tests of all pairs of the models.
fn ranks(n: usize) -> Run {
    let x = models(n);
    Box::new(move |digest| {
        let found = given(max_t(&x, MODELS, 0.0, 5, &mut |_| true));
        digest.doubles(&found.statistics);
        digest.doubles(&found.p);
    })
}
