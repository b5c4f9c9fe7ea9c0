"""The neural tangent kernel: time beside the textbook's, and peak memory of large ones.

    python benchmarks/ntk.py [speed] [CASE ...]

speed: the whole kernel of a SIREN 256 x 3 at 1,024 points, side by side in one run: in parts, by vmap(jacrev), and by
vmap(grad) in blocks of points, the quicker of what people write. Peaks are those of a process for each case, with
Python and torch (about 0.3 GiB) in it; --threads for all of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from common import GIB, own_peak, verdict
from inrbench_analysis_ntk.jacobian import Jacobian
from inrbench_analysis_ntk.kernel import Kernel, Points
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

from inrbench_core.api.components import FieldShape
from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.plugins.loading import load_catalog

POINTS, REPEATS, LEAST_RATIO = 1_024, 3, 40
# Points of the case, with the aim for its peak in GiB.
CASES = {"4096": (4_096, 1.0), "65536": (65_536, 3.0)}


def siren() -> nn.Module:
    """Four linear layers, three of them followed by 256 sines: 132,609 parameters of an image's grey value."""
    field = load_catalog().resolve("field", {"name": "mlp", "activation": "sine", "width": 256, "depth": 2})
    shapes = {"field": FieldShape(2, 1, (256, 256))}
    return build_model(field, shapes, seeds=SeedStreams(0), device=torch.device("cpu")).model.eval()


def points(count: int) -> Tensor:
    return 2.0 * torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) - 1.0


def by_parts(model: nn.Module, coords: Tensor) -> Tensor:
    return Jacobian(model, coords).gram()


def by_jacrev(model: nn.Module, coords: Tensor) -> Tensor:
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    value = lambda p, x: functional_call(model, p, (x.unsqueeze(0),)).squeeze(0)  # noqa: E731
    rows = vmap(jacrev(value), in_dims=(None, 0))(parameters, coords).values()
    joint = torch.cat([row.reshape(len(coords), -1) for row in rows], dim=1)
    return joint @ joint.T


def by_blocks_of_gradients(model: nn.Module, coords: Tensor) -> Tensor:
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    value = lambda p, x: functional_call(model, p, (x.unsqueeze(0),)).sum()  # noqa: E731
    rows = vmap(grad(value), in_dims=(None, 0), chunk_size=128)(parameters, coords).values()
    return sum(row.reshape(len(coords), -1) @ row.reshape(len(coords), -1).T for row in rows)


def best_of(run: Callable[[], Tensor]) -> float:
    """Seconds of the quickest repeat."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def speed() -> None:
    model, coords = siren(), points(POINTS)
    exact = by_jacrev(model.double(), coords.double())
    model.float()
    ways = {"in parts": by_parts, "vmap(grad), blocks": by_blocks_of_gradients, "vmap(jacrev)": by_jacrev}
    seconds = {}
    print(f"{'whole kernel':24}{'seconds':>9}{'error':>10}")
    for name, way in ways.items():
        error = float((way(model, coords).double() - exact).norm() / exact.norm())
        seconds[name] = best_of(lambda way=way: way(model, coords))
        print(f"{name:24}{seconds[name]:9.3f}{error:10.1e}")
    ratio = seconds["vmap(jacrev)"] / seconds["in parts"]
    other = seconds["vmap(grad), blocks"] / seconds["in parts"]
    print(f"{ratio:.0f} times as fast as vmap(jacrev): {verdict(ratio >= LEAST_RATIO)} (aim {LEAST_RATIO}); "
          f"{other:.0f} times as fast as vmap(grad) in blocks")  # fmt: skip


def child(count: int) -> None:
    """The kernel's spectrum in this process; prints seconds and the peak in bytes."""
    started = time.perf_counter()
    jacobian = Jacobian(siren(), points(count))
    kernel = Kernel(jacobian, Points(count, 1, np.ones(count, bool), "mean"), top=100, seed=0)
    assert kernel.exact == (count <= 4_096)
    print(time.perf_counter() - started, own_peak(), len(kernel.eigenvalues))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=["speed", *CASES, []], help="default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        child(options.child)
        return
    print(f"SIREN 256 x 3, torch {torch.__version__}, {options.threads} threads\n")
    chosen = options.cases or ["speed", *CASES]
    if "speed" in chosen:
        speed()
    for case in [case for case in CASES if case in chosen]:
        count, most = CASES[case]
        command = [sys.executable, __file__, "--child", str(count), "--threads", str(options.threads)]
        seconds, peak, pairs = map(
            float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        )
        gib = peak / GIB
        print(
            f"{count} points, {pairs:.0f} eigenpairs: {seconds:.1f} s, "
            f"{gib:.2f} GiB: {verdict(gib <= most)} (aim {most})"
        )


if __name__ == "__main__":
    main()
