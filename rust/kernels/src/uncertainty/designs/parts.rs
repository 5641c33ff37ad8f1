//! The parts of the units that are drawn independently of each other, of which BCa's acceleration is made.

use crate::memory::{self, NoMemory};

/// A division of the units into parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// The part of each unit, inside `0..count`, for each way in which units are drawn: one, or two where they are
    /// crossed.
    pub of: Vec<Vec<u32>>,
    /// The number of parts.
    pub count: usize,
    /// How many of what is drawn each part has: units, or clusters of them.
    pub sizes: Vec<f64>,
    /// The stratum of each part, where parts are drawn in strata.
    pub strata: Option<Vec<u32>>,
}

impl Parts {
    /// Units that are drawn by themselves, with the part of each and the stratum of each part.
    pub(super) fn of_units(of: Vec<u32>, count: usize, strata: Option<Vec<u32>>) -> Result<Parts, NoMemory> {
        let mut sizes = memory::filled(count, 0.0)?;
        for &part in &of {
            sizes[part as usize] += 1.0;
        }
        Ok(Parts { of: vec![of], count, sizes, strata })
    }

    /// Units that are all alike, in at most `most` parts: unit u is in part u mod the number of parts.
    pub fn alike(units: usize, most: usize) -> Result<Parts, NoMemory> {
        let count = units.min(most);
        let of = memory::collected((0..units).map(|unit| (unit % count) as u32))?;
        Parts::of_units(of, count, None)
    }

    /// Whether a unit has a part in this one.
    pub(in super::super) fn has(&self, unit: usize, part: usize) -> bool {
        self.of.iter().any(|of| of[unit] as usize == part)
    }

    /// The sums over each part of what each unit has.
    pub(in super::super) fn sums(&self, of_units: &[f64]) -> Result<Vec<f64>, NoMemory> {
        let mut sums = memory::filled(self.count, 0.0)?;
        for of in &self.of {
            for (&part, of_unit) in of.iter().zip(of_units) {
                sums[part as usize] += of_unit;
            }
        }
        Ok(sums)
    }
}

/// Subtracts from the influence of each part its share of those of its stratum, which every resample contains alike;
/// parts without strata are one stratum.
pub(in super::super) fn centred(parts: &Parts, pulls: &mut [f64]) -> Result<(), NoMemory> {
    let of = |part: usize| parts.strata.as_ref().map_or(0, |strata| strata[part] as usize);
    let count = (0..parts.count).map(of).max().map_or(0, |last| last + 1);
    let mut all = memory::filled(count, [0.0; 2])?;
    for (part, (pull, size)) in pulls.iter().zip(&parts.sizes).enumerate() {
        all[of(part)][0] += pull;
        all[of(part)][1] += size;
    }
    for (part, (pull, size)) in pulls.iter_mut().zip(&parts.sizes).enumerate() {
        let [sum, drawn] = all[of(part)];
        *pull -= sum / drawn * size;
    }
    Ok(())
}
