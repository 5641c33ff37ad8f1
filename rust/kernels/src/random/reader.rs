//! One random number after another, where it is not known beforehand how many are needed.

use super::philox::{Stream, WORDS};

/// The numbers of 64 bits of a stream: two words each, the low half first.
pub struct Reader {
    stream: Stream,
    batch: u64,
    numbers: [u64; NUMBERS],
    at: usize,
}

/// The numbers in a batch.
const NUMBERS: usize = WORDS / 2;

impl Reader {
    /// The numbers of a stream from its beginning on.
    #[inline(always)]
    pub fn new(stream: Stream) -> Reader {
        Reader { stream, batch: 0, numbers: [0; NUMBERS], at: NUMBERS }
    }

    #[inline(always)]
    fn refill(&mut self) {
        let words = self.stream.batch(self.batch);
        for i in 0..NUMBERS {
            self.numbers[i] = u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32;
        }
        self.batch += 1;
        self.at = 0;
    }

    /// The next number.
    #[inline(always)]
    pub fn draw(&mut self) -> u64 {
        if self.at == NUMBERS {
            self.refill();
        }
        let number = self.numbers[self.at];
        self.at += 1;
        number
    }

    /// A number below `n` (at least 1), each as probable as the others: the upper half of a product, and another number
    /// where the lower half shows that it would favour some (Lemire, TOMACS 2019).
    #[inline(always)]
    pub fn below(&mut self, n: u64) -> u64 {
        loop {
            let product = u128::from(self.draw()) * u128::from(n);
            // What would favour some is less than n: seldom is the remainder needed.
            if product as u64 >= n || product as u64 >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Domain;
    use super::*;

    fn reader() -> Reader {
        Reader::new(Stream::new(3, Domain::Bootstrap, 5))
    }

    #[test]
    fn numbers_below_n_are_those_of_lemire() {
        for n in [1, 2, 3, 1000, (1 << 63) + 1, u64::MAX] {
            let (mut by_hand, mut found) = (reader(), reader());
            for _ in 0..200 {
                let want = loop {
                    let product = u128::from(by_hand.draw()) * u128::from(n);
                    if product as u64 >= n.wrapping_neg() % n {
                        break (product >> 64) as u64;
                    }
                };
                assert_eq!(found.below(n), want);
            }
        }
    }
}
