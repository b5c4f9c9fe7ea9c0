"""The names that programs and plugins rely on."""

import inspect
import subprocess
import sys

import inrbench_core

PUBLIC = """
API_VERSION Activation ActivationEntry ActivationRef Analysis AnalysisEntry AnalysisRef Basis BasisEntry BasisRef
BasisSpec Batch BudgetError Component ComponentSpec DataError Encoding EncodingEntry EncodingRef Evaluation Executor
ExecutorContext ExecutorEntry ExecutorEvent ExpansionBasis ExpansionSpec FieldEntry FieldFrame FieldShape FitState
FittedField Frame Index InrbenchError Job Metric Moment NativeFunctions Observation OptimizerEntry OptimizerRef
Position Problem Progress Quantity RecipeEntry Renderer ReporterEntry Results Samples SeedStreams TaskEntry TaskSpec
UnsupportedError Width cached_arrays compare_fields compare_folders decibels evaluate grid_coords hookimpl
linear_frame load_field load_results predict samples_of without_autocast
"""


def test_the_public_names_are_these():
    """A name that is taken away or renamed breaks plugins: then API_VERSION and the minor version go up."""
    assert inrbench_core.__all__ == PUBLIC.split() == sorted(inrbench_core.__all__)
    assert inrbench_core.API_VERSION == 1


def test_every_public_name_is_there_and_documented():
    for name in inrbench_core.__all__:
        value = getattr(inrbench_core, name)
        assert value is not None, name
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_a_name_that_is_not_public_is_an_attribute_error():
    assert not hasattr(inrbench_core, "Reslts")


def test_importing_it_imports_neither_torch_nor_numpy():
    code = "import sys, inrbench_core; print(sorted({'torch', 'numpy', 'h5py', 'pandas', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_names_of_users_are_loaded_when_they_are_used():
    code = "import sys, inrbench_core as inr; inr.load_results; inr.Results; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
