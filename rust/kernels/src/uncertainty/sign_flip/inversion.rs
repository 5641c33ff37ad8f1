//! The tail probability of the randomly signed sum, by Fourier inversion along a shifted line.
//!
//! With `K(z) = sum log cosh(a z)` and any `theta > 0`, `z = theta + it`:
//!
//! `P(T > s) + P(T = s)/2 = 1/pi * integral over t > 0 of Re exp(K(z) - z s) / z`
//!
//! and, on a lattice whose points lie `g` apart, `P(T >= s)` with `g/(1 - exp(-g z))` in place of `1/z` and the
//! integral up to `pi/g`. On a line near the saddle point (`K'(theta) = s`) nothing cancels, so that a tail of 1e-300
//! keeps its digits. The midpoint rule at the nodes `t = (k + 1/2) 2 pi/P` is exact except for probability that lies
//! whole periods `P` away from `s` (aliasing, by Poisson's summation formula); Chernoff's bound gives a `P` for which
//! that is less than 1e-15 of the result.
//!
//! Sources: for the line, R. Lugannani and S. Rice, "Saddle point approximation for the distribution of the sum of
//! independent random variables", Adv. Appl. Prob. 12 (1980); for the rule and its error, J. Abate and W. Whitt, "The
//! Fourier-series method for inverting transforms of probability distributions", Queueing Systems 10 (1992).

use super::nearest;
use super::sum::{LANES, Magnitudes, REACH, Tilts};
use crate::grid::{self, Progress, Stopped};
use crate::math::{angle, cos_sin_turns, exp, exp64, expm1_64, log, log1p, log1p_64};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, tree64};
use std::f64::consts::{PI, TAU};

/// The tilt is at least this number divided by the standard deviation of T; a smaller one would need a longer period.
const LEAST_TILT: f64 = 3.0;
/// The aliasing error is less than exp(-35) of the result.
const ALIAS: f64 = 35.0;
/// A node at which the characteristic function is below exp(-42) is left out.
const NEGLIGIBLE: f64 = 42.0;
/// At least this many nodes are visited even where the terms vanish sooner, since the characteristic function may
/// become large again.
const LOOKED_AT: usize = 1 << 12;
/// On a lattice with at most this many different magnitudes all nodes up to `pi/g` are visited: a part of the
/// magnitudes may lie on a coarser lattice, which makes the characteristic function large again anywhere.
const DISTINCT: usize = 64;
/// Nodes are added until the estimated remainder is below this share of the result.
const GOOD: f64 = 1e-9;
/// No more nodes are added once this many factors of the characteristic function have been computed.
const FACTORS: usize = 1 << 22;
/// Factors between two looks at the clock.
const STEP: usize = 1 << 18;

/// A tail probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// The logarithm of the probability.
    pub log: f64,
    /// The approximate relative error of the probability.
    pub error: f64,
    /// Whether there are terms for which the series of the power sums does not converge.
    pub short: bool,
}

/// The tilt, and the standard deviation and cumulant generating function of T under it.
#[derive(Clone, Copy, Debug)]
pub struct Tilt {
    theta: f64,
    deviation: f64,
    log: f64,
    /// `K(theta) - theta s`: the tail's logarithm is at most this.
    pub bound: f64,
}

/// A tilt under which the mean of T is about `s`, within the range where the series of the power sums converges.
pub fn tilt(magnitudes: &Magnitudes, s: f64) -> Tilt {
    let (first, least, most) =
        (s / magnitudes.squares, LEAST_TILT / magnitudes.squares.sqrt(), 0.5 * magnitudes.reach());
    let mut theta = if first > least { first } else { least };
    let mut now = magnitudes.cumulants(theta);
    // K' is concave for theta > 0, so that Newton's steps approach the solution from below and do not overshoot.
    for _ in 0..40 {
        let next = theta + (s - now.mean) / now.variance;
        let close = (s - now.mean) * (s - now.mean) <= 0.01 * now.variance;
        if close || !(next > least && next < most && next * magnitudes.largest < 300.0) {
            break;
        }
        theta = next;
        now = magnitudes.cumulants(theta);
    }
    Tilt { theta, deviation: now.variance.sqrt(), log: now.log, bound: now.log - theta * s }
}

/// A period `P` for which aliasing is negligible: the smallest one that Chernoff's bound gives at a few other tilts.
fn period(magnitudes: &Magnitudes, s: f64, tilt: Tilt) -> f64 {
    let guess = tilt.bound - log(2.51 * tilt.theta * tilt.deviation);
    let need = ALIAS - if guess < -4.0 { guess } else { -4.0 };
    let (mut below, mut above) = (need / tilt.theta, f64::INFINITY);
    for deviations in [2.0, 3.0, 4.0, 6.0, 8.0, 10.0] {
        let by = deviations / tilt.deviation;
        let (less, more) = (tilt.theta - by, tilt.theta + by);
        let at = |other: f64| (magnitudes.cumulants(other).log - other * s + need) / by;
        if less > 0.0 {
            let at = at(less);
            below = if at < below { at } else { below };
        }
        if more <= magnitudes.reach() {
            let at = at(more);
            above = if at < above { at } else { above };
        }
    }
    if above.is_finite() && above > below { above } else { below }
}

/// `P(T >= s)` for `s >= 0`. On a lattice it includes the whole probability of `T = s`, otherwise half of it.
pub fn upper(magnitudes: &Magnitudes, s: f64, tilt: Tilt, progress: Progress<'_>) -> Result<Tail, Stopped> {
    let (mut period, mut band) = (period(magnitudes, s, tilt), usize::MAX);
    if let Some(step) = magnitudes.step {
        // A period of a power of two of lattice points makes the angles exact.
        let points = period / (2.0 * step);
        let points = if points < 1e15 { points as usize + 4 } else { 1 << 50 }.next_power_of_two();
        (period, band) = (2.0 * step * points as f64, points / 2);
    }
    let line = Line::new(magnitudes, s, tilt, period)?;
    let size = (STEP / (magnitudes.a.len() + 64)).clamp(1, 64);
    let (mut total, mut first, mut last, mut factors) = (Part::default(), 0, band.min(64), 0);
    let missing = loop {
        let nodes = last - first;
        let part = |index| {
            let nodes = grid::chunk(index, nodes, size);
            dispatch(Nodes { line: &line, first: first + nodes.start, last: first + nodes.end })
        };
        // Computing a factor takes about as long as reading sixteen bytes.
        let bytes = nodes.saturating_mul(16 * (magnitudes.a.len() + 64));
        let parts = grid::map_chunks(grid::chunks(nodes, size), bytes, &mut *progress, part)?;
        let octave = parts.into_iter().fold(Part::default(), Part::plus);
        total = total.plus(octave);
        // Finding out that a node is negligible takes a fraction of the time that computing it takes.
        factors += octave.taken * (magnitudes.a.len() + 16) + nodes * (line.probed.min(64) / 8 + 1);
        // The octaves that follow are estimated to contribute about as much as this one (its sum, and its sum if the
        // phases were random), or as much as they would for angles that are independent of each other.
        let generic = line.mean_square / (PI * PI * last as f64);
        let rest = 4.0 * ((octave.squares + generic).sqrt() + octave.sum.abs()) / total.sum.abs();
        if last == band {
            break 0.0;
        }
        let vanished = last >= LOOKED_AT
            && rest < GOOD
            && !(magnitudes.step.is_some() && magnitudes.a.len() <= DISTINCT);
        if vanished || factors >= FACTORS {
            break rest;
        }
        (first, last) = (last, band.min(2 * last));
    };
    let size = tilt.log + tilt.theta * s + TAU;
    let rounding = f64::EPSILON * (2.0 * size + 8.0 * total.sizes / total.sum.abs());
    let error = missing + rounding + 2e-15 + total.unknown / total.sum.abs();
    let share = if total.sum > 0.0 { total.sum } else { total.sizes };
    Ok(Tail { log: tilt.bound + log(share), error, short: total.short })
}

/// The line of integration, and what its nodes have in common.
struct Line<'a> {
    magnitudes: &'a Magnitudes,
    tilt: Tilt,
    period: f64,
    /// `s` divided by the period.
    shift: f64,
    once: Columns,
    often: Columns,
    /// The magnitudes in the bound of the characteristic function, and how many there are.
    probe: Columns,
    probed: usize,
    /// Their weights in it, as many as the probe has turns.
    weights: Vec<f64>,
    /// Whether the bound can be small enough at all to show that a node is negligible.
    probing: bool,
    /// An upper bound of the mean of `abs(phi)^2` over independent angles.
    mean_square: f64,
}

/// Magnitudes divided by the period (`turns`), and `tanh` and `1/cosh^2` (`rest`) of theta times the magnitudes.
///
/// They are filled up with zeros to a whole number of blocks of lanes, so that every node reads the blocks where they
/// are: a copy of a block to fill it up, which a wider load than its stores follows, takes longer than its arithmetic.
struct Columns {
    turns: Vec<f64>,
    tanh: Vec<f64>,
    rest: Vec<f64>,
}

impl Columns {
    fn new(a: &[f64], theta: f64, period: f64) -> Result<Self, Stopped> {
        let n = a.len().next_multiple_of(LANES);
        let zeros = || memory::filled(n, 0.0);
        let (mut turns, mut tanh, mut rest) = (zeros()?, zeros()?, zeros()?);
        turns.iter_mut().zip(a).for_each(|(turns, a)| *turns = a / period);
        dispatch(Tilts { a, theta, tanh: &mut tanh[..a.len()], rest: &mut rest[..a.len()] });
        Ok(Columns { turns, tanh, rest })
    }
}

impl<'a> Line<'a> {
    fn new(magnitudes: &'a Magnitudes, s: f64, tilt: Tilt, period: f64) -> Result<Self, Stopped> {
        let columns = |a: &[f64]| Columns::new(a, tilt.theta, period);
        let (once, often) = magnitudes.a.split_at(magnitudes.once);
        let (once, often) = (columns(once)?, columns(often)?);
        let (probe, times) = if magnitudes.rest.is_some() {
            (&magnitudes.probe, &magnitudes.ones)
        } else {
            (&magnitudes.a, &magnitudes.times)
        };
        let (probed, probe) = (probe.len(), columns(probe)?);
        let mut weights = memory::filled(probe.rest.len(), 0.0)?;
        let each = probe.rest.iter().zip(times).map(|(rest, times)| rest * times);
        weights.iter_mut().zip(each).for_each(|(to, weight)| *to = weight);
        let probing = weights.iter().sum::<f64>() > 4.0 * NEGLIGIBLE;
        // The mean of (1 - w sin^2)^c is 1 - w/2 for c = 1, and below 1/sqrt(1 + c w).
        let mean = |(w, &c): (&f64, &f64)| if c == 1.0 { log1p(-0.5 * w) } else { -0.5 * log1p(c * w) };
        let mean_square = exp(probe.rest.iter().zip(times).map(mean).sum());
        Ok(Line {
            magnitudes,
            tilt,
            period,
            shift: s / period,
            once,
            often,
            probe,
            probed,
            weights,
            probing,
            mean_square,
        })
    }
}

/// The contribution of a range of nodes to the integral.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    sum: f64,
    /// The sum of the absolute values of the terms, from which the rounding error is estimated.
    sizes: f64,
    /// The sum of their squares.
    squares: f64,
    /// A bound of the terms left out because the series of the power sums does not converge for them.
    unknown: f64,
    short: bool,
    /// The number of nodes that were not negligible.
    taken: usize,
}

impl Part {
    fn plus(self, other: Part) -> Part {
        Part {
            sum: self.sum + other.sum,
            sizes: self.sizes + other.sizes,
            squares: self.squares + other.squares,
            unknown: self.unknown + other.unknown,
            short: self.short || other.short,
            taken: self.taken + other.taken,
        }
    }
}

type Complex = (f64, f64);

#[inline(always)]
fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

#[inline(always)]
fn length(a: Complex) -> f64 {
    (a.0 * a.0 + a.1 * a.1).sqrt()
}

struct Nodes<'a> {
    line: &'a Line<'a>,
    first: usize,
    last: usize,
}

impl Kernel for Nodes<'_> {
    type Out = Part;
    #[inline(always)]
    fn run<I: Isa>(self) -> Part {
        let mut part = Part::default();
        for k in self.first..self.last {
            let node = k as f64 + 0.5;
            if !self.line.negligible(node) {
                part = part.plus(self.line.part::<I>(node));
            }
        }
        part
    }
}

/// Whether `abs(phi)` is certainly below exp(-42), by `abs(phi)^2 <= exp(-sum of weight sin^2)` with a polynomial that
/// is a lower bound of the squared sine.
#[inline(always)]
fn negligible(turns: &[f64], weights: &[f64], node: f64) -> bool {
    let mut lanes = [0.0; LANES];
    let (turns, weights) = (turns.as_chunks::<LANES>().0, weights.as_chunks::<LANES>().0);
    for (turns, weights) in turns.chunks(4).zip(weights.chunks(4)) {
        for (turns, weights) in turns.iter().zip(weights) {
            for l in 0..LANES {
                let half = 2.0 * node * turns[l];
                let r = half - nearest(half);
                let z = r * r;
                lanes[l] += weights[l] * (z * (9.8 - z * (31.5 - z * 33.0)));
            }
        }
        if tree64(lanes) > 2.0 * NEGLIGIBLE {
            return true;
        }
    }
    false
}

impl Line<'_> {
    /// Whether the contribution of the node is certainly negligible.
    #[inline(always)]
    fn negligible(&self, node: f64) -> bool {
        let t = TAU * (node / self.period);
        let rest =
            self.magnitudes.rest.as_ref().filter(|rest| length((self.tilt.theta, t)) * rest.cut > REACH);
        rest.is_some_and(|rest| rest.vanishes(self.tilt.theta, t, NEGLIGIBLE))
            || self.probing && negligible(&self.probe.turns, &self.weights, node)
    }

    /// The contribution of the node `t = 2 pi node/P`.
    #[inline(always)]
    fn part<I: Isa>(&self, node: f64) -> Part {
        let t = TAU * (node / self.period);
        let product = self.product_once::<I>(node);
        let (mut size, mut phase) = self.logarithm_often::<I>(node);
        let weight = self.weight::<I>(node, t);
        let reach = self.magnitudes.reach();
        let far = length((self.tilt.theta, t));
        if far > reach {
            let unknown = exp64::<I>(size) * length(product) * length(weight);
            return Part { unknown, short: true, taken: 1, ..Part::default() };
        }
        let (rest, turned) = self.logarithm_rest(t);
        (size, phase) = (size + rest, phase + turned);
        let value = times(product, cos_sin_turns::<I>(phase, 1.0 / TAU));
        let value = times(value, cos_sin_turns::<I>(node, -self.shift));
        let (factor, value) = (exp64::<I>(size), times(value, weight));
        let (sum, size) = (value.0 * factor, length(value) * factor);
        let short = far > 0.5 * reach && size > 1e-15;
        Part { sum, sizes: size, squares: size * size, unknown: 0.0, short, taken: 1 }
    }

    /// `1/z`, or `g/(1 - exp(-g z))` with `g` twice the step of the magnitudes, times `2/P`.
    #[inline(always)]
    fn weight<I: Isa>(&self, node: f64, t: f64) -> Complex {
        let theta = self.tilt.theta;
        match self.magnitudes.step {
            None => {
                let square = (theta * theta + t * t) * (0.5 * self.period);
                (theta / square, -t / square)
            }
            Some(step) => {
                let (c, s) = cos_sin_turns::<I>(node, step / self.period);
                let less = expm1_64::<I>(-2.0 * step * theta);
                let (real, imaginary) = ((1.0 + less) * (2.0 * s * s) - less, (1.0 + less) * (2.0 * s * c));
                let square = (real * real + imaginary * imaginary) * (self.period / (4.0 * step));
                (real / square, -imaginary / square)
            }
        }
    }

    /// The product of `cos(a t) + i tanh(theta a) sin(a t)` over the magnitudes that occur once.
    #[inline(always)]
    fn product_once<I: Isa>(&self, node: f64) -> Complex {
        let (mut real, mut imaginary) = ([1.0; LANES], [0.0; LANES]);
        let (turns, tanh) = (self.once.turns.as_chunks::<LANES>().0, self.once.tanh.as_chunks::<LANES>().0);
        for (turns, tanh) in turns.iter().zip(tanh) {
            for l in 0..LANES {
                let (c, s) = cos_sin_turns::<I>(node, turns[l]);
                (real[l], imaginary[l]) = times((real[l], imaginary[l]), (c, tanh[l] * s));
            }
        }
        let mut half = LANES / 2;
        while half > 0 {
            for l in 0..half {
                let other = (real[l + half], imaginary[l + half]);
                (real[l], imaginary[l]) = times((real[l], imaginary[l]), other);
            }
            half /= 2;
        }
        (real[0], imaginary[0])
    }

    /// The logarithm of the same product over the magnitudes that occur more often: the logarithm of the absolute
    /// value, and the phase.
    #[inline(always)]
    fn logarithm_often<I: Isa>(&self, node: f64) -> Complex {
        let (mut size, mut phase) = (0.0, 0.0);
        let columns = self.often.turns.iter().zip(&self.often.tanh).zip(&self.often.rest);
        for (((&turns, &tanh), &rest), &often) in columns.zip(&self.magnitudes.times[self.magnitudes.once..])
        {
            let (c, s) = cos_sin_turns::<I>(node, turns);
            // Half turns are separated, so that the remaining phase is small wherever the product is not.
            let turned = c < 0.0;
            let (c, s) = if turned { (-c, -s) } else { (c, s) };
            let odd = 0.5 * often != nearest(0.5 * often);
            let lost = s * s * rest;
            size += 0.5 * often * log1p_64::<I>(if lost < 1.0 { -lost } else { -1.0 });
            phase += often * angle(tanh * s, c) + if turned && odd { PI } else { 0.0 };
        }
        (size, phase)
    }

    /// The logarithm of the same product over the magnitudes of which only power sums are kept.
    #[inline(always)]
    fn logarithm_rest(&self, t: f64) -> Complex {
        let Some(rest) = &self.magnitudes.rest else { return (0.0, 0.0) };
        let z = (self.tilt.theta * rest.cut, t * rest.cut);
        let (w, tilted) = (times(z, z), z.0 * z.0);
        let (mut at, mut before) = ((0.0, 0.0), 0.0);
        for &term in rest.terms.iter().rev() {
            at = times(at, w);
            at.0 += term;
            before = before * tilted + term;
        }
        at = times(at, w);
        (at.0 - before * tilted, at.1)
    }
}
