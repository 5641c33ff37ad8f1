//! Counts of values in bins that are as narrow as their number allows, the same for every order of the values.
//!
//! The numbers of one sign and exponent are a block, whose values are told by 52 bits. Where a block has more than
//! [`MOST`] different ones, the lowest bits are left out: as few as leave at most [`MOST`]. This choice depends on the set
//! of values alone, and since more values never need fewer bits left out, the counts of parts of the values are enough to
//! find it. So merging is associative and commutative, bit for bit. (Sketches that keep a sample or compact their items,
//! as KLL does, depend on the order.)

use crate::memory::{self, NoMemory};

/// The most bins of a block: a bin is then at most 2^-10 as wide as its values are large.
pub const MOST: usize = 1 << 10;
/// The bits that tell the values of a block.
pub const MANTISSA: u32 = 52;

/// The values of one sign and exponent.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The sign and the exponent, in the order of the numbers.
    pub key: u16,
    /// How many of the lowest bits are left out.
    pub shift: u8,
    /// The remaining bits of the values in ascending order, and how many values have them.
    pub bins: Vec<(u64, u64)>,
}

/// Blocks in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    pub(super) blocks: Vec<Block>,
}

/// A number of the order of `x`: as integers they compare as the numbers do. -0 counts as 0.
pub fn rank_bits(x: f64) -> u64 {
    let bits = if x == 0.0 { 0 } else { x.to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The number with these bits.
pub fn of_rank_bits(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

/// The values of a bin: all of them lie from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The smallest number of the bin.
    pub low: f64,
    /// The largest number of the bin.
    pub high: f64,
    /// How many values lie in the bins before.
    pub before: u64,
    /// How many values lie in it.
    pub count: u64,
}

impl Block {
    /// Leaves out as many bits more as are needed for at most [`MOST`] bins.
    fn fit(&mut self) {
        while self.bins.len() > MOST {
            self.coarsen(self.shift + 1);
        }
    }

    fn coarsen(&mut self, shift: u8) {
        let by = shift - self.shift;
        if by == 0 {
            return;
        }
        let mut kept = 0;
        for at in 0..self.bins.len() {
            let (bin, count) = (self.bins[at].0 >> by, self.bins[at].1);
            if kept > 0 && self.bins[kept - 1].0 == bin {
                self.bins[kept - 1].1 += count;
            } else {
                self.bins[kept] = (bin, count);
                kept += 1;
            }
        }
        self.bins.truncate(kept);
        self.shift = shift;
    }

    /// The values of both, which have one key.
    fn plus(&self, other: &Block) -> Result<Block, NoMemory> {
        let shift = self.shift.max(other.shift);
        let (mut a, mut b) = (self.copied()?, other.copied()?);
        a.coarsen(shift);
        b.coarsen(shift);
        let mut bins = memory::with_capacity(a.bins.len() + b.bins.len())?;
        let (mut i, mut j) = (0, 0);
        loop {
            match (a.bins.get(i), b.bins.get(j)) {
                (Some(&(bin, here)), Some(&(other, there))) if bin == other => {
                    bins.push((bin, here + there));
                    (i, j) = (i + 1, j + 1);
                }
                (Some(&next), other) if other.is_none_or(|other| next.0 < other.0) => {
                    bins.push(next);
                    i += 1;
                }
                (_, Some(&next)) => {
                    bins.push(next);
                    j += 1;
                }
                (_, None) => break,
            }
        }
        let mut both = Block { key: self.key, shift, bins };
        both.fit();
        Ok(both)
    }

    fn copied(&self) -> Result<Block, NoMemory> {
        Ok(Block { bins: memory::copied(&self.bins)?, ..*self })
    }

    /// The first and the last number of a bin.
    fn ends(&self, bin: u64) -> (f64, f64) {
        let low = u64::from(self.key) << MANTISSA | bin << self.shift;
        let (a, b) = (of_rank_bits(low), of_rank_bits(low + ((1 << self.shift) - 1)));
        (a, b)
    }
}

impl Histogram {
    /// Of finite values, which are sorted here by their bits.
    pub fn of(values: &mut [u64]) -> Result<Histogram, NoMemory> {
        values.sort_unstable();
        let mut blocks: Vec<Block> = Vec::new();
        for &mut bits in values {
            let (key, bin) = ((bits >> MANTISSA) as u16, bits & ((1 << MANTISSA) - 1));
            if blocks.last().is_none_or(|block| block.key != key) {
                if let Some(done) = blocks.last_mut() {
                    done.fit();
                }
                memory::push(&mut blocks, Block { key, shift: 0, bins: Vec::new() })?;
            }
            if let Some(block) = blocks.last_mut() {
                match block.bins.last_mut() {
                    Some((last, count)) if *last == bin => *count += 1,
                    _ => memory::push(&mut block.bins, (bin, 1))?,
                }
            }
        }
        if let Some(done) = blocks.last_mut() {
            done.fit();
        }
        Ok(Histogram { blocks })
    }

    /// The values of both.
    pub fn plus(&self, other: &Histogram) -> Result<Histogram, NoMemory> {
        let mut blocks = memory::with_capacity(self.blocks.len() + other.blocks.len())?;
        let (mut i, mut j) = (0, 0);
        loop {
            match (self.blocks.get(i), other.blocks.get(j)) {
                (Some(here), Some(there)) if here.key == there.key => {
                    blocks.push(here.plus(there)?);
                    (i, j) = (i + 1, j + 1);
                }
                (Some(next), there) if there.is_none_or(|there| next.key < there.key) => {
                    blocks.push(next.copied()?);
                    i += 1;
                }
                (_, Some(next)) => {
                    blocks.push(next.copied()?);
                    j += 1;
                }
                (_, None) => break,
            }
        }
        Ok(Histogram { blocks })
    }

    /// A copy.
    pub fn copied(&self) -> Result<Histogram, NoMemory> {
        let mut blocks = memory::with_capacity(self.blocks.len())?;
        for block in &self.blocks {
            blocks.push(block.copied()?);
        }
        Ok(Histogram { blocks })
    }

    /// The number of bins.
    pub fn bins(&self) -> usize {
        self.blocks.iter().map(|block| block.bins.len()).sum()
    }

    /// Whether every bin is one number, so that quantiles are exact.
    pub fn exact(&self) -> bool {
        self.blocks.iter().all(|block| block.shift == 0)
    }

    /// The bin of the value with this rank, counted from 0, in ascending order; `None` beyond the last.
    pub fn bin(&self, rank: u64) -> Option<Bin> {
        let mut before = 0;
        for block in &self.blocks {
            for &(bin, count) in &block.bins {
                if rank - before < count {
                    let (low, high) = block.ends(bin);
                    return Some(Bin { low, high, before, count });
                }
                before += count;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Histogram {
        let mut bits: Vec<u64> = values.iter().map(|&x| rank_bits(x)).collect();
        Histogram::of(&mut bits).unwrap()
    }

    fn values(n: u64) -> Vec<f64> {
        (0..n)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / (1u64 << 50) as f64 - 3.0)
            .collect()
    }

    #[test]
    fn bits_are_in_the_order_of_the_numbers() {
        let sorted =
            [f64::MIN, -2.5, -1e-300, -f64::from_bits(1), 0.0, f64::from_bits(1), 1.0, 1.5, f64::MAX];
        assert!(sorted.windows(2).all(|pair| rank_bits(pair[0]) < rank_bits(pair[1])));
        assert!(sorted.iter().all(|&x| of_rank_bits(rank_bits(x)) == x));
        assert_eq!(rank_bits(-0.0), rank_bits(0.0));
    }

    #[test]
    fn every_split_and_order_gives_the_same_bins() {
        let x = values(20_000);
        let whole = of(&x);
        assert!(!whole.exact() && whole.blocks.iter().all(|block| block.bins.len() <= MOST));
        for cut in [1, 700, 13_000] {
            let (a, b) = (of(&x[..cut]), of(&x[cut..]));
            assert_eq!(a.plus(&b).unwrap(), whole);
            assert_eq!(b.plus(&a).unwrap(), whole);
        }
        let mut parts = of(&[]);
        for part in x.chunks(37).rev() {
            parts = parts.plus(&of(part)).unwrap();
        }
        assert_eq!(parts, whole);
    }

    #[test]
    fn values_lie_in_the_bins_of_their_ranks() {
        let mut x = values(50_000);
        let whole = of(&x);
        x.sort_unstable_by(f64::total_cmp);
        for rank in (0..x.len()).step_by(97) {
            let bin = whole.bin(rank as u64).unwrap();
            assert!(bin.low <= x[rank] && x[rank] <= bin.high && bin.before <= rank as u64);
            assert!(bin.high - bin.low <= x[rank].abs() / 512.0, "{bin:?}");
        }
        assert_eq!(whole.bin(50_000), None);
    }

    #[test]
    fn few_different_values_stay_exact() {
        let x: Vec<f64> = (0..5_000).map(|i| f64::from(i % 101) / 100.0).collect();
        let whole = of(&x);
        assert!(whole.exact());
        assert_eq!(whole.bin(2_500).map(|bin| bin.low), Some(0.5));
    }
}
