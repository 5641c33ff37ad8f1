//! A program with nothing but the folds of the token kernel, which `tests/test_machine_code.py` disassembles.

use steelyard_kernels::named::Named;
use steelyard_kernels::rows::{Source, Table};
use steelyard_kernels::tokens::{Column, token_scores};

fn main() {
    let logits: Vec<f32> = (0..4096).map(|i| (i % 61) as f32).collect();
    if let Some(table) = Table::new(&logits, 1024) {
        let scores = token_scores(Source::Lent(&table), &[0, 1, 2, 3], None, Column::ALL, &mut |_| true);
        println!("{scores:?}");
    }
}
