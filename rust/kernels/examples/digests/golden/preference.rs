//! Preference losses.

use super::inputs::{Digest, Draw, given, tame, unit, words};
use super::{Entry, Run, heavy};
use steelyard_kernels::named::Named;
use steelyard_kernels::preference::ranked::{Answers, Columns, Ranked, ranked_losses};
use steelyard_kernels::preference::unpaired::{Unpaired, exact_mean, sorted_losses, terms};
use steelyard_kernels::preference::{
    Constants, Divergence, Loss, Pairs, Scored, Smoothing, Term, of_equal_rank, preference_loss,
    preference_sweep,
};
use steelyard_kernels::simd::{Bf16, F16, standard};

pub const TABLE: &[Entry] = &[
    heavy("preference.preference_loss", "float32", losses::<f32>),
    heavy("preference.preference_loss", "float64", losses::<f64>),
    heavy("preference.preference_loss", "bfloat16", losses::<Bf16>),
    heavy("preference.preference_loss", "float16", losses::<F16>),
    heavy("preference.preference_loss_in_float32", "float32", singles::<f32>),
    heavy("preference.preference_loss_in_float32", "bfloat16", singles::<Bf16>),
    heavy("preference.mixtures", "float64", mixtures),
    heavy("preference.preference_sweep", "float32", sweeps),
    heavy("preference.of_equal_rank", "float64", ranks),
    heavy("preference.unpaired_loss", "float64", unpaired),
    heavy("preference.ranked_loss", "float64", ranked),
];

const TENTH: Smoothing = Smoothing { rate: 0.1, crossing: 2.197_224_577_336_219_6, crossing_rest: -1e-16 };
const FIFTH: Smoothing = Smoothing { rate: 0.2, crossing: 1.386_294_361_119_890_6, crossing_rest: 1e-17 };

const PARAMETERS: Constants =
    Constants { beta: 0.3, shift: 0.25, temperature: 0.2, sft: 0.75, ..Constants::DEFAULT };

/// Every loss, with label smoothing where it takes that; DPO both without and with it, and with every divergence.
fn variants() -> impl Iterator<Item = (&'static str, Loss, Constants)> {
    let named = Loss::ALL.iter().map(|&loss| {
        let smoothing = if loss == Loss::Dpo { Smoothing::NONE } else { FIFTH };
        let gamma = if takes(loss, "gamma") { 0.5 } else { 0.0 };
        // Any other loss adds the likelihood of the chosen answers, as a mixture does.
        let sft = if takes(loss, "sft") { PARAMETERS.sft } else { 0.0 };
        (loss.name(), loss, Constants { smoothing, gamma, sft, ..PARAMETERS })
    });
    let alone = Constants { sft: 0.0, ..PARAMETERS };
    let smoothed = ("conservative", Loss::Dpo, Constants { smoothing: TENTH, ..alone });
    let divergences = Divergence::ALL
        .iter()
        .map(move |&divergence| (divergence.name(), Loss::Dpo, Constants { divergence, ..alone }));
    named.chain([smoothed]).chain(divergences)
}

fn takes(loss: Loss, parameter: &str) -> bool {
    loss.about().parameters.iter().any(|taken| taken.name == parameter)
}

fn reads(loss: Loss, column: &str) -> bool {
    loss.about().columns.contains(&column)
}

/// Four columns, and what there may be beside them.
struct Given<T> {
    columns: [Vec<T>; 4],
    lengths: Vec<f64>,
    margins: Vec<f64>,
    weights: Vec<f64>,
}

impl<T: Draw + 'static> Given<T> {
    fn new(n: usize) -> Given<T> {
        Given {
            columns: std::array::from_fn(|i| tame(n, 70 + i as u64)),
            lengths: (0..n).map(|i| (i % 7) as f64).collect(),
            margins: tame(n, 75),
            weights: unit(n, 76),
        }
    }

    /// The columns that the loss reads; with `beside` also margins and weights.
    fn pairs(&self, loss: Loss, beside: bool) -> Pairs<'_, T> {
        let [policy_chosen, policy_rejected, reference_chosen, reference_rejected] =
            self.columns.each_ref().map(Vec::as_slice);
        let none = &[][..];
        let [reference_chosen, reference_rejected] =
            if reads(loss, "reference") { [reference_chosen, reference_rejected] } else { [none; 2] };
        let lengths = reads(loss, "lengths").then_some([&self.lengths[..], &self.lengths[..]]);
        let margins = (beside && reads(loss, "margin")).then_some(&self.margins[..]);
        let weights = beside.then_some(&self.weights[..]);
        let columns = [policy_chosen, policy_rejected, reference_chosen, reference_rejected];
        Pairs { lengths, margins, weights, ..Pairs::of(columns) }
    }
}

fn all_doubles(digest: &mut Digest, scored: &Scored) {
    digest.doubles(&scored.losses);
    digest.doubles(&scored.grad_chosen);
    digest.doubles(&scored.grad_rejected);
    digest.doubles(&scored.rewards_chosen);
    digest.doubles(&scored.rewards_rejected);
    digest.word(scored.counts.saturated as u64);
}

fn losses<T: Draw + 'static>(n: usize) -> Run {
    let data = Given::<T>::new(n);
    Box::new(move |digest| {
        for (name, loss, constants) in variants() {
            let pairs = data.pairs(loss, false);
            let scored = given(preference_loss(pairs, &[Term::of(loss)], constants, true, &mut |_| true));
            all_doubles(digest.of(name), &scored);
        }
    })
}

/// Results in f32, with margins and weights.
fn singles<T: Draw + 'static>(n: usize) -> Run {
    let data = Given::<T>::new(n);
    Box::new(move |digest| {
        for (name, loss, constants) in variants() {
            for beside in [false, true] {
                let pairs = data.pairs(loss, beside);
                let scored: Scored<f32> =
                    given(preference_loss(pairs, &[Term::of(loss)], constants, true, &mut |_| true));
                let digest = digest.of(name);
                for column in [
                    &scored.losses,
                    &scored.grad_chosen,
                    &scored.grad_rejected,
                    &scored.rewards_chosen,
                    &scored.rewards_rejected,
                ] {
                    for &x in column {
                        digest.single(x);
                    }
                }
                digest.word(scored.counts.saturated as u64);
            }
        }
    })
}

const MIXTURE: [Term; 3] = [
    Term { loss: Loss::Dpo, weight: 0.8 },
    Term { loss: Loss::BcoPair, weight: 0.2 },
    Term { loss: Loss::ExoPair, weight: 1.5 },
];

fn mixtures(n: usize) -> Run {
    let data = Given::<f64>::new(n);
    Box::new(move |digest| {
        let constants = Constants { smoothing: TENTH, ..PARAMETERS };
        for (name, terms) in [("three", &MIXTURE[..]), ("one", &MIXTURE[..1])] {
            let pairs = data.pairs(Loss::BcoPair, true);
            let scored = given(preference_loss(pairs, terms, constants, true, &mut |_| true));
            all_doubles(digest.of(name), &scored);
        }
    })
}

fn sweeps(n: usize) -> Run {
    let data = Given::<f32>::new(n);
    Box::new(move |digest| {
        for (name, loss, constants) in variants() {
            // More than share a reading of the pairs, but where there are many pairs.
            let last = if n > 1000 { 3u8 } else { 40 };
            let settings: Vec<Constants> =
                (1..=last).map(|k| Constants { beta: f64::from(k) / 64.0, ..constants }).collect();
            let alone = [Term::of(loss)];
            let terms = if loss == Loss::BcoPair { &MIXTURE[..] } else { &alone[..] };
            for slopes in [false, true] {
                let found =
                    given(preference_sweep(data.pairs(loss, false), terms, &settings, slopes, &mut |_| true));
                let digest = digest.of(name);
                for of in found {
                    digest.doubles(&[of.mean, of.squares, of.low, of.high, of.slope]);
                    digest.word(of.saturated as u64);
                }
            }
        }
    })
}

fn ranks(n: usize) -> Run {
    let data = Given::<f64>::new(n);
    Box::new(move |digest| {
        for row in given(of_equal_rank(data.pairs(Loss::Aot, false), &mut |_| true)) {
            digest.word(row.cast_unsigned());
        }
    })
}

/// Each loss of answers that are not paired, and the mean from which "bco" tells them.
fn unpaired(n: usize) -> Run {
    let values: Vec<f64> = tame(n, 75);
    Box::new(move |digest| {
        for &loss in Unpaired::ALL {
            let digest = digest.of(loss.name());
            let bounded = match loss {
                Unpaired::Kto => true,
                Unpaired::Bco => {
                    let mean = standard(|| exact_mean(&values, &mut |_| true));
                    digest.double(given(mean));
                    false
                }
                Unpaired::AotUnpaired => {
                    // Samples of two sizes, with equal values in both.
                    let (chosen, rejected) = values.split_at(n / 3);
                    if chosen.is_empty() {
                        continue;
                    }
                    for side in given(sorted_losses([chosen, rejected], 0.3, &mut |_| true)) {
                        for column in [side.losses, side.slopes, side.potentials, side.extents] {
                            digest.doubles(&column);
                        }
                    }
                    continue;
                }
            };
            let found = given(terms(&values, bounded, &mut |_| true));
            digest.doubles(&found.losses);
            digest.doubles(&found.slopes);
        }
    })
}

/// Each loss of ranked answers, of rows of one to seven answers with ties, of which some do not count.
fn ranked(n: usize) -> Run {
    let scores: Vec<f64> = tame(n, 76);
    let labels: Vec<f64> =
        words(n, 77).map(|word| if word.is_multiple_of(9) { f64::NAN } else { (word % 5) as f64 }).collect();
    Box::new(move |digest| {
        for &loss in Ranked::ALL {
            let digest = digest.of(loss.name());
            for width in [1, 2, 3, 7] {
                let rows = n / width;
                let column = || vec![0.0; rows];
                let (mut losses, mut compared, mut right) = (column(), column(), column());
                let mut gradients = vec![0.0; rows * width];
                let to = Columns {
                    losses: &mut losses,
                    gradients: &mut gradients,
                    compared: &mut compared,
                    right: &mut right,
                };
                let answers =
                    Answers { scores: &scores[..rows * width], labels: &labels[..rows * width], width };
                let saturated = given(ranked_losses(answers, loss, 0.3, to, &mut |_| true));
                for column in [losses, gradients, compared, right] {
                    digest.doubles(&column);
                }
                digest.word(saturated as u64);
            }
        }
    })
}
