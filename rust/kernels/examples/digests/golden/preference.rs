//! Preference losses.

use super::inputs::{Draw, given, tame};
use super::{Entry, Run, heavy};
use steelyard_kernels::named::Named;
use steelyard_kernels::preference::{Constants, Loss, Pairs, Smoothing, preference_loss};
use steelyard_kernels::simd::{Bf16, F16};

pub const TABLE: &[Entry] = &[
    heavy("preference.preference_loss", "float32", losses::<f32>),
    heavy("preference.preference_loss", "float64", losses::<f64>),
    heavy("preference.preference_loss", "bfloat16", losses::<Bf16>),
    heavy("preference.preference_loss", "float16", losses::<F16>),
];

const TENTH: Smoothing = Smoothing { rate: 0.1, crossing: 2.197_224_577_336_219_6, crossing_rest: -1e-16 };
const FIFTH: Smoothing = Smoothing { rate: 0.2, crossing: 1.386_294_361_119_890_6, crossing_rest: 1e-17 };

/// Every loss, with label smoothing where it takes that; DPO both without and with it.
fn variants() -> impl Iterator<Item = (&'static str, Loss, Smoothing)> {
    let named = Loss::ALL.iter().map(|&loss| {
        let smoothing = if loss == Loss::Dpo { Smoothing::NONE } else { FIFTH };
        (loss.name(), loss, smoothing)
    });
    named.chain([("conservative", Loss::Dpo, TENTH)])
}

fn losses<T: Draw + 'static>(n: usize) -> Run {
    let columns: [Vec<T>; 4] = std::array::from_fn(|i| tame(n, 70 + i as u64));
    Box::new(move |digest| {
        let [policy_chosen, policy_rejected, reference_chosen, reference_rejected] =
            columns.each_ref().map(Vec::as_slice);
        let pairs = Pairs { policy_chosen, policy_rejected, reference_chosen, reference_rejected };
        for (name, loss, smoothing) in variants() {
            let digest = digest.of(name);
            let constants = Constants { beta: 0.3, smoothing };
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
