//! Steps of AdamW on arrays that are stored in each way.

use super::super::{Hyper, MOMENTS, Row, step};
use super::*;
use crate::dtype::TypedSlice;
use crate::grid::CHUNK;
use crate::random::HALVES;
use crate::simd::{Bf16, Element, F16};

const HYPER: Hyper = Hyper { lr: 1e-2, ..Hyper::DEFAULT };
/// More than a chunk, so that the row is divided, and not a multiple of a tile or a block.
const N: usize = CHUNK + 1500;

/// Numbers of about 1, of either sign.
fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| draw()).collect()
}

fn single(x: &mut [f32]) -> Stored<'_> {
    Stored::plain(TypedSliceMut::F32(x))
}

/// Makes one step of a row.
fn stepped<'a>(param: Stored<'a>, grad: &'a [f32], moments: [Stored<'a>; 2], number: u64) {
    let [first, second] = moments;
    let moments: [Option<Stored<'a>>; MOMENTS] = [Some(first), Some(second), None];
    let row = Row { param, grad: TypedSlice::F32(grad), moments, hyper: 0, key: 5 };
    step(std::iter::once(row), &[Hyper { step: number, ..HYPER }]).unwrap();
}

/// The parameter and its moments after three steps on plain f32 arrays.
fn plain(start: &[f32]) -> [Vec<f32>; 3] {
    let (mut p, mut m, mut v) = (start.to_vec(), vec![0.0; start.len()], vec![0.0; start.len()]);
    for number in 1..4 {
        let grad = numbers(number, start.len());
        stepped(single(&mut p), &grad, [single(&mut m), single(&mut v)], number);
    }
    [p, m, v]
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_split_parameter_has_the_bits_of_one_in_float32() {
    let start = numbers(9, N);
    let mut high: Vec<Bf16> = start.iter().map(|x| Bf16((x.to_bits() >> 16) as u16)).collect();
    let mut low: Vec<u16> = start.iter().map(|x| x.to_bits() as u16).collect();
    let (mut m, mut v) = (vec![0.0; N], vec![0.0; N]);
    for number in 1..4 {
        let param = Stored::Split(Split { high: &mut high, low: &mut low });
        stepped(param, &numbers(number, N), [single(&mut m), single(&mut v)], number);
    }
    let whole: Vec<u32> =
        high.iter().zip(&low).map(|(high, low)| u32::from(high.0) << 16 | u32::from(*low)).collect();
    let wanted = plain(&start);
    assert_eq!((whole, m, v), (bits(&wanted[0]), wanted[1].clone(), wanted[2].clone()));
}

#[test]
fn a_copy_is_the_nearest_of_its_type() {
    let start = numbers(9, N);
    let (mut p, mut copy) = (start.clone(), vec![Bf16(0); N]);
    let (mut m, mut v) = (vec![0.0; N], vec![0.0; N]);
    for number in 1..4 {
        let param = Stored::Copied(Copied {
            array: Plain(TypedSliceMut::F32(&mut p)),
            copy: TypedSliceMut::Bf16(&mut copy),
        });
        stepped(param, &numbers(number, N), [single(&mut m), single(&mut v)], number);
    }
    assert_eq!(bits(&p), bits(&plain(&start)[0]));
    assert!(p.iter().zip(&copy).all(|(p, copy)| Bf16::from_f32(*p) == *copy));
}

#[test]
fn a_value_with_its_rest_has_twice_the_digits() {
    let start = numbers(9, N);
    let mut value: Vec<F16> = start.iter().map(|x| F16::from_f32(*x)).collect();
    let mut rest: Vec<F16> =
        start.iter().zip(&value).map(|(x, value)| F16::from_f32(x - value.to_f32())).collect();
    let (mut m, mut v) = (vec![0.0; N], vec![0.0; N]);
    for number in 1..4 {
        let param = Stored::Kahan(Kahan::f16(&mut value, &mut rest));
        stepped(param, &numbers(number, N), [single(&mut m), single(&mut v)], number);
    }
    for ((value, rest), wanted) in value.iter().zip(&rest).zip(&plain(&start)[0]) {
        let found = value.to_f64() + rest.to_f64();
        assert!((found - f64::from(*wanted)).abs() <= 5e-7, "{found} {wanted}");
        assert!(rest.to_f64().abs() <= value.to_f64().abs() / 2048.0 + 1e-7);
    }
}

#[test]
fn of_an_infinite_value_nothing_is_left() {
    let (mut value, mut rest) = (vec![Bf16(0x7f80)], vec![Bf16(0)]);
    let param = Stored::Kahan(Kahan::bf16(&mut value, &mut rest));
    stepped(param, &[1.0], [single(&mut [0.0]), single(&mut [0.0])], 1);
    assert_eq!((value[0], rest[0]), (Bf16(0x7f80), Bf16(0)));
}

/// A parameter of bfloat16 after a step, the row being handed over in one piece or from element `from` on.
fn rounded_at_random(start: &[Bf16], seed: u64, number: u64) -> Vec<Bf16> {
    let mut p = start.to_vec();
    let n = p.len();
    let param = Stored::Random(Random { array: PerHalf::Bf16(&mut p), seed });
    stepped(param, &numbers(1, n), [single(&mut vec![0.0; n]), single(&mut vec![0.0; n])], number);
    p
}

#[test]
fn random_rounding_is_that_of_its_numbers_in_every_part_of_a_row() {
    let start: Vec<Bf16> = numbers(9, N).into_iter().map(Bf16::from_f32).collect();
    let mut wide: Vec<f32> = start.iter().map(|x| x.to_f32()).collect();
    let (mut m, mut v) = (vec![0.0; N], vec![0.0; N]);
    stepped(single(&mut wide), &numbers(1, N), [single(&mut m), single(&mut v)], 1);
    let mut drawn = vec![0; N];
    crate::random::Halves::new(77, 5, 1, 0).unwrap().fill(0, &mut drawn);
    let wanted: Vec<u16> = wide
        .iter()
        .zip(&drawn)
        .map(|(x, drawn)| (x.to_bits().wrapping_add((*drawn).into()) >> 16) as u16)
        .collect();
    let found: Vec<u16> = rounded_at_random(&start, 77, 1).iter().map(|x| x.0).collect();
    assert_eq!(found, wanted);
    assert_ne!(rounded_at_random(&start, 78, 1), rounded_at_random(&start, 77, 1));
    assert!(TILE.is_multiple_of(HALVES));
}

#[test]
fn moments_in_8_bits_are_the_codes_of_those_in_float32() {
    let start = numbers(9, N);
    let blocks = N.div_ceil(BLOCK);
    let mut codes = [vec![Codes::Signed.zero(); N], vec![Codes::Unsigned.zero(); N]];
    let mut scales = [vec![0.0; blocks], vec![0.0; blocks]];
    let (mut p, mut wide_p) = (start.clone(), start);
    for number in 1..4 {
        let grad = numbers(number, N);
        let kinds = [Codes::Signed, Codes::Unsigned];
        let mut wide: [Vec<f32>; 2] = std::array::from_fn(|i| {
            let value = |at: usize| kinds[i].values()[usize::from(codes[i][at])] * scales[i][at / BLOCK];
            (0..N).map(value).collect()
        });
        {
            let [m, v] = &mut codes;
            let [m_scales, v_scales] = &mut scales;
            let first = Blocks8 { kind: Codes::Signed, codes: m, scales: m_scales };
            let second = Blocks8 { kind: Codes::Unsigned, codes: v, scales: v_scales };
            stepped(single(&mut p), &grad, [Stored::Blocks8(first), Stored::Blocks8(second)], number);
        }
        let [m, v] = &mut wide;
        stepped(single(&mut wide_p), &grad, [single(m), single(v)], number);
        assert_eq!(bits(&p), bits(&wide_p));
        for i in 0..2 {
            for (block, values) in wide[i].chunks(BLOCK).enumerate() {
                let largest = values.iter().fold(0.0f32, |a, x| if x.abs() > a { x.abs() } else { a });
                assert_eq!(scales[i][block], largest);
            }
        }
    }
}
