//! The tail of the flipped sum by Fourier inversion along a shifted line.
//!
//! With `K(z) = sum log cosh(a z)` and any `theta > 0`, `z = theta + it`:
//!
//! `P(T > s) + P(T = s)/2 = 1/pi * integral over t > 0 of Re exp(K(z) - z s) / z`
//!
//! and, on a lattice whose points lie `g` apart, `P(T >= s)` with `g/(1 - exp(-g z))` in place of `1/z` and the integral
//! up to `pi/g`. Near the saddle point (`K'(theta) = s`) nothing cancels, so a tail of 1e-300 keeps its digits. The
//! midpoint rule at `t = (k + 1/2) 2 pi/P` is exact but for what lies whole periods `P` away (Poisson's summation
//! formula); Chernoff's bound says which `P` makes that less than 1e-15 of the result.
//!
//! R. Lugannani and S. Rice, "Saddle point approximation for the distribution of the sum of independent random
//! variables", Adv. Appl. Prob. 12 (1980), for the line; J. Abate and W. Whitt, "The Fourier-series method for inverting
//! transforms of probability distributions", Queueing Systems 10 (1992), for the rule and its error.

use super::nearest;
use super::sum::{LANES, Magnitudes, REACH, Tilts};
use crate::grid::{self, Progress, Stopped};
use crate::math::{angle, cos_sin_turns, exp, exp64, expm1_64, log, log1p, log1p_64};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, padded, tree64};
use std::f64::consts::{PI, TAU};

/// The tilt is at least this many over the standard deviation of T: with less, the period would have to be longer.
const LEAST_TILT: f64 = 3.0;
/// What lies periods away is less than exp(-35) of the result.
const ALIAS: f64 = 35.0;
/// A node whose characteristic function is below exp(-42) is left out.
const NEGLIGIBLE: f64 = 42.0;
/// So many nodes are looked at even where the terms vanish sooner: the characteristic function may come back.
const LOOKED_AT: usize = 1 << 12;
/// Of a lattice with at most so many different magnitudes the whole band is looked at: its parts may be lattices too.
const DISTINCT: usize = 64;
/// Nodes are added until what is left out is below this share of the result.
const GOOD: f64 = 1e-9;
/// At the latest, no more nodes are added after so many factors of the characteristic function.
const FACTORS: usize = 1 << 22;
/// Factors between two looks at the clock.
const STEP: usize = 1 << 18;

/// A tail probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Its logarithm.
    pub log: f64,
    /// Its relative error, about.
    pub error: f64,
    /// Whether there are terms that the series does not reach.
    pub short: bool,
}

/// The tilt, with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Tilt {
    theta: f64,
    deviation: f64,
    log: f64,
    /// `K(theta) - theta s`: the tail's logarithm is at most this.
    pub bound: f64,
}

/// A tilt that makes `s` about the mean of T; not beyond what the magnitudes can reach.
pub fn tilt(of: &Magnitudes, s: f64) -> Tilt {
    let (first, least, most) = (s / of.squares, LEAST_TILT / of.squares.sqrt(), 0.5 * of.reach());
    let mut theta = if first > least { first } else { least };
    let mut now = of.cumulants(theta);
    // K' is concave: Newton's steps come from below and do not overshoot.
    for _ in 0..40 {
        let next = theta + (s - now.mean) / now.variance;
        let close = (s - now.mean) * (s - now.mean) <= 0.01 * now.variance;
        if close || !(next > least && next < most && next * of.largest < 300.0) {
            break;
        }
        theta = next;
        now = of.cumulants(theta);
    }
    Tilt { theta, deviation: now.variance.sqrt(), log: now.log, bound: now.log - theta * s }
}

/// The period at which what lies beyond it no longer counts: the least by Chernoff's bound at a few other tilts.
fn period(of: &Magnitudes, s: f64, tilt: Tilt) -> f64 {
    let guess = tilt.bound - log(2.51 * tilt.theta * tilt.deviation);
    let need = ALIAS - if guess < -4.0 { guess } else { -4.0 };
    let (mut below, mut above) = (need / tilt.theta, f64::INFINITY);
    for deviations in [2.0, 3.0, 4.0, 6.0, 8.0, 10.0] {
        let by = deviations / tilt.deviation;
        let (less, more) = (tilt.theta - by, tilt.theta + by);
        let at = |other: f64| (of.cumulants(other).log - other * s + need) / by;
        if less > 0.0 {
            let at = at(less);
            below = if at < below { at } else { below };
        }
        if more <= of.reach() {
            let at = at(more);
            above = if at < above { at } else { above };
        }
    }
    if above.is_finite() && above > below { above } else { below }
}

/// `P(T >= s)` for `s >= 0`: with all of an atom at `s` on a lattice, with half of it elsewhere.
pub fn upper(of: &Magnitudes, s: f64, tilt: Tilt, progress: Progress<'_>) -> Result<Tail, Stopped> {
    let (mut period, mut band) = (period(of, s, tilt), usize::MAX);
    if let Some(step) = of.step {
        // As many points of the lattice as a power of two: the angles are then exact.
        let points = period / (2.0 * step);
        let points = if points < 1e15 { points as usize + 4 } else { 1 << 50 }.next_power_of_two();
        (period, band) = (2.0 * step * points as f64, points / 2);
    }
    let line = Line::new(of, s, tilt, period)?;
    let size = (STEP / (of.a.len() + 64)).clamp(1, 64);
    let (mut total, mut first, mut last, mut factors) = (Part::default(), 0, band.min(64), 0);
    let missing = loop {
        let nodes = last - first;
        let part = |index| {
            let nodes = grid::chunk(index, nodes, size);
            dispatch(Nodes { line: &line, first: first + nodes.start, last: first + nodes.end })
        };
        // A factor costs about as much as reading sixteen bytes.
        let bytes = nodes.saturating_mul(16 * (of.a.len() + 64));
        let parts = grid::map_chunks(grid::chunks(nodes, size), bytes, &mut *progress, part)?;
        let octave = parts.into_iter().fold(Part::default(), Part::plus);
        total = total.plus(octave);
        // To look at a node takes a part of what it takes to work it out.
        factors += octave.taken * (of.a.len() + 16) + nodes * (line.weights.len().min(64) / 8 + 1);
        // All octaves to come weigh about as much as this one (its sum, and what it would be with random phases), or as
        // they do where the angles have nothing in common.
        let generic = line.mean_square / (PI * PI * last as f64);
        let rest = 4.0 * ((octave.squares + generic).sqrt() + octave.sum.abs()) / total.sum.abs();
        if last == band {
            break 0.0;
        }
        let vanished = last >= LOOKED_AT && rest < GOOD && !(of.step.is_some() && of.a.len() <= DISTINCT);
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

/// The line of integration with what its nodes share.
struct Line<'a> {
    of: &'a Magnitudes,
    tilt: Tilt,
    period: f64,
    /// `s` in periods.
    shift: f64,
    once: Columns,
    often: Columns,
    /// What the bound on the characteristic function is made of, and whether it can ever say that a node is negligible.
    probe: Columns,
    weights: Vec<f64>,
    probing: bool,
    /// The mean of `abs(phi)^2` over angles that have nothing in common, at most.
    mean_square: f64,
}

/// Magnitudes in periods, `tanh` and `1/cosh^2` of theta times them.
struct Columns {
    turns: Vec<f64>,
    tanh: Vec<f64>,
    rest: Vec<f64>,
}

impl Columns {
    fn new(a: &[f64], theta: f64, period: f64) -> Result<Self, Stopped> {
        let turns = memory::collected(a.iter().map(|a| a / period))?;
        let (mut tanh, mut rest) = (memory::filled(a.len(), 0.0)?, memory::filled(a.len(), 0.0)?);
        dispatch(Tilts { a, theta, tanh: &mut tanh, rest: &mut rest });
        Ok(Columns { turns, tanh, rest })
    }
}

impl<'a> Line<'a> {
    fn new(of: &'a Magnitudes, s: f64, tilt: Tilt, period: f64) -> Result<Self, Stopped> {
        let columns = |a: &[f64]| Columns::new(a, tilt.theta, period);
        let (once, often) = of.a.split_at(of.once);
        let (once, often) = (columns(once)?, columns(often)?);
        let (probe, times) = if of.rest.is_some() { (&of.probe, &of.ones) } else { (&of.a, &of.times) };
        let probe = columns(probe)?;
        let weights = memory::collected(probe.rest.iter().zip(times).map(|(rest, times)| rest * times))?;
        let probing = weights.iter().sum::<f64>() > 4.0 * NEGLIGIBLE;
        // The mean of (1 - w sin^2)^c is 1 - w/2 for c = 1, and below 1/sqrt(1 + c w).
        let mean = |(w, &c): (&f64, &f64)| if c == 1.0 { log1p(-0.5 * w) } else { -0.5 * log1p(c * w) };
        let mean_square = exp(probe.rest.iter().zip(times).map(mean).sum());
        Ok(Line { of, tilt, period, shift: s / period, once, often, probe, weights, probing, mean_square })
    }
}

/// What a range of nodes adds.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    sum: f64,
    /// Of absolute values and of squares: of how large numbers the sum was made.
    sizes: f64,
    squares: f64,
    /// At most so much is left out, where the series does not reach.
    unknown: f64,
    short: bool,
    /// Nodes that were not negligible.
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

/// Whether `abs(phi)` is surely below exp(-42): `abs(phi)^2 <= exp(-sum of weight sin^2)`, with a polynomial that stays
/// below the squared sine.
#[inline(always)]
fn negligible(turns: &[f64], weights: &[f64], node: f64) -> bool {
    let mut lanes = [0.0; LANES];
    for (turns, weights) in turns.chunks(4 * LANES).zip(weights.chunks(4 * LANES)) {
        for (turns, weights) in turns.chunks(LANES).zip(weights.chunks(LANES)) {
            let (turns, weights) = (padded::<f64, LANES>(turns, 0.0), padded::<f64, LANES>(weights, 0.0));
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
    /// Whether the node surely adds nothing.
    #[inline(always)]
    fn negligible(&self, node: f64) -> bool {
        let t = TAU * (node / self.period);
        let rest = self.of.rest.as_ref().filter(|rest| length((self.tilt.theta, t)) * rest.cut > REACH);
        rest.is_some_and(|rest| rest.vanishes(self.tilt.theta, t, NEGLIGIBLE))
            || self.probing && negligible(&self.probe.turns, &self.weights, node)
    }

    /// What the node `t = 2 pi node/P` adds.
    #[inline(always)]
    fn part<I: Isa>(&self, node: f64) -> Part {
        let t = TAU * (node / self.period);
        let product = self.product_once::<I>(node);
        let (mut size, mut phase) = self.logarithm_often::<I>(node);
        let weight = self.weight::<I>(node, t);
        let reach = self.of.reach();
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
        match self.of.step {
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

    /// The product of `cos(a t) + i tanh(theta a) sin(a t)` over what occurs once.
    #[inline(always)]
    fn product_once<I: Isa>(&self, node: f64) -> Complex {
        let (mut real, mut imaginary) = ([1.0; LANES], [0.0; LANES]);
        for (turns, tanh) in self.once.turns.chunks(LANES).zip(self.once.tanh.chunks(LANES)) {
            let (turns, tanh) = (padded::<f64, LANES>(turns, 0.0), padded::<f64, LANES>(tanh, 0.0));
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

    /// The logarithm of the same over what occurs more often: log of the size, and the phase.
    #[inline(always)]
    fn logarithm_often<I: Isa>(&self, node: f64) -> Complex {
        let (mut size, mut phase) = (0.0, 0.0);
        let columns = self.often.turns.iter().zip(&self.often.tanh).zip(&self.often.rest);
        for (((&turns, &tanh), &rest), &often) in columns.zip(&self.of.times[self.of.once..]) {
            let (c, s) = cos_sin_turns::<I>(node, turns);
            // Half turns are taken out: what is left is small where the product is not.
            let turned = c < 0.0;
            let (c, s) = if turned { (-c, -s) } else { (c, s) };
            let odd = 0.5 * often != nearest(0.5 * often);
            let lost = s * s * rest;
            size += 0.5 * often * log1p_64::<I>(if lost < 1.0 { -lost } else { -1.0 });
            phase += often * angle(tanh * s, c) + if turned && odd { PI } else { 0.0 };
        }
        (size, phase)
    }

    /// The logarithm of the same over what is known by its power sums.
    #[inline(always)]
    fn logarithm_rest(&self, t: f64) -> Complex {
        let Some(rest) = &self.of.rest else { return (0.0, 0.0) };
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
