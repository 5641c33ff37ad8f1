//! Totals of negative log-likelihoods (NLL) per cluster. They are exact, so that any split and order gives the same
//! bits.

use crate::clusters::{Id, Keyed, Names, Shards};
use crate::exact::Fixed;
use crate::grid::{Pace, Progress, Stopped, chunk, chunks, each_chunk};
use crate::memory::{self, NoMemory};
use crate::simd::{Element, Precision};
use crate::sorting::sorted;

/// The approximate number of tokens between two calls of `progress`.
const TOKENS: usize = 1 << 16;

/// Status of a token that counts.
pub const COUNTS: u8 = 1;
/// Status of a token that the caller excluded.
pub const EXCLUDED: u8 = 0;
/// Status of a token that was never scored.
pub const IGNORED: u8 = 2;

/// The totals of one cluster (a document, a user, a row).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Total {
    /// The number of counted tokens.
    pub tokens: u64,
    /// The number of units by which the NLL is divided: the tokens themselves, or words, bytes, and so on.
    pub units: Fixed,
    /// The sum of the NLL of counted tokens in nats; infinite ones are left out.
    pub nll: Fixed,
}

impl Total {
    /// Adds another total. False where a count or a sum would leave its range; then `self` may be partly changed.
    pub(super) fn merge(&mut self, other: &Total) -> bool {
        let Some(tokens) = self.tokens.checked_add(other.tokens) else { return false };
        self.tokens = tokens;
        self.units.merge(other.units) && self.nll.merge(other.nll)
    }
}

/// A cluster with a name.
#[derive(Clone, Debug)]
pub(super) struct Named(pub Id, pub Total);

impl Keyed for Named {
    type Key = Id;
    fn key(&self) -> &Id {
        &self.0
    }
    fn join(&mut self, other: &Self) -> bool {
        let mut sum = self.1;
        let fits = sum.merge(&other.1);
        if fits {
            self.1 = sum;
        }
        fits
    }
}

/// One number per token, one per row, or none.
#[derive(Clone, Copy, Debug)]
pub enum Per<'a, T> {
    /// No numbers.
    Nothing,
    /// One number per token.
    Token(&'a [T]),
    /// One number per row, which counts if at least one token of the row does.
    Row(&'a [T]),
}

/// Tokens to be added, in rows of `length` tokens each.
#[derive(Clone, Copy)]
pub struct Batch<'a, T> {
    /// NLL in nats.
    pub nll: &'a [T],
    /// [`COUNTS`], [`EXCLUDED`] or [`IGNORED`] for each token; `None` where all count.
    pub status: Option<&'a [u8]>,
    /// Tokens per row.
    pub length: usize,
    /// The cluster of each token or row, in `0..clusters`.
    pub codes: Per<'a, i64>,
    /// The number of clusters.
    pub clusters: usize,
    /// The units by which the NLL is divided, instead of the number of tokens.
    pub per: Per<'a, f64>,
    /// Whether an NLL that is NaN is left out and counted, instead of being refused.
    pub omit_nan: bool,
}

/// Why a batch or a state is refused, mostly with the index of the first token to blame; none of it has been added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refused {
    /// An NLL is NaN.
    Nan(usize),
    /// An NLL is below zero; holds its index and the NLL.
    Negative(usize, f64),
    /// A finite NLL is 2^62 or more, or with it the sum of its cluster would be 2^63 or more.
    TooLarge(usize),
    /// The totals of the state would leave their range.
    Total,
    /// A number in `per` is negative, not finite or too large; holds its own index (of a token or a row) and the
    /// number.
    Per(usize, f64),
    /// One of the two has names for its clusters and the other has none.
    MixedNames,
    /// One of the two has `per` and the other has not.
    MixedPer,
    /// A code is outside `0..clusters`; holds the index of its token or row.
    Code(usize),
    /// A status is none of [`COUNTS`], [`EXCLUDED`] and [`IGNORED`]; holds its index.
    Status(usize),
    /// `per` has one number per row while each token has a cluster of its own, so that it is not known to which cluster
    /// the number of a row belongs.
    PerOfRows,
}

/// The state of a perplexity: the totals of all batches.
#[derive(Debug, Default)]
pub struct Totals {
    pub(super) named: Shards<Named>,
    /// The totals of clusters without a name: a multiset, which is sorted when it is read.
    pub(super) unnamed: Shards<Total>,
    /// Whether batches have `per`; `None` before the first.
    pub(super) per: Option<bool>,
    /// The total of all clusters. Since it is in its range, that of every cluster is.
    pub(super) all: Total,
    /// The least precise type in which counted tokens came: means that differ only by its rounding count as equal.
    pub precision: Precision,
    /// The number of counted tokens with an infinite NLL.
    pub infinite: u64,
    /// The number of tokens whose NLL was NaN and was left out.
    pub nan: u64,
    /// The number of tokens that the caller excluded.
    pub excluded: u64,
    /// The number of tokens that were never scored.
    pub ignored: u64,
}

/// The totals of a batch by the codes of its clusters, which have no names yet.
pub struct Summed {
    totals: Vec<Total>,
    precision: Precision,
    per: bool,
    infinite: u64,
    nan: u64,
    excluded: u64,
    ignored: u64,
}

/// Sums a batch by cluster, or refuses it.
pub fn sum_batch<T: Element>(
    batch: &Batch<'_, T>,
    progress: Progress<'_>,
) -> Result<Result<Summed, Refused>, Stopped> {
    if matches!((batch.per, batch.codes), (Per::Row(_), Per::Token(_))) {
        return Ok(Err(Refused::PerOfRows));
    }
    let rows = batch.nll.len().checked_div(batch.length).unwrap_or(0); // rows of no tokens are none
    let mut summed = Summed {
        totals: memory::with_capacity(batch.clusters)?,
        precision: T::PRECISION,
        per: !matches!(batch.per, Per::Nothing),
        infinite: 0,
        nan: 0,
        excluded: 0,
        ignored: 0,
    };
    // One number per row is added after the tokens, since it counts only if a token of the row does.
    let mut counts = memory::filled(if matches!(batch.per, Per::Row(_)) { rows } else { 0 }, false)?;
    let mut pace = Pace::new(&mut *progress);
    while summed.totals.len() < batch.clusters {
        let next = batch.clusters.min(summed.totals.len() + TOKENS);
        summed.totals.resize(next, Total::default());
        pace.stride(0)?;
    }
    let mut outcome = Ok(());
    let (n, mut row, mut row_end) = (batch.nll.len(), 0, batch.length);
    let mut tokens_done = |done: usize| progress((done * TOKENS).min(n));
    each_chunk(chunks(n, TOKENS), &mut tokens_done, |index| {
        for i in chunk(index, n, TOKENS) {
            if i == row_end {
                (row, row_end) = (row + 1, row_end + batch.length);
            }
            if outcome.is_ok() {
                outcome = summed.add(batch, i, row, &mut counts);
            }
        }
    })?;
    let mut all_done = |_| progress(n);
    let mut pace = Pace::new(&mut all_done);
    if matches!(batch.per, Per::Nothing) {
        for part in summed.totals.chunks_mut(TOKENS) {
            for total in part {
                total.units = Fixed::from_f64(total.tokens as f64).unwrap_or_default();
            }
            pace.stride(0)?;
        }
    }
    if let Per::Row(per) = batch.per {
        for row in 0..rows {
            if outcome.is_ok() && counts[row] {
                outcome = summed.add_units(batch.codes, row, per[row]);
            }
            pace.step()?;
        }
    }
    Ok(outcome.map(|()| summed))
}

impl Summed {
    /// Adds the units of a row to its cluster.
    fn add_units(&mut self, codes: Per<'_, i64>, row: usize, units: f64) -> Result<(), Refused> {
        let code = match codes {
            Per::Nothing => 0,
            Per::Row(codes) => codes[row],
            Per::Token(_) => return Err(Refused::PerOfRows),
        };
        let total = self.totals.get_mut(code as usize).ok_or(Refused::Code(row))?;
        if units >= 0.0 && total.units.add(units) { Ok(()) } else { Err(Refused::Per(row, units)) }
    }

    /// Adds token `i`, which lies in `row`.
    #[inline]
    fn add<T: Element>(
        &mut self,
        batch: &Batch<'_, T>,
        i: usize,
        row: usize,
        counts: &mut [bool],
    ) -> Result<(), Refused> {
        match batch.status.map_or(COUNTS, |status| status[i]) {
            COUNTS => {}
            EXCLUDED => {
                self.excluded += 1;
                return Ok(());
            }
            IGNORED => {
                self.ignored += 1;
                return Ok(());
            }
            _ => return Err(Refused::Status(i)),
        }
        let nll = batch.nll[i].to_f64();
        if nll.is_nan() {
            self.nan += 1;
            return if batch.omit_nan { Ok(()) } else { Err(Refused::Nan(i)) };
        }
        if nll < 0.0 {
            return Err(Refused::Negative(i, nll));
        }
        let code = match batch.codes {
            Per::Nothing => 0,
            Per::Token(codes) => codes[i],
            Per::Row(codes) => codes[row],
        };
        let total = self.totals.get_mut(code as usize).ok_or(Refused::Code(i))?;
        total.tokens += 1;
        match batch.per {
            Per::Nothing => {}
            Per::Row(_) => counts[row] = true,
            Per::Token(per) => {
                let units = per[i];
                if !(units >= 0.0 && total.units.add(units)) {
                    return Err(Refused::Per(i, units));
                }
            }
        }
        if nll == f64::INFINITY {
            self.infinite += 1;
            return Ok(());
        }
        if total.nll.add(nll) { Ok(()) } else { Err(Refused::TooLarge(i)) }
    }
}

impl Totals {
    /// A state without tokens.
    pub fn new() -> Self {
        Totals::default()
    }

    /// This state with a batch added, under the names of its clusters. A cluster without counted tokens is left out.
    pub fn with(
        &self,
        batch: &Summed,
        names: Names<'_>,
        progress: Progress<'_>,
    ) -> Result<Result<Totals, Refused>, Stopped> {
        let mut pace = Pace::new(&mut *progress);
        let mut other = Totals {
            per: Some(batch.per),
            precision: batch.precision,
            infinite: batch.infinite,
            nan: batch.nan,
            excluded: batch.excluded,
            ignored: batch.ignored,
            ..Totals::default()
        };
        for (code, &total) in batch.totals.iter().enumerate() {
            if total.tokens > 0 && !other.put(names.id(code), total)? {
                return Ok(Err(Refused::Total));
            }
            pace.step()?;
        }
        if other.is_empty() {
            (other.per, other.precision) = (None, Precision::default());
        }
        self.merged_at(&other, progress)
    }

    /// Adds the total of a cluster; false where a sum would leave its range.
    fn put(&mut self, id: Option<Id>, total: Total) -> Result<bool, NoMemory> {
        if !self.all.merge(&total) {
            return Ok(false);
        }
        match id {
            Some(id) => self.named.add(Named(id, total)),
            None => self.unnamed.push(total).map(|()| true),
        }
    }

    pub(super) fn merged_at(
        &self,
        other: &Totals,
        progress: Progress<'_>,
    ) -> Result<Result<Totals, Refused>, Stopped> {
        if let Err(refused) = self.takes(other) {
            return Ok(Err(refused));
        }
        let Some(sums) = self.sums_with(other) else { return Ok(Err(Refused::Total)) };
        let Some(named) = self.named.merged(&other.named, &mut *progress)? else {
            return Ok(Err(Refused::Total));
        };
        let unnamed = self.unnamed.joined(&other.unnamed, &mut Pace::new(progress))?;
        Ok(Ok(Totals { named, unnamed, ..sums }))
    }

    /// The sums of everything except the lists of clusters; `None` where a count or a sum would leave its range.
    fn sums_with(&self, other: &Totals) -> Option<Totals> {
        let mut all = self.all;
        all.merge(&other.all).then_some(())?;
        Some(Totals {
            per: self.per.or(other.per),
            all,
            precision: self.precision.max(other.precision),
            infinite: self.infinite.checked_add(other.infinite)?,
            nan: self.nan.checked_add(other.nan)?,
            excluded: self.excluded.checked_add(other.excluded)?,
            ignored: self.ignored.checked_add(other.ignored)?,
            ..Totals::default()
        })
    }

    /// Whether both states have names or neither has, and the same for `per`.
    fn takes(&self, other: &Totals) -> Result<(), Refused> {
        let named = |totals: &Totals| !totals.named.is_empty();
        let unnamed = |totals: &Totals| !totals.unnamed.is_empty();
        if (named(self) && unnamed(other)) || (unnamed(self) && named(other)) {
            return Err(Refused::MixedNames);
        }
        if self.per.zip(other.per).is_some_and(|(a, b)| a != b) {
            return Err(Refused::MixedPer);
        }
        Ok(())
    }

    /// Whether no token has been counted.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed.is_empty()
    }

    /// The number of counted tokens, and of clusters with counted tokens.
    pub fn size(&self) -> (u64, usize) {
        (self.all.tokens, self.clusters())
    }

    /// The number of clusters with counted tokens.
    pub(super) fn clusters(&self) -> usize {
        self.named.len() + self.unnamed.len()
    }

    /// The totals of the clusters without a name, sorted.
    pub(super) fn sorted_unnamed(&self, pace: &mut Pace<'_>) -> Result<Vec<Total>, Stopped> {
        let mut totals = memory::with_capacity(self.unnamed.len())?;
        for &total in self.unnamed.iter() {
            totals.push(total);
            pace.step()?;
        }
        sorted(totals, Ord::cmp, pace)
    }

    /// The totals of all clusters: in the order of their names, or sorted where they have none.
    pub(super) fn rows(&self, pace: &mut Pace<'_>) -> Result<Vec<Total>, Stopped> {
        let mut rows = memory::with_capacity(self.named.len())?;
        for Named(_, total) in self.named.iter() {
            rows.push(*total);
            pace.step()?;
        }
        // One of the two lists is empty, since states with and without names are not merged.
        if rows.is_empty() { self.sorted_unnamed(pace) } else { Ok(rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    fn go(_: usize) -> bool {
        true
    }

    fn batch<'a>(nll: &'a [f64], length: usize, codes: Per<'a, i64>, clusters: usize) -> Batch<'a, f64> {
        Batch { nll, status: None, length, codes, clusters, per: Per::Nothing, omit_nan: false }
    }

    fn add(totals: &mut Totals, batch: &Batch<'_, f64>, names: Names<'_>) -> Result<(), Refused> {
        let summed = sum_batch(batch, &mut go).unwrap()?;
        *totals = totals.with(&summed, names, &mut go).unwrap()?;
        Ok(())
    }

    fn units(x: f64) -> Fixed {
        Fixed::from_f64(x).unwrap()
    }

    #[test]
    fn a_document_may_be_split_over_updates_in_any_order() {
        let nll = [1.5, 2.25, 0.5, 4.0, 1.0];
        let (codes, names) = ([1, 0, 0, 2, 1], ["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        let mut whole = Totals::new();
        add(&mut whole, &batch(&nll, 5, Per::Token(&codes), 3), Names::Texts(&names)).unwrap();
        let mut parts = Totals::new();
        for i in [3, 0, 4, 2, 1] {
            let one = batch(&nll[i..=i], 1, Per::Token(&codes[i..=i]), 3);
            add(&mut parts, &one, Names::Texts(&names)).unwrap();
        }
        assert_eq!(whole.to_bytes(b"", &mut go), parts.to_bytes(b"", &mut go));
        assert_eq!(whole.size(), (5, 3));
        assert_eq!(
            whole.named.get(&Id::Text("b".into())).unwrap().1,
            Total { tokens: 2, units: units(2.0), nll: units(2.5) }
        );
    }

    #[test]
    fn rows_without_a_name_are_a_multiset() {
        let (forth, back) = ([1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 1.0, 2.0]);
        let mut a = Totals::new();
        add(&mut a, &batch(&forth, 2, Per::Row(&[0, 1]), 2), Names::None).unwrap();
        let mut b = Totals::new();
        add(&mut b, &batch(&back[..2], 2, Per::Row(&[0]), 1), Names::None).unwrap();
        add(&mut b, &batch(&back[2..], 2, Per::Row(&[0]), 1), Names::None).unwrap();
        assert_eq!(a.to_bytes(b"", &mut go), b.to_bytes(b"", &mut go));
        assert_eq!(a.size(), (4, 2));
    }

    #[test]
    fn units_of_a_row_go_to_the_cluster_of_the_row_or_are_refused() {
        let (nll, per) = ([1.0, 2.0, 3.0, 4.0], [10.0, 20.0]);
        let with_codes = |codes| Batch { per: Per::Row(&per), ..batch(&nll, 2, codes, 2) };
        let mut totals = Totals::new();
        let by_tokens = with_codes(Per::Token(&[0, 1, 0, 1]));
        assert_eq!(add(&mut totals, &by_tokens, Names::None), Err(Refused::PerOfRows));
        assert!(totals.is_empty());
        add(&mut totals, &with_codes(Per::Nothing), Names::None).unwrap();
        assert_eq!((totals.all.units, totals.size()), (units(30.0), (4, 1)));
        add(&mut totals, &with_codes(Per::Row(&[1, 0])), Names::None).unwrap();
        assert_eq!((totals.all.units, totals.size()), (units(60.0), (8, 3)));
    }

    #[test]
    fn an_unknown_status_is_refused() {
        let unknown = Batch { status: Some(&[COUNTS, 3]), ..batch(&[1.0, 2.0], 2, Per::Nothing, 1) };
        assert_eq!(add(&mut Totals::new(), &unknown, Names::None), Err(Refused::Status(1)));
    }

    #[test]
    fn tokens_that_are_left_out_are_counted() {
        let nll = [1.0, f64::NAN, f64::NAN, 2.0, f64::INFINITY, 7.0];
        let status = [COUNTS, IGNORED, COUNTS, COUNTS, COUNTS, EXCLUDED];
        let mut totals = Totals::new();
        let strict = Batch { status: Some(&status), ..batch(&nll, 3, Per::Row(&[0, 1]), 2) };
        assert_eq!(add(&mut totals, &strict, Names::None), Err(Refused::Nan(2)));
        assert!(totals.is_empty());
        add(&mut totals, &Batch { omit_nan: true, ..strict }, Names::None).unwrap();
        assert_eq!((totals.infinite, totals.nan, totals.excluded, totals.ignored), (1, 1, 1, 1));
        assert_eq!(totals.size(), (3, 2));
    }

    #[test]
    fn one_number_per_row_counts_with_the_rows_tokens() {
        let status = [COUNTS, COUNTS, EXCLUDED, EXCLUDED];
        let by_rows = Batch {
            status: Some(&status),
            per: Per::Row(&[10.0, 99.0]),
            ..batch(&[1.0; 4], 2, Per::Row(&[0, 1]), 2)
        };
        let mut totals = Totals::new();
        add(&mut totals, &by_rows, Names::Numbers(&[7, 8])).unwrap();
        let rows: Vec<_> = totals.named.iter().map(|named| (named.0.clone(), named.1)).collect();
        let expected = Total { tokens: 2, units: units(10.0), nll: units(2.0) };
        assert_eq!(rows, [(Id::Number(7), expected)]);
        let bad = Batch { status: None, per: Per::Row(&[1.0, -1.0]), ..by_rows };
        assert_eq!(add(&mut totals, &bad, Names::Numbers(&[7, 8])), Err(Refused::Per(1, -1.0)));
    }

    #[test]
    fn states_with_and_without_names_or_per_do_not_mix() {
        let one = batch(&[1.0], 1, Per::Row(&[0]), 1);
        let mut totals = Totals::new();
        add(&mut totals, &one, Names::Numbers(&[1])).unwrap();
        assert_eq!(add(&mut totals, &one, Names::None), Err(Refused::MixedNames));
        let per = Batch { per: Per::Row(&[2.0]), ..one };
        assert_eq!(add(&mut totals, &per, Names::Numbers(&[1])), Err(Refused::MixedPer));
        assert_eq!(
            add(&mut totals, &batch(&[-1.0], 1, Per::Row(&[0]), 1), Names::None),
            Err(Refused::Negative(0, -1.0))
        );
        assert_eq!(
            add(&mut totals, &batch(&[1e300], 1, Per::Row(&[0]), 1), Names::None),
            Err(Refused::TooLarge(0))
        );
        assert_eq!(totals.size(), (1, 1));
    }

    #[test]
    fn bytes_round_trip_and_truncated_ones_are_refused() {
        let mut totals = Totals::new();
        let nll = [1.5, 2.25, 0.5];
        let names = [String::new(), "doc/\u{e9}".to_owned(), "z".to_owned()];
        add(&mut totals, &batch(&nll, 3, Per::Token(&[0, 1, 2]), 3), Names::Texts(&names)).unwrap();
        add(&mut totals, &batch(&nll, 3, Per::Token(&[0, 1, 1]), 2), Names::Numbers(&[-5, 1 << 40])).unwrap();
        let bytes = totals.to_bytes(b"{}", &mut go).unwrap().unwrap();
        let (back, config) = Totals::from_bytes(&bytes, &mut go).unwrap();
        assert_eq!(
            (back.to_bytes(b"{}", &mut go).unwrap().unwrap(), config),
            (bytes.clone(), b"{}".to_vec())
        );
        for length in 0..bytes.len() {
            assert!(Totals::from_bytes(&bytes[..length], &mut go).is_err());
        }
    }
}
