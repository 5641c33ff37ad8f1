//! Many models against one baseline, tested together: the single-step max-t test and its step-down form (Romano and Wolf)
//! over shared sign flips.
//!
//! The statistic of a model is `r = sum_u d_u / sqrt(sum_u d_u^2)` of its differences from the baseline, as in the tests of
//! all pairs; a pattern of signs, the same for every model, flips the differences of a unit in all of them. The adjusted p of
//! the single step is the share of the patterns in which the largest flipped r of any model reaches the model's own. Step-down
//! tests the largest r first, and takes the largest flipped r of the models not yet tested alone (Romano and Wolf, JASA 100
//! (2005)); a p is at least that of every model whose r is larger, so that the first step is that of the single one.

use super::{Differences, LANES, Lanes, Scores, Signs, Used, add_to, inverse_root, patterns};
use crate::grid::{self, Progress, Stopped};
use crate::intervals::Alternative;
use crate::memory::{self, NoMemory};
use crate::simd::{Isa, Kernel, dispatch, scalar};

/// The tests of all models against the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct AgainstBaseline {
    /// r of each model.
    pub statistics: Vec<f64>,
    /// The p of each model, adjusted by the single step.
    pub single: Vec<f64>,
    /// The p of each model, adjusted step by step.
    pub step_down: Vec<f64>,
    /// How many patterns were used, with the one that was observed.
    pub patterns: usize,
    /// Whether these are all patterns.
    pub all: bool,
}

/// Tests the columns of `x` after the first one, which is the baseline, against it; `x` holds the scores of `columns` columns
/// unit by unit. Scores that differ by at most `tie` times the larger one are equal.
pub fn against_baseline(
    x: &[f64],
    columns: usize,
    tie: f64,
    alternative: Alternative,
    seed: u64,
    progress: Progress<'_>,
) -> Result<AgainstBaseline, Stopped> {
    scalar(|| tested(x, columns, tie, alternative, seed, progress))
}

fn tested(
    x: &[f64],
    columns: usize,
    tie: f64,
    alternative: Alternative,
    seed: u64,
    progress: Progress<'_>,
) -> Result<AgainstBaseline, Stopped> {
    let scores = Scores::new(x, columns, tie, progress)?;
    let models = scores.beside_baseline(tie, alternative, progress)?;
    let (patterns, all) = patterns(scores.units());
    let work = |sums: &[Lanes], live: usize, counts: &mut [u32]| {
        dispatch(Reached { sums, models: &models, side: alternative, live, counts });
    };
    let counts = scores.counted(Signs { seed, all }, patterns, 2 * models.len(), work, progress)?;
    Ok(gathered(&models, &counts, patterns, all)?)
}

/// A model beside the baseline.
#[derive(Clone, Copy)]
struct Model {
    column: usize,
    /// 1 / sqrt(sum d^2); 0 where all differences are 0.
    inverse: f64,
    r: f64,
    /// r as the alternative turns it.
    turned: f64,
    /// What a flipped r must reach, turned in the same way, in order to count.
    bar: f64,
}

/// r as the alternative counts it: a claim is the stronger the larger it is.
#[inline(always)]
fn turned(r: f64, side: Alternative) -> f64 {
    match side {
        Alternative::TwoSided => r.abs(),
        Alternative::Greater => r,
        Alternative::Less => -r,
    }
}

impl Scores {
    /// The models in ascending order of their turned r.
    fn beside_baseline(
        &self,
        tie: f64,
        side: Alternative,
        progress: Progress<'_>,
    ) -> Result<Vec<Model>, Stopped> {
        let slack = super::SLACK * (self.units() as f64).sqrt();
        let mut models = memory::with_capacity(self.models)?;
        for (column, [sum, squares]) in self.differences(tie, progress)?.into_iter().enumerate().skip(1) {
            let inverse = inverse_root(squares);
            let r = -sum * inverse; // the sums are those of the baseline minus the model
            let turned = turned(r, side);
            models.push(Model { column, inverse, r, turned, bar: turned - slack });
        }
        models.sort_by(|one, other| one.turned.total_cmp(&other.turned));
        Ok(models)
    }

    /// For each column, the sum of the differences of the first column from it and the sum of their squares.
    fn differences(&self, tie: f64, progress: Progress<'_>) -> Result<Vec<[f64; 2]>, Stopped> {
        let (m, size) = (self.models, self.chunk());
        let parts = grid::chunks(self.plain.len(), size);
        let rows = grid::map_chunks(parts, size_of_val(&self.plain[..]), progress, |part| {
            let mut row = memory::filled(m, [0.0; 2])?;
            let x = &self.plain[grid::chunk(part, self.plain.len(), size)];
            dispatch(Differences { x, models: m, i: 0, tie, row: &mut row });
            Ok::<_, NoMemory>(row)
        })?;
        let mut totals = memory::filled(m, [0.0; 2])?;
        for row in rows {
            add_to(&mut totals, &row?);
        }
        Ok(totals)
    }
}

/// The p-values; the counts are those of the step-down tests, then those of the single step.
fn gathered(
    models: &[Model],
    counts: &[u32],
    patterns: usize,
    all: bool,
) -> Result<AgainstBaseline, NoMemory> {
    let used = Used { patterns, all };
    let mut found = AgainstBaseline {
        statistics: memory::filled(models.len(), 0.0)?,
        single: memory::filled(models.len(), 1.0)?,
        step_down: memory::filled(models.len(), 1.0)?,
        patterns: used.count(),
        all,
    };
    let (steps, singles) = counts.split_at(models.len());
    let mut largest = 0.0;
    for (i, of) in models.iter().enumerate().rev() {
        let own = used.share(steps[i]);
        largest = if own > largest { own } else { largest };
        found.statistics[of.column - 1] = of.r;
        found.step_down[of.column - 1] = largest;
        found.single[of.column - 1] = used.share(singles[i]);
    }
    Ok(found)
}

/// Counts, for each model, the patterns whose largest turned r over this model and all of smaller r reaches the model's own,
/// and after these those whose largest r of any model does.
struct Reached<'a> {
    sums: &'a [Lanes],
    models: &'a [Model],
    side: Alternative,
    /// How many of the lanes hold a pattern.
    live: usize,
    counts: &'a mut [u32],
}

impl Kernel for Reached<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let base = &self.sums[0].0;
        let (steps, singles) = self.counts.split_at_mut(self.models.len());
        let mut counts_as = [0; LANES];
        counts_as[..self.live].fill(1);
        let mut largest = [f64::NEG_INFINITY; LANES];
        for (of, count) in self.models.iter().zip(steps) {
            let sums = &self.sums[of.column].0;
            let mut reached = 0;
            for lane in 0..LANES {
                let r = turned((sums[lane] - base[lane]) * of.inverse, self.side);
                largest[lane] = if r > largest[lane] { r } else { largest[lane] };
                reached += if largest[lane] >= of.bar { counts_as[lane] } else { 0 };
            }
            *count += reached;
        }
        for (of, count) in self.models.iter().zip(singles) {
            let mut reached = 0;
            for lane in 0..LANES {
                reached += if largest[lane] >= of.bar { counts_as[lane] } else { 0 };
            }
            *count += reached;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(x: &[f64], columns: usize, side: Alternative) -> AgainstBaseline {
        against_baseline(x, columns, 0.0, side, 0, &mut |_| true).unwrap()
    }

    #[test]
    fn all_patterns_of_few_units_are_counted() {
        // The model is better by 1 on each of four units: one of 16 patterns reaches r = 2, and its opposite r = -2.
        let x = [0.0, 1.0].repeat(4);
        let two = test(&x, 2, Alternative::TwoSided);
        assert_eq!((two.patterns, two.all, two.statistics[0]), (16, true, 2.0));
        assert_eq!((two.single[0], two.step_down[0]), (2.0 / 16.0, 2.0 / 16.0));
        assert_eq!(test(&x, 2, Alternative::Greater).step_down, [1.0 / 16.0]);
        assert_eq!(test(&x, 2, Alternative::Less).step_down, [1.0]);
    }

    #[test]
    fn the_first_step_is_the_single_one_and_later_ones_are_smaller() {
        let x: Vec<f64> = (0..2000u32).map(|i| f64::from(i * i % 13) + f64::from(i % 5)).collect();
        let found = test(&x, 5, Alternative::TwoSided);
        let best =
            (0..4).max_by(|&i, &j| found.statistics[i].abs().total_cmp(&found.statistics[j].abs())).unwrap();
        assert_eq!(found.single[best], found.step_down[best]);
        assert!(found.single.iter().zip(&found.step_down).all(|(single, step)| step <= single));
    }
}
