//! The loss of LiPO-lambda: over all pairs of answers x and y, of which x has the higher label, the sum of
//! `|2^label(x) - 2^label(y)| |discount(x) - discount(y)| (-log s(beta (x - y)))`.
//!
//! The discount `1 / log2(1 + rank)` is that of the rank that the scores give; the weights are constants, whose derivative
//! is taken as 0. Equal scores are ranked by their labels, the higher first: at policy = reference, where all scores are
//! equal, the ranks are those of the labels. Answers that are equal in both share the mean of their discounts.
//!
//! Gradients are sums of terms of both signs, within a few ulp of the sum of their magnitudes.

use super::{Found, List, by_two};
use crate::math::exp64;
use crate::preference::losses::logistic::Logistic;
use crate::simd::Isa;
use std::f64::consts::LN_2;
use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Formula<'a> {
    /// The discount of each rank.
    pub(super) discounts: &'a [f64],
}

impl super::Formula for Formula<'_> {
    #[inline(always)]
    fn begin<I: Isa>(self, list: &mut List, _: f64) -> Found {
        for i in 0..list.labels.len() {
            list.first[i] = power_of_two::<I>(list.labels[i]);
        }
        self.rank(list);
        Found::NONE
    }

    #[inline(always)]
    fn compare<I: Isa>(self, list: &mut List, highs: Range<usize>, beta: f64, found: &mut Found) {
        for high in highs {
            for low in 0..high {
                if list.labels[low] >= list.labels[high] {
                    continue;
                }
                let weight =
                    (list.first[high] - list.first[low]) * (list.second[high] - list.second[low]).abs();
                let z = beta * (list.scores[high] - list.scores[low]);
                let s = Logistic::at::<I>(z);
                found.loss += weight * s.softplus_of_minus_z;
                list.gradients[high] -= weight * s.of_minus_z;
                list.gradients[low] += weight * s.of_minus_z;
                found.extent = if z.abs() > found.extent { z.abs() } else { found.extent };
            }
        }
    }
}

impl Formula<'_> {
    /// Finds the discount of each answer.
    #[inline(always)]
    fn rank(self, list: &mut List) {
        let List { scores, labels, places, second, .. } = list;
        places.clear();
        places.extend(0..scores.len() as u32);
        // The highest score first, and of equal ones the highest label.
        places.sort_unstable_by(|&a, &b| {
            let of = |place: u32| (scores[place as usize], labels[place as usize], place);
            by_two(of(b), of(a))
        });
        let mut start = 0;
        while start < places.len() {
            let first = places[start] as usize;
            let (mut end, mut sum) = (start, 0.0);
            while end < places.len() {
                let place = places[end] as usize;
                if scores[place] != scores[first] || labels[place] != labels[first] {
                    break;
                }
                sum += self.discounts[end];
                end += 1;
            }
            for &place in &places[start..end] {
                second[place as usize] = sum / (end - start) as f64;
            }
            start = end;
        }
    }
}

/// `2^x` for `x` up to 1023, exact where x is whole; 0 below -1022.
#[inline(always)]
fn power_of_two<I: Isa>(x: f64) -> f64 {
    if x < -1022.0 {
        return 0.0;
    }
    let whole = x as i64;
    let whole = if whole as f64 > x { whole - 1 } else { whole };
    let scale = f64::from_bits(((whole + 1023) as u64) << 52);
    scale * exp64::<I>((x - whole as f64) * LN_2)
}
