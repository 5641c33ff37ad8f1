//! The random lengths of stationary blocks.

use crate::random::Reader;

/// The powers in a table: a number that is below so many says that a block is longer than they tell.
const POWERS: usize = 255;

/// The geometric law of the lengths of blocks that go on after each unit with the probability q = 1 - 1/mean.
///
/// A length is above j with the probability q^j. So one number of 64 bits is compared with q, q^2, ..., q^255: how many
/// of them it is below is the length less 1. The powers are whole multiples of 2^-64, each the one before it times q,
/// rounded down: q^j is right to j 2^-64. After 255 units the law begins anew, since it has no memory.
pub(super) struct Geometric {
    powers: [u64; POWERS + 1],
}

impl Geometric {
    /// The law of lengths with a mean of at least 1, of which those above `most` need not be told apart.
    #[inline(always)]
    pub(super) fn new(mean: f64, most: usize) -> Geometric {
        const ONE: u128 = 1 << 64;
        let ends = (1.0 / mean * ONE as f64) as u128;
        let on = ONE.saturating_sub(ends).min(ONE - 1);
        let (mut powers, mut power) = ([0; POWERS + 1], on);
        for to in &mut powers[..if most < POWERS { most } else { POWERS }] {
            *to = power as u64;
            power = (power * on) >> 64;
        }
        Geometric { powers }
    }

    /// A length, of at most `most`.
    #[inline(always)]
    pub(super) fn draw(&self, reader: &mut Reader, most: usize) -> usize {
        let mut length = 1;
        loop {
            let below = self.below(reader.draw());
            length += below;
            if length >= most {
                return most;
            }
            if below < POWERS {
                return length;
            }
        }
    }

    /// How many of the powers a number is below.
    #[inline(always)]
    fn below(&self, number: u64) -> usize {
        // The powers fall: their number is found bit by bit, without branches.
        let (mut found, mut bit) = (0, POWERS.div_ceil(2));
        while bit > 0 {
            found += bit * usize::from(number < self.powers[(found + bit - 1) % (POWERS + 1)]);
            bit /= 2;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, Stream};

    const LONG: usize = 1 << 40;

    fn reader(replicate: u32) -> Reader {
        Reader::new(Stream::new(11, Domain::Bootstrap, replicate))
    }

    #[test]
    fn a_number_is_below_so_many_powers() {
        for mean in [1.0, 1.001, 2.0, 50.0, 1e5, 1e30] {
            let law = Geometric::new(mean, LONG);
            let mut numbers = vec![0, 1, u64::MAX];
            for &power in &law.powers[..POWERS] {
                numbers.extend([power.saturating_sub(1), power, power.saturating_add(1)]);
            }
            for number in numbers {
                let want = law.powers[..POWERS].iter().filter(|&&power| number < power).count();
                assert_eq!(law.below(number), want, "{mean}");
            }
        }
    }

    /// Pearson's chi-square over cells of at least 20 expected lengths, within six standard deviations of its mean.
    #[test]
    fn lengths_follow_the_geometric_law() {
        const DRAWS: usize = 200_000;
        for (case, mean) in [1.0, 1.3, 2.0, 7.5, 60.0, 400.0, 3000.0].into_iter().enumerate() {
            let (law, mut reader) = (Geometric::new(mean, LONG), reader(case as u32));
            let lengths: Vec<usize> = (0..DRAWS).map(|_| law.draw(&mut reader, LONG)).collect();
            let on: f64 = 1.0 - 1.0 / mean;
            let above = |j: usize| (0..j).fold(1.0, |power, _| power * on);
            let width = (mean / 20.0) as usize + 1;
            let (mut chi, mut cells, mut first) = (0.0, 0, 0);
            while DRAWS as f64 * above(first + width) > 20.0 {
                let expected = DRAWS as f64 * (above(first) - above(first + width));
                let found = lengths.iter().filter(|&&x| x > first && x <= first + width).count() as f64;
                chi += (found - expected) * (found - expected) / expected;
                (cells, first) = (cells + 1, first + width);
            }
            let expected = DRAWS as f64 * above(first);
            let found = lengths.iter().filter(|&&x| x > first).count() as f64;
            chi += if expected > 0.0 { (found - expected) * (found - expected) / expected } else { found };
            let deviation = (chi - f64::from(cells)) / (2.0 * f64::from(cells) + 1.0).sqrt();
            assert!(deviation.abs() < 6.0, "mean {mean}: {chi} over {cells} cells");
        }
    }

    #[test]
    fn lengths_that_are_cut_off_need_no_more_powers() {
        for mean in [1.0, 2.5, 40.0, 1000.0] {
            for most in [1, 2, 30, 254, 255, 256, 700] {
                let (short, long) = (Geometric::new(mean, most), Geometric::new(mean, LONG));
                let (mut one, mut other) = (reader(1), reader(1));
                for _ in 0..200 {
                    let got = short.draw(&mut one, most);
                    assert_eq!(got, long.draw(&mut other, most), "mean {mean}, most {most}");
                    assert!((1..=most).contains(&got));
                    assert_eq!(one.draw(), other.draw());
                }
            }
        }
    }

    #[test]
    fn a_mean_of_1_leaves_no_choice_and_one_beyond_measure_no_end() {
        let mut reader = reader(2);
        assert!((0..1000).all(|_| Geometric::new(1.0, LONG).draw(&mut reader, LONG) == 1));
        assert_eq!(Geometric::new(1e300, LONG).draw(&mut reader, 100_000), 100_000);
    }
}
