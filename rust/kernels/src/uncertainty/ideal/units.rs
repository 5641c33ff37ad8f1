//! What the units of each stratum add to a numerator and a denominator.

use super::designed::Plan;
use crate::grid::{self, CHUNK, Pace, Progress, Stopped};
use crate::intervals::cluster::{ClusterSums, scale};
use crate::memory;
use crate::uncertainty::design::Design;
use crate::uncertainty::no_estimate::{Ended, NoEstimate};
use crate::uncertainty::paired::Wide;

/// The units of a stratum.
#[derive(Clone, Debug)]
pub struct Stratum {
    /// The sums of `x - shift y` and of `y` over each unit, each row times its weight where the weights differ.
    pub units: ClusterSums,
    /// The weight of every row where it is the same for all, else 1.
    pub weight: f64,
}

/// The columns of which sums are taken.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The numerators.
    pub x: &'a dyn Wide,
    /// The denominators; 1 in each row where there are none.
    pub y: Option<&'a dyn Wide>,
    /// What every row is multiplied by.
    pub weights: Option<&'a [f64]>,
    /// What is subtracted from the numerators for each 1 of a denominator.
    pub shift: f64,
    /// Whether a common factor of all weights cancels.
    pub cancels: bool,
}

impl Stratum {
    /// Whether all units have the same denominator.
    pub fn even(&self) -> bool {
        self.units.sizes.windows(2).all(|two| two[0] == two[1])
    }

    /// Multiplies all sums by the weight.
    pub fn weighted(mut self) -> Stratum {
        let ClusterSums { sums, sizes } = &mut self.units;
        if self.weight != 1.0 {
            let weight = self.weight;
            sums.iter_mut().chain(sizes).for_each(|sum| *sum *= weight);
        }
        Stratum { weight: 1.0, ..self }
    }
}

/// The strata with the sums of their units. Refused where a unit or a stratum lies outside, or a stratum has no unit.
pub fn strata(terms: Terms<'_>, plan: Plan<'_>, progress: Progress<'_>) -> Result<Vec<Stratum>, Ended> {
    let rows = terms.x.len();
    let count = match plan.design {
        Design::Rows => rows,
        Design::Clusters { count, .. } => count,
    };
    let (place, sizes) = places(plan, count)?;
    let mut strata = memory::with_capacity(sizes.len())?;
    for size in sizes {
        let units = ClusterSums { sums: memory::filled(size, 0.0)?, sizes: memory::filled(size, 0.0)? };
        strata.push(Stratum { units, weight: 1.0 });
    }
    let stratum_of = |unit: usize| plan.strata.map_or(0, |(codes, _)| codes[unit] as usize);
    let unit_of = |row: usize| match plan.design {
        Design::Rows => row,
        // A negative code becomes a number that is too large.
        Design::Clusters { codes, .. } => codes[row] as usize,
    };
    if (0..rows).any(|row| unit_of(row) >= count) {
        return Err(NoEstimate::Outside.into());
    }
    let mut factor = 1.0;
    let mut uneven = memory::filled(strata.len(), false)?;
    if let Some(weights) = terms.weights {
        if terms.cancels {
            factor = scale(weights, &mut Pace::new(&mut *progress))?;
        }
        let mut first = memory::filled(strata.len(), f64::NAN)?;
        grid::each_chunk(grid::chunks(rows, CHUNK), &mut *progress, |index| {
            for row in grid::chunk(index, rows, CHUNK) {
                let at = stratum_of(unit_of(row));
                if first[at].is_nan() {
                    first[at] = weights[row];
                }
                uneven[at] |= first[at] != weights[row];
            }
        })?;
        for ((stratum, weight), &uneven) in strata.iter_mut().zip(first).zip(&uneven) {
            stratum.weight = if uneven { 1.0 } else { weight * factor };
        }
    }
    let (mut tops, mut bottoms) = (memory::filled(CHUNK, 0.0)?, memory::filled(CHUNK, 1.0)?);
    grid::each_chunk(grid::chunks(rows, CHUNK), progress, |index| {
        let within = grid::chunk(index, rows, CHUNK);
        let (tops, bottoms) = (&mut tops[..within.len()], &mut bottoms[..within.len()]);
        terms.x.widen(within.start, tops);
        if let Some(y) = terms.y {
            y.widen(within.start, bottoms);
        }
        for ((row, x), y) in within.zip(&*tops).zip(&*bottoms) {
            let unit = unit_of(row);
            let at = stratum_of(unit);
            let rest = x - terms.shift * y;
            let weight = match terms.weights {
                Some(weights) if uneven[at] => weights[row] * factor,
                Some(_) | None => 1.0,
            };
            let ClusterSums { sums, sizes } = &mut strata[at].units;
            sums[place[unit]] += weight * rest;
            sizes[place[unit]] += weight * y;
        }
    })?;
    Ok(strata)
}

/// The place of each unit within its stratum, and the number of units of each stratum.
fn places(plan: Plan<'_>, count: usize) -> Result<(Vec<usize>, Vec<usize>), Ended> {
    let Some((codes, total)) = plan.strata else {
        return Ok((memory::collected(0..count)?, memory::filled(1, count)?));
    };
    let (mut place, mut sizes) = (memory::with_capacity(count)?, memory::filled(total, 0)?);
    for &code in codes {
        let size = sizes.get_mut(code as usize).ok_or(NoEstimate::Outside)?;
        place.push(*size);
        *size += 1;
    }
    if place.len() != count || sizes.contains(&0) {
        return Err(NoEstimate::Outside.into());
    }
    Ok((place, sizes))
}

/// The sum of some numbers.
pub fn total(values: &[f64], progress: Progress<'_>) -> Result<f64, Stopped> {
    let [sum] = crate::intervals::sums::sums_at(values.len(), &mut Pace::new(progress), |g| [values[g]])?;
    Ok(sum)
}
