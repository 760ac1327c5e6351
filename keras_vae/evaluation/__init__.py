"""How good a trained model is: its likelihood, its use of the latent and its aggregate posterior.

`evaluate` puts all of it into one `Report`; `active_units` and `aggregate_posterior_terms` are the pure
functions behind it, for arrays and distributions of your own. What a model is worth to a task is said by
`linear_probe`, for classes, and `anomaly_auroc`, for anomalies.
"""

from keras_vae.evaluation.active_units import active_units
from keras_vae.evaluation.aggregate_posterior import AggregatePosterior, aggregate_posterior_terms
from keras_vae.evaluation.anomaly import anomaly_auroc
from keras_vae.evaluation.evaluate import evaluate
from keras_vae.evaluation.linear_probe import linear_probe
from keras_vae.evaluation.posterior_statistics import PosteriorStatistics, posterior_statistics
from keras_vae.evaluation.report import Report
from keras_vae.evaluation.statistic import Statistic

__all__ = [
    "AggregatePosterior",
    "PosteriorStatistics",
    "Report",
    "Statistic",
    "active_units",
    "aggregate_posterior_terms",
    "anomaly_auroc",
    "evaluate",
    "linear_probe",
    "posterior_statistics",
]
