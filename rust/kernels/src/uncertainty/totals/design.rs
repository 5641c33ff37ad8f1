//! What a state keeps of the weights of its rows, and of the strata that its clusters lie in.

use super::super::no_estimate::{Ended, NoEstimate};
use super::super::paired::Wide;
use super::super::smooth::Frame;
use super::{Refused, added, mixed, recipe::Recipe};
use crate::clusters::{Id, Keyed, Names, Shards};
use crate::exact::{Packed, Sum, SumOfSquares};
use crate::grid::{CHUNK, Progress, Stopped, chunk, chunks, map_chunks};
use crate::intervals::cluster::near_one;
use crate::intervals::moments::{Column, Moments};
use crate::memory::{self, NoMemory};
use crate::simd::scalar;
use std::sync::Arc;

/// What rows have beside their columns and clusters.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowDesign<'a> {
    /// The weights of the rows, all above 0.
    pub weights: Option<&'a [f64]>,
    /// The strata of the rows.
    pub strata: Option<RowStrata<'a>>,
    /// The number of rows that were left out for a weight of 0.
    pub weightless: u64,
    /// The number of rows that were left out because they have no stratum.
    pub unstratified: u64,
}

/// The strata of some rows, each of whose clusters lies inside one.
#[derive(Clone, Copy, Debug)]
pub struct RowStrata<'a> {
    /// The stratum of each cluster, a position in `names`.
    pub of_clusters: &'a [i64],
    /// The names of the strata.
    pub names: Names<'a>,
    /// For each stratum the number of rows that the caller did not exclude, at least 1, whether they count or not.
    pub rows: &'a [i64],
}

impl RowDesign<'_> {
    /// What these rows have that needs clusters.
    pub(super) fn alone(&self) -> Option<&'static str> {
        if self.weights.is_some() { Some("weights") } else { self.strata.map(|_| "strata") }
    }
}

/// A stratum, and how many of its rows the callers did not exclude.
#[derive(Clone, Debug)]
pub(super) struct Stratum(pub Id, pub u64);

impl Keyed for Stratum {
    type Key = Id;
    fn key(&self) -> &Id {
        &self.0
    }
    fn join(&mut self, other: &Self) -> bool {
        self.1.checked_add(other.1).map(|rows| self.1 = rows).is_some()
    }
}

/// What is kept.
#[derive(Debug)]
pub(super) struct Kept {
    /// Whether rows have weights; `None` before the first row that counts or has a weight of 0.
    pub weighted: Option<bool>,
    /// Whether clusters lie in strata; `None` before the first row that counts or has a stratum or lacks one.
    pub stratified: Option<bool>,
    /// The smallest and the largest weight; +infinity and -infinity where there is none.
    pub low: f64,
    pub high: f64,
    /// The sum of the squared weights. (Their sum is the second of the state's sums.)
    pub squares: Packed,
    pub weightless: u64,
    pub unstratified: u64,
    pub strata: Shards<Stratum>,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept {
            weighted: None,
            stratified: None,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            squares: Packed::default(),
            weightless: 0,
            unstratified: 0,
            strata: Shards::default(),
        }
    }
}

/// The sum of the squares of the weights.
fn squares_of(weights: &[f64], progress: Progress<'_>) -> Result<Packed, Stopped> {
    let n = weights.len();
    let parts = map_chunks(chunks(n, CHUNK), size_of_val(weights) * 8, progress, |index| {
        let mut sum = SumOfSquares::new();
        for &weight in &weights[chunk(index, n, CHUNK)] {
            sum.add_square(weight);
        }
        sum.packed()
    })?;
    let mut sum = SumOfSquares::new();
    for part in &parts {
        sum.merge(part);
    }
    Ok(sum.packed())
}

/// The moments of the weights, the last of `place` columns.
pub(super) fn moments_of(weights: &[f64], place: usize, progress: Progress<'_>) -> Result<Moments, Ended> {
    match (&weights as &dyn Wide).moments(progress)? {
        Column::Bad(index) => Err(NoEstimate::NotFinite { column: place, index }.into()),
        Column::Finite(moments) => Ok(moments),
    }
}

impl Kept {
    /// Of rows of which `n` count, whose weights have these moments.
    pub fn of(
        design: &RowDesign<'_>,
        weights: Option<&Moments>,
        n: u64,
        progress: Progress<'_>,
    ) -> Result<Result<Kept, Refused>, Stopped> {
        let mut kept =
            Kept { weightless: design.weightless, unstratified: design.unstratified, ..Kept::default() };
        if n > 0 {
            (kept.weighted, kept.stratified) = (Some(false), Some(false));
        }
        if design.weights.is_some() && (n > 0 || design.weightless > 0) {
            kept.weighted = Some(true);
        }
        if let (Some(values), Some(of)) = (design.weights, weights) {
            (kept.low, kept.high) = (of.min, of.max);
            kept.squares = squares_of(values, progress)?;
        }
        if let Some(strata) = design.strata {
            for code in 0..strata.names.count() {
                let rows =
                    strata.rows.get(code).and_then(|&rows| u64::try_from(rows).ok()).filter(|&rows| rows > 0);
                let (Some(id), Some(rows)) = (strata.names.id(code), rows) else {
                    return Ok(Err(Refused::Stratum(code)));
                };
                kept.strata.add(Stratum(id, rows))?;
            }
            if n > 0 || design.unstratified > 0 || !kept.strata.is_empty() {
                kept.stratified = Some(true);
            }
        }
        Ok(Ok(kept))
    }

    /// Whether there are weights or strata.
    pub fn designed(&self) -> bool {
        self.weighted == Some(true) || self.stratified == Some(true)
    }

    /// Whether rows have weights.
    pub fn has_weights(&self) -> bool {
        self.weighted == Some(true)
    }

    pub fn copied(&self) -> Result<Kept, NoMemory> {
        Ok(Kept { squares: self.squares.clone(), strata: self.strata.copied()?, ..*self })
    }

    pub fn merged(&self, other: &Kept, progress: Progress<'_>) -> Result<Result<Kept, Refused>, Stopped> {
        if mixed(self.weighted, other.weighted) {
            return Ok(Err(Refused::MixedWeights));
        }
        if mixed(self.stratified, other.stratified) {
            return Ok(Err(Refused::MixedStrata));
        }
        let counts = added([self.weightless, self.unstratified], [other.weightless, other.unstratified]);
        let (Some([weightless, unstratified]), Some(strata)) =
            (counts, self.strata.merged(&other.strata, progress)?)
        else {
            return Ok(Err(Refused::TooMany));
        };
        Ok(Ok(Kept {
            weighted: self.weighted.or(other.weighted),
            stratified: self.stratified.or(other.stratified),
            low: if other.low < self.low { other.low } else { self.low },
            high: if other.high > self.high { other.high } else { self.high },
            squares: self.squares.plus::<{ SumOfSquares::PLACES }, -2148>(&other.squares),
            weightless,
            unstratified,
            strata,
        }))
    }

    /// The names of the strata in their order, each once.
    pub fn names(&self) -> Result<Vec<&Id>, NoMemory> {
        memory::gathered(self.strata.iter().map(|stratum| &stratum.0))
    }

    /// The power of two that brings the largest weight near 1.
    fn near(&self) -> f64 {
        if self.high > 0.0 { near_one(self.high) } else { 1.0 }
    }

    /// The frame of the weight beside those of the parts of a statistic. The weights of a statistic of degree 0 are scaled
    /// by a power of two, which cancels.
    pub fn frame(&self, degree: i32) -> Frame {
        Frame { centre: 0.0, scale: if degree == 0 { self.near() } else { 1.0 } }
    }

    /// Kish's effective number of rows, `(sum w)^2 / sum w^2`, of weights with this sum; NaN without weights.
    pub fn effective(&self, sum: &Packed) -> f64 {
        let (near, mut scaled) = (self.near(), Sum::new());
        scaled.add_multiple(sum, near, 1);
        let times = |squares: &Packed| {
            let mut scaled = SumOfSquares::new();
            scaled.add_multiple(squares, near, 1);
            scaled
        };
        let (sum, squares) = (scaled.value(), times(&times(&self.squares).packed()).value());
        scalar(|| sum * (sum / squares))
    }

    /// Refuses weights so small that rounding took too many digits of their products with the largest powers of a column;
    /// or the column, where its powers alone are too small.
    pub fn faint(&self, recipe: &Recipe, columns: &[Moments]) -> Result<(), NoEstimate> {
        let Kept { low, high, .. } = *self;
        let least = if recipe.degree() > 1 { LEAST_POWER } else { LEAST };
        for (column, of) in columns.iter().enumerate() {
            let largest = if -of.min > of.max { -of.min } else { of.max };
            let power = scalar(|| (0..recipe.degree()).fold(1.0, |power, _| power * largest));
            if power > 0.0 && power < least {
                return Err(NoEstimate::TooSmall { column, low: of.min, high: of.max });
            }
            if low < LEAST || power > 0.0 && scalar(|| low * power) < least {
                return Err(NoEstimate::TooSmall { column: columns.len(), low, high });
            }
        }
        Ok(())
    }
}

/// The least that a product may be so that it is known to 2^-60, and to 2^-104: what rounding takes from it is at least
/// 2^-1074.
const LEAST: f64 = f64::from_bits((1023 - 1014) << 52);
const LEAST_POWER: f64 = f64::from_bits((1023 - 970) << 52);

/// The names of a batch's strata, which its clusters share.
pub(super) fn shared(strata: Option<RowStrata<'_>>) -> Result<Vec<Arc<Id>>, NoMemory> {
    let Some(RowStrata { names, .. }) = strata else { return Ok(Vec::new()) };
    memory::gathered((0..names.count()).filter_map(|code| names.id(code)).map(Arc::new))
}

#[cfg(test)]
mod tests {
    use super::super::sums_state::SumsTotals;
    use super::super::sums_state::tests::{CONFIDENCE, ROWS, check, formulas, with};
    use super::*;
    use crate::intervals::strata::Average;
    use crate::state::State;
    use crate::state::bytes::BytesError;
    use crate::uncertainty::Design;
    use crate::uncertainty::smooth::{Formula, Strata, closed, statistic};
    use crate::uncertainty::statistic::Name;

    const CLUSTERS: usize = 101;
    const NAMES: [&str; 3] = ["de", "en", "fr"];

    /// Weights, codes of clusters, and the stratum of each cluster.
    struct Rows {
        weights: Vec<f64>,
        codes: Vec<i64>,
        of_clusters: Vec<i64>,
        ids: Vec<i64>,
        names: Vec<String>,
    }

    fn rows() -> Rows {
        let n = ROWS as i64;
        Rows {
            weights: (0..n).map(|i| 0.3 + (i * i % 17) as f64).collect(),
            codes: (0..n).map(|i| if i < CLUSTERS as i64 { i } else { i * i % CLUSTERS as i64 }).collect(),
            of_clusters: (0..CLUSTERS as i64).map(|i| i % 3).collect(),
            ids: (0..CLUSTERS as i64).map(|id| id * 7 - 40).collect(),
            names: NAMES.map(String::from).into(),
        }
    }

    impl Rows {
        /// A state of some of the rows of some columns.
        fn state(
            &self,
            formula: Formula,
            columns: &[&[f64]],
            of: [bool; 2],
            at: std::ops::Range<usize>,
        ) -> SumsTotals {
            let parts: Vec<&[f64]> = columns.iter().map(|column| &column[at.clone()]).collect();
            let wide: Vec<&dyn Wide> = parts.iter().map(|part| part as &dyn Wide).collect();
            let mut counts = [0; 3];
            for &code in &self.codes[at.clone()] {
                counts[self.of_clusters[code as usize] as usize] += 1;
            }
            // Names without rows are not given.
            let present: Vec<usize> = (0..3).filter(|&stratum| counts[stratum] > 0).collect();
            let names: Vec<String> = present.iter().map(|&stratum| self.names[stratum].clone()).collect();
            let counts: Vec<i64> = present.iter().map(|&stratum| counts[stratum]).collect();
            let place =
                |code: &i64| present.iter().position(|&of| of as i64 == *code).map_or(-1, |at| at as i64);
            let of_clusters: Vec<i64> = self.of_clusters.iter().map(place).collect();
            let strata = RowStrata { of_clusters: &of_clusters, names: Names::Texts(&names), rows: &counts };
            let design = RowDesign {
                weights: of[0].then_some(&self.weights[at.clone()]),
                strata: of[1].then_some(strata),
                weightless: u64::from(of[0]),
                unstratified: u64::from(of[1]),
            };
            let clusters = Some((&self.codes[at], Names::Numbers(&self.ids)));
            SumsTotals::of_design(formula, &wide, clusters, &design, [1, 2], &mut |_| true).unwrap().unwrap()
        }
    }

    fn slices(wide: &[&dyn Wide]) -> Vec<Vec<f64>> {
        let widened = |column: &&dyn Wide| {
            let mut values = vec![0.0; ROWS];
            column.widen(0, &mut values);
            values
        };
        wide.iter().map(widened).collect()
    }

    fn bytes(state: &SumsTotals) -> Vec<u8> {
        state.to_bytes(b"{}", &mut |_| true).unwrap().unwrap()
    }

    #[test]
    fn states_say_what_the_closed_form_says() {
        let rows = rows();
        for formula in formulas() {
            with(formula, |wide| {
                let columns = slices(wide);
                let columns: Vec<&[f64]> = columns.iter().map(|column| &column[..]).collect();
                let statistic = statistic(formula, wide, &mut |_| true).unwrap().unwrap();
                for (weighted, stratified) in [(true, false), (false, true), (true, true)] {
                    let state = rows.state(formula, &columns, [weighted, stratified], 0..ROWS);
                    for average in [Average::Micro, Average::Macro] {
                        let strata = Strata { codes: &rows.of_clusters, count: 3, average };
                        let design = Design::Clusters { codes: &rows.codes, count: CLUSTERS };
                        let weights = weighted.then_some(&rows.weights[..]);
                        let strata = stratified.then_some(strata);
                        let want =
                            closed(&*statistic, wide, weights, design, strata, CONFIDENCE, &mut |_| true);
                        let got = state.closed(average, CONFIDENCE, &mut |_| true).unwrap().unwrap().0;
                        check(formula, got, want.unwrap().unwrap());
                    }
                }
            });
        }
    }

    #[test]
    fn every_split_gives_the_same_bytes() {
        let rows = rows();
        for formula in formulas() {
            with(formula, |wide| {
                let columns = slices(wide);
                let columns: Vec<&[f64]> = columns.iter().map(|column| &column[..]).collect();
                for of in [[true, false], [false, true], [true, true]] {
                    let part = |at| rows.state(formula, &columns, of, at);
                    let (whole, [a, b, c]) = (part(0..ROWS), [part(0..1), part(1..1200), part(1200..ROWS)]);
                    let plus = |a: &SumsTotals, b: &SumsTotals| a.merged(b, &mut |_| true).unwrap().unwrap();
                    let one = plus(&plus(&c, &a), &b);
                    assert!(bytes(&one) == bytes(&plus(&a, &plus(&b, &c))), "{formula:?} {of:?}");
                    let nothing = part(0..0);
                    let padded = plus(&nothing, &plus(&whole, &nothing));
                    assert!(bytes(&one) == bytes(&padded), "{formula:?} {of:?}");
                    let (read, config) = SumsTotals::from_bytes(&bytes(&one), &mut |_| true).unwrap();
                    assert_eq!((bytes(&read), &config[..]), (bytes(&one), &b"{}"[..]));
                }
            });
        }
    }

    fn small(of: [bool; 2]) -> SumsTotals {
        rows().state(Formula::One(Name::Mean), &[&[0.5, -2.0, 4.0, 0.0, 9.0, 1.0, 7.0]], of, 0..7)
    }

    #[test]
    fn states_of_other_kinds_and_clusters_in_two_strata_are_refused() {
        let merged = |a: &SumsTotals, b: &SumsTotals| a.merged(b, &mut |_| true).unwrap().err();
        let plain = small([false, false]);
        assert_eq!(merged(&plain, &small([true, false])), Some(Refused::MixedWeights));
        assert_eq!(merged(&small([true, true]), &small([false, true])), Some(Refused::MixedWeights));
        assert_eq!(merged(&small([true, true]), &small([true, false])), Some(Refused::MixedStrata));
        let mut other = rows();
        other.of_clusters[3] = 1;
        let moved = other.state(Formula::One(Name::Mean), &[&[0.5; 7]], [false, true], 0..7);
        let text = |text: &str| Id::Text(text.into());
        let expected = Refused::TwoStrata(Box::new([Id::Number(-19), text("de"), text("en")]));
        assert_eq!(merged(&small([false, true]), &moved), Some(expected.clone()));
        assert_eq!(merged(&moved, &small([false, true])), Some(expected));
    }

    #[test]
    fn rows_without_clusters_and_weights_of_0_are_refused() {
        let x: &[f64] = &[1.0, 2.0];
        let of = |clusters, weights: &[f64]| {
            let design = RowDesign { weights: Some(weights), ..RowDesign::default() };
            let formula = Formula::One(Name::Mean);
            SumsTotals::of_design(formula, &[&x], clusters, &design, [0; 2], &mut |_| true).unwrap().err()
        };
        let ids = Some((&[0, 1][..], Names::Numbers(&[4, 5])));
        assert_eq!(of(None, &[1.0, 2.0]), Some(Refused::NoClusters("weights")));
        assert_eq!(of(ids, &[1.0, 0.0]), Some(Refused::Weights));
        assert_eq!(of(ids, &[1.0]), Some(Refused::Weights));
        let bad = NoEstimate::NotFinite { column: 1, index: 1 };
        assert_eq!(of(ids, &[1.0, f64::NAN]), Some(Refused::Rows(bad)));
        assert_eq!(of(ids, &[1e-300, 1e300]), None);
    }

    #[test]
    fn the_least_products_are_powers_of_two() {
        let halved = |times: u32| (0..times).fold(1.0, |half: f64, _| half / 2.0);
        assert_eq!([LEAST, LEAST_POWER], [halved(1014), halved(970)]);
    }

    #[test]
    fn weights_of_any_size_have_one_effective_number() {
        let of = |scale: f64| {
            let weights: Vec<f64> = [1.0, 2.0, 4.0, 4.0].map(|weight| weight * scale).into();
            let of = Kept {
                high: 4.0 * scale,
                squares: squares_of(&weights, &mut |_| true).unwrap(),
                ..Kept::default()
            };
            of.effective(&Packed::of(&weights))
        };
        for scale in [1.0, 1e300, 3e-300, f64::MAX / 4.0, f64::MIN_POSITIVE] {
            assert!((of(scale) - 121.0 / 37.0).abs() < 1e-14, "{scale}: {}", of(scale));
        }
    }

    #[test]
    fn fields_that_no_rows_can_give_are_refused() {
        let refused = |of: [bool; 2], change: fn(&mut SumsTotals)| {
            let mut state = small(of);
            change(&mut state);
            let read = SumsTotals::from_bytes(&bytes(&state), &mut |_| true);
            matches!(read, Err(BytesError::Impossible | BytesError::Malformed))
        };
        for of in [[true, false], [false, true], [true, true]] {
            assert!(!refused(of, |_| ()), "{of:?}");
            assert!(refused(of, |state| state.clustered = Some(false)), "{of:?}");
            assert!(refused(of, |state| state.kept.weighted = None), "{of:?}");
            // Without weights it would be a state of rows without strata either.
            assert!(!of[0] || refused(of, |state| state.kept.stratified = None), "{of:?}");
            assert!(refused(of, |state| state.n += 1), "{of:?}");
        }
        let weights = [true, false];
        assert!(refused(weights, |state| state.kept.low = 0.0));
        assert!(refused(weights, |state| state.kept.low = f64::NAN));
        assert!(refused(weights, |state| state.kept.high = f64::INFINITY));
        assert!(refused(weights, |state| state.kept.high = 1e200));
        assert!(refused(weights, |state| state.kept.low = state.kept.high));
        assert!(refused(weights, |state| state.kept.squares = Packed::default()));
        assert!(refused(weights, |state| state.kept.unstratified = 1));
        assert!(refused(weights, |state| (state.kept.weighted, state.kept.weightless) = (Some(false), 0)));
        let strata = [false, true];
        assert!(refused(strata, |state| state.kept.weightless = 1));
        assert!(refused(strata, |state| state.kept.low = 1.0));
        assert!(refused(strata, |state| state.kept.strata = Shards::default()));
        assert!(refused(strata, |state| {
            let one = state.kept.strata.iter().next().unwrap().clone();
            state.kept.strata.add(Stratum(one.0, 1 << 40)).unwrap();
        }));
        assert!(refused(strata, |state| {
            let mut named = Shards::default();
            for (place, mut one) in state.named.iter().cloned().enumerate() {
                one.2 = if place == 0 { None } else { one.2 };
                named.push(one).unwrap();
            }
            state.named = named;
        }));
    }
}
