//! A program with nothing but the preference kernels, which `tests/test_machine_code.py` disassembles.

use steelyard_kernels::named::Named;
use steelyard_kernels::preference::{
    Constants, Divergence, Loss, Pairs, Smoothing, Term, preference_loss, preference_sweep,
};

fn main() {
    let column: Vec<f32> = (0..1000).map(|i| (i % 61) as f32).collect();
    let zero = vec![0.0; column.len()];
    let pairs = Pairs::of([&column, &zero, &zero, &zero]);
    let smoothing = |rate| Smoothing { rate, crossing: 2.0, crossing_rest: 0.0 };
    for &loss in Loss::ALL {
        for (rate, divergence) in [(0.0, Divergence::ReverseKl), (0.1, Divergence::Js)] {
            let constants = Constants { smoothing: smoothing(rate), divergence, ..Constants::DEFAULT };
            let terms = [Term::of(loss)];
            let scored = preference_loss::<f32, f32>(pairs, &terms, constants, true, &mut |_| true);
            println!("{:?}", scored.map(|scored| scored.losses));
            let slopes = divergence == Divergence::Js;
            println!("{:?}", preference_sweep(pairs, &terms, &[constants], slopes, &mut |_| true));
        }
    }
}
