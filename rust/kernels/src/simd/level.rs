//! Instruction-set levels: a kernel is a struct that implements one trait, and each level has one generic function that
//! compiles every kernel for it.
#![allow(unsafe_code)] // calls into #[target_feature] functions after detection

use super::fma::{soft_fma32, soft_fma64};
use super::fpenv::{FpEnv, anchor};
use super::lookup::{self, Table};
use super::stairs::{self, GROUP, Stairs, Steps};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// An instruction-set level. Levels differ in speed, never in a bit of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    /// What every processor of the architecture has; the fused multiply-add is computed in software, with the same
    /// bits.
    Baseline = 1,
    /// x86-64-v3: AVX2 and FMA.
    V3 = 2,
    /// x86-64-v4: AVX-512 F, BW, CD, DQ, VL.
    V4 = 3,
    /// aarch64 with its NEON and fused multiply-add.
    Neon = 4,
}

impl Level {
    /// Every level of every architecture, slowest first.
    pub const ALL: [Level; 4] = [Level::Baseline, Level::V3, Level::V4, Level::Neon];

    /// The name that `STEELYARD_ISA` and `show_config()` use.
    pub fn name(self) -> &'static str {
        match self {
            Level::Baseline => "baseline",
            Level::V3 => "v3",
            Level::V4 => "v4",
            Level::Neon => "neon",
        }
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// What a level computes by instructions of its own: `a * b + c` with a single rounding, and what has to do with tables.
pub trait Isa {
    /// `a * b + c`, rounded once, in f32.
    fn fma32(a: f32, b: f32, c: f32) -> f32;
    /// `a * b + c`, rounded once, in f64.
    fn fma64(a: f64, b: f64, c: f64) -> f64;
    /// `a * b + c` where f64 holds `a * b` exactly, so that one rounding and two give the same bits: fused where the
    /// processor can, and otherwise a product and a sum.
    #[inline(always)]
    fn add_exact_product(a: f64, b: f64, c: f64) -> f64 {
        Self::fma64(a, b, c)
    }
    /// `to[i] = values[codes[i]] * scales[i / BLOCK]`, for as many elements as all slices have.
    #[inline(always)]
    fn look_up<const BLOCK: usize>(table: &Table, codes: &[u8], scales: &[f32], to: &mut [f32]) {
        lookup::one_by_one::<BLOCK>(table, codes, scales, to);
    }
    /// Bytes of its vector registers. Only speed may depend on it.
    const REGISTER: usize;
    /// Whether the level has [`Self::climb`].
    const CLIMBS: bool = false;
    /// Writes the codes of `from[i] * factor`, which is at most about 1 in magnitude, by the lines of octaves.
    #[inline(always)]
    fn climb(_: &Stairs, _: Steps, _from: &[[f32; GROUP]], _factor: f32, _codes: &mut [[u8; GROUP]]) {}
}

/// The processor's own fused multiply-add.
pub struct Hard;
/// The processor's own fused multiply-add, and AVX-512. Only [`v4`] may use it.
#[cfg(target_arch = "x86_64")]
struct Wide;
/// The same bits by integer and double arithmetic, for processors without one.
pub struct Soft;

impl Isa for Hard {
    const REGISTER: usize = 32;
    #[inline(always)]
    fn fma32(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
    #[inline(always)]
    fn fma64(a: f64, b: f64, c: f64) -> f64 {
        a.mul_add(b, c)
    }
}

#[cfg(target_arch = "x86_64")]
impl Isa for Wide {
    const REGISTER: usize = 64;
    #[inline(always)]
    fn fma32(a: f32, b: f32, c: f32) -> f32 {
        Hard::fma32(a, b, c)
    }
    #[inline(always)]
    fn fma64(a: f64, b: f64, c: f64) -> f64 {
        Hard::fma64(a, b, c)
    }
    #[inline(always)]
    fn look_up<const BLOCK: usize>(table: &Table, codes: &[u8], scales: &[f32], to: &mut [f32]) {
        // SAFETY: `Wide` is private to this file, where only `v4` uses it, on processors that have AVX-512.
        unsafe { lookup::by_permutation::<BLOCK>(table, codes, scales, to) };
    }
    const CLIMBS: bool = true;
    #[inline(always)]
    fn climb(stairs: &Stairs, steps: Steps, from: &[[f32; GROUP]], factor: f32, codes: &mut [[u8; GROUP]]) {
        // SAFETY: as above.
        unsafe { stairs::by_octave(stairs, steps, from, factor, codes) };
    }
}

impl Isa for Soft {
    const REGISTER: usize = 16;
    #[inline(always)]
    fn fma32(a: f32, b: f32, c: f32) -> f32 {
        soft_fma32(a, b, c)
    }
    #[inline(always)]
    fn fma64(a: f64, b: f64, c: f64) -> f64 {
        soft_fma64(a, b, c)
    }
    #[inline(always)]
    fn add_exact_product(a: f64, b: f64, c: f64) -> f64 {
        a * b + c
    }
}

/// A kernel: a struct of its arguments whose `run` is `#[inline(always)]`.
///
/// A closure cannot be used instead: it is compiled with its caller's target features, is not inlined into the function
/// of the level, and so would silently be compiled without the wide instructions.
pub trait Kernel: Sized {
    /// What the kernel returns.
    type Out;
    /// The body, written once for all levels.
    fn run<I: Isa>(self) -> Self::Out;
}

/// Runs a kernel at the current level, in round-to-nearest without flush-to-zero.
///
/// It is called once per chunk, on the thread that computes the chunk, so that the guard of the floating-point
/// environment holds on every thread.
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Out {
    // The functions called below are never inlined here and are anchored, so that no arithmetic can move across the
    // guard.
    let _restored = FpEnv::STANDARD.enter();
    match level() {
        Level::Baseline => baseline(kernel),
        // SAFETY: `level` returns only levels whose features this processor was found to have.
        #[cfg(target_arch = "x86_64")]
        Level::V3 => unsafe { v3(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::V4 => unsafe { v4(kernel) },
        #[cfg(target_arch = "aarch64")]
        Level::Neon => neon(kernel),
        // The levels of another architecture are never available.
        #[cfg(not(target_arch = "x86_64"))]
        Level::V3 | Level::V4 => baseline(kernel),
        #[cfg(not(target_arch = "aarch64"))]
        Level::Neon => baseline(kernel),
    }
}

struct Scalar<F>(F);

impl<R, F: FnOnce() -> R> Kernel for Scalar<F> {
    type Out = R;
    #[inline(always)]
    fn run<I: Isa>(self) -> R {
        (self.0)()
    }
}

/// Evaluates formulas on a few numbers in the standard floating-point environment. A closure is not compiled with the
/// level's wide instructions (see [`Kernel`]), so this is not meant for loops over data.
pub fn scalar<R>(formulas: impl FnOnce() -> R) -> R {
    dispatch(Scalar(formulas))
}

#[inline(never)]
fn baseline<K: Kernel>(kernel: K) -> K::Out {
    anchor();
    kernel.run::<Soft>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
fn v3<K: Kernel>(kernel: K) -> K::Out {
    anchor();
    kernel.run::<Hard>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
fn v4<K: Kernel>(kernel: K) -> K::Out {
    anchor();
    kernel.run::<Wide>()
}

#[cfg(target_arch = "aarch64")]
#[inline(never)]
fn neon<K: Kernel>(kernel: K) -> K::Out {
    anchor();
    kernel.run::<Hard>()
}

/// The level forced by [`force`], as its discriminant; 0 for none.
static FORCED: AtomicU8 = AtomicU8::new(0);

/// Whether this processor has the level.
pub fn available(level: Level) -> bool {
    match level {
        Level::Baseline => true,
        #[cfg(target_arch = "x86_64")]
        Level::V3 => has_v3(),
        #[cfg(target_arch = "x86_64")]
        Level::V4 => has_v3() && has_v4(),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => true,
        #[cfg(not(target_arch = "x86_64"))]
        Level::V3 | Level::V4 => false,
        #[cfg(not(target_arch = "aarch64"))]
        Level::Neon => false,
    }
}

// std caches what cpuid says and checks that the operating system saves the wide registers.
#[cfg(target_arch = "x86_64")]
fn has_v3() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(target_arch = "x86_64")]
fn has_v4() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// Forces a level for the whole process (tests, `STEELYARD_ISA`); `None` returns to the best one.
/// False, and nothing changed, when this processor lacks it.
pub fn force(level: Option<Level>) -> bool {
    match level {
        None => FORCED.store(0, Relaxed),
        Some(level) if available(level) => FORCED.store(level as u8, Relaxed),
        Some(_) => return false,
    }
    true
}

/// The level kernels run at: the forced one, else the best available.
#[inline]
pub fn level() -> Level {
    let forced = FORCED.load(Relaxed);
    Level::ALL.into_iter().find(|&level| level as u8 == forced).unwrap_or_else(best)
}

/// The best available level. It is cached without a lock, since a forked child could inherit a lock that is held.
fn best() -> Level {
    static BEST: AtomicU8 = AtomicU8::new(0);
    let known = BEST.load(Relaxed);
    if let Some(level) = Level::ALL.into_iter().find(|&level| level as u8 == known) {
        return level;
    }
    let best = Level::ALL.into_iter().rev().find(|&level| available(level)).unwrap_or(Level::Baseline);
    BEST.store(best as u8, Relaxed);
    best
}

#[cfg(test)]
mod tests {
    use super::super::{Rounding, set_mode_for_tests};
    use super::*;

    struct Product(f32, f32, f32);
    impl Kernel for Product {
        type Out = f32;
        #[inline(always)]
        fn run<I: Isa>(self) -> f32 {
            I::fma32(self.0, self.1, self.2)
        }
    }

    #[test]
    fn names_round_trip() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
        }
        assert_eq!(Level::from_name("v5"), None);
    }

    #[test]
    fn an_absent_level_is_refused() {
        for level in Level::ALL {
            if !available(level) {
                assert!(!force(Some(level)));
            }
        }
    }

    #[test]
    fn dispatch_ignores_the_callers_flush_to_zero() {
        let tiny = f32::from_bits(3);
        let before = dispatch(Product(tiny, 1.0, 0.0));
        set_mode_for_tests(true, Rounding::Nearest, false);
        let under = dispatch(Product(tiny, 1.0, 0.0));
        set_mode_for_tests(false, Rounding::Nearest, false);
        assert_eq!(before.to_bits(), 3);
        assert_eq!(under.to_bits(), 3);
    }

    #[test]
    fn scalar_formulas_ignore_it_too() {
        set_mode_for_tests(true, Rounding::Nearest, false);
        let tiny = scalar(|| std::hint::black_box(f64::from_bits(6)) / 2.0);
        set_mode_for_tests(false, Rounding::Nearest, false);
        assert_eq!(tiny.to_bits(), 3);
    }
}
