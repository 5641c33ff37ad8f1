//! Limits for the norm that follow its history: `ZClip` and `AutoClip`.

use crate::memory::{self, NoMemory};
use crate::simd::scalar;

/// How a limit follows from the norms so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PolicyRule {
    /// The norm's z-score against an exponential moving average and variance (Kumar, Owen, Roy Chowdhury and Gura,
    /// "`ZClip`: adaptive spike mitigation for LLM pre-training", 2025).
    ZClip {
        /// The z-score above which a norm is an outlier.
        z_thresh: f64,
        /// The share of the average that each step keeps.
        alpha: f64,
        /// How many norms make the first average.
        warmup_steps: usize,
        /// The limit that always holds; infinite for none.
        max_norm: f64,
        /// Added to the standard deviation.
        eps: f64,
    },
    /// A percentile of the norms so far, this one included (Seetharaman, Wichern, Pardo and Le Roux, "`AutoClip`:
    /// adaptive gradient clipping for source separation networks", 2020).
    AutoClip {
        /// From 0 to 100.
        percentile: f64,
        /// How many norms count, the last ones; 0 for all.
        window: usize,
    },
}

/// A rule and what it has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rule: PolicyRule,
    /// In order: those of the warm-up, or all that count.
    norms: Vec<f64>,
    /// The norms that count in ascending order, of `AutoClip` alone.
    sorted: Vec<f64>,
    average: Average,
    /// What the last observation replaced.
    before: Before,
}

/// The moving average and variance of norms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Average {
    mean: f64,
    variance: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Before {
    average: Average,
    /// Whether a norm was added to the list.
    added: bool,
    /// The norm that left the list.
    dropped: Option<f64>,
}

impl Policy {
    /// A rule that has seen nothing.
    pub fn new(rule: PolicyRule) -> Policy {
        let (average, before) = (Average::default(), Before::default());
        Policy { rule, norms: Vec::new(), sorted: Vec::new(), average, before }
    }

    /// Takes one more norm, finite and at least 0; the limit for it. Where memory is missing, nothing is changed.
    pub fn observe(&mut self, norm: f64) -> Result<f64, NoMemory> {
        memory::reserve(&mut self.norms, 1)?;
        memory::reserve(&mut self.sorted, 1)?;
        self.before = Before { average: self.average, added: false, dropped: None };
        Ok(scalar(|| match self.rule {
            PolicyRule::ZClip { .. } => self.by_score(norm),
            PolicyRule::AutoClip { percentile, window } => {
                if window > 0 && self.norms.len() >= window {
                    self.drop_oldest();
                }
                self.add(norm);
                self.sorted.insert(self.sorted.partition_point(|x| *x < norm), norm);
                percentile_of(&self.sorted, percentile)
            }
        }))
    }

    /// Takes the last observation back. It may be called once after each.
    pub fn undo(&mut self) {
        let Before { average, added, dropped } = std::mem::take(&mut self.before);
        self.average = average;
        if !added {
            return;
        }
        let Some(norm) = self.norms.pop() else { return };
        if let PolicyRule::AutoClip { .. } = self.rule {
            self.sorted.remove(self.sorted.partition_point(|x| *x < norm));
            if let Some(oldest) = dropped {
                self.norms.insert(0, oldest);
                self.sorted.insert(self.sorted.partition_point(|x| *x < oldest), oldest);
            }
        }
    }

    fn add(&mut self, norm: f64) {
        self.norms.push(norm);
        self.before.added = true;
    }

    fn drop_oldest(&mut self) {
        let oldest = self.norms.remove(0);
        self.sorted.remove(self.sorted.partition_point(|x| *x < oldest));
        self.before.dropped = Some(oldest);
    }

    fn by_score(&mut self, norm: f64) -> f64 {
        let PolicyRule::ZClip { z_thresh, alpha, warmup_steps, max_norm, eps } = self.rule else {
            return norm;
        };
        if self.norms.len() < warmup_steps {
            self.add(norm);
            if self.norms.len() == warmup_steps {
                self.average = of_warmup(&self.norms);
            }
            return max_norm;
        }
        let Average { mean, variance } = self.average;
        let deviation = variance.sqrt();
        let z = (norm - mean) / (deviation + eps);
        let outlier = z > z_thresh;
        let clipped = if outlier { mean + (z_thresh * deviation) / (z / z_thresh) } else { norm };
        let mean = alpha * mean + (1.0 - alpha) * clipped;
        let away = clipped - mean;
        self.average = Average { mean, variance: alpha * variance + (1.0 - alpha) * (away * away) };
        if outlier && clipped < max_norm { clipped } else { max_norm }
    }

    /// What the policy has seen, as numbers: of `ZClip` mean, variance and the norms of the warm-up, of `AutoClip` the
    /// norms that count.
    pub fn state(&self) -> Result<Vec<f64>, NoMemory> {
        let head = match self.rule {
            PolicyRule::ZClip { .. } => &[self.average.mean, self.average.variance][..],
            PolicyRule::AutoClip { .. } => &[],
        };
        let mut state = memory::copied(head)?;
        memory::reserve(&mut state, self.norms.len())?;
        state.extend(&self.norms);
        Ok(state)
    }

    /// The rule with a state that [`Policy::state`] has returned; `None` where it cannot have.
    pub fn with_state(rule: PolicyRule, state: &[f64]) -> Result<Option<Policy>, NoMemory> {
        let mut policy = Policy::new(rule);
        let norms = match (rule, state) {
            (PolicyRule::ZClip { warmup_steps, .. }, [mean, variance, norms @ ..]) => {
                policy.average = Average { mean: *mean, variance: *variance };
                let started = norms.len() == warmup_steps;
                if norms.len() > warmup_steps || (!started && policy.average != Average::default()) {
                    return Ok(None);
                }
                norms
            }
            (PolicyRule::AutoClip { window, .. }, norms) if window == 0 || norms.len() <= window => norms,
            _ => return Ok(None),
        };
        if !state.iter().all(|x| *x >= 0.0 && x.is_finite()) {
            return Ok(None);
        }
        policy.norms = memory::copied(norms)?;
        if let PolicyRule::AutoClip { .. } = rule {
            policy.sorted = memory::copied(norms)?;
            policy.sorted.sort_unstable_by(f64::total_cmp);
        }
        Ok(Some(policy))
    }
}

/// The mean and the variance of the norms of a warm-up.
fn of_warmup(norms: &[f64]) -> Average {
    let n = norms.len() as f64;
    let mut average = Average::default();
    for norm in norms {
        average.mean += norm;
    }
    average.mean /= n;
    for norm in norms {
        average.variance += (norm - average.mean) * (norm - average.mean);
    }
    average.variance /= n;
    average
}

/// The percentile of sorted values, between two of which it is interpolated, as `numpy.percentile` does by default.
fn percentile_of(sorted: &[f64], percentile: f64) -> f64 {
    let place = percentile / 100.0 * (sorted.len() - 1) as f64;
    let below = (place as usize).min(sorted.len() - 1);
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    let part = place - below as f64;
    if part >= 0.5 { high - (high - low) * (1.0 - part) } else { low + (high - low) * part }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: PolicyRule =
        PolicyRule::ZClip { z_thresh: 2.0, alpha: 0.5, warmup_steps: 2, max_norm: f64::INFINITY, eps: 0.0 };

    #[test]
    fn an_outlier_is_clipped_and_enters_the_average_clipped() {
        let mut policy = Policy::new(Z);
        assert_eq!((policy.observe(1.0), policy.observe(3.0)), (Ok(f64::INFINITY), Ok(f64::INFINITY)));
        assert_eq!(policy.state(), Ok(vec![2.0, 1.0, 1.0, 3.0]));
        // z = 4, twice the threshold.
        assert_eq!(policy.observe(6.0), Ok(3.0));
        assert_eq!(policy.state(), Ok(vec![2.5, 0.625, 1.0, 3.0]));
        assert_eq!(policy.observe(2.5), Ok(f64::INFINITY));
    }

    #[test]
    fn the_limit_is_a_percentile_of_the_last_norms() {
        let mut policy = Policy::new(PolicyRule::AutoClip { percentile: 50.0, window: 3 });
        let limits = [4.0, 2.0, 8.0, 1.0, 1.0].map(|norm| policy.observe(norm).unwrap());
        assert_eq!(limits, [4.0, 3.0, 4.0, 2.0, 1.0]);
        assert_eq!(policy.state(), Ok(vec![8.0, 1.0, 1.0]));
    }

    #[test]
    fn an_observation_can_be_taken_back_and_a_state_be_loaded() {
        for rule in [Z, PolicyRule::AutoClip { percentile: 10.0, window: 3 }] {
            let mut policy = Policy::new(rule);
            for norm in [4.0, 2.0, 8.0, 1.0, 100.0, 8.0] {
                let before = policy.state().unwrap();
                let limit = policy.observe(norm).unwrap();
                policy.undo();
                assert_eq!(policy.state().unwrap(), before);
                let mut loaded = Policy::with_state(rule, &before).unwrap().unwrap();
                assert_eq!((policy.observe(norm), loaded.observe(norm)), (Ok(limit), Ok(limit)));
            }
        }
    }

    #[test]
    fn states_that_no_policy_has_are_refused() {
        let auto = PolicyRule::AutoClip { percentile: 10.0, window: 2 };
        for (rule, state) in [
            (Z, &[1.0][..]),
            (Z, &[1.0, 1.0, 1.0]),
            (Z, &[1.0, 1.0, 1.0, 1.0, 1.0]),
            (auto, &[1.0, 1.0, 1.0]),
            (auto, &[-1.0]),
            (auto, &[f64::NAN]),
        ] {
            assert_eq!(Policy::with_state(rule, state), Ok(None), "{state:?}");
        }
    }
}
