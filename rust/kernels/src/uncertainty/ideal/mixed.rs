//! The sum of several parts, of which very long ones are known by their power sums (engine T).

use super::columns::{MANY, varied};
use super::law::Engine;
use super::march::March;
use super::nodes::{Columns, Complex, Transform};
use super::power_sums::{PowerSums, Turned, sample};
use super::smooth::{Smooth, of_transform, range};
use super::sum::{Part, Spread, larger};
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::moments::{self, Moments, moments};
use crate::memory;
use crate::simd::Isa;

/// A part of the sum: values, and what each is multiplied by.
pub type Values<'a> = (&'a [f64], f64);

/// The characteristic functions of the parts.
struct Mixed {
    long: Vec<Turned>,
    others: Columns,
}

impl Transform for Mixed {
    #[inline(always)]
    fn log<I: Isa>(&self, node: f64) -> Complex {
        let mut sum = self.others.log::<I>(node);
        for part in &self.long {
            let (size, phase) = part.log::<I>(node);
            sum = (sum.0 + size, sum.1 + phase);
        }
        sum
    }

    fn cost(&self) -> usize {
        self.others.cost() + self.long.iter().map(Transform::cost).sum::<usize>()
    }
}

/// The distribution of the sum of as many draws of each part as it has values; `place` is the statistic of the data and
/// what sums are divided by. `None` where no part has power sums.
pub fn mixed(
    parts: &[Values<'_>],
    place: (f64, f64),
    progress: Progress<'_>,
) -> Result<Option<Smooth>, Stopped> {
    let mut facts = memory::with_capacity(parts.len())?;
    for (values, _) in parts {
        let moments::Column::Finite(found) = moments(values, &mut *progress)? else { return Ok(None) };
        facts.push(found);
    }
    let spread = spread(parts, &facts);
    let period = range(spread).1 * spread.deviation;
    let (mut sums, mut long, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut watched = memory::with_capacity(parts.len())?;
    for (&(values, weight), facts) in parts.iter().zip(&facts) {
        if facts.min == facts.max {
            continue;
        }
        let turn = period / weight;
        if values.len() > MANY
            && varied(values)?
            && let Some(found) = PowerSums::converged(values, facts, &mut *progress)?
        {
            memory::push(&mut long, found.turned(turn))?;
            memory::push(&mut sums, (found, turn))?;
            watched.push(sample(values, facts, turn)?);
            continue;
        }
        let part = Part::new(memory::copied(values)?, None, weight, &mut Pace::new(&mut *progress))?;
        memory::push(&mut others, part.column(period)?)?;
        watched.push(part.column(period)?);
    }
    if long.is_empty() {
        return Ok(None);
    }
    let (transform, mut march) = (Mixed { long, others: Columns(others) }, March::sampled(watched)?);
    let mut law = of_transform(&transform, &mut march, spread, place, 0.0, progress)?;
    law.engine = Engine::T;
    law.error += sums.iter().map(|(found, turn)| found.remainder(&law.inverse, *turn)).sum::<f64>();
    Ok(Some(law))
}

fn spread(parts: &[Values<'_>], facts: &[Moments]) -> Spread {
    let (mut variance, mut below, mut above) = (0.0, 0.0, 0.0);
    for ((_, weight), facts) in parts.iter().zip(facts) {
        variance += weight * weight * facts.squares;
        let ends = [facts.mean - facts.min, facts.max - facts.mean].map(|end| end * weight.abs());
        let ends = if *weight < 0.0 { [ends[1], ends[0]] } else { ends };
        (below, above) = (larger(below, ends[0]), larger(above, ends[1]));
    }
    let deviation = variance.sqrt();
    Spread { deviation, extent: (below / deviation, above / deviation) }
}
