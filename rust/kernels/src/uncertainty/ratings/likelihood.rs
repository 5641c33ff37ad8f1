//! The likelihood of the battles at some ratings: its gradient and its curvature.
//!
//! The score s of model i in a battle against j is 1, 1/2 or 0. Its mean is `m = p + t/2`, with p, q and t the
//! probabilities that i wins, that j wins and of a tie. With n battles of the pair, the gradient by `x_i` is
//! `scores_i - sum n m`, that by `log nu` is `ties - sum n t`; the curvature (with its sign changed) is the sum of n times
//! the covariance of s and of the tie:
//!
//! ```text
//! var s = p q + t (p + q)/4,   cov(s, tie) = -t (p - q)/2,   var tie = t (p + q).
//! ```

use super::FARTHEST;
use super::matrix::{LANES, padded};
use super::totals::Totals;
use crate::math::exp64;
use crate::memory::{self, NoMemory};
use crate::simd::{Isa, tree64};

pub(super) struct Likelihood {
    models: usize,
    /// By each rating, and by log nu in the place after them.
    pub gradient: Vec<f64>,
    /// Rows of the upper triangle, with a constant added to all entries of ratings.
    pub curvature: Vec<f64>,
    /// The variance of the score of each model.
    own: Vec<f64>,
    /// The covariance of the score of each model with the ties.
    cross: Vec<f64>,
    odds: Odds,
}

/// The strengths of the models, in padded places.
struct Odds {
    w: Vec<f64>,
    root: Vec<f64>,
    nu: f64,
}

/// The probabilities of a battle.
pub(super) struct Chances {
    pub win: f64,
    pub tie: f64,
}

impl Odds {
    /// The strengths at ratings; false where these are too far apart.
    #[inline(always)]
    fn look<I: Isa>(&mut self, x: &[f64], log_nu: Option<f64>, models: usize) -> bool {
        let (mut low, mut high) = (x[0], x[0]);
        for &x in &x[1..models] {
            low = if x < low { x } else { low };
            high = if x > high { x } else { high };
        }
        let nu = match log_nu {
            None => 0.0,
            Some(log_nu) if log_nu.abs() <= FARTHEST / 2.0 => exp64::<I>(log_nu),
            Some(_) => return false,
        };
        let range = high - low;
        if range.is_nan() || range > FARTHEST {
            return false;
        }
        let middle = 0.5 * (low + high);
        self.nu = nu;
        for i in 0..models {
            let root = exp64::<I>((x[i] - middle) / 2.0);
            self.root[i] = root;
            self.w[i] = root * root;
        }
        true
    }
}

impl Likelihood {
    pub fn new(models: usize) -> Result<Likelihood, NoMemory> {
        let row = |value: f64| memory::filled(padded(models), value);
        Ok(Likelihood {
            models,
            gradient: row(0.0)?,
            curvature: memory::filled((models + 1) * padded(models), 0.0)?,
            own: row(0.0)?,
            cross: row(0.0)?,
            odds: Odds { w: row(1.0)?, root: row(1.0)?, nu: 0.0 },
        })
    }

    /// The probabilities of a battle of two models at the ratings of the last call of [`Self::at`].
    pub fn chances(&self, i: usize, j: usize) -> Chances {
        let Odds { w, root, nu } = &self.odds;
        let tied = nu * root[i] * root[j];
        let all = w[i] + w[j] + tied;
        Chances { win: w[i] / all, tie: tied / all }
    }

    /// Computes gradient and curvature; false where the ratings are too far apart.
    #[inline(always)]
    pub fn at<I: Isa>(&mut self, x: &[f64], log_nu: Option<f64>, totals: &Totals) -> bool {
        if !self.odds.look::<I>(x, log_nu, self.models) {
            return false;
        }
        if log_nu.is_some() {
            self.curved::<true>(totals);
        } else {
            self.curved::<false>(totals);
        }
        true
    }

    #[inline(always)]
    fn curved<const TIES: bool>(&mut self, totals: &Totals) {
        let (models, stride) = (self.models, padded(self.models));
        let Odds { w, root, nu } = &self.odds;
        let (gradient, own, cross) = (&mut self.gradient, &mut self.own, &mut self.cross);
        for j in 0..stride {
            (gradient[j], own[j], cross[j]) = (totals.scores[j], 0.0, 0.0);
        }
        let (mut ties, mut of_ties) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..models {
            let (wi, ri) = (w[i], *nu * root[i]);
            let (mut score, mut variance, mut with_ties) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
            for from in ((i + 1) / LANES * LANES..stride).step_by(LANES) {
                // Pairs on and below the diagonal have no battles in `pairs`.
                let n = &totals.pairs[i * stride + from..][..LANES];
                let (w, root) = (&w[from..][..LANES], &root[from..][..LANES]);
                let (gradient, own) = (&mut gradient[from..][..LANES], &mut own[from..][..LANES]);
                let cross = &mut cross[from..][..LANES];
                let to = &mut self.curvature[i * stride + from..][..LANES];
                for lane in 0..LANES {
                    let (n, tied) = (n[lane], if TIES { ri * root[lane] } else { 0.0 });
                    let inverse = 1.0 / (if TIES { wi + w[lane] + tied } else { wi + w[lane] });
                    let (p, q) = (wi * inverse, w[lane] * inverse);
                    let mut spread = p * q;
                    if TIES {
                        let t = tied * inverse;
                        spread += t * (p + q) / 4.0;
                        score[lane] += n * (p + t / 2.0);
                        gradient[lane] -= n * (q + t / 2.0);
                        let both = n * t * (p - q) / 2.0;
                        with_ties[lane] -= both;
                        cross[lane] += both;
                        ties[lane] += n * t;
                        of_ties[lane] += n * t * (p + q);
                    } else {
                        score[lane] += n * p;
                        gradient[lane] -= n * q;
                    }
                    let spread = n * spread;
                    variance[lane] += spread;
                    own[lane] += spread;
                    to[lane] = -spread;
                }
            }
            gradient[i] -= tree64(score);
            own[i] += tree64(variance);
            cross[i] += tree64(with_ties);
            self.curvature[i * stride + i] = own[i];
        }
        let mut trace = 0.0;
        for &variance in &own[..models] {
            trace += variance;
        }
        let constant = trace / (models * models) as f64;
        for i in 0..models {
            let row = &mut self.curvature[i * stride..(i + 1) * stride];
            for to in row[i / LANES * LANES..].as_chunks_mut::<LANES>().0 {
                for lane in 0..LANES {
                    to[lane] += constant;
                }
            }
            row[models] = cross[i];
        }
        if TIES {
            gradient[models] = totals.ties - tree64(ties);
            let last = &mut self.curvature[models * stride..];
            last.fill(0.0);
            last[models] = tree64(of_ties);
        }
    }
}
