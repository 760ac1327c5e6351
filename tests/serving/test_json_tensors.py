"""TensorFlow Serving's JSON is read and written as its documentation and its source say."""

import base64
import json
import math

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.serving.wire import json_tensors
from keras_vae.serving.wire.json_reader import to_array
from keras_vae.serving.wire.json_writer import to_rows, to_text
from keras_vae.serving.wire.status import Code, RequestError

X = {"x": tf.TensorSpec([None, 2], tf.float32)}
LABELLED = {**X, "y": tf.TensorSpec([None], tf.int32)}


def decode(document, specs=X):
    body = document if isinstance(document, str | bytes) else json.dumps(document)
    return json_tensors.decode_request(body, lambda signature: specs)


def refused(document, specs=X, code=Code.INVALID_ARGUMENT):
    with pytest.raises(RequestError) as caught:
        decode(document, specs)
    assert caught.value.code == code
    return caught.value.message


ROWS = [[1.5, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": ROWS},
        {"inputs": {"x": ROWS}},
        {"instances": ROWS},
        {"instances": [{"x": row} for row in ROWS]},
        # Whole numbers are floats where the signature says so.
        {"instances": [[1.5, 2], [3, 4]], "signature_name": "serving_default"},
    ],
)
def test_every_form_of_a_request_gives_the_same_array(document):
    request = decode(document)
    np.testing.assert_array_equal(request.inputs["x"], np.array(ROWS, np.float32), strict=True)
    assert request.signature == "serving_default"
    assert request.row_format == ("instances" in document)


def test_several_inputs_in_rows_and_in_columns():
    rows = decode({"instances": [{"y": 1, "x": [0, 1]}, {"x": [2, 3], "y": 2}]}, LABELLED)
    columns = decode({"inputs": {"x": [[0, 1], [2, 3]], "y": [1, 2]}, "signature_name": "s"}, LABELLED)
    assert columns.signature == "s"
    for inputs in (rows.inputs, columns.inputs):
        np.testing.assert_array_equal(inputs["x"], np.array([[0, 1], [2, 3]], np.float32), strict=True)
        np.testing.assert_array_equal(inputs["y"], np.array([1, 2], np.int32), strict=True)


def test_scalars_have_no_axis():
    specs = {"seed": tf.TensorSpec([2], tf.int32), "count": tf.TensorSpec([], tf.int32)}
    inputs = decode({"inputs": {"seed": [0, 1], "count": 3}}, specs).inputs
    assert inputs["count"].shape == () and inputs["count"] == 3
    assert inputs["seed"].shape == (2,)


def test_the_signatures_name_decides_the_specifications():
    asked = []
    json_tensors.decode_request(
        '{"signature_name": "sample", "inputs": [[1, 2]]}', lambda name: asked.append(name) or X
    )
    assert asked == ["sample"]
    with pytest.raises(RequestError, match="no such signature"):
        json_tensors.decode_request('{"inputs": 1}', _not_found)


def _not_found(name):
    raise RequestError(Code.NOT_FOUND, "no such signature")


def test_numbers_that_are_none_are_read():
    values = decode('{"instances": [[NaN, Infinity], [-Infinity, 1e-3]]}').inputs["x"]
    assert math.isnan(values[0, 0])
    assert values[0, 1] == np.inf and values[1, 0] == -np.inf and values[1, 1] == np.float32(1e-3)


STRINGS = {"s": tf.TensorSpec([None], tf.string)}


def test_bytes_come_in_base64_and_text_as_it_is():
    data = bytes(range(256))
    encoded = base64.b64encode(data).decode()
    for document in (
        {"instances": [{"b64": encoded}, "π"]},
        {"instances": [{"s": {"b64": encoded.rstrip("=")}}, {"s": "π"}]},
        {"inputs": [{"b64": encoded}, "π"]},
        {"inputs": {"s": [{"b64": encoded}, "π"]}},
    ):
        assert decode(document, STRINGS).inputs["s"].tolist() == [data, "π".encode()]
    one = {"s": tf.TensorSpec([], tf.string)}
    assert decode({"inputs": {"b64": encoded}}, one).inputs["s"].item() == data


@pytest.mark.parametrize("value", [{"b64": "%%%"}, {"b64": "a"}, {"b64": 1}, {"b64": "YQ==", "c": 1}])
def test_what_is_no_base64_is_refused(value):
    assert "base64" in refused({"inputs": {"s": [value]}}, STRINGS)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "JSON Parse error"),
        ("{", "JSON Parse error"),
        (b"\xff\xfe\xfa", "JSON Parse error"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": ROWS, "instances": ROWS}, "only one of"),
        ({"instances": 3}, "to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"inputs": ROWS, "signature_name": None}, "must be a string"),
        ({"inputs": ROWS, "signature_name": 0}, "must be a string"),
        ({"inputs": [[1, 2], [3]]}, "unexpected size: 1 at level: 1 expected size: 2"),
        ({"inputs": [[1, 2], 3]}, "JSON Value: 3 found at level: 1"),
        ({"inputs": [1, [2, 3]]}, "list at unexpected level: 1"),
        ({"inputs": [["a", 2]]}, 'JSON Value: "a" Type: String is not of expected type: float32'),
        ({"inputs": [[True, 2]]}, "Type: Bool is not of expected type: float32"),
        ({"inputs": [[None, 2]]}, "Type: Null is not of expected type: float32"),
        ({"inputs": [[{"b64": "YQ=="}, 2]]}, "Type: Object is not of expected type: float32"),
        ({"inputs": {"z": ROWS}}, "Missing named input: x"),
        ({"inputs": {"x": ROWS, "z": ROWS}}, "does not have named input: z"),
        ({"instances": [{"z": [1, 2]}]}, "keys must be equal to: x"),
        ({"instances": [[1, 2], {"x": [1, 2]}]}, "got object at item 1"),
        ({"instances": [{"x": [1, 2]}, [1, 2]]}, "got list at item 1"),
        ({"instances": [[1, 2], [1]]}, "Failed to process 'instances' list"),
        ({"inputs": [[1e39, 0]]}, "1e+39 to float32 without loss"),
        ({"inputs": [[2**24, 0]]}, "16777216 to float32 without loss"),
        ({"inputs": [["a" * 1000, 0]]}, "aaa..."),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(body, words):
    assert words in refused(body)


def test_several_inputs_need_names():
    assert "multiple" in refused({"instances": [[1, 2]]}, LABELLED)
    assert "multiple" in refused({"inputs": [[1, 2]]}, LABELLED)


@pytest.mark.parametrize("value", [1.0, 1.5, True, "1", None, 2**31, -(2**31) - 1, float("nan")])
def test_integers_are_never_made_of_other_things(value):
    message = refused({"inputs": {"x": [[0, 1]], "y": [0, value]}}, LABELLED)
    assert "is not of expected type: int32" in message


@pytest.mark.parametrize("dtype", [tf.uint8, tf.int8, tf.int32, tf.uint32, tf.int64, tf.uint64])
def test_integers_of_the_whole_range(dtype):
    ends = [dtype.min, dtype.max]
    array = to_array(ends, tf.TensorSpec([None], dtype))
    assert array.tolist() == ends and array.dtype == dtype.as_numpy_dtype
    assert json.loads(to_text(array)) == ends


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_other_floats(dtype):
    array = np.array([[0.1, -2.0], [np.inf, 1e-5]]).astype(dtype.as_numpy_dtype)
    text = to_text(array)
    assert "-2.0" in text
    np.testing.assert_array_equal(to_array(json.loads(text), tf.TensorSpec(None, dtype)), array, strict=True)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64])
@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 3, 1), (2, 2, 1, 3), (1, 1), (2, 0), (0, 2)])
@pytest.mark.parametrize("odd", [1.0, np.nan, -np.inf])
def test_rows_of_floats_are_those_of_the_whole(dtype, shape, odd):
    array = np.random.default_rng(0).normal(size=shape).astype(dtype.as_numpy_dtype)
    array[-1:] *= odd
    rows = to_rows(array)
    assert len(rows) == len(array)
    assert to_text(array) == f"[{','.join(rows)}]"
    for row, expected in zip(rows, array, strict=True):
        read = to_array(json.loads(row), tf.TensorSpec(None, dtype))
        # As float64, because NumPy takes no NaN of bfloat16 for another.
        np.testing.assert_array_equal(read.astype(np.float64), expected.astype(np.float64))


@pytest.mark.parametrize("number", ["1e400", "-1E+0999", "9" * 400, "9" * 400 + ".0"])
def test_numbers_beyond_double_precision_are_no_infinity(number):
    with pytest.raises(RequestError, match="JSON Parse error: Number too big"):
        json_tensors.decode_request(f'{{"inputs": [{number}]}}'.encode(), lambda _: X)
    assert decode({"inputs": [float("inf")]}, {"x": tf.TensorSpec([None], tf.float32)}).inputs["x"] == np.inf


def test_integers_beyond_64_bits_are_decimals():
    specs = {"x": tf.TensorSpec([None], tf.float32)}
    assert decode({"inputs": [10**30]}, specs).inputs["x"] == np.float32(1e30)
    assert "loss of precision" in refused({"inputs": [2**60]}, specs)


def test_base64_may_have_broken_lines_and_bodies_are_utf_8():
    specs = {"s": tf.TensorSpec([None], tf.string)}
    assert decode({"inputs": [{"b64": "QUJD\nREVG\n"}]}, specs).inputs["s"].tolist() == [b"ABCDEF"]
    with pytest.raises(RequestError, match="JSON Parse error"):
        json_tensors.decode_request('{"inputs": [1]}'.encode("utf-16"), lambda _: X)


def test_truths_and_types_without_words():
    specs = {"t": tf.TensorSpec([None], tf.bool)}
    assert decode({"inputs": [True, False]}, specs).inputs["t"].tolist() == [True, False]
    assert "expected type: bool" in refused({"inputs": [1, 0]}, specs)
    refused({"inputs": [1]}, {"c": tf.TensorSpec([None], tf.complex64)}, Code.UNIMPLEMENTED)
    with pytest.raises(RequestError, match="complex64"):
        to_text(np.array([1j], np.complex64))


def test_empty_lists_have_the_signatures_axes():
    assert decode({"inputs": []}).inputs["x"].shape == (0, 2)
    assert decode({"inputs": [[], []]}).inputs["x"].shape == (2, 0)
    assert json_tensors.decode_response('{"predictions": []}', X)["x"].shape == (0, 2)
    assert to_array([], tf.TensorSpec(None, tf.float32)).shape == (0,)


def test_every_float32_survives_json():
    """Read back by Python's own parser, in double precision and then rounded."""
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32)
    # 7.038531e-26: its shortest digits, rounded to double and then to single precision, are its neighbour.
    bits[:6] = 0x15AE43FD, 0, 0x80000000, 1, 0x7F7FFFFF, 0x7F800000
    values = bits.view(np.float32).reshape(-1, 2)
    body = json_tensors.encode_request({"x": values})
    assert len(body) < 15 * values.size, "floats are written in more digits than they need"
    doubles = np.array(json.loads(body)["inputs"]["x"])
    # TensorFlow Serving refuses numbers beyond the largest float32, and its shortest digits are such.
    assert np.abs(doubles[np.isfinite(doubles)]).max() == np.finfo(np.float32).max
    read = doubles.astype(np.float32)
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(np.isnan(read), ~numbers)
    np.testing.assert_array_equal(read.view(np.uint32)[numbers], values.view(np.uint32)[numbers])
    np.testing.assert_array_equal(decode(body).inputs["x"], values)


def test_the_neighbour_is_what_the_shortest_digits_would_give():
    """Else the case above guards against nothing."""
    value = np.array([0x15AE43FD], np.uint32).view(np.float32)
    assert value.astype(str)[0] == "7.038531e-26"
    assert np.float32(json.loads("7.038531e-26")) != value[0]


@pytest.mark.parametrize("row_format", [True, False])
@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 1, 1), (0, 3), (2, 0)])
def test_answers_are_what_python_reads(row_format, shape):
    """One output without its name, several with; whole numbers keep their point."""
    outputs = {"b": np.arange(np.prod(shape), dtype=np.float32).reshape(shape), "a": np.ones(shape, np.int64)}
    document = json.loads(json_tensors.encode_response(outputs, row_format))
    single = json.loads(json_tensors.encode_response({"b": outputs["b"]}, row_format))
    lists = {name: value.tolist() for name, value in outputs.items()}
    if row_format:
        rows = zip(lists["a"], lists["b"], strict=True)
        assert document == {"predictions": [{"a": a, "b": b} for a, b in rows]}
        assert single == {"predictions": lists["b"]}
    else:
        assert document == {"outputs": lists}
        assert single == {"outputs": lists["b"]}


def test_requests_and_answers_come_back_the_same():
    inputs = {"x": np.array(ROWS, np.float32), "y": np.array([1, -2], np.int32)}
    request = decode(json_tensors.encode_request(inputs, "sample"), LABELLED)
    assert (request.signature, request.row_format) == ("sample", False)
    for row_format in (True, False):
        read = json_tensors.decode_response(json_tensors.encode_response(inputs, row_format), LABELLED)
        for name, value in inputs.items():
            np.testing.assert_array_equal(read[name], value, strict=True)
            np.testing.assert_array_equal(request.inputs[name], value, strict=True)


def test_strings_are_text_or_bytes_by_their_name():
    values = np.array([b'a"\n', "π".encode()], object)
    assert json.loads(json_tensors.encode_response({"text": values}, True)) == {"predictions": ['a"\n', "π"]}
    document = json.loads(json_tensors.encode_response({"png_bytes": values}, True))
    assert [base64.b64decode(item["b64"]) for item in document["predictions"]] == values.tolist()
    with pytest.raises(RequestError, match="_bytes"):
        json_tensors.encode_response({"text": np.array([b"\xff"], object)}, True)
    assert decode(json_tensors.encode_request({"s": values}), STRINGS).inputs["s"].tolist() == values.tolist()


def test_rows_need_a_common_first_axis():
    with pytest.raises(RequestError, match="inconsistent batch size: 3 expecting: 2"):
        json_tensors.encode_response({"a": np.ones(2), "b": np.ones(3)}, row_format=True)
    with pytest.raises(RequestError, match="no shape information"):
        json_tensors.encode_response({"a": np.float32(1)}, row_format=True)
    assert json_tensors.encode_response({"a": np.float32(1)}, row_format=False) == b'{"outputs": 1.0}'
    with pytest.raises(RequestError, match="empty tensor map"):
        json_tensors.encode_response({}, row_format=False)


def test_an_answer_that_is_none_is_refused():
    with pytest.raises(RequestError, match="neither"):
        json_tensors.decode_response("{}", X)
