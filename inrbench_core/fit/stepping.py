"""Optimiser steps: each is one batch, taken in chunks, with losses and gradients summed exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from inrbench_core.api.problem import Index, Problem, SeedStreams
from inrbench_core.fit.batches import Batches
from inrbench_core.fit.chunks import chunk_elements, is_chunkable, measure_footprint
from inrbench_core.fit.compiling import compile_model, uses_cuda_graphs, wants_compile
from inrbench_core.fit.device import model_device
from inrbench_core.fit.hooks import modules_with, parameter_groups, regularisation, set_progress
from inrbench_core.fit.precision import check_precision, in_precision, product_precision
from inrbench_core.fit.schedule import learning_rate
from inrbench_core.spec.training import TrainingSpec


class Stepper:
    """Takes the optimiser steps of one fit.

    Args:
        problem: data and loss.
        model: trained in place; in training mode.
        training: with at least one step.
        seeds: minibatches are drawn from the stream "sampling".
        before_compile: called right before torch.compile, which takes long, if it is tried at all.

    Raises:
        UnsupportedError: if the training's precision cannot be had.

    Attributes:
        chunk: elements a chunk.
        compiled: whether torch.compile is used; `compile_s` is what it took, in s.
        optimizer: with its state.
        trained: the parameters that it updates.
        staged, regularised: the model's modules with `set_progress`, and with `regularisation`.
    """

    def __init__(
        self,
        problem: Problem,
        model: nn.Module,
        training: TrainingSpec,
        seeds: SeedStreams,
        before_compile: Callable[[], None] = lambda: None,
    ) -> None:
        self.problem = problem
        self.model = model
        self.training = training
        check_precision(training, problem, model)
        device = model_device(model)
        self.batches = Batches(problem.elements, training, seeds, device)
        self.compiled, self.compile_s = False, 0.0
        self._fast = model
        self.regularised = modules_with(model, "regularisation")
        self.staged = modules_with(model, "set_progress")
        set_progress(model, 1.0)
        self._choose_chunk(device, before_compile)
        groups = parameter_groups(model, problem, training.lr)
        self.optimizer = cast(torch.optim.Optimizer, training.optimizer.build(groups))
        self._rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self.trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _choose_chunk(self, device: torch.device, before_compile: Callable[[], None]) -> None:
        batches = self.batches
        footprint = measure_footprint(self.model, self.problem)
        most = chunk_elements(footprint, self.problem, device) if is_chunkable(self.model) else batches.size
        self.chunk = batches.even_chunk(most)
        # Compiled code is made for one size; what is left over runs eagerly.
        uniform = batches.uniform_chunk(most)
        if wants_compile(self.training, self.problem, self.model, batches.size, uniform, device.type):
            before_compile()
            example = batches.example(uniform)
            graphs = uses_cuda_graphs(footprint, batches.size, uniform, device.type)
            with product_precision(self.training):
                compiled, self.compile_s = compile_model(self.model, lambda model: self._loss(model, example), graphs)
            if compiled is not None:
                self._fast, self.compiled, self.chunk = compiled, True, uniform

    def learning_rate(self, step: int) -> float:
        """The rate of a step, counted from 0, of parameters without a rate of their own."""
        return learning_rate(self.training, step, self.training.lr)

    def step(self, number: int) -> Tensor:
        """Take a step, counted from 1.

        Returns:
            the batch's mean loss before the update, without regularisation: a detached scalar on the device.
        """
        self.begin(number)
        chunks = list(self.batches.next_chunks(self.chunk))
        losses: list[Tensor] = []

        def closure() -> Tensor:
            """The loss of this step's batch, with its gradients; an optimiser may call it several times."""
            # Optimizer.zero_grad does the same, and imports torch's compiler, which takes a second.
            for parameter in self.trained:
                parameter.grad = None
            losses.append(torch.stack([self.backward(index) for index in chunks]).sum())
            term = regularisation(self.regularised)
            if term is None:
                return losses[-1]
            term.backward()  # type: ignore[no-untyped-call]
            return losses[-1] + term.detach()

        with product_precision(self.training):
            self.optimizer.step(closure)  # type: ignore[arg-type]
        if not losses:
            raise ValueError(f"optimizer {self.training.optimizer.name}: its step() does not call the closure")
        return losses[0]

    def begin(self, number: int) -> None:
        """Set what a step, counted from 1, changes before its loss: learning rates, and the progress of modules."""
        for part in self.staged:
            part.set_progress((number - 1) / self.training.steps)
        for group, lr in zip(self.optimizer.param_groups, self._rates, strict=True):
            rate = learning_rate(self.training, number - 1, lr)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def update(self, loss: Tensor) -> None:
        """Let the optimiser take its step with the gradients that the parameters have.

        Args:
            loss: that they are of.

        Raises:
            ValueError: if the optimiser does not evaluate the loss exactly once.
        """
        calls = []

        def closure() -> Tensor:
            calls.append(loss)
            return loss

        self.optimizer.step(closure)  # type: ignore[arg-type]
        if len(calls) != 1:
            name = self.training.optimizer.name
            raise ValueError(f"optimizer {name}: its step() calls the closure {len(calls)} times; it says once")

    def backward(self, index: Index) -> Tensor:
        """Add a chunk's gradients; returns its share of the loss, detached."""
        count = index.stop - index.start if isinstance(index, slice) else len(index)
        model = self._fast if count == self.chunk else self.model
        loss = self._loss(model, index)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _loss(self, model: nn.Module, index: Index) -> Tensor:
        """A chunk's share of the batch's mean loss, by the model or its compiled twin."""
        called = in_precision(model, self.training)
        return self.problem.loss(called, self.problem.batch(index)).sum() / self.batches.size
