"""pythae's VAE in its own `TrainingPipeline`, with what slows it down switched off where it can be.

No checkpoints, no evaluation set, fused Adam, no console log; its progress bar has no option of its
own and is switched off through tqdm. At the end of a call it saves the model; that is not in the
epochs' time.
"""

import logging
import os
import tempfile

os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported

import numpy as np
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

from benchmarks.contenders import torch_networks
from benchmarks.protocol import EpochClock, Job


class PythaeEncoder(BaseEncoder):
    """The shared encoder in pythae's form."""

    def __init__(self, event_size: int, job: Job) -> None:
        super().__init__()
        self.network = torch_networks.Encoder(event_size, job.hidden, job.latent_size)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        mean, log_var = self.network(x.flatten(1))
        return ModelOutput(embedding=mean, log_covariance=log_var)


class PythaeDecoder(BaseDecoder):
    """The shared decoder in pythae's form: pixels in [0, 1], no logits."""

    def __init__(self, shape: tuple[int, ...], job: Job) -> None:
        super().__init__()
        self.shape = shape
        self.network = torch_networks.Decoder(int(np.prod(shape)), job.hidden, job.latent_size)

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

    def __init__(self, model: VAE, job: Job, images: np.ndarray) -> None:
        self.device = "gpu" if torch.cuda.is_available() else "cpu"
        self.model = model
        self.job = job
        self.images = images
        self.parameters = sum(p.numel() for p in model.parameters())

    def train(self, epochs: int, clock: EpochClock) -> int:
        """Runs the pipeline once."""
        with tempfile.TemporaryDirectory() as folder:
            config = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=epochs,
                per_device_train_batch_size=self.job.batch_size,
                learning_rate=self.job.learning_rate,
                optimizer_params={"fused": True},
                seed=self.job.seed,
            )
            pipeline = TrainingPipeline(model=self.model, training_config=config)
            pipeline(train_data=self.images, callbacks=[ClockCallback(clock)])
        optimizer = pipeline.trainer.optimizer
        return int(next(iter(optimizer.state.values()))["step"])


def build_vae(job: Job, images: np.ndarray) -> PipelineTrainer:
    """Returns the VAE in pythae's pipeline."""
    logging.disable(logging.INFO)
    torch.manual_seed(job.seed)
    images = np.moveaxis(images, -1, 1)  # channels first
    shape = images.shape[1:]
    config = VAEConfig(input_dim=shape, latent_dim=job.latent_size, reconstruction_loss="bce")
    encoder = PythaeEncoder(int(np.prod(shape)), job)
    vae = VAE(config, encoder=encoder, decoder=PythaeDecoder(shape, job))
    return PipelineTrainer(vae, job, np.ascontiguousarray(images))


MODELS = {"vae": build_vae}
