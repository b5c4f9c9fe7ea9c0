"""The JSON Schema of specs agrees with what is read: what is right is valid, what is wrong is not."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from inrbench_core.spec.builder import load_experiment
from inrbench_core.spec.schema import experiment_schema
from inrbench_core.spec.yaml_io import SpecError, load_yaml

SPECS = sorted((Path(__file__).parents[2] / "specs").rglob("*.yaml"))


@pytest.fixture(scope="module")
def validator(catalog):
    schema = experiment_schema(catalog)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def references(schema):
    if isinstance(schema, list):
        return {found for item in schema for found in references(item)}
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
    return own.union(*(references(item) for item in schema.values()))


def test_every_reference_leads_to_a_definition(catalog):
    schema = experiment_schema(catalog)
    found = references(schema)
    assert {"#/$defs/optimizer", "#/$defs/analysis", "#/$defs/executor", "#/$defs/training"} <= found
    assert found <= {f"#/$defs/{name}" for name in schema["$defs"]}


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_the_repositorys_specs_are_valid(validator, catalog, file):
    names = {item.entry.name for item in catalog.of_kind("task")}
    tasks = load_yaml(file).data["task"]
    missing = {task["name"] for task in (tasks if isinstance(tasks, list) else [tasks])} - names
    if missing:
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")
    assert [error.message for error in validator.iter_errors(load_yaml(file).data)] == []


GOOD = [
    "{task: line, fields: shallow}",
    "{task: {name: line, label: mine, samples: 3}, fields: [shallow, {name: swell, label: a, training: {lr: 1}}]}",
    "{task: {name: curve, signals: [square, circle], label: both}, fields: [shallow]}",
    "{task: {name: scan, signals: [a]}, fields: [shallow]}",
    "{task: {name: scan, scan: a}, fields: [shallow]}",
    "{tasks: [line, {name: curve, source: circle}], fields: [{name: shallow, activation: [wave, {name: kink}]}]}",
    "{task: line, fields: [shallow], analyses: roughness}",
    "{task: line, fields: [shallow], analyses: [roughness, {name: flatness, points: 4}], timeout_s: 2.5}",
    "{task: line, fields: [shallow], training: {optimizer: sgd, compile: off}}",
    "{task: line, fields: [shallow], training: {optimizer: {name: sgd, momentum: 0.5}, batch: full}}",
    "{task: line, fields: [{name: shallow, training: {optimizer: {name: leaps, history: 2}}}], seeds: 3}",
    "{task: line, fields: [shallow], seeds: [0, 5], sweep: {training.lr: [1, 2]}, executor: {name: local, jobs: 2}}",
    "{task: line, fields: [shallow], sweep: {training.lr: [1, 2]}, select: {over: [training.lr], by: mae, seeds: 2}}",
    "{task: curve, fields: [shallow], tuning: {trials: 4, over: {training.lr: [1e-4, 1, log], width: [4, 8, log, int], "
    "activation: {choices: [wave, kink]}}, seeds: [7, 9], signals: [circle], seed: 3}}",
]
BAD = [
    "{task: line, fields: [shallow], sweep: {training.lr: [1, 2]}, select: {by: mae}}",
    "{task: line, fields: [shallow], tuning: {trials: 1, over: {training.lr: [1, 2]}}}",
    "{task: line, fields: [shallow], tuning: {over: {training.lr: [1, 2]}}}",
    "{task: line, fields: [shallow], tuning: {trials: 4, over: {}}}",
    "{task: line, fields: [shallow], tuning: {trials: 4, over: {training.lr: [1]}}}",
    "{task: line, fields: [shallow], tuning: {trials: 4, over: {training.lr: {choices: [1]}}}}",
    "{task: line, fields: [shallow], tuning: {trials: 4, over: {training.lr: [1, 2]}, trails: 3}}",
    "{task: line}",
    "{task: lnie, fields: [shallow]}",
    "{task: {name: line, sampels: 3}, fields: [shallow]}",
    "{task: {name: line, label: 3}, fields: [shallow]}",
    "{task: {name: curve, signals: square}, fields: [shallow]}",
    "{task: {name: curve, signals: []}, fields: [shallow]}",
    "{task: {name: curve, signals: [square], source: circle}, fields: [shallow]}",
    "{task: {name: scan, signals: [a], scan: b}, fields: [shallow]}",
    "{task: {name: scan}, fields: [shallow]}",
    "{task: {name: constant, signals: [a]}, fields: [shallow]}",
    "{task: line, fields: [shallow], analyses: [roughnes]}",
    "{task: line, fields: [shallow], analyses: [{name: flatness, points: 1}]}",
    "{task: line, fields: [shallow], timeout_s: 0}",
    "{task: line, fields: [shallow], executor: {name: local, timeout_s: 3}}",
    "{task: line, fields: [shallow], executor: [local]}",
    "{task: line, fields: [shallow], training: {optimizer: adma}}",
    "{task: line, fields: [shallow], training: {optimizer: [adam, sgd]}}",
    "{task: line, fields: [shallow], training: {optimizer: {name: sgd, momentum: 2}}}",
    "{task: line, fields: [shallow], training: {optimizer: {momentum: 0.5}}}",
    "{task: line, fields: [shallow], seeds: 0}",
    "{task: line, fields: [shallow], seeds: 1001}",
    "{task: line, fields: [shallow], seeds: []}",
    "{task: line, fields: [{name: shallow, label: [a]}]}",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_read_is_valid(validator, catalog, write_spec, text):
    load_experiment(write_spec(text), catalog)
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("text", BAD)
def test_what_is_refused_is_not_valid(validator, catalog, write_spec, text):
    with pytest.raises(SpecError):
        load_experiment(write_spec(text), catalog)
    assert not validator.is_valid(yaml.safe_load(text))
