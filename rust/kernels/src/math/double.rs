//! Products in twice the precision, by plain arithmetic.

/// `a * b` as an unevaluated sum, exact while nothing over- or underflows (Dekker's product with Veltkamp's
/// splitting: T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math.
/// 18, 1971). The first part is the rounded product. Factors above 1e300 give a NaN in the second part.
pub(crate) fn product(a: f64, b: f64) -> (f64, f64) {
    let high = a * b;
    let ((a1, a2), (b1, b2)) = (halves(a), halves(b));
    (high, ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2)
}

/// `a` as a sum of two numbers of 26 bits.
fn halves(a: f64) -> (f64, f64) {
    let c = 134_217_729.0 * a; // 2^27 + 1
    let high = c - (c - a);
    (high, a - high)
}

#[cfg(test)]
mod tests {
    use super::product;

    #[test]
    fn both_parts_make_the_exact_product() {
        for i in 1..10_000u64 {
            let (a, b) = ((i * 0x0a_bcde_f123) as f64 + 0.5, (i * 0x1_2345_6789) as f64 + 0.25);
            let (high, low) = product(a, b);
            // Both factors are integers after scaling: the product fits 128 bits.
            let exact = ((a * 2.0) as u128) * ((b * 4.0) as u128);
            let parts = (high * 8.0) as u128;
            assert_eq!(exact as i128 - parts as i128, (low * 8.0) as i128);
        }
    }
}
