"""What the server counts and times, in the text format of Prometheus.

Names that TensorFlow Serving has are its own, colons included, so that its dashboards work
(`tensorflow_serving/servables/tensorflow/util.cc`); its times are in microseconds.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from keras_vae.serving.wire.status import Code

PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# TensorFlow Serving's: 10 microseconds times powers of 1.8, up to about 20 minutes.
_MICROSECONDS = [10 * 1.8**power for power in range(33)]
_SIZES = [2**power for power in range(15)]


class Metrics:
    """The figures of one server, in a registry of its own.

    Args:
        models: names that requests are counted under; any other counts as "", because there is no end of
            names that do not exist.
        in_flight: gives the number of requests under way.
    """

    def __init__(self, models: list[str], in_flight: Callable[[], int]):
        self._models = frozenset(models)
        self._registry = CollectorRegistry()
        # A gauge that only rises: a counter of prometheus_client would add "_total" to the name.
        self._requests = Gauge(
            ":tensorflow:serving:request_count",
            "The total number of requests.",
            ["model_name", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Microseconds from a request to its answer.",
            ["model_name", "API", "entrypoint"],
            buckets=_MICROSECONDS,
            registry=self._registry,
        )
        self._runtime = Histogram(
            ":tensorflow:serving:runtime_latency",
            "Microseconds of a run of TensorFlow.",
            ["model_name", "API", "runtime"],
            buckets=_MICROSECONDS,
            registry=self._registry,
        )
        self._joined = Histogram(
            "keras_vae_serving_batch_requests",
            "Requests joined into one run.",
            ["model_name", "signature"],
            buckets=_SIZES,
            registry=self._registry,
        )
        self._rows = Histogram(
            "keras_vae_serving_batch_rows",
            "Rows of one run, without padding.",
            ["model_name", "signature"],
            buckets=_SIZES,
            registry=self._registry,
        )
        Gauge(
            "keras_vae_serving_requests_in_flight", "Requests under way.", registry=self._registry
        ).set_function(in_flight)

    def request(self, model: str, api: str, entrypoint: str, code: Code, seconds: float) -> None:
        """Counts a request that was answered."""
        name = model if model in self._models else ""
        self._requests.labels(name, code.name).inc()
        self._latency.labels(name, api, entrypoint).observe(seconds * 1e6)

    def run(self, model: str, seconds: float) -> None:
        """Counts a run of TensorFlow."""
        self._runtime.labels(model, "Predict", "TF2").observe(seconds * 1e6)

    def batch(self, model: str, signature: str, requests: int, rows: int) -> None:
        """Counts a run of requests that could be joined."""
        self._joined.labels(model, signature).observe(requests)
        self._rows.labels(model, signature).observe(rows)

    def page(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self._registry)
