"""Checks of reporters."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from inrbench_core.results.results import Results
from inrbench_core.testing.outcome import require
from inrbench_core.testing.small_runs import stand_in_results
from inrbench_core.testing.subject import Subject


def check_reports(subject: Subject) -> None:
    """Results with good, failed, missing and left out runs become text, twice the same, and nothing is printed."""
    results = stand_in_results(Path("results"))
    text = _report(subject, results)
    require(bool(text.strip()), "the text is empty")
    require(_report(subject, results) == text, "the same results give another text the second time")


def check_reports_no_results(subject: Subject) -> None:
    """Results without any table become text, which may be empty."""
    _report(subject, Results(()))


def _report(subject: Subject, results: Results) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        text = subject.entry.load()(subject.component.spec, results)
    require(isinstance(text, str), f"the target gives a {type(text).__name__}, not a str")
    require(not printed.getvalue(), "it prints, but the text that it returns is what is printed or written")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise AssertionError(f"the text cannot be written as UTF-8: {error.reason}") from None
    return str(text)
