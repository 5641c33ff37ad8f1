//! Intervals, clustered sums and paired tests.

use super::inputs::{Digest, Draw, given, tame, unit, ways, words};
use super::{Entry, Run, entry};
use steelyard_kernels::grid::Stopped;
use steelyard_kernels::intervals::cluster::{
    self, ClusterSums, Clustered, SumFacts, cluster_sums, effective_weights,
};
use steelyard_kernels::intervals::crossed::{Cells, crossed};
use steelyard_kernels::intervals::few_clusters::{self, few_clusters};
use steelyard_kernels::intervals::mean::{mean_interval, t_interval};
use steelyard_kernels::intervals::moments::{Column, moments};
use steelyard_kernels::intervals::multinomial::{self, multinomials};
use steelyard_kernels::intervals::proportion::{Method, Test, proportion, test};
use steelyard_kernels::intervals::spread::{Range, ValueFacts};
use steelyard_kernels::intervals::strata::{Average, Form, StrataFacts, Units, stratified};
use steelyard_kernels::intervals::{Adjust, Alternative, Interval, adjust};
use steelyard_kernels::named::Named;
use steelyard_kernels::simd::{Bf16, F16};
use steelyard_kernels::uncertainty::answers::Test as AnswersTest;
use steelyard_kernels::uncertainty::paired::{
    self, Table, differences, mcnemar, paired_binary, unspread_difference,
};
use steelyard_kernels::uncertainty::power::{self, Decision};
use steelyard_kernels::uncertainty::sign_flip::sign_flip;
use steelyard_kernels::uncertainty::unpaired::{self, fisher};

pub const TABLE: &[Entry] = &[
    entry("intervals.moments", "float32", column::<f32>),
    entry("intervals.moments", "float64", column::<f64>),
    entry("intervals.moments", "bfloat16", column::<Bf16>),
    entry("intervals.moments", "float16", column::<F16>),
    entry("intervals.clusters", "float32", clusters::<f32>),
    entry("intervals.clusters", "float64", clusters::<f64>),
    entry("intervals.weighted", "float32", weighted::<f32>),
    entry("intervals.weighted", "float64", weighted::<f64>),
    entry("intervals.strata", "float64", strata),
    entry("intervals.crossed", "float64", two_kinds),
    // 8 clusters have six weights, 9 and more signs alone, and more than 20 are refused.
    Entry { lengths: [0, 1, 2, 5, 8, 9, 14], ..entry("intervals.few_clusters", "float64", by_name) },
    entry("intervals.unspread", "float64", unspread),
    entry("intervals.pairs", "float64", pairs),
    entry("intervals.paired_methods", "counts", paired_methods),
    entry("intervals.unpaired_methods", "counts", unpaired_methods),
    entry("intervals.answers_tests", "counts", answers_tests),
    entry("intervals.proportions", "counts", proportions),
    entry("intervals.multinomials", "counts", simultaneous),
    // Blaker's p adds up probabilities one by one.
    Entry {
        lengths: [0, 1, 7, 16, 33, 1000, 20_011],
        ..entry("intervals.proportion_tests", "counts", proportion_tests)
    },
    // Every number of rows below the length is a setting.
    Entry { lengths: [0, 1, 2, 7, 16, 33, 90], ..entry("intervals.power", "counts", powers) },
    entry("intervals.sign_flip", "float64", flips),
    // At most 60, and one alternative there: without a fused multiply-add an inversion takes 5 s, half of all others' time.
    Entry {
        lengths: [0, 1, 7, 16, 33, 60, 280_003],
        ..entry("intervals.sign_flip", "rounded", rounded_flips)
    },
    entry("intervals.adjust", "float64", adjusted),
];

fn add(digest: &mut Digest, interval: Interval) {
    digest.doubles(&[interval.low, interval.high]);
}

fn column<T: Draw + 'static>(n: usize) -> Run {
    let x: Vec<T> = tame(n, 50);
    Box::new(move |digest| match given(moments(&x, &mut |_| true)) {
        Column::Finite(m) => {
            digest.doubles(&[m.mean, m.squares, m.min, m.max]);
            for (alternative, confidence) in ways() {
                if let Some(t) = t_interval(m.mean, m.squares, x.len() as u64, confidence) {
                    let digest = digest.of("t").of(alternative);
                    digest.double(t.standard_error);
                    add(digest, t.interval);
                }
            }
        }
        Column::Bad(_) => digest.word(1), // the mean of no values
    })
}

fn clusters<T: Draw + 'static>(n: usize) -> Run {
    const CLUSTERS: usize = 37;
    let x: Vec<T> = unit(n, 51);
    let codes: Vec<i64> = words(n, 52).map(|word| (word % CLUSTERS as u64) as i64).collect();
    Box::new(move |digest| {
        let clustered = given(cluster_sums(&x, &codes, CLUSTERS, 0.25, None, &mut |_| true));
        let ClusterSums { sums, sizes } = given(clustered.ok_or("a code beyond the clusters"));
        digest.doubles(&sums);
        let ones: Vec<f64> = sizes.iter().map(|&size| (size * 0.5).floor()).collect();
        for (alternative, confidence) in ways() {
            let results = [
                ("ratio", cluster::ratio(&sums, &sizes, 0.25, SumFacts::EXACT, confidence, &mut |_| true)),
                (
                    "proportion",
                    cluster::proportion(&ones, &sizes, SumFacts::EXACT, confidence, &mut |_| true),
                ),
            ];
            for (name, result) in results {
                add_clustered(digest.of(name).of(alternative), result);
            }
        }
    })
}

fn add_clustered(digest: &mut Digest, result: Result<Clustered, Stopped>) {
    let Clustered { value, standard_error, interval, df, n_effective, unspread } = given(result);
    digest.doubles(&[value, standard_error, df, n_effective, f64::from(unspread)]);
    add(digest, interval);
}

fn weighted<T: Draw + 'static>(n: usize) -> Run {
    let x: Vec<T> = unit(n, 57);
    let weights: Vec<f64> = unit::<f64>(n, 58).into_iter().map(|w| w + 0.125).collect();
    let codes: Vec<i64> = (0..n as i64).collect();
    Box::new(move |digest| {
        let clustered = given(cluster_sums(&x, &codes, n, 0.25, Some(&weights), &mut |_| true));
        let ClusterSums { sums, sizes } = given(clustered.ok_or("a code beyond the clusters"));
        digest.doubles(&sums);
        digest.doubles(&sizes);
        digest.double(given(effective_weights(&weights, &mut |_| true)));
        let ones: Vec<f64> =
            sizes.iter().enumerate().map(|(i, w)| if i % 3 > 0 { *w } else { 0.0 }).collect();
        let facts = SumFacts { noise: 1e-12, range: Range::Share, weighted: Some(n as f64) };
        for (alternative, confidence) in ways().filter(|_| n > 1) {
            let results = [
                ("ratio", cluster::ratio(&sums, &sizes, 0.25, facts, confidence, &mut |_| true)),
                ("proportion", cluster::proportion(&ones, &sizes, facts, confidence, &mut |_| true)),
                ("share", cluster::share(&ones, &sizes, SumFacts::EXACT, confidence, &mut |_| true)),
            ];
            for (name, result) in results {
                add_clustered(digest.of(name).of(alternative), result);
            }
        }
    })
}

/// Units of five strata, the first of which shows no spread.
fn strata(n: usize) -> Run {
    const STRATA: usize = 5;
    let strata: Vec<i64> = (0..n).map(|i| (i % STRATA) as i64).collect();
    let sizes: Vec<f64> = words(n, 60).map(|word| (1 + word % 9) as f64).collect();
    let shares: Vec<f64> = unit(n, 61);
    let of_stratum = |i: usize, value: f64| if i.is_multiple_of(STRATA) { sizes[i] } else { value };
    let graded: Vec<f64> = (0..n).map(|i| of_stratum(i, sizes[i] * shares[i])).collect();
    let counts: Vec<f64> = (0..n).map(|i| of_stratum(i, (sizes[i] * shares[i]).floor())).collect();
    let facts = StrataFacts { noise: 1e-12, range: Range::Share, width: 1.0, weighted: false };
    Box::new(move |digest| {
        let forms = [
            ("t", Form::Student, &graded),
            ("answers", Form::Answers, &counts),
            ("shares", Form::Shares, &graded),
        ];
        for (name, form, sums) in forms {
            let units = Units { sums, sizes: &sizes, strata: &strata, count: STRATA };
            for &average in Average::ALL {
                for (alternative, confidence) in ways().filter(|_| n >= 2 * STRATA) {
                    let found = stratified(units, average, 0.0, form, facts, confidence, &mut |_| true);
                    let found = given(given(found).ok_or("a stratum beyond the count"));
                    let digest = digest.of(name).of(average.name()).of(alternative);
                    digest.word(found.still as u64);
                    add_clustered(digest, Ok(found.mean));
                }
            }
        }
    })
}

/// Cells of seven clusters by as many as there are rows for.
fn two_kinds(n: usize) -> Run {
    const KIND: usize = 7;
    let a: Vec<i64> = (0..n).map(|i| (i % KIND) as i64).collect();
    let b: Vec<i64> = (0..n).map(|i| (i / KIND) as i64).collect();
    let sizes: Vec<f64> = words(n, 62).map(|word| (1 + word % 9) as f64).collect();
    let shares: Vec<f64> = unit(n, 63);
    let graded: Vec<f64> = (0..n).map(|i| sizes[i] * shares[i]).collect();
    let counts: Vec<f64> = graded.iter().map(|sum| sum.floor()).collect();
    let facts = SumFacts { noise: 1e-12, range: Range::Share, weighted: None };
    Box::new(move |digest| {
        let forms = [
            ("t", Form::Student, &graded),
            ("answers", Form::Answers, &counts),
            ("shares", Form::Shares, &graded),
        ];
        for (name, form, sums) in forms {
            let cells = Cells { sums, sizes: &sizes, of: [&a, &b], counts: [KIND, n.div_ceil(KIND)] };
            for (alternative, confidence) in ways().filter(|_| n >= KIND) {
                let found = crossed(cells, 0.0, form, facts, confidence, &mut |_| true);
                let found = given(given(found).ok_or("a cluster beyond the count"));
                let digest = digest.of(name).of(alternative);
                digest.doubles(&found.variances);
                digest.word(u64::from(found.ruled));
                add_clustered(digest, Ok(found.mean));
            }
        }
    })
}

fn by_name(n: usize) -> Run {
    let sizes: Vec<f64> = words(n, 64).map(|word| (1 + word % 9) as f64).collect();
    let sums: Vec<f64> = tame(n, 65);
    let facts = SumFacts { noise: 1e-12, range: Range::Unknown, weighted: None };
    Box::new(move |digest| {
        for &method in few_clusters::Method::ALL {
            for (alternative, confidence) in ways() {
                let found = few_clusters(&sums, &sizes, 0.25, method, facts, confidence, &mut |_| true);
                let found = given(given(found).ok_or("too many clusters"));
                add_clustered(digest.of(method.name()).of(alternative), Ok(found));
            }
        }
    })
}

fn unspread(n: usize) -> Run {
    let sizes: Vec<f64> = unit::<f64>(n, 59).into_iter().map(|size| size + 0.5).collect();
    let step = f64::EPSILON * 0.25;
    let ranges = Range::ALL.iter().map(|&range| {
        let value = match range {
            Range::Unknown => 7.3,
            Range::Share => 0.3,
            Range::Difference => -0.1,
        };
        let sums: Vec<f64> = sizes.iter().map(|size| size * value).collect();
        (ValueFacts { low: value, high: value, step, rows: n as f64, range }, sums)
    });
    let ranges: Vec<_> = ranges.collect();
    Box::new(move |digest| {
        for (values, sums) in &ranges {
            let facts = SumFacts { noise: values.noise(0.0), range: values.range, weighted: None };
            for (alternative, confidence) in ways().filter(|_| n > 1) {
                let digest = digest.of(values.range.name()).of(alternative);
                if let Some((mean, _)) = mean_interval(values.low, 0.0, n as u64, values, confidence) {
                    digest.double(mean.standard_error);
                    add(digest, mean.interval);
                }
                add_clustered(digest, cluster::ratio(sums, &sizes, 0.0, facts, confidence, &mut |_| true));
            }
        }
    })
}

fn pairs(n: usize) -> Run {
    let (new, base): (Vec<f64>, Vec<Bf16>) = (tame(n, 53), tame(n, 54));
    Box::new(move |digest| {
        let all = given(differences(&new.as_slice(), &base.as_slice(), (0.0, 0.0), &mut |_| true));
        digest.doubles(&all.values);
        for (alternative, confidence) in ways().filter(|_| n > 0) {
            let digest = digest.of(alternative);
            let table = Table::of(all.wins, all.wins, all.losses, n as u64);
            let of = paired_binary(table, paired::Method::Tango, AnswersTest::MidP, confidence);
            let exact = mcnemar(all.wins, all.losses, confidence.alternative, AnswersTest::Exact);
            digest.doubles(&[of.value, of.standard_error, of.p, exact]);
            add(digest, of.interval);
            let (error, interval) = unspread_difference(0.125, n as f64 + 1.0, n as f64, confidence);
            digest.double(error);
            add(digest, interval);
        }
    })
}

/// Pairs of answers of which few or many are right, or right by one model alone.
fn paired_methods(n: usize) -> Run {
    Box::new(move |digest| {
        for &method in paired::Method::ALL {
            for (alternative, confidence) in ways().filter(|_| n > 0) {
                let digest = digest.of(method.name()).of(alternative);
                for (both, wins, losses) in
                    [(0, 0, 0), (n / 2, n / 5, n / 7), (n / 9, n / 3, n / 2), (n, 0, 0)]
                {
                    let ones = (both + wins) as u64;
                    let table = Table::of(ones, wins as u64, losses as u64, n as u64);
                    add(digest, paired_binary(table, method, AnswersTest::MidP, confidence).interval);
                }
            }
        }
    })
}

/// Samples of which few or many are right.
fn unpaired_methods(n: usize) -> Run {
    let (n, m) = (n as u64, 1 + n as u64 / 3);
    Box::new(move |digest| {
        for &method in unpaired::Method::ALL {
            for (alternative, confidence) in ways().filter(|_| n > 0) {
                let digest = digest.of(method.name()).of(alternative);
                for hits in [[0, 0], [n, 0], [n / 2, m / 3], [n / 9, m]] {
                    add(digest, method.limits(hits, [n, m], confidence.z()));
                }
            }
        }
    })
}

fn answers_tests(n: usize) -> Run {
    let (n, m) = (n as u64, 1 + n as u64 / 3);
    Box::new(move |digest| {
        for &test in AnswersTest::ALL {
            for &alternative in Alternative::ALL {
                let digest = digest.of(test.name()).of(alternative.name());
                for (k, j) in [(n / 2, m / 3), (n / 5, n.min(m) / 2), (0, m / 4)] {
                    digest.double(mcnemar(k, j, alternative, test));
                    digest.double(fisher([k, j], [n, m], alternative, test));
                }
            }
        }
    })
}

fn proportions(n: usize) -> Run {
    Box::new(move |digest| {
        for &method in Method::ALL {
            for (alternative, confidence) in ways() {
                let digest = digest.of(method.name()).of(alternative);
                for k in (0..=n).step_by(1 + n / 7).filter(|_| n > 0) {
                    let row = proportion(k as u64, n as u64, method, confidence);
                    digest.doubles(&[row.value, row.standard_error]);
                    add(digest, row.interval);
                }
            }
        }
    })
}

/// Five categories, of which one is empty.
fn simultaneous(n: usize) -> Run {
    let counts = [n / 2, n / 5 + 1, 0, n / 90, n / 7].map(|count| count as i64);
    Box::new(move |digest| {
        for &method in multinomial::Method::ALL {
            for (alternative, confidence) in ways() {
                let digest = digest.of(method.name()).of(alternative);
                let mut columns = [[0.0; 5]; 4];
                let parts = columns.each_mut().map(|column| &mut column[..]);
                let refused = multinomials(&counts, 5, method, confidence, parts, &mut |_| true);
                digest.word(given(refused).is_some().into());
                for column in &columns {
                    digest.doubles(column);
                }
            }
        }
    })
}

fn proportion_tests(n: usize) -> Run {
    Box::new(move |digest| {
        for &of in Test::ALL {
            for &alternative in Alternative::ALL {
                let digest = digest.of(of.name()).of(alternative.name());
                for k in (0..=n).step_by(1 + n / 7).filter(|_| n > 0) {
                    for p0 in [0.5, 0.125, 0.9] {
                        digest.double(test(k as u64, n as u64, p0, of, alternative));
                    }
                }
            }
        }
    })
}

/// The power of up to n rows, whose shares and margins vary.
fn powers(n: usize) -> Run {
    let rows: Vec<i64> = (1..=n as i64).collect();
    let others: Vec<i64> = rows.iter().map(|row| 1 + row / 2).collect();
    let column = |of: fn(usize) -> f64| (0..n).map(of).collect::<Vec<f64>>();
    let [up, down] = [column(|i| (i % 8) as f64 / 16.0), column(|i| (i % 7) as f64 / 32.0)];
    let [p, margin] = [column(|i| 1.0 - (i % 6) as f64 / 8.0), column(|i| (i % 3) as f64 / 16.0)];
    let above = column(|i| (i % 5) as f64 / 8.0);
    Box::new(move |digest| {
        let mut out = vec![0.0; n];
        for (alternative, confidence) in ways() {
            for &method in Method::ALL {
                let done = power::of_shares(&rows, [&p, &above], method, confidence, &mut out, &mut |_| true);
                given(done);
                digest.of("share").of(method.name()).of(alternative).doubles(&out);
            }
            let tests = AnswersTest::ALL.iter().map(|&test| (test.name(), Decision::Test(test)));
            let intervals = [paired::Method::Tango, paired::Method::BonettPrice];
            let intervals = intervals.map(|method| (method.name(), Decision::Interval(method)));
            for (name, decision) in tests.chain(intervals) {
                let columns = [&up[..], &down, &margin];
                given(power::of_pairs(&rows, columns, decision, confidence, &mut out, &mut |_| true));
                digest.of("pairs").of(name).of(alternative).doubles(&out);
            }
            let tests = AnswersTest::ALL.iter().map(|&test| (test.name(), Decision::Test(test)));
            let intervals = unpaired::Method::ALL.iter();
            let intervals = intervals.map(|&method| (method.name(), Decision::Interval(method)));
            for (name, decision) in tests.chain(intervals) {
                let columns = [&p[..], &above, &margin];
                let sizes = [&rows[..], &others];
                given(power::of_samples(sizes, columns, decision, confidence, &mut out, &mut |_| true));
                digest.of("samples").of(name).of(alternative).doubles(&out);
            }
        }
    })
}

fn flips(n: usize) -> Run {
    let smooth: Vec<f64> = tame(n, 55);
    let tenths: Vec<f64> = words(n, 57).map(|word| (word % 21) as f64 / 10.0 - 0.95).collect();
    Box::new(move |digest| {
        for (name, x) in [("smooth", &smooth), ("tenths", &tenths)] {
            for &alternative in Alternative::ALL {
                let test = given(sign_flip(x, &[0.0], alternative, &mut |_| true));
                digest.of(name).of(alternative.name()).doubles(&[test.p, test.error]);
            }
        }
    })
}

/// Differences of scores in tenths with rounding errors like those of f32 scores that are much larger; some differences
/// are nothing but such an error.
fn rounded_flips(n: usize) -> Run {
    let x: Vec<f64> = words(n, 58)
        .map(|word| (word % 21) as f64 / 10.0 - 0.9 + ((word >> 8) % 65) as f64 * 1e-7 - 32e-7)
        .collect();
    Box::new(move |digest| {
        let alternatives = if n > 40 { &[Alternative::Greater] } else { Alternative::ALL };
        for &alternative in alternatives {
            let test = given(sign_flip(&x, &[4e-6], alternative, &mut |_| true));
            digest.of(alternative.name()).doubles(&[test.p, test.error]);
        }
    })
}

fn adjusted(n: usize) -> Run {
    let p: Vec<f64> = unit(n, 56);
    Box::new(move |digest| {
        for &method in Adjust::ALL {
            digest.of(method.name()).doubles(&given(adjust(&p, method, &mut |_| true)));
        }
    })
}
