"""DIPVAE: the penalties on the covariance."""

import numpy as np
import pytest

from keras_vae import models, objectives

from .test_objectives import LOC, SCALE, B, table


@pytest.mark.parametrize("kind", ["i", "ii"])
def test_penalties_against_numpy(kind):
    """Kumar et al., 2018, Eq. 6 and 7."""
    parts = objectives.DisentangledELBO(kind, 2.0, 3.0).parts(table())
    covariance = np.cov(np.float64(LOC).T, bias=True)
    if kind == "ii":
        covariance += np.diag(np.mean(np.float64(SCALE) ** 2, axis=0))
    variances = np.diag(covariance)
    off_diagonal = 2.0 * (np.sum(covariance**2) - np.sum(variances**2))
    np.testing.assert_allclose(parts["off_diagonal"], np.full(B, off_diagonal), rtol=1e-4)
    np.testing.assert_allclose(parts["diagonal"], np.full(B, 3.0 * np.sum((variances - 1.0) ** 2)), rtol=1e-4)


def test_weights_of_zero_are_the_elbo():
    parts = objectives.DisentangledELBO("ii", 0.0, 0.0).parts(table())
    for name, expected in objectives.ELBO().parts(table()).items():
        np.testing.assert_array_equal(parts[name], expected)
    assert not np.any(parts["off_diagonal"]) and not np.any(parts["diagonal"])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"kind": "iii"}, "kind"),
        ({"lambda_od": -1.0}, "lambda_od"),
        ({"lambda_d": "linear:1:-1:5"}, "lambda_d"),
    ],
)
def test_bad_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        objectives.DisentangledELBO(**arguments)


def test_a_posterior_without_density_is_refused():
    with pytest.raises(ValueError, match="posterior with a density"):
        models.DIPVAE.create((4,), latent_size=2, hidden=(3,), posterior="deterministic")
