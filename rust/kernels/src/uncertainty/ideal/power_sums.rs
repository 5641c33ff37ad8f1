//! Engine T: the sum of very many values, whose characteristic function comes from their power sums.
//!
//! Up to the frequencies at which `|Phi|` vanishes, `t (x - mean)` is small for almost all values of a large sample, so
//! that two passes over the data suffice: `phi(t) = sum over k of (i t)^k sum (x - mean)^k/(k! n)`. The few values that
//! are too far from the mean for the series are evaluated one by one.

use super::inversion::Inverse;
use super::law::Engine;
use super::march::March;
use super::nodes::{Column, Complex, LANES, Transform, log_of};
use super::smooth::{Smooth, of_transform, range};
use super::sum::{Spread, larger};
use crate::grid::{self, CHUNK, Progress, Stopped};
use crate::intervals::moments::Moments;
use crate::math::{cos_sin_turns, exp, lgamma, log};
use crate::memory;
use crate::simd::{self, Element, Isa, Kernel, padded, tree64};
use std::f64::consts::TAU;

/// The highest power.
const POWERS: usize = 20;
/// The frequency, in standard deviations of the sum, up to which the series should converge: `exp(-9^2/2)` = 2.6e-18.
const REACH: f64 = 9.0;
/// How often the power sums are computed at most.
const ATTEMPTS: usize = 6;
/// The most values that are kept one by one.
const FAR: usize = 20_000;
/// Below this `|Phi|`, no more frequencies matter.
const NOTHING: f64 = -34.5;
/// How many values stand for all where a second stretch of `|Phi|` is looked for.
const SAMPLE: usize = 4000;
/// Values in a block, whose powers stay in the cache.
const BLOCK: usize = 64 * LANES;

/// The power sums of the values up to `cut` from the mean, and the other values.
#[derive(Clone, Debug)]
pub struct PowerSums {
    n: f64,
    cut: f64,
    /// The sums of `((x - mean)/cut)^k`, by k.
    sums: [f64; POWERS + 1],
    /// `x - mean` of the values further away.
    far: Vec<f64>,
}

struct Pass<'a, T> {
    x: &'a [T],
    mean: f64,
    cut: f64,
    far: &'a mut Vec<f64>,
}

impl<T: Element> Kernel for Pass<'_, T> {
    type Out = [f64; POWERS + 1];
    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; POWERS + 1] {
        let inverse = 1.0 / self.cut;
        let mut lanes = [[0.0; LANES]; POWERS + 1];
        let (mut y, mut power) = ([0.0; BLOCK], [0.0; BLOCK]);
        for block in self.x.chunks(BLOCK) {
            let mut outside = 0.0;
            for (y, x) in y.iter_mut().zip(block) {
                *y = (x.to_f64() - self.mean) * inverse;
                outside += if y.abs() > 1.0 { 1.0 } else { 0.0 };
            }
            y[block.len()..].fill(0.0);
            if outside > 0.0 {
                for (y, x) in y.iter_mut().zip(block) {
                    if y.abs() > 1.0 {
                        // Beyond the limit the values only count.
                        if self.far.len() < self.far.capacity() {
                            self.far.push(x.to_f64() - self.mean);
                        }
                        lanes[0][0] += 1.0;
                        *y = 0.0;
                    }
                }
            }
            power.fill(1.0);
            for lanes in &mut lanes[1..] {
                for (power, y) in power.as_chunks_mut::<LANES>().0.iter_mut().zip(y.as_chunks::<LANES>().0) {
                    for l in 0..LANES {
                        power[l] *= y[l];
                        lanes[l] += power[l];
                    }
                }
            }
        }
        lanes.map(tree64)
    }
}

impl PowerSums {
    /// One pass over the values; `None` where too many are further than `cut` from the mean.
    fn new<T: Element>(
        x: &[T],
        mean: f64,
        cut: f64,
        progress: Progress<'_>,
    ) -> Result<Option<Self>, Stopped> {
        let n = x.len();
        let parts = grid::map_chunks(grid::chunks(n, CHUNK), size_of_val(x), progress, |index| {
            let mut far = memory::with_capacity(FAR)?;
            let sums = simd::dispatch(Pass { x: &x[grid::chunk(index, n, CHUNK)], mean, cut, far: &mut far });
            Ok((sums, far))
        })?;
        let parts = parts.into_iter().collect::<Result<Vec<_>, memory::NoMemory>>()?;
        let (mut sums, mut far) = ([0.0; POWERS + 1], Vec::new());
        for (part, more) in parts {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            if sums[0] > FAR as f64 {
                return Ok(None);
            }
            memory::reserve(&mut far, more.len())?;
            far.extend(more);
        }
        Ok(Some(PowerSums { n: n as f64, cut, sums, far }))
    }

    /// The power sums of values with these moments, split so that the series converges wherever `|Phi|` matters.
    pub fn converged<T: Element>(
        x: &[T],
        moments: &Moments,
        progress: Progress<'_>,
    ) -> Result<Option<Self>, Stopped> {
        let spread = moments.squares.sqrt();
        let widest = larger(moments.max - moments.mean, moments.mean - moments.min);
        let mut reach = REACH / spread;
        for _ in 0..ATTEMPTS {
            // The series has enough terms where the product of frequency and distance is at most 1.
            let cut = if reach * widest < 1.0 { widest * (1.0 + f64::EPSILON) } else { 1.0 / reach };
            let Some(found) = PowerSums::new(x, moments.mean, cut, &mut *progress)? else { return Ok(None) };
            let near = cut * found.sums[2].sqrt();
            let ends =
                [0.97 * reach, reach].map(|t| simd::dispatch(At { turned: &found.turned(TAU), node: t }).0);
            if ends[0] < NOTHING && ends[1] < NOTHING {
                return Ok(Some(found));
            }
            if near < 1e-9 * spread {
                return Ok(None);
            }
            reach = larger(1.5 * reach, REACH / near);
        }
        Ok(None)
    }

    /// The transform for a period, which is negative for values whose sign is to change.
    pub fn turned(&self, period: f64) -> Turned {
        let (mut even, mut odd) = ([0.0; POWERS / 2], [0.0; POWERS / 2]);
        let mut factorial = 1.0;
        for k in 1..POWERS {
            factorial *= k as f64;
            let sign = if k / 2 % 2 == 1 { -1.0 } else { 1.0 };
            let term = sign * self.sums[k] / (factorial * self.n);
            if k % 2 == 0 { even[k / 2] = term } else { odd[k / 2] = term }
        }
        let far = self.far.iter().map(|v| v / period).collect();
        Turned { n: self.n, scale: TAU * (self.cut / period), even, odd, far }
    }

    /// A bound of what the terms of the series that are left out may change, with the weights of the nodes.
    pub fn remainder(&self, inverse: &Inverse, period: f64) -> f64 {
        let scale = TAU * (self.cut / period).abs();
        let power = POWERS as f64;
        let bound = |node: f64| exp(power * log(node * scale) - lgamma(power + 1.0)) * self.sums[POWERS];
        inverse.bounded(bound)
    }
}

/// The power series of `phi - 1` for a period, by powers of `scale node`.
#[derive(Clone, Debug)]
pub struct Turned {
    n: f64,
    scale: f64,
    /// The terms of even powers (real) and of odd ones (imaginary).
    even: [f64; POWERS / 2],
    odd: [f64; POWERS / 2],
    /// The far values divided by the period.
    far: Vec<f64>,
}

impl Transform for Turned {
    #[inline(always)]
    fn log<I: Isa>(&self, node: f64) -> Complex {
        let y = self.scale * node;
        let square = y * y;
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (even, odd) in self.even.iter().zip(&self.odd).rev() {
            real = real * square + even;
            imaginary = imaginary * square + odd;
        }
        imaginary *= y;
        let (mut far_real, mut far_imaginary) = ([0.0; LANES], [0.0; LANES]);
        let half = 0.5 * node;
        for far in self.far.chunks(LANES) {
            let far = padded::<f64, LANES>(far, 0.0);
            for l in 0..LANES {
                let (c, s) = cos_sin_turns::<I>(half, far[l]);
                far_real[l] -= 2.0 * s * s;
                far_imaginary[l] += 2.0 * s * c;
            }
        }
        let phi = (real + tree64(far_real) / self.n, imaginary + tree64(far_imaginary) / self.n);
        log_of::<I>(phi, self.n)
    }

    fn cost(&self) -> usize {
        8 + self.far.len()
    }
}

struct At<'a> {
    turned: &'a Turned,
    node: f64,
}

impl Kernel for At<'_> {
    type Out = Complex;
    #[inline(always)]
    fn run<I: Isa>(self) -> Complex {
        self.turned.log::<I>(self.node)
    }
}

/// The distribution of the mean of as many draws as there are values; `None` where power sums do not give it.
pub fn from_power_sums<T: Element>(
    x: &[T],
    moments: &Moments,
    place: (f64, f64),
    progress: Progress<'_>,
) -> Result<Option<Smooth>, Stopped> {
    let Some(sums) = PowerSums::converged(x, moments, &mut *progress)? else { return Ok(None) };
    let deviation = moments.squares.sqrt();
    let extent = ((moments.mean - moments.min) / deviation, (moments.max - moments.mean) / deviation);
    let spread = Spread { deviation, extent };
    let period = range(spread).1 * deviation;
    let mut march = March::sampled(vec![sample(x, moments, period)?])?;
    let mut law = of_transform(&sums.turned(period), &mut march, spread, place, 0.0, progress)?;
    law.engine = Engine::T;
    law.error += sums.remainder(&law.inverse, period);
    Ok(Some(law))
}

/// Some of the values, evenly spread over the data, which stand for all.
pub fn sample<T: Element>(x: &[T], moments: &Moments, period: f64) -> Result<Column, Stopped> {
    let stride = (x.len() / SAMPLE).max(1);
    let values = x.iter().step_by(stride).map(|x| (x.to_f64() - moments.mean) / period);
    let mut turns: Vec<f64> = memory::gathered(values)?;
    turns.sort_unstable_by(f64::total_cmp);
    let shares = memory::filled(turns.len(), 1.0 / turns.len() as f64)?;
    Ok(Column { turns, shares, draws: x.len() as f64 })
}
