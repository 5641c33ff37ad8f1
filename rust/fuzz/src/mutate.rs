//! Mutations without libFuzzer: the bytes of real states, changed at a few random places.

use steelyard_kernels::calibration::{self, BinTotals, Clusters, Labels, Options, Scores, TopLabels};
use steelyard_kernels::clusters::Names;
use steelyard_kernels::optim::{NormTotals, Scaled};
use steelyard_kernels::rows::Table;
use steelyard_kernels::simd::Element;
use steelyard_kernels::state::State as _;
use steelyard_kernels::tokens::{Batch, Per, Totals, sum_batch};
use steelyard_kernels::uncertainty::Name;
use steelyard_kernels::uncertainty::mean_state::{MeanTotals, sum_values};
use steelyard_kernels::uncertainty::paired::Wide;
use steelyard_kernels::uncertainty::sequence::SequenceTotals;
use steelyard_kernels::uncertainty::smooth::Formula;
use steelyard_kernels::uncertainty::totals::boot_state::{Asked, BootTotals};
use steelyard_kernels::uncertainty::totals::design::{RowDesign, RowStrata};
use steelyard_kernels::uncertainty::totals::quantile_state::QuantileCounts;
use steelyard_kernels::uncertainty::totals::sums_state::SumsTotals;
use steelyard_kernels::uncertainty::totals::units::UnitIds;

/// A fuzz target: its name, the function that reads bytes, and the bodies of real states from which mutations start.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: [Target; 8] = [
    Target { name: "estimate", run: crate::estimate, seeds: estimate_seeds },
    Target { name: "perplexity", run: crate::perplexity, seeds: perplexity_seeds },
    Target { name: "reliability", run: crate::reliability, seeds: reliability_seeds },
    Target { name: "global_norm", run: crate::global_norm, seeds: global_norm_seeds },
    Target { name: "sequence", run: crate::sequence, seeds: sequence_seeds },
    Target { name: "statistic", run: crate::statistic, seeds: statistic_seeds },
    Target { name: "bootstrap", run: crate::bootstrap, seeds: bootstrap_seeds },
    Target { name: "quantile", run: crate::quantile, seeds: quantile_seeds },
];

fn estimate_seeds() -> Vec<Vec<u8>> {
    let (numbers, texts) = ([-3, 8], ["a".to_string(), "doc/2".to_string()]);
    let columns = [&[0.25, -3.0, 1e300, 5e-324][..], &[0.0, 1.0, 1.0, 0.0], &[7.5], &[]];
    let mut seeds = Vec::new();
    for x in columns {
        for names in [Names::None, Names::Numbers(&numbers), Names::Texts(&texts)] {
            let codes = [0, 1, 1, 0];
            let groups = (!matches!(names, Names::None)).then_some((&codes[..x.len()], 2));
            let batch = sum_values(x, groups, &mut |_| true).unwrap().unwrap();
            let totals = MeanTotals::new().with(&batch, names, [1, 0], &mut |_| true).unwrap().unwrap();
            seeds.push(crate::body(&totals.to_bytes(b"{}", &mut |_| true).unwrap().unwrap()));
        }
    }
    seeds
}

fn perplexity_seeds() -> Vec<Vec<u8>> {
    let (numbers, texts) = ([-3, 8], ["a".to_string(), "doc/2".to_string()]);
    let divisor = [2.0, 1.0, 0.0, 3.5];
    let names = [Names::None, Names::Numbers(&numbers), Names::Texts(&texts)];
    let pers = [Per::Nothing, Per::Token(&divisor)];
    let mut seeds = Vec::new();
    for (names, per) in names.into_iter().flat_map(|names| pers.map(|per| (names, per))) {
        seeds.push(perplexity_seed(&[0.5, f64::INFINITY, 2.25, 1e9], names, per));
        seeds.push(perplexity_seed(&[0.5, f32::INFINITY, 2.25, 1e9], names, per));
    }
    seeds
}

fn perplexity_seed<T: Element>(nll: &[T], names: Names<'_>, per: Per<'_, f64>) -> Vec<u8> {
    let (status, codes) = (Some(&[1, 1, 1, 1][..]), Per::Row(&[0, 1][..]));
    let batch = Batch { nll, status, length: 2, codes, clusters: 2, per, omit_nan: false };
    let summed = sum_batch(&batch, &mut |_| true).unwrap().unwrap();
    let totals = Totals::new().with(&summed, names, &mut |_| true).unwrap().unwrap();
    crate::body(&totals.to_bytes(b"{}", &mut |_| true).unwrap().unwrap())
}

fn reliability_seeds() -> Vec<Vec<u8>> {
    let labels = Labels::U8(&[1, 0, 1, 1, 0]);
    let source = Scores { probs: &[0.2f32, 0.75, 1.0, 0.0, 0.5], labels, keep: Some(&[1, 1, 1, 1, 0]) };
    let plain = |n_bins| {
        let options = Options { n_bins, omit_nan: true };
        BinTotals::from(calibration::tally(&source, options, &mut |_| true).unwrap().unwrap())
    };
    let (numbers, texts) = ([-3, 8], ["a".to_string(), "doc/2".to_string()]);
    let clustered = |n_bins, names, weights| {
        let clusters = Clusters { codes: &[0, 1, 1, 0, 0], names, weights };
        let options = Options { n_bins, omit_nan: true };
        calibration::tally_clusters(&source, options, clusters, &mut |_| true).unwrap().unwrap()
    };
    let options = Options { n_bins: 15, omit_nan: true };
    let alone = calibration::tally_weighted(&source, options, &[0.5, 1e300, 3.0, 1e-300, 0.0], &mut |_| true);
    let alone = alone.unwrap().unwrap().with_weightless(1);
    // Probabilities of a row that were rounded to 16 bits, so that they sum to 1 + 2^-8.
    let data = [0.996_093_75f32, 0.007_812_5];
    let table = Table::new(&data, 2).unwrap();
    let rounded = TopLabels::new(&table, Labels::U8(&[0]), None);
    let rounded = calibration::tally(&rounded, Options { n_bins: 2, omit_nan: false }, &mut |_| true);
    [
        plain(1),
        plain(2),
        plain(15),
        clustered(2, Names::Numbers(&numbers), None),
        clustered(15, Names::Texts(&texts), None),
        clustered(2, Names::Numbers(&numbers), Some(&[1.0, 0.25][..])),
        clustered(15, Names::Texts(&texts), Some(&[1e-300, 1e300])),
        alone,
        BinTotals::from(rounded.unwrap().unwrap()),
    ]
    .map(|state| crate::body(&state.to_bytes(b"{}", &mut |_| true).unwrap().unwrap()))
    .into()
}

fn global_norm_seeds() -> Vec<Vec<u8>> {
    let terms = [
        &[][..],
        &[(5e-324, -1000)],
        &[(7.0, 0), (1e-300, 0)],
        &[(f64::MAX, 512), (f64::MIN_POSITIVE, -1000)],
    ];
    terms
        .map(|terms| {
            let add = |totals: NormTotals, &(sum, exponent)| totals.with(Scaled { sum, exponent }).unwrap();
            let totals = terms.iter().fold(NormTotals::default(), add);
            crate::body(&totals.to_bytes(b"{}", &mut |_| true).unwrap().unwrap())
        })
        .into()
}

fn sequence_seeds() -> Vec<Vec<u8>> {
    let streams: [(bool, &[f64]); 4] =
        [(true, &[0.25, 1.0, 0.0, 0.5]), (true, &[]), (false, &[1.0, 0.0, 1.0]), (false, &[])];
    let body = |(ordered, y): (bool, &[f64])| {
        let state = SequenceTotals::new(ordered).with(y, ordered, [1, 2], &mut |_| true).unwrap().unwrap();
        crate::body(&state.to_bytes(b"{}", &mut |_| true).unwrap().unwrap())
    };
    streams.map(body).into()
}

/// Three rows of two columns, of which the second holds answers.
const ROWS: [&[f64]; 2] = [&[0.25, 0.5, 0.75], &[1.0, 0.0, 1.0]];

/// The columns of a statistic of one or two.
fn columns(formula: Formula) -> Vec<&'static dyn Wide> {
    let answers = matches!(formula, Formula::One(Name::Mcc | Name::F1));
    let first = if answers { &ROWS[1] } else { &ROWS[0] };
    [first as &dyn Wide, &ROWS[1]][..formula.columns().len()].to_vec()
}

const FORMULAS: [Formula; 6] = [
    Formula::One(Name::Std),
    Formula::One(Name::Slope),
    Formula::One(Name::F1),
    Formula::One(Name::Mcc),
    Formula::One(Name::LogLoss),
    Formula::Quotient(Name::Mean, Name::Std),
];

fn statistic_seeds() -> Vec<Vec<u8>> {
    let body = |formula, clusters| {
        let state = SumsTotals::of_rows(formula, &columns(formula), clusters, [1, 2], &mut |_| true);
        crate::body(&state.unwrap().unwrap().to_bytes(b"{}", &mut |_| true).unwrap().unwrap())
    };
    let clusters = Some((&[0, 1, 0][..], Names::Numbers(&[-3, 8])));
    let empty = SumsTotals::new(FORMULAS[0]).to_bytes(b"{}", &mut |_| true).unwrap().unwrap();
    let made = FORMULAS.iter().flat_map(|&formula| [body(formula, None), body(formula, clusters)]);
    let designed = FORMULAS.iter().flat_map(|&formula| [[true, false], [false, true], [true, true]].map(|of| {
        designed_seed(formula, of)
    }));
    made.chain(designed).chain([crate::body(&empty)]).collect()
}

/// A state of rows with weights, with strata or with both.
fn designed_seed(formula: Formula, [weighted, stratified]: [bool; 2]) -> Vec<u8> {
    let names = ["a".to_string(), "b".to_string()];
    let strata = RowStrata { of_clusters: &[0, 1], names: Names::Texts(&names), rows: &[3, 1] };
    let design = RowDesign {
        weights: weighted.then_some(&[0.5, 3.0, 1e-3][..]),
        strata: stratified.then_some(strata),
        weightless: u64::from(weighted),
        unstratified: 2 * u64::from(stratified),
    };
    let clusters = Some((&[0, 1, 0][..], Names::Numbers(&[-3, 8])));
    let state = SumsTotals::of_design(formula, &columns(formula), clusters, &design, [1, 2], &mut |_| true);
    crate::body(&state.unwrap().unwrap().to_bytes(b"{}", &mut |_| true).unwrap().unwrap())
}

fn bootstrap_seeds() -> Vec<Vec<u8>> {
    let ids = UnitIds::numbered(&[4, 5, 6]).unwrap();
    let body = |&formula: &Formula| {
        let asked = Asked { formula, replicates: 3, seed: 7 };
        let state = BootTotals::of_rows(asked, &columns(formula), &ids, true, [1, 2], &mut |_| true);
        crate::body(&state.unwrap().unwrap().to_bytes(b"{}", &mut |_| true).unwrap().unwrap())
    };
    FORMULAS.iter().map(body).collect()
}

fn quantile_seeds() -> Vec<Vec<u8>> {
    let many: Vec<f64> = (0..1500).map(|i| 1.0 + f64::from(i) / 1500.0).collect();
    let body = |x: &[f64]| {
        let state = QuantileCounts::of_values(&x, [1, 2], &mut |_| true).unwrap().unwrap();
        crate::body(&state.to_bytes(b"{}", &mut |_| true).unwrap().unwrap())
    };
    [&[][..], &[0.5], &[-1e300, 0.0, 5e-324, 3.0, 3.0], &many].map(body).into()
}

/// Pseudo-random words from an xorshift generator.
pub struct Words(u64);

impl Words {
    /// The generator with this seed.
    pub fn new(seed: u64) -> Self {
        Words(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n.max(1)
    }
}

/// Counts and sums at which something might overflow.
const EDGES: [u64; 10] =
    [0, 1, 2, u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 62, 1 << 53, u32::MAX as u64, 0x3ff0_0000_0000_0000];

/// A body from `seeds`, changed in a few places.
pub fn mutated(seeds: &[Vec<u8>], words: &mut Words) -> Vec<u8> {
    let mut body = seeds[words.below(seeds.len())].clone();
    for _ in 0..=words.below(4) {
        let at = words.below(body.len() + 1);
        let end = (at + words.below(48)).min(body.len());
        match words.below(7) {
            0 if at < body.len() => body[at] ^= 1 << words.below(8),
            1 if at < body.len() => body[at] = [0, 1, b'"', b'#', 0x7f, 0x80, 0xff][words.below(7)],
            2 => body.truncate(at),
            3 => body.extend_from_within(at..end),
            4 => drop(body.drain(at..end)),
            5 => body.insert(at, words.next() as u8),
            _ => {
                let edge = EDGES[words.below(EDGES.len())].to_le_bytes();
                body[at..].iter_mut().zip(edge).for_each(|(byte, new)| *byte = new);
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use steelyard_kernels::state::bytes::Kind;

    /// The reader of a kind of state without a target would not be fuzzed.
    #[test]
    fn every_kind_of_state_has_a_target() {
        assert_eq!(TARGETS.len(), Kind::ALL.len());
        for target in TARGETS {
            let bodies = (target.seeds)();
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| format!("{kind:?}").to_lowercase() == target.name.replace('_', ""));
            assert!(kind.is_some() && !bodies.is_empty(), "{}", target.name);
        }
    }

    #[test]
    fn targets_accept_their_seeds_and_withstand_mutations() {
        for target in TARGETS {
            let (seeds, mut words) = ((target.seeds)(), Words::new(1));
            seeds.iter().for_each(|seed| (target.run)(seed));
            (0..20_000).for_each(|_| (target.run)(&mutated(&seeds, &mut words)));
        }
    }

    #[test]
    fn the_header_and_checksum_are_accepted_by_the_reader() {
        for seed in global_norm_seeds() {
            assert!(NormTotals::from_bytes(&crate::sealed(Kind::GlobalNorm, &seed), &mut |_| true).is_ok());
        }
    }
}
