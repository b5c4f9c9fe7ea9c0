"""Specs changed at random: as YAML text, as data, and on the command line. The same seed gives the same changes."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from typing import Any

import yaml

# Values that are right in many a place.
PLAUSIBLE: tuple[Any, ...] = (
    1, 2, 3, 8, 0.5, 1e-3, 2.0, "line", "curve", "shallow", "swell", "tower", "measure", "wave", "kink", "plain",
    "waves", "table", "bumps", "roughness", "sgd", "adam", "leaps", "cosine", "full", "square", "circle", "one.txt",
    "cpu", "x", True, None, [1, 2], ["wave", "kink"], ["shallow", "swell"], {"name": "wave"}, {"lr": 1e-2},
    {"name": "shallow", "width": 3}, {"training.lr": [1, 2]}, {"steps": 5, "lr": 1e-2},
)  # fmt: skip
# Values that are wrong nearly everywhere; as YAML text further down.
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 1000, 10**17, 10**400, 0.0, -0.5, 1e-3, 1e300, math.nan, math.inf, -math.inf,
    "", " ", "x", "1", "1e-3", "name", "none", "full", "on", "adam", "wave", "shallow", "swell", "line", "curve",
    "square", "small_plugin.py:line", "nowhere:line", ":", "::", "a.b", "<<", "=", "~", "~nosuchuser/x", "loop", "pipe",
    "folder", "folder/*.txt", "**", "[", "[]", "{a: 1", "*.txt", "one.txt", "..", "/", "/dev/null", "a" * 300,
    "b\x00c", "\x1b[2J", "two\nlines", "\ttab", "\u202e", "\ud800", "é", "字" * 90, "%s{}{0}", "9" * 400, "-" * 5000,
    [], {}, [[]], [None], [[["wave"]]], {"": 1}, {"name": None}, {"name": "wave"}, {"name": ["wave"]},
    {"name": {"name": "x"}}, {"name": "swell", "activation": "kink"}, {"parameters": 9}, {"parameters": 10**40},
    ["wave", "kink"], list(range(40)), {"omega": 2}, {1: 2}, {None: 1}, (1, 2), b"bytes", {1, 2}, 3 + 4j, object(),
)  # fmt: skip
ODD_TEXTS = (
    "!!binary aGk=", "!!timestamp 2026-01-01", "!!set {a}", "!!python/object:os.system x", "!!int ''", "!!float x",
    "!!bool maybe", "!!null x", "!!str 3", "!!omap [a: 1]", "!own x", "2026-01-01", "0x1F", "1_0", "010", "1:30",
    "9" * 400, "-" + "9" * 40, ".inf", ".nan", "-.inf", "1e999", "~", "null", "yes", "off", "=", "<<", "*a", "&a 1",
    "&a [*a]", "&b {<<: *b}", "{<<: 3}", "{<<: [1]}", "{? [a] : 1}", "{1: 2}", "[", "]", "{", "}", "'", '"', "|",
    ">", "%", "@", "`", "#", "? ", ": ", "- ", ",", "---", "...", "\t", '"\\x00"', '"\\ud800"', '"\\e[31m"', "\x07",
    "[" * 60 + "]" * 60, "{a: " * 60 + "1" + "}" * 60, "\ufeff", "é", "*", "&", "!", "!!", "[a, b", "{a: 1, a: 2}",
)  # fmt: skip
KEYS = (
    "name", "task", "tasks", "fields", "training", "seeds", "sweep", "analyses", "executor", "stack", "timeout_s",
    "device", "label", "signals", "source", "scan", "activation", "encoding", "width", "basis", "omega", "lr",
    "optimizer", "steps", "batch", "samples", "training.lr", "field.activation", "field.name", "task.samples",
    "field.label", "training.optimizer.betas", "task.signals", "unknown", "", " ", "a b", "x\ny", "\x1b", "0", "-1",
    "é", "k" * 300,
)  # fmt: skip


def changed_text(text: str, rng: random.Random) -> str:
    """YAML text with one to four changes."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        text = rng.choice(_TEXT_CHANGES)(text, rng)
    return text


def _lines(change: Callable[[list[str], int, random.Random], None]) -> Callable[[str, random.Random], str]:
    def apply(text: str, rng: random.Random) -> str:
        lines = text.split("\n")
        change(lines, rng.randrange(len(lines)), rng)
        return "\n".join(lines)

    return apply


def _delete(lines: list[str], at: int, rng: random.Random) -> None:
    del lines[at]
    lines.append("")


def _repeat(lines: list[str], at: int, rng: random.Random) -> None:
    lines.insert(rng.randrange(len(lines)), lines[at])


def _swap(lines: list[str], at: int, rng: random.Random) -> None:
    other = rng.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def _indent(lines: list[str], at: int, rng: random.Random) -> None:
    lines[at] = rng.choice(["  ", "\t", " ", "        "]) + lines[at]


def _add(lines: list[str], at: int, rng: random.Random) -> None:
    lines.insert(at, f"{rng.choice(KEYS)}: {odd_text(rng)}")


def _replace_token(text: str, rng: random.Random) -> str:
    """Put an odd text in place of one of the words between spaces, commas and brackets."""
    starts = [index for index in range(len(text)) if index == 0 or text[index - 1] in " ,[{"]
    start = rng.choice(starts or [0])
    end = next((index for index in range(start, len(text)) if text[index] in ",]}\n"), len(text))
    return text[:start] + odd_text(rng) + text[end:]


def _put_in(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice([*ODD_TEXTS, chr(rng.randrange(1, 0x300)), "&a ", "*a", "!!int "]) + text[at:]


def _cut_out(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + text[at + rng.randint(1, 12) :]


_TEXT_CHANGES = (
    *(_lines(change) for change in (_delete, _repeat, _swap, _indent, _add)), _replace_token, _put_in, _cut_out,
    lambda text, rng: text[: rng.randrange(len(text) + 1)],
)  # fmt: skip


def changed_data(data: Any, rng: random.Random) -> Any:
    """Plain data with one to four changes."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        places = list(_places(data, set()))
        if not places:
            break
        holder, key = rng.choice(places)
        rng.choice(_DATA_CHANGES)(holder, key, places, rng)
    return data


def _places(value: Any, seen: set[int]) -> Any:
    """Every (holder, key) in nested data, which may enclose itself."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys) if id(value) not in seen else ():
        seen.add(id(value))
        yield value, key
        yield from _places(value[key], seen)


def _odd(holder: Any, key: Any, places: Any, rng: random.Random) -> None:
    holder[key] = odd_value(rng)


def _remove(holder: Any, key: Any, places: Any, rng: random.Random) -> None:
    del holder[key]


def _double(holder: Any, key: Any, places: Any, rng: random.Random) -> None:
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[rng.choice(KEYS)] = copy.deepcopy(holder[key])


def _exchange(holder: Any, key: Any, places: Any, rng: random.Random) -> None:
    other, its_key = rng.choice(places)
    # Copied, because two that enclose each other would go on for ever.
    holder[key], other[its_key] = copy.deepcopy(other[its_key]), copy.deepcopy(holder[key])


def _wrap(holder: Any, key: Any, places: Any, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 2, 60])):
        holder[key] = [holder[key]] if rng.random() < 0.5 else {rng.choice(KEYS): holder[key]}


def _insert(holder: Any, key: Any, places: Any, rng: random.Random) -> None:
    new = odd_value(rng) if rng.random() < 0.5 else copy.deepcopy(rng.choice(places)[0])
    if isinstance(holder, list):
        holder.insert(key, new)
    else:
        holder[rng.choice([*KEYS, 3, None, (1,)])] = new


def _share(holder: Any, key: Any, places: Any, rng: random.Random) -> None:
    """The same object in two places, which may enclose itself."""
    holder[key] = rng.choice(places)[0]


_DATA_CHANGES = (_odd, _odd, _odd, _remove, _double, _exchange, _wrap, _insert, _share)


def odd_setting(data: Any, rng: random.Random) -> str:
    """A --set of something that the spec has, or of what it has not."""
    target, parts = data, []
    while isinstance(target, dict | list) and target and rng.random() < 0.9:
        key = rng.choice(list(target)) if isinstance(target, dict) else rng.randrange(len(target))
        parts.append(str(key))
        target = target[key]
    if not parts or rng.random() < 0.2:
        parts.append(rng.choice(KEYS))
    keys = [".".join(parts)] * 20 + [rng.choice(KEYS), "..", ".a" * 300]
    return f"{rng.choice(keys)}={odd_text(rng)}"


def odd_value(rng: random.Random) -> Any:
    """A value that is wrong, or out of place."""
    return copy.deepcopy(rng.choice(rng.choice([PLAUSIBLE, ODD_VALUES])))


def odd_text(rng: random.Random) -> str:
    """YAML text of a value that is wrong, or out of place."""
    return rng.choice(ODD_TEXTS) if rng.random() < 0.4 else _as_yaml(odd_value(rng)).removesuffix("\n...\n").strip("\n")


def _as_yaml(value: Any) -> str:
    try:
        return yaml.safe_dump(value, default_flow_style=True)
    except (yaml.YAMLError, ValueError):
        return repr(value)
