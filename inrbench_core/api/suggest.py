"""Did you mean: the one place that guesses what a misspelt word was."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A clause to append to an error: "; did you mean 'x'?", or nothing if no choice is near."""
    folded = {choice.lower().replace("-", "_"): choice for choice in choices}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=2, cutoff=0.6)
    if not near:
        return ""
    return "; did you mean " + " or ".join(f"{folded[match]!r}" for match in near) + "?"
