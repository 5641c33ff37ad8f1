//! Inputs from whole numbers, and the digest of what comes out: both the same on every machine.

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
    /// Any bit pattern: infinities, NaN and subnormals among them.
    fn wild(word: u64) -> Self;
    /// A number in [-8, 8), exact in the type.
    fn tame(word: u64) -> Self;
    /// A number in [0, 1], both ends included where the type is short enough to meet them.
    fn unit(word: u64) -> Self;
    /// `k / 128` for k in 0..=128, exact.
    fn part_of_128(k: u64) -> Self;
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

/// What a kernel gives for inputs that it has no reason to refuse: nothing in its place would be a digest like any other.
#[allow(clippy::panic)] // there is no digest then
pub fn given<T, E: Debug>(found: Result<T, E>) -> T {
    found.unwrap_or_else(|refused| panic!("the kernel gave no result: {refused:?}"))
}

/// Every alternative by its name, each at a level of its own.
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

/// A fixed 64-bit hash of results (the multiplier and start of FNV-1a, a word at a time), and the digests of its
/// variants. All NaN are one: a NaN's sign and payload are outside the promise.
pub struct Digest {
    hash: u64,
    fed: bool,
    variants: BTreeMap<&'static str, Digest>,
}

impl Digest {
    pub fn new() -> Self {
        Digest { hash: 0xcbf2_9ce4_8422_2325, fed: false, variants: BTreeMap::new() }
    }

    /// The digest of one variant (a loss, a method, a statistic): each has a line of its own in the committed file,
    /// so that a new variant is a new line and changes no other.
    pub fn of(&mut self, variant: &'static str) -> &mut Digest {
        self.variants.entry(variant).or_insert_with(Digest::new)
    }

    /// The hash of what was fed to it, and those of its variants, by name: `key`, `key.variant`, ... A digest that was
    /// fed nothing has a hash only where it has no variants.
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
    /// By its bits: under the caller's flush-to-zero a conversion or comparison could lose a subnormal.
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
