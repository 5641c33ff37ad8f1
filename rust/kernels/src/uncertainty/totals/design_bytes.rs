//! The bytes of what a state keeps of weights and strata: `u64 weighted, stratified, weightless, unstratified`, the bits of the
//! smallest and the largest weight, the sum of their squares, `u64 strata`, and for each stratum its id and `u64 rows`.

use super::design::{Kept, Stratum};
use super::facts::can_sum_to;
use crate::clusters::Id;
use crate::exact::{Packed, Sum, SumOfSquares, are_moments};
use crate::grid::Pace;
use crate::simd::scalar;
use crate::state::bytes::{BytesError, Reader, Writer};

/// What a state says of its rows beside their weights and strata.
#[derive(Clone, Copy)]
pub(super) struct Beside {
    /// The number of rows that count, and of those that have a NaN.
    pub n: u64,
    pub nan: u64,
    /// Whether rows come in clusters.
    pub clustered: Option<bool>,
}

impl Kept {
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        pace: &mut Pace<'_>,
    ) -> Result<bool, crate::grid::Stopped> {
        writer.choice(self.weighted);
        writer.choice(self.stratified);
        for count in [self.weightless, self.unstratified, self.low.to_bits(), self.high.to_bits()] {
            writer.u64(count);
        }
        let mut fits = writer.id(&[&self.squares.to_bytes()]);
        writer.u64(self.strata.len() as u64);
        for Stratum(id, rows) in self.strata.iter() {
            fits &= id.write(writer);
            writer.u64(*rows);
            pace.step()?;
        }
        Ok(fits)
    }

    /// Of rows without weights and strata.
    pub(super) fn plain(n: u64) -> Kept {
        let none = (n > 0).then_some(false);
        Kept { weighted: none, stratified: none, ..Kept::default() }
    }

    /// Reads what [`Kept::write`] wrote.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        beside: Beside,
        pace: &mut Pace<'_>,
    ) -> Result<Kept, BytesError> {
        let (weighted, stratified) = (reader.choice()?, reader.choice()?);
        let [weightless, unstratified] = [reader.u64()?, reader.u64()?];
        let [low, high] = [reader.u64()?, reader.u64()?].map(f64::from_bits);
        let squares = Packed::from_bytes(reader.id()?, SumOfSquares::PLACES).ok_or(BytesError::Malformed)?;
        let mut kept =
            Kept { weighted, stratified, low, high, squares, weightless, unstratified, ..Kept::default() };
        let (mut before, mut all): (Option<Id>, u64) = (None, 0);
        for _ in 0..reader.u64()? {
            let (id, rows) = (Id::from_bytes(reader.id()?)?, reader.u64()?);
            all = all.checked_add(rows).ok_or(BytesError::Impossible)?;
            if rows == 0 || before.is_some_and(|before| before >= id) {
                return Err(BytesError::Impossible);
            }
            kept.strata.push(Stratum(id.clone(), rows))?;
            before = Some(id);
            pace.step()?;
        }
        if kept.possible(beside, all) { Ok(kept) } else { Err(BytesError::Impossible) }
    }

    /// Whether rows can be like this, of which `all` were not excluded and have a stratum.
    fn possible(&self, Beside { n, nan, clustered }: Beside, all: u64) -> bool {
        let (weighted, stratified) = (self.weighted == Some(true), self.stratified == Some(true));
        let chosen =
            |of: Option<bool>, some: bool| of.is_some() == (n > 0 || some) && (!some || of == Some(true));
        let lost = u128::from(nan) + u128::from(self.weightless);
        let strata = if stratified {
            n <= all && u128::from(all) <= u128::from(n) + lost
        } else {
            self.strata.is_empty()
        };
        self.designed()
            && (n == 0 || clustered == Some(true))
            && chosen(self.weighted, self.weightless > 0)
            && chosen(self.stratified, self.unstratified > 0 || !self.strata.is_empty())
            && strata
            && if weighted && n > 0 { self.weights() } else { self.no_weights() }
    }

    fn weights(&self) -> bool {
        scalar(|| 0.0 < self.low && self.low <= self.high && self.high < f64::INFINITY)
    }

    fn no_weights(&self) -> bool {
        let none = Kept::default();
        let bits = |of: &Kept| [of.low.to_bits(), of.high.to_bits()];
        bits(self) == bits(&none) && self.squares == none.squares
    }

    /// Whether the weights of `n` rows can have this sum.
    pub(super) fn can_sum_to(&self, sum: &Packed, n: u64) -> bool {
        can_sum_to(self.low, self.high, n, sum)
    }

    /// Whether the weights of all `n` rows can have this sum beside that of their squares. All are above 0, so that the sum
    /// is at least the largest.
    pub(super) fn can_have(&self, sum: &Packed, n: u64) -> bool {
        let mut missing = Sum::new();
        missing.add(self.high);
        missing.merge(&sum.negated());
        self.can_sum_to(sum, n) && !missing.is_positive() && are_moments(sum, &self.squares, n, self.high)
    }
}
