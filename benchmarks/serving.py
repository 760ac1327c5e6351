"""Prints how fast the embedded server is: `python benchmarks/serving.py`.

The model is an untrained VAE of MNIST's size, an MLP 784-512-256-32 and back, since its weights make no
difference to the time. Four things are measured, all on this machine, over loopback:

latency: milliseconds of one decoder request of one row after the other, in shuffled turns, and ratios of
    medians to "bare": the SavedModel's signature called in this process, NumPy in and out. "core" is the path
    of a request within the server's process, from arrays to arrays: version, checks, batching, the signature;
    "core, unbatched" without batching. "gRPC" and "REST" are whole requests of `keras_vae.serving.Client` to
    a server in a process of its own.
throughput: decoder requests of one row per second by so many clients at once, each a thread that sends its
    next request when the last is answered: with batching and without, within the server's process, and from
    threads of this process to a server in a process of its own. Those send bytes that were made before and
    do not read the answers, since here both processes share the machine, and what the clients compute would
    be counted as the server's. Over the wire, Python's share of each request is larger than the model's,
    and batching cannot make it smaller: "echo" is the rate of a gRPC server in Python that has no model and
    answers every request with the same bytes, as many as the decoder's answer.
export: seconds of `serving.export`, all three servables, in a process that has traced nothing before.
switch: requests over gRPC by several clients while version 2 of the decoder takes the place of version 1 in
    the middle; every answer must be one of the two versions', and none may fail. Nothing is retried.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
EVENT, LATENT = (28, 28, 1), 32
DECODER = "mnist_decoder"
PARTS = ("export", "latency", "throughput", "switch")


def export(folder: Path, hidden: list[int], seed: int = 0) -> float:
    """Exports a model and returns the seconds that it took."""
    from keras_vae import VAE, serving

    model = VAE.create(EVENT, LATENT, hidden=tuple(hidden), seed=seed)
    begin = time.perf_counter()
    serving.export(model, folder / "mnist")
    return time.perf_counter() - begin


def latents(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, LATENT)).astype("float32")


@contextlib.contextmanager
def server_process(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """`keras-vae serve` of the decoder on free ports; gives its addresses by scheme."""
    program = "import sys; from keras_vae.cli import main; sys.argv[0] = 'keras-vae'; main()"
    ports = ["--rest-port", "0", "--grpc-port", "0", "--poll", "0.2"]
    command = [sys.executable, "-c", program, "serve", str(folder / DECODER), *ports, *options]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        stack.callback(process.communicate, timeout=60)
        stack.callback(process.terminate)
        addresses = {}
        for line in process.stdout:
            if found := re.match(r"REST: (http://[^/]+)", line):
                addresses["http"] = found[1]
            if found := re.match(r"gRPC: (\S+)", line):
                addresses["grpc"] = f"grpc://{found[1]}"
                break
        if len(addresses) < 2:
            log.seek(0)
            raise SystemExit(f"keras-vae serve did not start:\n{log.read()[-2000:]}")
        yield addresses


ECHO = """
import sys
from concurrent.futures import ThreadPoolExecutor
import grpc

class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

answer = bytes(int(sys.argv[1]))
server = grpc.server(ThreadPoolExecutor(64), handlers=[Echo()])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


@contextlib.contextmanager
def echo_process(size: int) -> Iterator[str]:
    """A gRPC server that answers every request with so many bytes; gives its address."""
    command = [sys.executable, "-c", ECHO, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"grpc://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


@contextlib.contextmanager
def core(folder: Path, **options: object) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """A server's predictor in this process, behind no transport that is used."""
    from keras_vae.serving.server import Server

    with Server(folder / DECODER, 0, None, **options) as server:
        yield lambda z: server.predictor.predict(DECODER, {"z": z}).outputs["mean"]


@contextlib.contextmanager
def client(url: str) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """A client that gives up at the first failure."""
    from keras_vae.serving import Client, Retries

    with Client(url, "mnist", retries=Retries(attempts=1)) as asking:
        yield asking.decode


@contextlib.contextmanager
def grpc_bytes(url: str) -> Iterator[Callable[[np.ndarray], object]]:
    """Sends requests that were made before, over gRPC, and leaves the answers unread."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    made: dict[bytes, bytes] = {}

    def message(z: np.ndarray) -> bytes:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = DECODER
        request.inputs["z"].CopyFrom(tf.make_tensor_proto(z))
        return request.SerializeToString()

    with grpc.insecure_channel(url.removeprefix("grpc://")) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        yield lambda z: predict(made.get(z.tobytes()) or made.setdefault(z.tobytes(), message(z)))


@contextlib.contextmanager
def rest_bytes(url: str) -> Iterator[Callable[[np.ndarray], object]]:
    """The same over REST, each thread by a connection of its own."""
    own = threading.local()
    made: dict[bytes, bytes] = {}
    opened: list[http.client.HTTPConnection] = []

    def call(z: np.ndarray) -> None:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(url.removeprefix("http://"))
            opened.append(own.connection)
        body = made.get(z.tobytes()) or made.setdefault(
            z.tobytes(), json.dumps({"inputs": z.tolist()}).encode()
        )
        own.connection.request("POST", f"/v1/models/{DECODER}:predict", body)
        answer = own.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}")

    yield call
    for connection in opened:
        connection.close()


def bare(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The SavedModel's signature."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder / DECODER / "1"))
    signature = loaded.signatures["serving_default"]

    def call(z: np.ndarray) -> np.ndarray:
        return signature(z=tf.constant(z))["mean"].numpy()

    # Signatures do not keep the variables alive.
    call.loaded = loaded  # type: ignore[attr-defined]
    return call


def latency(folder: Path, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of every call by what is called, in turns: a slow moment hits all alike."""
    z = latents(1)
    with contextlib.ExitStack() as stack:
        addresses = stack.enter_context(server_process(folder))
        calls = {
            "bare": bare(folder),
            "core": stack.enter_context(core(folder)),
            "core, unbatched": stack.enter_context(core(folder, batching=None)),
            "gRPC": stack.enter_context(client(addresses["grpc"])),
            "REST": stack.enter_context(client(addresses["http"])),
        }
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for call in calls.values():
            for _ in range(10):
                call(z)
        order = np.random.default_rng(0)
        for _ in range(rounds):
            # Shuffled: after a request to another process, a call finds its own caches cold.
            for name in order.permutation(list(calls)):
                begin = time.perf_counter()
                calls[name](z)
                seconds[name].append(time.perf_counter() - begin)
    return {name: np.array(values) for name, values in seconds.items()}


def per_second(call: Callable[[np.ndarray], np.ndarray], clients: int, requests: int) -> float:
    """Requests per second of so many threads, each of which asks again when it is answered."""
    ready = threading.Barrier(clients + 1)
    shares = [requests // clients + (number < requests % clients) for number in range(clients)]
    failures: list[Exception] = []

    def ask(share: int, z: np.ndarray) -> None:
        ready.wait()
        try:
            for _ in range(share):
                call(z)
        except Exception as error:
            failures.append(error)

    z = latents(clients)
    threads = [threading.Thread(target=ask, args=(share, z[i : i + 1])) for i, share in enumerate(shares)]
    for thread in threads:
        thread.start()
    ready.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return requests / (time.perf_counter() - begin)


def throughput(folder: Path, clients: int, requests: int) -> dict[str, dict[str, float]]:
    """Requests per second, batched and unbatched, within the server's process and over the wire."""
    found: dict[str, dict[str, float]] = {"core": {}, "gRPC": {}, "REST": {}}
    for name, options, flag in (
        ("batched", {}, "--batching"),
        ("unbatched", {"batching": None}, "--no-batching"),
    ):
        with core(folder, **options) as call:
            per_second(call, clients, clients)
            found["core"][name] = per_second(call, clients, requests)
        with server_process(folder, flag) as addresses:
            for wire, opened in (
                ("gRPC", grpc_bytes(addresses["grpc"])),
                ("REST", rest_bytes(addresses["http"])),
            ):
                with opened as call:
                    per_second(call, clients, clients)
                    found[wire][name] = per_second(call, clients, requests)
    with echo_process(4 * int(np.prod(EVENT))) as address, grpc_bytes(address) as call:
        per_second(call, clients, clients)
        found["gRPC"]["echo"] = per_second(call, clients, requests)
    return found


def switch(folder: Path, hidden: list[int], clients: int, requests: int) -> Counter:
    """Answers by version, and failures, around a switch of versions halfway.

    The requests go on beyond their number until version 2 has answered, a minute at most.
    """
    export(folder / "next", hidden, seed=1)
    z = latents(1)
    expected = {1: bare(folder)(z), 2: bare(folder / "next")(z)}
    answers: Counter = Counter()
    lock, deadline = threading.Lock(), time.monotonic() + 60

    def ask(decode: Callable[[np.ndarray], np.ndarray]) -> None:
        while answers.total() < requests or (not answers[2] and time.monotonic() < deadline):
            try:
                mean = decode(z)
                close = [version for version, each in expected.items() if np.allclose(mean, each, atol=1e-5)]
                outcome = close[0] if len(close) == 1 else "of neither version"
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"
            with lock:
                answers[outcome] += 1

    with server_process(folder) as addresses, client(addresses["grpc"]) as decode:
        threads = [threading.Thread(target=ask, args=(decode,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        while answers.total() < requests // 2:
            time.sleep(0.001)
        (folder / "next" / DECODER / "1").rename(folder / DECODER / "2")
        for thread in threads:
            thread.join()
    return answers


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure only these")
    parser.add_argument(
        "--hidden", type=int, nargs="+", default=[512, 256], help="units of the encoder's layers"
    )
    parser.add_argument("--rounds", type=int, default=1000, help="calls of each kind, for latency")
    parser.add_argument("--clients", type=int, default=32, help="at once, for throughput")
    parser.add_argument("--requests", type=int, default=6400, help="of each kind, for throughput")
    parser.add_argument("--switch-requests", type=int, default=10_000)
    parser.add_argument("--switch-clients", type=int, default=8)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        seconds = export(folder, args.hidden)
        if "export" in args.only:
            print(f"export: {seconds:.1f} s (target: < 15)")
        if "latency" in args.only:
            print_latency(latency(folder, args.rounds))
        if "throughput" in args.only:
            print_throughput(throughput(folder, args.clients, args.requests), args.clients)
        if "switch" in args.only:
            answers = switch(folder, args.hidden, args.switch_clients, args.switch_requests)
            failures = answers.total() - answers[1] - answers[2]
            print(
                f"switch: {answers.total()} requests, {answers[1]} answered by version 1, {answers[2]} by "
                f"version 2, {failures} failures (target: 0)"
            )
            for outcome, count in answers.items():
                if outcome not in (1, 2):
                    print(f"  {count} times {outcome}")


def print_latency(seconds: dict[str, np.ndarray]) -> None:
    base = np.median(seconds["bare"])
    for name, values in seconds.items():
        median, tail = np.median(values), np.percentile(values, 99)
        target = " (target: <= 1.5)" if name.startswith("core") else ""
        print(
            f"latency, {name}: median {1e3 * median:.2f} ms, 99 % {1e3 * tail:.2f} ms, "
            f"{median / base:.2f} times bare{target}"
        )


def print_throughput(found: dict[str, dict[str, float]], clients: int) -> None:
    for place, rates in found.items():
        shown = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
        ratio = rates["batched"] / rates["unbatched"]
        print(f"throughput, {place}, {clients} clients: {shown} requests/s, {ratio:.2f} times (target: >= 3)")


if __name__ == "__main__":
    main()
