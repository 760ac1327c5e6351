"""The codes are gRPC's, and their HTTP statuses TensorFlow Serving's."""

import pytest

from keras_vae.serving.wire.status import Code

grpc = pytest.importorskip("grpc")


def test_codes_are_grpcs():
    assert {code.name: code.value for code in Code} == {code.name: code.value[0] for code in grpc.StatusCode}


@pytest.mark.parametrize("code", Code)
def test_an_http_status_leads_back_to_a_code_of_that_status(code):
    assert Code.of_http(code.http).http == code.http


@pytest.mark.parametrize(
    ("status", "code"),
    [(204, "OK"), (302, "UNKNOWN"), (422, "INVALID_ARGUMENT"), (502, "UNAVAILABLE"), (599, "UNKNOWN")],
)
def test_statuses_that_tensorflow_serving_does_not_send(status, code):
    assert Code.of_http(status).name == code
