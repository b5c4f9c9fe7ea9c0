"""torch.func on wavelet layers, against loops of plain autograd and finite differences; in float64."""

import pytest
import torch
from inrbench_basis_wavelet import edges
from inrbench_basis_wavelet.plugin import WAVELETS, inrbench_bases
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vjp, vmap

ENTRIES = {entry.name: entry for entry in inrbench_bases()}
IN, OUT = 3, 2
# More than two blocks of 8 points.
POINTS = 19


@pytest.fixture(autouse=True)
def _blocks_of_eight_points(monkeypatch):
    monkeypatch.setattr(edges, "CPU_BLOCK", 1)
    torch.manual_seed(0)


def layer(name):
    basis = ENTRIES[name].load()(ENTRIES[name].spec(spread=True))
    module = basis.layer(IN, OUT, position="first").double()
    torch.nn.init.normal_(module.bias)
    return module


def coordinates(*shape):
    return 2 * torch.rand(*shape, IN, dtype=torch.float64) - 1


def values_of(module):
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def like(values):
    return {name: torch.randn_like(value) for name, value in values.items()}


def jacobian(module, x):
    """d y[n, o] / d parameter by one backward pass for each output: name to (N, O, *shape)."""
    y = module(x)
    rows = [torch.autograd.grad(value, list(module.parameters()), retain_graph=True) for value in y.flatten()]
    stacked = [torch.stack(found).unflatten(0, y.shape) for found in zip(*rows, strict=True)]
    return dict(zip(values_of(module), stacked, strict=True))


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)


@pytest.mark.parametrize("name", WAVELETS)
@pytest.mark.parametrize("chunk_size", [None, 4])
def test_gradients_of_each_point_by_vmap(name, chunk_size):
    module, x, weights = layer(name), coordinates(POINTS), torch.randn(POINTS, OUT, dtype=torch.float64)

    def weighted(values, point, weight):
        return functional_call(module, values, (point.unsqueeze(0),))[0] @ weight

    found = vmap(grad(weighted), in_dims=(None, 0, 0), chunk_size=chunk_size)(values_of(module), x, weights)
    each = [torch.autograd.grad(module(p[None])[0] @ w, module.parameters()) for p, w in zip(x, weights, strict=True)]
    assert_same(found, dict(zip(found, map(torch.stack, zip(*each, strict=True)), strict=True)))


@pytest.mark.parametrize("name", WAVELETS)
def test_jacobians_of_each_point_by_vmap(name):
    module, x = layer(name), coordinates(POINTS)

    def outputs(values, point):
        return functional_call(module, values, (point.unsqueeze(0),)).squeeze(0)

    wanted = jacobian(module, x)
    for mode in (jacrev, jacfwd):
        assert_same(vmap(mode(outputs), in_dims=(None, 0))(values_of(module), x), wanted)


@pytest.mark.parametrize("mode", [jacrev, jacfwd])
def test_jacobian_of_a_batch_beyond_one_block(mode):
    module, x = layer("dog"), coordinates(POINTS)
    assert_same(mode(lambda values: functional_call(module, values, (x,)))(values_of(module)), jacobian(module, x))


@pytest.mark.parametrize("own", ["points", "parameters", "both"])
def test_vmap_over_batches_beyond_one_block(own):
    modules, sets = [layer("morlet"), layer("morlet")], coordinates(2, POINTS)
    members = [values_of(module) for module in modules]
    if own == "points":
        members, modules = members[:1] * 2, modules[:1] * 2
    if own == "parameters":
        sets = sets[:1].expand(2, -1, -1)
    stacked = {name: torch.stack([member[name] for member in members], dim=-1) for name in members[0]}
    values, values_dim = (members[0], None) if own == "points" else (stacked, -1)
    x, x_dim = (sets[0], None) if own == "parameters" else (sets.movedim(0, 1), 1)

    def energy(values, x):
        return functional_call(modules[0], values, (x,)).square().sum()

    found, found_x = vmap(grad(energy, argnums=(0, 1)), in_dims=(values_dim, x_dim))(values, x)
    for index, (module, points) in enumerate(zip(modules, sets, strict=True)):
        points = points.clone().requires_grad_()
        wanted = torch.autograd.grad(module(points).square().sum(), [*module.parameters(), points])
        assert_same({n: v[index] for n, v in found.items()}, dict(zip(found, wanted, strict=False)))
        torch.testing.assert_close(found_x[index], wanted[-1])


@pytest.mark.parametrize("name", WAVELETS)
def test_forward_mode(name):
    module, x = layer(name), coordinates(POINTS)
    values, x_tangent = values_of(module), torch.randn_like(x)
    tangents = like(values)

    def outputs(values, x):
        return functional_call(module, values, (x,))

    y, found = jvp(outputs, (values, x), (tangents, x_tangent))
    torch.testing.assert_close(y, module(x))

    def moved(step):
        return outputs({name: value + step * tangents[name] for name, value in values.items()}, x + step * x_tangent)

    torch.testing.assert_close(found, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-6, atol=1e-6)
    # The derivative of the vector-Jacobian product by its vector, which it is linear in.
    inputs = [*module.parameters(), x.clone().requires_grad_()]
    y = module(inputs[-1])
    vector = torch.zeros_like(y, requires_grad=True)
    pulled = torch.autograd.grad(y, inputs, vector, create_graph=True)
    product = sum((p * t).sum() for p, t in zip(pulled, [*tangents.values(), x_tangent], strict=True))
    torch.testing.assert_close(found, torch.autograd.grad(product, vector)[0])
    each = vmap(lambda x, t: jvp(lambda v, x: outputs(v, x[None])[0], (values, x), (tangents, t))[1])(x, x_tangent)
    torch.testing.assert_close(each, found)


@pytest.mark.parametrize("name", WAVELETS)
def test_kernel_times_vector_by_jvp_of_vjp(name):
    module, x = layer(name), coordinates(POINTS)
    values, vector = values_of(module), torch.randn(POINTS, OUT, dtype=torch.float64)

    def outputs(values):
        return functional_call(module, values, (x,))

    _, pull = vjp(outputs, values)
    _, found = jvp(outputs, (values,), pull(vector))
    rows = torch.cat([part.flatten(2).flatten(0, 1) for part in jacobian(module, x).values()], dim=1)
    torch.testing.assert_close(found.flatten(), rows @ (rows.T @ vector.flatten()))


@pytest.mark.parametrize("name", WAVELETS)
def test_second_derivatives_in_all_modes(name):
    module, x = layer(name), coordinates(9)

    def energy(x):
        return module(x).square().sum()

    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(energy(leaf), leaf, create_graph=True)
    rows = [torch.autograd.grad(value, leaf, retain_graph=True)[0] for value in first.flatten()]
    wanted = torch.stack(rows).unflatten(0, x.shape)
    for outer in (jacrev, jacfwd):
        for inner in (jacrev, jacfwd):
            torch.testing.assert_close(outer(inner(energy))(x), wanted)


def test_compiled_whole_and_equal_to_eager(monkeypatch):
    monkeypatch.undo()
    module, x = layer("dog"), coordinates(POINTS).requires_grad_()
    inputs = [x, *module.parameters()]
    wanted = torch.autograd.grad(module(x).square().sum(), inputs)
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, dynamic=False, backend="aot_eager")
    for found, value in zip(torch.autograd.grad(compiled(x).square().sum(), inputs), wanted, strict=True):
        torch.testing.assert_close(found, value)


def test_the_backward_pass_keeps_the_inputs_only():
    module, x = layer("dog"), coordinates(POINTS)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        edges.edge_sum(module.mother, x, *(torch.ones(OUT, IN, requires_grad=True).double() for _ in range(3)))
    assert sum(kept) == x.numel() + 3 * OUT * IN
