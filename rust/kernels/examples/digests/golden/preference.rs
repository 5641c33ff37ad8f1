//! Preference losses.

use super::inputs::{Draw, tame};
use super::{Entry, Run, heavy};
use steelyard_kernels::preference::{Loss, Pairs, Smoothing, preference_loss};
use steelyard_kernels::simd::{Bf16, F16};

pub const TABLE: &[Entry] = &[
    heavy("preference.preference_loss", "float32", losses::<f32>),
    heavy("preference.preference_loss", "float64", losses::<f64>),
    heavy("preference.preference_loss", "bfloat16", losses::<Bf16>),
    heavy("preference.preference_loss", "float16", losses::<F16>),
];

/// Every loss; DPO also with label smoothing.
const LOSSES: [(&str, Loss); 5] = [
    ("dpo", Loss::Dpo(Smoothing { rate: 0.0, crossing: 0.0, crossing_rest: 0.0 })),
    (
        "conservative",
        Loss::Dpo(Smoothing { rate: 0.1, crossing: 2.197_224_577_336_219_6, crossing_rest: -1e-16 }),
    ),
    ("robust", Loss::Robust(0.2)),
    ("hinge", Loss::Hinge),
    ("ipo", Loss::Ipo),
];

fn losses<T: Draw + 'static>(n: usize) -> Run {
    let columns: [Vec<T>; 4] = std::array::from_fn(|i| tame(n, 70 + i as u64));
    Box::new(move |digest| {
        let [policy_chosen, policy_rejected, reference_chosen, reference_rejected] =
            columns.each_ref().map(Vec::as_slice);
        let pairs = Pairs { policy_chosen, policy_rejected, reference_chosen, reference_rejected };
        for (name, loss) in LOSSES {
            let digest = digest.of(name);
            if let Ok(scored) = preference_loss(pairs, loss, 0.3, true, &mut |_| true) {
                digest.doubles(&scored.losses);
                digest.doubles(&scored.grad_chosen);
                digest.doubles(&scored.grad_rejected);
                digest.doubles(&scored.rewards_chosen);
                digest.doubles(&scored.rewards_rejected);
                digest.word(scored.counts.saturated as u64);
            }
        }
    })
}
