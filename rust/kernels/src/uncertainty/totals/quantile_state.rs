//! The state of quantiles: the counts of values in bins, which are exact while there are few different values.

use super::super::no_estimate::{Ended, NoEstimate, answer};
use super::super::ordered::{between, exact_ranks, position};
use super::super::paired::Wide;
use super::histogram::{Bin, Histogram, rank_bits};
use super::{Refused, added, quantile_bytes};
use crate::grid::{CHUNK, Pace, Progress, Stopped, chunk, chunks, map_chunks};
use crate::intervals::{Confidence, Interval};
use crate::memory::{self, NoMemory};
use crate::simd::scalar;
use crate::state::State;
use crate::state::bytes::{BytesError, Kind};

/// The state.
#[derive(Debug, Default)]
pub struct QuantileCounts {
    pub(super) n: u64,
    pub(super) histogram: Histogram,
    /// The number of values that the caller excluded.
    pub excluded: u64,
    /// The number of values that were NaN and left out.
    pub nan: u64,
}

/// A quantile with its interval, and where it certainly lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The quantile; of bins that hold several numbers, at the place of its rank in the bin.
    pub value: f64,
    /// The smallest and the largest number that the quantile of the values themselves may be.
    pub within: Interval,
    /// The standard error; NaN where there is none.
    pub standard_error: f64,
    /// The limits; NaN where there is none, infinite on a side that is left open.
    pub interval: Interval,
}

impl QuantileCounts {
    /// A state of these values alone.
    ///
    /// # Errors
    /// Where a value is not finite.
    pub fn of_values(
        x: &dyn Wide,
        [excluded, nan]: [u64; 2],
        progress: Progress<'_>,
    ) -> Result<Result<QuantileCounts, NoEstimate>, Stopped> {
        answer(of_values(x, [excluded, nan], progress))
    }

    /// The number of values, and of bins.
    pub fn size(&self) -> (u64, usize) {
        (self.n, self.histogram.bins())
    }

    /// Whether quantiles are exact.
    pub fn exact(&self) -> bool {
        self.histogram.exact()
    }

    /// Whether all values are in one bin.
    pub fn constant(&self) -> bool {
        self.histogram.bins() < 2
    }

    /// The quantile at level `q` (linear between order statistics, definition 7 of Hyndman and Fan) and Clopper and
    /// Pearson's order statistics for it, outermost numbers of their bins; `None` without values.
    pub fn quantile(&self, q: f64, confidence: Confidence) -> Option<Found> {
        let last = self.n.checked_sub(1)?;
        let bin = |rank: u64| self.histogram.bin(rank);
        let (rank, part) = scalar(|| position(self.n, q));
        let next = if rank < last { rank + 1 } else { last };
        let (a, b) = (bin(rank)?, bin(next)?);
        let limits = |confidence: Confidence| {
            let [low, high] = exact_ranks(self.n, q, confidence);
            let low = low.and_then(bin).map_or(f64::NAN, |bin| bin.low);
            let high = high.and_then(bin).map_or(f64::NAN, |bin| bin.high);
            confidence.open(Interval { low, high }, f64::NEG_INFINITY, f64::INFINITY)
        };
        let (interval, two_sided) = (limits(confidence), limits(confidence.two_sided()));
        Some(scalar(|| Found {
            value: between(inside(a, rank), inside(b, next), part),
            within: Interval { low: between(a.low, b.low, part), high: between(a.high, b.high, part) },
            standard_error: (two_sided.high - two_sided.low) / (2.0 * confidence.two_sided().z()),
            interval,
        }))
    }
}

/// A number of the bin at the place of a rank in it, as if its values lay evenly.
fn inside(bin: Bin, rank: u64) -> f64 {
    let place = ((rank - bin.before) as f64 + 0.5) / bin.count as f64;
    let value = bin.low + (bin.high - bin.low) * place;
    if value > bin.high { bin.high } else { value }
}

fn of_values(
    x: &dyn Wide,
    [excluded, nan]: [u64; 2],
    progress: Progress<'_>,
) -> Result<QuantileCounts, Ended> {
    let n = x.len();
    let parts = map_chunks(chunks(n, CHUNK), n * 256, &mut *progress, |index| {
        let rows = chunk(index, n, CHUNK);
        let mut values = memory::filled(rows.len(), 0.0)?;
        x.widen(rows.start, &mut values);
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Ok(Err(NoEstimate::NotFinite { column: 0, index: rows.start + at }));
        }
        let mut bits = memory::collected(values.iter().map(|&x| rank_bits(x)))?;
        Histogram::of(&mut bits).map(Ok)
    })?;
    let (mut histogram, mut pace) = (Histogram::default(), Pace::new(progress));
    for part in parts {
        let part: Result<Result<Histogram, NoEstimate>, NoMemory> = part;
        let part = part??;
        histogram = histogram.plus(&part)?;
        pace.stride(part.bins())?;
    }
    Ok(QuantileCounts { n: n as u64, histogram, excluded, nan })
}

impl State for QuantileCounts {
    const KIND: Kind = Kind::Quantile;
    type Refused = Refused;

    fn copied(&self) -> Result<Self, NoMemory> {
        Ok(QuantileCounts { histogram: self.histogram.copied()?, ..*self })
    }

    fn merged(
        &self,
        other: &QuantileCounts,
        _: Progress<'_>,
    ) -> Result<Result<QuantileCounts, Refused>, Stopped> {
        let counts = added([self.n, self.excluded, self.nan], [other.n, other.excluded, other.nan]);
        let Some([n, excluded, nan]) = counts else { return Ok(Err(Refused::TooMany)) };
        let histogram = self.histogram.plus(&other.histogram)?;
        Ok(Ok(QuantileCounts { n, histogram, excluded, nan }))
    }

    fn to_bytes(&self, config: &[u8], progress: Progress<'_>) -> Result<Option<Vec<u8>>, Stopped> {
        quantile_bytes::write(self, config, progress)
    }

    fn from_bytes(bytes: &[u8], progress: Progress<'_>) -> Result<(Self, Vec<u8>), BytesError> {
        quantile_bytes::read(bytes, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;
    use crate::uncertainty::Design;
    use crate::uncertainty::ordered::quantile_estimate;

    const CONFIDENCE: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    fn values(n: u64) -> Vec<f64> {
        (0..n)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 50) as f64 - 3.0)
            .collect()
    }

    fn state(x: &[f64]) -> QuantileCounts {
        QuantileCounts::of_values(&x, [1, 2], &mut |_| true).unwrap().unwrap()
    }

    #[test]
    fn few_values_have_the_quantiles_of_the_sorted_column() {
        let x = values(900);
        for q in [0.0, 0.01, 0.25, 0.5, 0.9, 1.0] {
            let want =
                quantile_estimate(&&x[..], q, Design::Rows, CONFIDENCE, &mut |_| true).unwrap().unwrap();
            let got = state(&x).quantile(q, CONFIDENCE).unwrap();
            assert_eq!((got.value, got.within.low, got.within.high), (want.value, want.value, want.value));
            let bits = |of: Interval| (of.low.to_bits(), of.high.to_bits());
            assert_eq!(bits(got.interval), bits(want.interval));
        }
    }

    #[test]
    fn many_values_have_quantiles_within_a_thousandth_of_their_size() {
        let x = values(200_000);
        let whole = state(&x);
        assert!(!whole.exact());
        for q in [0.0, 0.01, 0.25, 0.5, 0.9, 0.999, 1.0] {
            let want =
                quantile_estimate(&&x[..], q, Design::Rows, CONFIDENCE, &mut |_| true).unwrap().unwrap();
            let got = whole.quantile(q, CONFIDENCE).unwrap();
            assert!(got.within.low <= want.value && want.value <= got.within.high, "{q}: {got:?} {want:?}");
            assert!((got.value - want.value).abs() <= want.value.abs() / 1024.0, "{q}: {got:?} {want:?}");
            assert!(!(got.interval.low > want.interval.low || got.interval.high < want.interval.high));
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let bytes = |state: &QuantileCounts| state.to_bytes(b"{}", &mut |_| true).unwrap().unwrap();
        for x in [values(5_000), vec![], vec![-0.0, 0.0, -1e300, f64::from_bits(1)]] {
            let whole = state(&x);
            let (read, config) = QuantileCounts::from_bytes(&bytes(&whole), &mut |_| true).unwrap();
            assert_eq!((bytes(&read), &config[..]), (bytes(&whole), &b"{}"[..]));
        }
        let refused = |change: fn(&mut QuantileCounts)| {
            let mut state = state(&values(5_000));
            change(&mut state);
            QuantileCounts::from_bytes(&bytes(&state), &mut |_| true).is_err()
        };
        assert!(!refused(|_| ()));
        assert!(refused(|state| state.n += 1));
        assert!(refused(|state| state.histogram.blocks.swap(0, 1)));
        assert!(refused(|state| state.histogram.blocks[0].bins.swap(0, 1)));
        assert!(refused(|state| state.histogram.blocks[0].bins[0].1 = 0));
        assert!(refused(|state| state.histogram.blocks[0].bins.clear()));
        assert!(refused(|state| state.histogram.blocks[0].shift = 53));
        assert!(refused(|state| state.histogram.blocks[0].key = 0xffff));
    }
}
