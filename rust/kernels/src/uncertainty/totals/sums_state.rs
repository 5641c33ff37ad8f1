//! The state of a statistic of sums: its sums over all rows, and those of each cluster.

use super::super::no_estimate::{Ended, NoEstimate, answer};
use super::super::paired::Wide;
use super::super::smooth::{
    Closed, Formula, Frame, Gathered, GatheredRows, Known, Strata, Sums, closed_of, in_domains,
};
use super::boot_state::{sums_of, together, unframed};
use super::by_cluster::{ByCluster, bare_terms, terms};
use super::design::{Kept, RowDesign, moments_of, shared};
use super::facts::Facts;
use super::few::OwnSums;
use super::recipe::Recipe;
use super::sums_design::in_two_strata;
use super::{Refused, added, mixed, sums_bytes};
use crate::clusters::{ByCode, Id, Keyed, Names, Shards, outside};
use crate::exact::Packed;
use crate::grid::{Progress, Stopped, chunk, chunks, map_chunks};
use crate::intervals::Confidence;
use crate::intervals::moments::Moments;
use crate::intervals::spread::STEPS;
use crate::intervals::strata::Average;
use crate::memory::{self, NoMemory};
use crate::simd::scalar;
use crate::state::State;
use crate::state::bytes::{BytesError, Kind};
use std::sync::Arc;

/// The sums of a cluster, of which the first is its number of rows and with weights the second the sum of these; and its
/// stratum, where there are some.
#[derive(Clone, Debug)]
pub(super) struct Named(pub Id, pub OwnSums, pub Option<Arc<Id>>);

impl Keyed for Named {
    type Key = Id;
    fn key(&self) -> &Id {
        &self.0
    }
    fn join(&mut self, other: &Self) -> bool {
        if self.2 != other.2 {
            return false;
        }
        self.1.add(&other.1);
        true
    }
}

/// The state.
#[derive(Debug)]
pub struct SumsTotals {
    pub(super) formula: Formula,
    pub(super) n: u64,
    /// Whether rows come in clusters; `None` before the first row.
    pub(super) clustered: Option<bool>,
    pub(super) columns: Vec<Facts>,
    /// The sums over all rows: of the products that the terms are made of and, without clusters, of those of any two.
    pub(super) sums: Vec<Packed>,
    pub(super) named: Shards<Named>,
    /// What is kept of weights and strata.
    pub(super) kept: Kept,
    /// The number of rows that the caller excluded.
    pub excluded: u64,
    /// The number of rows that were left out for a NaN.
    pub nan: u64,
}

/// What is asked of rows in clusters: the code of each row, and the names of the codes.
pub type Clusters<'a> = Option<(&'a [i64], Names<'a>)>;

impl SumsTotals {
    /// A state without rows.
    pub fn new(formula: Formula) -> Self {
        SumsTotals {
            formula,
            n: 0,
            clustered: None,
            columns: vec![Facts::default(); formula.columns().len()],
            sums: Vec::new(),
            named: Shards::default(),
            kept: Kept::default(),
            excluded: 0,
            nan: 0,
        }
    }

    /// The statistic.
    pub fn formula(&self) -> Formula {
        self.formula
    }

    /// The number of rows, and of clusters.
    pub fn size(&self) -> (u64, usize) {
        (self.n, self.named.len())
    }

    /// Whether rows come in clusters.
    pub fn clustered(&self) -> bool {
        self.clustered == Some(true)
    }

    /// A state of these rows alone.
    pub fn of_rows(
        formula: Formula,
        columns: &[&dyn Wide],
        clusters: Clusters<'_>,
        left_out: [u64; 2],
        progress: Progress<'_>,
    ) -> Result<Result<SumsTotals, Refused>, Stopped> {
        SumsTotals::of_design(formula, columns, clusters, &RowDesign::default(), left_out, progress)
    }

    /// As [`SumsTotals::of_rows`], of rows with weights or strata.
    pub fn of_design(
        formula: Formula,
        columns: &[&dyn Wide],
        clusters: Clusters<'_>,
        design: &RowDesign<'_>,
        left_out: [u64; 2],
        progress: Progress<'_>,
    ) -> Result<Result<SumsTotals, Refused>, Stopped> {
        Ok(match answer(of_rows(formula, columns, clusters, design, left_out, progress))? {
            Ok(made) => made,
            Err(refused) => Err(refused.into()),
        })
    }

    /// The recipe of the sums of clusters.
    pub(super) fn recipe(&self, statistic: &dyn Sums) -> Recipe {
        recipe_of(statistic, self.kept.has_weights())
    }

    /// The frames of the parts of a statistic, and of the weight.
    pub(super) fn frames(&self, statistic: &dyn Sums) -> Result<Vec<Frame>, NoMemory> {
        let mut frames = statistic.frames();
        if self.kept.has_weights() {
            memory::push(&mut frames, self.kept.frame(statistic.degree()))?;
        }
        Ok(frames)
    }

    /// The sums of the terms of each cluster about their centres; `still` where what rounding left of a sum is 0.
    pub(super) fn moved(
        &self,
        recipe: &Recipe,
        frames: &[Frame],
        still: bool,
        progress: Progress<'_>,
    ) -> Result<Vec<Vec<f64>>, Stopped> {
        let clusters: Vec<&Named> = memory::gathered(self.named.iter())?;
        let (moves, each) = (recipe.moves(frames), 256);
        let parts = map_chunks(chunks(clusters.len(), each), clusters.len() * 1024, progress, |index| {
            let within = &clusters[chunk(index, clusters.len(), each)];
            let moved = |named: &&Named| {
                if still { moves.moved_still(&named.1) } else { moves.moved(&named.1) }
            };
            memory::collected(within.iter().map(moved))
        })?;
        Ok(memory::joined(parts)?)
    }

    /// The statistic with its interval, and the kind of the interval in words. `average` is how strata become one
    /// statistic.
    ///
    /// # Errors
    /// Where there is no statistic of all rows.
    pub fn closed(
        &self,
        average: Average,
        confidence: Confidence,
        progress: Progress<'_>,
    ) -> Result<Result<(Closed, &'static str), NoEstimate>, Stopped> {
        answer(self.closed_or_ended(average, confidence, progress))
    }

    fn closed_or_ended(
        &self,
        average: Average,
        confidence: Confidence,
        progress: Progress<'_>,
    ) -> Result<(Closed, &'static str), Ended> {
        let moments: Vec<Moments> = self.columns.iter().map(|facts| facts.moments(self.n)).collect();
        let statistic = self.formula.sums(&moments)?;
        let frames = self.frames(&*statistic)?;
        let found = if self.clustered() {
            let recipe = self.recipe(&*statistic);
            if self.kept.has_weights() {
                self.kept.faint(&recipe, &moments)?;
            }
            // Products with weights are rounded, so that those of a column of one value do not cancel to 0.
            let still = self.kept.has_weights() && moments.iter().any(one_value);
            if still {
                faint(&recipe, &moments)?;
            } else {
                clear(&recipe, &frames, &self.sums, &moments)?;
            }
            let units = self.moved(&recipe, &frames, still, &mut *progress)?;
            let most = self.named.iter().map(|named| rows_of(&named.1)).max().unwrap_or(0);
            let (codes, (weighted, stratified)) = (self.strata_of_clusters()?, self.design());
            let strata = Strata { codes: &codes, count: self.kept.strata.len(), average };
            let known = Known {
                rows: false,
                weighted: weighted.then_some(self.n as f64),
                kish: self.effective(),
                strata: stratified.then_some(strata),
            };
            closed_of(&*statistic, Gathered::Units { units: &units, most, known }, confidence, progress)?
        } else {
            let recipe = Recipe::of_pairs(&*statistic);
            let (totals, squares) = (recipe.moved(&frames, &self.sums), recipe.squares(&frames, &self.sums));
            clear(&recipe, &frames, &self.sums, &moments)?;
            let squared =
                |gradient: &[f64], mean: f64| match recipe.squared(&frames, &self.sums, gradient, mean) {
                    _ if constant(&moments) => Ok(0.0),
                    Some(sum) => Ok(sum),
                    None => Err(blurred(&moments)),
                };
            let narrow = moments.iter().all(|of| scalar(|| of.max - of.min <= STEPS * of.step));
            let (n, squared) = (self.n, &squared);
            let (totals, squares) = (&totals[..], &squares[..]);
            let gathered = Gathered::Rows(GatheredRows { totals, squares, n, narrow, squared });
            closed_of(&*statistic, gathered, confidence, progress)?
        };
        Ok((found, statistic.scale().words()))
    }
}

/// Whether a column holds one value alone.
fn one_value(column: &Moments) -> bool {
    column.min == column.max
}

/// Whether all rows are equal.
fn constant(columns: &[Moments]) -> bool {
    columns.iter().all(one_value)
}

/// Refuses columns whose sums about their centres are not known well; those of equal rows are 0.
pub(super) fn clear(
    recipe: &Recipe,
    frames: &[Frame],
    sums: &[Packed],
    columns: &[Moments],
) -> Result<(), NoEstimate> {
    faint(recipe, columns)?;
    if !constant(columns) && recipe.blurred(frames, sums) { Err(blurred(columns)) } else { Ok(()) }
}

/// The smallest that a power of the largest value of a column may be, so that its digits are numbers of f64 as well.
const FAINT: f64 = 1e-270;

/// Refuses columns whose powers are too small for f64.
fn faint(recipe: &Recipe, columns: &[Moments]) -> Result<(), NoEstimate> {
    let degree = recipe.degree();
    for (column, of) in columns.iter().enumerate() {
        let largest = if -of.min > of.max { -of.min } else { of.max };
        let power = scalar(|| (0..degree).fold(1.0, |power, _| power * largest));
        if degree > 1 && largest > 0.0 && power < FAINT {
            return Err(NoEstimate::TooSmall { column, low: of.min, high: of.max });
        }
    }
    Ok(())
}

/// The refusal of columns that lie too far from 0 beside their spread: names the one whose range is the smallest beside its
/// mean.
fn blurred(columns: &[Moments]) -> NoEstimate {
    let narrow = |of: &Moments| scalar(|| (of.max - of.min) / of.mean.abs());
    let mut column = 0;
    for (place, of) in columns.iter().enumerate() {
        if narrow(of) < narrow(&columns[column]) {
            column = place;
        }
    }
    NoEstimate::Blurred { column, low: columns[column].min, high: columns[column].max }
}

/// The recipe of the sums of clusters.
pub(super) fn recipe_of(statistic: &dyn Sums, weighted: bool) -> Recipe {
    if weighted { Recipe::weighted(statistic) } else { Recipe::of(statistic) }
}

/// The number of rows of a cluster; `u64::MAX` where the first sum is not a whole number.
pub(super) fn rows_of(sums: &[Packed]) -> u64 {
    sums[0].to_whole().unwrap_or(u64::MAX)
}

fn of_rows(
    formula: Formula,
    columns: &[&dyn Wide],
    clusters: Clusters<'_>,
    design: &RowDesign<'_>,
    [excluded, nan]: [u64; 2],
    progress: Progress<'_>,
) -> Result<Result<SumsTotals, Refused>, Ended> {
    let n = columns[0].len();
    let weights = match design.weights {
        Some(weights) if n > 0 => Some(moments_of(weights, columns.len(), &mut *progress)?),
        Some(_) | None => None,
    };
    if weights.is_some_and(|of| scalar(|| of.min <= 0.0)) || design.weights.is_some_and(|of| of.len() != n) {
        return Ok(Err(Refused::Weights));
    }
    let kept = match Kept::of(design, weights.as_ref(), n as u64, &mut *progress)? {
        Ok(kept) => kept,
        Err(refused) => return Ok(Err(refused)),
    };
    let empty = SumsTotals { kept, excluded, nan, ..SumsTotals::new(formula) };
    if n == 0 {
        return Ok(Ok(empty));
    }
    let statistic = unframed(formula)?;
    let recipe = recipe_of(&*statistic, weights.is_some());
    // Whether the sums of the columns follow from those of their clusters.
    let bare = statistic.bare() && clusters.is_some() && weights.is_none() && recipe.degree() < 2;
    let (mut facts, mut units) =
        (memory::with_capacity(columns.len())?, memory::with_capacity(columns.len())?);
    for (place, column) in columns.iter().enumerate() {
        let (of, orders) = Facts::of(*column, place, !bare, &mut *progress)?;
        facts.push(of);
        units.push(orders);
    }
    let mut moments: Vec<Moments> = facts.iter().map(|facts| facts.moments(n as u64)).collect();
    in_domains(&*statistic, &moments)?;
    let mut made = SumsTotals { n: n as u64, clustered: Some(clusters.is_some()), columns: facts, ..empty };
    let Some((codes, names)) = clusters else {
        if let Some(what) = design.alone() {
            return Ok(Err(Refused::NoClusters(what)));
        }
        // The leverage of each row would be its own, which sums do not tell.
        if statistic.sized() && !statistic.answers() {
            return Ok(Err(Refused::NeedsClusters));
        }
        let sums = sums_of(&*statistic, &Recipe::of_pairs(&*statistic), columns, &moments, progress)?;
        return Ok(Ok(SumsTotals { sums, ..made }));
    };
    let count = names.count();
    if let Some(bad) = outside(codes, count, &mut *progress)? {
        return Ok(Err(Refused::Code(bad)));
    }
    let width = recipe.products().len();
    let mut columns: Vec<&dyn Wide> = memory::gathered(columns.iter().copied())?;
    if let Some(of) = &design.weights {
        // The weight of a row is its last part.
        memory::push(&mut columns, of)?;
        moments.extend(weights);
    }
    let terms = if bare {
        bare_terms(&recipe, &columns, &units)?
    } else {
        terms(&*statistic, &recipe, &columns, &moments, &mut *progress)?
    };
    let by_cluster = ByCluster::of(&terms, width, (codes, count), &mut *progress)?;
    let sums = by_cluster.all(n)?;
    if bare {
        for (powers, sum) in recipe.products().iter().zip(&sums) {
            for (facts, _) in made.columns.iter_mut().zip(powers).filter(|&(_, &power)| power > 0) {
                facts.sum = sum.clone();
            }
        }
    }
    Ok(match named(&by_cluster, design, names, progress)? {
        Ok(named) => Ok(SumsTotals { sums, named, ..made }),
        Err(refused) => Err(refused),
    })
}

/// The clusters of a batch by their names.
fn named(
    by_cluster: &ByCluster,
    design: &RowDesign<'_>,
    names: Names<'_>,
    progress: Progress<'_>,
) -> Result<Result<Shards<Named>, Refused>, Stopped> {
    let strata = shared(design.strata)?;
    let stratum = |code: usize| match design.strata {
        None => Some(None),
        Some(of) => {
            let code = usize::try_from(*of.of_clusters.get(code)?).ok()?;
            strata.get(code).cloned().map(Some)
        }
    };
    let lacks = |&code: &usize| by_cluster.has(code) && stratum(code).is_none();
    if let Some(bad) = (0..names.count()).find(lacks) {
        return Ok(Err(Refused::Stratum(bad)));
    }
    let item = |code: usize| {
        let sums = by_cluster.has(code).then(|| by_cluster.sums(code))?;
        Some(Named(names.id(code)?, sums, stratum(code)?))
    };
    Ok(ByCode { names, item }.list(progress)?.map_err(Refused::Code))
}

impl State for SumsTotals {
    const KIND: Kind = Kind::Statistic;
    type Refused = Refused;

    fn copied(&self) -> Result<Self, NoMemory> {
        Ok(SumsTotals {
            columns: memory::collected(self.columns.iter().cloned())?,
            sums: memory::collected(self.sums.iter().cloned())?,
            named: self.named.copied()?,
            kept: self.kept.copied()?,
            ..*self
        })
    }

    fn merged(
        &self,
        other: &SumsTotals,
        progress: Progress<'_>,
    ) -> Result<Result<SumsTotals, Refused>, Stopped> {
        if self.formula != other.formula {
            return Ok(Err(Refused::Other));
        }
        if mixed(self.clustered, other.clustered) {
            return Ok(Err(Refused::MixedClusters));
        }
        let kept = match self.kept.merged(&other.kept, &mut *progress)? {
            Ok(kept) => kept,
            Err(refused) => return Ok(Err(refused)),
        };
        let counts = added([self.n, self.excluded, self.nan], [other.n, other.excluded, other.nan]);
        let Some([n, excluded, nan]) = counts else { return Ok(Err(Refused::TooMany)) };
        let Some(named) = self.named.merged(&other.named, progress)? else {
            return Ok(Err(in_two_strata(&self.named, &other.named)));
        };
        // A state without rows has no sums yet.
        let sums = match (self.n, other.n) {
            (0, _) => memory::collected(other.sums.iter().cloned())?,
            (_, 0) => memory::collected(self.sums.iter().cloned())?,
            _ => together(&self.sums, &other.sums)?,
        };
        Ok(Ok(SumsTotals {
            formula: self.formula,
            n,
            clustered: self.clustered.or(other.clustered),
            columns: memory::collected(self.columns.iter().zip(&other.columns).map(|(a, b)| a.plus(b)))?,
            sums,
            named,
            kept,
            excluded,
            nan,
        }))
    }

    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        sums_bytes::write(self, config, progress)
    }

    fn from_bytes(bytes: &[u8], progress: Progress<'_>) -> Result<(Self, Vec<u8>), BytesError> {
        sums_bytes::read(bytes, progress)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::intervals::Alternative;
    use crate::named::Named as _;
    use crate::uncertainty::Design;
    use crate::uncertainty::smooth::{closed, statistic};
    use crate::uncertainty::statistic::Name;

    pub(in super::super) const CONFIDENCE: Confidence =
        Confidence { level: 0.95, alternative: Alternative::TwoSided };
    pub(in super::super) const ROWS: usize = 3_000;

    /// Columns that the statistic takes: answers where it takes them, else values far from 0.
    fn columns(name: Name) -> Vec<Vec<f64>> {
        let noise =
            |i: usize, step: usize| ((i * step + 17) * 2_654_435_761 % 1_000_003) as f64 / 1_000_003.0;
        let far = |x: f64| x * x * (x * x);
        let about = name.about().columns;
        (about.iter().enumerate())
            .map(|(place, column)| {
                let answer = move |i: usize, share: f64| f64::from(u8::from(noise(i, 5 + 4 * place) < share));
                (0..ROWS)
                    .map(|i| match *column {
                        "predictions" | "targets" if !matches!(name, Name::Rmse | Name::R2) => {
                            if noise(i, 31) < 0.6 { answer(i, 0.5) } else { f64::from(u8::from(i % 3 == 0)) }
                        }
                        "probabilities" => 0.05 + 0.9 * noise(i, 3),
                        _ if about.len() > 4 => (1.0 + 9.0 * noise(i, 7 + 6 * place)).floor(),
                        _ => 100.0 + noise(i, 7) + noise(i, 11 + 6 * place) + far(noise(i, 3 + place)),
                    })
                    .collect()
            })
            .collect()
    }

    pub(in super::super) fn formulas() -> Vec<Formula> {
        let one = Name::ALL.iter().copied().filter(|name| name.ordered(&[0.5]).is_none()).map(Formula::One);
        one.chain([Formula::Quotient(Name::Mean, Name::Std), Formula::Quotient(Name::F1, Name::Accuracy)])
            .collect()
    }

    fn name_of(formula: Formula) -> Name {
        let (Formula::One(name) | Formula::Quotient(name, _) | Formula::Difference(name)) = formula;
        name
    }

    pub(in super::super) fn with(formula: Formula, check: impl Fn(&[&dyn Wide])) {
        let columns = columns(name_of(formula));
        let slices: Vec<&[f64]> = columns.iter().map(|column| &column[..]).collect();
        let wide: Vec<&dyn Wide> = slices.iter().map(|slice| slice as &dyn Wide).collect();
        check(&wide);
    }

    fn close(a: f64, b: f64) -> bool {
        a.is_nan() && b.is_nan() || a == b || (a - b).abs() <= 3e-9 * (a.abs() + b.abs())
    }

    pub(in super::super) fn check(formula: Formula, got: Closed, want: Closed) {
        let numbers = |of: &Closed| {
            [of.value, of.standard_error, of.interval.low, of.interval.high, of.df, of.n_effective]
        };
        let same = numbers(&got).into_iter().zip(numbers(&want)).all(|(a, b)| close(a, b));
        assert!(
            same && (got.unspread, got.plain) == (want.unspread, want.plain),
            "{formula:?}: {got:?} {want:?}"
        );
    }

    #[test]
    fn states_say_what_the_closed_form_says() {
        let codes: Vec<i64> = (0..ROWS as i64).map(|i| if i < 101 { i } else { i * i % 101 }).collect();
        let ids: Vec<i64> = (0..101).collect();
        for formula in formulas() {
            with(formula, |wide| {
                let statistic = statistic(formula, wide, &mut |_| true).unwrap().unwrap();
                for clustered in [true, false] {
                    let clusters = clustered.then_some((&codes[..], Names::Numbers(&ids)));
                    let made = SumsTotals::of_rows(formula, wide, clusters, [0; 2], &mut |_| true).unwrap();
                    if !clustered && statistic.sized() && !statistic.answers() {
                        assert!(matches!(made, Err(Refused::NeedsClusters)), "{formula:?}");
                        continue;
                    }
                    let design =
                        if clustered { Design::Clusters { codes: &codes, count: 101 } } else { Design::Rows };
                    let want = closed(&*statistic, wide, None, design, None, CONFIDENCE, &mut |_| true);
                    let got =
                        made.unwrap().closed(Average::Micro, CONFIDENCE, &mut |_| true).unwrap().unwrap().0;
                    check(formula, got, want.unwrap().unwrap());
                }
            });
        }
    }

    #[test]
    fn rows_of_other_statistics_have_the_size_1() {
        for formula in formulas() {
            with(formula, |wide| {
                let statistic = statistic(formula, wide, &mut |_| true).unwrap().unwrap();
                let width = statistic.width();
                let mut terms = vec![0.0; ROWS * width];
                let columns = columns(name_of(formula));
                let slices: Vec<&[f64]> = columns.iter().map(|column| &column[..]).collect();
                statistic.terms(&slices, width, &mut terms);
                let ones = terms.chunks(width).all(|row| statistic.size(row) == 1.0);
                assert_eq!(ones, !statistic.sized(), "{formula:?}");
            });
        }
    }

    /// A column without its first rows.
    struct From<'a>(&'a dyn Wide, usize, usize);

    impl Wide for From<'_> {
        fn len(&self) -> usize {
            self.2 - self.1
        }
        fn widen(&self, start: usize, out: &mut [f64]) {
            self.0.widen(self.1 + start, out);
        }
        fn rounded(&self, x: f64) -> f64 {
            x
        }
        fn epsilon(&self) -> f64 {
            self.0.epsilon()
        }
        fn moments(&self, progress: Progress<'_>) -> Result<crate::intervals::moments::Column, Stopped> {
            let mut values = vec![0.0; self.len()];
            self.widen(0, &mut values);
            crate::intervals::moments::moments(&values, progress)
        }
        fn cluster_sums(
            &self,
            _: &[i64],
            _: usize,
            _: f64,
            _: Progress<'_>,
        ) -> Result<Option<crate::intervals::cluster::ClusterSums>, Stopped> {
            Ok(None)
        }
    }

    #[test]
    fn every_split_gives_the_same_bytes() {
        let codes: Vec<i64> = (0..ROWS as i64).map(|i| if i < 101 { i } else { i * i % 101 }).collect();
        let ids: Vec<i64> = (0..101).map(|id| id * 7 - 40).collect();
        for formula in formulas() {
            with(formula, |wide| {
                let of = |from: usize, to: usize| {
                    let parts: Vec<From<'_>> = wide.iter().map(|column| From(*column, from, to)).collect();
                    let parts: Vec<&dyn Wide> = parts.iter().map(|part| part as &dyn Wide).collect();
                    let clusters = Some((&codes[from..to], Names::Numbers(&ids)));
                    SumsTotals::of_rows(formula, &parts, clusters, [1, 2], &mut |_| true).unwrap().unwrap()
                };
                let bytes = |state: &SumsTotals| state.to_bytes(b"{}", &mut |_| true).unwrap().unwrap();
                let whole = of(0, ROWS).merged(&of(0, 0), &mut |_| true).unwrap().unwrap();
                let parts = [of(0, 1), of(1, 1200), of(1200, ROWS)];
                let backwards = (parts[2].merged(&parts[0], &mut |_| true).unwrap())
                    .and_then(|some| some.merged(&parts[1], &mut |_| true).unwrap())
                    .unwrap();
                let counts = |state: &SumsTotals| (state.size(), state.excluded);
                assert_eq!((counts(&whole), counts(&backwards)), (((3_000, 101), 2), ((3_000, 101), 3)));
                let same = SumsTotals { excluded: 2, nan: 4, ..backwards };
                assert!(bytes(&same) == bytes(&whole), "{formula:?}");
                let (read, config) = SumsTotals::from_bytes(&bytes(&whole), &mut |_| true).unwrap();
                assert_eq!((bytes(&read), &config[..]), (bytes(&whole), &b"{}"[..]));
            });
        }
    }

    #[test]
    fn what_lies_too_far_from_0_is_refused() {
        let column: Vec<f64> = (0..500).map(|i| 1e9 + f64::from(i % 7)).collect();
        let of = |name, column: &[f64]| {
            let made = SumsTotals::of_rows(Formula::One(name), &[&column], None, [0; 2], &mut |_| true);
            made.unwrap()
                .unwrap()
                .closed(Average::Micro, CONFIDENCE, &mut |_| true)
                .unwrap()
                .map(|found| found.0)
        };
        assert!(matches!(of(Name::Variance, &column), Err(NoEstimate::Blurred { column: 0, .. })));
        assert!(matches!(of(Name::Kurtosis, &column), Err(NoEstimate::Blurred { .. })));
        let nearer: Vec<f64> = column.iter().map(|x| x - 1e9).collect();
        let wanted = [of(Name::Variance, &nearer).unwrap(), of(Name::Kurtosis, &nearer).unwrap()];
        let far: Vec<f64> = nearer.iter().map(|x| x + 500.0).collect();
        let found = [of(Name::Variance, &far).unwrap(), of(Name::Kurtosis, &far).unwrap()];
        for (got, want) in found.iter().zip(&wanted) {
            assert!((got.standard_error / want.standard_error - 1.0).abs() < 1e-6, "{got:?} {want:?}");
        }
    }

    #[test]
    fn a_sum_far_from_0_keeps_its_spread_and_scales_change_nothing() {
        let noise: Vec<f64> = (0..2_000).map(|i: u32| f64::from(i * 7919 % 997) / 300.0).collect();
        let of = |name, columns: &[&dyn Wide]| {
            let made = SumsTotals::of_rows(Formula::One(name), columns, None, [0; 2], &mut |_| true);
            made.unwrap()
                .unwrap()
                .closed(Average::Micro, CONFIDENCE, &mut |_| true)
                .unwrap()
                .map(|found| found.0)
        };
        for far in [1e7, 2e7] {
            let column: Vec<f64> = noise.iter().map(|x| x + far).collect();
            let statistic =
                statistic(Formula::One(Name::Sum), &[&&column[..]], &mut |_| true).unwrap().unwrap();
            let wide: [&dyn Wide; 1] = [&&column[..]];
            let want = closed(&*statistic, &wide, None, Design::Rows, None, CONFIDENCE, &mut |_| true);
            let (got, want) = (of(Name::Sum, &wide).unwrap(), want.unwrap().unwrap());
            assert!((got.standard_error / want.standard_error - 1.0).abs() < 1e-6, "{got:?} {want:?}");
        }
        let other: Vec<f64> = (0..2_000).map(|i: u32| f64::from(i * 104_729 % 991) / 300.0).collect();
        let one = of(Name::Slope, &[&&noise[..], &&other[..]]).unwrap();
        for scale in [1e40, 1e54] {
            let (x, y): (Vec<f64>, Vec<f64>) =
                (noise.iter().map(|x| x * scale).collect(), other.iter().map(|y| y / scale).collect());
            let scaled = of(Name::Slope, &[&&x[..], &&y[..]]).unwrap();
            let ratio = scaled.standard_error * scale * scale / one.standard_error;
            assert!((ratio - 1.0).abs() < 1e-9, "{scale}: {ratio}");
        }
        let tiny: Vec<f64> = other.iter().map(|y| y * 1e-80).collect();
        assert!(matches!(
            of(Name::Correlation, &[&&noise[..], &&tiny[..]]),
            Err(NoEstimate::TooSmall { column: 1, .. })
        ));
    }

    #[test]
    fn equal_rows_show_no_spread() {
        let column: &[f64] = &[0.1; 50];
        for name in [Name::Variance, Name::GeometricMean, Name::Sum] {
            let made = SumsTotals::of_rows(Formula::One(name), &[&column], None, [0; 2], &mut |_| true);
            let found =
                made.unwrap().unwrap().closed(Average::Micro, CONFIDENCE, &mut |_| true).unwrap().unwrap().0;
            assert!(found.unspread, "{name:?}: {found:?}");
        }
    }
}
