//! Helpers that the tests of this folder share: units in the last place, sweeps over all f32, NaNs of every kind.

use super::{Function, map};

/// The distance between f32 neighbours at the size of `x`, in f64.
pub fn ulp32(x: f64) -> f64 {
    let exponent = ((x.abs().to_bits() >> 52) as i64 - 1023).clamp(-126, 127);
    f64::from_bits(((exponent - 23 + 1023) as u64) << 52)
}

/// The distance between f64 neighbours at the size of `x`.
pub fn ulp64(x: f64) -> f64 {
    let size = x.abs();
    f64::from_bits(size.to_bits() + 1) - size
}

/// The largest `error(x, f(x))` over every `step`-th bit pattern of f32; NaN inputs are left out.
pub fn sweep32(step: usize, f: impl Fn(&[f32], &mut [f32]), error: impl Fn(f32, f32) -> f64) -> f64 {
    let mut worst = 0.0;
    let (mut x, mut y) = (vec![0.0f32; 1 << 16], vec![0.0f32; 1 << 16]);
    let mut next = 0u64;
    while next < 1 << 32 {
        for x in &mut x {
            *x = f32::from_bits(next as u32);
            next += step as u64;
        }
        f(&x, &mut y);
        for (&x, &y) in x.iter().zip(&y) {
            if !x.is_nan() {
                let e = error(x, y);
                assert!(!e.is_nan(), "f({x:e}) = {y:e}");
                worst = if e > worst { e } else { worst };
            }
        }
    }
    worst
}

/// NaNs of both signs and of every value of the top eight fraction bits (the first of which says whether a NaN is
/// quiet or signalling): 512 classes, two NaNs each.
pub fn nans32() -> Vec<f32> {
    (0..512u32)
        .flat_map(|i| {
            let high = (i & 256) << 23 | 0x7f80_0000 | (i & 255) << 15;
            [f32::from_bits(high | 1), f32::from_bits(high | 0x7fff)]
        })
        .collect()
}

/// [`nans32`] in f64.
pub fn nans64() -> Vec<f64> {
    (0..512u64)
        .flat_map(|i| {
            let high = (i & 256) << 55 | 0x7ff0_0000_0000_0000 | (i & 255) << 44;
            [f64::from_bits(high | 1), f64::from_bits(high | 0x0fff_ffff_ffff)]
        })
        .collect()
}

/// Asserts that each function maps every class of NaN to a NaN.
pub fn assert_nan_stays(f: impl Function<f32>, g: impl Function<f32>, h: impl Function<f64>) {
    let x = nans32();
    assert!(x.iter().all(|x| x.is_nan()));
    let mut out = vec![0.0; x.len()];
    map(f, &x, &mut out);
    assert!(out.iter().all(|y| y.is_nan()));
    out.fill(0.0);
    map(g, &x, &mut out);
    assert!(out.iter().all(|y| y.is_nan()));
    let x = nans64();
    assert!(x.iter().all(|x| x.is_nan()));
    let mut out = vec![0.0; x.len()];
    map(h, &x, &mut out);
    assert!(out.iter().all(|y| y.is_nan()));
}
