"""TensorFlow Serving's REST API as an ASGI application.

Paths, status codes and texts follow `http_rest_api_handler.cc`, `http_rest_api_util.cc` and `http_server.cc`
in `tensorflow_serving/model_servers`. What that server leaves to its HTTP library is answered in the same
form, `{"error": "..."}`: 404 for a path outside `/v1/`, 413 for a body over the limit.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import tensorflow as tf
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from keras_vae.serving.server import messages, metrics
from keras_vae.serving.server.body import BodyTooLarge, read_body
from keras_vae.serving.server.metrics import Metrics
from keras_vae.serving.server.paths import Target, target_of
from keras_vae.serving.server.prediction import Predictor, signature_of, translated
from keras_vae.serving.server.runners import Results
from keras_vae.serving.server.version import Version
from keras_vae.serving.wire import json_tensors
from keras_vae.serving.wire.status import Code, RequestError, bad

log = logging.getLogger(__name__)

# Bytes and numbers beyond which JSON is read and written in a thread, so that other requests go on meanwhile.
_LONG_BODY = 2**16
_MANY_NUMBERS = 2**14
# Seconds after which it is worth watching whether the sender is still there.
_PATIENCE = 0.05


class RestApi:
    """The ASGI application: the REST API of what is served, and its metrics.

    Args:
        predictor: answers the requests.
        counters: where they are counted.
    """

    def __init__(self, predictor: Predictor, counters: Metrics):
        self._predictor, self._counters = predictor, counters
        self._limits = predictor.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = Request(scope, receive, send)
        target, code = Target(), Code.OK
        try:
            if request.method == "GET" and scope["path"] == metrics.PATH:
                response = Response(self._counters.page(), media_type=metrics.CONTENT_TYPE)
            else:
                target = target_of(request)
                response = _json(await self._answer(request, target))
        except ClientDisconnect:
            return
        except RequestError as error:
            code = error.code
            status = error.http if isinstance(error, BodyTooLarge) else code.http
            response = _json({"error": error.message}, status)
        except Exception as error:
            log.exception("%s %s", request.method, scope["path"])
            code = Code.INTERNAL
            response = _json({"error": f"{type(error).__name__}: {error}"}, code.http)
        if target.verb in _API:
            seconds = time.perf_counter() - started
            self._counters.request(target.model, _API[target.verb], "REST", code, seconds)
        await response(scope, receive, send)

    async def _answer(self, request: Request, target: Target) -> bytes | dict[str, Any]:
        if not target.model:
            raise bad("Missing model name in request.")
        if target.verb == "predict":
            return await self._predict(request, target)
        if target.verb in messages.METHODS:
            return await self._refuse(request, target)
        if target.verb == "metadata":
            with self._predictor.open(target.model, target.version, target.label) as opened:
                return messages.metadata_document(opened)
        # TensorFlow Serving takes no notice of a label here (`get_model_status_impl.cc`).
        statuses = self._predictor.versions.status(target.model, target.version)
        return messages.document(messages.status_response(statuses))

    async def _predict(self, request: Request, target: Target) -> bytes:
        body = await read_body(request, self._limits.max_body)
        with ExitStack() as stack:
            opened: Any = None

            # Asked for when the body has been parsed: what is no JSON is told so first, whatever the model.
            def specs_of(signature: str) -> Mapping[str, tf.TensorSpec]:
                nonlocal opened
                opened = stack.enter_context(self._predictor.open(target.model, target.version, target.label))
                return _signature(opened, signature).inputs

            asked = await _apart(len(body) > _LONG_BODY, json_tensors.decode_request, body, specs_of)
            future = self._predictor.submit(opened, asked.signature, asked.inputs)
            results = await self._results(request, future)
            many = sum(result.size for result in results.values()) > _MANY_NUMBERS
            return await _apart(many, json_tensors.encode_response, results, asked.row_format)

    async def _results(self, request: Request, future: Future) -> Results:
        """What a future holds in the end; it is withdrawn when time is up or the sender has gone."""
        waiting = asyncio.wrap_future(future)
        patience = min(_PATIENCE, self._limits.timeout)
        await asyncio.wait({waiting}, timeout=patience)
        if not waiting.done():
            gone = asyncio.ensure_future(_gone(request))
            timeout = self._limits.timeout - patience
            await asyncio.wait({waiting, gone}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            left = gone.done()
            gone.cancel()
            if not waiting.done():
                waiting.cancel()
                if left:
                    raise ClientDisconnect
        with translated():
            if waiting.cancelled():
                raise TimeoutError
            return waiting.result()

    async def _refuse(self, request: Request, target: Target) -> bytes:
        body = await read_body(request, self._limits.max_body)
        signature = _signature_asked(body, target.verb)
        with self._predictor.open(target.model, target.version, target.label) as opened:
            raise messages.refuse_method(opened, target.verb, signature)


_API = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}


def _signature(opened: Version, name: str) -> Any:
    try:
        return signature_of(opened, name)
    except RequestError as error:
        raise bad(f'Serving signature name: "{name}" not found in signature def') from error


def _signature_asked(body: bytes, verb: str) -> str:
    """The signature's name in the body of a request to classify or regress."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad(f"JSON Parse error: {error}") from error
    if not isinstance(asked, dict) or not isinstance(asked.get("examples"), list):
        raise bad(f"When method is {verb}, key 'examples' is expected and was not found")
    if not isinstance(asked.get("signature_name", ""), str):
        raise bad("'signature_name' key must be a string value.")
    return asked.get("signature_name", "")


async def _gone(request: Request) -> None:
    """Returns when the sender has closed the connection; all of the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _apart(long: bool, function: Any, *args: Any) -> Any:
    """Calls a function, in a thread if that takes long."""
    return await run_in_threadpool(function, *args) if long else function(*args)


def _json(content: bytes | dict[str, Any], status: int = 200) -> Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Response(body, status, media_type="application/json")
