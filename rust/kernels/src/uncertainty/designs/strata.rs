//! Each stratum is resampled within itself.

use super::{Drawing, Parts, share};
use crate::memory::{self, NoMemory};
use crate::random::{STRATA, Stream};
use crate::simd::scalar;
use crate::uncertainty::NoEstimate;

/// Units in strata, each of which draws its own units as a drawing says that knows no strata.
#[derive(Debug)]
pub struct Strata {
    /// The units, those of the first stratum first.
    order: Vec<usize>,
    /// Where the units of each stratum end in `order`.
    ends: Vec<usize>,
    /// The random numbers are those of the strata from this one on.
    first: u64,
    within: Box<dyn Drawing>,
}

impl Strata {
    /// Units whose strata are `codes`, inside `0..count`, and have the random numbers of the strata from `first` on;
    /// refused where another code comes, or for more strata than random numbers tell apart.
    pub fn new(
        codes: &[i64],
        count: usize,
        first: u64,
        within: Box<dyn Drawing>,
    ) -> Result<Result<Strata, NoEstimate>, NoMemory> {
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
        Ok(Ok(Strata { order, ends, first, within }))
    }

    /// The units of each stratum.
    fn members(&self) -> impl Iterator<Item = &[usize]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.order[start..end])
    }
}

impl Drawing for Strata {
    /// One for the counts of a stratum, and one for each of them.
    fn room(&self, units: usize) -> usize {
        units + self.members().map(|members| self.within.room(members.len())).sum::<usize>()
    }

    fn count(&self, stream: Stream, room: &mut [u32], counts: &mut [u32]) {
        let (all, mut rooms) = room.split_at_mut(counts.len());
        for (stratum, members) in self.members().enumerate() {
            let Some(own) = stream.stratum(self.first + stratum as u64) else { return };
            let (room, rest) = rooms.split_at_mut(self.within.room(members.len()));
            let drawn = &mut all[..members.len()];
            self.within.count(own, room, drawn);
            rooms = rest;
            for (&unit, &count) in members.iter().zip(&*drawn) {
                counts[unit] = count;
            }
        }
    }

    fn fixed(&self) -> bool {
        self.within.fixed()
    }

    /// Each stratum weighs as much as it has units.
    fn level(&self, counts: &[u32], weights: &mut [f64]) {
        for members in self.members() {
            let share = share(members.iter().map(|&unit| counts[unit]));
            scalar(|| members.iter().for_each(|&unit| weights[unit] = f64::from(counts[unit]) * share));
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
        Parts::of_units(of, strata.len(), Some(strata))
    }
}
