"""Files that a reader sees whole or not at all, whenever the writer is stopped."""

import json
import math
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

DRAFT = ".draft-"


def write(path: Path, writer: Callable[[Path], Any]) -> Path:
    """Calls `writer` with the path of a draft beside `path`, then puts the draft in its place.

    The draft has the suffix of `path`, which some writers go by.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{DRAFT}{uuid.uuid4().hex}{path.suffix}")
    try:
        writer(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def write_json(path: Path, values: Any) -> Path:
    """Writes strict JSON, in which numbers that are not finite are null."""
    text = _pretty(_finite(values)) + "\n"
    return write(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def _pretty(values: Any, indent: str = "") -> str:
    """Objects over several lines, lists on one: histories are long."""
    if not isinstance(values, dict) or not values:
        return json.dumps(values, allow_nan=False)
    deeper = indent + "  "
    lines = [f"{deeper}{json.dumps(key)}: {_pretty(value, deeper)}" for key, value in values.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _finite(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {str(key): _finite(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_finite(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return None
    return values
