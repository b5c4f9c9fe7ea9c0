"""What counts where several parts of a spec say something of the training, least first.

Defaults, the task's entry, the experiment's shared training, the entries of a field's components, the recipe, the
sweep, the field's own.
"""

import pytest


def lr_of(rows):
    return {row.label: row.training.lr for row in rows}


def test_defaults_count_least_and_come_from_nowhere(rows):
    (row,) = rows("{task: line, fields: [{name: shallow, activation: kink}]}")
    assert (row.training.lr, row.training.steps, row.training.batch) == (1e-3, 1000, "full")
    assert row.sources == {}


def test_the_tasks_entry_counts_more_than_defaults_and_less_than_shared_training(rows):
    (row,) = rows("{task: curve, fields: [{name: shallow, activation: kink}]}")
    assert (row.training.batch, row.sources) == (4, {"batch": "task curve"})
    (row,) = rows("{task: curve, fields: [{name: shallow, activation: kink}], training: {batch: 2}}")
    assert (row.training.batch, row.sources) == (2, {"batch": "shared training"})


def test_shared_training_replaces_no_rate_that_a_component_or_a_recipe_recommends(rows):
    found = rows("""
        task: line
        fields:
          - {name: shallow, label: plain, activation: kink}
          - {name: shallow, label: activation}
          - {name: shallow, label: encoding, encoding: table, activation: kink}
          - {name: stacked, label: inside}
          - {name: swell, label: recipe}
          - {name: swell, label: own, training: {lr: 7e-3}}
        training: {lr: 1e-2, steps: 5}
    """)
    assert lr_of(found) == {
        "plain": 1e-2, "activation": 2e-3, "encoding": 9e-3, "inside": 8e-3, "recipe": 5e-3, "own": 7e-3,
    }  # fmt: skip
    assert {row.label: row.sources["lr"] for row in found} == {
        "plain": "shared training",
        "activation": "activation wave",
        "encoding": "encoding table",
        "inside": "basis bumps",
        "recipe": "recipe swell",
        "own": "own training",
    }
    assert {row.sources["steps"] for row in found} == {"shared training"}


def test_an_inner_component_counts_more_than_an_outer_one(rows):
    (row,) = rows("{task: line, fields: [{name: shallow, encoding: table, activation: wave}]}")
    assert (row.training.lr, row.sources["lr"]) == (2e-3, "activation wave")
    assert (row.training.schedule, row.sources["schedule"]) == ("constant", "encoding table")


def test_a_sweep_replaces_what_recipes_recommend_and_a_fields_own_replaces_the_sweep(rows):
    found = rows("""
        task: line
        fields: [{name: swell, label: recipe}, {name: swell, label: own, training: {lr: 7e-3}}]
        training: {lr: 1e-2}
        sweep: {training.lr: [1e-4, 2e-4]}
    """)
    assert lr_of(found) == {"recipe (lr=0.0001)": 1e-4, "recipe (lr=0.0002)": 2e-4, "own": 7e-3}
    assert [row.sources["lr"] for row in found] == ["sweep", "own training", "sweep"]


def test_a_recipe_that_is_changed_into_another_keeps_no_rate(rows):
    (row,) = rows("{task: line, fields: [{name: tower, basis: {grid: 9}}]}")
    assert (row.training.lr, row.training.steps, row.sources["steps"]) == (6e-3, 30, "recipe tower")
    (row,) = rows("{task: line, fields: [{name: swell, activation: kink}], training: {lr: 1e-2}}")
    assert (row.training.lr, row.sources["lr"]) == (1e-2, "shared training")


@pytest.mark.parametrize(
    ("shared", "own", "lr", "source"),
    [
        ("optimizer: leaps", "", 1.0, "the optimizer"),
        ("optimizer: leaps, lr: 0.5", "", 0.5, "shared training"),
        ("optimizer: leaps, lr: 0.5", "lr: 0.25", 0.25, "own training"),
        ("lr: 0.5", "optimizer: {name: leaps, history: 2}", 1.0, "the optimizer"),
        ("lr: 0.5, optimizer: adam", "optimizer: leaps", 1.0, "the optimizer"),
        ("lr: 0.5, optimizer: leaps", "optimizer: {name: leaps, history: 2}", 0.5, "shared training"),
        ("lr: 0.5", "optimizer: leaps, lr: 0.25", 0.25, "own training"),
        ("", "optimizer: {name: leaps, history: 2}", 1.0, "the optimizer"),
    ],
)
def test_an_optimizers_own_rate_replaces_what_fields_recommend_for_adam(rows, shared, own, lr, source):
    (row,) = rows(f"{{task: line, fields: [{{name: swell, training: {{{own}}}}}], training: {{{shared}}}}}")
    assert row.training.optimizer.name == "leaps"
    assert (row.training.lr, row.sources["lr"]) == (lr, source)


def test_a_sweep_over_rates_replaces_an_optimizers_own(rows):
    found = rows("{task: line, fields: [swell], training: {optimizer: leaps}, sweep: {training.lr: [0.1, 0.2]}}")
    assert [(row.training.lr, row.sources["lr"]) for row in found] == [(0.1, "sweep"), (0.2, "sweep")]


def test_a_shared_rate_is_not_for_an_optimizer_that_a_sweep_chooses(rows):
    found = rows("""
        task: line
        fields: [{name: shallow, activation: kink}]
        training: {lr: 0.5}
        sweep: {training.optimizer: [adam, leaps]}
    """)
    assert [(row.training.optimizer.name, row.training.lr) for row in found] == [("adam", 0.5), ("leaps", 1.0)]
    found = rows("""
        task: line
        fields: [{name: shallow, activation: kink}]
        training: {lr: 0.5, optimizer: leaps}
        sweep: {training.optimizer.history: [2, 3]}
    """)
    assert [(row.training.optimizer.spec.history, row.training.lr) for row in found] == [(2, 0.5), (3, 0.5)]


def test_a_recipe_whose_component_a_sweep_replaces_keeps_no_rate(rows):
    found = rows("{task: line, fields: [swell], training: {lr: 1e-2}, sweep: {field.activation: [wave, kink]}}")
    assert [(row.field.spec.activation.name, row.training.lr, row.sources["lr"]) for row in found] == [
        ("wave", 5e-3, "recipe swell"),
        ("kink", 1e-2, "shared training"),
    ]


def test_a_recipe_of_which_a_sweep_changes_options_keeps_its_rate(rows):
    found = rows("{task: line, fields: [swell], sweep: {field.activation.omega: [1, 2], field.width: [3, 4]}}")
    assert {(row.training.lr, row.sources["lr"]) for row in found} == {(5e-3, "recipe swell")}
    assert [(row.field.spec.activation.spec.omega, row.field.spec.width) for row in found] == [
        (1, 3), (1, 4), (2, 3), (2, 4),
    ]  # fmt: skip


def test_wrong_options_are_told_where_they_are_written(errors):
    assert errors("""\
        task: line
        fields:
          - shallow
          - {name: swell, training: {lr: -1}}
        training: {steps: -2}
        sweep:
          training.batch:
            - full
            - 0
    """) == [
        "4: fields[1].training.lr: Input should be greater than 0, got -1",
        "5: training.steps: Input should be greater than or equal to 0, got -2",
        "9: sweep.training.batch[1]: expected full or a whole number from 1, got 0",
    ]
