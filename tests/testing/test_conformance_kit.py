"""The kit catches what is wrong, with the check that is about it, and lets what is sound pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from inrbench_core.api.entries import ENTRY_TYPES
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.testing import CheckResult, iter_checks, iter_hook_checks, parametrize_with_checks, run_checks
from inrbench_core.testing.kit import CHECKS, OF_EVERY_MODULE, OF_EVERY_SPEC

STAND_INS = Path(__file__).parent.parent / "stand_ins"

# Entry: the check that has to fail, what it has to say, and which other checks follow from the same fault.
WRONG = {
    ("encoding", "wrong_shape"): ("out_features", "should give (5, 13), and gives (5, 12)", {"learns"}),
    ("encoding", "unseeded"): ("same_seed_same_weights", "directions differ", set()),
    ("encoding", "pinned"): ("other_seed_other_weights", "another seed changes nothing", set()),
    ("encoding", "not_saved"): ("state_dict_round_trip", "not in state_dict", set()),
    ("encoding", "nan_value"): ("finite_values", "not finite at -10", {"finite_gradients"}),
    ("encoding", "nan_gradient"): ("finite_gradients", "the input is not finite", {"finite_second_derivatives"}),
    ("encoding", "one_coordinate"): ("coordinates_matter", "moving coordinate 1", set()),
    ("encoding", "hidden_parameter"): ("parameter_count", "not in parameters()", {"dtypes"}),
    ("encoding", "squeezed"): ("batch_sizes", "1 points give 12 rows", {"chunked_equals_whole", "coordinates_matter"}),
    ("encoding", "single_precision"): ("dtypes", "float64 gives torch.float32", set()),
    ("activation", "batch_dependent"): (
        "chunked_equals_whole",
        "change the output",
        {"elementwise", "coordinates_matter"},
    ),
    ("activation", "unused_parameter"): ("no_dead_parameters", "nothing depends on 1.unused", set()),
    ("activation", "nearly_constant"): ("first_batch_statistics", "varies by", {"learns", "output_not_confined"}),
    ("activation", "random_forward"): ("deterministic", "another output", None),
    ("activation", "detached"): ("no_dead_parameters", "depends on no parameter", None),
    ("activation", "undescribed"): ("documented", "omega", set()),
    ("activation", "rounded"): ("spec_round_trip", "3.0", set()),
    ("activation", "misspelt_training"): ("training_defaults", "not valid", set()),
    ("activation", "no_target"): ("target_loads", "Nothing", None),
    ("basis", "dead_function"): ("no_dead_parameters", "coefficients[..., [0]] have zero gradients", set()),
    ("basis", "confined"): ("output_not_confined", "misses values", set()),
    ("field", "deaf_to_width"): ("width_budget", "within 2 %", set()),
    ("task", "mean_loss"): ("loss", "a loss of shape ()", {"loss_adds_over_chunks"}),
    ("task", "batch_loss"): ("loss_adds_over_chunks", "two halves change the loss", set()),
    ("task", "unseeded_data"): ("same_seed_same_data", "values differs", set()),
    ("task", "missing_metric"): ("evaluates", "declared ['mae', 'mse'], got ['mse']", set()),
    ("task", "other_facts"): ("renders", "KeyError: 'rate'", set()),
    ("task", "one_value_more"): ("frame", "frame.fields['line'] has 2 values for 1", {"renders"}),
    ("task", "far_coords"): ("coords", "leaves [-1, 1]", {"target"}),
    ("task", "shifted_target"): ("target", "a field that gives the target has mse", set()),
    ("task", "growing_values"): (
        "fits_leave_it_alone",
        "batch()['values'] is not what it was",
        {"loss_adds_over_chunks"},
    ),
    ("task", "no_such_option"): ("signal_option", "no option 'photo'", set()),
    ("field", "doubled_group"): ("optional_methods", "parameter_groups() holds a parameter twice", set()),
    ("field", "deaf_group"): ("optional_methods", "at lr 0.1 and 0.2", set()),
    ("field", "vector_regularisation"): ("optional_methods", "a finite scalar", set()),
    ("field", "bad_progress"): ("optional_methods", "after set_progress(1) the output is not finite", set()),
    ("optimizer", "first_group_only"): ("optimizer_is_built", "each parameter once", {"minimises", "group_rates"}),
    ("optimizer", "backwards"): ("minimises", "of the loss are left", set()),
    ("optimizer", "no_closure"): ("minimises", "does not call the closure", {"group_rates", "schedule"}),
    ("optimizer", "highest_rate"): ("group_rates", "at a millionth of the rate a group moves", set()),
    ("optimizer", "first_rate"): ("schedule", "changes nothing", set()),
    ("optimizer", "random_steps"): ("same_steps", "different places", {"schedule"}),
    ("optimizer", "two_gradients"): ("one_gradient", "10 steps call the closure 20 times", set()),
    ("analysis", "undeclared"): ("observes", "does not declare: weight", set()),
    ("analysis", "unreported"): ("observes", "declared metrics are missing (NaN where undefined): size", set()),
    ("analysis", "tensor_array"): ("observes", "values is not a numpy array", {"observes_other_problems"}),
    ("analysis", "no_moment"): ("observes", "should be of", None),
    ("analysis", "changes_model"): ("leaves_the_model_alone", "it changes layers.0.weight", {"leaves_the_fit_alone"}),
    ("analysis", "changes_problem"): ("leaves_the_fit_alone", "changes the problem's values", set()),
    ("executor", "empty_files"): ("carries_out_jobs", "not the run's file", set()),
    ("executor", "says_all_is_well"): ("carries_out_jobs", "lost once, with an error", set()),
    ("executor", "forgets"): ("carries_out_jobs", "unfinished() right after three jobs: []", set()),
    ("executor", "does_cancelled_jobs"): ("cancels", "a cancelled job still tells: started", {"carries_out_jobs"}),
    ("reporter", "prints"): ("reports", "it prints", {"reports_no_results"}),
    ("reporter", "gives_bytes"): ("reports", "gives a bytes, not a str", {"reports_no_results"}),
    ("reporter", "needs_metrics"): ("reports", "KeyError: 'mse'", set()),
    ("reporter", "needs_a_table"): ("reports_no_results", "IndexError", set()),
}
KINDS = ("encoding", "activation", "basis", "field", "task", "optimizer", "analysis", "executor", "reporter")
SOUND = [(kind, f"sound_{kind}") for kind in KINDS]


@pytest.fixture(scope="module")
def wrong() -> Catalog:
    return load_catalog([STAND_INS / "wrong_plugin.py", STAND_INS / "wrong_plugin_hooks.py"])


def by_name(catalog: Catalog, kind: str, entry: str) -> dict[str, CheckResult]:
    return {result.name: result for result in run_checks(catalog.find(kind, entry), catalog)}


@pytest.mark.parametrize(("kind", "entry"), SOUND)
def test_a_sound_component_fails_no_check(wrong: Catalog, kind: str, entry: str) -> None:
    results = by_name(wrong, kind, entry)
    assert [result for result in results.values() if result.status == "failed"] == []
    assert len(results) == len(CHECKS[kind])
    # A green run that ran nothing is none.
    skipped = [result for result in results.values() if result.status == "skipped"]
    assert len(skipped) <= 4, [f"{result.name}: {result.reason}" for result in skipped]


@pytest.mark.parametrize(("kind", "entry"), WRONG)
def test_a_wrong_component_is_caught_by_the_check_that_is_about_it(wrong: Catalog, kind: str, entry: str) -> None:
    right, message, others = WRONG[kind, entry]
    failed = {name: result.reason for name, result in by_name(wrong, kind, entry).items() if result.status == "failed"}
    assert message in failed.get(right, "it passed")
    if others is not None:
        assert failed.keys() - {right} <= others


def test_the_checks_of_hooks_name_what_is_wrong(wrong: Catalog) -> None:
    results = {check.name: check.run() for check in iter_hook_checks(wrong)}
    assert {result.distribution for result in results.values()} == {"wrong_plugin_hooks.py"}
    assert (results["events"].status, results["commands"].status) == ("failed", "failed")
    assert results["events"].reason.startswith("it prints on stdout")
    assert results["commands"].reason == "the command 'nameless' has no help; write a docstring"


def test_a_plugin_file_may_import_torch_and_says_so(wrong: Catalog) -> None:
    result = by_name(wrong, "activation", "sound_activation")["plugin_without_torch"]
    assert (result.status, "a plugin file is one file" in result.reason) == ("skipped", True)


def test_an_executor_that_cannot_work_here_is_skipped_with_its_reason(wrong: Catalog) -> None:
    result = by_name(wrong, "executor", "has_no_cluster")["carries_out_jobs"]
    assert (result.status, result.reason) == ("skipped", "it cannot work here: there is no cluster here")


def test_an_analysis_may_refuse_problems(wrong: Catalog) -> None:
    result = by_name(wrong, "analysis", "one_field_only")["observes_other_problems"]
    assert (result.status, result.reason) == ("skipped", "it does not analyse two fields (it analyses one field)")


def test_a_field_with_every_optional_method_is_checked(wrong: Catalog) -> None:
    assert by_name(wrong, "field", "with_methods")["optional_methods"].status == "passed"


def test_what_depends_on_the_batch_may_say_so(wrong: Catalog) -> None:
    result = by_name(wrong, "activation", "says_batch_dependent")["chunked_equals_whole"]
    assert (result.status, "pointwise = False" in result.reason) == ("skipped", True)


def test_what_cannot_be_compiled_says_why(wrong: Catalog) -> None:
    result = by_name(wrong, "activation", "not_compilable")["compiles"]
    assert result.status == "skipped"
    assert result.reason.startswith("torch.compile does not capture it: ")


def test_every_skip_has_a_reason_and_every_check_a_docstring(wrong: Catalog) -> None:
    results = [result for kind, entry in SOUND for result in by_name(wrong, kind, entry).values()]
    assert all(result.reason for result in results if result.status != "passed")
    assert all(function.__doc__ for functions in CHECKS.values() for function in functions)


def test_every_kind_has_its_checks(wrong: Catalog) -> None:
    assert set(CHECKS) == {*ENTRY_TYPES, "hooks"}
    for kind in ("encoding", "activation", "basis", "field"):
        assert set(OF_EVERY_SPEC) | set(OF_EVERY_MODULE) <= set(CHECKS[kind])


def test_checks_leave_the_random_state_alone(wrong: Catalog) -> None:
    import torch

    before = torch.random.get_rng_state()
    next(
        check for check in iter_checks(wrong.find("activation", "sound_activation"), wrong) if check.name == "learns"
    )()
    assert torch.equal(before, torch.random.get_rng_state())


def outcomes(mark: pytest.MarkDecorator) -> dict[str, str]:
    """How each case of a parametrised test ends."""
    ends = {}
    for case in mark.args[1]:
        try:
            case.values[0]()
            ends[case.id] = "passed"
        except BaseException as end:
            ends[case.id] = type(end).__name__
    return ends


def test_an_outsiders_pytest_sees_passes_failures_and_skips(wrong: Catalog) -> None:
    items = [wrong.find("activation", "rounded")]
    ends = outcomes(parametrize_with_checks(items, wrong))
    assert len(ends) == len(CHECKS["activation"])
    assert ends["activation-rounded-spec_round_trip"] == "Failed"
    assert ends["activation-rounded-learns"] == "passed"
    excuse = {"rounded/spec_round_trip": "it is meant to be"}
    assert outcomes(parametrize_with_checks(items, wrong, excused=excuse)).get(
        "activation-rounded-spec_round_trip"
    ) == ("Skipped")


def test_nothing_to_check_is_an_error(wrong: Catalog) -> None:
    with pytest.raises(ValueError, match="no entry to check"):
        parametrize_with_checks("inrbench-is-not-there", wrong)
    with pytest.raises(ValueError, match="no check 'rounded/misspelt'"):
        parametrize_with_checks([wrong.find("activation", "rounded")], wrong, excused={"rounded/misspelt": "?"})
