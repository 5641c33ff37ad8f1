//! The floating-point environment of arithmetic: round to nearest, gradual underflow, no exception trapped.
//!
//! `torch.set_flush_denormal(True)`, `fesetround`, `feenableexcept` or a library built with `-ffast-math` may have
//! left the caller's thread otherwise, and a pool built under it would keep that mode for life.
//!
//! On x86-64 the word is MXCSR; the x87 unit has its own, which nothing here reads: f32 and f64 arithmetic is SSE's
//! by the architecture's calling convention. On aarch64 it is FPCR, with the flags in FPSR.
#![allow(unsafe_code)] // reads and writes the control and status registers

use std::arch::asm;

#[cfg(target_arch = "x86_64")]
mod register {
    use super::{Rounding, asm};
    /// MXCSR: rounding mode, masks, flush-to-zero and denormals-are-zero; the low six bits are sticky flags.
    pub type Word = u32;
    /// All exceptions masked.
    pub const STANDARD: Word = 0x1f80;
    pub const CONTROL: Word = 0xffc0;
    pub const FLUSH: Word = 0x8040;
    /// The masks of invalid operation, division by zero and overflow, which [`STANDARD`] sets.
    pub const TRAPS: Word = 0x0680;

    pub const fn rounding(rounding: Rounding) -> Word {
        match rounding {
            Rounding::Nearest => 0,
            Rounding::Down => 1 << 13,
            Rounding::Up => 2 << 13,
            Rounding::TowardZero => 3 << 13,
        }
    }

    #[inline]
    pub fn get() -> Word {
        let mut word: Word = 0;
        // SAFETY: stores MXCSR to a valid, aligned local.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack)) };
        word
    }
    #[inline]
    pub fn set(word: Word) {
        // SAFETY: loads MXCSR from a valid local whose reserved bits are those the processor gave or 0.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod register {
    use super::{Rounding, asm};
    /// FPCR in the low half: flush-to-zero is bit 24, rounding mode bits 22-23, half-precision flush bit 19, default
    /// NaN bit 25, traps bits 8-12. FPSR, which holds the sticky flags, in the high half.
    pub type Word = u64;
    pub const STANDARD: Word = 0;
    pub const CONTROL: Word = 0xffff_ffff;
    pub const FLUSH: Word = 1 << 24;
    /// Traps of invalid operation, division by zero and overflow; many processors have none.
    pub const TRAPS: Word = 0b111 << 8;

    pub const fn rounding(rounding: Rounding) -> Word {
        match rounding {
            Rounding::Nearest => 0,
            Rounding::Up => 1 << 22,
            Rounding::Down => 2 << 22,
            Rounding::TowardZero => 3 << 22,
        }
    }

    #[inline]
    pub fn get() -> Word {
        let (control, flags): (u64, u64);
        // SAFETY: reads two registers that user programs may read.
        unsafe {
            asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) control, out(reg) flags, options(nostack));
        }
        (control & CONTROL) | flags << 32
    }
    #[inline]
    pub fn set(word: Word) {
        let (control, flags) = (word & CONTROL, word >> 32);
        // SAFETY: writes registers that user programs may write, with values they held or the architecture's default.
        unsafe { asm!("msr fpcr, {}", "msr fpsr, {}", in(reg) control, in(reg) flags, options(nostack)) };
    }
}

/// What decides how a thread's arithmetic rounds, underflows and traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FpEnv(register::Word);

impl FpEnv {
    /// Round to nearest, ties to even; gradual underflow; no exception trapped.
    pub const STANDARD: FpEnv = FpEnv(register::STANDARD);

    /// The calling thread's.
    #[inline]
    pub fn current() -> FpEnv {
        FpEnv(register::get() & register::CONTROL)
    }

    /// Runs `work` in this environment. However it ends, the thread then has the environment and the sticky flags
    /// that it had before.
    #[inline]
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        let _restored = self.enter();
        outlined(work)
    }

    /// Enters until the value is dropped. What is to be computed inside must not be inlined beside it: the compiler
    /// knows of no control register and could move arithmetic across.
    #[inline]
    pub(super) fn enter(self) -> Restore {
        let before = register::get();
        if before & register::CONTROL != self.0 {
            register::set(self.0);
        }
        Restore(before)
    }
}

/// Runs `work` in the standard floating-point environment, and puts the caller's back: the guard of every entry of
/// the core, on the calling thread. (Workers of the pool are guarded by [`super::dispatch`].)
#[inline]
pub fn standard<R>(work: impl FnOnce() -> R) -> R {
    FpEnv::STANDARD.run(work)
}

#[inline(never)]
fn outlined<R>(work: impl FnOnce() -> R) -> R {
    anchor();
    work()
}

/// Keeps the function that calls this where it is called. One that does nothing but arithmetic on its arguments may be
/// called by the compiler at any later place, also after the caller's environment has been put back (LLVM did so where
/// the digest of `optim.scale` widens f32, and subnormal numbers became 0); one with an effect, of which this is the
/// least, may not.
#[inline(always)]
pub(super) fn anchor() {
    // SAFETY: no instruction.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}

/// Puts control word and flags back when dropped.
pub(super) struct Restore(register::Word);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        if register::get() != self.0 {
            register::set(self.0);
        }
    }
}

/// Where inexact results go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest number, ties to even.
    Nearest,
    /// Toward minus infinity.
    Down,
    /// Toward plus infinity.
    Up,
    /// Toward zero.
    TowardZero,
}

/// Sets the calling thread's mode, for tests: what `torch.set_flush_denormal`, `fesetround` and `feenableexcept` do.
/// `trap` unmasks invalid operation, division by zero and overflow.
pub fn set_mode_for_tests(flush_to_zero: bool, rounding: Rounding, trap: bool) {
    let flush = if flush_to_zero { register::FLUSH } else { 0 };
    let traps = if trap { register::TRAPS } else { 0 };
    register::set((register::STANDARD ^ traps) | flush | register::rounding(rounding));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const ROUNDINGS: [Rounding; 4] = [Rounding::Nearest, Rounding::Down, Rounding::Up, Rounding::TowardZero];

    /// Runs `check` in every mode, and goes back to the standard one.
    fn in_every_mode(check: impl Fn()) {
        for rounding in ROUNDINGS {
            for (flush, trap) in [(false, false), (true, false), (false, true), (true, true)] {
                set_mode_for_tests(flush, rounding, trap);
                let outcome = catch_unwind(AssertUnwindSafe(&check));
                set_mode_for_tests(false, Rounding::Nearest, false);
                assert!(outcome.is_ok(), "{rounding:?}, flush {flush}, trap {trap}");
            }
        }
    }

    /// Not inlined: the compiler moves a division past a change of the mode.
    #[inline(never)]
    fn quotient(a: f64, b: f64) -> f64 {
        black_box(black_box(a) / black_box(b))
    }

    fn third() -> f64 {
        quotient(1.0, 3.0)
    }

    #[test]
    fn the_modes_of_tests_do_what_they_say() {
        let rounded = |rounding| {
            set_mode_for_tests(false, rounding, false);
            let found = [third(), quotient(-1.0, 3.0)];
            set_mode_for_tests(false, Rounding::Nearest, false);
            found
        };
        let [down, up] = [Rounding::Down, Rounding::Up].map(rounded);
        assert!(down[0] < up[0] && down[1] < up[1]);
        assert_eq!(rounded(Rounding::Nearest), [1.0 / 3.0, -1.0 / 3.0]);
        assert_eq!(rounded(Rounding::TowardZero), [down[0], up[1]]);
        set_mode_for_tests(true, Rounding::Nearest, false);
        let flushed = quotient(f64::from_bits(6), 2.0);
        set_mode_for_tests(false, Rounding::Nearest, false);
        assert_eq!(flushed, 0.0);
    }

    #[test]
    fn work_sees_the_standard_environment_whatever_the_callers() {
        let tiny = f64::from_bits(6);
        in_every_mode(|| {
            let found = standard(|| (third(), quotient(tiny, 2.0), quotient(0.0, 0.0)));
            assert_eq!(found.0.to_bits(), 0x3fd5_5555_5555_5555);
            assert_eq!(found.1.to_bits(), 3);
            assert!(found.2.is_nan());
        });
    }

    #[test]
    fn the_callers_environment_and_flags_come_back_on_every_way_out() {
        in_every_mode(|| {
            let before = register::get();
            standard(third);
            assert_eq!(register::get(), before, "flags of the work are its own");
            let outcome = catch_unwind(|| standard(|| std::panic::resume_unwind(Box::new(third()))));
            assert!(outcome.is_err());
            assert_eq!(register::get(), before);
        });
    }

    #[test]
    fn foreign_code_inside_has_its_callers_environment_and_leaves_none_behind() {
        in_every_mode(|| {
            let callers = FpEnv::current();
            standard(|| {
                assert_eq!(FpEnv::current(), FpEnv::STANDARD);
                callers.run(|| {
                    assert_eq!(FpEnv::current(), callers);
                    set_mode_for_tests(true, Rounding::Up, false);
                });
                assert_eq!(FpEnv::current(), FpEnv::STANDARD);
            });
            assert_eq!(FpEnv::current(), callers);
        });
    }
}
