"""Everything that the reporter says, as plain data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from inrbench_core import Results
from inrbench_report_statistics.blocks import Array, Block, Blocks, blocks_of
from inrbench_report_statistics.measures import (
    block_means,
    interquartile_mean,
    interval,
    profile,
    ranks,
    ratios,
    resample,
    scores,
    win_rates,
    win_shares,
)

SCHEMA = "inrbench.statistics/1"
TAUS = (1.0, 1.25, 2.0)
# Fewer blocks give no interval, and Friedman's test no chance to find anything.
LEAST_BLOCKS = 3
# With fewer blocks the intervals cover less than they should; the README has how much.
FEW_BLOCKS = 5
ALPHA = 0.05


def summarise(results: Results, sort: str = "") -> dict[str, Any]:
    """What can be said of fields across tasks, or across the signals of the only task.

    Args:
        results: final runs.
        sort: the metric that ranks; "": the one that each task says.

    Returns:
        plain data: schema; of ("task" or "signal"); blocks (label, metric, unit, higher_is_better); fields, best mean
        rank first, each with field, mean_rank, score, interquartile_score, win_rate, within (share of blocks by tau),
        scores and ranks (by block) and *_low, *_high (ends of 95 % intervals, None if there are none); friedman
        (statistic, p) or None; nemenyi and win_rates, (fields, fields) in the order of `fields`, or None; profile (tau
        and, for each field, share); left_out (label -> reason); remarks.

    Raises:
        InrbenchError: if no task has that metric.
    """
    found = blocks_of(results, sort)
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "of": found.of,
        "blocks": [{"label": block.label, **_metric(block)} for block in found.blocks],
        "fields": [],
        "friedman": None,
        "nemenyi": None,
        "win_rates": None,
        "profile": None,
        "left_out": found.left_out,
        "remarks": [*_remarks(found), *found.origins],
    }
    if len(found.fields) >= 2:
        _compare(found, data)
    return data


def _metric(block: Block) -> dict[str, Any]:
    metric = block.metric
    return {"metric": metric.name, "unit": metric.unit, "higher_is_better": metric.higher_is_better}


def _remarks(found: Blocks) -> list[str]:
    fields, blocks = len(found.fields), len(found.blocks)
    if fields < 2:
        return [f"nothing to compare: {fields} field{'' if fields == 1 else 's'} complete on all tasks"]
    remarks = []
    if found.of == "signal":
        remarks.append("one task: its signals are compared, which says nothing about other tasks")
    if blocks < LEAST_BLOCKS:
        remarks.append(
            f"{blocks} {found.of}{'' if blocks == 1 else 's'}: intervals and Friedman's test need {LEAST_BLOCKS}"
        )
    elif blocks < FEW_BLOCKS:
        remarks.append(f"{blocks} {found.of}s: intervals from fewer than {FEW_BLOCKS} are somewhat too narrow")
    if fields == 2:
        remarks.append("two fields: Friedman's test needs three; `inrbench compare` compares two")
    return remarks


def _compare(found: Blocks, data: dict[str, Any]) -> None:
    """Fill in what needs two fields and a block."""
    means = block_means(found.blocks)
    rank, score, wins = ranks(means), scores(means), win_rates(found.blocks)
    figures = {
        "mean_rank": rank.mean(axis=0),
        "score": score.mean(axis=0),
        "interquartile_score": interquartile_mean(score),
        "win_rate": np.mean([win_shares(block.observations).mean(axis=1) for block in found.blocks], axis=0),
    }
    ends: dict[str, Array] = {}
    if len(found.blocks) >= LEAST_BLOCKS:
        spread = resample(found.blocks)
        for name in ("mean_rank", "score", "win_rate"):
            ends[f"{name}_low"], ends[f"{name}_high"] = interval(getattr(spread, name), len(found.blocks))
        if np.isclose(ends["mean_rank_low"], ends["mean_rank_high"]).any():
            data["remarks"].append(
                f"an interval of no width says that a field had the same rank on all {found.of}s, not that it is "
                "certain on others"
            )
    within = _profile(found, data)
    order = np.argsort(figures["mean_rank"], kind="stable")
    for index in order:
        entry: dict[str, Any] = {"field": found.fields[index]}
        for name, values in figures.items():
            entry[name] = float(values[index])
            for end in (f"{name}_low", f"{name}_high"):
                entry[end] = float(ends[end][index]) if end in ends else None
        entry["within"] = {f"{tau:g}": float(share[index]) for tau, share in zip(TAUS, within, strict=True)}
        entry["scores"], entry["ranks"] = score[:, index].tolist(), rank[:, index].tolist()
        data["fields"].append(entry)
    data["win_rates"] = wins[np.ix_(order, order)].tolist()
    if data["profile"]:
        data["profile"]["share"] = [data["profile"]["share"][index] for index in order]
    if len(found.fields) > 2 and len(found.blocks) >= LEAST_BLOCKS:
        _test(means[:, order], data)


def _profile(found: Blocks, data: dict[str, Any]) -> Array:
    """Fill in the profile. Returns (taus, fields): shares of blocks within each of TAUS, NaN if there are none."""
    known = [ratios(block.metric, block.means) for block in found.blocks]
    undefined = [block.label for block, values in zip(found.blocks, known, strict=True) if values is None]
    if undefined:
        data["remarks"].append(f"not in the profile, because figures are below zero: {', '.join(undefined)}")
    defined = [values for values in known if values is not None]
    if not defined:
        return np.full((len(TAUS), len(found.fields)), math.nan)
    table = np.stack(defined)
    taus = np.unique(np.append(table[np.isfinite(table)], 1.0))
    data["profile"] = {"tau": taus.tolist(), "share": profile(table, taus).T.tolist()}
    return profile(table, np.array(TAUS))


def _test(means: Array, data: dict[str, Any]) -> None:
    """Fill in Friedman's test and Nemenyi's comparisons.

    Nemenyi's, because they use ranks alone, as Friedman's test does: differences of decibels and of shares have no
    common unit, which Wilcoxon's signed ranks would need; and because they keep the error over all pairs, which
    Conover's do only after a further correction. They are cautious, and depend on which fields take part (Benavoli,
    Corani and Mangili 2016, JMLR 17).
    """
    if (means == means[:, :1]).all():
        data["remarks"].append("all fields are equal everywhere: there is nothing to test")
        return
    # Here, because it imports statsmodels and seaborn, which takes seconds.
    import scikit_posthocs

    outcome = stats.friedmanchisquare(*means.T)
    data["friedman"] = {"statistic": float(outcome.statistic), "p": float(outcome.pvalue)}
    data["nemenyi"] = scikit_posthocs.posthoc_nemenyi_friedman(means).to_numpy().tolist()
    if outcome.pvalue >= ALPHA:
        data["remarks"].append(
            f"Friedman's test does not reject that all fields are equal (p = {outcome.pvalue:.2g}): "
            "differences of mean ranks may be chance"
        )
