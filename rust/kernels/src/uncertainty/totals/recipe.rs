//! Which products of its parts a statistic is added up of, and how its sums follow from those of the products.

use super::super::smooth::{Centre, Factor, Frame, Shape, Sums};
use crate::exact::{Packed, Sum};
use crate::intervals::cluster::near_one;
use crate::math::double::product;
use crate::simd::scalar;
use std::collections::BTreeSet;

/// The power of each part in a product.
pub type Powers = Vec<u8>;

/// The products whose sums a state keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    shape: Shape,
    /// The products in the order of their sums; the first is 1, whose sum is the number of rows.
    products: Vec<Powers>,
    /// Whether the last part of a row is its weight.
    weighted: bool,
}

/// A number as an unevaluated sum of two, and a small whole number that multiplies it.
#[derive(Clone, Copy)]
struct Coefficient {
    parts: [f64; 2],
    times: u32,
}

const ONE: Coefficient = Coefficient { parts: [1.0, 0.0], times: 1 };

impl Coefficient {
    fn by(self, x: f64) -> Coefficient {
        Coefficient { parts: multiplied(self.parts, x), ..self }
    }
}

/// A number in two parts times another, to about 2^-104 of it.
pub(super) fn multiplied([high, low]: [f64; 2], x: f64) -> [f64; 2] {
    let (leading, rest) = product(high, x);
    let rest = rest + low * x;
    let sum = leading + rest;
    [sum, (leading - sum) + rest]
}

impl Recipe {
    /// The products that the terms of a statistic are made of.
    pub fn of(statistic: &dyn Sums) -> Recipe {
        let shape = statistic.shape();
        let all = shape.terms.iter().flat_map(|term| expanded(term, shape.parts, None));
        Recipe { products: ordered(all, shape.parts), shape: shape.clone(), weighted: false }
    }

    /// The products that the terms of weighted rows are made of: the weight is one part more, a factor of every product
    /// but the first, and the second product alone.
    pub fn weighted(statistic: &dyn Sums) -> Recipe {
        let mut shape = statistic.shape();
        let part = shape.parts;
        shape.parts += 1;
        let weight = Factor { part, power: 1, centre: Centre::Nowhere, other: part };
        for term in &mut shape.terms {
            term.push(weight);
        }
        let alone = [weight];
        let terms = shape.terms.iter().map(|term| &term[..]).chain([&alone[..]]);
        let all = terms.flat_map(|term| expanded(term, shape.parts, None));
        Recipe { products: ordered(all, shape.parts), shape: shape.clone(), weighted: true }
    }

    /// The products that the terms are made of, and those of any two of them.
    pub fn of_pairs(statistic: &dyn Sums) -> Recipe {
        let shape = statistic.shape();
        let mut all: Vec<(Powers, Coefficient)> = Vec::new();
        for (k, first) in shape.terms.iter().enumerate() {
            all.extend(expanded(first, shape.parts, None));
            for second in &shape.terms[k..] {
                all.extend(expanded(&[&first[..], &second[..]].concat(), shape.parts, None));
            }
        }
        Recipe { products: ordered(all.into_iter(), shape.parts), shape, weighted: false }
    }

    /// The products, in the order of their sums.
    pub fn products(&self) -> &[Powers] {
        &self.products
    }

    /// The number of parts of a row.
    pub fn parts(&self) -> usize {
        self.shape.parts
    }

    /// The part that is the weight of a row, if rows have weights.
    pub fn weight(&self) -> Option<usize> {
        self.weighted.then(|| self.shape.parts - 1)
    }

    /// The terms about their centres.
    pub fn moves(&self, frames: &[Frame]) -> Moves {
        let of = |term: &Vec<Factor>| Move {
            addends: self.addends(term, frames, [1.0, 0.0]).collect(),
            scale: scalar(|| scale_of(term, frames)),
        };
        Moves(self.shape.terms.iter().map(of).collect())
    }

    /// The sums of the terms about their centres, each rounded once, from those of the products.
    pub fn moved(&self, frames: &[Frame], sums: &[Packed]) -> Vec<f64> {
        self.moves(frames).moved(sums)
    }

    /// The sum of the squares of each term about its centre, for a recipe of pairs.
    pub fn squares(&self, frames: &[Frame], sums: &[Packed]) -> Vec<f64> {
        let twice = |term: &Vec<Factor>| self.sum_of(&[&term[..], &term[..]].concat(), frames, sums);
        self.shape.terms.iter().map(twice).collect()
    }

    /// The sum of the squares of `sum_k by[k] term_k - mean` over all rows, for a recipe of pairs; `None` where rounding
    /// of the products may have moved it by more than about a millionth. It is 0 where that is so only because it is
    /// nothing beside its parts about the centres, as where all rows have the same influence.
    pub fn squared(&self, frames: &[Frame], sums: &[Packed], by: &[f64], mean: f64) -> Option<f64> {
        let (mut found, mut parts) = (Cancelling::default(), 0.0);
        // By a power of two of which the largest is near 1, so that no coefficient is too small for f64.
        let near = scalar(|| {
            let largest =
                by.iter().fold(mean.abs(), |most, by| if by.abs() > most { by.abs() } else { most });
            if largest > 0.0 { near_one(largest) } else { 1.0 }
        });
        let by: Vec<f64> = scalar(|| by.iter().map(|by| by * near).collect());
        let mean = scalar(|| mean * near);
        for (j, first) in self.shape.terms.iter().enumerate() {
            for (k, second) in self.shape.terms.iter().enumerate() {
                let term = [&first[..], &second[..]].concat();
                let factor = scalar(|| {
                    let scale = scale_of(&term, frames);
                    multiplied(multiplied([by[j], 0.0], by[k]), scale)
                });
                self.add(&mut found, &term, frames, sums, factor);
                let own = self.about(&term, frames, sums).sum.value();
                parts = scalar(|| parts + (own * factor[0]).abs());
            }
            if mean != 0.0 {
                let factor = scalar(|| {
                    let [high, low] = multiplied(multiplied([by[j], 0.0], mean), scale_of(first, frames));
                    [-2.0 * high, -2.0 * low]
                });
                self.add(&mut found, first, frames, sums, factor);
            }
        }
        if mean != 0.0 {
            let factor = scalar(|| multiplied([mean, 0.0], mean));
            self.add(&mut found, &[], frames, sums, factor);
        }
        let size = found.size.clone().value();
        match found.clear() {
            None if scalar(|| size <= SMALL * parts) => Some(0.0),
            sum => sum.map(|sum| scalar(|| sum / near / near)),
        }
    }

    /// The largest number of factors of a product, apart from the weight.
    pub fn degree(&self) -> u32 {
        let own = self.weight().unwrap_or(self.shape.parts);
        let of = |powers: &Powers| powers[..own].iter().map(|&power| u32::from(power)).sum();
        self.products.iter().map(of).max().unwrap_or(0)
    }

    /// Whether rounding of the products may have moved a sum about centres by more than about a millionth: their powers
    /// are then too large beside those of the distances.
    pub fn blurred(&self, frames: &[Frame], sums: &[Packed]) -> bool {
        let told = |factor: &Factor| factor.centre != Centre::Nowhere;
        self.shape.terms.iter().any(|term| {
            // Such a sum is one of numbers of at least 0; others may be small because their numbers have both signs.
            let even = term.iter().all(|factor| factor.power % 2 == 0 || Some(factor.part) == self.weight());
            even && term.iter().any(told) && self.about(term, frames, sums).clear().is_none()
        })
    }

    fn sum_of(&self, term: &[Factor], frames: &[Frame], sums: &[Packed]) -> f64 {
        let unscaled = self.about(term, frames, sums).sum.value();
        scalar(|| unscaled * scale_of(term, frames))
    }

    /// A term about its centres, but for its scale.
    fn about(&self, term: &[Factor], frames: &[Frame], sums: &[Packed]) -> Cancelling {
        let mut found = Cancelling::default();
        self.add(&mut found, term, frames, sums, [1.0, 0.0]);
        found
    }

    /// Adds `factor` times a term about its centres, but for its scale.
    fn add(
        &self,
        found: &mut Cancelling,
        term: &[Factor],
        frames: &[Frame],
        sums: &[Packed],
        factor: [f64; 2],
    ) {
        self.addends(term, frames, factor).for_each(|addend| found.add(&sums[addend.place], &addend));
    }

    /// The multiples of sums of products that add up to `factor` times a term about its centres, without its scale.
    fn addends(
        &self,
        term: &[Factor],
        frames: &[Frame],
        [high, low]: [f64; 2],
    ) -> impl Iterator<Item = Addend> {
        let all = expanded(term, self.shape.parts, Some(frames)).into_iter();
        all.filter_map(move |(powers, Coefficient { parts, times })| {
            let place = self.products.binary_search(&powers).ok()?;
            let coefficient = scalar(|| {
                let [a, b] = multiplied(parts, high);
                [a, b + parts[0] * low]
            });
            Some(Addend { place, coefficient, times })
        })
    }
}

/// A multiple of the sum of a product.
struct Addend {
    place: usize,
    coefficient: [f64; 2],
    times: u32,
}

/// A term about its centres, from the sums of the products.
struct Move {
    addends: Vec<Addend>,
    scale: f64,
}

/// The terms of a recipe about their centres.
pub struct Moves(Vec<Move>);

impl Moves {
    /// The sums of the terms, each rounded once, from those of the products.
    pub fn moved(&self, sums: &[Packed]) -> Vec<f64> {
        let of = |term: &Move| {
            let mut sum = Sum::new();
            term.addends.iter().for_each(|addend| addend.add_to(&mut sum, &sums[addend.place]));
            let unscaled = sum.value();
            scalar(|| unscaled * term.scale)
        };
        self.0.iter().map(of).collect()
    }

    /// As [`Moves::moved`] where a column holds one value alone: a sum that is no more than what rounding of the products
    /// may have left of it is 0.
    pub fn moved_still(&self, sums: &[Packed]) -> Vec<f64> {
        let of = |term: &Move| {
            let mut found = Cancelling::default();
            term.addends.iter().for_each(|addend| found.add(&sums[addend.place], addend));
            found.clear().map_or(0.0, |unscaled| scalar(|| unscaled * term.scale))
        };
        self.0.iter().map(of).collect()
    }
}

impl Addend {
    fn add_to(&self, all: &mut Sum, sum: &Packed) {
        for part in self.coefficient {
            if part != 0.0 {
                all.add_multiple(sum, part, self.times);
            }
        }
    }
}

/// A sum of products that may cancel, with the sum of their magnitudes.
#[derive(Default)]
struct Cancelling {
    sum: Sum,
    size: Sum,
}

/// Products and coefficients are known to about 2^-102; what is less than this share of what cancelled is not known to a
/// millionth any more.
const CLEAR: f64 = 1.0 / (1u128 << 80) as f64;

/// What cancelled is not much larger than the parts about the centres where it is at most this times them: what is less
/// than [`CLEAR`] of it is less than 2^-64 of them, and influences that differ so little are the same.
const SMALL: f64 = 65_536.0;

impl Cancelling {
    fn add(&mut self, sum: &Packed, addend: &Addend) {
        addend.add_to(&mut self.sum, sum);
        self.size.add_multiple(&sum.magnitude(), addend.coefficient[0].abs(), addend.times);
    }

    /// The sum where its digits are known; a sum that is 0 is exact.
    fn clear(self) -> Option<f64> {
        let (sum, size) = (self.sum.value(), self.size.value());
        (sum == 0.0 || scalar(|| sum.abs() >= CLEAR * size)).then_some(sum)
    }
}

/// The power of two that a term is multiplied by.
fn scale_of(term: &[Factor], frames: &[Frame]) -> f64 {
    let mut scale = 1.0;
    for factor in term {
        for _ in 0..factor.power {
            scale *= frames[factor.part].scale;
        }
    }
    scale
}

/// The products in ascending order, 1 first.
fn ordered(all: impl Iterator<Item = (Powers, Coefficient)>, parts: usize) -> Vec<Powers> {
    let mut products: BTreeSet<Powers> = all.map(|(powers, _)| powers).collect();
    products.insert(vec![0; parts]);
    products.into_iter().collect()
}

/// A product of powers about centres as a sum of products of powers; without frames, with coefficients that mean nothing.
fn expanded(term: &[Factor], parts: usize, frames: Option<&[Frame]>) -> Vec<(Powers, Coefficient)> {
    let mut sum = vec![(vec![0; parts], ONE)];
    for factor in term {
        let centre = frames.map_or(0.0, |frames| -frames[factor.part].centre);
        let most = if factor.centre == Centre::Nowhere { 0 } else { factor.power };
        let mut next = Vec::new();
        for (powers, coefficient) in sum {
            let (mut by_centre, mut choices) = (coefficient, 1u32);
            for dropped in 0..=most {
                if dropped > 0 {
                    by_centre = scalar(|| by_centre.by(centre));
                    choices = choices * u32::from(factor.power + 1 - dropped) / u32::from(dropped);
                }
                let mut powers: Powers = powers.clone();
                powers[factor.part] += factor.power - dropped;
                if factor.centre == Centre::Other {
                    powers[factor.other] += dropped;
                }
                next.push((powers, Coefficient { times: by_centre.times * choices, ..by_centre }));
            }
        }
        sum = next;
    }
    sum
}
