//! Levels, element types, lanes and the grid.

use super::inputs::{Draw, given, pairs, tame, wild, words};
use super::{Entry, Run, entry};
use steelyard_kernels::clusters::near;
use steelyard_kernels::exact::Fixed;
use steelyard_kernels::grid::{self, CHUNK};
use steelyard_kernels::simd::{self, Bf16, Element, F16, Isa, Kernel, tree32, tree64};

pub const TABLE: &[Entry] = &[
    entry("simd.fma", "float32", fma32),
    entry("simd.fma", "float64", fma64),
    entry("simd.widen", "float64", widen::<f64>),
    entry("simd.widen", "bfloat16", widen::<Bf16>),
    entry("simd.widen", "float16", widen::<F16>),
    entry("grid.sum", "float32", sum::<f32>),
    entry("grid.sum", "float64", sum::<f64>),
    entry("grid.sum", "bfloat16", sum::<Bf16>),
    entry("grid.sum", "float16", sum::<F16>),
    entry("exact.fixed", "float64", fixed),
    entry("clusters.near", "int64", near_codes),
];

/// The codes of ids of which some occur, which is a rank, and of ids that all occur, which is their distance.
fn near_codes(n: usize) -> Run {
    let range = n as u64 + 1;
    let ids: Vec<i64> = words(n, 9).map(|word| (word % range) as i64 * 3 - n as i64).collect();
    let dense: Vec<i64> = words(n, 10).map(|word| (word % 97) as i64).collect();
    Box::new(move |digest| {
        for ids in [&ids, &dense] {
            let mut codes = vec![0; n];
            let found = given(near(ids, &mut codes, &mut |_| true));
            digest.word(u64::from(found.is_some()));
            for number in found.iter().flat_map(|found| &found.above).chain(&codes) {
                digest.word(*number as u64);
            }
        }
    })
}

/// The results of `f(start, end)` for each chunk of the grid, in order.
pub fn chunked<R: Send>(n: usize, bytes: usize, f: impl Fn(usize, usize) -> R + Sync) -> Vec<R> {
    let work = |index| {
        let range = grid::chunk(index, n, CHUNK);
        f(range.start, range.end)
    };
    given(grid::map_chunks(grid::chunks(n, CHUNK), bytes, &mut |_| true, work))
}

struct Fma32<'a>(&'a [(f32, f32, f32)]);

impl Kernel for Fma32<'_> {
    type Out = Vec<f32>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Vec<f32> {
        self.0.iter().map(|&(a, b, c)| I::fma32(a, b, c)).collect()
    }
}

/// Random bits, and sums in which the product and the addend nearly cancel, so that a second rounding would show.
fn fma32(n: usize) -> Run {
    let triples: Vec<_> = pairs(n, 1)
        .map(|(x, y)| {
            let (a, b) = (f32::from_bits(x as u32), f32::from_bits((x >> 32) as u32));
            let near = -(a * b) * (1.0 + (y & 3) as f32 * f32::EPSILON);
            (a, b, if y >> 62 == 0 { near } else { f32::from_bits((y >> 8) as u32) })
        })
        .collect();
    Box::new(move |digest| {
        let results = chunked(n, 16 * n, |from, to| simd::dispatch(Fma32(&triples[from..to])));
        results.iter().flatten().for_each(|&x| digest.single(x));
    })
}

struct Fma64<'a>(&'a [(f64, f64, f64)]);

impl Kernel for Fma64<'_> {
    type Out = Vec<f64>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Vec<f64> {
        self.0.iter().map(|&(a, b, c)| I::fma64(a, b, c)).collect()
    }
}

fn fma64(n: usize) -> Run {
    let triples: Vec<_> = pairs(n, 2)
        .zip(words(n, 3))
        .map(|((x, y), z)| {
            let (a, b) = (f64::from_bits(x), f64::from_bits(y));
            let near = -(a * b) * (1.0 + (z & 3) as f64 * f64::EPSILON);
            (a, b, if z >> 62 == 0 { near } else { f64::from_bits(z) })
        })
        .collect();
    Box::new(move |digest| {
        let results = chunked(n, 32 * n, |from, to| simd::dispatch(Fma64(&triples[from..to])));
        results.iter().flatten().for_each(|&x| digest.double(x));
    })
}

struct Widen<'a, T>(&'a [T]);

impl<T: Element> Kernel for Widen<'_, T> {
    type Out = Vec<(f32, f64)>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Out {
        self.0.iter().map(|x| (x.to_f32(), x.to_f64())).collect()
    }
}

fn widen<T: Draw>(n: usize) -> Run {
    let x: Vec<T> = wild(n, 4);
    Box::new(move |digest| {
        let results = chunked(n, 16 * n, |from, to| simd::dispatch(Widen(&x[from..to])));
        for &(single, double) in results.iter().flatten() {
            digest.single(single);
            digest.double(double);
        }
    })
}

struct Sum<'a, T>(&'a [T]);

impl<T: Element> Kernel for Sum<'_, T> {
    type Out = (f32, f64);
    #[inline(always)]
    fn run<I: Isa>(self) -> (f32, f64) {
        const LANES: usize = 16;
        let (mut single, mut double) = ([0.0f32; LANES], [0.0f64; LANES]);
        for (i, x) in self.0.iter().enumerate() {
            single[i % LANES] += x.to_f32();
            double[i % LANES] += x.to_f64();
        }
        (tree32(single), tree64(double))
    }
}

fn sum<T: Draw>(n: usize) -> Run {
    let x: Vec<T> = tame(n, 5);
    Box::new(move |digest| {
        for (single, double) in chunked(n, 8 * n, |from, to| simd::dispatch(Sum(&x[from..to]))) {
            digest.single(single);
            digest.double(double);
        }
    })
}

/// Ordinary numbers scaled over thirty orders of magnitude; refused terms are counted.
fn fixed(n: usize) -> Run {
    let x: Vec<f64> = tame(n, 6);
    let scale: Vec<i32> = words(n, 7).map(|word| (word % 100) as i32 - 80).collect();
    let terms: Vec<f64> =
        x.iter().zip(scale).map(|(x, e)| x * f64::from_bits(((e + 1023) as u64) << 52)).collect();
    Box::new(move |digest| {
        let mut sum = Fixed::new();
        digest.word(terms.iter().filter(|&&term| !sum.add(term)).count() as u64);
        digest.wide(i128::from_le_bytes(sum.to_bytes()));
        digest.double(sum.value());
    })
}
