"""Training spread over two devices, in a process of its own, where one CPU counts as two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import contextlib, json, sys, traceback
sys.path.insert(0, sys.argv[1])
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import numpy as np
import tensorflow_probability as tfp
from keras_vae import layers, models
from models.cases import data, decoder, sgd, trainable

tfd = tfp.distributions

# Nearly without noise, since each device draws its own z.
def narrow(params):
    return tfd.Independent(tfd.Normal(params, 1e-4), 1)

def build():
    keras.utils.set_random_seed(7)
    inputs = [keras.Input((6,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)]
    encoder = keras.Sequential([*inputs, layers.DistributionLambda(narrow)])
    model = models.BetaVAE(encoder, decoder(), beta="linear:0:1:8", seed=3)
    model.compile(optimizer=sgd(), metrics=["mse"], jit_compile=False)
    return model

x, y, weight = data(70), np.zeros(70), np.linspace(0, 2, 70, dtype="float32")
held_out = data(20, seed=1)
batches = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(20)
arrays = {"x": x, "y": y, "sample_weight": weight, "batch_size": 20}

def run(model, scope, options):
    options = {"validation_data": held_out, "epochs": 2, "shuffle": False, "verbose": 0, **options}
    with scope:
        history = model.fit(**options).history
    return {
        "history": history,
        "weights": [float(value) for value in trainable(model)],
        "step": int(np.array(model.step)),
        "beta": float(np.array(model.beta)),
        "predicted": np.array(model.predict(x, verbose=0)).tolist(),
        "elbo": np.array(model.elbo(x, seed=(1, 2))).tolist(),
    }

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2

def mirrored(scope, options):
    with strategy.scope():
        model = build()
    return run(model, scope, options)

here = contextlib.nullcontext()
RUNS = {
    "single": lambda: run(build(), here, {"x": batches}),
    "data set, within the scope": lambda: mirrored(strategy.scope(), {"x": batches}),
    "arrays, outside the scope": lambda: mirrored(here, arrays),
}
results = {}
for name, function in RUNS.items():
    try:
        results[name] = function()
    except Exception:
        results[name] = {"error": traceback.format_exc()[-1000:]}
print("RESULT", json.dumps(results))
"""


@pytest.fixture(scope="module")
def results():
    tests = str(Path(__file__).parents[1])
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-c", PROGRAM, tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    return json.loads(line.removeprefix("RESULT"))


@pytest.mark.parametrize("name", ["data set, within the scope", "arrays, outside the scope"])
def test_two_devices_agree_with_one(results, name):
    single, mirrored = results["single"], results[name]
    assert "error" not in single, single["error"]
    assert "error" not in mirrored, mirrored["error"]
    assert mirrored["step"] == single["step"] == 8
    assert mirrored["beta"] == pytest.approx(single["beta"])
    # The noise of z moves a log-density by about its scale of 1e-4.
    np.testing.assert_allclose(mirrored["weights"], single["weights"], atol=1e-3)
    np.testing.assert_allclose(mirrored["predicted"], single["predicted"], atol=1e-2)
    np.testing.assert_allclose(mirrored["elbo"], single["elbo"], atol=2e-2)
    for metric, values in single["history"].items():
        assert mirrored["history"][metric] == pytest.approx(values, rel=2e-3), metric
