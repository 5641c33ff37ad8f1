//! States of statistics of sums: of their closed form, and of their bootstrap.

use super::inputs::{given, unit};
use super::{Entry, Run, entry};
use steelyard_kernels::clusters::Names;
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::intervals::{Alternative, Confidence};
use steelyard_kernels::state::State;
use steelyard_kernels::uncertainty::Name;
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::smooth::Formula;
use steelyard_kernels::uncertainty::totals::boot_state::{Asked, BootTotals};
use steelyard_kernels::uncertainty::totals::design::{RowDesign, RowStrata};
use steelyard_kernels::uncertainty::totals::sums_state::SumsTotals;
use steelyard_kernels::uncertainty::totals::units::UnitIds;

pub const TABLE: &[Entry] = &[
    Entry { lengths: [2, 7, 16, 33, 1000, 1025, 66_001], ..entry("uncertainty.sums_state", "float64", sums) },
    Entry {
        lengths: [2, 7, 16, 33, 1000, 1025, 66_001],
        ..entry("uncertainty.designed_sums_state", "float64", designed)
    },
    Entry {
        lengths: [7, 16, 33, 100, 1000, 1025, 66_001],
        ..entry("uncertainty.boot_state", "float64", boot)
    },
];

/// Statistics of two columns: of powers, of logarithms, of a quotient and of answers.
const FORMULAS: [(&str, Formula); 6] = [
    ("correlation", Formula::One(Name::Correlation)),
    ("ratio", Formula::One(Name::Ratio)),
    ("r2", Formula::One(Name::R2)),
    ("log_loss", Formula::One(Name::LogLoss)),
    ("slope/correlation", Formula::Quotient(Name::Slope, Name::Correlation)),
    ("mcc", Formula::One(Name::Mcc)),
];

fn columns(formula: Formula, rows: usize) -> [Vec<f64>; 2] {
    let answers =
        |step: usize| (0..rows).map(move |i| f64::from(u8::from((i * i + step * i) % 7 < 3))).collect();
    match formula {
        Formula::One(Name::LogLoss) => [unit(rows, 83).iter().map(|x| 0.5 * x + 0.25).collect(), answers(1)],
        Formula::One(Name::Mcc) => [answers(1), answers(2)],
        _ => [unit(rows, 84), unit(rows, 85).iter().map(|x| x + 1000.0).collect()],
    }
}

/// The interval and the bytes of the state, by clusters and by rows.
fn sums(n: usize) -> Run {
    let codes: Vec<i64> = (0..n as i64).map(|i| i * i % 7).collect();
    // Made before the digests run, in whatever floating-point mode.
    let tables = FORMULAS.map(|(name, formula)| (name, formula, columns(formula, n)));
    Box::new(move |digest| {
        let confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
        for (name, formula, [x, y]) in &tables {
            let (digest, formula) = (digest.of(name), *formula);
            let (x, y) = (&x[..], &y[..]);
            let wide: [&dyn Wide; 2] = [&x, &y];
            for clusters in [Some((&codes[..], Names::Numbers(&[5, -1, 3, 9, 11, 0, 2]))), None] {
                // Rows that differ in size need clusters.
                let Ok(state) = given(SumsTotals::of_rows(formula, &wide, clusters, [1, 2], &mut |_| true))
                else {
                    continue;
                };
                digest.bytes(&given(given(state.to_bytes(b"{}", &mut |_| true)).ok_or("too many clusters")));
                if let Ok((found, _)) = given(state.closed(Average::Micro, confidence, &mut |_| true)) {
                    let limits = [found.interval.low, found.interval.high];
                    digest.doubles(&[found.value, found.standard_error, limits[0], limits[1], found.df]);
                }
            }
        }
    })
}

/// The interval and the bytes of the state of rows with weights, with strata and with both.
fn designed(n: usize) -> Run {
    let codes: Vec<i64> = (0..n as i64).map(|i| i * i % 7).collect();
    let of_clusters: Vec<i64> = (0..7).map(|cluster| cluster % 3 / 2).collect();
    let names = ["de".to_string(), "en".to_string()];
    let weights: Vec<f64> = unit(n, 86).iter().map(|x| 0.25 + 7.0 * x).collect();
    let tables = FORMULAS.map(|(name, formula)| (name, formula, columns(formula, n)));
    Box::new(move |digest| {
        let confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
        let rows = [n as i64, 3];
        let strata = RowStrata { of_clusters: &of_clusters, names: Names::Texts(&names), rows: &rows };
        for (name, formula, [x, y]) in &tables {
            let (digest, formula) = (digest.of(name), *formula);
            let (x, y) = (&x[..], &y[..]);
            let wide: [&dyn Wide; 2] = [&x, &y];
            let clusters = Some((&codes[..], Names::Numbers(&[5, -1, 3, 9, 11, 0, 2])));
            for (weighted, stratified) in [(true, false), (false, true), (true, true)] {
                let design = RowDesign {
                    weights: weighted.then_some(&weights[..]),
                    strata: stratified.then_some(strata),
                    weightless: 4 * u64::from(weighted),
                    unstratified: 5 * u64::from(stratified),
                };
                let state = SumsTotals::of_design(formula, &wide, clusters, &design, [1, 2], &mut |_| true);
                let state = given(given(state));
                digest.bytes(&given(given(state.to_bytes(b"{}", &mut |_| true)).ok_or("too many clusters")));
                if weighted {
                    digest.double(state.effective());
                }
                for average in [Average::Micro, Average::Macro] {
                    if let Ok((found, _)) = given(state.closed(average, confidence, &mut |_| true)) {
                        let limits = [found.interval.low, found.interval.high];
                        digest.doubles(&[found.value, found.standard_error, limits[0], limits[1], found.df]);
                    }
                }
            }
        }
    })
}

/// The replicates and the bytes of the state, by numbers and by texts.
fn boot(n: usize) -> Run {
    let codes: Vec<i64> = (0..n as i64).map(|i| i * i % 7).collect();
    let texts: Vec<String> = (0..7).map(|i| format!("document {i}")).collect();
    let replicates = if n > 1025 { 130 } else { 300 };
    let tables = [FORMULAS[0], FORMULAS[3]].map(|(name, formula)| (name, formula, columns(formula, n)));
    Box::new(move |digest| {
        let numbers: Vec<i64> = (-3..n as i64 - 3).collect();
        let by_text = given(given(UnitIds::clusters(&codes, Names::Texts(&texts))).map_err(|_| "a code"));
        for (form, ids, clustered) in
            [("rows", given(UnitIds::numbered(&numbers)), false), ("texts", by_text, true)]
        {
            let digest = digest.of(form);
            for (name, formula, [x, y]) in &tables {
                let (digest, formula) = (digest.of(name), *formula);
                let (x, y) = (&x[..], &y[..]);
                let wide: [&dyn Wide; 2] = [&x, &y];
                let asked = Asked { formula, replicates, seed: u64::MAX - 7 };
                let state = BootTotals::of_rows(asked, &wide, &ids, clustered, [1, 2], &mut |_| true);
                let state = given(given(state));
                digest
                    .bytes(&given(given(state.to_bytes(b"{}", &mut |_| true)).ok_or("too many replicates")));
                if let Ok(found) = given(state.found(&mut |_| true)) {
                    digest.double(found.value);
                    digest.doubles(&found.replicates);
                }
            }
        }
    })
}
