"""pythae's models in its own `TrainingPipeline`, with what slows it down switched off where it can be.

No checkpoints, no evaluation set, fused Adam, no console log; its progress bar has no option of its
own and is switched off through tqdm. At the end of a call it saves the model; that is not in the
epochs' time.
"""

import dataclasses
import logging
import math
import os
import tempfile
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported

import numpy as np
import pythae.models as pythae
import torch
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import (
    AdversarialTrainerConfig,
    BaseTrainerConfig,
    CoupledOptimizerAdversarialTrainerConfig,
    CoupledOptimizerTrainerConfig,
)
from pythae.trainers.training_callbacks import TrainingCallback

from benchmarks.contenders import models, torch_networks
from benchmarks.protocol import EpochClock, Job

NETWORKS = ("mlp", "conv")


def encoder(shape: tuple[int, ...], job: Job) -> torch_networks.Encoder:
    """The job's encoder of images of that shape, channels first."""
    if job.filters:
        return torch_networks.ConvEncoder(shape, job.filters, job.hidden, job.latent_size)
    return torch_networks.Encoder(int(np.prod(shape)), job.hidden, job.latent_size)


def decoder(shape: tuple[int, ...], job: Job) -> torch.nn.Module:
    """The job's decoder to images of that shape."""
    if job.filters:
        return torch_networks.ConvDecoder(shape, job.filters, job.hidden, job.latent_size)
    return torch_networks.Decoder(int(np.prod(shape)), job.hidden, job.latent_size)


class PythaeEncoder(BaseEncoder):
    """The shared encoder in pythae's form."""

    def __init__(self, shape: tuple[int, ...], job: Job, deterministic: bool = False) -> None:
        super().__init__()
        self.latent_dim = job.latent_size
        self.network = encoder(shape, job)
        if deterministic:
            del self.network.log_var

    def forward(self, x: torch.Tensor) -> ModelOutput:
        h = self.network.features(x)
        output = ModelOutput(embedding=self.network.mean(h))
        if hasattr(self.network, "log_var"):
            output["log_covariance"] = self.network.log_var(h)
        return output


class PythaeDecoder(BaseDecoder):
    """The shared decoder in pythae's form: pixels in [0, 1], no logits."""

    def __init__(self, shape: tuple[int, ...], job: Job) -> None:
        super().__init__()
        self.shape = shape
        self.network = decoder(shape, job)

    def forward(self, z: torch.Tensor) -> ModelOutput:
        pixels = torch.sigmoid(self.network(z))
        return ModelOutput(reconstruction=pixels.reshape(-1, *self.shape))


class ClockCallback(TrainingCallback):
    """Tells the clock of each epoch."""

    def __init__(self, clock: EpochClock) -> None:
        self.clock = clock

    def on_epoch_begin(self, training_config, **kwargs):
        self.clock.begin()

    def on_epoch_end(self, training_config, **kwargs):
        self.clock.end(float("nan"))  # pythae tells the loss only afterwards, in `on_log`

    def on_log(self, training_config, logs, **kwargs):
        self.clock.losses[-1] = float(logs["train_epoch_loss"])


class PipelineTrainer:
    """Calls the pipeline; each call begins with a new optimizer, as pythae does it."""

    def __init__(self, model: torch.nn.Module, trainer: type, job: Job, images: np.ndarray) -> None:
        self.device = "gpu" if torch.cuda.is_available() else "cpu"
        self.model = model
        self.trainer = trainer
        self.job = job
        self.images = images
        self.parameters = sum(p.numel() for p in model.parameters())

    def train(self, epochs: int, clock: EpochClock) -> int:
        """Runs the pipeline once."""
        with tempfile.TemporaryDirectory() as folder:
            config = self.trainer(
                output_dir=folder,
                num_epochs=epochs,
                per_device_train_batch_size=self.job.batch_size,
                seed=self.job.seed,
                **_of_every_optimizer(self.trainer, "learning_rate", self.job.learning_rate),
                **_of_every_optimizer(self.trainer, "optimizer_params", {"fused": True}),
            )
            pipeline = TrainingPipeline(model=self.model, training_config=config)
            pipeline(train_data=self.images, callbacks=[ClockCallback(clock)])
        return epochs * math.ceil(len(self.images) / self.job.batch_size)


def _of_every_optimizer(trainer: type, ending: str, value: Any) -> dict[str, Any]:
    """The same argument for each of a trainer's optimizers."""
    names = [field.name for field in dataclasses.fields(trainer)]
    return {name: value for name in names if name.endswith(ending)}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A model of pythae.

    Args:
        model, config: its classes.
        options: arguments of the config.
        deterministic: whether the encoder gives codes only.
        trainer: class of the trainer's config.
        channels_last: whether the weights of convolutions are laid out so.
    """

    model: type
    config: type
    options: dict[str, Any]
    deterministic: bool = False
    trainer: type = BaseTrainerConfig
    channels_last: bool = False

    def __call__(self, job: Job, images: np.ndarray) -> PipelineTrainer:
        """Returns the model in pythae's pipeline."""
        logging.disable(logging.INFO)
        torch.manual_seed(job.seed)
        images = np.moveaxis(images, -1, 1)  # channels first
        shape = images.shape[1:]
        config = self.config(input_dim=shape, latent_dim=job.latent_size, **self.options)
        encoder = PythaeEncoder(shape, job, self.deterministic)
        model = self.model(config, encoder=encoder, decoder=PythaeDecoder(shape, job))
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)
        return PipelineTrainer(model, self.trainer, job, np.ascontiguousarray(images))


BCE = {"reconstruction_loss": "bce"}
MODELS = {
    "vae": Recipe(pythae.VAE, pythae.VAEConfig, BCE),
    "ae": Recipe(pythae.AE, pythae.AEConfig, {}, deterministic=True),
    "beta_tc_vae": Recipe(pythae.BetaTCVAE, pythae.BetaTCVAEConfig, {**BCE, "use_mss": True}),
    "disentangled_beta_vae": Recipe(
        pythae.DisentangledBetaVAE,
        pythae.DisentangledBetaVAEConfig,
        {**BCE, "beta": models.BETA, "C": models.CAPACITY, "warmup_epoch": 1},
    ),
    "factor_vae": Recipe(
        pythae.FactorVAE,
        pythae.FactorVAEConfig,
        {**BCE, "gamma": models.GAMMA},
        trainer=AdversarialTrainerConfig,
    ),
    "iwae": Recipe(pythae.IWAE, pythae.IWAEConfig, {**BCE, "number_samples": models.NUM_SAMPLES}),
    "miwae": Recipe(
        pythae.MIWAE,
        pythae.MIWAEConfig,
        {
            **BCE,
            "number_samples": models.NUM_SAMPLES,
            "number_gradient_estimates": models.NUM_ESTIMATES,
        },
    ),
    "wae_mmd": Recipe(pythae.WAE_MMD, pythae.WAE_MMD_Config, {}, deterministic=True),
    "info_vae": Recipe(pythae.INFOVAE_MMD, pythae.INFOVAE_MMD_Config, BCE),
    "adversarial_ae": Recipe(
        pythae.Adversarial_AE, pythae.Adversarial_AE_Config, BCE, trainer=AdversarialTrainerConfig
    ),
    "vae_gan": Recipe(
        pythae.VAEGAN, pythae.VAEGANConfig, BCE, trainer=CoupledOptimizerAdversarialTrainerConfig
    ),
    "rae_l2": Recipe(
        pythae.RAE_L2,
        pythae.RAE_L2_Config,
        {},
        deterministic=True,
        trainer=CoupledOptimizerTrainerConfig,
    ),
}
