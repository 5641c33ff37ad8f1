//! AdamW, the global norm, schedules.

use super::inputs::{Draw, given, tame, wild, words};
use super::{Entry, Run, entry};
use steelyard_kernels::dtype::Listed;
use steelyard_kernels::named::Named;
use steelyard_kernels::optim::{
    Clip, Decay, Hyper, Schedule, Tensor, TypedTensor, adamw, scale_in_place, sum_of_squares,
};
use steelyard_kernels::simd::{self, Bf16, F16};

pub const TABLE: &[Entry] = &[
    entry("optim.adamw", "float32", adamw32),
    entry("optim.adamw", "float64", adamw64),
    entry("optim.sum_of_squares", "float32", squares::<f32>),
    entry("optim.sum_of_squares", "float64", squares::<f64>),
    entry("optim.sum_of_squares", "bfloat16", squares::<Bf16>),
    entry("optim.sum_of_squares", "float16", squares::<F16>),
    entry("optim.scale", "float32", scaled::<f32>),
    entry("optim.scale", "float64", scaled::<f64>),
    entry("optim.scale", "bfloat16", scaled::<Bf16>),
    entry("optim.scale", "float16", scaled::<F16>),
    entry("optim.schedule", "float64", schedules),
];

const HYPER: Hyper = Hyper {
    lr: 1e-2,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 0.01,
    clip: Clip::by(0.75),
    maximize: false,
    step: 1,
};

/// The variants of the update, by name.
const VARIANTS: [(&str, Hyper, bool); 3] = [
    ("plain", HYPER, false),
    ("amsgrad", Hyper { beta1: 0.3, ..HYPER }, true),
    ("maximize", Hyper { maximize: true, ..HYPER }, false),
];

/// Three steps of each variant, with gradients of every class of value.
macro_rules! steps {
    ($name:ident, $float:ty, $tensor:path, $feed:ident) => {
        fn $name(n: usize) -> Run {
            let start: Vec<$float> = tame(n, 40);
            let grads: Vec<Vec<$float>> = (0..3).map(|step| wild(n, 41 + step)).collect();
            Box::new(move |digest| {
                for (name, hyper, amsgrad) in VARIANTS {
                    let digest = digest.of(name);
                    let mut p = start.clone();
                    let (mut m, mut v, mut x) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
                    for (step, grad) in grads.iter().enumerate() {
                        let tensor = Tensor {
                            param: &mut p,
                            grad,
                            exp_avg: &mut m,
                            exp_avg_sq: &mut v,
                            max_exp_avg_sq: if amsgrad { Some(&mut x) } else { None },
                        };
                        let hyper = Hyper { step: step as u64 + 1, ..hyper };
                        given(adamw(vec![$tensor(tensor)], &hyper));
                    }
                    for state in [&p, &m, &v, &x] {
                        for &value in state {
                            digest.$feed(value);
                        }
                    }
                }
            })
        }
    };
}
steps!(adamw32, f32, TypedTensor::F32, single);
steps!(adamw64, f64, TypedTensor::F64, double);

fn squares<T: Draw + Listed>(n: usize) -> Run {
    let (x, few): (Vec<T>, Vec<T>) = (tame(n, 50), tame(7, 51));
    Box::new(move |digest| {
        let arrays = [T::typed(x.as_slice()), T::typed(few.as_slice())];
        let total = given(sum_of_squares(&arrays, &mut |_| true));
        digest.double(total.sum);
        digest.word(total.exponent as u64);
        digest.double(total.root());
    })
}

/// Values of every class, scaled by an ordinary factor and by one that makes all products subnormal or smaller in f32.
fn scaled<T: Draw + Listed>(n: usize) -> Run {
    let start: Vec<T> = wild(n, 52);
    Box::new(move |digest| {
        for (name, factor) in [("ordinary", 0.3), ("tiny", 1e-39)] {
            let mut x = start.clone();
            given(scale_in_place(vec![T::typed(x.as_mut_slice())], Clip::by(factor)));
            let digest = digest.of(name);
            // Widening in the caller's mode could flush subnormal numbers to zero.
            for x in &x {
                digest.double(simd::standard(|| x.to_f64()));
            }
        }
    })
}

fn schedules(n: usize) -> Run {
    let steps: Vec<u64> = words(n, 60).map(|word| word % 2000).collect();
    Box::new(move |digest| {
        for &decay in Decay::ALL {
            for (from, start) in [("from_nothing", None), ("from_start", Some(1e-5))] {
                let schedule = Schedule { decay, peak: 3e-4, end: 1e-5, start, warmup: 100, total: 1500 };
                digest.of(decay.name()).of(from).doubles(&given(schedule.rates(&steps)));
            }
        }
    })
}
