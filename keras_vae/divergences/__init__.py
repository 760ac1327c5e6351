"""Pure functions that compare distributions, and distances between samples as objects with options."""

from keras_vae.divergences.distances import MMD, SampleDistance, Sinkhorn, SlicedWasserstein, get_distance
from keras_vae.divergences.importance import importance_bound, leave_one_out_bound, leave_one_out_mean
from keras_vae.divergences.kl import (
    exact_kl_or_none,
    kl_divergence,
    kl_per_dimension,
    log_probs_per_dimension,
)
from keras_vae.divergences.marginals import marginal_log_prob
from keras_vae.divergences.mmd import mmd
from keras_vae.divergences.moments import aggregate_covariance
from keras_vae.divergences.permutation import permute_dimensions
from keras_vae.divergences.regressions import (
    ExpectedRegression,
    Regression,
    expected_regression,
    kl_of_regressions,
    regression,
)
from keras_vae.divergences.sinkhorn import SinkhornResult, check_convergence, sinkhorn, sinkhorn_with_error
from keras_vae.divergences.sliced import sliced_wasserstein
from keras_vae.divergences.slopes import points_between, squared_slopes
from keras_vae.divergences.sparsity import kl_to_rate
from keras_vae.divergences.total_correlation import aggregate_log_densities, log_pair_weights

__all__ = [
    "MMD",
    "ExpectedRegression",
    "Regression",
    "SampleDistance",
    "Sinkhorn",
    "SinkhornResult",
    "SlicedWasserstein",
    "aggregate_covariance",
    "aggregate_log_densities",
    "check_convergence",
    "exact_kl_or_none",
    "expected_regression",
    "get_distance",
    "importance_bound",
    "kl_divergence",
    "kl_of_regressions",
    "kl_per_dimension",
    "kl_to_rate",
    "leave_one_out_bound",
    "leave_one_out_mean",
    "log_pair_weights",
    "log_probs_per_dimension",
    "marginal_log_prob",
    "mmd",
    "permute_dimensions",
    "points_between",
    "regression",
    "sinkhorn",
    "sinkhorn_with_error",
    "sliced_wasserstein",
    "squared_slopes",
]
