//! Shows that no further stretch of a characteristic function matters, or finds the next one that does.
//!
//! `|Phi|` may become large again far beyond the first stretch of nodes where it vanishes: values that lie in two
//! clusters, or mostly on a lattice, bring it back. Since `|phi(t + d)| <= |phi(t)| + d E|X|`, one evaluation shows that
//! `|Phi|` stays small over a whole step.

use super::nodes::{Column, Columns, LANES};
use super::sum::{larger, smaller};
use crate::grid::{Pace, Stopped};
use crate::math::{cos_sin_turns, exp, log};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, padded, tree64};
use crate::uncertainty::sign_flip::floor;
use std::borrow::Cow;
use std::f64::consts::{PI, TAU};

/// Of more values than this a sample is watched.
const WATCHED: usize = 4096;
/// How many values times steps a search may cost.
const BUDGET: f64 = 1e7;
/// What a step costs beside its values.
const STEP: f64 = 50.0;

/// Where the search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Search {
    /// Nothing follows.
    Clean,
    /// The node of the next stretch.
    Live(f64),
    /// The budget was spent; the node that was reached.
    Spent(f64),
}

/// Looks for stretches where `|Phi|` is not negligible.
pub struct March<'a> {
    columns: Cow<'a, [Column]>,
    /// `2 pi E|X|` of each column, in turns.
    slopes: Vec<f64>,
    /// The logarithm of the `|Phi|` at which a stretch counts as live.
    live: f64,
    /// The logarithm below which `|Phi|` is shown to stay.
    below: f64,
    /// Whether only a sample is watched.
    thinned: bool,
    /// How many more steps may be taken.
    left: f64,
}

impl<'a> March<'a> {
    /// A search over the draws of `columns`.
    pub fn new(columns: &'a Columns) -> Result<Self, Stopped> {
        let all = columns.0.iter().map(|column| column.turns.len()).sum::<usize>();
        let stride = all.div_ceil(WATCHED);
        let watched =
            if stride > 1 { Cow::Owned(thinned(&columns.0, stride)?) } else { Cow::Borrowed(&columns.0[..]) };
        March::over(watched, stride > 1)
    }

    /// A search over a sample of the values.
    pub fn sampled(columns: Vec<Column>) -> Result<Self, Stopped> {
        March::over(Cow::Owned(columns), true)
    }

    fn over(columns: Cow<'a, [Column]>, thinned: bool) -> Result<Self, Stopped> {
        let draws: f64 = columns.iter().map(|column| column.draws).sum();
        let slope = |column: &Column| TAU * sum(column, |turns, share| share * turns.abs());
        let slopes = memory::collected(columns.iter().map(slope))?;
        // Few draws leave |Phi| above such a number everywhere.
        let few = smaller(larger((draws - 50.0) / 50.0, 0.0), 1.0);
        let (live, below) = if thinned {
            // A sample shows no more than that Phi is far from 1.
            (draws * LOG_08, draws * LOG_085)
        } else {
            (-(26.0 + 10.0 * few), -(25.0 + 10.0 * few))
        };
        let values: usize = columns.iter().map(|column| column.turns.len()).sum();
        Ok(March { columns, slopes, live, below, thinned, left: BUDGET / (values as f64 + STEP) })
    }

    /// Counts as live only what exceeds the `noise` that few draws leave everywhere.
    pub fn above(&mut self, noise: f64) {
        let live = log(100.0 * noise);
        if live > self.live {
            (self.live, self.below) = (live, live + 1.0);
        }
    }

    /// What the nodes that are shown to be small may add up to at most, in the weights of the nodes `first..last`.
    pub fn missed(&self, first: f64, last: f64) -> f64 {
        if self.thinned || last <= first { 0.0 } else { exp(self.below) * log(last / first) / PI }
    }

    /// How far the search has to go, and whether the budget allows it: 64 standard deviations' frequencies, doubled
    /// until values that stay together over this distance are so few that `|Phi|`, with independent phases for the
    /// others, is about its `noise` or makes less than `small` of a difference.
    pub fn reach(&self, noise: f64, small: f64) -> (f64, bool) {
        let variance = |column: &Column| sum(column, |turns, share| share * turns * turns);
        let widest = self.columns.iter().map(variance).fold(0.0, larger);
        let mut to = 64.0 / (TAU * widest.sqrt());
        let most = 0.4 * self.left / self.slopes.iter().sum::<f64>();
        while to < most && {
            let (a, b) = (3.0 * noise, small * PI * (2.0 * to).sqrt());
            self.independent(to) > larger(a, b)
        } {
            to *= 2.0;
        }
        if to < most { (to, true) } else { (most, false) }
    }

    /// The root mean square of `|Phi|` near a node, if values that differ by less than a radian there have one phase
    /// and all others independent ones.
    fn independent(&self, node: f64) -> f64 {
        let mut log = 0.0;
        for column in self.columns.iter() {
            let cell_of = |turns: f64| floor((turns - column.turns[0]) * (TAU * node));
            let mut collisions = Collisions::new(column.draws);
            let (mut cell, mut share) = (f64::NAN, 0.0);
            for (&turns, &part) in column.turns.iter().zip(&column.shares) {
                let this = cell_of(turns);
                if this != cell {
                    collisions.add(share);
                    (cell, share) = (this, 0.0);
                }
                share += part;
            }
            collisions.add(share);
            log += collisions.log();
        }
        exp(0.5 * log)
    }

    /// Searches the nodes `from..to`.
    pub fn next(&mut self, from: f64, to: f64, pace: &mut Pace<'_>) -> Result<Search, Stopped> {
        let mut node = from;
        if self.thinned {
            // A sample cannot resolve the first stretch, which is skipped.
            while node < to && self.at(node) >= self.live {
                node *= 1.2;
            }
        }
        let mut sizes = memory::filled(self.columns.len(), 0.0)?;
        let values: usize = self.columns.iter().map(|column| column.turns.len()).sum();
        while node < to {
            if self.left < 1.0 {
                return Ok(Search::Spent(node));
            }
            self.left -= 1.0;
            let mut log_size = 0.0;
            for (size, column) in sizes.iter_mut().zip(self.columns.iter()) {
                *size = dispatch(Size { column, node });
                log_size += column.draws * log(if *size > 1e-300 { *size } else { 1e-300 });
            }
            if log_size >= self.live {
                return Ok(Search::Live(node));
            }
            node += self.step(&sizes);
            if values > 64 { pace.stride(values)? } else { pace.step()? }
        }
        Ok(Search::Clean)
    }

    /// The logarithm of `|Phi|`.
    fn at(&self, node: f64) -> f64 {
        let log = |column: &Column| {
            let size = dispatch(Size { column, node });
            column.draws * log(if size > 1e-300 { size } else { 1e-300 })
        };
        self.columns.iter().map(log).sum()
    }

    /// The step over which `|Phi|` certainly stays small.
    fn step(&self, sizes: &[f64]) -> f64 {
        if let ([size], [slope]) = (sizes, &self.slopes[..]) {
            return (exp(self.below / self.columns[0].draws) - size) / slope;
        }
        let (mut low, mut high) = (0.0, 2.0 / self.slopes[0]);
        for _ in 0..30 {
            let step = 0.5 * (low + high);
            let bound: f64 = sizes
                .iter()
                .zip(&self.slopes)
                .zip(self.columns.iter())
                .map(|((size, slope), column)| {
                    let most = size + step * slope;
                    column.draws * log(if most < 1.0 { most } else { 1.0 })
                })
                .sum();
            if bound < self.below { low = step } else { high = step }
        }
        low
    }
}

const LOG_08: f64 = -0.223_143_551_314_209_76;
const LOG_085: f64 = -0.162_518_929_497_774_94;

/// Every `stride`-th value, with shares that add up to 1.
fn thinned(columns: &[Column], stride: usize) -> Result<Vec<Column>, Stopped> {
    let mut thin = memory::with_capacity(columns.len())?;
    for column in columns {
        let turns = memory::gathered(column.turns.iter().copied().step_by(stride))?;
        let mut shares = memory::gathered(column.shares.iter().copied().step_by(stride))?;
        let all: f64 = shares.iter().sum();
        for share in &mut shares {
            *share /= all;
        }
        thin.push(Column { turns, shares, draws: column.draws });
    }
    Ok(thin)
}

fn sum(column: &Column, f: impl Fn(f64, f64) -> f64) -> f64 {
    column.turns.iter().zip(&column.shares).map(|(&turns, &share)| f(turns, share)).sum()
}

/// `|phi|` of one draw.
struct Size<'a> {
    column: &'a Column,
    node: f64,
}

impl Kernel for Size<'_> {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        let (mut real, mut imaginary) = ([0.0; LANES], [0.0; LANES]);
        for (turns, shares) in self.column.turns.chunks(LANES).zip(self.column.shares.chunks(LANES)) {
            let (turns, shares) = (padded::<f64, LANES>(turns, 0.0), padded::<f64, LANES>(shares, 0.0));
            for l in 0..LANES {
                let (c, s) = cos_sin_turns::<I>(self.node, turns[l]);
                real[l] += shares[l] * c;
                imaginary[l] += shares[l] * s;
            }
        }
        let (real, imaginary) = (tree64(real), tree64(imaginary));
        (real * real + imaginary * imaginary).sqrt()
    }
}

/// The logarithm of the sum of the squared probabilities of all possible counts of the values, if none of their sums
/// coincide: the mean of `|Phi|^2` over independent phases.
pub struct Collisions {
    draws: f64,
    log: f64,
}

impl Collisions {
    /// Of so many draws.
    pub fn new(draws: f64) -> Self {
        Collisions { draws, log: 0.5 * log(TAU * draws) }
    }

    /// Adds a value of this probability. Counts are taken as independent Poisson variables, whose total is then fixed.
    pub fn add(&mut self, share: f64) {
        if share > 0.0 {
            self.log += log(bessel(2.0 * self.draws * share));
        }
    }

    /// The logarithm; at most 0.
    pub fn log(&self) -> f64 {
        if self.log < 0.0 { self.log } else { 0.0 }
    }
}

/// `exp(-x) I_0(x)` for `x >= 0`, within 2e-7 (Abramowitz and Stegun, "Handbook of mathematical functions", 9.8.1 and
/// 9.8.2).
fn bessel(x: f64) -> f64 {
    let polynomial = |at: f64, terms: &[f64]| terms.iter().rev().fold(0.0, |sum, term| sum * at + term);
    if x <= 3.75 {
        let near = [1.0, 3.515_622_9, 3.089_942_4, 1.206_749_2, 0.265_973_2, 0.036_076_8, 0.004_581_3];
        let t = x / 3.75;
        exp(-x) * polynomial(t * t, &near)
    } else {
        let far = [
            0.398_942_28,
            0.013_285_92,
            0.002_253_19,
            -0.001_575_65,
            0.009_162_81,
            -0.020_577_06,
            0.026_355_37,
            -0.016_476_33,
            0.003_923_77,
        ];
        polynomial(3.75 / x, &far) / x.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bessel_function() {
        for (x, want) in [(0.0, 1.0), (2.0, 0.308_508_322_5), (10.0, 0.127_833_337_2)] {
            assert!((bessel(x) - want).abs() < 3e-7, "{x} {}", bessel(x));
        }
    }

    #[test]
    fn two_clusters_come_back_and_one_does_not() {
        let column = |gap: f64| {
            let noise = |i: usize| 0.001 * ((i * 7919 % 200) as f64 / 200.0 - 0.5);
            let mut turns: Vec<f64> =
                (0..200).map(|i| noise(i) + if i % 2 == 0 { -gap } else { gap }).collect();
            turns.sort_unstable_by(f64::total_cmp);
            Columns(vec![Column { turns, shares: vec![0.005; 200], draws: 200.0 }])
        };
        let mut pace_of = |_: usize| true;
        let mut pace = Pace::new(&mut pace_of);
        // Clusters 0.02 turns apart have one phase again at node 50.
        let two = column(0.01);
        let mut march = March::new(&two).unwrap();
        let Search::Live(node) = march.next(20.0, 1e3, &mut pace).unwrap() else { panic!() };
        assert!(node > 40.0 && node < 50.0, "{node}");
        let one = Columns(vec![Column {
            turns: (0..200).map(|i| 1e-3 * f64::from(i) - 0.1).collect(),
            shares: vec![0.005; 200],
            draws: 200.0,
        }]);
        let mut march = March::new(&one).unwrap();
        assert_eq!(march.next(20.0, 400.0, &mut pace).unwrap(), Search::Clean);
    }
}
