//! Fuzz targets for the readers of saved states, which must withstand any bytes.
//!
//! Each function takes the bytes between the header and the checksum of a state, adds a valid header and checksum, so
//! that the reader accepts these, and reads the result. The reader may refuse it. What it accepts must be canonical (it
//! is written again with the same bytes), must be merged with itself or be refused as a whole, and must give results
//! that make sense.
//!
//! The bytes come from libFuzzer (`fuzz_targets/`), or from [`mutate`], which needs no nightly toolchain.

pub mod mutate;

use steelyard_kernels::calibration::{self, BinTotals, Limits};
use steelyard_kernels::intervals::strata::Average;
use steelyard_kernels::intervals::{Alternative, Confidence};
use steelyard_kernels::named::Named;
use steelyard_kernels::optim::NormTotals;
use steelyard_kernels::state::State;
use steelyard_kernels::state::bytes::Kind;
use steelyard_kernels::tokens::{Totals, Unit};
use steelyard_kernels::uncertainty::mean_state::MeanTotals;
use steelyard_kernels::uncertainty::sequence::{Method, SequenceTotals};
use steelyard_kernels::uncertainty::totals::boot_state::BootTotals;
use steelyard_kernels::uncertainty::totals::quantile_state::QuantileCounts;
use steelyard_kernels::uncertainty::totals::sums_state::SumsTotals;

const LEVELS: [Confidence; 3] = [
    Confidence { level: 0.95, alternative: Alternative::TwoSided },
    Confidence { level: 0.3, alternative: Alternative::Less },
    Confidence { level: 0.5, alternative: Alternative::Greater },
];

/// CRC-32 as in zip, computed bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

/// The bytes of a state of `kind` with this body, with a valid header and checksum.
pub fn sealed(kind: Kind, body: &[u8]) -> Vec<u8> {
    sealed_in(kind, 1, body)
}

/// The same with a given layout.
pub fn sealed_in(kind: Kind, layout: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"SYST".to_vec();
    bytes.extend([kind as u8, layout]);
    bytes.extend(kind.numerics().to_le_bytes());
    bytes.extend(body);
    bytes.extend(crc32(&bytes).to_le_bytes());
    bytes
}

/// The body of a state: its bytes without header and checksum.
pub fn body(state: &[u8]) -> Vec<u8> {
    state[8..state.len() - 4].to_vec()
}

fn go(_: usize) -> bool {
    true
}

/// Reads these bytes as the body of a state in each of its layouts, from 1 to `layouts`. A state that is accepted must
/// be canonical, be merged with itself or be refused as a whole, and pass `check`.
fn each_state<S: State>(data: &[u8], layouts: u8, check: impl Fn(&S)) {
    let _ = S::from_bytes(data, &mut go);
    for layout in 1..=layouts {
        let bytes = sealed_in(S::KIND, layout, data);
        let Ok((state, config)) = S::from_bytes(&bytes, &mut go) else { continue };
        let written = |state: &S| state.to_bytes(&config, &mut go).unwrap().unwrap();
        assert_eq!(written(&state), bytes, "what is accepted is canonical");
        if let Ok(twice) = state.merged(&state, &mut go).unwrap() {
            assert!(S::from_bytes(&written(&twice), &mut go).is_ok(), "what merging makes can be read");
        }
        assert_eq!(written(&state), bytes, "merging leaves both as they were");
        check(&state);
    }
}

/// A `PerplexityState`, in both of its layouts.
pub fn perplexity(data: &[u8]) {
    each_state(data, 2, perplexity_is_sound);
}

fn perplexity_is_sound(totals: &Totals) {
    for (&unit, confidence) in Unit::ALL.iter().zip(LEVELS.into_iter().cycle()) {
        let Some(found) = totals.perplexity(unit, confidence, &mut go).unwrap() else {
            assert!(totals.is_empty());
            return;
        };
        assert!(found.tokens > 0 && found.clusters > 0 && found.units >= 0.0);
        assert!(found.value >= 0.0 || found.units == 0.0, "{found:?}");
        let (low, high) = (found.interval.low, found.interval.high);
        assert!(
            low.is_nan() == high.is_nan() && !(low > high && confidence.alternative == Alternative::TwoSided),
            "{found:?}"
        );
    }
}

fn sound(limits: Limits, confidence: Confidence, least: f64) {
    let Limits { value, standard_error, low, high } = limits;
    let within = |x: f64| (least..=1.0).contains(&x);
    assert!(within(value) && low.is_nan() == high.is_nan(), "{limits:?}");
    assert!(low.is_nan() || (within(low) && within(high)), "{limits:?}");
    assert!(standard_error.is_none_or(|error| error.is_finite() && error >= 0.0), "{limits:?}");
    // Limits of a few units of 2^-64 carry rounding errors of the size of an ulp of 1.
    assert!(!(low > high + 1e-15) || confidence.alternative != Alternative::TwoSided, "{limits:?}");
}

/// A `ReliabilityState`, in each of its layouts.
pub fn reliability(data: &[u8]) {
    each_state(data, 3, summaries_are_sound);
}

fn summaries_are_sound(state: &BinTotals) {
    let filled = state.tally.bins.iter().filter(|bin| bin.count > 0).count();
    for confidence in LEVELS {
        let Some(found) = calibration::summarise(state, confidence, &mut go).unwrap() else {
            assert_eq!(filled, 0);
            return;
        };
        assert_eq!(found.bins.len(), filled);
        let known = !found.ece.low.is_nan();
        if !state.is_weighted() {
            // With weights, one cluster may outweigh all others so that there is no interval.
            assert_eq!(known, found.clusters.as_ref().is_none_or(|clusters| clusters.len() > 1));
        }
        assert!(if known { found.noise_floor >= 0.0 } else { found.noise_floor.is_nan() }, "{found:?}");
        [found.ece, found.rmsce, found.mce].iter().for_each(|&limits| {
            sound(limits, confidence, 0.0);
            assert_eq!(limits.low.is_nan(), !known, "{found:?}");
        });
        sound(found.gap, confidence, -1.0);
    }
}

/// A `GlobalNormState`.
pub fn global_norm(data: &[u8]) {
    each_state(data, 1, |totals: &NormTotals| assert!(totals.norm() >= 0.0));
}

/// An `EstimateState`.
pub fn estimate(data: &[u8]) {
    each_state(data, 1, |totals: &MeanTotals| {
        let (n, clusters) = totals.size();
        assert!(clusters as u64 <= n);
        if n > 0 {
            let m = totals.moments();
            // The mean may leave the range of the values by its two roundings.
            let room = 4.0 * f64::EPSILON * if -m.min > m.max { -m.min } else { m.max };
            assert!(m.mean >= m.min - room && m.mean <= m.max + room && m.squares >= 0.0, "{m:?}");
            let sums = totals.cluster_sums(m.mean, &mut go).unwrap();
            assert_eq!((sums.sums.len(), sums.sizes.len()), (clusters, clusters));
        }
    });
}

/// A `ConfidenceSequenceState`.
pub fn sequence(data: &[u8]) {
    each_state(data, 1, |totals: &SequenceTotals| {
        let n = totals.size() as usize;
        if n == 0 {
            return;
        }
        for &method in Method::ALL.iter().filter(|method| method.of_order() == totals.ordered()) {
            let found = totals.looks(method, 0.05, &[n], &mut go).unwrap();
            let (mean, limits) = (found.means[0], found.intervals[0]);
            assert!(
                (0.0..=1.0).contains(&mean) && limits.low >= 0.0 && limits.high <= 1.0,
                "{method:?} {found:?}"
            );
        }
    });
}

/// An `EstimateState` of a statistic other than the mean, or of rows with weights or strata.
pub fn statistic(data: &[u8]) {
    each_state(data, 2, |totals: &SumsTotals| {
        if totals.size().0 == 0 {
            return;
        }
        let ((rows, _), effective) = (totals.size(), totals.effective());
        assert!(effective.is_nan() || effective > 0.0 && effective <= rows as f64 * (1.0 + 1e-12), "{effective}");
        assert!(totals.mean_sums(0.5, &mut go).is_ok());
        // Sums that no rows have cannot all be told from others; their limits may be in any order.
        for (confidence, average) in LEVELS.into_iter().zip([Average::Micro, Average::Macro, Average::Micro]) {
            let Ok((found, _)) = totals.closed(average, confidence, &mut go).unwrap() else { return };
            assert!(!found.value.is_nan(), "{found:?}");
        }
    });
}

/// A `BootstrapState`.
pub fn bootstrap(data: &[u8]) {
    each_state(data, 1, |totals: &BootTotals| {
        if totals.rows() > 0
            && let Ok(found) = totals.found(&mut go).unwrap()
        {
            assert!(found.value.is_finite() && found.replicates.len() == totals.asked().replicates);
        }
    });
}

/// A `QuantileState`.
pub fn quantile(data: &[u8]) {
    each_state(data, 1, |totals: &QuantileCounts| {
        for (q, confidence) in [0.0, 0.3, 1.0].into_iter().zip(LEVELS) {
            let Some(found) = totals.quantile(q, confidence) else {
                assert_eq!(totals.size().0, 0);
                return;
            };
            assert!(found.within.low <= found.value && found.value <= found.within.high, "{found:?}");
        }
    });
}
