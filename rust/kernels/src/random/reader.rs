//! One random number after another, where it is not known beforehand how many are needed.

use super::philox::{Stream, WORDS};

/// The numbers of 64 bits of a stream: two words each, the low half first.
pub struct Reader {
    stream: Stream,
    batch: u64,
    words: [u32; WORDS],
    at: usize,
}

impl Reader {
    /// The numbers of a stream from its beginning on.
    pub fn new(stream: Stream) -> Reader {
        Reader { stream, batch: 0, words: [0; WORDS], at: WORDS }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        if self.at == WORDS {
            (self.words, self.at) = (self.stream.batch(self.batch), 0);
            self.batch += 1;
        }
        let [low, high] = [self.words[self.at], self.words[self.at + 1]];
        self.at += 2;
        u64::from(low) | u64::from(high) << 32
    }

    /// A number below `n` (at least 1), each as probable as the others: the upper half of a product, and another number
    /// where the lower half shows that it would favour some (Lemire, TOMACS 2019).
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
