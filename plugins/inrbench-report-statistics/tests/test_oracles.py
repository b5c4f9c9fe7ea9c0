"""The same figures as two other packages compute, from the same csv."""

import math

import numpy as np
import pandas as pd
import pytest
from inrbench_report_statistics.summary import summarise

FIELDS = ("siren", "finer", "wire", "kan", "relu")
# Powers of two, so that the single precision of bencheval's matrix is exact.
SEEDS, TASKS = 4, {"image": "psnr", "shape": "chamfer", "solid": "iou", "noise": "psnr"}
TASKS |= {f"{task}-2": metric for task, metric in TASKS.items()}


def draw(rng, field, metric):
    quality = rng.normal(0.25 * field, 1.0)
    return {"psnr": 25 + 4 * quality, "chamfer": math.exp(-quality), "iou": 1 / (1 + math.exp(-quality))}[metric]


@pytest.fixture(scope="module")
def tables():
    """{(task, metric): {field: [figures of the seeds]}}, with an exact tie of two fields on one task."""
    rng = np.random.default_rng(5)
    made = {
        key: {name: [[draw(rng, f, key[1]) for _ in range(SEEDS)]] for f, name in enumerate(FIELDS)}
        for key in TASKS.items()
    }
    made["image", "psnr"]["kan"] = made["image", "psnr"]["siren"]
    return made


@pytest.fixture(scope="module")
def ours(make_results, tables):
    return summarise(make_results(tables))


@pytest.fixture(scope="module")
def csv(tables, tmp_path_factory):
    """One line for each run: model, dataset, metric, seed, score; and `error`, of which less is better."""
    lines = [
        {"model": field, "dataset": task, "metric": metric, "seed": seed, "score": score}
        for (task, metric), rows in tables.items()
        for field, (figures,) in rows.items()
        for seed, score in enumerate(figures)
    ]
    frame = pd.DataFrame(lines)
    frame["error"] = np.where(frame["metric"] == "chamfer", frame["score"], 100 - frame["score"])
    file = tmp_path_factory.mktemp("csv") / "scores.csv"
    frame.to_csv(file, index=False, float_format="%.17g")
    return file


def by_field(ours, name):
    return {entry["field"]: entry[name] for entry in ours["fields"]}


def matrix(ours, name):
    names = [entry["field"] for entry in ours["fields"]]
    return pd.DataFrame(ours[name], names, names)


def close(ours, theirs):
    assert dict(theirs) == pytest.approx(ours, rel=0, abs=1e-9)


@pytest.fixture(scope="module")
def evaluma(csv):
    package = pytest.importorskip("evaluma")
    directions = {task: "min" if metric == "chamfer" else "max" for task, metric in TASKS.items()}
    return package.load_csv(csv, seed="seed", metric_direction=directions)


@pytest.mark.filterwarnings("ignore:Normalization bounds")
@pytest.mark.filterwarnings("ignore:Friedman test not significant")
def test_evaluma_computes_the_same_scores_ranks_and_tests(ours, evaluma):
    names = [block["label"] for block in ours["blocks"]]
    for field, scores in by_field(ours, "scores").items():
        close(dict(zip(names, scores, strict=True)), evaluma.scores_.loc[field])
    close(by_field(ours, "score"), evaluma.aggregate_ranking("mean").table.set_index("model")["score"])
    trimmed = evaluma.aggregate_ranking("trimmed_mean").table.set_index("model")["score"]
    close(by_field(ours, "interquartile_score"), trimmed)
    tests = evaluma.frequentist_comparison()
    close(by_field(ours, "mean_rank"), tests.avg_ranks)
    assert ours["friedman"]["statistic"] == pytest.approx(tests.friedman_statistic, abs=1e-9)
    assert ours["friedman"]["p"] == pytest.approx(tests.friedman_p_value, abs=1e-9)
    nemenyi = matrix(ours, "nemenyi")
    for pair in tests.table.itertuples():
        assert nemenyi.loc[pair.model_a, pair.model_b] == pytest.approx(pair.p_value, abs=1e-9)
    assert len(tests.table) == 10


def test_evaluma_computes_the_same_profile_where_decibels_are_given_as_powers(ours, tables):
    profiles = pytest.importorskip("evaluma.methods.profiles")
    means = pd.DataFrame(
        {task: {field: np.mean(figures) for field, figures in rows.items()} for (task, _), rows in tables.items()}
    )
    powers = means.apply(lambda column: 10 ** (-column / 10) if TASKS[column.name] == "psnr" else column)
    least = {task: "min" for task, metric in TASKS.items() if metric != "iou"}
    theirs = profiles.compute_profiles(powers, least).table.pivot(
        index="tau", columns="model", values="fraction_within_tau"
    )
    for entry, share in zip(ours["fields"], ours["profile"]["share"], strict=True):
        for tau, within in theirs[entry["field"]].items():
            steps = np.array(ours["profile"]["tau"]) <= tau * (1 + 1e-9)
            assert share[steps.sum() - 1] == pytest.approx(within, abs=1e-9)


def test_bencheval_computes_the_same_ranks_scores_and_win_rates(ours, csv):
    evaluator = pytest.importorskip("bencheval.evaluator")
    frame = pd.read_csv(csv)
    made = evaluator.BenchmarkEvaluator("model", "dataset", "error", columns_to_agg_extra=None, seed_column="seed")
    by_task = made.compute_results_per_task(frame)
    close(by_field(ours, "mean_rank"), made.compute_rank(by_task))
    close(by_field(ours, "score"), 1 - by_task.groupby("model")["loss_rescaled"].mean())
    by_seed = made.compute_results_per_task(frame, include_seed_col=True)
    close(by_field(ours, "win_rate"), made.compute_winrate(by_seed))
    theirs = made.compute_winrate_matrix(by_seed)
    for field, row in matrix(ours, "win_rates").iterrows():
        close(dict(row.drop(field)), theirs.loc[field].drop(field))
