//! One kernel alone: what `tests/test_machine_code.py` disassembles.

use steelyard_kernels::rows::Table;
use steelyard_kernels::tokens::token_scores;

fn main() {
    let logits: Vec<f32> = (0..4096).map(|i| (i % 61) as f32).collect();
    if let Some(table) = Table::new(&logits, 1024) {
        println!("{:?}", token_scores(&table, &[0, 1, 2, 3], None, &mut |_| true));
    }
}
