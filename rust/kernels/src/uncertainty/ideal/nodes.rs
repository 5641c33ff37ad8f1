//! The characteristic function of a sum of independent draws at the nodes of an inversion.

use crate::grid::{self, Progress, Stopped};
use crate::math::{angle, cos_sin_turns, exp64, log1p_64};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch, padded, tree64};
use std::f64::consts::TAU;

/// Lanes of the sums.
pub const LANES: usize = 16;

/// A complex number.
pub type Complex = (f64, f64);

/// The characteristic function Phi of a centred sum, at `node` turns of the period.
pub trait Transform: Sync {
    /// The logarithm of Phi: of its absolute value, and its phase.
    fn log<I: Isa>(&self, node: f64) -> Complex;

    /// How many summands are evaluated at each node.
    fn cost(&self) -> usize;
}

/// `draws` independent draws of one of several values.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The centred values divided by the period.
    pub turns: Vec<f64>,
    /// Their probabilities.
    pub shares: Vec<f64>,
    /// The number of draws.
    pub draws: f64,
}

/// The sum of the draws of several columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns(pub Vec<Column>);

impl Transform for Columns {
    #[inline(always)]
    fn log<I: Isa>(&self, node: f64) -> Complex {
        let mut sum = (0.0, 0.0);
        for column in &self.0 {
            let (size, phase) = log_of::<I>(deviation::<I>(column, node), column.draws);
            sum = (sum.0 + size, sum.1 + phase);
        }
        sum
    }

    fn cost(&self) -> usize {
        self.0.iter().map(|column| column.turns.len()).sum()
    }
}

/// `phi - 1` of one draw, as `(-2 sum p sin^2(a/2), sum p sin(a))`, which keeps its digits where phi is near 1.
#[inline(always)]
fn deviation<I: Isa>(column: &Column, node: f64) -> Complex {
    let (mut real, mut imaginary) = ([0.0; LANES], [0.0; LANES]);
    let half = 0.5 * node;
    for (turns, shares) in column.turns.chunks(LANES).zip(column.shares.chunks(LANES)) {
        let (turns, shares) = (padded::<f64, LANES>(turns, 0.0), padded::<f64, LANES>(shares, 0.0));
        for l in 0..LANES {
            let (c, s) = cos_sin_turns::<I>(half, turns[l]);
            let weighted = 2.0 * shares[l] * s;
            real[l] -= weighted * s;
            imaginary[l] += weighted * c;
        }
    }
    (tree64(real), tree64(imaginary))
}

/// The logarithm of `phi^draws`, from `phi - 1`.
#[inline(always)]
pub fn log_of<I: Isa>((real, imaginary): Complex, draws: f64) -> Complex {
    let square = real * (2.0 + real) + imaginary * imaginary;
    let square = if square > NEARLY_ALL { square } else { NEARLY_ALL };
    (0.5 * draws * log1p_64::<I>(square), draws * angle(imaginary, 1.0 + real))
}

const NEARLY_ALL: f64 = -1.0 + f64::EPSILON;

/// Below exp(-50), Phi counts as 0.
const NOTHING: f64 = -50.0;

struct Nodes<'a, T> {
    transform: &'a T,
    first: usize,
    values: &'a mut [Complex],
}

impl<T: Transform> Kernel for Nodes<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (k, value) in self.values.iter_mut().enumerate() {
            let (size, phase) = self.transform.log::<I>((self.first + k) as f64 + 0.5);
            *value = (0.0, 0.0);
            if size > NOTHING {
                let (c, s) = cos_sin_turns::<I>(phase, 1.0 / TAU);
                let size = exp64::<I>(size);
                *value = (size * c, size * s);
            }
        }
    }
}

/// Phi at the nodes `first + 1/2`, `first + 3/2`, and so on.
pub fn values<T: Transform>(
    transform: &T,
    first: usize,
    count: usize,
    progress: Progress<'_>,
) -> Result<Vec<Complex>, Stopped> {
    let mut values = memory::filled(count, (0.0, 0.0))?;
    // About a millisecond of work, and at most 64 nodes, in a chunk.
    let size = ((1 << 18) / transform.cost().max(1)).clamp(1, 64);
    let bytes = count.saturating_mul(16 * transform.cost());
    let parts = memory::collected(values.chunks_mut(size))?;
    grid::fill_chunks(parts, bytes, progress, |index, values| {
        dispatch(Nodes { transform, first: first + index * size, values });
    })?;
    Ok(values)
}

/// `sum of Re or Im (w_k exp(-i a_k))` over nodes, with angles of `node_k shift` turns: the imaginary part of that sum
/// with the weights `w` and the real part with the weights `w node`.
pub struct Sums<'a> {
    /// The nodes.
    pub nodes: &'a [f64],
    /// The weights.
    pub weights: &'a [Complex],
    /// The turns of the angle for each 1 of a node.
    pub shift: f64,
}

impl Kernel for Sums<'_> {
    type Out = (f64, f64);
    #[inline(always)]
    fn run<I: Isa>(self) -> (f64, f64) {
        let (mut below, mut density) = ([0.0; LANES], [0.0; LANES]);
        for (nodes, weights) in self.nodes.chunks(LANES).zip(self.weights.chunks(LANES)) {
            let (nodes, weights) =
                (padded::<f64, LANES>(nodes, 0.0), padded::<Complex, LANES>(weights, (0.0, 0.0)));
            for l in 0..LANES {
                let (c, s) = cos_sin_turns::<I>(nodes[l], self.shift);
                below[l] += weights[l].1 * c - weights[l].0 * s;
                density[l] += nodes[l] * (weights[l].0 * c + weights[l].1 * s);
            }
        }
        (tree64(below), tree64(density))
    }
}
