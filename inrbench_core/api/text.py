"""Text from files, plugins and specs made safe to print: the one place that does so. Imports no torch."""

from __future__ import annotations

import json
import re
from typing import Any

# Control characters but tab and newline, and the marks that change the direction of what follows.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def printable(text: str) -> str:
    """The text with every character that a terminal would act on written out, such as \\x1b for escape."""
    return _UNSAFE.sub(lambda found: _written_out(ord(found.group())), text)


def one_line(text: str) -> str:
    """The text as one printable line."""
    return printable(" ".join(text.split()))


def json_text(data: Any) -> str:
    """Plain data as JSON, printable, that is read back unchanged."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    # Within JSON everything unsafe is within a string, where \\uXXXX stands for it.
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _written_out(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
