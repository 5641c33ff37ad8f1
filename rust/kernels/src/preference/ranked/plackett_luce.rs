//! The negative log-likelihood of an order in the model of Plackett and Luce: the sum over answers of
//! `-log s(beta (x - L))`, where L is `log(sum exp(beta y)) / beta` over the answers y below x.
//!
//! L is computed from the lowest answer upwards, one answer after another: `max + log(1 + exp(-|d|)) / beta`, which
//! cannot overflow. Each step gives the answer a share `s(d)` of what depends on L, so that the gradient needs no other
//! exponential. Of two answers, L is the other one, and this is DPO.
//!
//! Gradients are differences: what an answer wins by its own term, and loses by those above it. They are within a few ulp
//! of the larger of both, times the size of `beta x`.

use super::{Found, List};
use crate::preference::losses::logistic::Logistic;
use crate::simd::Isa;

#[derive(Clone, Copy)]
pub(super) struct Formula;

impl super::Formula for Formula {
    #[inline(always)]
    fn begin<I: Isa>(self, list: &mut List, beta: f64) -> Found {
        let mut found = Found::NONE;
        let n = list.scores.len();
        // The answers below the group, together; none of them at first.
        let mut below: Option<f64> = None;
        let mut start = 0;
        while start < n {
            let end = group_end(&list.labels, start);
            let mut all = below;
            for i in start..end {
                let x = list.scores[i];
                if let Some(below) = below {
                    let term = Logistic::at::<I>(beta * (x - below));
                    found.loss += term.softplus_of_minus_z;
                    list.first[i] = term.of_minus_z;
                    let extent = (beta * (x - below)).abs();
                    found.extent = if extent > found.extent { extent } else { found.extent };
                }
                // The share of this answer in all up to here, from which the higher ones take theirs.
                (list.second[i], list.gradients[i], all) = match all {
                    None => (1.0, 0.0, Some(x)),
                    Some(all) => {
                        let s = Logistic::at::<I>(beta * (x - all));
                        let higher = if x > all { x } else { all };
                        (s.of_z, s.of_minus_z, Some(higher + s.excess() / beta))
                    }
                };
            }
            below = all;
            start = end;
        }
        backwards(list);
        found
    }
}

/// The gradients, from the highest answer down. `above` is the derivative of the terms above by the answers that are
/// left, together.
#[inline(always)]
fn backwards(list: &mut List) {
    let mut above = 0.0;
    let mut end = list.scores.len();
    while end > 0 {
        let start = group_start(&list.labels, end);
        let mut own = 0.0;
        for i in (start..end).rev() {
            let (term, share, rest) = (list.first[i], list.second[i], list.gradients[i]);
            list.gradients[i] = above * share - term;
            above *= rest;
            own += term;
        }
        above += own;
        end = start;
    }
}

/// The end of the answers with the label of the one at `start`.
#[inline(always)]
fn group_end(labels: &[f64], start: usize) -> usize {
    let mut end = start + 1;
    while end < labels.len() && labels[end] == labels[start] {
        end += 1;
    }
    end
}

/// The start of the answers with the label of the one before `end`.
#[inline(always)]
fn group_start(labels: &[f64], end: usize) -> usize {
    let mut start = end - 1;
    while start > 0 && labels[start - 1] == labels[end - 1] {
        start -= 1;
    }
    start
}
