"""KAN bases: the univariate functions on the edges of a layer, and the layer made of them."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrbench_core.api.components import Position
from inrbench_core.api.native import compile_saving_on
from inrbench_core.api.native.expansion import NativeFunctions, native_values, register_functions, serves
from inrbench_core.api.spec import ComponentSpec, ExpansionSpec
from inrbench_core.api.starts import centres, moments, start_moments, start_std

# Of a grid of local functions, each then has several points on its support.
FUNCTIONS_PER_PANEL = 16
LEAST_RMS = 1e-6


class Basis(nn.Module):
    """Makes one KAN layer. A field makes one instance for each layer and calls `layer` once."""

    def __init__(self, spec: ComponentSpec) -> None:
        super().__init__()

    @abstractmethod
    def layer(self, in_features: int, out_features: int, *, position: Position) -> nn.Module:
        """A module mapping (N, in_features) to (N, out_features)."""


class ExpansionBasis(Basis):
    """A basis that is linear in its coefficients: y_o = sum over i, k of C[o, i, k] phi_k(x_i).

    Subclasses set `size` (the number K of functions) and give `expand`; they may set `reach`, and override
    `setup` to create trainable parameters, `native`, `published_coefficients`, `start_weights` and `domain`.
    """

    size: int
    # The functions lie on [-reach, reach]: there `normalize` takes their means.
    reach: float = 1.0
    # What torch.compile saves of a training step without a kernel, in s for each point and function on one CPU thread.
    # Of chebyshev and fourier, and near enough for what nobody measured.
    compile_saving_s: float = 3.4e-9

    def __init__(self, spec: ExpansionSpec) -> None:
        super().__init__(spec)
        self.options = spec

    @abstractmethod
    def expand(self, x: Tensor) -> Tensor:
        """All functions at x: (N, in_features) -> (N, in_features, K).

        Collect the K terms and return `torch.stack(terms, dim=1).transpose(1, 2)`: the layer then
        needs no copy before its matmul.
        """

    def native(self) -> NativeFunctions | None:
        """The same functions in C++, for CPUs, where there are such; asked for after `setup`."""
        return None

    def setup(self, in_features: int, position: Position) -> None:
        """Create what depends on the layer, such as trainable knots. Called once, before use."""

    def domain(self, x: Tensor, position: Position) -> Tensor:
        """Map a layer's input, (N, in_features), to where the functions live, following `spec.domain`.

        An override may mix the inputs. The start follows it, by sampled inputs; see `inrbench_core.api.starts`.
        """
        return torch.tanh(x) if self._tanh(position) else x

    def bounded(self, position: Position) -> bool:
        """Whether the functions only ever see [-1, 1]: coordinates, or the other side of tanh."""
        return position == "first" or self._tanh(position)

    def _tanh(self, position: Position) -> bool:
        return self.options.domain == "tanh" or (self.options.domain == "auto" and position != "first")

    def published_coefficients(self, coefficients: Tensor) -> None:
        """Fill coefficients, (out, in, K), as the published code does; default N(0, 1/(in K))."""
        _, in_features, size = coefficients.shape
        nn.init.normal_(coefficients, 0.0, 1.0 / (in_features * size))

    def start_weights(self) -> Tensor:
        """Standard deviations of the functions' coefficients relative to one another, (K,), at starts not published."""
        return torch.ones(self.size)

    def layer(self, in_features: int, out_features: int, *, position: Position) -> nn.Module:
        self.setup(in_features, position)
        return ExpansionLayer(self, in_features, out_features, position)


def grid_offsets(x: Tensor, low: float, spacing: float, count: int) -> Tensor:
    """Offsets of x from the centres of a uniform grid, low + j spacing, in units of the spacing.

    Centres are whole numbers in these units, so nothing is lost to rounding in any dtype.

    Args:
        x: shape (N, in).
        low: the first centre.
        spacing: distance of neighbouring centres.
        count: number of centres K.

    Returns:
        shape (N, K, in).
    """
    centres = torch.arange(count, dtype=x.dtype, device=x.device)
    return ((x - low) / spacing).unsqueeze(1) - centres.unsqueeze(1)


class _Branch(nn.Linear):
    """A linear layer whose output lies in memory as the layer's, points last; without a bias."""

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight @ x.T).T

    def linear_features(self, x: Tensor) -> dict[str, Tensor]:
        return {"weight": x}


class ExpansionLayer(nn.Module):
    """The KAN layer of an `ExpansionBasis`: one matmul over all functions of all inputs.

    Args:
        basis: a fresh basis, which becomes a part of this layer.
        in_features: I.
        out_features: O.
        position: where the layer stands; decides the domain map.
    """

    factors: Tensor | None
    offsets: Tensor | None

    def __init__(self, basis: ExpansionBasis, in_features: int, out_features: int, position: Position) -> None:
        super().__init__()
        self.basis = basis
        self.position = position
        options = basis.options
        self._panels = math.ceil(basis.size / FUNCTIONS_PER_PANEL)
        factors, offsets = self._normalisation(in_features)
        # What the functions are multiplied by, and what is added then: (I, K).
        self.register_buffer("factors", factors)
        self.register_buffer("offsets", offsets)
        self.coefficients = nn.Parameter(torch.empty(out_features, in_features, basis.size))
        self.bias = nn.Parameter(torch.zeros(out_features)) if options.bias else None
        self.base = _Branch(in_features, out_features, bias=False) if options.base else None
        self._register()
        # A parameter count is taken on the meta device, where there are no values.
        if not self.coefficients.is_meta:
            with torch.no_grad():
                self._start()

    def _normalisation(self, in_features: int) -> tuple[Tensor | None, Tensor | None]:
        normalize, basis = self.basis.options.normalization(), self.basis
        if normalize == "none":
            return None, None
        found = moments(lambda x: basis.expand(x.unsqueeze(1).expand(-1, in_features)), self._panels, reach=basis.reach)
        # A function that all but vanishes there lies beyond it on purpose: it stays as it is.
        inverse_rms = torch.where(found.square > LEAST_RMS**2, found.square.rsqrt(), 1.0)
        if normalize == "rms":
            return inverse_rms.float(), None
        # So does a constant, but for its RMS: centred, it would be nothing.
        varies = (found.variance > 0.0) & (found.square > LEAST_RMS**2)
        factors = torch.where(varies, found.variance.rsqrt(), inverse_rms)
        offsets = torch.where(varies, -found.mean * factors, 0.0).float()
        # Their layout is that of the sum: with inputs last it needs no copy before the matmul, as `expand` says.
        return factors.float(), offsets.T.contiguous().T

    def _start(self) -> None:
        basis, options = self.basis, self.basis.options
        out_features, in_features, size = self.coefficients.shape
        if options.scale == "published":
            basis.published_coefficients(self.coefficients)
            return
        weights = basis.start_weights()

        def weighted(x: Tensor) -> Tensor:
            return self._functions(x) * weights

        def weighted_of_one(x: Tensor) -> Tensor:
            return weighted(x.unsqueeze(1).expand(-1, in_features))

        if self._overrides_domain():
            found = start_moments(options, self.position, weighted, in_features=in_features)
        else:
            found = start_moments(options, self.position, weighted_of_one, self._panels)
        terms, share = (size + 1, 0.5) if self.base else (size, 1.0)
        std = start_std(options, found, in_features, out_features, count=size, terms=terms, share=share)
        drawn = torch.randn_like(self.coefficients) * std
        self.coefficients.copy_(drawn * weights)
        shift = drawn.flatten(1) @ found.mean.to(drawn).flatten()
        if self.base:
            found = start_moments(options, self.position, functional.silu)
            exponent = options.base_exponent
            std = start_std(
                options, found, in_features, out_features, count=1, terms=terms, share=share, exponent=exponent
            )
            nn.init.normal_(self.base.weight, 0.0, std)
            shift += self.base.weight.sum(dim=1) * found.mean.item()
        if self.bias is not None and centres(options):
            self.bias.sub_(shift)

    def _register(self) -> None:
        native = self.basis.native()
        scale = self.factors
        self._key: str | None = None
        if native is None or (scale is not None and scale.is_meta):
            return
        # The functions are the same for all inputs, and so are their means.
        factors = (1.0,) * self.basis.size if scale is None else tuple(scale[0].tolist())
        # Calls no method of this module: what is registered outlives it.
        expand, by_tanh = self.basis.expand, self._fuses_tanh()

        def define(x: Tensor) -> Tensor:
            return expand(torch.tanh(x) if by_tanh else x) * x.new_tensor(factors)

        self._key = register_functions(native, factors, by_tanh, define)

    def _fuses_tanh(self) -> bool:
        """Whether all that happens before the functions is a tanh."""
        return not self._overrides_domain() and self.basis._tanh(self.position)

    def _overrides_domain(self) -> bool:
        return type(self.basis).domain is not ExpansionBasis.domain

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        # It may have been made in another process.
        self._register()

    def forward(self, x: Tensor) -> Tensor:
        """Map x, (N, I), to (N, O); by C++, its transpose is contiguous."""
        coefficients = self.coefficients  # Looked up once: with a parametrization each look-up computes.
        if x.dtype == torch.bfloat16:
            # Of another layer under autocast; rounded again, functions of a high degree would lose all digits.
            x = x.float()
        if self._key is not None and serves(x):
            inputs = x if self._fuses_tanh() else self.basis.domain(x, self.position)
            terms = native_values(inputs.T, self._key, self.basis.size).flatten(0, 1)
            weight = coefficients.flatten(1)
            bias = self._total_bias(weight)
            y = (weight @ terms if bias is None else torch.addmm(bias.unsqueeze(1), weight, terms)).T
        else:
            out_features, in_features, size = coefficients.shape
            terms = self._functions(x).transpose(1, 2).reshape(x.shape[0], size * in_features)
            weight = coefficients.transpose(1, 2).reshape(out_features, size * in_features)
            y = functional.linear(terms, weight, self.bias)
        if self.base is not None:
            y = y + self.base(functional.silu(x))
        return y

    def compile_saving(self, device_type: str) -> float:
        """See `inrbench_core.api.components`; compiled code cannot improve a kernel."""
        if device_type == "cpu" and self._key is not None:
            return 0.0
        return compile_saving_on(device_type, self.basis.compile_saving_s * self.coefficients[0].numel())

    def linear_features(self, x: Tensor) -> dict[str, Tensor]:
        """The values of all functions, (N, I, K), and the bias's 1."""
        features = {"coefficients": self._functions(x)}
        return features if self.bias is None else {**features, "bias": torch.ones_like(x[:, 0])}

    def _functions(self, x: Tensor) -> Tensor:
        phi = self.basis.expand(self.basis.domain(x, self.position))
        if self.factors is None:
            return phi
        return phi * self.factors if self.offsets is None else torch.addcmul(self.offsets, phi, self.factors)

    def _total_bias(self, weight: Tensor) -> Tensor | None:
        """The bias, and what the means of the functions take from every point, which kernels do not centre.

        Args:
            weight: all coefficients, (O, I K).
        """
        if self.offsets is None:
            return self.bias
        shift = weight @ self.offsets.flatten()
        return shift if self.bias is None else self.bias + shift
