//! The floating-point environment in which kernels compute: round to nearest, gradual underflow, no exception trapped.
//!
//! `torch.set_flush_denormal(True)`, `fesetround`, `feenableexcept` or a library built with `-ffast-math` may have
//! changed the environment of the caller's thread, and the threads of a pool that it starts would inherit the change
//! and keep it for life.
//!
//! On x86-64 the control register is MXCSR. The x87 unit has a control word of its own, which is not touched here
//! because f32 and f64 arithmetic on x86-64 is done by SSE. On aarch64 the control register is FPCR, with the flags in
//! FPSR.
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
    /// NaN bit 25, traps bits 8-12 and 15. FPSR, which holds the sticky flags, is in the high half.
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

/// The settings by which a thread's arithmetic rounds, underflows and traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FpEnv(register::Word);

impl FpEnv {
    /// Round to nearest, ties to even; gradual underflow; no exception trapped.
    pub const STANDARD: FpEnv = FpEnv(register::STANDARD);

    /// The environment of the calling thread.
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

    /// Sets this environment until the returned guard is dropped. The function that computes inside must not be inlined
    /// into the caller: the compiler does not know about the control register and could move arithmetic across its
    /// change.
    #[inline]
    pub(super) fn enter(self) -> Restore {
        let before = register::get();
        if before & register::CONTROL != self.0 {
            register::set(self.0);
        }
        Restore(before)
    }
}

/// Runs `work` in the standard floating-point environment and then restores the caller's. Every entry of the core does
/// so on the calling thread; on every thread, [`super::dispatch`] does so around each kernel.
#[inline]
pub fn standard<R>(work: impl FnOnce() -> R) -> R {
    FpEnv::STANDARD.run(work)
}

#[inline(never)]
fn outlined<R>(work: impl FnOnce() -> R) -> R {
    anchor();
    work()
}

/// Prevents the compiler from moving a call of the function that contains this.
///
/// Without it, the compiler may move a call of a function that does nothing but arithmetic on its arguments past the
/// restoring of the caller's environment. (LLVM did so where the digest of `optim.scale` widens f32, and subnormal
/// numbers became 0.) A function with a side effect, of which this is the smallest, must stay where it is called.
#[inline(always)]
pub(super) fn anchor() {
    // SAFETY: no instruction.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}

/// Restores the control word and the flags when dropped.
pub(super) struct Restore(register::Word);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        if register::get() != self.0 {
            register::set(self.0);
        }
    }
}

/// The direction in which inexact results are rounded.
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

    /// Not inlined, because the compiler would move the division past a change of the mode.
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
            let quotients = [third(), quotient(-1.0, 3.0)];
            set_mode_for_tests(false, Rounding::Nearest, false);
            quotients
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
            let (inexact, subnormal, invalid) =
                standard(|| (third(), quotient(tiny, 2.0), quotient(0.0, 0.0)));
            assert_eq!(inexact.to_bits(), 0x3fd5_5555_5555_5555);
            assert_eq!(subnormal.to_bits(), 3);
            assert!(invalid.is_nan());
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
