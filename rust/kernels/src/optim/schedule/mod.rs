//! Schedules: pure functions of the number of updates already made.
//!
//! `s` is the number of updates already made (the first update has s = 0), `w` that of the warm-up steps, which are
//! part of the `N` total steps; `t = s - w + offset`, `u = min(t / (N - w), 1)`.
//!
//! ```text
//! s < w:   peak * (s + 1) / w           (with `start` given: start + (peak - start) * s / w), or along another curve
//! else:    constant         peak
//!          linear           peak + (end - peak) * u
//!          cosine           end + (peak - end) * ((1 + cos(pi * v^k)) / 2)^power, v = fraction(cycles * u)
//!          inverse_sqrt     peak * sqrt(timescale / (t + timescale))
//!          cosine_wave      end + (peak - end) * (1 + cos(2 pi * waves * t / (N - w))) / 2
//!          cosine_restarts  cycle i: end + (peak * decay^i - end) * (1 + cos(pi * v^k)) / 2, v the share of the cycle
//!          polynomial       end + (peak - end) * (1 - u^k)^power
//!          exponential      peak * gamma^(t / decay_steps), not beyond end
//!          step             peak * gamma^floor(t / decay_steps), not beyond end
//!          multi_step       peak * gamma^(milestones passed)
//!          cyclic           low + (peak - low) * triangle(t) * decay^cycle * gamma^t
//!          wsd              peak, and over the last steps peak + (end - peak) * curve
//!          rex              end + (peak - end) * (1 - u) / (1/2 + (1 - u) / 2)
//!          tanh             end + (peak - end) * (1 - tanh(lower * (1 - u) + upper * u)) / 2
//!          piecewise        through given points
//! ```
//!
//! After its end a schedule keeps its last rate; shapes without `N` have no end, nor has `cosine_wave`.

mod curves;
mod shapes;
mod table;

use crate::grid::{CHUNK, Progress, Stopped, fill_chunks, unwatched};
use crate::math::{Powers, log64};
use crate::memory::{self, NoMemory};
use crate::named::{Named, Parameter};
use crate::simd::{Isa, Kernel, dispatch};
use curves::half_wave;
use shapes::{Ends, Fall};
pub use table::{Cooldown, Decay, Interpolate, Rise};

/// A schedule. The caller must have checked that all numbers are in the ranges of the table and that `warmup < total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule<'a> {
    /// The shape after the warm-up.
    pub decay: Decay,
    /// The highest rate.
    pub peak: f64,
    /// The parameters of the shape, in the order of its row of the table.
    pub numbers: &'a [f64],
    /// The rate at s = 0. With `None` the rate rises from 0, and the first update has the first increment already.
    pub start: Option<f64>,
    /// The curve of the warm-up.
    pub rise: Rise,
    /// How many steps the shape is ahead of the end of the warm-up.
    pub offset: f64,
    /// The curve of the cooldown of [`Decay::Wsd`].
    pub cooldown: Cooldown,
    /// What lies between the points of [`Decay::Piecewise`].
    pub interpolate: Interpolate,
    /// The steps of the points of [`Decay::Piecewise`] or the milestones of [`Decay::MultiStep`], in increasing order.
    pub at: &'a [f64],
    /// The rates at the points.
    pub values: &'a [f64],
}

struct Values<'a> {
    schedule: &'a Schedule<'a>,
    steps: &'a [u64],
    rates: &'a mut [f64],
}

impl Kernel for Values<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let s = self.schedule;
        let peak = s.peak;
        let ends = Ends { peak, end: s.number(&table::END) };
        let (power, k) = (s.number(&table::POWER), s.number(&table::K));
        let gamma = s.number(&table::GAMMA);
        let every = s.number(&table::DECAY_STEPS);
        let decay = s.number(&table::DECAY);
        // One loop per shape, so that the body of each loop has no branches.
        match s.decay {
            Decay::Constant => self.fill::<I, _>(&mut shapes::Constant(peak)),
            Decay::Linear => self.fill::<I, _>(&mut shapes::Linear(ends)),
            Decay::Cosine => match s.number(&table::CYCLES) {
                cycles if cycles == 1.0 && power == 1.0 && k == 1.0 => {
                    self.fill::<I, _>(&mut shapes::Cosine(ends));
                }
                cycles => {
                    self.fill::<I, _>(&mut shapes::CosineCycles { ends, span: s.span(), cycles, power, k });
                }
            },
            Decay::InverseSqrt => {
                let given = s.number(&table::TIMESCALE);
                let timescale = if given > 0.0 { given } else { s.number(&table::WARMUP) };
                self.fill::<I, _>(&mut shapes::InverseSqrt { peak, timescale });
            }
            Decay::CosineWave => {
                let waves = s.number(&table::WAVES);
                self.fill::<I, _>(&mut shapes::CosineWave { ends, span: s.span(), waves });
            }
            Decay::CosineRestarts => {
                let (length, growth) = (s.number(&table::CYCLE), s.number(&table::GROWTH));
                let restarts = s.number(&table::RESTARTS);
                self.fill::<I, _>(&mut shapes::CosineRestarts::new(
                    ends,
                    [length, growth, decay],
                    restarts,
                    k,
                ));
            }
            Decay::Polynomial => self.fill::<I, _>(&mut shapes::Polynomial { ends, power, k }),
            Decay::Exponential => self.fill::<I, _>(&mut shapes::Exponential::new::<I>(ends, gamma, every)),
            Decay::Step => self.fill::<I, _>(&mut shapes::Step { ends, gamma: Powers::of(gamma), every }),
            Decay::MultiStep => {
                self.fill::<I, _>(&mut shapes::MultiStep {
                    peak,
                    gamma: Powers::of(gamma),
                    milestones: s.at,
                });
            }
            Decay::Cyclic => {
                let (rise, fall) = (s.number(&table::RISE_STEPS), s.number(&table::FALL_STEPS));
                let fall = if fall > 0.0 { fall } else { rise };
                self.fill::<I, _>(&mut shapes::Cyclic {
                    low: s.number(&table::LOW),
                    peak,
                    rise,
                    fall,
                    decay: Powers::of(decay),
                    gamma: Powers::of(gamma),
                });
            }
            Decay::Wsd => {
                let steps = s.number(&table::COOLDOWN_STEPS);
                self.fill::<I, _>(&mut shapes::Wsd {
                    ends,
                    from: s.span() - steps,
                    steps,
                    curve: s.cooldown,
                });
            }
            Decay::Rex => self.fill::<I, _>(&mut shapes::Rex(ends)),
            Decay::Tanh => {
                let (lower, upper) = (s.number(&table::LOWER), s.number(&table::UPPER));
                self.fill::<I, _>(&mut shapes::Tanh { ends, lower, upper });
            }
            Decay::Piecewise => {
                self.fill::<I, _>(&mut shapes::Piecewise {
                    curve: s.interpolate,
                    at: s.at,
                    values: s.values,
                });
            }
        }
        self.rise::<I>();
    }
}

impl Values<'_> {
    /// Writes the rate of the shape at every step, those of the warm-up too.
    #[inline(always)]
    fn fill<I: Isa, F: Fall>(&mut self, fall: &mut F) {
        let (w, offset) = (self.schedule.number(&table::WARMUP), self.schedule.offset);
        let span = self.schedule.span();
        for (rate, &step) in self.rates.iter_mut().zip(self.steps) {
            // Steps beyond 2^53 are rounded, but they come after any end.
            let t = (step as f64 - w) + offset;
            let along = if span > 0.0 { t / span } else { 1.0 };
            let u = if along < 1.0 { along } else { 1.0 };
            *rate = fall.at::<I>(t, u);
        }
    }

    /// Writes the rates of the steps that belong to the warm-up.
    #[inline(always)]
    fn rise<I: Isa>(&mut self) {
        let (w, s) = (self.schedule.number(&table::WARMUP), self.schedule);
        if !self.steps.iter().any(|&step| (step as f64) < w) {
            return;
        }
        let (from, rise, offset) = match s.start {
            Some(start) => (start, s.peak - start, 0.0),
            None => (0.0, s.peak, 1.0),
        };
        // From start the rate is `start` at s = 0 and the peak at s = w - 1; without start it is one step ahead.
        let most = log64::<I>(w + offset);
        let log = |x: f64| if most > 0.0 { log64::<I>(x + 1.0) / most } else { 0.0 };
        for (rate, &step) in self.rates.iter_mut().zip(self.steps) {
            if step as f64 >= w {
                continue;
            }
            let x = step as f64 + offset;
            *rate = match s.rise {
                Rise::Linear => from + rise * x / w,
                Rise::Cosine => half_wave::<I>(from, s.peak, x / w),
                Rise::Log => from + rise * log(x),
                Rise::OneMinusSqrt => from + rise * (1.0 - (1.0 - x / w).sqrt()),
            };
        }
    }
}

impl Schedule<'_> {
    /// The value of a parameter, 0 where the shape has none of that name.
    fn number(&self, parameter: &Parameter) -> f64 {
        let found = self.decay.about().parameters.iter().position(|taken| taken.name == parameter.name);
        found.and_then(|index| self.numbers.get(index)).copied().unwrap_or(0.0)
    }

    /// The steps from the warm-up to the end.
    fn span(&self) -> f64 {
        self.number(&table::TOTAL) - self.number(&table::WARMUP)
    }

    /// Writes the rate at each step to `rates`, which is as long as `steps`.
    pub fn rates_into(
        &self,
        steps: &[u64],
        rates: &mut [f64],
        progress: Progress<'_>,
    ) -> Result<(), Stopped> {
        let parts = memory::collected(rates.chunks_mut(CHUNK).zip(steps.chunks(CHUNK)))?;
        let mut steps_done = |done: usize| progress((done * CHUNK).min(steps.len()));
        fill_chunks(parts, steps.len() * 16, &mut steps_done, |_, (rates, steps)| {
            dispatch(Values { schedule: self, steps, rates });
        })?;
        Ok(())
    }

    /// The rate at each step.
    pub fn rates(&self, steps: &[u64]) -> Result<Vec<f64>, NoMemory> {
        let mut rates = memory::filled(steps.len(), 0.0)?;
        unwatched(self.rates_into(steps, &mut rates, &mut |_| true))?;
        Ok(rates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schedule that starts as it is told, with linear curves.
    fn made(decay: Decay, peak: f64, start: Option<f64>, numbers: &[f64]) -> Schedule<'_> {
        Schedule {
            decay,
            peak,
            numbers,
            start,
            rise: Rise::Linear,
            offset: 0.0,
            cooldown: Cooldown::Linear,
            interpolate: Interpolate::Linear,
            at: &[],
            values: &[],
        }
    }

    /// The numbers of a shape by name, and its defaults.
    fn numbers(decay: Decay, given: &[(&str, f64)]) -> Vec<f64> {
        let value = |parameter: &Parameter| {
            let named = given.iter().find(|(name, _)| *name == parameter.name);
            named.map(|&(_, value)| value).or(parameter.default).unwrap()
        };
        decay.about().parameters.iter().map(value).collect()
    }

    fn rates(decay: Decay, start: Option<f64>, warmup: u64) -> Vec<f64> {
        let numbers = numbers(decay, &[("total_steps", 10.0), ("warmup_steps", warmup as f64)]);
        made(decay, 10.0, start, &numbers).rates(&(0..12).collect::<Vec<_>>()).unwrap()
    }

    /// The tables that transformers publishes (lr 10, warm-up 2, total 10), which start at 0.
    #[test]
    fn equals_the_published_tables() {
        let linear = [0.0, 5.0, 10.0, 8.75, 7.5, 6.25, 5.0, 3.75, 2.5, 1.25, 0.0, 0.0];
        assert_eq!(rates(Decay::Linear, Some(0.0), 2), linear);
        let cosine = [0.0, 5.0, 10.0, 9.619, 8.536, 6.913, 5.0, 3.087, 1.464, 0.381, 0.0, 0.0];
        for (got, want) in rates(Decay::Cosine, Some(0.0), 2).iter().zip(cosine) {
            assert!((got - want).abs() < 6e-4, "{got} {want}");
        }
        assert_eq!(rates(Decay::Constant, Some(0.0), 4)[..6], [0.0, 2.5, 5.0, 7.5, 10.0, 10.0]);
    }

    #[test]
    fn one_over_the_square_root() {
        let want = [0.0, 5.0, 10.0, 8.165, 7.071, 6.325, 5.774, 5.345, 5.0, 4.714];
        for (got, want) in rates(Decay::InverseSqrt, Some(0.0), 2).iter().zip(want) {
            assert!((got - want).abs() < 6e-4, "{got} {want}");
        }
    }

    #[test]
    fn the_first_step_has_a_positive_rate_unless_start_is_given() {
        assert_eq!(rates(Decay::Linear, None, 2)[..3], [5.0, 10.0, 10.0]);
        assert_eq!(rates(Decay::Linear, None, 0)[..2], [10.0, 9.0]);
    }

    #[test]
    fn the_ends_are_exact_and_the_quarters_close() {
        let numbers = numbers(Decay::Cosine, &[("total_steps", 4.0), ("end", 0.1)]);
        let rates = made(Decay::Cosine, 0.3, None, &numbers).rates(&[0, 1, 2, 3, 4, 400]).unwrap();
        let half = std::f64::consts::FRAC_1_SQRT_2 / 2.0;
        for (got, want) in rates.iter().zip([1.0, 0.5 + half, 0.5, 0.5 - half, 0.0, 0.0]) {
            assert!((got - (0.1 + 0.2 * want)).abs() < 1e-16, "{got} {want}");
        }
        assert_eq!((rates[0], rates[4], rates[5]), (0.3, 0.1, 0.1));
    }

    #[test]
    fn cycles_begin_at_whole_powers() {
        let numbers = numbers(Decay::CosineRestarts, &[("cycle_steps", 1.0), ("growth", 3.0)]);
        let schedule = made(Decay::CosineRestarts, 1.0, None, &numbers);
        for i in 0..30 {
            let start = (3u64.pow(i) - 1) / 2;
            assert_eq!(schedule.rates(&[start]).unwrap(), [1.0], "cycle {i}");
            if i > 1 {
                assert!(schedule.rates(&[start - 1]).unwrap()[0] < 0.26);
            }
        }
    }

    #[test]
    fn points_are_met() {
        let (at, values) = ([2.0, 4.0, 8.0], [1.0, 3.0, 0.5]);
        let numbers = numbers(Decay::Piecewise, &[]);
        let schedule = Schedule { at: &at, values: &values, ..made(Decay::Piecewise, 3.0, None, &numbers) };
        let steps = [0, 2, 3, 4, 6, 8, 9];
        assert_eq!(schedule.rates(&steps).unwrap(), [1.0, 1.0, 2.0, 3.0, 1.75, 0.5, 0.5]);
        let stairs = Schedule { interpolate: Interpolate::Constant, ..schedule };
        assert_eq!(stairs.rates(&steps).unwrap(), [1.0, 1.0, 1.0, 3.0, 3.0, 0.5, 0.5]);
    }
}
