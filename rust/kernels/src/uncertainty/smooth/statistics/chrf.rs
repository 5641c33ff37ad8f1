//! chrF of a corpus, from the counts of its sentences.

use super::super::{Domain, Scale, Smooth};

/// The weight of the recall, beta squared.
const WEIGHT: f64 = 4.0;

/// `100 (1 + b) P R / (b P + R)` with `b = 2^2` (Popovic 2015), from the sums over each of K/3 orders of n-grams: those of
/// the system, of the reference, and matching. P and R are the means of `matches/system` and `matches/reference` over
/// the orders of which both have some. 18 sums are chrF, of six orders of characters; 24 are chrF++ (Popovic 2017), with
/// two orders of words. Without a match it is 0; it is NaN where the references are empty.
#[derive(Clone, Copy)]
pub struct Chrf<const K: usize>;

impl<const K: usize> Smooth<K, K> for Chrf<K> {
    const DOMAINS: [Domain; K] = [Domain::NonNegative; K];
    const SCALE: Scale = Scale::Percent;
    const SIZED: bool = true;

    #[inline(always)]
    fn terms(self, row: [f64; K]) -> [f64; K] {
        row
    }

    fn value(self, sums: [f64; K]) -> f64 {
        if sums[1] <= 0.0 {
            return f64::NAN;
        }
        let Means { precision, recall, .. } = means(&sums);
        if precision > 0.0 {
            100.0 * (1.0 + WEIGHT) * precision * recall / (WEIGHT * precision + recall)
        } else {
            0.0
        }
    }

    fn gradient(self, sums: [f64; K]) -> [f64; K] {
        let Means { precision, recall, orders } = means(&sums);
        let mut gradient = [0.0; K];
        if precision <= 0.0 {
            return gradient;
        }
        let below = WEIGHT * precision + recall;
        let each = 100.0 * (1.0 + WEIGHT) / (below * below) / orders;
        let (by_precision, by_recall) = (each * recall * recall, each * WEIGHT * precision * precision);
        let counts = sums.as_chunks::<3>().0.iter().zip(gradient.as_chunks_mut::<3>().0);
        for (&[system, reference, matches], gradient) in counts {
            if system > 0.0 && reference > 0.0 {
                *gradient = [
                    -by_precision * (matches / system) / system,
                    -by_recall * (matches / reference) / reference,
                    by_precision / system + by_recall / reference,
                ];
            }
        }
        gradient
    }

    /// The characters of the reference, since the system may have none.
    fn size(self, unit: [f64; K]) -> f64 {
        unit[1]
    }
}

/// The mean precision and recall, and the number of orders that they are means of.
struct Means {
    precision: f64,
    recall: f64,
    orders: f64,
}

/// The means over the orders of which system and reference have n-grams; 0 where there are none.
fn means(sums: &[f64]) -> Means {
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
    for &[system, reference, matches] in sums.as_chunks::<3>().0 {
        if system > 0.0 && reference > 0.0 {
            precision += matches / system;
            recall += matches / reference;
            orders += 1.0;
        }
    }
    let least = if orders > 0.0 { orders } else { 1.0 };
    Means { precision: precision / least, recall: recall / least, orders }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders that one of the two lacks do not count: here the second.
    #[test]
    fn only_orders_that_both_have_count() {
        let mut sums = [0.0; 18];
        sums[..6].copy_from_slice(&[8.0, 10.0, 6.0, 0.0, 9.0, 0.0]);
        let (precision, recall) = (6.0 / 8.0, 6.0 / 10.0);
        let want = 100.0 * 5.0 * precision * recall / (4.0 * precision + recall);
        assert!((Chrf.value(sums) - want).abs() < 1e-13);
        assert_eq!(Chrf.gradient(sums)[3..6], [0.0; 3]);
    }

    #[test]
    fn nothing_is_zero_and_no_reference_is_no_answer() {
        let mut sums = [0.0; 24];
        assert!(Chrf.value(sums).is_nan());
        sums[1] = 5.0;
        assert_eq!((Chrf.value(sums), Chrf.gradient(sums)), (0.0, [0.0; 24]));
    }
}
