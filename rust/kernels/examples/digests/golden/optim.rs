//! AdamW, the global norm, schedules.

use super::inputs::{Digest, Draw, given, tame, wild, words};
use super::{Entry, Run, entry, heavy};
use steelyard_kernels::dtype::Listed;
use steelyard_kernels::named::{Named, Parameter};
use steelyard_kernels::optim::{
    self, Adaptive, BLOCK, Blocks8, Change, Clip, Codes, Cooldown, Copied, Decay, Hyper, Interpolate, Kahan,
    MOMENTS, Order, PerHalf, Plain, Random, Rise, Row, Rule, Schedule, Split, Stored, UnitShape, WeightDecay,
    clamp_in_place, norms, scale_in_place, scale_units, sum_of_squares,
};
use steelyard_kernels::simd::{self, Bf16, F16};

pub const TABLE: &[Entry] = &[
    entry("optim.adamw", "float32", adamw::<f32>),
    entry("optim.adamw", "float64", adamw::<f64>),
    entry("optim.step", "bfloat16", mixed::<Bf16, Bf16, Bf16>),
    entry("optim.step", "float16", mixed::<F16, F16, F16>),
    // The types of parameter, gradient and moments.
    entry("optim.step", "float32+bfloat16+float32", mixed::<f32, Bf16, f32>),
    entry("optim.step", "float32+float64+float16", mixed::<f32, f64, F16>),
    entry("optim.step", "bfloat16+float32+float32", mixed::<Bf16, f32, f32>),
    entry("optim.step", "float64+float16+float64", mixed::<f64, F16, f64>),
    heavy("optim.rules", "float32", rules::<f32>),
    heavy("optim.rules", "float64", rules::<f64>),
    heavy("optim.rules", "bfloat16", rules::<Bf16>),
    heavy("optim.rules", "float16", rules::<F16>),
    entry("optim.watched", "float32", watched::<f32, f32>),
    entry("optim.watched", "float64", watched::<f64, f64>),
    entry("optim.watched", "bfloat16", watched::<Bf16, Bf16>),
    entry("optim.watched", "float16+float32", watched::<F16, f32>),
    entry("optim.sum_of_squares", "float32", squares::<f32>),
    entry("optim.sum_of_squares", "float64", squares::<f64>),
    entry("optim.sum_of_squares", "bfloat16", squares::<Bf16>),
    entry("optim.sum_of_squares", "float16", squares::<F16>),
    entry("optim.norms", "float32", norms_of::<f32>),
    entry("optim.norms", "float64", norms_of::<f64>),
    entry("optim.norms", "bfloat16", norms_of::<Bf16>),
    entry("optim.norms", "float16", norms_of::<F16>),
    entry("optim.scale", "float32", scaled::<f32>),
    entry("optim.scale", "float64", scaled::<f64>),
    entry("optim.scale", "bfloat16", scaled::<Bf16>),
    entry("optim.scale", "float16", scaled::<F16>),
    entry("optim.clamp", "float32", clamped::<f32>),
    entry("optim.clamp", "float64", clamped::<f64>),
    entry("optim.clamp", "bfloat16", clamped::<Bf16>),
    entry("optim.clamp", "float16", clamped::<F16>),
    entry("optim.adaptive", "float32", adapted::<f32>),
    entry("optim.adaptive", "float64", adapted::<f64>),
    entry("optim.adaptive", "bfloat16", adapted::<Bf16>),
    entry("optim.adaptive", "float16", adapted::<F16>),
    entry("optim.schedule", "float64", schedules),
    entry("optim.stored", "float32", stored),
    entry("optim.blocks8", "float32", blocks8),
];

const HYPER: Hyper = Hyper { lr: 1e-2, clip: Clip::by(0.75), ..Hyper::DEFAULT };

/// The variants of AdamW that share its loop, by name, with the number of moments.
const ADAMW: [(&str, Hyper, usize); 3] = [
    ("plain", HYPER, 2),
    ("amsgrad", Hyper { beta1: 0.3, ..HYPER }, 3),
    ("maximize", Hyper { maximize: true, ..HYPER }, 2),
];

const LION: Hyper = Hyper { rule: Rule::Lion, beta2: 0.99, ..HYPER };
const SGD: Hyper = Hyper { rule: Rule::Sgd, momentum: 0.9, decay: WeightDecay::L2, ..HYPER };

/// The other rules and variants.
const RULES: [(&str, Hyper, usize); 12] = [
    ("decoupled", Hyper { bias_correction: false, ..HYPER }, 2),
    ("l2", Hyper { decay: WeightDecay::L2, ..HYPER }, 3),
    ("independent", Hyper { decay: WeightDecay::Independent, max_lr: 0.5, ..HYPER }, 2),
    ("corrected", Hyper { decay: WeightDecay::Corrected, max_lr: 0.5, ..HYPER }, 2),
    ("cautious", Hyper { cautious: true, ..HYPER }, 2),
    ("stable", Hyper { stable: true, beta2: 0.5, ..HYPER }, 2),
    ("tight", Hyper { tight: true, flush_denormals: true, ..HYPER }, 3),
    ("plain", LION, 1),
    ("cautious", Hyper { cautious: true, tight: true, ..LION }, 1),
    ("plain", Hyper { momentum: 0.0, ..SGD }, 0),
    ("momentum", Hyper { dampening: 0.3, maximize: true, ..SGD }, 1),
    ("nesterov", Hyper { nesterov: true, decay: WeightDecay::Decoupled, ..SGD }, 1),
];

/// The variants of AdamW, without a name of the rule.
fn adamw<T: Draw + Listed + Default>(n: usize) -> Run {
    let feed = steps::<T, T, T>(n, &ADAMW, wild);
    Box::new(move |digest| feed(digest, |digest, _| digest))
}

/// The variants of AdamW. The types are those of the parameter, the gradient and the moments.
fn mixed<P: Draw + Listed, G: Draw + Listed, M: Draw + Listed + Default>(n: usize) -> Run {
    let feed = steps::<P, G, M>(n, &ADAMW, wild);
    Box::new(move |digest| feed(digest, |digest, rule| digest.of(rule.name())))
}

/// The other rules and variants. The gradients are finite, because what is measured of a tensor with others is no number.
fn rules<T: Draw + Listed + Default>(n: usize) -> Run {
    let feed = steps::<T, T, T>(n, &RULES, tame);
    Box::new(move |digest| feed(digest, |digest, rule| digest.of(rule.name())))
}

/// Three steps of each variant.
fn steps<P: Draw + Listed, G: Draw + Listed, M: Draw + Listed + Default>(
    n: usize,
    variants: &'static [(&'static str, Hyper, usize)],
    draw: fn(usize, u64) -> Vec<G>,
) -> impl Fn(&mut Digest, fn(&mut Digest, Rule) -> &mut Digest) {
    let start: Vec<P> = tame(n, 40);
    let grads: Vec<Vec<G>> = (0..3).map(|step| draw(n, 41 + step)).collect();
    move |digest, within| {
        for &(name, hyper, count) in variants {
            let digest = within(digest, hyper.rule).of(name);
            let mut p = start.clone();
            let mut moments: [Vec<M>; MOMENTS] = std::array::from_fn(|_| vec![M::default(); n]);
            for (step, grad) in grads.iter().enumerate() {
                let mut kept = moments.iter_mut().take(count);
                let moments = std::array::from_fn(|_| {
                    kept.next().map(|moment| Stored::plain(M::typed(moment.as_mut_slice())))
                });
                let (param, grad) = (Stored::plain(P::typed(p.as_mut_slice())), G::typed(grad.as_slice()));
                let hyper = Hyper { step: step as u64 + 1, ..hyper };
                given(optim::step([Row { param, grad, moments, hyper: 0, key: 0 }], &[hyper]));
            }
            for x in &p {
                x.feed(digest);
            }
            for x in moments.iter().flatten() {
                x.feed(digest);
            }
        }
    }
}

/// What a step of each variant does to a tensor.
fn watched<T: Draw + Listed + Default, G: Draw + Listed>(n: usize) -> Run {
    let (start, grad): (Vec<T>, Vec<G>) = (tame(n, 40), tame(n, 41));
    Box::new(move |digest| {
        for &(name, hyper, count) in ADAMW.iter().chain(&RULES) {
            let digest = digest.of(hyper.rule.name()).of(name);
            let mut p = start.clone();
            let mut moments: [Vec<T>; MOMENTS] = std::array::from_fn(|_| vec![T::default(); n]);
            let mut kept = moments.iter_mut().take(count);
            let moments = std::array::from_fn(|_| {
                kept.next().map(|moment| Stored::plain(T::typed(moment.as_mut_slice())))
            });
            let (param, grad) = (Stored::plain(T::typed(p.as_mut_slice())), G::typed(grad.as_slice()));
            let row = Row { param, grad, moments, hyper: 0, key: 0 };
            for change in given(optim::watched_step([row], &[Hyper { lr: 1e-4, ..hyper }], true)) {
                let Change { grad_norm, param_norm, update_norm, ratio, lost } = change;
                for x in [grad_norm, param_norm, update_norm, ratio, lost] {
                    x.feed(digest);
                }
            }
        }
    })
}

/// Two steps of AdamW on parameters that are stored in every other way than as plain floats, with moments in 8 bits.
fn stored(n: usize) -> Run {
    let start: Vec<f32> = tame(n, 40);
    let grads: Vec<Vec<f32>> = (0..2).map(|step| tame(n, 41 + step)).collect();
    Box::new(move |digest| {
        let (mut p, mut low) = (start.clone(), vec![0; n]);
        let [mut high, mut random, mut copy] = [(); 3].map(|()| vec![Bf16(0); n]);
        let [mut value, mut rest] = [(); 2].map(|()| vec![F16(0); n]);
        let mut moments = [(); 4].map(|()| Moments8::new(n));
        for (index, grad) in grads.iter().enumerate() {
            let array = Plain(f32::typed(p.as_mut_slice()));
            let params = [
                Stored::Split(Split { high: &mut high, low: &mut low }),
                Stored::Kahan(Kahan::f16(&mut value, &mut rest)),
                Stored::Random(Random { array: PerHalf::Bf16(&mut random), seed: 9 }),
                Stored::Copied(Copied { array, copy: Bf16::typed(copy.as_mut_slice()) }),
            ];
            let grad = f32::typed(grad.as_slice());
            let rows = params.into_iter().zip(&mut moments).enumerate().map(|(key, (param, moments))| Row {
                param,
                grad,
                moments: moments.stored(),
                hyper: 0,
                key: key as u64,
            });
            given(optim::step(rows, &[Hyper { step: index as u64 + 1, ..HYPER }]));
        }
        let codes = moments.iter().flat_map(|moments| moments.codes.iter().flatten());
        let scales = moments.iter().flat_map(|moments| moments.scales.iter().flatten());
        let halves = [high, random, copy].concat().into_iter().map(|half| half.0);
        let halves = halves.chain([value, rest].concat().into_iter().map(|half| half.0)).chain(low);
        for word in halves.map(u64::from).chain(codes.map(|&code| code.into())) {
            digest.word(word);
        }
        for &x in p.iter().chain(scales) {
            digest.single(x);
        }
    })
}

/// The codes and scales of a first and a second moment.
struct Moments8 {
    codes: [Vec<u8>; 2],
    scales: [Vec<f32>; 2],
}

impl Moments8 {
    const KINDS: [Codes; 2] = [Codes::Signed, Codes::Unsigned];

    fn new(n: usize) -> Self {
        let codes = Moments8::KINDS.map(|kind| vec![kind.zero(); n]);
        Moments8 { codes, scales: [(); 2].map(|()| vec![0.0; n.div_ceil(BLOCK)]) }
    }

    fn stored(&mut self) -> [Option<Stored<'_>>; MOMENTS] {
        let mut each = Moments8::KINDS.into_iter().zip(&mut self.codes).zip(&mut self.scales);
        let mut next =
            || each.next().map(|((kind, codes), scales)| Stored::Blocks8(Blocks8 { kind, codes, scales }));
        [next(), next(), None]
    }
}

/// Values of every class as codes, and back.
fn blocks8(n: usize) -> Run {
    let (x, y): (Vec<f32>, Vec<f32>) = (tame(n, 53), wild(n, 54));
    Box::new(move |digest| {
        for x in [&x, &y] {
            for kind in [Codes::Signed, Codes::Unsigned] {
                let of_kind = |x: &f32| if kind == Codes::Unsigned { x.abs() } else { *x };
                let x: Vec<f32> = x.iter().map(of_kind).collect();
                let (mut codes, mut scales, mut back) = (vec![0; n], vec![0.0; n.div_ceil(BLOCK)], x.clone());
                given(optim::to_blocks8(&x, kind, &mut codes, &mut scales));
                given(optim::from_blocks8(&codes, &scales, kind, &mut back));
                for &code in &codes {
                    digest.word(code.into());
                }
                for &x in back.iter().chain(&scales) {
                    digest.single(x);
                }
            }
        }
    })
}

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

/// Norms of ordinary values and of values of every class, of one order each.
fn norms_of<T: Draw + Listed>(n: usize) -> Run {
    let (x, any): (Vec<T>, Vec<T>) = (tame(n, 53), wild(70, 54));
    Box::new(move |digest| {
        for (name, p) in [("one", 1.0), ("infinity", f64::INFINITY), ("half", 0.5), ("three", 3.0)] {
            let order = Order::of(p).unwrap_or(Order::Two);
            let digest = digest.of(name);
            for arrays in [&[T::typed(x.as_slice()), T::typed(&x[n / 2..])][..], &[T::typed(any.as_slice())]]
            {
                let found = given(norms(order, arrays, &mut |_| true));
                digest.double(found.total.value());
                for norm in found.each {
                    digest.double(norm.mantissa);
                    digest.word(norm.exponent as u64);
                }
            }
        }
    })
}

/// Values of every class, none of which is above the limit afterwards.
fn clamped<T: Draw + Listed>(n: usize) -> Run {
    let start: Vec<T> = wild(n, 55);
    Box::new(move |digest| {
        let mut x = start.clone();
        digest.word(given(clamp_in_place(vec![T::typed(x.as_mut_slice())], 0.3)) as u64);
        for x in &x {
            digest.double(simd::standard(|| x.to_f64()));
        }
    })
}

/// Rows and columns as units, clipped to a share of the norms of a parameter's units.
fn adapted<T: Draw + Listed>(n: usize) -> Run {
    let (grad, param): (Vec<T>, Vec<T>) = (tame(n, 56), tame(n, 57));
    Box::new(move |digest| {
        for (name, by_column) in [("rows", false), ("columns", true)] {
            let digest = digest.of(name);
            let columns = if n < 1000 { n } else { 5 };
            let rows = n / columns.max(1);
            let shapes = [UnitShape { rows, columns, by_column }];
            let mut x = grad[..rows * columns].to_vec();
            let param = [T::typed(&param[..rows * columns])];
            let rule = Adaptive { clip_factor: 0.9, eps: 1e-3 };
            let clips = given(rule.clips(&[T::typed(x.as_slice())], &param, &shapes, &mut |_| true));
            given(scale_units(vec![T::typed(x.as_mut_slice())], &shapes, &clips.each));
            for x in &x {
                digest.double(simd::standard(|| x.to_f64()));
            }
        }
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

/// The numbers of a shape: what all shapes share, something else than the default where there is one.
fn numbers(decay: Decay) -> Vec<f64> {
    let value = |parameter: &Parameter| match parameter.name {
        "total_steps" => 1500.0,
        "warmup_steps" => 100.0,
        "end" => 1e-5,
        "cycle_steps" | "cooldown_steps" | "rise_steps" => 150.0,
        "gamma" => 0.875,
        "decay_steps" => 70.0,
        "timescale" => 0.0,
        // Of the cosine, so that it keeps its plain form here; the other form is below.
        "cycles" => 1.0,
        "power" | "k" if decay == Decay::Cosine => 1.0,
        _ => parameter.default.unwrap_or(1.0) * 1.5,
    };
    decay.about().parameters.iter().map(value).collect()
}

fn plain(decay: Decay, numbers: &[f64]) -> Schedule<'_> {
    Schedule {
        decay,
        peak: 3e-4,
        numbers,
        start: None,
        rise: Rise::Linear,
        offset: 0.0,
        cooldown: Cooldown::Linear,
        interpolate: Interpolate::Linear,
        at: &[100.0, 250.5, 900.0],
        values: &[1e-4, 3e-4, 2e-5],
    }
}

fn schedules(n: usize) -> Run {
    let steps: Vec<u64> = words(n, 60).map(|word| word % 2000).collect();
    Box::new(move |digest| {
        for &decay in Decay::ALL {
            let numbers = numbers(decay);
            for (from, start) in [("from_nothing", None), ("from_start", Some(1e-5))] {
                let schedule = Schedule { start, ..plain(decay, &numbers) };
                digest.of(decay.name()).of(from).doubles(&given(schedule.rates(&steps)));
            }
        }
        let cycles = [1500.0, 100.0, 1e-5, 3.5, 0.75, 2.0];
        let cosine = given(plain(Decay::Cosine, &cycles).rates(&steps));
        digest.of("cosine").of("in_cycles").doubles(&cosine);
        for &rise in Rise::ALL {
            for (from, start) in [("from_nothing", None), ("from_start", Some(1e-5))] {
                let schedule = Schedule { start, rise, ..plain(Decay::Constant, &[1500.0]) };
                digest.of("warmup").of(rise.name()).of(from).doubles(&given(schedule.rates(&steps)));
            }
        }
        for &cooldown in Cooldown::ALL {
            let schedule = Schedule { cooldown, ..plain(Decay::Wsd, &[1500.0, 1400.0, 100.0, 1e-5]) };
            digest.of("cooldown").of(cooldown.name()).doubles(&given(schedule.rates(&steps)));
        }
        for &interpolate in Interpolate::ALL {
            let schedule = Schedule { interpolate, offset: 7.0, ..plain(Decay::Piecewise, &[0.0]) };
            digest.of("interpolate").of(interpolate.name()).doubles(&given(schedule.rates(&steps)));
        }
    })
}
