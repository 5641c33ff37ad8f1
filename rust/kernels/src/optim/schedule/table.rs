//! The tables of a schedule: the shapes with their parameters, and the curves of its parts.

use crate::named;
use crate::named::{Bound, Parameter};

/// The largest number of steps: up to it, f64 holds every whole number.
const STEPS: Bound = Bound::Closed((1u64 << 53) as f64 - 1.0);
const FINITE: Bound = Bound::Open(f64::INFINITY);

/// A number that is at least 0, with its default.
const fn from_zero(name: &'static str, default: Option<f64>) -> Parameter {
    Parameter { name, low: Bound::Closed(0.0), high: FINITE, default }
}

/// A number above 0, with its default.
const fn above_zero(name: &'static str, default: Option<f64>) -> Parameter {
    Parameter { name, low: Bound::Open(0.0), high: FINITE, default }
}

/// A number of steps, at least `low`.
const fn steps(name: &'static str, low: f64, default: Option<f64>) -> Parameter {
    Parameter { name, low: Bound::Closed(low), high: STEPS, default }
}

/// The steps during which the rate rises.
pub const WARMUP: Parameter = steps("warmup_steps", 0.0, Some(0.0));
/// The step at which the rate has reached `end`.
pub const TOTAL: Parameter = steps("total_steps", 1.0, None);
/// The rate at the end.
pub const END: Parameter = from_zero("end", Some(0.0));
/// How often the curve runs from the highest rate to `end`; need not be whole.
pub const CYCLES: Parameter = above_zero("cycles", Some(1.0));
/// The number of full periods of the cosine.
pub const WAVES: Parameter = above_zero("waves", Some(0.5));
/// The exponent of the curve.
pub const POWER: Parameter = above_zero("power", Some(1.0));
/// The exponent of the share of the steps (k-decay).
pub const K: Parameter = above_zero("k", Some(1.0));
/// The length of the first cycle.
pub const CYCLE: Parameter = steps("cycle_steps", 1.0, None);
/// How many times longer each cycle is than the one before.
pub const GROWTH: Parameter =
    Parameter { name: "growth", low: Bound::Closed(1.0), high: FINITE, default: Some(1.0) };
/// By what the height is multiplied from cycle to cycle.
pub const DECAY: Parameter = from_zero("decay", Some(1.0));
/// How many cycles there are; 0: without end.
pub const RESTARTS: Parameter = steps("restarts", 0.0, Some(0.0));
/// The steps after which the rate is lower by the square root of two; 0: the warm-up.
pub const TIMESCALE: Parameter = steps("timescale", 0.0, Some(0.0));
/// A factor of the rate.
pub const GAMMA: Parameter = above_zero("gamma", None);
/// The steps after which the rate has been multiplied by `gamma` once more.
pub const DECAY_STEPS: Parameter = steps("decay_steps", 1.0, Some(1.0));
/// The lowest rate of a cycle.
pub const LOW: Parameter = from_zero("low", Some(0.0));
/// The steps from `low` to the highest rate.
pub const RISE_STEPS: Parameter = steps("rise_steps", 1.0, None);
/// The steps back; 0: as many.
pub const FALL_STEPS: Parameter = steps("fall_steps", 0.0, Some(0.0));
/// The steps of the fall at the end.
pub const COOLDOWN_STEPS: Parameter = steps("cooldown_steps", 0.0, None);
/// Where the tanh begins.
pub const LOWER: Parameter =
    Parameter { name: "lower", low: Bound::Open(f64::NEG_INFINITY), high: FINITE, default: Some(-7.0) };
/// Where the tanh ends.
pub const UPPER: Parameter = Parameter { name: "upper", default: Some(3.0), ..LOWER };
/// A factor per step that most cyclic schedules leave at 1.
pub const FADE: Parameter = Parameter { default: Some(1.0), ..GAMMA };
/// A factor that is a tenth unless it is given.
pub const TENTH: Parameter = Parameter { default: Some(0.1), ..GAMMA };
/// Steps between two falls, which must be given.
pub const EVERY: Parameter = Parameter { default: None, ..DECAY_STEPS };

named! {
    /// The shape of a schedule after the warm-up.
    pub enum Decay: "schedule.shape" {
        /// No decay: the rate stays the same.
        Constant = "constant" { parameters: &[WARMUP] },
        /// The rate decreases linearly.
        Linear = "linear" { parameters: &[TOTAL, WARMUP, END] },
        /// The rate follows half a period of a cosine, once or from the top again in every cycle.
        Cosine = "cosine" {
            source: "Loshchilov and Hutter, \"SGDR: Stochastic Gradient Descent with Warm Restarts\", ICLR 2017; \
                     k: Zhang and Li, \"k-decay: A New Method for Learning Rate Schedule\", 2020",
            parameters: &[TOTAL, WARMUP, END, CYCLES, POWER, K],
        },
        /// The rate is proportional to one over the square root of the steps, without an end.
        InverseSqrt = "inverse_sqrt" {
            source: "Vaswani et al., \"Attention Is All You Need\", NeurIPS 2017; timescale: Zhai et al., \"Scaling \
                     Vision Transformers\", CVPR 2022",
            parameters: &[WARMUP, TIMESCALE],
        },
        /// The rate goes down and up again with a cosine, beyond the total number of steps as well.
        CosineWave = "cosine_wave" { parameters: &[TOTAL, WARMUP, END, WAVES] },
        /// The rate follows half a period of a cosine in every cycle; cycles may grow longer and lower.
        CosineRestarts = "cosine_restarts" {
            source: "Loshchilov and Hutter, \"SGDR: Stochastic Gradient Descent with Warm Restarts\", ICLR 2017",
            parameters: &[CYCLE, WARMUP, END, GROWTH, DECAY, RESTARTS, K],
        },
        /// The rate falls as a power of the share of the steps that remain.
        Polynomial = "polynomial" {
            source: "Chen et al., \"DeepLab\", TPAMI 2018; k: Zhang and Li, \"k-decay: A New Method for Learning \
                     Rate Schedule\", 2020",
            parameters: &[TOTAL, WARMUP, END, POWER, K],
        },
        /// The rate is multiplied by the same factor at every step.
        Exponential = "exponential" { parameters: &[GAMMA, WARMUP, DECAY_STEPS, END] },
        /// The rate is multiplied by a factor after every so many steps.
        Step = "step" { parameters: &[EVERY, WARMUP, TENTH, END] },
        /// The rate is multiplied by a factor at given steps.
        MultiStep = "multi_step" { parameters: &[WARMUP, TENTH] },
        /// The rate goes up and down between two bounds in straight lines.
        Cyclic = "cyclic" {
            source: "Smith, \"Cyclical Learning Rates for Training Neural Networks\", WACV 2017",
            parameters: &[RISE_STEPS, WARMUP, LOW, FALL_STEPS, DECAY, FADE],
        },
        /// The rate stays and then falls over the last steps (warm-up, stable, decay).
        Wsd = "wsd" {
            source: "Hu et al., \"MiniCPM\", 2024; 1-sqrt: Haegele et al., \"Scaling Laws and Compute-Optimal \
                     Training Beyond Fixed Training Durations\", NeurIPS 2024",
            parameters: &[TOTAL, COOLDOWN_STEPS, WARMUP, END],
        },
        /// The rate falls slowly at first and faster towards the end.
        Rex = "rex" {
            source: "Chen, Wolfe and Kyrillidis, \"REX: Revisiting Budgeted Training with an Improved Schedule\", \
                     MLSys 2022",
            parameters: &[TOTAL, WARMUP, END],
        },
        /// The rate falls along a hyperbolic tangent.
        Tanh = "tanh" {
            source: "Hsueh, Li and Wu, \"Stochastic Gradient Descent with Hyperbolic-Tangent Decay on \
                     Classification\", WACV 2019",
            parameters: &[TOTAL, WARMUP, END, LOWER, UPPER],
        },
        /// The rate passes through given points.
        Piecewise = "piecewise" { parameters: &[WARMUP] },
    }
}

named! {
    /// The curve along which the rate rises.
    pub enum Rise: "schedule.warmup" {
        /// In a straight line.
        Linear = "linear",
        /// Along half a period of a cosine.
        Cosine = "cosine",
        /// With the logarithm of the steps: fast first.
        Log = "log" { source: "DeepSpeed's WarmupLR" },
        /// One minus the square root of the share that remains: slowly first.
        OneMinusSqrt = "1-sqrt",
    }
}

named! {
    /// The curve of a cooldown.
    pub enum Cooldown: "schedule.curve" {
        /// In a straight line.
        Linear = "linear",
        /// Along half a period of a cosine.
        Cosine = "cosine",
        /// One minus the square root of the share that is done: fast first.
        OneMinusSqrt = "1-sqrt" {
            source: "Haegele et al., \"Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations\", \
                     NeurIPS 2024",
        },
        /// One minus the square of the share that is done: slowly first.
        Square = "square",
    }
}

named! {
    /// What the rate does between two points.
    pub enum Interpolate: "schedule.interpolate" {
        /// A straight line.
        Linear = "linear",
        /// Half a period of a cosine.
        Cosine = "cosine",
        /// It keeps the value of the point before.
        Constant = "constant",
    }
}
