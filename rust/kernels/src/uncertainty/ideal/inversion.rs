//! The distribution function of a sum from its characteristic function Phi, by the midpoint rule.
//!
//! `F(s) = 1/2 - sum over k of Im (Phi(t_k) exp(-i t_k s))/(pi (k + 1/2))`, `t_k = (k + 1/2) 2 pi/P`, is `P(X < s) +
//! P(X = s)/2` except for the probability that lies a whole period P away (J. Gil-Pelaez, "Note on the inversion theorem",
//! Biometrika 38, 1951; J. Abate and W. Whitt, "The Fourier-series method for inverting transforms of probability
//! distributions", Queueing Systems 10, 1992). On a lattice of M points in a period, `M sin(pi (k + 1/2)/M)` takes the
//! place of `pi (k + 1/2)`, and the sum over `k < M/2` is complete.

use super::march::{March, Search};
use super::nodes::{Complex, Sums, Transform, values};
use super::sum::larger;
use crate::grid::{Pace, Progress, Stopped};
use crate::math::{cos_sin_turns, log};
use crate::memory;
use crate::simd::{Isa, Kernel, dispatch};
use std::f64::consts::PI;

/// Nodes are added until the rest is estimated to be this.
const TARGET: f64 = 1e-14;
/// The same where `|Phi|` has noise that more nodes hardly reduce.
const NOISY_TARGET: f64 = 1e-9;
/// How many evaluations of single values the nodes may cost.
const BUDGET: usize = 20_000_000;
/// The most nodes.
const MOST: usize = 1 << 15;
/// All nodes of a lattice are taken where they cost no more evaluations than this.
const ALL: usize = 1 << 20;
/// Smaller weights are dropped.
const WEIGHT: f64 = 1e-18;

/// What the inversion needs to know about a sum apart from its characteristic function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The number of lattice points in a period, a power of two.
    pub points: Option<f64>,
    /// The root mean square of `|Phi|` at frequencies where all phases are independent: what few draws of values without
    /// a common step leave everywhere.
    pub noise: f64,
    /// The period in standard deviations of the sum.
    pub deviations: f64,
}

/// A distribution function.
#[derive(Clone, Debug, PartialEq)]
pub struct Inverse {
    nodes: Vec<f64>,
    weights: Vec<Complex>,
    /// The approximate error, except for aliasing.
    pub error: f64,
    /// The part of it that is due to atoms: F has steps that are not resolved.
    pub atoms: f64,
}

impl Inverse {
    /// F, and its density for each 1 in `shift`, at `shift` periods from the centre.
    pub fn at(&self, shift: f64) -> (f64, f64) {
        let (below, density) = dispatch(Sums { nodes: &self.nodes, weights: &self.weights, shift });
        (0.5 - below, 2.0 * PI * density)
    }

    /// The sum over the nodes of `bound(node)` times the weight.
    pub fn bounded(&self, bound: impl Fn(f64) -> f64) -> f64 {
        self.nodes.iter().zip(&self.weights).map(|(&node, &weight)| bound(node) * length(weight)).sum()
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
}

fn length((real, imaginary): Complex) -> f64 {
    (real * real + imaginary * imaginary).sqrt()
}

/// The factor of Phi at a node.
struct Weight {
    node: f64,
    points: Option<f64>,
}

impl Kernel for Weight {
    type Out = f64;
    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        match self.points {
            None => 1.0 / (PI * self.node),
            Some(points) => 1.0 / (points * cos_sin_turns::<I>(self.node, 0.5 / points).1),
        }
    }
}

/// Inverts the characteristic function; `march` looks for stretches that come after a gap.
pub fn invert<T: Transform>(
    transform: &T,
    shape: Shape,
    march: &mut March<'_>,
    progress: Progress<'_>,
) -> Result<Inverse, Stopped> {
    let Shape { points, noise, deviations } = shape;
    let band = points.map_or(usize::MAX, |points| (0.5 * points) as usize);
    let cost = transform.cost().max(1);
    let most = (BUDGET / cost).clamp(64, MOST);
    let noisy = noise > TARGET;
    let target = if noisy { NOISY_TARGET } else { TARGET };
    let (mut to, mut reached) = march.reach(noise, target);
    if noisy {
        march.above(noise);
    }
    let mut taken =
        Taken { points, nodes: Vec::new(), weights: Vec::new(), squares: Vec::new(), rounding: 4.0 };
    let all = band <= ALL / cost;
    let (mut first, mut block) = (0, if all { band } else { 16.min(band) });
    let mut missed = 0.0;
    let rest = loop {
        let phi = values(transform, first, block, &mut *progress)?;
        taken.add(first, &phi)?;
        first += block;
        if first >= band {
            reached = true;
            break 0.0;
        }
        let size = if noisy { taken.recent() } else { largest(&phi[phi.len().saturating_sub(16)..]) };
        let rest = larger(size, noise) / (PI * (2.0 * first as f64).sqrt());
        if rest <= target {
            if !noisy && 2.0 * first as f64 > to {
                to = 2.0 * first as f64;
            }
            let end = if points.is_some() { band as f64 } else { to };
            match march.next(first as f64, end, &mut Pace::new(&mut *progress))? {
                Search::Clean => {
                    reached |= points.is_some();
                    missed = march.missed(16.0, end);
                    to = end;
                    break rest;
                }
                Search::Spent(node) => {
                    reached = reached && node >= to;
                    to = node;
                    break rest;
                }
                Search::Live(node) => {
                    first = first.max(node as usize);
                    block = 16.min(band - first);
                    if !used_up(&taken, most) {
                        continue;
                    }
                }
            }
        }
        if used_up(&taken, most) {
            reached = reached && noisy && size <= 10.0 * noise && first as f64 >= to;
            to = first as f64;
            break rest;
        }
        block = (taken.squares.len() / 4).clamp(16, 1 << 16).min(band - first);
    };
    let atoms = if first >= band { 0.0 } else { noise / (PI * (2.0 * first as f64).sqrt()) };
    // Where the search did not get to its end, steps of F that are closer together than that frequency shows may be
    // missing; half of one is the error.
    let unresolved = if reached { 0.0 } else { 0.4 * deviations / to };
    let truncation = if rest > atoms { rest - atoms } else { 0.0 };
    let error = atoms + truncation + missed + unresolved + 0.5 * f64::EPSILON * taken.rounding;
    Ok(Inverse { nodes: taken.nodes, weights: taken.weights, error, atoms })
}

fn used_up(taken: &Taken, most: usize) -> bool {
    taken.squares.len() >= most
}

fn largest(phi: &[Complex]) -> f64 {
    phi.iter().fold(0.0, |top, &phi| larger(top, length(phi)))
}

/// The nodes so far.
struct Taken {
    points: Option<f64>,
    nodes: Vec<f64>,
    weights: Vec<Complex>,
    /// `|Phi|^2` at all nodes, those of negligible weight too.
    squares: Vec<f64>,
    rounding: f64,
}

impl Taken {
    fn add(&mut self, first: usize, phi: &[Complex]) -> Result<(), Stopped> {
        memory::reserve(&mut self.squares, phi.len())?;
        memory::reserve(&mut self.nodes, phi.len())?;
        memory::reserve(&mut self.weights, phi.len())?;
        for (k, &(real, imaginary)) in phi.iter().enumerate() {
            let node = (first + k) as f64 + 0.5;
            let size = length((real, imaginary));
            self.squares.push(size * size);
            if size == 0.0 {
                continue;
            }
            let weight = dispatch(Weight { node, points: self.points });
            if size * weight > WEIGHT {
                self.nodes.push(node);
                self.weights.push((real * weight, imaginary * weight));
                self.rounding += size * weight * (4.0 - 2.0 * log(size));
            }
        }
        Ok(())
    }

    /// The root mean square of `|Phi|` over the later half of the nodes; 1 while they are few.
    fn recent(&self) -> f64 {
        let n = self.squares.len();
        if n < 64 {
            return 1.0;
        }
        let late = &self.squares[n / 2..];
        (late.iter().sum::<f64>() / late.len() as f64).sqrt()
    }
}
