//! The shares of all categories at once: intervals that hold together.

use super::proportion::{self, proportion, wilson};
use super::{Confidence, Interval};
use crate::grid::{Pace, Progress, Stopped};
use crate::math::gamma::stirling;
use crate::math::{exp, log, normal};
use crate::memory;
use crate::named;
use crate::simd::scalar;

named! {
    /// The method of the simultaneous intervals of the shares of several categories.
    pub enum Method: "multinomial.method" {
        /// Wilson's interval of each share at 1 - alpha/K, K the number of categories.
        Goodman = "goodman" { title: "Goodman", source: "Goodman 1965" },
        /// A box around the counts that holds a multinomial count with the probability of the level, widened upwards.
        SisonGlaz = "sison-glaz" { title: "Sison-Glaz", source: "Sison and Glaz 1995" },
    }
}

/// The shares of problems with `categories` counts each, one problem after another, written to columns of the value, the
/// standard error (as of a [`proportion()`]), the low and the high limit. `Some(i)`: problem i is the first that is refused
/// (a count below 0, no count above 0, or, for Sison and Glaz, a single category that has them all), and the columns are
/// incomplete.
pub fn multinomials(
    counts: &[i64],
    categories: usize,
    method: Method,
    confidence: Confidence,
    columns: [&mut [f64]; 4],
    progress: Progress<'_>,
) -> Result<Option<usize>, Stopped> {
    let [values, errors, lows, highs] = columns;
    let mut pace = Pace::new(progress);
    for (i, counts) in counts.chunks_exact(categories).enumerate() {
        let Some(total) = total(counts) else { return Ok(Some(i)) };
        let box_of = match method {
            Method::Goodman => None,
            Method::SisonGlaz if counts.contains(&total) => return Ok(Some(i)),
            Method::SisonGlaz => Some(half_widths(counts, total, confidence.level, &mut pace)?),
        };
        for (k, &count) in counts.iter().enumerate() {
            pace.step()?;
            let at = i * categories + k;
            let of =
                proportion(count as u64, total as u64, proportion::Method::Wilson, confidence.two_sided());
            let Interval { low, high } = scalar(|| match box_of {
                None => goodman(count as f64, total as f64, categories as f64, confidence),
                Some((below, above)) => {
                    let n = total as f64;
                    let (low, high) = ((count as f64 - below) / n, (count as f64 + above) / n);
                    Interval {
                        low: if low > 0.0 { low } else { 0.0 },
                        high: if high < 1.0 { high } else { 1.0 },
                    }
                }
            });
            (values[at], errors[at]) = (of.value, of.standard_error);
            (lows[at], highs[at]) = (low, high);
        }
    }
    Ok(None)
}

/// The number of all rows; `None` where a count is below 0 or there are no rows (or too many).
fn total(counts: &[i64]) -> Option<i64> {
    let mut total = 0i64;
    for &count in counts {
        total = total.checked_add(count).filter(|_| count >= 0)?;
    }
    (total > 0).then_some(total)
}

/// Wilson's interval with the normal quantile of alpha/K beyond it (alpha/2K on each of two sides).
fn goodman(count: f64, n: f64, categories: f64, confidence: Confidence) -> Interval {
    let z = -normal::quantile(confidence.tail() / categories);
    confidence.open(wilson(count, n - count, z), 0.0, 1.0)
}

/// How far the limits lie below and above each count: c and c + 2 g, where a multinomial count with these shares lies
/// within c of each count with a probability v(c) up to `level`, v(c + 1) is larger than it, and
/// g = (level - v(c))/(v(c + 1) - v(c)). As in May and Johnson's program, v(0) counts as 0.
fn half_widths(counts: &[i64], total: i64, level: f64, pace: &mut Pace<'_>) -> Result<(f64, f64), Stopped> {
    let mut truncated = memory::collected(counts.iter().map(|&count| Truncated::new(count as f64)))?;
    let mut before = 0.0;
    for c in 0..total {
        let held = scalar(|| {
            for of in &mut truncated {
                of.widen((c + 1) as f64, total as f64);
            }
            inside(&truncated, total as f64)
        });
        (0..counts.len()).try_for_each(|_| pace.step())?;
        if held > level {
            let c = c as f64;
            return Ok((c, scalar(|| c + 2.0 * ((level - before) / (held - before)))));
        }
        before = held;
    }
    Ok((total as f64, total as f64))
}

/// A Poisson count whose mean is a count m, cut off at some distance from m: the sums of its probabilities, divided by
/// that of m, times the first four powers of the distance.
struct Truncated {
    mean: f64,
    up: f64,
    down: f64,
    sums: [f64; 5],
}

impl Truncated {
    fn new(mean: f64) -> Truncated {
        Truncated { mean, up: 1.0, down: 1.0, sums: [1.0, 0.0, 0.0, 0.0, 0.0] }
    }

    /// Adds the counts at the `distance`, which is one more than before; none is above `most`.
    fn widen(&mut self, distance: f64, most: f64) {
        self.up *= self.mean / (self.mean + distance);
        self.down *= if self.mean > 0.0 { (self.mean - (distance - 1.0)) / self.mean } else { 0.0 };
        if self.mean + distance > most {
            self.up = 0.0;
        }
        if self.mean < distance {
            self.down = 0.0;
        }
        let (even, odd) = (self.up + self.down, self.up - self.down);
        let square = distance * distance;
        let more = [even, distance * odd, square * even, square * distance * odd, square * square * even];
        for (sum, more) in self.sums.iter_mut().zip(more) {
            *sum += more;
        }
    }
}

/// The probability that each count of a multinomial one lies within the cut-offs (Sison and Glaz 1995, formula 1): that of
/// independent Poisson counts, given their sum, whose distribution is Edgeworth's expansion of that of the cut-off ones.
fn inside(truncated: &[Truncated], total: f64) -> f64 {
    // The logarithm of P(X = x) for a Poisson count whose mean is x.
    let at_mean = |x: f64| if x > 0.0 { -0.5 * log(std::f64::consts::TAU * x) - stirling(x) } else { 0.0 };
    let (mut logs, mut shift) = (-at_mean(total), 0.0);
    let (mut variance, mut third, mut fourth) = (0.0, 0.0, 0.0);
    for of in truncated {
        let [s0, raw @ ..] = of.sums;
        logs += log(s0) + at_mean(of.mean);
        let [m1, m2, m3, m4] = raw.map(|sum| sum / s0);
        let (mu2, square) = (m2 - m1 * m1, m1 * m1);
        shift += m1;
        variance += mu2;
        third += m3 - 3.0 * m1 * m2 + 2.0 * m1 * square;
        fourth += m4 - 4.0 * m1 * m3 + 6.0 * square * m2 - 3.0 * square * square - 3.0 * mu2 * mu2;
    }
    let root = variance.sqrt();
    let (x, g1, g2) = (-shift / root, third / (variance * root), fourth / (variance * variance));
    let y = x * x;
    let (h3, h4) = (x * (y - 3.0), y * (y - 6.0) + 3.0);
    let h6 = y * (y * (y - 15.0) + 45.0) - 15.0;
    let expansion = 1.0 + g1 * h3 / 6.0 + g2 * h4 / 24.0 + g1 * g1 * h6 / 72.0;
    exp(logs) * (normal::pdf(x) / root * expansion)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;
    use crate::named::Named;

    fn of(counts: &[i64], method: Method) -> Result<Vec<(f64, f64)>, usize> {
        let mut columns: [Vec<f64>; 4] = std::array::from_fn(|_| vec![0.0; counts.len()]);
        let confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };
        let parts = columns.each_mut().map(Vec::as_mut_slice);
        match multinomials(counts, counts.len(), method, confidence, parts, &mut |_| true).unwrap() {
            Some(refused) => Err(refused),
            None => Ok((0..counts.len()).map(|k| (columns[2][k], columns[3][k])).collect()),
        }
    }

    /// The example of May and Johnson's program, to the digits that it prints.
    #[test]
    fn the_published_example() {
        let table = [
            (56, (0.085, 0.166), (0.079, 0.164)),
            (72, (0.115, 0.204), (0.113, 0.199)),
            (73, (0.116, 0.207), (0.116, 0.201)),
            (59, (0.091, 0.173), (0.086, 0.171)),
            (62, (0.096, 0.181), (0.092, 0.177)),
            (87, (0.143, 0.239), (0.146, 0.231)),
            (58, (0.089, 0.171), (0.084, 0.169)),
        ];
        let counts = table.map(|(count, _, _)| count);
        let near = |(low, high): (f64, f64), want: (f64, f64)| {
            (low - want.0).abs() < 5.1e-4 && (high - want.1).abs() < 5.1e-4
        };
        let (goodman, sison) =
            (of(&counts, Method::Goodman).unwrap(), of(&counts, Method::SisonGlaz).unwrap());
        for (k, (count, of_goodman, of_sison)) in table.into_iter().enumerate() {
            assert!(
                near(goodman[k], of_goodman) && near(sison[k], of_sison),
                "{count}: {goodman:?} {sison:?}"
            );
        }
    }

    #[test]
    fn what_is_no_table_of_counts_is_refused() {
        for &method in Method::ALL {
            assert_eq!(of(&[0, 0], method), Err(0));
            assert_eq!(of(&[3, -1], method), Err(0));
            assert_eq!(of(&[i64::MAX, 1], method), Err(0));
        }
        assert_eq!(of(&[0, 7, 0], Method::SisonGlaz), Err(0));
        assert!(of(&[0, 7, 0], Method::Goodman).is_ok());
    }
}
