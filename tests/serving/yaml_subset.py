"""A strict reader of the YAML that the library writes: block style, scalars plain and quoted, `|`, `>-`."""

import ast
import re

KEY = re.compile(r"([A-Za-z][\w./-]*):(?: +(.*))?$")


def load_all(text):
    """The documents of a text; `ValueError` for anything beyond the subset."""
    return [_Reader(document).read() for document in re.split(r"^---\n", text, flags=re.MULTILINE)]


class _Reader:
    def __init__(self, text):
        if "\t" in text:
            raise ValueError("tabs")
        self.lines = text.splitlines()
        self.at = 0

    def read(self):
        value = self._block(self._indent())
        if self._peek() is not None:
            raise ValueError(f"not read: {self.lines[self.at]!r}")
        return value

    def _peek(self):
        """The next line that says something, or None."""
        while self.at < len(self.lines) and re.fullmatch(r" *(#.*)?", self.lines[self.at]):
            self.at += 1
        return self.lines[self.at] if self.at < len(self.lines) else None

    def _indent(self):
        line = self._peek()
        return -1 if line is None else len(line) - len(line.lstrip())

    def _block(self, indent):
        line = self._peek()
        return self._sequence(indent) if line.lstrip().startswith("- ") else self._mapping(indent)

    def _sequence(self, indent):
        items = []
        while self._indent() == indent:
            rest = self.lines[self.at][indent:]
            if not rest.startswith("- "):
                raise ValueError(f"no item: {rest!r}")
            if KEY.match(rest[2:]):
                # A mapping that begins on the line of the dash.
                self.lines[self.at] = " " * (indent + 2) + rest[2:]
                items.append(self._mapping(indent + 2))
            else:
                self.at += 1
                items.append(self._scalar(rest[2:], indent))
        return items

    def _mapping(self, indent):
        values = {}
        while self._indent() == indent and not self.lines[self.at][indent:].startswith("- "):
            found = KEY.match(self.lines[self.at][indent:])
            if not found or found[1] in values:
                raise ValueError(f"no new key: {self.lines[self.at]!r}")
            self.at += 1
            values[found[1]] = self._value(found[2], indent)
        return values

    def _value(self, rest, indent):
        if rest is not None and not rest.startswith("#"):
            return self._scalar(rest, indent)
        if self._indent() <= indent:
            raise ValueError(f"no value before line {self.at}")
        return self._block(self._indent())

    def _scalar(self, rest, indent):
        if rest in ("|", ">-"):
            return self._lines(rest, indent)
        if rest.startswith('"'):
            return ast.literal_eval(re.fullmatch(r'("[^"\\]*") *(#.*)?', rest)[1])
        rest = rest.split(" #")[0].rstrip()
        if re.match(r"[\[\]{}&*!|>'%@`,?:#]", rest) or ": " in rest or rest.endswith(":"):
            raise ValueError(f"no plain scalar: {rest!r}")
        if re.fullmatch(r"-?\d+", rest):
            return int(rest)
        return {"true": True, "false": False}.get(rest, rest)

    def _lines(self, style, indent):
        taken = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            taken.append(line)
            self.at += 1
        inner = len(taken[0]) - len(taken[0].lstrip())
        if any(line.strip() and not line.startswith(" " * inner) for line in taken):
            raise ValueError("a block's lines stand at one indent")
        texts = [line[inner:] for line in taken]
        while not texts[-1]:
            texts.pop()
        return "\n".join(texts) + "\n" if style == "|" else " ".join(texts)
