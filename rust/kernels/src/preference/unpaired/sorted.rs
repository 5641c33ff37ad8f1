//! The logistic loss of quantiles: `integral of -log s(beta (Q(u) - R(u))) du`, where Q and R are the quantile functions
//! of two samples. Of two samples of one size this is the mean over their sorted values, side by side (unpaired AOT).
//!
//! The two samples are walked along side by side. Where they have a and b values, each of the first stands for b units
//! and each of the second for a, of a b units in all; a cell is a pair of values that share some units. Since the loss is
//! convex in the difference, no other coupling of the samples has a smaller one. It is therefore also the sum of the means
//! of two potentials, one of each sample, whose differences along the walk are those of the loss (Kantorovich's duality).
//! The potentials say how much each value adds, from which the spread of the loss follows.

use crate::grid::{Pace, Progress, Stopped};
use crate::memory::{self, NoMemory};
use crate::preference::losses::logistic::Logistic;
use crate::simd::{Isa, Kernel, dispatch};
use crate::sorting::rows_by_value;

/// How many cells are walked between two looks at the clock.
const CELLS: usize = 1 << 12;

/// What is found for each value of one sample, in the order in which the values were given. Equal values share what
/// they have together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// The mean loss of the cells of the value.
    pub losses: Vec<f64>,
    /// The derivative of the sum of all losses of both samples.
    pub slopes: Vec<f64>,
    /// The potentials, which are determined up to a constant that one sample has more and the other less.
    pub potentials: Vec<f64>,
    /// The largest magnitude of `beta (x - y)` over the cells of the value.
    pub extents: Vec<f64>,
}

/// Both samples: of those whose quantiles should be higher, and of the others.
pub type Coupled = [Side; 2];

/// The loss of two samples of finite values, neither of them empty nor of more than 2^32 values.
pub fn sorted_losses(samples: [&[f64]; 2], beta: f64, progress: Progress<'_>) -> Result<Coupled, Stopped> {
    let mut pace = Pace::new(progress);
    let [x, y] = samples;
    let orders = [rows_by_value(x, &mut pace)?, rows_by_value(y, &mut pace)?];
    let mut found = [Side::of(x.len())?, Side::of(y.len())?];
    let values = [in_order(x, &orders[0])?, in_order(y, &orders[1])?];
    let mut place = Place::START;
    while place.at[0] < x.len() {
        dispatch(Walk { values: &values, beta, place: &mut place, found: &mut found });
        pace.stride(CELLS)?;
    }
    let mut rest = found.into_iter().zip(values).zip(&orders);
    let mut next = || -> Result<Side, Stopped> {
        let Some(((mut side, values), order)) = rest.next() else { return Ok(Side::default()) };
        dispatch(Shared { values: &values, side: &mut side });
        pace.stride(values.len())?;
        Ok(side.scattered(order)?)
    };
    Ok([next()?, next()?])
}

fn in_order(values: &[f64], order: &[u32]) -> Result<Vec<f64>, NoMemory> {
    memory::collected(order.iter().map(|&row| values[row as usize]))
}

impl Side {
    fn of(n: usize) -> Result<Side, NoMemory> {
        let column = || memory::filled(n, 0.0);
        Ok(Side { losses: column()?, slopes: column()?, potentials: column()?, extents: column()? })
    }

    fn columns(&mut self) -> [&mut Vec<f64>; 4] {
        [&mut self.losses, &mut self.slopes, &mut self.potentials, &mut self.extents]
    }

    /// From the order of the values to that in which they were given.
    fn scattered(mut self, order: &[u32]) -> Result<Side, NoMemory> {
        let mut side = Side::of(order.len())?;
        for (to, from) in side.columns().into_iter().zip(self.columns()) {
            for (&row, &value) in order.iter().zip(from.iter()) {
                to[row as usize] = value;
            }
        }
        Ok(side)
    }
}

/// Where a walk stands: the value of each sample, and what is known of the cell before.
struct Place {
    at: [usize; 2],
    /// The units that are walked.
    units: u64,
    /// Which sample went on to its next value; none at the start.
    moved: Option<usize>,
    loss: f64,
    potentials: [f64; 2],
}

impl Place {
    const START: Place = Place { at: [0, 0], units: 0, moved: None, loss: 0.0, potentials: [0.0; 2] };

    /// Takes the loss of the cell. One sample alone went on, so the loss has changed by as much as its potential.
    #[inline(always)]
    fn enter(&mut self, loss: f64) {
        match self.moved {
            None => self.potentials = [loss, 0.0],
            Some(side) => self.potentials[side] += loss - self.loss,
        }
        self.loss = loss;
    }
}

/// Some cells of a walk.
struct Walk<'a> {
    values: &'a [Vec<f64>; 2],
    beta: f64,
    place: &'a mut Place,
    found: &'a mut Coupled,
}

impl Kernel for Walk<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Walk { values: [x, y], beta, place, found: [chosen, rejected] } = self;
        let (a, b) = (x.len() as u64, y.len() as u64);
        // The derivative of the sum of both samples' losses, which is a + b times that of their mean.
        let (per_x, per_y) = ((a + b) as f64 / a as f64, (a + b) as f64 / b as f64);
        for _ in 0..CELLS {
            let [i, j] = place.at;
            if i >= x.len() {
                return;
            }
            let z = beta * (x[i] - y[j]);
            let s = Logistic::at::<I>(z);
            let (loss, slope) = (s.softplus_of_minus_z, -beta * s.of_minus_z);
            place.enter(loss);
            let (x_ends, y_ends) = ((i as u64 + 1) * b, (j as u64 + 1) * a);
            let ends = if x_ends < y_ends { x_ends } else { y_ends };
            let units = (ends - place.units) as f64;
            chosen.add(i, units / b as f64, [loss, slope * per_x, place.potentials[0], z.abs()]);
            rejected.add(j, units / a as f64, [loss, -slope * per_y, place.potentials[1], z.abs()]);
            place.units = ends;
            // Where both values end together, the next cell has no units: it is there for the potentials alone.
            let side = usize::from(x_ends > y_ends);
            place.at[side] += 1;
            place.moved = Some(side);
        }
    }
}

impl Side {
    /// Adds a cell that is `share` of its value's.
    #[inline(always)]
    fn add(&mut self, place: usize, share: f64, [loss, slope, potential, extent]: [f64; 4]) {
        self.losses[place] += share * loss;
        self.slopes[place] += share * slope;
        self.potentials[place] = potential;
        if share > 0.0 && extent > self.extents[place] {
            self.extents[place] = extent;
        }
    }
}

/// Equal values have no order: each gets the mean of what they have together.
struct Shared<'a> {
    values: &'a [f64],
    side: &'a mut Side,
}

impl Kernel for Shared<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let mut start = 0;
        while start < self.values.len() {
            let mut end = start + 1;
            while end < self.values.len() && self.values[end] == self.values[start] {
                end += 1;
            }
            if end - start > 1 {
                for column in [&mut self.side.losses, &mut self.side.slopes] {
                    share(&mut column[start..end]);
                }
            }
            start = end;
        }
    }
}

#[inline(always)]
fn share(alike: &mut [f64]) {
    let mut sum = 0.0;
    for &value in alike.iter() {
        sum += value;
    }
    alike.fill(sum / alike.len() as f64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math;

    fn of(x: &[f64], y: &[f64]) -> Coupled {
        sorted_losses([x, y], 1.0, &mut |_| true).unwrap()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn samples_of_one_size_are_compared_in_their_order() {
        let [chosen, rejected] = of(&[3.0, -1.0], &[0.5, 2.0]);
        let loss = |z: f64| math::log1p(math::exp(-z));
        for (got, want) in chosen.losses.iter().zip([loss(1.0), loss(-1.5)]) {
            assert!((got - want).abs() < 1e-15);
        }
        assert_eq!(rejected.losses, [chosen.losses[1], chosen.losses[0]]);
        assert_eq!(chosen.extents, [1.0, 1.5]);
    }

    #[test]
    fn the_potentials_add_up_to_the_loss_and_copies_of_a_sample_change_nothing() {
        let (x, y) = ([0.3, -1.0, 2.5, 0.7, 0.7], [1.0, -2.0, 0.1]);
        let [chosen, rejected] = of(&x, &y);
        let loss = mean(&chosen.losses);
        assert!((mean(&rejected.losses) - loss).abs() < 1e-15);
        assert!((mean(&chosen.potentials) + mean(&rejected.potentials) - loss).abs() < 1e-15);
        let twice: Vec<f64> = x.iter().chain(&x).copied().collect();
        assert!((mean(&of(&twice, &y)[0].losses) - loss).abs() < 1e-15);
    }
}
