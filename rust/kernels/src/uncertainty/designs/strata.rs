//! Each stratum is resampled within itself.

use super::{Drawing, Parts};
use crate::memory::{self, NoMemory};
use crate::random::{STRATA, Stream, count_into};
use crate::uncertainty::NoEstimate;

/// Units in strata: each stratum draws as many of its own units as it has.
#[derive(Clone, Debug)]
pub struct Strata {
    /// The units, those of the first stratum first.
    order: Vec<usize>,
    /// Where the units of each stratum end in `order`.
    ends: Vec<usize>,
    /// The random numbers are those of the strata from this one on.
    first: u64,
}

impl Strata {
    /// Units whose strata are `codes`, inside `0..count`, and have the random numbers of the strata from `first` on;
    /// refused where another code comes, or for more strata than random numbers tell apart.
    pub fn new(codes: &[i64], count: usize, first: u64) -> Result<Result<Strata, NoEstimate>, NoMemory> {
        if first.saturating_add(count as u64) > STRATA {
            return Ok(Err(NoEstimate::TooManyStrata { most: STRATA }));
        }
        let mut ends = memory::filled(count, 0)?;
        for &code in codes {
            match ends.get_mut(code as usize) {
                Some(size) => *size += 1,
                None => return Ok(Err(NoEstimate::Outside)),
            }
        }
        let mut start = 0;
        for end in &mut ends {
            (start, *end) = (start + *end, start);
        }
        let mut order = memory::filled(codes.len(), 0)?;
        for (unit, &code) in codes.iter().enumerate() {
            let next = &mut ends[code as usize];
            order[*next] = unit;
            *next += 1;
        }
        Ok(Ok(Strata { order, ends, first }))
    }

    /// The units of each stratum.
    fn members(&self) -> impl Iterator<Item = &[usize]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.order[start..end])
    }
}

impl Drawing for Strata {
    fn count(&self, stream: Stream, scratch: &mut [u32], counts: &mut [u32]) {
        for (stratum, members) in self.members().enumerate() {
            let Some(own) = stream.stratum(self.first + stratum as u64) else { return };
            let drawn = &mut scratch[..members.len()];
            count_into(own, drawn);
            for (&unit, &count) in members.iter().zip(&*drawn) {
                counts[unit] = count;
            }
        }
    }

    fn sample(&self, units: usize) -> usize {
        (units / self.ends.len().max(1)).max(2)
    }

    /// Each stratum has its share of the parts, and two at least.
    fn parts(&self, units: usize, most: usize) -> Result<Parts, NoMemory> {
        let mut of = memory::filled(units, 0)?;
        let mut strata = memory::with_capacity(units.min(most + 2 * self.ends.len()))?;
        for (stratum, members) in self.members().enumerate() {
            let share = (most as u128 * members.len() as u128 / units.max(1) as u128) as usize;
            let (first, own) = (strata.len(), members.len().min(share.max(2)));
            for (place, &unit) in members.iter().enumerate() {
                of[unit] = (first + place % own) as u32;
            }
            strata.extend((0..own).map(|_| stratum as u32));
        }
        Ok(Parts { of, count: strata.len(), strata: Some(strata) })
    }
}
