//! Preference losses.

use super::inputs::{Draw, given, tame};
use super::{Entry, Run, heavy};
use steelyard_kernels::named::Named;
use steelyard_kernels::preference::{Constants, Divergence, Loss, Pairs, Smoothing, preference_loss};
use steelyard_kernels::simd::{Bf16, F16};

pub const TABLE: &[Entry] = &[
    heavy("preference.preference_loss", "float32", losses::<f32>),
    heavy("preference.preference_loss", "float64", losses::<f64>),
    heavy("preference.preference_loss", "bfloat16", losses::<Bf16>),
    heavy("preference.preference_loss", "float16", losses::<F16>),
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
        (loss.name(), loss, Constants { smoothing, gamma, ..PARAMETERS })
    });
    let smoothed = ("conservative", Loss::Dpo, Constants { smoothing: TENTH, ..PARAMETERS });
    let divergences = Divergence::ALL
        .iter()
        .map(|&divergence| (divergence.name(), Loss::Dpo, Constants { divergence, ..PARAMETERS }));
    named.chain([smoothed]).chain(divergences)
}

fn takes(loss: Loss, parameter: &str) -> bool {
    loss.about().parameters.iter().any(|taken| taken.name == parameter)
}

fn reads(loss: Loss, column: &str) -> bool {
    loss.about().columns.contains(&column)
}

fn losses<T: Draw + 'static>(n: usize) -> Run {
    let columns: [Vec<T>; 4] = std::array::from_fn(|i| tame(n, 70 + i as u64));
    let lengths: Vec<f64> = (0..n).map(|i| (i % 7) as f64).collect();
    Box::new(move |digest| {
        let [policy_chosen, policy_rejected, reference_chosen, reference_rejected] =
            columns.each_ref().map(Vec::as_slice);
        for (name, loss, constants) in variants() {
            let digest = digest.of(name);
            let none = &[][..];
            let [reference_chosen, reference_rejected] =
                if reads(loss, "reference") { [reference_chosen, reference_rejected] } else { [none; 2] };
            let lengths = reads(loss, "lengths").then_some([&lengths[..], &lengths[..]]);
            let pairs =
                Pairs { policy_chosen, policy_rejected, reference_chosen, reference_rejected, lengths };
            let scored = given(preference_loss(pairs, loss, constants, true, &mut |_| true));
            digest.doubles(&scored.losses);
            digest.doubles(&scored.grad_chosen);
            digest.doubles(&scored.grad_rejected);
            digest.doubles(&scored.rewards_chosen);
            digest.doubles(&scored.rewards_rejected);
            digest.word(scored.counts.saturated as u64);
        }
    })
}
