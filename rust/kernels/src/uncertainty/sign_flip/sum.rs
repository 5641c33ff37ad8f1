//! The flipped sum `T = sum of +-a` and its cumulant generating function.

use crate::math::{exp64_nonpositive, expm1_64, log1p_64, log1p64_unit};
use crate::simd::{Isa, Kernel, dispatch, padded, tree64};

/// Numbers that are worked on side by side.
pub const LANES: usize = 16;
/// Sums of squares below so many limits, each a quarter of the one before.
pub const QUARTERS: usize = 8;
/// Terms of the series of `log cosh`.
pub const TERMS: usize = 16;
/// As far as the series goes: its first neglected term is below 2^-53 of the first one there.
pub const REACH: f64 = 0.5;

/// `log cosh x = sum of LOG_COSH[j] x^(2j + 2)`, `abs(x) < pi/2`.
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

/// Magnitudes that are known by their power sums alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Every one is at most this.
    pub cut: f64,
    /// `LOG_COSH[j]` times the sum of `(a/cut)^(2j + 2)`.
    pub terms: [f64; TERMS],
    /// The sums of `a^2` over all magnitudes up to four times `cut`, up to `cut`, a quarter of it, and so on.
    pub below: [f64; QUARTERS],
}

/// The magnitudes `a` of what is flipped, in a unit that makes the largest about 1, or in steps of a lattice.
#[derive(Clone, Debug, PartialEq)]
pub struct Magnitudes {
    /// Those that occur once, then those that occur more often.
    pub a: Vec<f64>,
    /// How often.
    pub times: Vec<f64>,
    /// How many occur once.
    pub once: usize,
    /// The rest.
    pub rest: Option<Series>,
    /// Where there is a rest: some of all of them, once each, for a bound on the characteristic function.
    pub probe: Vec<f64>,
    /// As many ones.
    pub ones: Vec<f64>,
    /// The largest of all.
    pub largest: f64,
    /// How many there are.
    pub count: f64,
    /// The sum of squares.
    pub squares: f64,
    /// The step of which all are multiples.
    pub step: Option<f64>,
    /// On a lattice of whole numbers that are all kept: their sum.
    pub total: Option<f64>,
}

/// Cumulants of `T` under the tilt `theta`: the logarithm of `E exp(theta T)` and its two derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cumulants {
    pub log: f64,
    pub mean: f64,
    pub variance: f64,
}

impl Magnitudes {
    /// How far the tilt or the frequency may go.
    pub fn reach(&self) -> f64 {
        self.rest.as_ref().map_or(f64::INFINITY, |rest| REACH / rest.cut)
    }

    /// Takes out the largest if it is beyond `deviations` standard deviations of the others' sum.
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
    /// Whether `abs(phi(t))` is surely below exp(-half): by the magnitudes with `a t <= pi/2`, where
    /// `sin(a t) >= 2 a t/pi` and, for tilts up to 0.45 t, `1/cosh^2(theta a) > 0.62`.
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

/// `tanh` and `1/cosh^2` of `theta a`, into two columns.
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
