//! Losses of a policy, and advantages.

use super::inputs::{Draw, given, tame};
use super::{Entry, Run, heavy};
use steelyard_kernels::named::Named;
use steelyard_kernels::preference::advantages::{Comparison, Trajectories, along_tokens, within_groups};
use steelyard_kernels::preference::policy::{Advantages, Answers, Constants, Estimator, Loss, policy_loss};

pub const TABLE: &[Entry] = &[
    heavy("preference.policy_loss", "float32", losses::<f32>),
    heavy("preference.policy_loss", "float64", losses::<f64>),
    heavy("preference.group_advantages", "float64", compared),
    heavy("preference.token_advantages", "float64", along),
];

/// The number of tokens of a row: not a multiple of a block.
const WIDTH: usize = 75;

/// Every loss, and a loss with a reference by every estimator; and whether there is a reference.
fn variants() -> Vec<(&'static str, Constants, bool)> {
    let losses = Loss::ALL.iter().map(|&loss| (loss.name(), constants(loss, Estimator::K3), false));
    let estimators = Estimator::ALL.iter().map(|&of| (of.name(), constants(Loss::Grpo, of), true));
    losses.chain(estimators).collect()
}

fn constants(loss: Loss, estimator: Estimator) -> Constants {
    let [low, high] = loss.clip();
    Constants { loss, low: 1.0 - low, high: 1.0 + high, kl_weight: 0.25, estimator, divisor: None }
}

/// Numbers below 0.
fn negative<T: Draw>(n: usize, stream: u64) -> Vec<T> {
    tame::<T>(n, stream).into_iter().map(|x| T::from_f64(x.to_f64() / 16.0 - 0.5)).collect()
}

fn marks(n: usize) -> (Vec<u8>, Vec<i64>) {
    let counted = (0..n * WIDTH).map(|i| u8::from(i % 11 > 0)).collect();
    (counted, (0..n).map(|i| (i * 13 % (WIDTH + 1)) as i64).collect())
}

fn losses<T: Draw + 'static>(length: usize) -> Run {
    let n = length.div_ceil(WIDTH);
    let [logprob, old, other]: [Vec<T>; 3] = [170, 171, 172].map(|stream| negative(n * WIDTH, stream));
    let advantage: Vec<f64> = tame(n * WIDTH, 173);
    let (counted, lengths) = marks(n);
    let variants = variants();
    Box::new(move |digest| {
        for &(name, constants, compared) in &variants {
            let digest = digest.of(name);
            let loss = constants.loss;
            let answers = Answers {
                width: WIDTH,
                logprob: &logprob,
                old: &old,
                reference: if compared { &other } else { &[] },
                advantage: if loss == Loss::Ppo {
                    Advantages::PerToken(&advantage)
                } else {
                    Advantages::PerAnswer(&advantage[..n])
                },
                counted: if loss == Loss::Bnpo { &[] } else { &counted },
                lengths: if loss == Loss::Ppo { &[] } else { &lengths },
            };
            let mut gradient = vec![T::from_f64(7.0); n * WIDTH];
            let scored = given(policy_loss(answers, constants, &mut gradient, &mut |_| true));
            for x in gradient {
                x.feed(digest);
            }
            digest.doubles(&scored.losses);
            for sums in &scored.sums {
                digest.doubles(&[sums.loss, sums.low, sums.high, sums.ratio, sums.kl, sums.reference]);
            }
            digest.word(scored.seen.saturated as u64);
        }
    })
}

fn compared(n: usize) -> Run {
    let rewards: Vec<f64> = tame(n, 174);
    let count = n / 8 + 1;
    let groups: Vec<i64> = (0..n).map(|i| (i * 7 % count) as i64).collect();
    Box::new(move |digest| {
        for (name, leave_one_out, scaled) in
            [("group", false, true), ("mean", false, false), ("leave_one_out", true, false)]
        {
            let comparison = Comparison { leave_one_out, scaled, ddof: 1, epsilon: 1e-6 };
            let found = given(within_groups(&rewards, &groups, count, comparison, &mut |_| true));
            let digest = digest.of(name);
            digest.doubles(&found.advantages);
            digest.word((found.alone + found.equal) as u64);
        }
    })
}

fn along(length: usize) -> Run {
    let n = length.div_ceil(WIDTH);
    let [rewards, values, last]: [Vec<f64>; 3] = [175, 176, 177].map(|stream| tame(n * WIDTH, stream));
    let (counted, lengths) = marks(n);
    Box::new(move |digest| {
        let of = Trajectories {
            width: WIDTH,
            rewards: &rewards,
            values: &values,
            last: &last[..n],
            counted: &counted,
            lengths: &lengths,
            gamma: 0.97,
            lambda: 0.9,
        };
        let (mut advantages, mut returns) = (vec![7.0; n * WIDTH], vec![7.0; n * WIDTH]);
        given(along_tokens(of, &mut advantages, &mut returns, &mut |_| true));
        digest.doubles(&advantages);
        digest.doubles(&returns);
    })
}
