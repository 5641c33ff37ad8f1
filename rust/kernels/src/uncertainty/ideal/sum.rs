//! A sum of independent draws: what is resampled, collapsed to different values with their probabilities.

use super::march::Collisions;
use super::nodes::{Column, Columns};
use crate::grid::{Pace, Stopped};
use crate::math::exp;
use crate::memory;
use crate::sorting::sorted;

/// `draws` independent draws of one of several values, each counted `weight` times.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The different values, ascending.
    pub values: Vec<f64>,
    /// Their probabilities.
    pub shares: Vec<f64>,
    /// The number of draws.
    pub draws: f64,
    /// What every value is multiplied by.
    pub weight: f64,
    /// The mean of one draw, unweighted.
    pub mean: f64,
}

impl Part {
    /// The draws with replacement of as many values as `values` has, each drawn with the same probability, or with
    /// probabilities in proportion to `shares`.
    pub fn new(
        values: Vec<f64>,
        shares: Option<&[f64]>,
        weight: f64,
        pace: &mut Pace<'_>,
    ) -> Result<Self, Stopped> {
        let draws = values.len() as f64;
        let pairs = match shares {
            None => {
                let values = sorted(values, f64::total_cmp, pace)?;
                memory::collected(values.into_iter().map(|value| (value, 1.0)))?
            }
            Some(shares) => {
                let pairs = memory::collected(values.into_iter().zip(shares.iter().copied()))?;
                let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
                sorted(pairs, order, pace)?
            }
        };
        let (mut values, mut counts) = (Vec::new(), Vec::new());
        for (value, share) in pairs {
            // -0 and 0 are one value.
            match values.last() {
                Some(&last) if last == value => *last_of(&mut counts) += share,
                _ => {
                    memory::push(&mut values, value)?;
                    memory::push(&mut counts, share)?;
                }
            }
        }
        Ok(Part::counted(values, counts, draws, weight))
    }

    /// From different values, ascending, with counts or other weights in proportion to their probabilities.
    pub fn counted(values: Vec<f64>, mut counts: Vec<f64>, draws: f64, weight: f64) -> Self {
        let all: f64 = counts.iter().sum();
        for count in &mut counts {
            *count /= all;
        }
        let about = |shift: f64| values.iter().zip(&counts).map(|(v, p)| p * (v - shift)).sum::<f64>();
        let near = about(0.0);
        let mean = near + about(near);
        Part { values, shares: counts, draws, weight, mean }
    }

    /// The variance of one weighted draw.
    pub fn variance(&self) -> f64 {
        let square = |(v, p): (&f64, &f64)| p * (v - self.mean) * (v - self.mean);
        self.weight * self.weight * self.values.iter().zip(&self.shares).map(square).sum::<f64>()
    }

    /// How far a weighted draw can be below and above its mean.
    pub fn extent(&self) -> (f64, f64) {
        let (first, last) = (self.values[0], self.values[self.values.len() - 1]);
        let ends = [first, last].map(|v| self.weight * (v - self.mean));
        if self.weight < 0.0 { (-ends[1], ends[0]) } else { (-ends[0], ends[1]) }
    }

    /// The logarithm of the mean of `|Phi|^2` where all phases are independent.
    pub fn collisions(&self) -> f64 {
        let mut collisions = Collisions::new(self.draws);
        self.shares.iter().for_each(|&share| collisions.add(share));
        collisions.log()
    }

    /// The weighted values in turns of a period.
    pub fn column(&self, period: f64) -> Result<Column, Stopped> {
        let turns = memory::collected(self.values.iter().map(|v| self.weight * (v - self.mean) / period))?;
        Ok(Column { turns, shares: memory::copied(&self.shares)?, draws: self.draws })
    }

    /// Whether draws differ.
    pub fn varies(&self) -> bool {
        self.values.len() > 1
    }
}

fn last_of(counts: &mut [f64]) -> &mut f64 {
    let last = counts.len() - 1;
    &mut counts[last]
}

/// The sum of independent parts, divided by `per`, about the statistic's `value`, which is its mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// The parts whose draws differ.
    pub parts: Vec<Part>,
    /// The statistic of the data.
    pub value: f64,
    /// What the sum is divided by.
    pub per: f64,
    /// What constant parts add to the sum.
    pub constant: f64,
}

/// How far a sum may be from its mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The standard deviation.
    pub deviation: f64,
    /// By how much one draw can be below and above its mean, in standard deviations of the sum.
    pub extent: (f64, f64),
}

impl Sum {
    /// From all parts; those that do not vary are set apart.
    pub fn new(parts: Vec<Part>, value: f64, per: f64) -> Self {
        let (mut constant, mut varying) = (0.0, parts);
        varying.retain(|part| {
            constant += if part.varies() { 0.0 } else { part.draws * part.weight * part.mean };
            part.varies()
        });
        Sum { parts: varying, value, per, constant }
    }

    /// The spread of the sum.
    pub fn spread(&self) -> Spread {
        let variance: f64 = self.parts.iter().map(|part| part.draws * part.variance()).sum();
        let deviation = variance.sqrt();
        let wider = |a: (f64, f64), b: (f64, f64)| (larger(a.0, b.0), larger(a.1, b.1));
        let (below, above) = self.parts.iter().map(Part::extent).fold((0.0, 0.0), wider);
        Spread { deviation, extent: (below / deviation, above / deviation) }
    }

    /// The columns of the characteristic function for a period.
    pub fn columns(&self, period: f64) -> Result<Columns, Stopped> {
        let mut columns = memory::with_capacity(self.parts.len())?;
        for part in &self.parts {
            columns.push(part.column(period)?);
        }
        Ok(Columns(columns))
    }

    /// The root mean square of `|Phi|` where all phases are independent.
    pub fn noise(&self) -> f64 {
        exp(0.5 * self.parts.iter().map(Part::collisions).sum::<f64>())
    }
}

/// The larger of two numbers.
pub fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// The smaller of two numbers.
pub fn smaller(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}
