"""Data frames, series, sparse matrices, HDF5 datasets and lists are data, and are checked as arrays are."""

import h5py
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import keras_vae

X = np.random.default_rng(0).integers(0, 2, [24, 4]).astype("float32")


@pytest.fixture(scope="module")
def vae():
    model = keras_vae.VAE.create((4,), latent_size=2, hidden=(5,), seed=0)
    model.compile("adam", run_eagerly=True)
    return model


def frames(values):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(values, columns=list("abcd"))


def polars_frame(values):
    return pytest.importorskip("polars").DataFrame(values, schema=list("abcd"))


def hdf5(values):
    return h5py.File("data.h5", "w", driver="core", backing_store=False).create_dataset("x", data=values)


CONTAINERS = {
    "pandas": frames,
    "nullable": lambda values: frames(values).astype("Int64"),
    "polars": polars_frame,
    "csr": scipy.sparse.csr_matrix,
    "coo": scipy.sparse.coo_array,
    "hdf5": hdf5,
    "list": lambda values: values.tolist(),
    "variable": tf.Variable,
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_containers_give_what_arrays_give(kind, vae):
    data = CONTAINERS[kind](X)
    np.testing.assert_array_equal(vae.encode(data).mean(), vae.encode(X).mean())
    np.testing.assert_array_equal(vae.reconstruct(data), vae.reconstruct(X))
    np.testing.assert_array_equal(vae.elbo(data, seed=1), vae.elbo(X, seed=1))
    ours, theirs = (vae.log_likelihood(x, num_samples=3, seed=1) for x in (data, X))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(vae.predict(data, verbose=0), vae.predict(X, verbose=0), rtol=1e-6)
    np.testing.assert_allclose(vae.evaluate(data, verbose=0), vae.evaluate(X, verbose=0), rtol=1e-6)
    vae.fit(data, validation_data=data, verbose=0)
    vae.fit(data, validation_split=0.25, verbose=0)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_containers_are_checked(kind, vae):
    with pytest.raises(ValueError, match="support"):
        vae.fit(CONTAINERS[kind](X * 3), verbose=0)
    if kind not in ("pandas", "nullable", "polars"):
        with pytest.raises(ValueError, match=r"shape \[batch\]"):
            vae.fit(CONTAINERS[kind](X[:, :3]), verbose=0)


def test_weights_of_zero_in_any_container(vae):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    zeros = np.zeros(24, "float32")
    for weight in (pandas.Series(zeros), polars.Series(zeros), zeros.tolist(), tf.Variable(zeros)):
        for x in (X, frames(X)):
            assert vae.fit(x, sample_weight=weight, verbose=0).history["loss"] == [0.0]
            assert vae.evaluate(x, sample_weight=weight, verbose=0, return_dict=True)["loss"] == 0.0
        held = vae.fit(X, validation_data=(frames(X), None, weight), verbose=0).history
        assert held["val_loss"] == [0.0]


def test_missing_values_and_text_are_named(vae):
    missing = frames(X)
    missing.loc[3, "b"] = np.nan
    with pytest.raises(ValueError, match="first in example 3"):
        vae.fit(missing, verbose=0)
    with pytest.raises(ValueError, match="first in example 3"):
        vae.fit(missing.astype("Float64"), verbose=0)
    with pytest.raises(ValueError, match=r"x\['c'\].*Expected: numbers"):
        vae.fit(frames(X).assign(c="text"), verbose=0)


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[ns]"])
def test_dates_and_durations_are_no_numbers(vae, kind):
    times = np.arange(24).astype(kind)
    with pytest.raises(ValueError, match=r"x\['c'\].*Expected: numbers"):
        vae.fit(frames(X).assign(c=times), verbose=0)


def test_a_sparse_matrix_that_is_too_large_is_refused(vae):
    with pytest.raises(ValueError, match="PyDataset"):
        vae.fit(scipy.sparse.csr_matrix((2**30, 4), dtype="float32"), verbose=0)


def test_labels_as_lists():
    model = keras_vae.VAE.create((4,), latent_size=2, hidden=(5,), num_classes=3)
    model.compile("adam", run_eagerly=True)
    model.fit(X.tolist(), [0, 1, 2] * 8, verbose=0)
    assert model.elbo(X, y=[0, 1, 2] * 8).shape == (24,)
