//! Two samples of 0/1 answers: which interval, by name.

use super::{agresti_caffo, fisher, miettinen_nurminen, square_and_add};
use crate::intervals::proportion::{self, proportion, wilson};
use crate::intervals::{Confidence, Interval};
use crate::named;
use crate::simd::scalar;
use crate::uncertainty::answers::{Difference, Test};

named! {
    /// The interval of the difference of the shares of two samples.
    pub enum Method: "unpaired.method" {
        /// The Wilson limits of both shares, combined by the root of the sum of squares.
        Newcombe = "newcombe" { title: "Newcombe", source: "Newcombe 1998" },
        /// The score interval: inverts the normal test of a difference, whose variance is that of the hypothesis.
        MiettinenNurminen = "miettinen-nurminen" {
            title: "Miettinen-Nurminen", source: "Miettinen and Nurminen 1985",
        },
        /// Wald's formula with one more right and one more wrong answer on each side.
        AgrestiCaffo = "agresti-caffo" { title: "Agresti-Caffo", source: "Agresti and Caffo 2000" },
    }
}

impl Method {
    /// The limits of the difference of the shares `hits` of `rows`, both at the critical value `z`.
    pub fn limits(self, hits: [u64; 2], rows: [u64; 2], z: f64) -> Interval {
        let (k, n) = (hits.map(|x| x as f64), rows.map(|x| x as f64));
        scalar(|| match self {
            Method::Newcombe => {
                let of = [0, 1].map(|side| wilson(k[side], (rows[side] - hits[side]) as f64, z));
                square_and_add([k[0] / n[0], k[1] / n[1]], of)
            }
            Method::MiettinenNurminen => miettinen_nurminen::interval(k, n, z),
            Method::AgrestiCaffo => agresti_caffo::interval(k, n, z),
        })
    }

    /// Whether the lower one of these limits exceeds `d`.
    pub(crate) fn exceeds(self, hits: [u64; 2], rows: [u64; 2], z: f64, d: f64) -> bool {
        let floats = |x: [u64; 2]| x.map(|x| x as f64);
        match self {
            Method::MiettinenNurminen => miettinen_nurminen::exceeds(floats(hits), floats(rows), z, d),
            Method::Newcombe | Method::AgrestiCaffo => self.limits(hits, rows, z).low > d,
        }
    }
}

/// Compares two samples with `hits` right answers of `rows`: the difference of the shares; the root of the sum of the
/// squares of their own standard errors; the interval of `method`; and the p-value of [`fisher`].
pub fn two_samples(
    hits: [u64; 2],
    rows: [u64; 2],
    method: Method,
    test: Test,
    confidence: Confidence,
) -> Difference {
    scalar(|| {
        let of = [0, 1].map(|side| {
            proportion(hits[side], rows[side], proportion::Method::Wilson, confidence.two_sided())
        });
        let [v, w] = of.map(|of| of.standard_error * of.standard_error);
        let p = fisher(hits, rows, confidence.alternative, test);
        Difference {
            value: of[0].value - of[1].value,
            standard_error: (v + w).sqrt(),
            interval: confidence.open(method.limits(hits, rows, confidence.z()), -1.0, 1.0),
            p: if p < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { p },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;
    use crate::named::Named;
    use crate::uncertainty::answers::Test;
    use crate::uncertainty::unpaired::fisher;

    const Z: f64 = 1.959963984540054;

    /// Table II of Newcombe (1998), Statistics in Medicine 17:873.
    #[test]
    fn newcombes_examples() {
        let table = [
            ([56, 48], [70, 80], (0.0528, 0.3382), (0.0524, 0.3339)),
            ([9, 3], [10, 10], (0.1700, 0.8406), (0.1705, 0.8090)),
            ([6, 2], [7, 7], (0.0342, 0.8534), (0.0582, 0.8062)),
            ([5, 0], [56, 29], (-0.0326, 0.1933), (-0.0381, 0.1926)),
            ([0, 0], [10, 20], (-0.1658, 0.2844), (-0.1611, 0.2775)),
            ([0, 0], [10, 10], (-0.2879, 0.2879), (-0.2775, 0.2775)),
            ([10, 0], [10, 20], (0.7156, 1.0), (0.6791, 1.0)),
            ([10, 0], [10, 10], (0.6636, 1.0), (0.6075, 1.0)),
        ];
        for (hits, rows, score, newcombe) in table {
            for (method, (low, high)) in [(Method::MiettinenNurminen, score), (Method::Newcombe, newcombe)] {
                let got = method.limits(hits, rows, Z);
                assert!(
                    (got.low - low).abs() < 5.1e-5 && (got.high - high).abs() < 5.1e-5,
                    "{method:?} {hits:?} {rows:?}: {got:?}"
                );
            }
        }
    }

    #[test]
    fn swapping_the_sides_swaps_the_limits_and_none_has_no_width() {
        for &method in Method::ALL {
            for (n, m) in [(1, 1), (1, 5), (4, 7), (6, 6)] {
                for (k, j) in (0..=n).flat_map(|k| (0..=m).map(move |j| (k, j))) {
                    let (there, back) = (method.limits([k, j], [n, m], Z), method.limits([j, k], [m, n], Z));
                    assert_eq!(
                        (there.low, there.high),
                        (-back.high, -back.low),
                        "{method:?} {k}/{n} {j}/{m}"
                    );
                    assert!(-1.0 <= there.low && there.low < there.high && there.high <= 1.0);
                    let value = k as f64 / n as f64 - j as f64 / m as f64;
                    // Agresti and Caffo's centre is nearer to 0 than the difference.
                    let inside = there.low <= value && value <= there.high;
                    assert!(
                        inside || method == Method::AgrestiCaffo,
                        "{method:?} {k}/{n} {j}/{m}: {there:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_chi_squared_test_rejects_where_the_score_interval_leaves_zero_out() {
        for (n, m) in [(12, 12), (9, 21), (1, 30)] {
            for (k, j) in (0..=n).flat_map(|k| (0..=m).map(move |j| (k, j))) {
                let Interval { low, high } = Method::MiettinenNurminen.limits([k, j], [n, m], Z);
                let p = fisher([k, j], [n, m], Alternative::TwoSided, Test::ChiSquared);
                assert_eq!(p < 0.05, low > 0.0 || high < 0.0, "{k}/{n} {j}/{m}: {p} {low} {high}");
            }
        }
    }
}
