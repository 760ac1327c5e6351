"""KerasTuner's chief and workers, made dependable: whoever dies, no trial is lost and nobody waits for ever.

`Distribution` says what part a process plays, the chief calls `serve`, a worker searches inside `join`.
"""

from keras_vae.tuning.chief import serve
from keras_vae.tuning.distribution import Distribution
from keras_vae.tuning.worker import Session, join

__all__ = ["Distribution", "Session", "join", "serve"]
