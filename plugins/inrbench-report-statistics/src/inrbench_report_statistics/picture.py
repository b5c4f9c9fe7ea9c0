"""Mean ranks with their intervals beside performance profiles, as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

# Fields that have a colour of their own: those of tab10 before its grey. The others are grey.
COLOURED = 7
GREY = "0.75"
# Ratios beyond this are cut off: one field that fails somewhere would flatten all curves.
WIDEST_RATIO = 100.0


def draw(data: dict[str, Any], target: Path) -> None:
    """Write the picture, in the format that the suffix of `target` names.

    Args:
        data: as `summarise` gives it, with fields.
        target: the file.

    Raises:
        OSError: if it cannot be written.
        ValueError: if there is no such format.
    """
    fields = data["fields"]
    colours = [matplotlib.color_sequences["tab10"][i] if i < COLOURED else GREY for i in range(len(fields))]
    figure = Figure(figsize=(11.0, max(3.5, 1.2 + 0.28 * len(fields))), layout="constrained")
    left, right = figure.subplots(1, 2)
    _mean_ranks(left, data, colours)
    _profiles(right, data, colours)
    figure.savefig(target, dpi=150)


def _mean_ranks(axes: Axes, data: dict[str, Any], colours: list[Any]) -> None:
    fields = data["fields"]
    for place, (entry, colour) in enumerate(zip(fields, colours, strict=True)):
        if entry["mean_rank_low"] is not None:
            axes.plot([entry["mean_rank_low"], entry["mean_rank_high"]], [place, place], color=colour, linewidth=2)
        axes.plot(entry["mean_rank"], place, "o", color=colour)
    # A name may hold a $, which would begin a formula.
    axes.set_yticks(range(len(fields)), [entry["field"].replace("$", r"\$") for entry in fields])
    axes.invert_yaxis()
    axes.grid(axis="x", color="0.9")
    interval = "" if fields[0]["mean_rank_low"] is None else ", with 95 % interval"
    axes.set_xlabel(f"mean rank over {len(data['blocks'])} {data['of']}s (1: best{interval})")


def _profiles(axes: Axes, data: dict[str, Any], colours: list[Any]) -> None:
    axes.set_xlabel("times worse than the best field (in dB: ratio of power)")
    axes.set_ylabel(f"share of {data['of']}s")
    axes.set_ylim(-0.03, 1.03)
    if not data["profile"]:
        axes.text(0.5, 0.5, "no ratios", ha="center", transform=axes.transAxes)
        return
    taus = data["profile"]["tau"]
    # A little beyond the last step, so that it can be seen.
    reach = min(max(taus[-1], 1.1), WIDEST_RATIO) * 1.1
    # The first fields are drawn last: on top.
    for share, colour in reversed(list(zip(data["profile"]["share"], colours, strict=True))):
        axes.step([*taus, max(reach, taus[-1])], [*share, share[-1]], where="post", color=colour)
    axes.set_xscale("log")
    axes.set_xlim(1.0, reach)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tau, _: f"{tau:g}"))
    if reach > 10:
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda tau, _: f"{tau:.3g}"))
    axes.grid(color="0.9")
