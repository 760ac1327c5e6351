"""Training spread over two devices, in a process of its own, where one CPU counts as two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import json, sys
sys.path.insert(0, {tests!r})
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import numpy as np
from keras_vae import models, layers
from models.cases import beta_vae, data, encoder, decoder, sgd, trainable
import tensorflow_probability as tfp

tfd = tfp.distributions

# Nearly without noise, since each device draws its own z.
def narrow(params):
    return tfd.Independent(tfd.Normal(params, 1e-4), 1)

def build():
    keras.utils.set_random_seed(7)
    inputs = [keras.Input((6,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)]
    encoder = keras.Sequential([*inputs, layers.DistributionLambda(narrow)])
    model = models.BetaVAE(encoder, decoder(), beta="linear:0:1:8", seed=3)
    model.compile(optimizer=sgd(), metrics=["mse"], jit_compile={jit})
    return model

x, weight = data(70), np.linspace(0, 2, 70, dtype="float32")
batches = tf.data.Dataset.from_tensor_slices((x, np.zeros(70), weight)).batch(20)

def run(model):
    history = model.fit(batches, epochs=2, validation_data=data(20, seed=1), verbose=0).history
    return {{
        "history": history,
        "weights": [float(value) for value in trainable(model)],
        "step": int(np.array(model.step)),
        "beta": float(np.array(model.beta)),
        "reconstruction": np.array(model.predict(x, verbose=0)).tolist(),
    }}

single = run(build())
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = build()
assert strategy.num_replicas_in_sync == 2
print("RESULT", json.dumps([single, run(model)]))
"""


@pytest.mark.slow
def test_two_devices_agree_with_one():
    program = PROGRAM.format(tests=str(Path(__file__).parents[1]), jit=False)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=300
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    line = next(line for line in finished.stdout.splitlines() if line.startswith("RESULT"))
    single, mirrored = json.loads(line.removeprefix("RESULT"))
    assert mirrored["step"] == single["step"] == 8
    assert mirrored["beta"] == pytest.approx(single["beta"])
    # The noise of z moves a loss by about its scale of 1e-4.
    np.testing.assert_allclose(mirrored["weights"], single["weights"], atol=1e-3)
    np.testing.assert_allclose(mirrored["reconstruction"], single["reconstruction"], atol=1e-2)
    assert mirrored["history"] == {
        name: pytest.approx(values, rel=2e-3) for name, values in single["history"].items()
    }
