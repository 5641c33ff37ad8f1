//! The floating-point environment of a kernel call: round to nearest, no flush-to-zero.
//!
//! `torch.set_flush_denormal(True)` or a library built with `-ffast-math` may have left the caller's thread
//! otherwise, and a pool built under it would keep that mode for life.
#![allow(unsafe_code)] // reads and writes one control register

use std::arch::asm;

#[cfg(target_arch = "x86_64")]
mod register {
    use super::asm;
    /// MXCSR: rounding mode, masks, flush-to-zero and denormals-are-zero; the low six bits are sticky flags.
    pub type Word = u32;
    pub const STANDARD: Word = 0x1f80;
    pub const CONTROL: Word = 0xffc0;
    pub const FLUSH: Word = 0x8040;

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
    use super::asm;
    /// FPCR: flush-to-zero is bit 24, rounding mode bits 22-23, half-precision flush bit 19, default NaN bit 25.
    pub type Word = u64;
    pub const STANDARD: Word = 0;
    pub const CONTROL: Word = u64::MAX;
    pub const FLUSH: Word = 1 << 24;

    #[inline]
    pub fn get() -> Word {
        let word: Word;
        // SAFETY: reads a user-accessible register.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nostack)) };
        word
    }
    #[inline]
    pub fn set(word: Word) {
        // SAFETY: writes a user-accessible register with a value it held, or the architectural default.
        unsafe { asm!("msr fpcr, {}", in(reg) word, options(nostack)) };
    }
}

/// Sets the standard environment and restores the caller's when dropped.
pub(super) struct FpEnv(register::Word);

impl FpEnv {
    #[inline]
    pub(super) fn standard() -> Self {
        let old = register::get();
        if old & register::CONTROL != register::STANDARD {
            register::set(register::STANDARD);
        }
        FpEnv(old)
    }
}

impl Drop for FpEnv {
    #[inline]
    fn drop(&mut self) {
        if self.0 & register::CONTROL != register::STANDARD {
            register::set(self.0);
        }
    }
}

/// Puts the calling thread into flush-to-zero, or back: what `torch.set_flush_denormal` does, for tests.
pub fn set_flush_to_zero_for_tests(on: bool) {
    let word = register::get();
    register::set(if on { word | register::FLUSH } else { word & !register::FLUSH });
}
