"""The conformance kit: named checks that any component of any plugin has to pass.

In the tests of a plugin:

    from inrbench_core.testing import parametrize_with_checks

    @parametrize_with_checks("my-distribution")
    def test_conformance(check):
        check()

The same checks run from the command line: `inrbench check my-distribution`.
"""

from inrbench_core.testing.kit import Check, iter_checks, iter_hook_checks, run_checks
from inrbench_core.testing.outcome import CheckResult, Skipped
from inrbench_core.testing.pytest_support import parametrize_with_checks

__all__ = [
    "Check",
    "CheckResult",
    "Skipped",
    "iter_checks",
    "iter_hook_checks",
    "parametrize_with_checks",
    "run_checks",
]
