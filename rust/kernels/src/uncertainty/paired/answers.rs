//! Paired 0/1 answers of independent rows: which interval and which test, by name.

use super::bonett_price;
use super::exact;
use super::mcnemar::mcnemar;
use super::newcombe;
use super::tango::tango;
use crate::intervals::{Confidence, Interval};
use crate::named;
use crate::simd;
use crate::uncertainty::answers::{Difference, Test};

named! {
    /// The interval of the difference of paired 0/1 answers.
    pub enum Method: "paired.method" {
        /// The score interval: inverts the normal test of a difference, whose variance is that of the hypothesis.
        Tango = "tango" { title: "Tango", source: "Tango 1998" },
        /// The Wilson limits of both shares, combined with the correlation of the answers.
        Newcombe = "newcombe" { title: "Newcombe", source: "Newcombe 1998" },
        /// Wald's formula with one more win and one more loss in two more pairs.
        BonettPrice = "bonett-price" { title: "Bonett-Price", source: "Bonett and Price 2012" },
        /// The exact limits of the share of discordant pairs and of that of wins among them, melded: agrees with McNemar's
        /// exact test.
        Exact = "exact" { title: "Fay-Lumbard exact", source: "Fay and Lumbard 2021" },
    }
}

/// How many pairs both models, one of them or neither got right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Table<T = u64> {
    /// Both models.
    pub both: T,
    /// The new model alone (b).
    pub wins: T,
    /// The baseline alone (c).
    pub losses: T,
    /// Neither.
    pub neither: T,
}

impl Table {
    /// The table of `n` pairs, of which new got `ones` right, among them `wins` that the baseline did not.
    pub fn of(ones: u64, wins: u64, losses: u64, n: u64) -> Table {
        let both = ones - wins;
        Table { both, wins, losses, neither: n - both - wins - losses }
    }

    /// The number of pairs.
    pub fn pairs(self) -> u64 {
        self.both + self.wins + self.losses + self.neither
    }

    /// How many the new model got right.
    pub fn hits(self) -> u64 {
        self.both + self.wins
    }

    /// How many the baseline got right.
    pub fn base_hits(self) -> u64 {
        self.both + self.losses
    }

    pub(super) fn floats(self) -> Table<f64> {
        let Table { both, wins, losses, neither } = self;
        Table { both: both as f64, wins: wins as f64, losses: losses as f64, neither: neither as f64 }
    }
}

/// Compares independent pairs of 0/1 answers: (b - c)/n; s/sqrt(n) of the differences, or where all are equal the width
/// of Tango's two-sided interval divided by 2z; the interval of `method`; and the p-value of [`mcnemar`].
pub fn paired_binary(table: Table, method: Method, test: Test, confidence: Confidence) -> Difference {
    simd::scalar(|| of_table(table, method, test, confidence))
}

fn of_table(table: Table, method: Method, test: Test, confidence: Confidence) -> Difference {
    let Table { wins: b, losses: c, .. } = table.floats();
    let (n, all) = (table.pairs(), table.pairs() as f64);
    let z = confidence.z();
    let both = match method {
        Method::Newcombe => newcombe::interval(table, z),
        Method::BonettPrice => bonett_price::interval(table, z),
        Method::Exact if n < exact::MANY => exact::interval(table.wins, table.losses, n, confidence.tail()),
        Method::Tango | Method::Exact => tango(b, c, all, z),
    };
    let equal = table.wins == n || table.losses == n || (table.wins == 0 && table.losses == 0);
    let standard_error = if equal {
        let z = confidence.two_sided().z();
        let sides = tango(b, c, all, z);
        (sides.high - sides.low) / (2.0 * z)
    } else {
        // sum d^2 - n mean^2, computed from whole numbers: (n (b + c) - (b - c)^2)/n.
        let squares = (all * (b + c) - (b - c) * (b - c)) / all;
        (squares / (all - 1.0) / all).sqrt()
    };
    Difference {
        value: (b - c) / all,
        standard_error,
        interval: confidence.open(both, -1.0, 1.0),
        p: mcnemar(table.wins, table.losses, confidence.alternative, test),
    }
}

/// The standard error and interval of pairs in clusters that all have the same mean difference `value`, so that the
/// spread between clusters gives no variance. The interval is Tango's, with `clusters` as the number of pairs and
/// Student's t quantile for `df` degrees of freedom as critical value; the standard error is the width of the two-sided
/// interval divided by 2t.
pub fn unspread_difference(value: f64, clusters: f64, df: f64, confidence: Confidence) -> (f64, Interval) {
    simd::scalar(|| {
        let (wins, losses) = if value > 0.0 { (value * clusters, 0.0) } else { (0.0, -value * clusters) };
        let t = confidence.two_sided().t(df);
        let sides = tango(wins, losses, clusters, t);
        let interval = confidence.open(tango(wins, losses, clusters, confidence.t(df)), -1.0, 1.0);
        ((sides.high - sides.low) / (2.0 * t), interval)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::Alternative;
    use crate::named::Named;

    const TWO: Confidence = Confidence { level: 0.95, alternative: Alternative::TwoSided };

    /// Tango's interval and McNemar's mid-p; of the ties half are right.
    fn of(wins: u64, losses: u64, n: u64) -> Difference {
        paired_binary(
            Table::of(wins + (n - wins - losses) / 2, wins, losses, n),
            Method::Tango,
            Test::MidP,
            TWO,
        )
    }

    fn limits(table: [u64; 4], method: Method) -> Interval {
        let [both, wins, losses, neither] = table;
        paired_binary(Table { both, wins, losses, neither }, method, Test::MidP, TWO).interval
    }

    /// Complete response before and after consolidation therapy (Cavo et al. 2012), as Fagerland, Lydersen and Laake
    /// (2017) print Newcombe's interval, the other two by their formulas.
    #[test]
    fn the_intervals_of_a_published_table() {
        let table = [59, 6, 16, 80];
        let Interval { low, high } = limits(table, Method::Newcombe);
        assert!((low + 0.1186).abs() < 5.1e-5 && (high + 0.0046).abs() < 5.1e-5, "{low} {high}");
        let (w, l, n) = (7.0 / 163.0, 17.0 / 163.0, 163.0f64);
        let half = TWO.z() * ((w + l - (w - l) * (w - l)) / n).sqrt();
        let Interval { low, high } = limits(table, Method::BonettPrice);
        assert!((low - (w - l - half)).abs() < 1e-15 && (high - (w - l + half)).abs() < 1e-15);
    }

    #[test]
    fn newcombes_interval_of_one_and_the_same_answers_has_a_width() {
        // Without discordant pairs and with a correlation of almost 1, the limits are still apart.
        let Interval { low, high } = limits([50, 0, 0, 50], Method::Newcombe);
        assert!(low < 0.0 && high > 0.0 && high < 0.05 && low == -high);
        let Interval { low, high } = limits([10, 0, 0, 0], Method::Newcombe);
        assert!(low == -high && high > 0.27);
    }

    #[test]
    fn a_difference_of_one_point_in_a_small_and_a_large_sample() {
        let small = of(12, 10, 200);
        assert!((small.p - 0.678).abs() < 5e-4, "{small:?}");
        let large = of(1200, 1000, 20_000);
        assert!((large.p - 2.0e-5).abs() < 5e-7, "{large:?}");
        assert!((large.value - 0.01).abs() < 1e-15);
        assert!((large.interval.low - 0.0054).abs() < 5e-5 && (large.interval.high - 0.0146).abs() < 5e-5);
    }

    #[test]
    fn two_models_on_gsm8k() {
        let got = of(209, 152, 1319);
        let exact = mcnemar(209, 152, Alternative::TwoSided, Test::Exact);
        assert!((got.value - 0.0432146).abs() < 5e-8 && (got.standard_error - 0.0143611).abs() < 5e-8);
        assert!((exact - 0.00315066).abs() < 5e-9 && (got.p - 0.00268739).abs() < 5e-9, "{got:?}");
    }

    #[test]
    fn ties_alone_have_an_interval_of_positive_width() {
        // No discordant pair: d = +-z^2/(n + z^2).
        let z2 = 1.959963984540054f64 * 1.959963984540054;
        let got = of(0, 0, 50);
        assert!((got.interval.high - z2 / (50.0 + z2)).abs() < 1e-14);
        assert_eq!((got.value, got.p), (0.0, 1.0));
    }

    #[test]
    fn pairs_without_spread_count_clusters() {
        let (error, interval) = unspread_difference(0.0, 4.0, 3.0, TWO);
        let t = TWO.t(3.0);
        assert!((interval.high - t * t / (4.0 + t * t)).abs() < 1e-14 && interval.low == -interval.high);
        assert!((error - interval.high / t).abs() < 1e-15);
    }

    #[test]
    fn intervals_mirror_and_stay_inside() {
        for (&method, n) in Method::ALL.iter().flat_map(|method| (1..=9u64).map(move |n| (method, n))) {
            for (b, c, both) in
                (0..=n).flat_map(|b| (0..=n - b).flat_map(move |c| (0..=n - b - c).map(move |a| (b, c, a))))
            {
                let neither = n - b - c - both;
                let (x, y) = (limits([both, b, c, neither], method), limits([both, c, b, neither], method));
                assert_eq!((x.low, x.high), (-y.high, -y.low), "{method:?} {both} {b} {c} {neither}");
                assert!(
                    -1.0 <= x.low && x.low < x.high && x.high <= 1.0,
                    "{method:?} {both} {b} {c} {neither}"
                );
                let value = (b as f64 - c as f64) / n as f64;
                // Bonett and Price's centre is nearer to 0 than the difference.
                let inside = x.low <= value && value <= x.high;
                assert!(inside || method == Method::BonettPrice, "{method:?} {both} {b} {c} {neither}");
            }
        }
    }

    #[test]
    fn the_chi_squared_test_rejects_where_tangos_interval_leaves_zero_out() {
        let n = 60;
        for (b, c) in (0..=n).flat_map(|b| (0..=n - b).map(move |c| (b, c))) {
            let Interval { low, high } = limits([0, b, c, n - b - c], Method::Tango);
            let p = mcnemar(b, c, Alternative::TwoSided, Test::ChiSquared);
            assert_eq!(p < 0.05, low > 0.0 || high < 0.0, "{b} {c}: {p} {low} {high}");
        }
    }
}
