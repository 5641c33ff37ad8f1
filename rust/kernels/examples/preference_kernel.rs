//! A program with nothing but the preference kernel, which `tests/test_machine_code.py` disassembles.

use steelyard_kernels::named::Named;
use steelyard_kernels::preference::{Constants, Divergence, Loss, Pairs, Smoothing, preference_loss};

fn main() {
    let column: Vec<f32> = (0..1000).map(|i| (i % 61) as f32).collect();
    let zero = vec![0.0; column.len()];
    let pairs = Pairs {
        policy_chosen: &column,
        policy_rejected: &zero,
        reference_chosen: &zero,
        reference_rejected: &zero,
        lengths: None,
    };
    let smoothing = |rate| Smoothing { rate, crossing: 2.0, crossing_rest: 0.0 };
    for &loss in Loss::ALL {
        for (rate, divergence) in [(0.0, Divergence::ReverseKl), (0.1, Divergence::Js)] {
            let constants = Constants { smoothing: smoothing(rate), divergence, ..Constants::DEFAULT };
            let scored = preference_loss(pairs, loss, constants, true, &mut |_| true);
            println!("{:?}", scored.map(|scored| scored.losses));
        }
    }
}
