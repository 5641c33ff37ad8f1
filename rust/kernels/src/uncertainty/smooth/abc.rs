//! The ABC interval: approximate bootstrap confidence limits, without resampling.

use super::super::design::Design;
use super::super::no_estimate::{Ended, NoEstimate, answer};
use super::super::paired::Wide;
use super::Sums;
use super::closed::{Prepared, Strata, prepare};
use super::curved::Curved;
use crate::grid::{Pace, Progress, Stopped};
use crate::intervals::strata::Average;
use crate::intervals::sums::sums_at;
use crate::intervals::{Alternative, Confidence};
use crate::math::normal;
use crate::memory;
use crate::simd::scalar;

/// A statistic with its ABC interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abc {
    /// The statistic of all rows; with strata that count once, the mean of those of the strata.
    pub value: f64,
    /// `sigma = sqrt(sum U^2)` with the influences U.
    pub standard_error: f64,
    /// The lower limit; infinite on a side that is left open.
    pub low: f64,
    /// The upper limit.
    pub high: f64,
    /// The acceleration a.
    pub acceleration: f64,
    /// The correction of the bias, z0.
    pub z0: f64,
    /// How the statistic bends in the direction of its influences, `c_q`.
    pub curvature: f64,
    /// The bias of the statistic, b.
    pub bias: f64,
}

/// The nonparametric ABC interval of a statistic (DiCiccio and Efron, "More accurate confidence intervals in exponential
/// families", Biometrika 79, 1992; Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 14.4).
///
/// With weights P of the n units the statistic is a function `T(P)`; `P0 = (1/n, ..., 1/n)`. Its influences `U_g` are
/// 1/n of its derivatives towards the units, `V_g` its second derivatives there. Then `sigma^2 = sum U^2`,
/// `a = sum U^3/(6 sigma^3)`, `delta = U/(n sigma)`, `c_q = delta' T'' delta/(2 sigma)`, `b = sum V/(2 n^2)`,
/// `z0 = Phi^-1(2 Phi(a) Phi(c_q - b/sigma))`, and the limit at level alpha is `T(P0 + lambda delta)` with
/// `w = z0 + z_alpha` and `lambda = w/(1 - a w)^2`.
///
/// In strata each has weights of its own: influences are about their mean in the stratum, and `delta` and V have its number
/// of units for n (as in `abc.ci` of R's boot).
pub fn abc(
    statistic: &dyn Sums,
    columns: &[&dyn Wide],
    weights: Option<&[f64]>,
    design: Design<'_>,
    strata: Option<Strata<'_>>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Result<Abc, NoEstimate>, Stopped> {
    answer((|| {
        let prepared = prepare(statistic, columns, weights, design, &mut *progress)?;
        differ(statistic, &prepared, weights, design, strata, confidence, &mut *progress)?;
        let family = Family::of(statistic, &prepared, strata, &mut Pace::new(&mut *progress))?;
        family.interval(confidence, &mut Pace::new(progress))
    })())
}

/// Refuses units that all say the same.
fn differ(
    statistic: &dyn Sums,
    prepared: &Prepared,
    weights: Option<&[f64]>,
    design: Design<'_>,
    strata: Option<Strata<'_>>,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<(), Ended> {
    let n = prepared.units.count;
    if let (Design::Clusters { .. }, 0 | 1) = (design, n) {
        return Err(NoEstimate::OneCluster.into());
    }
    if prepared.value.is_infinite() {
        return Err(NoEstimate::Infinite.into());
    }
    let linear = prepared.linear_in(statistic, strata, &mut *progress)?;
    if n > 1 && !linear.variance(strata, weights.map(|of| of.len() as f64), confidence, progress)?.0.unspread
    {
        return Ok(());
    }
    Err(match design {
        Design::Rows => NoEstimate::EqualValues { n }.into(),
        Design::Clusters { .. } => NoEstimate::EqualMeans { n }.into(),
    })
}

/// The statistic where the weights of the units move in the direction of its influences.
struct Family<'a> {
    statistic: &'a dyn Sums,
    prepared: &'a Prepared,
    /// The stratum of each unit; `None` where all are one.
    codes: Option<&'a [i64]>,
    /// The number of units of each stratum, and the sums over them.
    sizes: Vec<f64>,
    sums: Vec<f64>,
    /// The sums of which the statistic is a function (or whose statistics' mean it is), and how it bends there.
    totals: Vec<f64>,
    bends: Vec<Curved>,
    /// The influence of each unit.
    influences: Vec<f64>,
}

impl<'a> Family<'a> {
    fn of(
        statistic: &'a dyn Sums,
        prepared: &'a Prepared,
        strata: Option<Strata<'a>>,
        pace: &mut Pace<'_>,
    ) -> Result<Family<'a>, Ended> {
        let (units, width) = (&prepared.units, prepared.units.stride);
        let (codes, count) = strata.map_or((None, 1), |strata| (Some(strata.codes), strata.count));
        let once = matches!(strata, Some(Strata { average: Average::Macro, .. }));
        let stratum = |g: usize| codes.map_or(0, |codes: &[i64]| codes[g] as usize);
        let mut sizes = memory::filled(count, 0.0)?;
        let (mut sums, mut magnitudes) =
            (memory::filled(count * width, 0.0)?, memory::filled(count * width, 0.0)?);
        for g in 0..units.count {
            let h = stratum(g);
            scalar(|| {
                sizes[h] += 1.0;
                for (k, s) in units.of(g).iter().enumerate() {
                    sums[h * width + k] += s;
                    magnitudes[h * width + k] += s.abs();
                }
            });
            pace.step()?;
        }
        let (totals, magnitudes) = if once {
            (memory::copied(&sums)?, magnitudes)
        } else {
            (memory::copied(&prepared.totals)?, memory::copied(&prepared.sizes)?)
        };
        let parts = totals.len() / width;
        let mut gradients = memory::filled(totals.len(), 0.0)?;
        let mut bends = memory::with_capacity(parts)?;
        for ((totals, sizes), gradient) in
            totals.chunks(width).zip(magnitudes.chunks(width)).zip(gradients.chunks_mut(width))
        {
            scalar(|| statistic.gradient(totals, gradient));
            bends.push(scalar(|| Curved::of(statistic, totals, sizes))?);
        }
        // The mean influence in a stratum is 0 where its statistic alone is meant.
        let mut levels = memory::filled(count, 0.0)?;
        let mut influences = memory::with_capacity(units.count)?;
        for g in 0..units.count {
            let part = if once { stratum(g) } else { 0 };
            scalar(|| {
                let gradient = &gradients[part * width..(part + 1) * width];
                let pull = dot(gradient, units.of(g)) / parts as f64;
                levels[stratum(g)] += pull / sizes[stratum(g)];
                influences.push(pull);
            });
            pace.step()?;
        }
        for (g, influence) in influences.iter_mut().enumerate() {
            scalar(|| *influence -= levels[stratum(g)]);
            pace.step()?;
        }
        Ok(Family { statistic, prepared, codes, sizes, sums, totals, bends, influences })
    }

    fn stratum(&self, unit: usize) -> usize {
        self.codes.map_or(0, |codes| codes[unit] as usize)
    }

    /// Which of the totals a unit is a part of.
    fn part(&self, unit: usize) -> usize {
        if self.bends.len() == 1 { 0 } else { self.stratum(unit) }
    }

    fn interval(&self, confidence: Confidence, pace: &mut Pace<'_>) -> Result<Abc, Ended> {
        let (n, parts) = (self.influences.len(), self.bends.len() as f64);
        let largest =
            self.influences.iter().fold(0.0, |most: f64, u| if u.abs() > most { u.abs() } else { most });
        if !largest.is_finite() {
            return Err(self.statistic.too_large().into());
        }
        // Powers of shares of the largest neither overflow nor underflow.
        let [squares, cubes] = sums_at(n, pace, |g| {
            let u = self.influences[g] / largest;
            [u * u, u * u * u]
        })?;
        let (sigma, acceleration) =
            scalar(|| (largest * squares.sqrt(), cubes / (6.0 * squares * squares.sqrt())));
        if sigma.is_nan() || sigma <= 0.0 {
            return Err(NoEstimate::EqualValues { n }.into());
        }
        let direction = self.direction(sigma, pace)?;
        let width = self.prepared.units.stride;
        let curvature = scalar(|| {
            let bent = self
                .bends
                .iter()
                .zip(direction.chunks(width))
                .fold(0.0, |sum, (bends, towards)| sum + bends.along(|k| towards[k]));
            bent / (parts * 2.0 * sigma)
        });
        let [second] = sums_at(n, pace, |g| {
            let h = self.stratum(g);
            let (unit, sums) = (self.prepared.units.of(g), &self.sums[h * width..(h + 1) * width]);
            [self.bends[self.part(g)].along(|k| unit[k] - sums[k] / self.sizes[h])]
        })?;
        let (bias, z0) = scalar(|| {
            let bias = second / (2.0 * parts);
            (bias, normal::quantile(2.0 * normal::cdf(acceleration) * normal::cdf(curvature - bias / sigma)))
        });
        let limit = |open: Alternative, level: f64, infinite: f64| {
            if confidence.alternative == open {
                return Ok(infinite);
            }
            let (stretch, far) = scalar(|| {
                let w = z0 + normal::quantile(level);
                let stretch = 1.0 - acceleration * w;
                (stretch, w / (stretch * stretch))
            });
            if stretch > 0.0 { self.moved(&direction, far) } else { Err(NoEstimate::Bent.into()) }
        };
        let (below, above) = scalar(|| (confidence.tail(), 1.0 - confidence.tail()));
        let low = limit(Alternative::Less, below, f64::NEG_INFINITY)?;
        let high = limit(Alternative::Greater, above, f64::INFINITY)?;
        let value = self.moved(&direction, 0.0)?;
        Ok(Abc { value, standard_error: sigma, low, high, acceleration, z0, curvature, bias })
    }

    /// What `delta` adds to the totals.
    fn direction(&self, sigma: f64, pace: &mut Pace<'_>) -> Result<Vec<f64>, Ended> {
        let width = self.prepared.units.stride;
        let mut direction = memory::filled(self.totals.len(), 0.0)?;
        for (g, influence) in self.influences.iter().enumerate() {
            let part = self.part(g);
            scalar(|| {
                let share = influence / sigma;
                let of = &mut direction[part * width..(part + 1) * width];
                for (towards, s) in of.iter_mut().zip(self.prepared.units.of(g)) {
                    *towards += share * s;
                }
            });
            pace.step()?;
        }
        Ok(direction)
    }

    /// The statistic where the totals have moved, refused where it does not rise there any more: the family ends before.
    fn moved(&self, direction: &[f64], far: f64) -> Result<f64, Ended> {
        let width = self.prepared.units.stride;
        let (mut moved, mut gradient) = (memory::filled(width, 0.0)?, memory::filled(width, 0.0)?);
        let (value, slope) = scalar(|| {
            let (mut value, mut slope) = (0.0, 0.0);
            for (totals, towards) in self.totals.chunks(width).zip(direction.chunks(width)) {
                for ((moved, total), towards) in moved.iter_mut().zip(totals).zip(towards) {
                    *moved = total + far * towards;
                }
                self.statistic.gradient(&moved, &mut gradient);
                value += self.statistic.value(&moved);
                slope += dot(&gradient, towards);
            }
            (value / self.bends.len() as f64, slope)
        });
        if value.is_finite() && slope > 0.0 { Ok(value) } else { Err(NoEstimate::Bent.into()) }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

#[cfg(test)]
mod tests {
    use super::super::super::statistic::Name;
    use super::super::{Formula, statistic};
    use super::*;

    fn abc_of(name: Name, columns: &[&[f64]], level: f64) -> Result<Abc, NoEstimate> {
        let wide: Vec<&dyn Wide> = columns.iter().map(|slice| slice as &dyn Wide).collect();
        let sums = statistic(Formula::One(name), &wide, &mut |_| true).unwrap().unwrap();
        let confidence = Confidence { level, alternative: Alternative::TwoSided };
        abc(&*sums, &wide, None, Design::Rows, None, confidence, &mut |_| true).unwrap()
    }

    /// The spatial data of Efron and Tibshirani (table 14.1), by the algorithm of R's `abcnon`.
    #[test]
    fn the_variance_of_the_spatial_data() {
        let x = [
            48.0, 36.0, 20.0, 29.0, 42.0, 42.0, 20.0, 42.0, 22.0, 41.0, 45.0, 14.0, 6.0, 0.0, 33.0, 28.0,
            34.0, 4.0, 32.0, 24.0, 47.0, 41.0, 24.0, 26.0, 30.0, 41.0,
        ];
        let got = abc_of(Name::Variance, &[&x], 0.9).unwrap();
        for (got, want) in [
            (got.value, 171.534_023_7),
            (got.standard_error, 42.452_893_6),
            (got.acceleration, 0.061_240_119_8),
            (got.z0, 0.183_283_281_3),
            (got.curvature, -0.039_725_134_9),
            (got.bias, -6.597_461_8),
            (got.low, 116.705_463_9),
            (got.high, 260.883_017_6),
        ] {
            // Those of R are differences of a step of .001/n.
            assert!((got - want).abs() < 1e-5 * want.abs(), "{got} {want}");
        }
        let got = abc_of(Name::Variance, &[&x], 0.95).unwrap();
        assert!((got.low - 106.663_205_6).abs() < 1e-4 && (got.high - 278.490_844_6).abs() < 1e-4, "{got:?}");
    }

    #[test]
    fn a_mean_does_not_bend() {
        let x: Vec<f64> = (0..30).map(|i| f64::from(i * i)).collect();
        let got = abc_of(Name::Mean, &[&x], 0.9).unwrap();
        assert!(got.curvature.abs() < 1e-9 && got.bias.abs() < 1e-9 * got.standard_error, "{got:?}");
        assert!(got.high - got.value > got.value - got.low);
    }

    #[test]
    fn equal_values_and_limits_beyond_the_family_are_refused() {
        assert_eq!(abc_of(Name::Mean, &[&[2.0; 5]], 0.9), Err(NoEstimate::EqualValues { n: 5 }));
        // The variance of zeros and a five grows with more fives only up to a half of them.
        assert_eq!(abc_of(Name::Variance, &[&[0.0, 0.0, 0.0, 0.0, 5.0]], 0.95), Err(NoEstimate::Bent));
    }
}
