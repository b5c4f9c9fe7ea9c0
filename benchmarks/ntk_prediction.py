"""Does the kernel at the start predict the fit? The tables of benchmarks/results/ntk.md, as Markdown on stdout.

    inrbench ntk --spec specs/paper/ntk.yaml
    python benchmarks/ntk_prediction.py results/paper-ntk

Spearman's rank correlation over the fields of each task, with 95 % percentile bootstrap intervals over the fields.
Signs are such that 1 is a perfect prediction of the error: figures that are good when large count negative.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from inrbench_analysis_ntk.measures import spearman, spearman_interval
from inrbench_analysis_ntk.seen import Seen, seen_by_part

import inrbench_core as inr
from inrbench_core.results.results import ResultRun

Fit = list[Seen]
Figure = Callable[[Fit], float]


def at_start(name: str, sign: float) -> Figure:
    return lambda seen: sign * seen[0].metric(name)


def early(name: str) -> Figure:
    """An error at the first evaluation: what a few steps of training say, without a kernel."""
    return lambda seen: seen[1].metric(name)


# What is known before training, with the sign that makes a better field's figure smaller.
PREDICTORS: dict[str, Figure] = {
    "linearised error": at_start("linearised_error", 1),
    "linearised error, held out": at_start("linearised_held_out_error", 1),
    "participation ratio": at_start("participation_ratio", -1),
    "entropy rank": at_start("entropy_rank", -1),
    "eigenvalues above 0.1 of the largest": at_start("leading_count", -1),
    "decay exponent": at_start("decay_exponent", 1),
    "target energy in 10": at_start("target_energy_10", -1),
    "target energy in 100": at_start("target_energy_100", -1),
    "silent share": at_start("silent_share", 1),
    "kernel-target alignment": at_start("alignment", -1),
}
MEASURED = {"fit": "fit_error", "held out": "held_out_error"}
LEAST_FIELDS = 10


def fits_of(runs: Sequence[ResultRun]) -> dict[str, Fit]:
    """What was seen of each field, of the first seed."""
    found: dict[str, Fit] = {}
    for run in runs:
        if run.record is None or run.status != "ok" or run.field in found:
            continue
        kept = run.record.arrays.analyses.get("ntk")
        if kept is not None and len(kept["steps"]) > 1:
            (found[run.field],) = seen_by_part(kept).values()
    return found


def correlation(a: Sequence[float], b: Sequence[float]) -> str:
    """Spearman's coefficient with its interval; pairs of which one is not known are left out."""
    known = np.isfinite(np.asarray(a, float)) & np.isfinite(np.asarray(b, float))
    x, y = np.asarray(a)[known], np.asarray(b)[known]
    if len(x) < LEAST_FIELDS:
        return "-"
    low, high = spearman_interval(x, y, seed=0)
    return f"{spearman(x, y):.2f} [{low:.2f}, {high:.2f}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(header) + " |\n| --- |" + " ---: |" * (len(header) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def predictors(fits: dict[str, Fit]) -> None:
    """Figures at the start, and after the first evaluation, against errors at the end; and by how the kernel moved."""
    seen = list(fits.values())
    drift = np.array([fit[-1].metric("drift") for fit in seen])
    middle = np.nanmedian(drift)
    step = seen[0][1].step
    groups = {"all fields": [True] * len(seen), "drift below": drift <= middle, "drift above": drift > middle}
    rows = []
    figures = {**PREDICTORS, f"the error itself after {step} steps": None}
    for name, figure in figures.items():
        cells = []
        for metric in MEASURED.values():
            errors = [fit[-1].metric(metric) for fit in seen]
            guess = [(figure or early(metric))(fit) for fit in seen]
            for chosen in groups.values():
                pairs = [(g, e) for g, e, use in zip(guess, errors, chosen, strict=True) if use]
                cells.append(correlation([g for g, _ in pairs], [e for _, e in pairs]))
        rows.append([name, *cells])
    print(f"{len(seen)} fields; the median drift is {middle:.2g}.\n")
    table(["figure", *(f"{what}, {group}" for what in MEASURED for group in groups)], rows)


def rings(fits: dict[str, Fit]) -> None:
    """Of each ring of frequency: predicted steps to learn it against the error that is left, over the fields."""
    seen = list(fits.values())
    frequency = seen[0][0].arrays.get("frequency_hz", seen[0][0].arrays["frequency"])
    unit = "Hz" if "frequency_hz" in seen[0][0].arrays else "cycles"
    predicted = np.stack([fit[0].arrays["predicted_steps"] for fit in seen])
    errors = np.stack([fit[-1].arrays["ring_error"] / fit[-1].arrays["ring_target"] for fit in seen])
    rows = [
        [f"{frequency[ring]:.3g}", f"{np.median(predicted[:, ring]):.2g}", f"{np.median(errors[:, ring]):.2g}",
         correlation(predicted[:, ring], errors[:, ring])]
        for ring in range(len(frequency))
    ]  # fmt: skip
    table([f"ring, {unit}", "predicted steps, median", "error left, median", "Spearman over fields"], rows)
    within = np.array([spearman(p[1:], e[1:]) for p, e in zip(predicted, errors, strict=True)])
    low, middle, high = np.nanquantile(within, (0.25, 0.5, 0.75))
    print(f"Within a field, over its rings without the mean: Spearman {middle:.2f} in the median of the fields "
          f"(quartiles {low:.2f} and {high:.2f}; {np.sum(within < 0)} of {len(within)} below 0).\n")  # fmt: skip


def fields(fits: dict[str, Fit]) -> None:
    """All fields, best held-out error first."""
    names = ("participation_ratio", "decay_exponent", "target_energy_100", "silent_share")
    predicted = ("linearised_error", "linearised_held_out_error")
    ordered = sorted(fits.items(), key=lambda item: _last(item[1][-1].metric("held_out_error")))
    rows = []
    for label, fit in ordered:
        figures = [fit[0].metric(name) for name in (*names, *predicted)]
        measured = [fit[-1].metric(name) for name in ("fit_error", "held_out_error", "drift", "ring_agreement")]
        rows.append([label, *(_text(figure) for figure in (*figures, *measured))])
    header = ["field", "participation ratio", "decay exponent", "target energy in 100", "silent share",
              "linearised error", "linearised, held out", "fit error", "held-out error", "drift",
              "ring agreement"]  # fmt: skip
    table(header, rows)


def _last(error: float) -> float:
    return math.inf if math.isnan(error) else error


def _text(figure: float) -> str:
    return "-" if math.isnan(figure) else f"{figure:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results of specs/paper/ntk.yaml")
    for board in inr.load_results(parser.parse_args().folder).boards:
        runs = [run for row in board.rows if not row.baseline for run in row.runs]
        fits = fits_of(runs)
        print(f"## {board.label}\n")
        bad = sorted({run.field for run in runs} - set(fits))
        if bad:
            print(f"Without a result: {', '.join(bad)}.\n")
        for part in (predictors, rings, fields):
            print(f"### {(part.__doc__ or '').partition(';')[0].rstrip('.')}\n")
            part(fits)


if __name__ == "__main__":
    main()
