//! The parts of the units that are drawn independently of each other, of which BCa's acceleration is made.

use crate::memory::{self, NoMemory};

/// A division of the units into parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The part of each unit, inside `0..count`.
    pub of: Vec<u32>,
    /// The number of parts.
    pub count: usize,
    /// The stratum of each part, where parts are drawn in strata.
    pub strata: Option<Vec<u32>>,
}

impl Parts {
    /// Units that are all alike, in at most `most` parts: unit u is in part u mod the number of parts.
    pub fn alike(units: usize, most: usize) -> Result<Parts, NoMemory> {
        let count = units.min(most);
        let of = memory::collected((0..units).map(|unit| (unit % count) as u32))?;
        Ok(Parts { of, count, strata: None })
    }

    /// The sums over each part of what each unit has.
    pub(in super::super) fn sums(&self, of_units: impl Iterator<Item = f64>) -> Result<Vec<f64>, NoMemory> {
        let mut sums = memory::filled(self.count, 0.0)?;
        for (&part, of_unit) in self.of.iter().zip(of_units) {
            sums[part as usize] += of_unit;
        }
        Ok(sums)
    }
}

/// Subtracts from the influence of each part its share of those of its stratum, which every resample contains alike.
/// (Without strata the influences add up to 0 anyway.)
pub(in super::super) fn within_strata(parts: &Parts, pulls: &mut [f64]) -> Result<(), NoMemory> {
    let Some(strata) = &parts.strata else { return Ok(()) };
    let sizes = parts.sums(parts.of.iter().map(|_| 1.0))?;
    let count = strata.iter().max().map_or(0, |&last| last as usize + 1);
    let mut all = memory::filled(count, [0.0; 2])?;
    for ((&stratum, pull), size) in strata.iter().zip(&*pulls).zip(&sizes) {
        all[stratum as usize][0] += pull;
        all[stratum as usize][1] += size;
    }
    for ((&stratum, pull), size) in strata.iter().zip(pulls).zip(&sizes) {
        let [sum, units] = all[stratum as usize];
        *pull -= sum / units * size;
    }
    Ok(())
}
