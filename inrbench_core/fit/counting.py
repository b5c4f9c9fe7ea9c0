"""Watching the operations that a model runs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class OperationCounter(TorchDispatchMode):
    """Within it, `note` is told each operation that torch runs below autograd.

    Unlike other dispatch modes (torch's FlopCounterMode is one) it does not import torch's compiler, which takes a
    second; it is not for compiled code.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # If so, torch wraps the method below in a way that imports its compiler.
        return False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = function(*args, **(kwargs or {}))
        self.note(function, args, kwargs or {}, results)
        return results

    @abstractmethod
    def note(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: Any) -> None:
        """Take note of one operation.

        Args:
            function: a torch OpOverload.
            args, kwargs: what it was called with.
            results: what it returned.
        """
