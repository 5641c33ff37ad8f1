//! The formulas of the shapes: the rate after `t` updates behind the warm-up.

use super::curves::{between, cooled, half_wave, power, through, whole};
use super::table::{Cooldown, Interpolate};
use crate::math::{Powers, exceeds, exp64, log1p_64, log64, powi};
use crate::simd::Isa;

/// The shape of a schedule after the warm-up. It may keep what it has computed for the next step; the rate depends on the
/// step alone.
pub trait Fall {
    /// The rate after `t` updates behind the warm-up; `u` is their share of the steps until the end, at most 1.
    fn at<I: Isa>(&mut self, t: f64, u: f64) -> f64;
}

/// The rates between which a shape falls.
#[derive(Clone, Copy)]
pub struct Ends {
    pub peak: f64,
    pub end: f64,
}

pub struct Constant(pub f64);

impl Fall for Constant {
    #[inline(always)]
    fn at<I: Isa>(&mut self, _: f64, _: f64) -> f64 {
        self.0
    }
}

pub struct Linear(pub Ends);

impl Fall for Linear {
    #[inline(always)]
    fn at<I: Isa>(&mut self, _: f64, u: f64) -> f64 {
        self.0.peak + (self.0.end - self.0.peak) * u
    }
}

pub struct InverseSqrt {
    pub peak: f64,
    pub timescale: f64,
}

impl Fall for InverseSqrt {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        self.peak * (self.timescale / (t + self.timescale)).sqrt()
    }
}

pub struct Cosine(pub Ends);

impl Fall for Cosine {
    #[inline(always)]
    fn at<I: Isa>(&mut self, _: f64, u: f64) -> f64 {
        half_wave::<I>(self.0.peak, self.0.end, u)
    }
}

/// The cosine with its options. A shape of its own, so that the loop of the plain one has no branches.
pub struct CosineCycles {
    pub ends: Ends,
    pub span: f64,
    pub cycles: f64,
    pub power: f64,
    pub k: f64,
}

impl Fall for CosineCycles {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, u: f64) -> f64 {
        // Multiplied first, so that x is whole exactly where a cycle begins: 1.0 / 49.0 * 49.0 is below 1.
        let x = self.cycles * t / self.span;
        let v = power::<I>(x - whole(x), self.k);
        let height = power::<I>(half_wave::<I>(1.0, 0.0, v), self.power);
        if u < 1.0 { between(self.ends.end, self.ends.peak, height) } else { self.ends.end }
    }
}

pub struct CosineWave {
    pub ends: Ends,
    pub span: f64,
    pub waves: f64,
}

impl Fall for CosineWave {
    /// Half periods are subtracted in pairs, and the way back is folded onto the way there: both are exact.
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        let halves = 2.0 * self.waves * (t / self.span);
        let x = halves - 2.0 * whole(0.5 * halves);
        half_wave::<I>(self.ends.peak, self.ends.end, if x > 1.0 { 2.0 - x } else { x })
    }
}

/// No schedule has so many steps.
const TOO_LATE: f64 = 9_007_199_254_740_992.0; // 2^53

pub struct CosineRestarts {
    ends: Ends,
    /// The length of the first cycle.
    length: f64,
    growth: f64,
    decay: f64,
    restarts: f64,
    k: f64,
    /// The cycle of the step before, in which the next one lies most of the time.
    now: Cycle,
}

/// A cycle: its number, where it begins (perhaps between two steps), its first step and that of the next one, its
/// length, and the rate with which it begins.
#[derive(Clone, Copy)]
struct Cycle {
    number: f64,
    start: f64,
    first: f64,
    next: f64,
    length: f64,
    peak: f64,
}

impl CosineRestarts {
    pub fn new(ends: Ends, [length, growth, decay]: [f64; 3], restarts: f64, k: f64) -> Self {
        let now = Cycle { number: 0.0, start: 0.0, first: 0.0, next: length, length, peak: ends.peak };
        CosineRestarts { ends, length, growth, decay, restarts, k, now }
    }

    /// The step at which cycle `i` begins: `length (growth^i - 1) / (growth - 1)`.
    fn start(&self, i: f64) -> f64 {
        let cycles = if self.growth == 1.0 { i } else { (self.grown(i) - 1.0) / (self.growth - 1.0) };
        self.length * cycles
    }

    fn grown(&self, i: f64) -> f64 {
        powi(self.growth, i as u64)
    }

    /// The first step of cycle `i`: the first whole number that is not before its start, found without rounding.
    #[inline(never)]
    fn first(&self, i: f64) -> f64 {
        let start = self.start(i);
        if i <= 1.0 || start >= TOO_LATE {
            return start;
        }
        // The rounded start is off by less than two.
        let mut t = whole(start) - 2.0;
        while exceeds(self.growth, i as u64, self.length, t) {
            t += 1.0;
        }
        t
    }

    /// The number of the cycle that step `t` lies in. The logarithm may be off by one next to a start.
    #[inline(always)]
    fn number<I: Isa>(&self, t: f64) -> f64 {
        let x = t / self.length;
        if self.growth == 1.0 {
            return whole(x);
        }
        if self.growth >= TOO_LATE {
            return if t < self.length { 0.0 } else { 1.0 };
        }
        let i = whole(log1p_64::<I>(x * (self.growth - 1.0)) / log64::<I>(self.growth));
        let i = if i > 0.0 && t < self.first(i) { i - 1.0 } else { i };
        if t >= self.first(i + 1.0) { i + 1.0 } else { i }
    }

    /// The cycle that step `t` lies in.
    #[inline(always)]
    fn cycle<I: Isa>(&mut self, t: f64) -> Cycle {
        let Cycle { number, first, next, .. } = self.now;
        let same = if self.growth == 1.0 { whole(t / self.length) == number } else { t >= first && t < next };
        if !same {
            self.now = self.nth(self.number::<I>(t));
        }
        self.now
    }

    #[inline(never)]
    fn nth(&self, i: f64) -> Cycle {
        Cycle {
            number: i,
            start: self.start(i),
            first: self.first(i),
            next: self.first(i + 1.0),
            length: self.length * self.grown(i),
            peak: self.ends.peak * powi(self.decay, i as u64),
        }
    }
}

impl Fall for CosineRestarts {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        let t = if t > 0.0 { t } else { 0.0 };
        let cycle = self.cycle::<I>(t);
        if self.restarts > 0.0 && cycle.number >= self.restarts {
            return self.ends.end;
        }
        let u = (t - cycle.start) / cycle.length;
        let u = if u > 0.0 { u } else { 0.0 };
        let u = if u < 1.0 { u } else { 1.0 };
        if cycle.peak == f64::INFINITY {
            return if u < 1.0 { cycle.peak } else { self.ends.end };
        }
        half_wave::<I>(cycle.peak, self.ends.end, power::<I>(u, self.k))
    }
}

pub struct Polynomial {
    pub ends: Ends,
    pub power: f64,
    pub k: f64,
}

impl Fall for Polynomial {
    #[inline(always)]
    fn at<I: Isa>(&mut self, _: f64, u: f64) -> f64 {
        let left = power::<I>(1.0 - power::<I>(u, self.k), self.power);
        between(self.ends.end, self.ends.peak, left)
    }
}

pub struct Exponential {
    pub ends: Ends,
    pub gamma: f64,
    pub every: f64,
    /// ln(gamma)
    pub slope: f64,
}

impl Exponential {
    pub fn new<I: Isa>(ends: Ends, gamma: f64, every: f64) -> Exponential {
        Exponential { ends, gamma, every, slope: log64::<I>(gamma) }
    }
}

impl Fall for Exponential {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        bounded(self.ends, self.gamma, self.ends.peak * exp64::<I>(self.slope * (t / self.every)))
    }
}

/// The rate, not beyond `end`: which is the lowest where rates fall, and where they rise, unless it is 0, the highest.
#[inline(always)]
fn bounded(ends: Ends, gamma: f64, rate: f64) -> f64 {
    let beyond = if gamma < 1.0 { rate < ends.end } else { ends.end > 0.0 && rate > ends.end };
    if beyond { ends.end } else { rate }
}

pub struct Step {
    pub ends: Ends,
    pub gamma: Powers,
    pub every: f64,
}

impl Fall for Step {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        let factor = self.gamma.at((t / self.every) as u64);
        bounded(self.ends, self.gamma.base(), self.ends.peak * factor)
    }
}

pub struct MultiStep<'a> {
    pub peak: f64,
    pub gamma: Powers,
    pub milestones: &'a [f64],
}

impl Fall for MultiStep<'_> {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        let passed = self.milestones.partition_point(|&milestone| milestone <= t);
        self.peak * self.gamma.at(passed as u64)
    }
}

pub struct Cyclic {
    pub low: f64,
    pub peak: f64,
    pub rise: f64,
    pub fall: f64,
    pub decay: Powers,
    pub gamma: Powers,
}

impl Fall for Cyclic {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        let size = self.rise + self.fall;
        let cycle = whole(t / size);
        let x = t - cycle * size;
        let height = if x <= self.rise { x / self.rise } else { (size - x) / self.fall };
        if height == 0.0 || self.low == self.peak {
            return self.low;
        }
        let height = height * self.factor::<I>(cycle, t);
        between(self.low, self.peak, height)
    }
}

impl Cyclic {
    /// `decay^cycle gamma^t`. Where one of them is beyond the range of f64, their product need not be.
    #[inline(always)]
    fn factor<I: Isa>(&mut self, cycle: f64, t: f64) -> f64 {
        let (decay, gamma) = (self.decay.at(cycle as u64), self.gamma.at(t as u64));
        let overflows = decay == f64::INFINITY || gamma == f64::INFINITY;
        if overflows && self.decay.base() > 0.0 {
            return exp64::<I>(cycle * log64::<I>(self.decay.base()) + t * log64::<I>(self.gamma.base()));
        }
        if decay == 0.0 { 0.0 } else { decay * gamma }
    }
}

pub struct Wsd {
    pub ends: Ends,
    /// The step behind the warm-up at which the cooldown begins.
    pub from: f64,
    pub steps: f64,
    pub curve: Cooldown,
}

impl Fall for Wsd {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        let x = t - self.from;
        let u = if x < self.steps { x / self.steps } else { 1.0 };
        let u = if u > 0.0 { u } else { 0.0 };
        cooled::<I>(self.curve, self.ends.peak, self.ends.end, u)
    }
}

pub struct Rex(pub Ends);

impl Fall for Rex {
    #[inline(always)]
    fn at<I: Isa>(&mut self, _: f64, u: f64) -> f64 {
        let left = 1.0 - u;
        between(self.0.end, self.0.peak, left / (0.5 + 0.5 * left))
    }
}

pub struct Tanh {
    pub ends: Ends,
    pub lower: f64,
    pub upper: f64,
}

impl Fall for Tanh {
    /// `(1 - tanh x) / 2 = 1 / (1 + exp(2 x))`.
    #[inline(always)]
    fn at<I: Isa>(&mut self, _: f64, u: f64) -> f64 {
        let x = self.lower * (1.0 - u) + self.upper * u;
        let height = 1.0 / (1.0 + exp64::<I>(2.0 * x));
        if u < 1.0 { between(self.ends.end, self.ends.peak, height) } else { self.ends.end }
    }
}

pub struct Piecewise<'a> {
    pub curve: Interpolate,
    pub at: &'a [f64],
    pub values: &'a [f64],
}

impl Fall for Piecewise<'_> {
    #[inline(always)]
    fn at<I: Isa>(&mut self, t: f64, _: f64) -> f64 {
        through::<I>(self.curve, self.at, self.values, t)
    }
}
