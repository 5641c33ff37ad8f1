//! The randomly signed sum `T = sum of +-a` and its cumulant generating function.

use crate::math::{exp64_nonpositive, expm1_64, log1p_64, log1p64_unit};
use crate::simd::{Isa, Kernel, dispatch, padded, tree64};

/// Lanes of the sums.
pub const LANES: usize = 16;
/// The number of limits for [`Series::below`], each a quarter of the one before.
pub const QUARTERS: usize = 8;
/// Terms of the series of `log cosh`.
pub const TERMS: usize = 16;
/// The largest argument of the series, at which its first neglected term is below 2^-53 of its first term.
pub const REACH: f64 = 0.5;

/// The coefficients of `log cosh x = sum of LOG_COSH[j] x^(2j + 2)`, for `abs(x) < pi/2`.
pub const LOG_COSH: [f64; TERMS] = [
    0.5,
    -0.083_333_333_333_333_33,
    0.022_222_222_222_222_223,
    -0.006_746_031_746_031_746,
    0.002_186_948_853_615_520_5,
    -0.000_738_602_960_825_183_1,
    0.000_256_580_574_040_891_5,
    -9.098_964_919_070_74e-5,
    3.277_930_227_475_478e-5,
    -1.195_645_571_217_762_5e-5,
    4.405_244_525_877_023e-6,
    -1.636_596_828_471_534_8e-6,
    6.122_655_795_895_756e-7,
    -2.304_174_719_876_939_4e-7,
    8.715_903_837_635_848e-8,
    -3.311_646_350_032_704_5e-8,
];

/// Magnitudes of which only the power sums are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The largest magnitude that may be among them.
    pub cut: f64,
    /// `LOG_COSH[j]` times the sum of `(a/cut)^(2j + 2)`.
    pub terms: [f64; TERMS],
    /// The sums of `a^2` over all magnitudes (the kept ones too) up to `4 cut`, up to `cut`, up to `cut/4`, and so on.
    pub below: [f64; QUARTERS],
}

/// The magnitudes `a` of the values whose signs are flipped, scaled so that the largest is about 1, or in steps of a
/// lattice.
#[derive(Clone, Debug, PartialEq)]
pub struct Magnitudes {
    /// The different magnitudes that are kept: first those that occur once, then those that occur more often.
    pub a: Vec<f64>,
    /// How often each of `a` occurs.
    pub times: Vec<f64>,
    /// How many of `a` occur once.
    pub once: usize,
    /// The magnitudes that are not kept, if any.
    pub rest: Option<Series>,
    /// Where there is a `rest`: a sample of all magnitudes, for a bound of the characteristic function.
    pub probe: Vec<f64>,
    /// As many ones as `probe` has values.
    pub ones: Vec<f64>,
    /// The largest of all magnitudes.
    pub largest: f64,
    /// The number of magnitudes.
    pub count: f64,
    /// The sum of their squares.
    pub squares: f64,
    /// The step of which all are multiples, if they lie on a lattice.
    pub step: Option<f64>,
    /// The sum of the magnitudes, where they are whole numbers (steps of a lattice) and all kept.
    pub total: Option<f64>,
}

/// The cumulants of `T` under the tilt `theta`: the logarithm of `E exp(theta T)` and its first two derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cumulants {
    pub log: f64,
    pub mean: f64,
    pub variance: f64,
}

impl Magnitudes {
    /// The largest tilt or frequency for which the series converges.
    pub fn reach(&self) -> f64 {
        self.rest.as_ref().map_or(f64::INFINITY, |rest| REACH / rest.cut)
    }

    /// Takes out the largest magnitude if it exceeds `deviations` standard deviations of the sum of the others.
    pub fn take_dominating(&mut self, deviations: f64) -> Option<f64> {
        let at = (0..self.once).reduce(|i, j| if self.a[j] > self.a[i] { j } else { i })?;
        let (largest, square) = (self.a[at], self.a[at] * self.a[at]);
        let others = self.squares - square;
        if largest < self.largest || square <= deviations * deviations * others || self.count < 2.0 {
            return None;
        }
        self.a.remove(at);
        self.total = self.total.map(|total| total - largest);
        self.times.remove(at);
        (self.once, self.count) = (self.once - 1, self.count - 1.0);
        self.squares = self.rest.as_ref().map_or(0.0, Series::squares)
            + self.a.iter().zip(&self.times).map(|(a, times)| times * (a * a)).sum::<f64>();
        let rest = self.rest.as_ref().map_or(0.0, |rest| rest.cut);
        self.largest = self.a.iter().fold(rest, |top, &a| if a > top { a } else { top });
        Some(largest)
    }

    /// The cumulants at `theta >= 0`.
    pub fn cumulants(&self, theta: f64) -> Cumulants {
        let [log, mean, variance] = dispatch(Sums { a: &self.a, times: &self.times, theta });
        let near = self.rest.as_ref().map_or([0.0; 3], |rest| rest.cumulants(theta));
        Cumulants { log: log + near[0], mean: mean + near[1], variance: variance + near[2] }
    }
}

impl Series {
    /// Whether the characteristic function `abs(phi(t))` is certainly below exp(-half). The bound uses the magnitudes
    /// with `a t <= pi/2`, for which `sin(a t) >= 2 a t/pi` and, for tilts up to 0.45 t, `1/cosh^2(theta a) > 0.62`.
    pub fn vanishes(&self, theta: f64, t: f64, half: f64) -> bool {
        let (mut top, mut vanishes) = (4.0 * self.cut, false);
        for squares in self.below {
            let inside = top * t <= std::f64::consts::FRAC_PI_2 && theta <= 0.45 * t;
            vanishes = vanishes || inside && 0.25 * (t * t) * squares > 2.0 * half;
            top *= 0.25;
        }
        vanishes
    }

    fn squares(&self) -> f64 {
        self.terms[0] / LOG_COSH[0] * self.cut * self.cut
    }

    fn cumulants(&self, theta: f64) -> [f64; 3] {
        let x = theta * self.cut;
        let square = x * x;
        let mut sums = [0.0; 3];
        for (j, &term) in self.terms.iter().enumerate().rev() {
            let power = (2 * j + 2) as f64;
            for (sum, factor) in sums.iter_mut().zip([1.0, power, power * (power - 1.0)]) {
                *sum = *sum * square + factor * term;
            }
        }
        [sums[0] * square, sums[1] * x * self.cut, sums[2] * self.cut * self.cut]
    }
}

/// `(log cosh x, tanh x, 1/cosh^2 x)` for `x >= 0`: relative error of each below 4e-16.
#[inline(always)]
pub fn hyperbolic<I: Isa>(x: f64) -> (f64, f64, f64) {
    let less = expm1_64::<I>(-2.0 * x);
    let small = exp64_nonpositive::<I>(-2.0 * x);
    let tanh = -less / (2.0 + less);
    let sum = 1.0 + small;
    let near = -0.5 * log1p_64::<I>(-(tanh * tanh));
    let far = (x - std::f64::consts::LN_2) + log1p64_unit::<I>(small);
    (if x < 1.0 { near } else { far }, tanh, 4.0 * small / (sum * sum))
}

struct Sums<'a> {
    a: &'a [f64],
    times: &'a [f64],
    theta: f64,
}

impl Kernel for Sums<'_> {
    type Out = [f64; 3];
    #[inline(always)]
    fn run<I: Isa>(self) -> [f64; 3] {
        let mut lanes = [[0.0; LANES]; 3];
        for (a, times) in self.a.chunks(LANES).zip(self.times.chunks(LANES)) {
            let (a, times) = (padded::<f64, LANES>(a, 0.0), padded::<f64, LANES>(times, 0.0));
            for l in 0..LANES {
                let (log, tanh, rest) = hyperbolic::<I>(self.theta * a[l]);
                lanes[0][l] += times[l] * log;
                lanes[1][l] += times[l] * (a[l] * tanh);
                lanes[2][l] += times[l] * (a[l] * a[l] * rest);
            }
        }
        lanes.map(tree64)
    }
}

/// Computes `tanh` and `1/cosh^2` of `theta a` into two columns.
pub struct Tilts<'a> {
    pub a: &'a [f64],
    pub theta: f64,
    pub tanh: &'a mut [f64],
    pub rest: &'a mut [f64],
}

impl Kernel for Tilts<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for ((&a, tanh), rest) in self.a.iter().zip(self.tanh).zip(self.rest) {
            (_, *tanh, *rest) = hyperbolic::<I>(self.theta * a);
        }
    }
}
