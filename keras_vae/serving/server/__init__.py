"""An embedded server with TensorFlow Serving's REST and gRPC APIs, for development and tests.

In production the same folders are served by TensorFlow Serving itself.
"""

from keras_vae.serving.extras import require

for _module in ("grpc", "prometheus_client", "starlette", "tensorflow_serving", "uvicorn"):
    require(_module, "serving")

from keras_vae.serving.server.batching import Batching  # noqa: E402 - only with the extra
from keras_vae.serving.server.prediction import Limits  # noqa: E402
from keras_vae.serving.server.server import Server  # noqa: E402

__all__ = ["Batching", "Limits", "Server"]
