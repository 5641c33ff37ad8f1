//! The bytes of [`Totals`]: `u64 per, infinite, nan, excluded, ignored`, then one row per cluster: `id, u64 tokens,
//! i128 units, i128 nll`. An id is `#` and eight bytes, or `"` and its text, or empty for a cluster without a name.
//!
//! Layout 1 is for tokens in float64. Layout 2 has a sixth count, the number of the least precise type of the tokens
//! ([`Precision`]). (Before there was a layout 2, states of all types were written in layout 1.)

use super::totals::{Named, Refused, Total, Totals};
use crate::clusters::Id;
use crate::exact::Fixed;
use crate::grid::{Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::simd::Precision;
use crate::state::State;
use crate::state::bytes::{BytesError, Kind, Reader, Writer};

const FLOAT64: u8 = 1;
const COARSER: u8 = 2;
const LEAST_ROW: usize = 2 + 8 + 2 * Fixed::BYTES;

impl State for Totals {
    const KIND: Kind = Kind::Perplexity;
    type Refused = Refused;

    /// A copy that shares memory with the original until either is changed.
    fn copied(&self) -> Result<Totals, NoMemory> {
        Ok(Totals { named: self.named.copied()?, unnamed: self.unnamed.copied()?, ..*self })
    }

    /// Refused where only one of the two has names or `per`, or where a count or a sum would leave its range.
    fn merged(&self, other: &Totals, progress: Progress<'_>) -> Result<Result<Totals, Refused>, Stopped> {
        self.merged_at(other, progress)
    }

    /// Canonical bytes: equal totals have equal bytes. They contain `config`, whose meaning is the caller's. `None` for
    /// 2^32 clusters or more, or for a name longer than [`crate::clusters::LONGEST_TEXT`].
    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        let mut pace = Pace::new(progress);
        let Ok(rows) = u32::try_from(self.clusters()) else { return Ok(None) };
        let coarser = self.precision > Precision::F64;
        let layout = if coarser { COARSER } else { FLOAT64 };
        let mut writer = Writer::new(Kind::Perplexity, layout, config, rows);
        writer.choice(self.per);
        for count in [self.infinite, self.nan, self.excluded, self.ignored] {
            writer.u64(count);
        }
        if coarser {
            writer.u64(self.precision as u64);
        }
        let unnamed = self.sorted_unnamed(&mut pace)?;
        let named = self.named.iter().map(|Named(id, total)| (Some(id), total));
        for (id, total) in named.chain(unnamed.iter().map(|total| (None, total))) {
            let fits = match id {
                Some(id) => id.write(&mut writer),
                None => writer.id(&[]),
            };
            if !fits {
                return Ok(None);
            }
            writer.u64(total.tokens);
            writer.fixed(total.units);
            writer.fixed(total.nll);
            pace.step()?;
        }
        writer.finish_at(&mut pace).map(Some)
    }

    /// The totals, and the configuration that stood in their bytes.
    fn from_bytes(bytes: &[u8], progress: Progress<'_>) -> Result<(Totals, Vec<u8>), BytesError> {
        let mut pace = Pace::new(progress);
        let mut reader = Reader::open_at(bytes, Kind::Perplexity, COARSER, &mut pace)?;
        let (rows, config) = (reader.rows(), memory::copied(reader.config())?);
        if !reader.holds(LEAST_ROW) {
            return Err(BytesError::Malformed);
        }
        let per = reader.choice()?;
        // The checksum shows that the bytes are unchanged, not that this library wrote them: everything is checked.
        let mut totals = Totals {
            per,
            infinite: reader.u64()?,
            nan: reader.u64()?,
            excluded: reader.u64()?,
            ignored: reader.u64()?,
            ..Totals::default()
        };
        totals.precision = precision(&mut reader)?;
        let mut before = None;
        for _ in 0..rows {
            let id = reader.id()?;
            let id = if id.is_empty() { None } else { Some(Id::from_bytes(id)?) };
            let total = Total { tokens: reader.u64()?, units: reader.fixed()?, nll: reader.fixed()? };
            let row = (id, total);
            let follows = before.is_none_or(|before| follows(&before, &row));
            if !follows || !plausible(&total, per) || !totals.all.merge(&total) {
                return Err(BytesError::Impossible);
            }
            match &row.0 {
                None => totals.unnamed.push(total)?,
                Some(id) => totals.named.push(Named(id.clone(), total))?,
            }
            before = Some(row);
            pace.step()?;
        }
        reader.finish()?;
        let coarse_nothing = totals.is_empty() && totals.precision > Precision::F64;
        if totals.infinite > totals.all.tokens || totals.is_empty() != per.is_none() || coarse_nothing {
            return Err(BytesError::Impossible);
        }
        Ok((totals, config))
    }
}

/// The least precise type of the tokens; layout 2 is only written where it is not float64.
fn precision(reader: &mut Reader<'_>) -> Result<Precision, BytesError> {
    match reader.layout() {
        FLOAT64 => Ok(Precision::F64),
        COARSER => {
            let number = reader.u64()?;
            let coarse = |&precision: &Precision| precision > Precision::F64 && precision as u64 == number;
            Precision::ALL.into_iter().find(coarse).ok_or(BytesError::Malformed)
        }
        _ => Err(BytesError::Malformed),
    }
}

/// Whether `row` may follow `before`: ids ascend and each occurs once, totals without ids are sorted, and either all
/// rows have ids or none has.
fn follows(before: &(Option<Id>, Total), row: &(Option<Id>, Total)) -> bool {
    match (before, row) {
        ((Some(a), _), (Some(b), _)) => a < b,
        ((None, a), (None, b)) => a <= b,
        _ => false,
    }
}

/// Whether tokens can give this total: there is at least one, neither sum is below 0, and without `per` there are as
/// many units as tokens.
fn plausible(total: &Total, per: Option<bool>) -> bool {
    let counted = per == Some(true) || Fixed::whole(total.tokens) == Some(total.units);
    total.tokens > 0 && total.units >= Fixed::new() && total.nll >= Fixed::new() && counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::bytes::Writer;

    struct Row(&'static [u8], u64, f64, f64);

    /// Reads the bytes of a state with these counts and rows, which need not make sense; six counts give layout 2.
    fn state<const N: usize>(counts: [u64; N], rows: &[Row]) -> Result<Totals, BytesError> {
        let layout = if N > 5 { COARSER } else { FLOAT64 };
        let mut writer = Writer::new(Kind::Perplexity, layout, b"", rows.len() as u32);
        for count in counts {
            writer.u64(count);
        }
        for &Row(id, tokens, units, nll) in rows {
            assert!(writer.id(&[id]));
            writer.u64(tokens);
            writer.fixed(Fixed::from_f64(units).unwrap());
            writer.fixed(Fixed::from_f64(nll).unwrap());
        }
        let bytes = writer.finish().unwrap();
        let (totals, _) = Totals::from_bytes(&bytes, &mut |_| true)?;
        assert_eq!(totals.to_bytes(b"", &mut |_| true).unwrap().unwrap(), bytes, "canonical");
        Ok(totals)
    }

    const PLAIN: [u64; 5] = [1, 0, 0, 0, 0];
    const PER: [u64; 5] = [2, 0, 0, 0, 0];
    const A: Row = Row(b"\"a", 2, 2.0, 1.5);

    #[test]
    fn totals_that_no_data_can_give_are_refused() {
        let refused =
            |counts: [u64; 5], rows: &[Row]| state(counts, rows).unwrap_err() == BytesError::Impossible;
        assert!(state(PLAIN, &[A, Row(b"\"b", 1, 1.0, 0.0)]).is_ok());
        assert!(refused(PLAIN, &[A, A]), "an id twice");
        assert!(refused(PLAIN, &[Row(b"\"b", 1, 1.0, 0.0), A]), "ids that descend");
        assert!(refused(PLAIN, &[A, Row(b"", 1, 1.0, 0.0)]), "names and none");
        assert!(refused(PLAIN, &[Row(b"", 2, 2.0, 0.0), Row(b"", 1, 1.0, 0.0)]), "rows that descend");
        assert!(refused(PLAIN, &[Row(b"", 0, 0.0, 0.0)]), "a cluster without tokens");
        assert!(refused(PLAIN, &[Row(b"", 1, 2.0, 0.0)]), "more units than tokens");
        assert!(refused(PLAIN, &[Row(b"", u64::MAX, 1.0, 0.0)]), "more tokens than can be counted");
        assert!(refused(PLAIN, &[Row(b"", 1, 1.0, -0.5)]), "a negative sum");
        assert!(refused(PER, &[Row(b"", 1, -0.5, 0.0)]), "negative units");
        assert!(refused([1, 3, 0, 0, 0], &[A]), "more infinite tokens than tokens");
        assert!(
            refused(PLAIN, &[]) && refused([0, 0, 0, 0, 0], &[A]),
            "tokens without `per` being known, and the reverse"
        );
        assert!(
            refused(PER, &[Row(b"", 1, 4e18, 0.0), Row(b"", 2, 4e18, 0.0), Row(b"", 3, 4e18, 0.0)]),
            "too much"
        );
        assert_eq!(state(PLAIN, &[Row(b"x", 1, 1.0, 0.0)]).unwrap_err(), BytesError::Malformed);
    }

    #[test]
    fn the_least_precise_type_is_kept_and_float64_needs_no_sixth_count() {
        for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
            let coarse = state([1, 0, 0, 0, 0, precision as u64], &[A]).unwrap();
            let fine = state(PLAIN, &[A]).unwrap();
            let both = coarse.merged(&fine, &mut |_| true).unwrap().unwrap();
            assert_eq!(
                (coarse.precision, fine.precision, both.precision),
                (precision, Precision::F64, precision)
            );
        }
        assert_eq!(state([1, 0, 0, 0, 0, 0], &[A]).unwrap_err(), BytesError::Malformed);
        assert_eq!(state([1, 0, 0, 0, 0, 4], &[A]).unwrap_err(), BytesError::Malformed);
        assert_eq!(state([0, 0, 0, 0, 0, 1], &[]).unwrap_err(), BytesError::Impossible);
    }

    #[test]
    fn totals_beyond_their_range_are_refused_and_leave_the_state_unchanged() {
        let many =
            || state([2, 0, 0, 0, u64::MAX], &[Row(b"#\x01\0\0\0\0\0\0\0", 1 << 63, 4e18, 1.0)]).unwrap();
        let few = state([2, 0, 0, 0, 1], &[Row(b"#\x02\0\0\0\0\0\0\0", 1, 1.0, 1.0)]).unwrap();
        for (a, b) in [(many(), many()), (many(), few)] {
            assert_eq!(
                a.merged(&b, &mut |_| true).unwrap().unwrap_err(),
                super::super::totals::Refused::Total
            );
            assert_eq!(a.size(), (1 << 63, 1));
        }
    }
}
