//! Ratings from battles: fits, covariances, replicates, and the tests of all pairs.

use super::inputs::given;
use super::{Entry, Run, entry};
use steelyard_kernels::simd::scalar;
use steelyard_kernels::uncertainty::max_t::{Errors, by_draws};
use steelyard_kernels::uncertainty::ratings::{
    Battles, Grouped, Law, Units, covariance, fit, groups, replicates, spread,
};

pub const TABLE: &[Entry] =
    &[Entry { lengths: [2, 3, 7, 8, 9, 17, 70], ..entry("uncertainty.ratings", "float64", ratings) }];

/// The laws, by name.
const LAWS: [(&str, Law); 3] = [
    ("half", Law { davidson: false, prior: 0.0 }),
    ("davidson", Law { davidson: true, prior: 0.0 }),
    ("prior", Law { davidson: true, prior: 0.5 }),
];

/// Every pair of n models has met: the battles in the order of their places in the table.
fn places(n: usize) -> Vec<i64> {
    let mut places = Vec::new();
    for i in 0..n {
        for j in 0..n {
            let won = if i == j { 0 } else { 1 + (i * 7 + j * 5) % 4 };
            places.extend((0..won).map(|_| (i * n + j) as i64));
            let tied = if i < j { (i + 2 * j) % 3 } else { 0 };
            places.extend((0..tied).map(|_| (n * n + i * n + j) as i64));
        }
    }
    places
}

fn ratings(n: usize) -> Run {
    let places = places(n);
    let codes: Vec<i64> = (0..places.len() as i64).map(|row| row * row % 9).collect();
    let weights: Vec<f64> = (0..places.len()).map(|row| (1 + row % 5) as f64).collect();
    Box::new(move |digest| {
        let mut table = vec![0.0; 2 * n * n];
        scalar(|| places.iter().for_each(|&place| table[place as usize] += 1.0));
        let battles = given(Battles::of(&table, n));
        let by = given(Grouped::of(&battles, [&places, &codes], 9, Some(&weights), &mut |_| true));
        let grouped = given(by.ok_or("a place without a battle"));
        for (name, law) in LAWS {
            let digest = digest.of(name);
            for group in given(groups(&battles, law)) {
                digest.word(group.into());
            }
            let Ok(found) = given(fit(&battles, law, &mut |_| true)) else {
                digest.word(1); // ties alone
                continue;
            };
            digest.doubles(&found.ratings);
            digest.double(found.log_nu);
            let (of, count) = ((&battles, law), (if n > 9 { 5 } else { 40 }, 7));
            for (kind, clusters) in [("battles", None), ("clusters", Some(&grouped))] {
                let digest = digest.of(kind);
                let spread_of = given(covariance(of, &found, None, clusters, &mut |_| true));
                digest.doubles(&spread_of);
                let units = clusters.map_or(Units::Battles, Units::Clusters);
                let made = given(replicates(of, &found, &units, count, &mut |_| true));
                digest.doubles(&made);
                digest.doubles(&given(spread(&made, n, &mut |_| true)).0);
                for df in [None, Some(8)] {
                    let errors = Errors::Normal { count: 100, df };
                    digest.doubles(&given(by_draws(&found.ratings, &spread_of, errors, &mut |_| true)).p);
                }
            }
        }
    })
}
