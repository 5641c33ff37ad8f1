//! Each stratum is resampled within itself.

use super::shares::Shares;
use super::{Drawing, Parts, share};
use crate::memory::{self, NoMemory};
use crate::random::{STRATA, Stream};
use crate::simd::scalar;
use crate::uncertainty::NoEstimate;

/// Units in strata, each of which draws its own units as a drawing says that knows no strata.
///
/// Where strata have other numbers of draws than of units, a draw of each counts so often that the strata keep their
/// shares, and deviations are multiplied as `Shares` says.
#[derive(Debug)]
pub struct Strata {
    /// The units, those of the first stratum first.
    order: Vec<usize>,
    /// Where the units of each stratum end in `order`.
    ends: Vec<usize>,
    /// The random numbers are those of the strata from this one on.
    first: u64,
    /// How the units are drawn: one drawing for all strata, or one for each.
    within: Vec<Box<dyn Drawing>>,
    shares: Shares,
}

impl Strata {
    /// Units whose strata are `codes`, inside `0..count`, and have the random numbers of the strata from `first` on;
    /// refused where another code comes, or for more strata than random numbers tell apart. `within` is one drawing, or
    /// one for each of the strata.
    pub fn new(
        codes: &[i64],
        count: usize,
        first: u64,
        within: Vec<Box<dyn Drawing>>,
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
        let mut strata = Strata { order, ends, first, within, shares: Shares::default() };
        let sizes = memory::gathered(strata.members().map(<[usize]>::len))?;
        strata.shares = Shares::of(&sizes, |stratum| strata.of(stratum))?;
        Ok(Ok(strata))
    }

    /// How the units of a stratum are drawn.
    fn of(&self, stratum: usize) -> &dyn Drawing {
        &*self.within[stratum.min(self.within.len() - 1)]
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
        let rooms = self.members().enumerate().map(|(stratum, members)| self.of(stratum).room(members.len()));
        units + rooms.sum::<usize>()
    }

    fn count(&self, stream: Stream, room: &mut [u32], counts: &mut [u32]) {
        let (all, mut rooms) = room.split_at_mut(counts.len());
        for (stratum, members) in self.members().enumerate() {
            let Some(own) = stream.stratum(self.first + stratum as u64) else { return };
            let within = self.of(stratum);
            let (room, rest) = rooms.split_at_mut(within.room(members.len()));
            let drawn = &mut all[..members.len()];
            within.count(own, room, drawn);
            rooms = rest;
            let times = self.shares.times(stratum);
            for (&unit, &count) in members.iter().zip(&*drawn) {
                counts[unit] = count * times;
            }
        }
    }

    fn fixed(&self) -> bool {
        self.within.iter().all(|within| within.fixed())
    }

    fn proportional(&self) -> bool {
        self.shares.proportional()
    }

    fn scale(&self, _: usize) -> f64 {
        self.shares.scale()
    }

    /// Each stratum weighs as much as it has units, and deviates as much as its own number of draws says.
    fn level(&self, counts: &[u32], weights: &mut [f64]) {
        for (stratum, members) in self.members().enumerate() {
            let share = share(members.iter().map(|&unit| counts[unit]));
            scalar(|| members.iter().for_each(|&unit| weights[unit] = f64::from(counts[unit]) * share));
            let pull = self.shares.pull(stratum);
            if pull < 1.0 {
                scalar(|| {
                    for &unit in members {
                        weights[unit] = pull * weights[unit] + (1.0 - pull);
                    }
                });
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
        Parts::of_units(of, strata.len(), Some(strata))
    }
}
