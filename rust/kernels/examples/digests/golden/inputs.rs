//! Inputs made from whole numbers, and the digest of results: both are the same on every machine.

use std::collections::BTreeMap;
use std::fmt::Debug;
use steelyard_kernels::intervals::{Alternative, Confidence};
use steelyard_kernels::named::Named;
use steelyard_kernels::simd::{Bf16, Element, F16};

/// `n` words of a splitmix64 stream.
pub fn words(n: usize, stream: u64) -> impl Iterator<Item = u64> {
    let mut state = stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
    (0..n).map(move |_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// `n` pairs of words.
pub fn pairs(n: usize, stream: u64) -> impl Iterator<Item = (u64, u64)> {
    words(n, stream).zip(words(n, stream.wrapping_add(1000)))
}

/// An element made from a word.
pub trait Draw: Element {
    /// A number of any bit pattern, infinities, NaN and subnormal numbers included.
    fn wild(word: u64) -> Self;
    /// A number in [-8, 8), exact in the type.
    fn tame(word: u64) -> Self;
    /// A number in [0, 1]; 16-bit types reach both ends.
    fn unit(word: u64) -> Self;
    /// `k / 128` for k in 0..=128, exact.
    fn part_of_128(k: u64) -> Self;
    /// Adds the bits to a digest.
    fn feed(self, digest: &mut Digest);
}

impl Draw for f64 {
    fn wild(word: u64) -> Self {
        f64::from_bits(word)
    }
    fn tame(word: u64) -> Self {
        ((word >> 11) as f64) * (1.0 / (1u64 << 49) as f64) - 8.0
    }
    fn unit(word: u64) -> Self {
        ((word >> 11) as f64) * (1.0 / (1u64 << 53) as f64)
    }
    fn part_of_128(k: u64) -> Self {
        k as f64 / 128.0
    }
    fn feed(self, digest: &mut Digest) {
        digest.double(self);
    }
}

impl Draw for f32 {
    fn wild(word: u64) -> Self {
        f32::from_bits(word as u32)
    }
    fn tame(word: u64) -> Self {
        ((word >> 40) as f32) * (1.0 / (1u64 << 20) as f32) - 8.0
    }
    fn unit(word: u64) -> Self {
        ((word >> 40) as f32) * (1.0 / (1u64 << 24) as f32)
    }
    fn part_of_128(k: u64) -> Self {
        k as f32 / 128.0
    }
    fn feed(self, digest: &mut Digest) {
        digest.single(self);
    }
}

impl Draw for Bf16 {
    fn wild(word: u64) -> Self {
        Bf16(word as u16)
    }
    fn tame(word: u64) -> Self {
        Bf16((f32::tame(word).to_bits() >> 16) as u16)
    }
    fn unit(word: u64) -> Self {
        Bf16((word % 0x3f81) as u16)
    }
    fn part_of_128(k: u64) -> Self {
        Bf16((f32::part_of_128(k).to_bits() >> 16) as u16)
    }
    fn feed(self, digest: &mut Digest) {
        digest.single(f32::from_bits(u32::from(self.0) << 16));
    }
}

impl Draw for F16 {
    fn wild(word: u64) -> Self {
        F16(word as u16)
    }
    fn tame(word: u64) -> Self {
        // Sign, an exponent from 2^-5 to 2^2, and ten bits of fraction.
        F16((word as u16 & 0x83ff) | ((10 + (word >> 32 & 7)) as u16) << 10)
    }
    fn unit(word: u64) -> Self {
        F16((word % 0x3c01) as u16)
    }
    fn part_of_128(k: u64) -> Self {
        // The exponent is re-biased from 127 to 15; the fraction fits.
        let bits = f32::part_of_128(k).to_bits();
        F16(if k == 0 { 0 } else { ((bits >> 13) - (112 << 10)) as u16 })
    }
    fn feed(self, digest: &mut Digest) {
        let nan = self.0 & 0x7fff > 0x7c00;
        digest.word(if nan { 0x7e00 } else { self.0.into() });
    }
}

/// `n` elements of any bit pattern.
pub fn wild<T: Draw>(n: usize, stream: u64) -> Vec<T> {
    words(n, stream).map(T::wild).collect()
}

/// `n` numbers in [-8, 8).
pub fn tame<T: Draw>(n: usize, stream: u64) -> Vec<T> {
    words(n, stream).map(T::tame).collect()
}

/// `n` numbers in [0, 1].
pub fn unit<T: Draw>(n: usize, stream: u64) -> Vec<T> {
    words(n, stream).map(T::unit).collect()
}

/// The result of a kernel for inputs that it must not refuse. The digest of an error in place of a result would look
/// like any other digest, so that nobody would notice.
#[allow(clippy::panic)] // without a result there is no digest
pub fn given<T, E: Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|refused| panic!("the kernel gave no result: {refused:?}"))
}

/// Every alternative with its name, each with another confidence level.
pub fn ways() -> impl Iterator<Item = (&'static str, Confidence)> {
    Alternative::ALL.iter().map(|&alternative| {
        let level = match alternative {
            Alternative::TwoSided => 0.95,
            Alternative::Less => 0.9,
            Alternative::Greater => 0.999,
        };
        (alternative.name(), Confidence { level, alternative })
    })
}

/// A fixed 64-bit hash of results (with the multiplier and start of FNV-1a, one word at a time), and the digests of
/// variants. All NaNs count as the same value, since the promise of equal bits leaves out a NaN's sign and payload.
pub struct Digest {
    hash: u64,
    fed: bool,
    variants: BTreeMap<&'static str, Digest>,
}

impl Digest {
    pub fn new() -> Self {
        Digest { hash: 0xcbf2_9ce4_8422_2325, fed: false, variants: BTreeMap::new() }
    }

    /// The digest of one variant (a loss, a method, a statistic). Each has a line of its own in the committed file, so
    /// that a new variant adds a line and changes none.
    pub fn of(&mut self, variant: &'static str) -> &mut Digest {
        self.variants.entry(variant).or_insert_with(Digest::new)
    }

    /// The hash of what was fed to this digest, and those of its variants, by the names `key`, `key.variant`, and so
    /// on. A digest to which nothing was fed has a hash only if it has no variants.
    pub fn hashes(&self, key: &str) -> Vec<(String, u64)> {
        let own = self.fed || self.variants.is_empty();
        let variants = self.variants.iter().flat_map(|(name, one)| one.hashes(&format!("{key}.{name}")));
        own.then(|| (key.to_owned(), self.hash)).into_iter().chain(variants).collect()
    }

    pub fn word(&mut self, word: u64) {
        self.fed = true;
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.hash ^= self.hash >> 32;
    }
    pub fn wide(&mut self, integer: i128) {
        self.word(integer as u64);
        self.word((integer >> 64) as u64);
    }
    /// Adds the bits of `x`. Only integer operations are used, since in a flush-to-zero mode a conversion or comparison
    /// of floats could change a subnormal number.
    pub fn single(&mut self, x: f32) {
        let nan = x.to_bits() << 1 > f32::INFINITY.to_bits() << 1;
        self.word(u64::from(if nan { f32::NAN.to_bits() } else { x.to_bits() }));
    }
    pub fn double(&mut self, x: f64) {
        let nan = x.to_bits() << 1 > f64::INFINITY.to_bits() << 1;
        self.word(if nan { f64::NAN.to_bits() } else { x.to_bits() });
    }
    pub fn doubles(&mut self, x: &[f64]) {
        for &x in x {
            self.double(x);
        }
    }
    pub fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.word(byte.into());
        }
    }
}
