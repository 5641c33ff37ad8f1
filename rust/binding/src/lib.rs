//! `steelyard._core`, the binding. A function checks its arguments, borrows the arrays, detaches from the interpreter,
//! and calls a kernel. It does no arithmetic of its own.
#![allow(clippy::needless_pass_by_value)] // pyo3 passes arguments by value

mod arrays;
mod calibration;
mod call;
mod callback;
mod clusters;
mod config;
mod give;
mod intervals;
mod json_lines;
mod leaving;
mod math;
mod mode;
mod names;
mod optim;
mod preference;
mod registries;
mod reserve;
mod state;
mod take;
mod tokens;
mod uncertainty;

/// The compiled core of steelyard; the public face is the `steelyard` package.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::arrays::check_memory;
    #[pymodule_export]
    use crate::calibration::ReliabilityTotals;
    #[pymodule_export]
    use crate::clusters::near_codes;
    #[pymodule_export]
    use crate::config::{
        asked_threads, fail_allocations_for_tests, force_isa, isa, isa_available, numerics, panic_for_tests,
        set_default_threads, set_threads, state_numerics, threads, version,
    };
    #[pymodule_export]
    use crate::intervals::{
        adjusted, cluster_sums, clustered_interval, column_moments, crossed_interval, effective_weights,
        few_clusters_interval, mean_interval, multinomial_intervals, proportion_intervals, proportion_tests,
        stratified_interval,
    };
    #[pymodule_export]
    use crate::json_lines::json_lines;
    #[pymodule_export]
    use crate::leaving::stop_attaching;
    #[pymodule_export]
    use crate::math::{
        beta_cdf, beta_isf, beta_quantile, beta_sf, binomial_cdf, binomial_pmf, binomial_sf, math_bend,
        math_cos, math_erfc, math_exp, math_exp32, math_expm1, math_lgamma, math_log, math_log1p, math_powi,
        noncentral_t_sf, normal_cdf, normal_pdf, normal_quantile, normal_sf, t_cdf, t_quantile, t_sf,
    };
    #[pymodule_export]
    use crate::mode::{in_standard_mode, set_mode_for_tests};
    #[pymodule_export]
    use crate::optim::{
        ClipPolicy, GlobalNormTotals, OptimizerPlan, TensorPlan, blocks8_map, blocks8_signed, check_eps,
        clamp_in_place, clip_each_in_place, clip_in_place, clip_units_in_place, convert_unreadable,
        from_blocks8, global_norms, round_at_random, schedule_rates, sum_of_squares, to_blocks8,
    };
    #[pymodule_export]
    use crate::preference::policy::{group_advantages, policy_loss, token_advantages};
    #[pymodule_export]
    use crate::preference::ranked::ranked_losses;
    #[pymodule_export]
    use crate::preference::unpaired::{exact_mean, logistic_losses, sorted_losses};
    #[pymodule_export]
    use crate::preference::{preference_loss, preference_ranks, preference_steepest, preference_sweep};
    #[pymodule_export]
    use crate::registries::registries;
    #[pymodule_export]
    use crate::tokens::gradient::{row_products, token_gradients};
    #[pymodule_export]
    use crate::tokens::hidden::token_scores_from_hidden;
    #[pymodule_export]
    use crate::tokens::pairs::{coded_rows, token_pairs};
    #[pymodule_export]
    use crate::tokens::perplexity::PerplexityTotals;
    #[pymodule_export]
    use crate::tokens::scores::{join_shards, sequence_nll, token_scores};
    #[pymodule_export]
    use crate::tokens::sketch::{sketch_kl, token_sketch};
    #[pymodule_export]
    use crate::uncertainty::{
        BootstrapTotals, EstimateTotals, QuantileTotals, SequenceTotals, StatisticTotals,
    };
    #[pymodule_export]
    use crate::uncertainty::{
        abc_interval, auc_interval, bandwidth, block_length, bootstrap, bootstrap_each, ideal_bootstrap,
        independence, left_out_parts, majority_at, max_t, max_t_baseline, max_t_draws, paired_comparison,
        paired_counts, paired_power, pass_at, proportion_power, quantile_interval, ratings_covariance,
        ratings_fit, ratings_replicates, ratio_interval, replicates_interval, resampled_counts,
        resampled_rows, resampling_counts, sign_flip, smoothing_noise, statistic_interval,
        unpaired_comparison, unpaired_counts, unpaired_power,
    };

    // Constants that the Python face uses too. They are defined once, in the kernels.
    #[pymodule_export]
    const MAX_BINS: usize = steelyard_kernels::calibration::MAX_BINS;
    #[pymodule_export]
    const MAX_CLUSTERED_BINS: usize = steelyard_kernels::calibration::MAX_CLUSTERED_BINS;
    #[pymodule_export]
    const SHUFFLED_ROWS: usize = steelyard_kernels::uncertainty::shuffles::MOST;
    #[pymodule_export]
    const PERMUTATIONS: u64 = steelyard_kernels::uncertainty::unpaired::WAYS;
    #[pymodule_export]
    const RATED_MODELS: usize = steelyard_kernels::uncertainty::ratings::MODELS;
    #[pymodule_export]
    const POWER_ROWS: i64 = steelyard_kernels::uncertainty::power::MOST;
    #[pymodule_export]
    const TOKEN_COUNTS: u8 = steelyard_kernels::tokens::COUNTS;
    #[pymodule_export]
    const TOKEN_EXCLUDED: u8 = steelyard_kernels::tokens::EXCLUDED;
    #[pymodule_export]
    const TOKEN_IGNORED: u8 = steelyard_kernels::tokens::IGNORED;

    /// Makes pyo3 and the numpy crate look up now what they look up once, since there may be no memory for it later.
    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::call::look_up(module.py())?;
        // A missing or broken NumPy raises an exception here; the crate that calls its C functions would panic.
        module.py().import("numpy._core.multiarray")?;
        crate::arrays::copied(module.py(), &[0.0]).map(|_| ())
    }
}
