//! BLEU of a corpus, from the counts of its sentences.

use super::super::{Domain, Scale, Smooth};
use crate::math::{exp, log};

/// The longest n-grams that count.
const ORDERS: usize = 4;
const MATCHES: usize = 2;
const TOTALS: usize = MATCHES + ORDERS;

/// `100 min(1, exp(1 - r/c)) (p_1 p_2 p_3 p_4)^(1/4)` (Papineni and others 2002), from the sums of the lengths c and r of
/// system and reference and, for each order, of the matching n-grams and of all n-grams of the system, `p_k = m_k/t_k`.
///
/// The i-th order without a match has the precision `1/(2^i t_k)`, as in NIST's mteval-v13a and by default in sacreBLEU;
/// the influences take it as fixed. Without any match, or without any n-gram of an order, BLEU is 0; it is NaN where the
/// references are empty.
#[derive(Clone, Copy)]
pub struct Bleu;

impl Smooth<10, 10> for Bleu {
    const DOMAINS: [Domain; 10] = [Domain::NonNegative; 10];
    const SCALE: Scale = Scale::Percent;
    const SIZED: bool = true;

    #[inline(always)]
    fn terms(self, row: [f64; 10]) -> [f64; 10] {
        row
    }

    fn value(self, sums: [f64; 10]) -> f64 {
        let [system, reference, ..] = sums;
        if reference <= 0.0 {
            return f64::NAN;
        }
        if is_nothing(&sums) {
            return 0.0;
        }
        let (mut logs, mut smoothing) = (0.0, 1.0);
        for k in 0..ORDERS {
            let (matches, total) = (sums[MATCHES + k], sums[TOTALS + k]);
            let matches = if matches > 0.0 {
                matches
            } else {
                smoothing *= 0.5;
                smoothing
            };
            logs += log(matches / total);
        }
        let brevity = if system < reference { 1.0 - reference / system } else { 0.0 };
        100.0 * exp(brevity + logs / ORDERS as f64)
    }

    fn gradient(self, sums: [f64; 10]) -> [f64; 10] {
        let mut gradient = [0.0; 10];
        if is_nothing(&sums) {
            return gradient;
        }
        let ([system, reference, ..], value) = (sums, self.value(sums));
        if system < reference {
            gradient[0] = value * (reference / system) / system;
            gradient[1] = -value / system;
        }
        for k in 0..ORDERS {
            if sums[MATCHES + k] > 0.0 {
                gradient[MATCHES + k] = value / (ORDERS as f64 * sums[MATCHES + k]);
                gradient[TOTALS + k] = -value / (ORDERS as f64 * sums[TOTALS + k]);
            }
        }
        gradient
    }

    /// The length of the reference, since that of the system may be 0.
    fn size(self, [_, reference, ..]: [f64; 10]) -> f64 {
        reference
    }
}

/// Whether nothing matches, or an order has no n-grams.
fn is_nothing(sums: &[f64; 10]) -> bool {
    sums[MATCHES..TOTALS].iter().all(|&matches| matches <= 0.0)
        || sums[TOTALS..].iter().any(|&total| total <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two orders without a match have the precisions 1/(2 * 3) and 1/(4 * 2).
    #[test]
    fn orders_without_matches_are_smoothed_one_after_the_other() {
        let got = Bleu.value([5.0, 5.0, 4.0, 1.0, 0.0, 0.0, 5.0, 4.0, 3.0, 2.0]);
        let product: f64 = 4.0 / 5.0 * (1.0 / 4.0) / (2.0 * 3.0) / (4.0 * 2.0);
        let want = 100.0 * product.sqrt().sqrt();
        assert!((got - want).abs() < 1e-13, "{got} {want}");
    }

    #[test]
    fn nothing_is_zero_and_no_reference_is_no_answer() {
        let sums = [5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 5.0, 4.0, 3.0, 2.0];
        assert_eq!((Bleu.value(sums), Bleu.gradient(sums)), (0.0, [0.0; 10]));
        let short = [3.0, 3.0, 3.0, 2.0, 1.0, 0.0, 3.0, 2.0, 1.0, 0.0];
        assert_eq!(Bleu.value(short), 0.0);
        assert!(Bleu.value([0.0; 10]).is_nan());
    }
}
