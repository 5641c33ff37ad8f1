//! The maximum of the likelihood, by Newton's method.
//!
//! The logarithm of the likelihood is concave in the ratings and in `log nu`. Its third derivative along a step is at most
//! R times its second one, R the range of what the step adds to the log-odds of a battle's outcomes. So a full step with
//! R <= 1 climbs, and so does a step times log(1 + R)/R for any R (Sun and Tran-Dinh, Mathematical Programming 178
//! (2019)): no search along the step is needed, and from anywhere the method arrives. Near the maximum the error is
//! squared by each step; the last one is below 2^-26.
//!
//! Ratings are determined up to a constant. Adding c to every entry of the curvature makes it definite and leaves steps
//! that sum to 0 as they are.

use super::battles::{Battles, Law};
use super::existence::Graph;
use super::likelihood::Likelihood;
use super::matrix::{factor, padded, solve};
use super::totals::Totals;
use crate::grid::{Pace, Progress, Stopped};
use crate::math::log1p_64;
use crate::memory::{self, NoMemory};
use crate::simd::{Isa, Kernel, dispatch};

/// The most steps. Far from the maximum a step is about one logit, and ratings may be hundreds of them apart.
const STEPS: usize = 2000;
/// A step whose R is below this one is the last.
const LAST: f64 = 1.0 / (1u64 << 26) as f64;
/// Why there are no ratings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFit {
    /// One group of models never scored against another.
    Apart,
    /// Ties are too many for Davidson's nu: no cycle has more wins than ties.
    TiesAlone,
    /// Ratings differ by more than [`FARTHEST`](super::FARTHEST) logits, or the arithmetic cannot tell them.
    Unsettled,
}

/// Ratings, and log nu.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// A rating for each model, in logits; their sum is 0.
    pub ratings: Vec<f64>,
    /// `log nu`; -infinity where ties have no probability.
    pub log_nu: f64,
    /// How many steps were made.
    pub steps: usize,
}

/// The ratings of a table of battles.
pub fn fit(battles: &Battles, law: Law, progress: Progress<'_>) -> Result<Result<Fit, NoFit>, Stopped> {
    let (totals, graph) = battles.totals(law)?;
    let mut work = Work::new(totals.models)?;
    if let Some(why) = work.refused(&totals, &graph)? {
        return Ok(Err(why));
    }
    work.start(&[], f64::NEG_INFINITY, totals.ties > 0.0);
    let mut pace = Pace::new(progress);
    loop {
        match dispatch(Step { work: &mut work, totals: &totals }) {
            Taken::On => pace.stride(1)?,
            Taken::Arrived => break,
            Taken::Lost => return Ok(Err(NoFit::Unsettled)),
        }
    }
    let ratings = memory::copied(&work.x[..totals.models])?;
    Ok(Ok(Fit { ratings, log_nu: work.log_nu, steps: work.steps }))
}

/// What a fit works with.
pub(super) struct Work {
    models: usize,
    stride: usize,
    /// Whether log nu is fitted.
    ties: bool,
    /// The ratings, in padded places.
    pub x: Vec<f64>,
    pub log_nu: f64,
    steps: usize,
    pub likelihood: Likelihood,
    seen: [Vec<u64>; 2],
}

/// Where a step has led to.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Taken {
    On,
    Arrived,
    Lost,
}

impl Work {
    pub fn new(models: usize) -> Result<Work, NoMemory> {
        let bits = || memory::filled(models.div_ceil(64), 0u64);
        Ok(Work {
            models,
            stride: padded(models),
            ties: false,
            x: memory::filled(padded(models), 0.0)?,
            log_nu: f64::NEG_INFINITY,
            steps: 0,
            likelihood: Likelihood::new(models)?,
            seen: [bits()?, bits()?],
        })
    }

    /// Why there is no maximum.
    pub fn refused(&mut self, totals: &Totals, graph: &Graph) -> Result<Option<NoFit>, NoMemory> {
        let [seen, todo] = &mut self.seen;
        if !graph.connected(seen, todo) {
            return Ok(Some(NoFit::Apart));
        }
        Ok(if totals.ties == 0.0 || graph.bounded()? { None } else { Some(NoFit::TiesAlone) })
    }

    /// Begins at some ratings (none: 0), and at `log nu` where ties have a probability.
    pub fn start(&mut self, ratings: &[f64], log_nu: f64, ties: bool) {
        self.x.fill(0.0);
        for (x, &rating) in self.x.iter_mut().zip(ratings) {
            *x = rating;
        }
        self.ties = ties;
        self.log_nu = match (ties, log_nu > f64::NEG_INFINITY) {
            (true, true) => log_nu,
            (true, false) => 0.0,
            (false, _) => f64::NEG_INFINITY,
        };
        self.steps = 0;
    }

    /// How many numbers are fitted.
    pub fn order(&self) -> usize {
        self.models + usize::from(self.ties)
    }

    /// Computes the curvature at the ratings and factors it; false where it is not definite.
    #[inline(always)]
    pub fn factored<I: Isa>(&mut self, totals: &Totals) -> bool {
        let log_nu = if self.ties { Some(self.log_nu) } else { None };
        let order = self.order();
        self.likelihood.at::<I>(&self.x, log_nu, totals)
            && factor(&mut self.likelihood.curvature, order, self.stride)
    }

    /// One step of Newton's method.
    #[inline(always)]
    fn step<I: Isa>(&mut self, totals: &Totals) -> Taken {
        self.steps += 1;
        if self.steps > STEPS || !self.factored::<I>(totals) {
            return Taken::Lost;
        }
        let (models, order) = (self.models, self.order());
        let step = &mut self.likelihood.gradient;
        solve(&self.likelihood.curvature, order, self.stride, step);
        let (mut low, mut high) = (step[0], step[0]);
        for &by in &step[1..models] {
            low = if by < low { by } else { low };
            high = if by > high { by } else { high };
        }
        let of_ties = if self.ties { step[models].abs() + (high - low) / 2.0 } else { 0.0 };
        let range = if of_ties > high - low { of_ties } else { high - low };
        let share = if range <= 1.0 { 1.0 } else { log1p_64::<I>(range) / range };
        if !share.is_finite() {
            return Taken::Lost;
        }
        for i in 0..models {
            self.x[i] += share * step[i];
        }
        if self.ties {
            self.log_nu += share * step[models];
        }
        if range < LAST { Taken::Arrived } else { Taken::On }
    }

    /// All steps; false where they do not arrive.
    #[inline(always)]
    pub fn climb<I: Isa>(&mut self, totals: &Totals) -> bool {
        loop {
            match self.step::<I>(totals) {
                Taken::On => {}
                taken => return taken == Taken::Arrived,
            }
        }
    }
}

struct Step<'a> {
    work: &'a mut Work,
    totals: &'a Totals,
}

impl Kernel for Step<'_> {
    type Out = Taken;
    #[inline(always)]
    fn run<I: Isa>(self) -> Taken {
        self.work.step::<I>(self.totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::log;

    fn fitted(table: &[f64], models: usize, davidson: bool, prior: f64) -> Result<Fit, NoFit> {
        let battles = Battles::of(table, models).unwrap();
        fit(&battles, Law { davidson, prior }, &mut |_| true).unwrap()
    }

    /// Two models: the odds of the wins, and Davidson's nu = ties / sqrt(wins losses).
    #[test]
    fn two_models_have_a_closed_form() {
        let table = [0.0, 60.0, 20.0, 0.0, 0.0, 30.0, 0.0, 0.0];
        let half = fitted(&table, 2, false, 0.0).unwrap();
        assert!((half.ratings[0] - half.ratings[1] - log(75.0 / 35.0)).abs() < 1e-14);
        assert_eq!(half.log_nu, f64::NEG_INFINITY);
        let own = fitted(&table, 2, true, 0.0).unwrap();
        assert!((own.ratings[0] - own.ratings[1] - log(3.0)).abs() < 1e-14);
        assert!((own.log_nu - log(30.0 / 1200f64.sqrt())).abs() < 1e-14);
        // Near 1e8 : 1 the gradient is right to about 1e-8.
        let far = fitted(&[0.0, 1e8, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 2, false, 0.0).unwrap();
        assert!((far.ratings[0] - far.ratings[1] - 8.0 * log(10.0)).abs() < 1e-6, "{far:?}");
        let odds = [0.0, 1e20, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(fitted(&odds, 2, false, 0.0), Err(NoFit::Unsettled));
    }

    #[test]
    fn what_has_no_maximum_is_refused() {
        let never = [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(fitted(&never, 2, false, 0.0), Err(NoFit::Apart));
        assert!(fitted(&never, 2, false, 1.0).is_ok());
        let won_or_tied = [0.0, 5.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0];
        assert!(fitted(&won_or_tied, 2, false, 0.0).is_ok());
        assert_eq!(fitted(&won_or_tied, 2, true, 0.0), Err(NoFit::TiesAlone));
        assert!(fitted(&won_or_tied, 2, true, 1.0).is_ok());
    }

    /// Along a chain every pair that met has its own odds.
    #[test]
    fn a_chain_adds_up() {
        let models = 40;
        let mut table = vec![0.0; 2 * models * models];
        for i in 1..models {
            (table[(i - 1) * models + i], table[i * models + i - 1]) = (1e6, 1.0);
        }
        let found = fitted(&table, models, false, 0.0).unwrap();
        for i in 1..models {
            assert!((found.ratings[i - 1] - found.ratings[i] - log(1e6)).abs() < 1e-6, "{i}");
        }
    }
}
