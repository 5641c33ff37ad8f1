//! The preference kernel alone: what `tests/test_machine_code.py` disassembles.

use steelyard_kernels::preference::{Loss, Pairs, Smoothing, preference_loss};

fn main() {
    let column: Vec<f32> = (0..1000).map(|i| (i % 61) as f32).collect();
    let zero = vec![0.0; column.len()];
    let pairs = Pairs {
        policy_chosen: &column,
        policy_rejected: &zero,
        reference_chosen: &zero,
        reference_rejected: &zero,
    };
    let smoothing = |rate| Smoothing { rate, crossing: 2.0, crossing_rest: 0.0 };
    let losses =
        [Loss::Dpo(smoothing(0.0)), Loss::Dpo(smoothing(0.1)), Loss::Robust(0.1), Loss::Hinge, Loss::Ipo];
    for loss in losses {
        println!("{:?}", preference_loss(pairs, loss, 0.1, true, &mut |_| true).map(|scored| scored.losses));
    }
}
