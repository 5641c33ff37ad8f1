//! Learning-rate schedules: pure functions of the number of updates already made.
//!
//! `s` is the number of updates already made (the first update has s = 0), `w` that of the warm-up steps, which are
//! part of the `N` total steps.
//!
//! ```text
//! s < w:   peak * (s + 1) / w           (with `start` given: start + (peak - start) * s / w)
//! else:    u = min((s - w) / (N - w), 1)
//!          constant  peak
//!          linear    peak + (end - peak) * u
//!          cosine    end + (peak - end) * (1 + cos(pi * u)) / 2
//!          inverse_sqrt  peak * sqrt(w / s)
//! ```
//!
//! After its end a schedule keeps its last rate; `inverse_sqrt` has no end.

use crate::grid::{CHUNK, Progress, Stopped, fill_chunks, unwatched};
use crate::memory::{self, NoMemory};
use crate::named;
use crate::named::{Bound, Parameter};
use crate::simd::{Isa, Kernel, dispatch};

/// The largest number of steps: up to it, f64 holds every whole number.
const STEPS: Bound = Bound::Closed((1u64 << 53) as f64 - 1.0);
const WARMUP: Parameter =
    Parameter { name: "warmup_steps", low: Bound::Closed(0.0), high: STEPS, default: Some(0.0) };
/// The warm-up of a shape that depends on its length, so that there must be one.
const SOME_WARMUP: Parameter = Parameter { low: Bound::Closed(1.0), default: None, ..WARMUP };
const TOTAL: Parameter =
    Parameter { name: "total_steps", low: Bound::Closed(1.0), high: STEPS, default: None };
const END: Parameter =
    Parameter { name: "end", low: Bound::Closed(0.0), high: Bound::Open(f64::INFINITY), default: Some(0.0) };

named! {
    /// The decay of the learning rate after the warm-up.
    pub enum Decay: "schedule.shape" {
        /// No decay: the rate stays the same.
        Constant = "constant" { parameters: &[WARMUP] },
        /// The rate decreases linearly.
        Linear = "linear" { parameters: &[TOTAL, WARMUP, END] },
        /// The rate follows half a period of a cosine.
        Cosine = "cosine" {
            source: "Loshchilov and Hutter, \"SGDR: Stochastic Gradient Descent with Warm Restarts\", ICLR 2017",
            parameters: &[TOTAL, WARMUP, END],
        },
        /// The rate is proportional to one over the square root of the steps, without an end.
        InverseSqrt = "inverse_sqrt" {
            source: "Vaswani et al., \"Attention Is All You Need\", NeurIPS 2017",
            parameters: &[SOME_WARMUP],
        },
    }
}

/// A schedule. The caller must have checked that all rates are finite and that `warmup < total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The shape after the warm-up.
    pub decay: Decay,
    /// The highest rate.
    pub peak: f64,
    /// The rate at and after `total`.
    pub end: f64,
    /// The rate at s = 0. With `None` the rate rises from 0 in `warmup` equal increments, of which the first update has
    /// one already.
    pub start: Option<f64>,
    /// The number of warm-up steps.
    pub warmup: u64,
    /// The total number of steps; not used by a shape without an end.
    pub total: u64,
}

struct Values<'a> {
    schedule: Schedule,
    steps: &'a [u64],
    rates: &'a mut [f64],
}

impl Kernel for Values<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        // One loop per shape, so that the body of each loop has no branches.
        match self.schedule.decay {
            Decay::Constant => self.fill::<I, Constant>(),
            Decay::Linear => self.fill::<I, Linear>(),
            Decay::Cosine => self.fill::<I, Cosine>(),
            Decay::InverseSqrt => self.fill::<I, InverseSqrt>(),
        }
    }
}

impl Values<'_> {
    #[inline(always)]
    fn fill<I: Isa, F: Fall>(self) {
        let Schedule { peak, start, warmup, total, .. } = self.schedule;
        let w = warmup as f64;
        let (from, rise, offset) = match start {
            Some(start) => (start, peak - start, 0.0),
            None => (0.0, peak, 1.0),
        };
        let span = total.saturating_sub(warmup) as f64;
        for (rate, &step) in self.rates.iter_mut().zip(self.steps) {
            // Steps beyond 2^53 are rounded, but they come after any end.
            let s = step as f64;
            // Without a warm-up, s < w never holds, and dividing by w = 0 is avoided.
            let climbing = if warmup > 0 { from + rise * (s + offset) / w } else { peak };
            let along = if span > 0.0 { (s - w) / span } else { 1.0 };
            let u = if along < 1.0 { along } else { 1.0 };
            let falling = F::at::<I>(&self.schedule, s, u);
            *rate = if s < w { climbing } else { falling };
        }
    }
}

/// The shape of a schedule after the warm-up.
trait Fall {
    /// The rate after `s` updates; `u` is the share of the steps between warm-up and end that have been made.
    fn at<I: Isa>(schedule: &Schedule, s: f64, u: f64) -> f64;
}

struct Constant;

impl Fall for Constant {
    #[inline(always)]
    fn at<I: Isa>(schedule: &Schedule, _: f64, _: f64) -> f64 {
        schedule.peak
    }
}

struct Linear;

impl Fall for Linear {
    #[inline(always)]
    fn at<I: Isa>(&Schedule { peak, end, .. }: &Schedule, _: f64, u: f64) -> f64 {
        peak + (end - peak) * u
    }
}

struct InverseSqrt;

impl Fall for InverseSqrt {
    #[inline(always)]
    fn at<I: Isa>(schedule: &Schedule, s: f64, _: f64) -> f64 {
        schedule.peak * (schedule.warmup as f64 / s).sqrt()
    }
}

struct Cosine;

impl Fall for Cosine {
    /// `end + (peak - end) * (1 + cos(pi u)) / 2`, computed as the distance from the nearer end of the decay by
    /// `(1 - cos(pi t)) / 2 = sin(pi t / 2)^2`, so that it is exactly `peak` at u = 0 and exactly `end` at u = 1.
    #[inline(always)]
    fn at<I: Isa>(&Schedule { peak, end, .. }: &Schedule, _: f64, u: f64) -> f64 {
        let (from, to, t) = if u < 0.5 { (peak, end, u) } else { (end, peak, 1.0 - u) };
        let sine = sinpi::<I>(0.5 * t);
        from + (to - from) * (sine * sine)
    }
}

/// The Taylor coefficients (-1)^k pi^(2k+1) / (2k+1)! of `sin(pi t) / t` in powers of t^2.
const SINPI: [f64; 9] = [
    std::f64::consts::PI,
    -5.167_712_780_049_97,
    2.550_164_039_877_345_5,
    -0.599_264_529_320_792_1,
    0.082_145_886_611_128_23,
    -0.007_370_430_945_714_350_5,
    0.000_466_302_805_767_612_55,
    -2.191_535_344_783_021_7e-5,
    7.952_054_001_475_513e-7,
];

/// sin(pi t) for t in [0, 1/4], within 2 ulp; the first term left out is below 2e-18.
#[inline(always)]
fn sinpi<I: Isa>(t: f64) -> f64 {
    let square = t * t;
    let mut sum = SINPI[8];
    for k in (0..8).rev() {
        sum = I::fma64(sum, square, SINPI[k]);
    }
    t * sum
}

impl Schedule {
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
            dispatch(Values { schedule: *self, steps, rates });
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

    fn rates(decay: Decay, start: Option<f64>, warmup: u64) -> Vec<f64> {
        let schedule = Schedule { decay, peak: 10.0, end: 0.0, start, warmup, total: 10 };
        schedule.rates(&(0..12).collect::<Vec<_>>()).unwrap()
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
        let schedule =
            Schedule { decay: Decay::Cosine, peak: 0.3, end: 0.1, start: None, warmup: 0, total: 4 };
        let rates = schedule.rates(&[0, 1, 2, 3, 4, 400]).unwrap();
        let half = std::f64::consts::FRAC_1_SQRT_2 / 2.0;
        for (got, want) in rates.iter().zip([1.0, 0.5 + half, 0.5, 0.5 - half, 0.0, 0.0]) {
            assert!((got - (0.1 + 0.2 * want)).abs() < 1e-16, "{got} {want}");
        }
        assert_eq!((rates[0], rates[4], rates[5]), (0.3, 0.1, 0.1));
    }
}
