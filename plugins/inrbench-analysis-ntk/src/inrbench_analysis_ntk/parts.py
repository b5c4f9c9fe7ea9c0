"""Parts of a Jacobian: the derivatives of a field's values by some of its parameters, at many points at once.

Row (n, c) of a Jacobian is the gradient of f_c(x_n). A complex parameter counts as its real and its imaginary part, and
torch's gradient by it, d/dRe + i d/dIm, has both; the inner product of two gradients g and h is Re sum(conj(g) h).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

Tangents = Mapping[str, Tensor]

# Floats of a block of a part's Jacobian: 256 MB of float32.
BLOCK = 1 << 26
# Floats of the products that are formed on the way.
PRODUCTS_BLOCK = 1 << 24
# Floats of the gradients that are taken in one call: what that computes on the way may be ten times as much.
GRADIENTS_BLOCK = 1 << 21
# Points that a module is evaluated at in one go.
POINTS = 8_192


class Part(ABC):
    """The derivatives by some parameters.

    Args:
        sensitivity: derivative of each value by the output of the module that has the parameters, (N, C, *outputs).

    Attributes:
        shapes: of the parameters, by their names in the model.
    """

    shapes: Mapping[str, torch.Size]

    def __init__(self, sensitivity: Tensor) -> None:
        self.sensitivity = sensitivity

    @abstractmethod
    def pull(self, weights: Tensor) -> dict[str, Tensor]:
        """J^T v: sum over n, c of weights[n, c] times the gradient of f_c(x_n); weights (N, C)."""

    @abstractmethod
    def energies(self, vectors: Tensor, channel: int, scale: Tangents | None) -> Tensor:
        """v^T J_c S J_c^T v for each column v of vectors, (N, B): (B,); see `rows` for the other arguments."""

    @abstractmethod
    def push(self, tangents: Tangents) -> Tensor:
        """J u, (N, C): the derivative of all values in the direction of the tangents, one for each parameter."""

    @abstractmethod
    def rows(self, channel: int, scale: Tangents | None) -> Iterator[Tensor]:
        """The gradients of one channel in blocks of columns, each (N, columns), real.

        Args:
            channel: c.
            scale: non-negative numbers that the columns are multiplied by the square roots of, real, by parameter;
                for a complex one with a last axis of 2.
        """

    def gram(self, scale: Tangents | None = None) -> Tensor:
        """Mean over channels of J_c S J_c^T, (N, N); S is the diagonal matrix of `scale`."""
        channels = self.sensitivity.shape[1]
        total: Tensor | None = None
        for channel in range(channels):
            for block in self.rows(channel, scale):
                product = block @ block.T
                total = product if total is None else total.add_(product)
        assert total is not None
        return total.div_(channels)

    def full_gram(self) -> Tensor:
        """J J^T, (N C, N C), the channels of a point side by side."""
        count, channels = self.sensitivity.shape[:2]
        total: Tensor | None = None
        # Blocks of columns are the same for all channels.
        for blocks in zip(*(self.rows(channel, None) for channel in range(channels)), strict=True):
            joint = torch.stack(blocks, dim=1).reshape(count * channels, -1)
            product = joint @ joint.T
            total = product if total is None else total.add_(product)
        assert total is not None
        return total

    @abstractmethod
    def squares(self, channel: int) -> Tensor:
        """Squared norms of the gradients of one channel, (N,): its part of the diagonal of J_c J_c^T."""


class LinearPart(Part):
    """Parameters that a module's output is linear in: their gradient is an outer product, J[n, c] = D[n, c] x A[n].

    The Gram matrix needs no Jacobian: it is (A A^T) o (D D^T), o elementwise.

    Args:
        shapes: of the parameters, by their names in the model; outputs first.
        features: A, for each parameter (N, *shape[1:]).
        sensitivity: D, (N, C, O).
    """

    def __init__(self, shapes: Mapping[str, torch.Size], features: Mapping[str, Tensor], sensitivity: Tensor) -> None:
        super().__init__(sensitivity)
        self.shapes = shapes
        columns = [features[name].reshape(len(sensitivity), -1) for name in shapes]
        self.widths = [column.shape[1] for column in columns]
        self.features = torch.cat(columns, dim=1)

    def pull(self, weights: Tensor) -> dict[str, Tensor]:
        outputs = torch.einsum("nc,nco->on", weights.to(self.sensitivity.dtype), self.sensitivity)
        return self._split(outputs @ self.features.conj())

    def energies(self, vectors: Tensor, channel: int, scale: Tangents | None) -> Tensor:
        count, outputs = len(vectors), self.sensitivity.shape[2]
        factor = None if scale is None else self._scale(scale)
        found = []
        # Few large products of matrices take less time than many small ones.
        for block in vectors.split(max(1, PRODUCTS_BLOCK // (count * outputs)), dim=1):
            weighted = self.sensitivity[:, channel, None, :] * block.unsqueeze(2)
            pulled = (weighted.reshape(count, -1).T @ self.features.conj()).reshape(block.shape[1], outputs, -1)
            squares = real(pulled).square()
            found.append((squares if factor is None else squares * factor).flatten(1).sum(1))
        return torch.cat(found)

    def _scale(self, scale: Tangents) -> Tensor:
        """As the columns of `_split`, (O, F), with a last axis of 2 for complex parameters."""
        outputs = self.sensitivity.shape[2]
        ends = (2,) if self.sensitivity.is_complex() else ()
        columns = zip(self.shapes, self.widths, strict=True)
        return torch.cat([scale[name].reshape(outputs, width, *ends) for name, width in columns], dim=1)

    def _split(self, matrix: Tensor) -> dict[str, Tensor]:
        pieces = zip(self.shapes.items(), matrix.split(self.widths, dim=1), strict=True)
        return {name: piece.reshape(shape) for (name, shape), piece in pieces}

    def push(self, tangents: Tangents) -> Tensor:
        outputs = len(next(iter(tangents.values())))
        matrix = torch.cat([tangents[name].reshape(outputs, -1) for name in self.shapes], dim=1)
        return torch.einsum("no,nco->nc", self.features @ matrix.T, self.sensitivity.conj()).real

    def gram(self, scale: Tangents | None = None) -> Tensor:
        if scale is not None:
            return super().gram(scale)
        count, channels, outputs = self.sensitivity.shape
        # The sum over channels is one product of matrices with the channels side by side.
        joint = self.sensitivity.reshape(count, channels * outputs)
        return _gram(joint).mul_(_gram(self.features).conj()).real.div_(channels)

    def full_gram(self) -> Tensor:
        count, channels, outputs = self.sensitivity.shape
        features = _gram(self.features).conj()
        product = _gram(self.sensitivity.reshape(count * channels, outputs)).reshape(count, channels, count, channels)
        return (product * features[:, None, :, None]).real.reshape(count * channels, -1)

    def rows(self, channel: int, scale: Tangents | None) -> Iterator[Tensor]:
        count, _, outputs = self.sensitivity.shape
        width = self.features.shape[1]
        factor = None if scale is None else self._scale(scale).sqrt()
        block = max(1, PRODUCTS_BLOCK // (count * width))
        for first in range(0, outputs, block):
            part = self.sensitivity[:, channel, first : first + block]
            product = real(part.unsqueeze(2) * self.features.conj().unsqueeze(1))
            if factor is not None:
                product = product * factor[first : first + block]
            yield product.reshape(count, -1)

    def squares(self, channel: int) -> Tensor:
        return _squared_norms(self.sensitivity[:, channel]) * _squared_norms(self.features)


class LocalPart(Part):
    """Any parameters of a module, by derivatives of that module alone.

    Args:
        module: called with one tensor whose first axis is that of the points.
        names: the parameters' names in the module, by their names in the model.
        inputs: (N, *features).
        sensitivity: (N, C, *outputs).
        batched: take the gradients of many points at once with torch.func.vmap, else one point after the other.
        forward_mode: take derivatives in a direction in forward mode, else by two backward passes.
    """

    def __init__(
        self,
        module: nn.Module,
        names: Mapping[str, str],
        inputs: Tensor,
        sensitivity: Tensor,
        *,
        batched: bool = True,
        forward_mode: bool = True,
    ) -> None:
        super().__init__(sensitivity)
        parameters = dict(module.named_parameters())
        self.module, self.names, self.inputs = module, names, inputs
        self.batched, self.forward_mode = batched, forward_mode
        self.values = {name: parameters[own].detach() for name, own in names.items()}
        self.shapes = {name: value.shape for name, value in self.values.items()}
        self.width = sum(value.numel() * (2 if value.is_complex() else 1) for value in self.values.values())
        floats = max((getattr(part, "floats_per_point", 0) for part in module.modules()), default=0)
        self.chunk = max(1, GRADIENTS_BLOCK // max(self.width, floats, 1024))

    def _outputs(self, values: Tangents, inputs: Tensor) -> Tensor:
        own = {self.names[name]: value for name, value in values.items()}
        outputs: Tensor = functional_call(self.module, own, (inputs,))
        return outputs

    def _weighted(self, values: Tangents, point: Tensor, sensitivity: Tensor) -> Tensor:
        return (sensitivity.conj() * self._outputs(values, point.unsqueeze(0)).squeeze(0)).real.sum()

    def gradients(self, channel: int, points: slice) -> Tensor:
        """The gradients of one channel at some points, (n, columns), real."""
        inputs, sensitivity = self.inputs[points], self.sensitivity[points, channel]
        if self.batched:
            found = vmap(grad(self._weighted), in_dims=(None, 0, 0), chunk_size=self.chunk)(
                self.values, inputs, sensitivity
            )
        else:
            singles = [self._gradient(x, d) for x, d in zip(inputs, sensitivity, strict=True)]
            found = {name: torch.stack([single[name] for single in singles]) for name in self.values}
        return torch.cat([real(found[name]).reshape(len(inputs), -1) for name in self.values], dim=1)

    def _gradient(self, point: Tensor, sensitivity: Tensor) -> dict[str, Tensor]:
        values = {name: value.clone().requires_grad_() for name, value in self.values.items()}
        found = torch.autograd.grad(
            self._weighted(values, point, sensitivity), list(values.values()), allow_unused=True, materialize_grads=True
        )
        return dict(zip(values, found, strict=True))

    def energies(self, vectors: Tensor, channel: int, scale: Tangents | None) -> Tensor:
        total = vectors.new_zeros(vectors.shape[1], self.width)
        for points in self._blocks(max(1, BLOCK // self.width)):
            total += vectors[points].T @ self._scaled(self.gradients(channel, points), scale)
        return total.square().sum(1)

    def rows(self, channel: int, scale: Tangents | None) -> Iterator[Tensor]:
        yield self._scaled(self.gradients(channel, slice(None)), scale)

    def _scaled(self, gradients: Tensor, scale: Tangents | None) -> Tensor:
        if scale is None:
            return gradients
        return gradients * torch.cat([scale[name].reshape(-1) for name in self.values]).sqrt()

    def gram(self, scale: Tangents | None = None) -> Tensor:
        count, channels = self.sensitivity.shape[:2]
        if count * self.width <= BLOCK:
            return super().gram(scale)
        # All gradients at once are too many: they are taken again for each pair of blocks of points.
        total = self.sensitivity.real.new_zeros(count, count)
        blocks = self._blocks(max(1, BLOCK // (2 * self.width)))
        for channel in range(channels):
            for index, these in enumerate(blocks):
                left = self._scaled(self.gradients(channel, these), scale)
                total[these, these] += left @ left.T
                for others in blocks[:index]:
                    product = left @ self._scaled(self.gradients(channel, others), scale).T
                    total[these, others] += product
                    total[others, these] += product.T
        return total.div_(channels)

    def squares(self, channel: int) -> Tensor:
        blocks = self._blocks(max(1, BLOCK // self.width))
        return torch.cat([self.gradients(channel, points).square().sum(1) for points in blocks])

    def pull(self, weights: Tensor) -> dict[str, Tensor]:
        values = {name: value.clone().requires_grad_() for name, value in self.values.items()}
        total = {name: torch.zeros_like(value) for name, value in self.values.items()}
        for points in self._blocks(POINTS):
            outputs = self._outputs(values, self.inputs[points])
            cotangent = torch.einsum("nc,nc...->n...", weights[points].to(outputs.dtype), self.sensitivity[points])
            found = torch.autograd.grad(
                outputs, list(values.values()), cotangent, allow_unused=True, materialize_grads=True
            )
            for name, gradient in zip(values, found, strict=True):
                total[name] += gradient
        return total

    def push(self, tangents: Tangents) -> Tensor:
        own = {name: tangents[name] for name in self.values}
        parts = []
        for points in self._blocks(POINTS):
            change = self._derivative(self.inputs[points], own)
            parts.append(torch.einsum("n...,nc...->nc", change, self.sensitivity[points].conj()).real)
        return torch.cat(parts)

    def _derivative(self, inputs: Tensor, tangents: Tangents) -> Tensor:
        """The outputs' derivative in the direction of the tangents, (n, *outputs)."""
        if self.forward_mode:
            _, change = jvp(lambda values: self._outputs(values, inputs), (self.values,), (dict(tangents),))
            return change
        # What has no rule for forward mode has one for backward mode: J u is the derivative of (J^T v) u by v.
        values = {name: value.clone().requires_grad_() for name, value in self.values.items()}
        outputs = self._outputs(values, inputs)
        dual = torch.zeros_like(outputs, requires_grad=True)
        pulled = torch.autograd.grad(
            outputs, list(values.values()), dual, create_graph=True, allow_unused=True, materialize_grads=True
        )
        product = sum((_inner(p, tangents[name]) for name, p in zip(values, pulled, strict=True)), torch.zeros(()))
        return torch.autograd.grad(product, dual)[0]

    def _blocks(self, size: int) -> list[slice]:
        return [slice(first, first + size) for first in range(0, len(self.inputs), size)]


def _gram(matrix: Tensor) -> Tensor:
    """conj(M) M^T."""
    return matrix.conj() @ matrix.T


def real(tensor: Tensor) -> Tensor:
    """A complex tensor with its real and imaginary part along a new last axis; a real one as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _squared_norms(matrix: Tensor) -> Tensor:
    """Of the rows."""
    return real(matrix).square().reshape(len(matrix), -1).sum(1)


def _inner(left: Tensor, right: Tensor) -> Tensor:
    return (left.conj() * right).real.sum()
