use super::*;
use crate::dtype::{TypedSlice, TypedSliceMut};
use crate::grid::CHUNK;
use crate::simd::{Bf16, Element, F16};

fn norm(arrays: &[TypedSlice<'_>]) -> f64 {
    sum_of_squares(arrays, &mut |_| true).unwrap().root()
}

#[test]
fn huge_and_tiny_values_neither_overflow_nor_vanish() {
    assert_eq!(norm(&[TypedSlice::F32(&[1e20; 4])]), f64::from(1e20f32) * 2.0);
    assert_eq!(norm(&[TypedSlice::F32(&[1e-25; 4])]), f64::from(1e-25f32) * 2.0);
    for value in [1e300, 1e-300, 5e-324, f64::MAX / 4.0] {
        assert_eq!(norm(&[TypedSlice::F64(&[value; 4])]), value * 2.0, "{value:e}");
    }
}

#[test]
fn mixed_scales_add() {
    for unit in [exp2i(700), exp2i(-700)] {
        let arrays = [[3.0 * unit], [4.0 * unit]];
        assert_eq!(norm(&[TypedSlice::F64(&arrays[0]), TypedSlice::F64(&arrays[1])]), 5.0 * unit);
    }
    assert_eq!(norm(&[TypedSlice::F64(&[1e200]), TypedSlice::F32(&[1.0])]), 1e200);
    assert_eq!(norm(&[]), 0.0);
    assert_eq!(norm(&[TypedSlice::F64(&[])]), 0.0);
}

#[test]
fn the_grouping_into_units_changes_no_bit() {
    let x: Vec<f32> = (0..200_003).map(|i| (i % 977) as f32 * 0.37 - 100.0).collect();
    let whole = norm(&[TypedSlice::F32(&x)]);
    let parts: Vec<_> = x.chunks(CHUNK).map(TypedSlice::F32).collect();
    assert_eq!(whole.to_bits(), norm(&parts).to_bits());
}

#[test]
fn elements_that_are_not_finite_are_found() {
    let (good, bad) = ([1.0f64, 2.0], [0.0f64, f64::NAN, f64::INFINITY]);
    let arrays = [TypedSlice::F64(&good), TypedSlice::F64(&bad)];
    assert!(!sum_of_squares(&arrays, &mut |_| true).unwrap().is_finite());
    let count = |arrays| count_nonfinite(arrays, &mut |_| true).unwrap();
    assert_eq!(count(&arrays), Some(NonFinite { count: 2, array: 1, element: 1 }));
    assert_eq!(count(&arrays[..1]), None);
}

#[test]
fn a_norm_beyond_f64_clips_correctly() {
    let x = [f64::MAX; 4];
    let norm = sum_of_squares(&[TypedSlice::F64(&x)], &mut |_| true).unwrap();
    assert_eq!(norm.root(), f64::INFINITY);
    let clip = Clip::to(Some(1.0), norm);
    let mut scaled = x;
    scale_in_place(vec![TypedSliceMut::F64(&mut scaled)], clip).unwrap();
    assert_eq!(scaled, [0.5; 4]);
    assert_eq!(Clip::to(None, norm), Clip::NONE);
    assert_eq!(Clip::to(Some(f64::INFINITY), norm), Clip::NONE);
}

#[test]
fn a_factor_below_the_element_type_keeps_its_digits() {
    let x = [3e38f32, -1e38];
    let norm = sum_of_squares(&[TypedSlice::F32(&x)], &mut |_| true).unwrap();
    for limit in [1.0, 1e-3, 1e-8, 1e-20] {
        let mut scaled = x;
        scale_in_place(vec![TypedSliceMut::F32(&mut scaled)], Clip::to(Some(limit), norm)).unwrap();
        for (got, x) in scaled.iter().zip(x) {
            let want = f64::from(x) * (limit / norm.root());
            assert!((f64::from(*got) / want - 1.0).abs() < 2e-7, "{limit}: {got:e} {want:e}");
        }
    }
}

#[test]
fn clip_factors_at_the_edges() {
    let norm = |sum| Scaled { sum, exponent: 0 };
    assert_eq!(Clip::to(Some(5.0), norm(25.0)), Clip::NONE);
    assert_eq!(Clip::to(Some(1.0), norm(25.0)), Clip::by(0.2));
    assert_eq!(Clip::to(Some(0.0), norm(25.0)), Clip::by(0.0));
    assert_eq!(Clip::to(Some(0.0), norm(0.0)), Clip::NONE);
    assert!(Clip::to(Some(1.0), norm(f64::NAN)).value().is_nan());
    assert_eq!(Clip::to(Some(1.0), norm(f64::INFINITY)).value(), 0.0);
}

#[test]
fn scaling_rounds_once() {
    let (mut a, mut b) = (vec![3.0f32; 70_000], vec![3.0f64; 3]);
    scale_in_place(vec![TypedSliceMut::F32(&mut a), TypedSliceMut::F64(&mut b)], Clip::by(0.1)).unwrap();
    assert!(a.iter().all(|&x| x == 3.0 * 0.1f32));
    assert!(b.iter().all(|&x| x == 3.0 * 0.1f64));
}

#[test]
fn sixteen_bit_types_are_multiplied_in_f64_and_rounded_once() {
    // Subnormal, ordinary and the largest numbers, and numbers that become subnormal.
    let codes = [0x0001, 0x007f, 0x0080, 0x3f80, 0x4049, 0x7bff, 0x8003, 0x8000, 0xfb55];
    let factor = 1.0 / 3.0;
    let (mut a, mut b) = (codes.map(Bf16), codes.map(F16));
    scale_in_place(vec![TypedSliceMut::Bf16(&mut a), TypedSliceMut::F16(&mut b)], Clip::by(factor)).unwrap();
    for (index, code) in codes.into_iter().enumerate() {
        assert_eq!(a[index], Bf16::from_f64(Bf16(code).to_f64() * factor));
        assert_eq!(b[index], F16::from_f64(F16(code).to_f64() * factor));
    }
    // The smallest subnormal times 3 becomes the smallest one, and the sign of a zero stays.
    assert_eq!((a[6], a[7], b[6], b[7]), (Bf16(0x8001), Bf16(0x8000), F16(0x8001), F16(0x8000)));
}

fn of_order(p: f64, arrays: &[TypedSlice<'_>]) -> Norms {
    norms(Order::of(p).unwrap(), arrays, &mut |_| true).unwrap()
}

#[test]
fn orders_are_above_zero() {
    for p in [0.0, -0.0, -1.0, f64::NEG_INFINITY, f64::NAN] {
        assert_eq!(Order::of(p), None);
    }
    assert_eq!(Order::of(2.0), Some(Order::Two));
}

#[test]
fn every_order_has_its_norm_of_small_values_and_of_huge_ones() {
    for unit in [1.0, exp2i(1000), exp2i(-1000)] {
        let (a, b) = ([3.0 * unit, -4.0 * unit], [12.0 * unit]);
        let arrays = [TypedSlice::F64(&a), TypedSlice::F64(&[]), TypedSlice::F64(&b)];
        for (p, total, first) in [(1.0, 19.0, 7.0), (2.0, 13.0, 5.0), (f64::INFINITY, 12.0, 4.0)] {
            let found = of_order(p, &arrays);
            assert_eq!(found.total.value(), total * unit, "{p} {unit:e}");
            assert_eq!(
                found.each.iter().map(|norm| norm.value() / unit).collect::<Vec<_>>(),
                [first, 0.0, 12.0]
            );
        }
        for (p, want) in [(3.0, libm::cbrt(1819.0)), (0.5, 51.784_609_690_826_53)] {
            let got = of_order(p, &arrays).total.value() / unit;
            assert!((got / want - 1.0).abs() < 1e-14, "{p} {unit:e}: {got} {want}");
        }
    }
}

#[test]
fn a_nan_or_an_infinity_is_in_every_norm() {
    for p in [0.5, 1.0, 2.0, 3.0, f64::INFINITY] {
        let bad = [1.0f32, f32::NEG_INFINITY, 2.0];
        assert_eq!(of_order(p, &[TypedSlice::F32(&bad)]).total.value(), f64::INFINITY, "{p}");
        let nan = [1.0f32, f32::NAN, f32::INFINITY];
        for arrays in
            [[TypedSlice::F32(&nan), TypedSlice::F32(&bad)], [TypedSlice::F32(&bad), TypedSlice::F32(&nan)]]
        {
            assert!(of_order(p, &arrays).total.value().is_nan(), "{p}");
        }
    }
}

#[test]
fn orders_without_a_bound_stay_in_range() {
    let x = [f64::MAX; 4];
    let found = of_order(1.0, &[TypedSlice::F64(&x)]).total;
    assert_eq!((found.value(), found.is_finite()), (f64::INFINITY, true));
    let mut scaled = x;
    scale_in_place(vec![TypedSliceMut::F64(&mut scaled)], Clip::to(Some(1.0), found)).unwrap();
    assert_eq!(scaled, [0.25; 4]);
    assert_eq!(of_order(1e300, &[TypedSlice::F64(&x)]).total.value(), f64::MAX);
    assert_eq!(of_order(1e-300, &[TypedSlice::F64(&x)]).total.value(), f64::INFINITY);
    assert_eq!(of_order(1e-300, &[TypedSlice::F64(&x[..1])]).total.value(), f64::MAX);
    assert_eq!(of_order(3.0, &[TypedSlice::F32(&[0.0; 70])]).total.value(), 0.0);
}

#[test]
fn clamping_moves_what_is_beyond_and_leaves_a_nan() {
    let mut x = [0.5f32, -0.5, 3.0, -3.0, f32::INFINITY, f32::NAN, -0.0, 1.0];
    assert_eq!(clamp_in_place(vec![TypedSliceMut::F32(&mut x)], 1.0), Ok(3));
    assert_eq!(x[..5], [0.5, -0.5, 1.0, -1.0, 1.0]);
    assert!(x[5].is_nan() && x[6].is_sign_negative() && x[7] == 1.0);
    let mut x = [F16(0x7c00), F16(0xfbff), F16(0x0001)];
    assert_eq!(clamp_in_place(vec![TypedSliceMut::F16(&mut x)], 1e9), Ok(0));
    assert_eq!(clamp_in_place(vec![TypedSliceMut::F16(&mut x)], 0.0), Ok(3));
    assert_eq!(x, [F16(0), F16(0x8000), F16(0)]);
}

#[test]
fn units_are_clipped_each_by_itself() {
    let (param, grad) = ([1.0f64, 0.0, 0.0, 1e-9], [3.0f64, 0.25, 4.0, 0.0]);
    let rule = Adaptive { clip_factor: 0.5, eps: 1e-3 };
    for (by_column, want) in [(false, [0.498, 0.0415, 5e-4, 0.0]), (true, [0.3, 5e-4, 0.4, 0.0])] {
        let shapes = [UnitShape { rows: 2, columns: 2, by_column }];
        let mut x = grad;
        let clips =
            rule.clips(&[TypedSlice::F64(&x)], &[TypedSlice::F64(&param)], &shapes, &mut |_| true).unwrap();
        scale_units(vec![TypedSliceMut::F64(&mut x)], &shapes, &clips.each).unwrap();
        for (got, want) in x.iter().zip(want) {
            assert!((got - want).abs() <= 1e-3 * want, "{x:?}");
        }
    }
}
