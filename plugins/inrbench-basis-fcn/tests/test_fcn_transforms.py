"""torch.func on fcn layers, against loops of plain autograd and finite differences; in float64."""

import pytest
import torch
from inrbench_basis_fcn import edges
from inrbench_basis_fcn import layer as fcn
from inrbench_basis_fcn.plugin import FcnSpec
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vjp, vmap

OPTIONS = [{}, {"hidden": 3, "sinusoids": 2}, {"hidden": 2, "sinusoids": 0}]
IN, OUT = 3, 2
# More than two blocks of 8 points.
POINTS = 19


@pytest.fixture(autouse=True)
def _blocks_of_eight_points(monkeypatch):
    monkeypatch.setattr(fcn, "CPU_BLOCK", 1)
    torch.manual_seed(0)


def layer(options):
    module = fcn.FcnBasis(FcnSpec(**options)).layer(IN, OUT, position="first").double()
    torch.nn.init.normal_(module.inner_bias)
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


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("points", [1, 9])  # of each sample: within one block, and beyond
@pytest.mark.parametrize("chunk_size", [None, 4])
def test_gradients_of_each_sample_by_vmap(options, points, chunk_size):
    module, x, weights = layer(options), coordinates(6, points), torch.randn(6, points, OUT, dtype=torch.float64)

    def weighted(values, sample, weight):
        return (functional_call(module, values, (sample,)) * weight).sum()

    found = vmap(grad(weighted), in_dims=(None, 0, 0), chunk_size=chunk_size)(values_of(module), x, weights)
    each = [torch.autograd.grad((module(p) * w).sum(), module.parameters()) for p, w in zip(x, weights, strict=True)]
    assert_same(found, dict(zip(found, map(torch.stack, zip(*each, strict=True)), strict=True)))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("points", [1, 9])
@pytest.mark.parametrize("mode", [jacrev, jacfwd])
def test_jacobians_of_each_sample_by_vmap(options, points, mode):
    module, x = layer(options), coordinates(3, points)

    def outputs(values, sample):
        return functional_call(module, values, (sample,))

    found = vmap(mode(outputs), in_dims=(None, 0))(values_of(module), x)
    each = [jacobian(module, sample) for sample in x]
    assert_same(found, {name: torch.stack([one[name] for one in each]) for name in found})


@pytest.mark.parametrize("mode", [jacrev, jacfwd])
def test_jacobian_of_a_batch_beyond_one_block(mode):
    module, x = layer(OPTIONS[1]), coordinates(POINTS)
    assert_same(mode(lambda values: functional_call(module, values, (x,)))(values_of(module)), jacobian(module, x))


@pytest.mark.parametrize("own", ["points", "parameters", "both"])
def test_vmap_over_batches_beyond_one_block(own):
    modules, sets = [layer(OPTIONS[1]), layer(OPTIONS[1])], coordinates(2, POINTS)
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


@pytest.mark.parametrize("options", OPTIONS)
def test_forward_mode(options):
    module, x = layer(options), coordinates(POINTS)
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


@pytest.mark.parametrize("options", OPTIONS)
def test_kernel_times_vector_by_jvp_of_vjp(options):
    module, x = layer(options), coordinates(POINTS)
    values, vector = values_of(module), torch.randn(POINTS, OUT, dtype=torch.float64)

    def outputs(values):
        return functional_call(module, values, (x,))

    _, pull = vjp(outputs, values)
    _, found = jvp(outputs, (values,), pull(vector))
    rows = torch.cat([part.flatten(2).flatten(0, 1) for part in jacobian(module, x).values()], dim=1)
    torch.testing.assert_close(found.flatten(), rows @ (rows.T @ vector.flatten()))


@pytest.mark.parametrize("options", OPTIONS)
def test_second_derivatives_in_all_modes(options):
    module, x = layer(options), coordinates(9)

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
    module, x = layer(OPTIONS[1]), coordinates(POINTS).requires_grad_()
    inputs = [x, *module.parameters()]
    wanted = torch.autograd.grad(module(x).square().sum(), inputs)
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, dynamic=False, backend="aot_eager")
    for found, value in zip(torch.autograd.grad(compiled(x).square().sum(), inputs), wanted, strict=True):
        torch.testing.assert_close(found, value)


def test_the_backward_pass_keeps_the_inputs_only():
    module, x = layer(OPTIONS[1]), coordinates(POINTS)
    parameters = (module.inner_weight, module.inner_bias, module.outer_weight)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        edges.edge_sum_in_blocks(8, x, *parameters)
    assert sum(kept) == x.numel() + sum(parameter.numel() for parameter in parameters)
