"""Memory of the estimates, measured in a process of its own, since its peak counts."""

import os
import subprocess
import sys

import pytest

MEASURE = """
import resource
import numpy as np
import keras_vae

vae = keras_vae.VAE.create((28, 28, 1), 8, network="mlp", hidden=(32,), seed=0)

def peak_after(estimate, count, num_samples):
    estimate(np.zeros((count, 28, 28, 1), "float32"), num_samples, batch_size=128, seed=0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

print(
    peak_after(vae.log_likelihood, 128, 64),
    peak_after(vae.log_likelihood, 128, 1024),
    peak_after(vae.log_likelihood, 1024, 64),
    peak_after(vae.elbo, 128, 1024),
)
"""


@pytest.mark.slow
def test_memory_grows_neither_with_draws_nor_with_examples():
    """128 x 1,024 decoded images of 784 numbers are 411 MB, and 1,024 images 3 MB."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    peaks = [int(peak) for peak in done.stdout.split()]
    # In MB: the programs compiled for other shapes take some tens.
    assert peaks[1] - peaks[0] < 120, peaks
    assert peaks[2] - peaks[1] < 120, peaks
    assert peaks[3] - peaks[2] < 120, peaks
