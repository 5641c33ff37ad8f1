//! A fixed number of lanes and a fixed reduction tree, which make a sum independent of the processor's vector width.

/// The last, partial block of `L` lanes, filled up with `fill`.
///
/// The tail then goes through the same arithmetic as the full blocks; `fill` must be neutral there (or be masked out).
#[inline(always)]
pub fn padded<T: Copy, const L: usize>(tail: &[T], fill: T) -> [T; L] {
    let mut block = [fill; L];
    block[..tail.len()].copy_from_slice(tail);
    block
}

macro_rules! tree {
    ($name:ident, $float:ty) => {
        /// The sum of `L` lanes (a power of two) by halving: lane `i + L/2` is added to lane `i`, then `i + L/4`, and
        /// so on.
        #[inline(always)]
        pub fn $name<const L: usize>(mut lanes: [$float; L]) -> $float {
            let mut half = L / 2;
            while half > 0 {
                for i in 0..half {
                    lanes[i] += lanes[i + half];
                }
                half /= 2;
            }
            lanes[0]
        }
    };
}
tree!(tree32, f32);
tree!(tree64, f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_halves() {
        let lanes = [1.0f64, 1e16, -1.0, 3.0, 5.0, -1e16, 7.0, 9.0];
        let by_hand = ((1.0 + 5.0) + (-1.0 + 7.0)) + ((1e16 + -1e16) + (3.0 + 9.0));
        assert_eq!(tree64(lanes), by_hand);
        assert_eq!(tree32([1.0f32]), 1.0);
    }

    #[test]
    fn a_tail_is_padded() {
        assert_eq!(padded::<u8, 4>(&[1, 2], 9), [1, 2, 9, 9]);
    }
}
