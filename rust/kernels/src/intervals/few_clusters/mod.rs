//! Intervals of a mean of few clusters, by names.

mod cr3;
mod wild;

use super::Confidence;
use super::cluster::{Clustered, Fit, SumFacts, fit, student};
use crate::grid::{Pace, Progress, Stopped};
use crate::named;
use crate::simd;

pub use wild::MOST as MOST_WILD;

named! {
    /// The kinds of intervals of a mean of clusters, besides Student's t with the CR2 variance.
    pub enum Method: "cluster.method" {
        /// Student's t with the jackknife's variance.
        Cr3 = "cr3" { title: "t (CR3)", source: "Bell and McCaffrey 2002" },
        /// The means that the wild bootstrap-t of the restricted residuals does not reject, over all patterns of weights.
        Wild = "wild" { title: "wild bootstrap-t", source: "Cameron, Gelbach and Miller 2008" },
    }
}

/// The mean `sum S_g / sum n_g` of clusters with an interval by `method`, which is that of
/// [`super::cluster::ratio`] for fewer than two clusters and where all cluster means are equal. `None` where the clusters
/// are more than the method takes.
///
/// The standard error of the wild bootstrap is that of CR2. Its limits are NaN where no mean is rejected at the level.
pub fn few_clusters(
    sums: &[f64],
    sizes: &[f64],
    shift: f64,
    method: Method,
    facts: SumFacts,
    confidence: Confidence,
    progress: Progress<'_>,
) -> Result<Option<Clustered>, Stopped> {
    let pace = &mut Pace::new(progress);
    let fit = fit(sums, sizes, facts, pace)?;
    if method == Method::Wild && sums.len() > wild::MOST {
        return Ok(None);
    }
    if fit.df.is_nan() || fit.unspread {
        return Ok(Some(simd::scalar(|| student(fit, shift, facts.range, confidence))));
    }
    let found = match method {
        Method::Cr3 => {
            let fit = cr3::fit(sums, sizes, fit, pace)?;
            simd::scalar(|| student(fit, shift, facts.range, confidence))
        }
        Method::Wild => {
            let plain = simd::scalar(|| student(fit, shift, facts.range, confidence));
            let interval = wild::interval(sums, sizes, fit, shift, confidence, pace)?;
            Clustered { interval, ..plain }
        }
    };
    Ok(Some(found))
}

/// The residual `S_g - m n_g` of a cluster.
fn residual(fit: &Fit, sum: f64, size: f64) -> f64 {
    (sum * fit.all - fit.total * size) / fit.all
}
