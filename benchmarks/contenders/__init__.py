"""The contenders: one line in the table and one module each.

A contender's module has a table `MODELS` from the name of a model to
`build(job: Job, images: np.ndarray) -> Trainer`, and `NETWORKS`, the names of the networks it can build. It
may import its libraries at the top: a worker imports it only after it has found `distributions`.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Contender:
    """Where a contender is and what it needs.

    Args:
        module: to import in the worker.
        distributions: import name to distribution name of what must be installed; the versions
            are reported.
        what: one line for the reader of the report.
    """

    module: str
    distributions: dict[str, str]
    what: str


CONTENDERS: dict[str, Contender] = {
    "keras_vae": Contender(
        "benchmarks.contenders.keras_vae_fit",
        {"keras_vae": "keras_vae", "keras": "keras", "tensorflow": "tensorflow"},
        "this library: VAE.create(...), compile, fit with their defaults",
    ),
    "keras": Contender(
        "benchmarks.contenders.keras_plain",
        {"keras": "keras", "tensorflow": "tensorflow"},
        "a Keras Model with its own train_step, compile and fit with their defaults",
    ),
    "torch": Contender(
        "benchmarks.contenders.torch_eager",
        {"torch": "torch"},
        "hand-written PyTorch loop over a tensor in memory, fused Adam, denormals flushed",
    ),
    "torch_compile": Contender(
        "benchmarks.contenders.torch_compiled",
        {"torch": "torch"},
        "the same with torch.compile of the loss",
    ),
    "pythae": Contender(
        "benchmarks.contenders.pythae_pipeline",
        {"pythae": "pythae", "torch": "torch"},
        "pythae's VAE in its own TrainingPipeline",
    ),
    "pythae_flush_denormal": Contender(
        "benchmarks.contenders.pythae_flush_denormal",
        {"pythae": "pythae", "torch": "torch"},
        "the same after torch.set_flush_denormal(True)",
    ),
    "pythae_channels_last": Contender(
        "benchmarks.contenders.pythae_channels_last",
        {"pythae": "pythae", "torch": "torch"},
        "the same again with the weights of convolutions laid out with channels last",
    ),
}
