//! A program with nothing but the folds of the token kernel and the comparison of two models, which `tests/test_machine_code.py` disassembles.

use steelyard_kernels::named::Named;
use steelyard_kernels::rows::{Source, Table};
use steelyard_kernels::tokens::{Column, Models, PairColumn, Targets, pair_scores, token_scores};

fn main() {
    let logits: Vec<f32> = (0..4096).map(|i| (i % 61) as f32).collect();
    if let Some(table) = Table::new(&logits, 1024) {
        let targets = Targets::new(&[0, 1, 2, 3]);
        let scores = token_scores(Source::Lent(&table), targets, Column::ALL.into(), &mut |_| true);
        println!("{scores:?}");
        let models = Models { new: Source::Lent(&table), base: Source::Lent(&table) };
        let pairs = pair_scores(models, targets, Column::ALL.into(), PairColumn::ALL, &mut |_| true);
        println!("{pairs:?}");
    }
}
