"""Random arrays, and chains of up to ten operations on views of them, against NumPy.

`tests/views/test_indexing.py` tries a few thousand of these with hypothesis, which shrinks well;
this tries many more. Every structure has a seed of its own, so that the one which fails can be made
again alone:

    python tests/stress/fuzz_layout.py --structures 1 --seed 4711
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.helpers.oracle import walk
from tests.helpers.strategies import DTYPES, KINDS, Array, Step, lay_out

BOUNDS = [None, *range(-6, 7), 2**63 - 1, -(2**63), 10**30, -(10**30)]
STRIDES = [None, None, None, 1, 2, 3, -1, -2, -3, 2**62, -(10**30)]


def structure(seed: int) -> tuple[list[tuple[int, int]], int, list[Step]]:
    """The axes (size, step) and seed of `lay_out`, and a chain."""
    choose = random.Random(seed)
    sizes, strides = [1, 1, 2, 3, 3, 4] * 4 + [0], [1, 1, 1, 2, -1, -2, 0]
    axes = [(choose.choice(sizes), choose.choice(strides)) for _ in range(choose.randrange(7))]
    chain = [random_step(choose) for _ in range(choose.randrange(1, 11))]
    return axes, choose.randrange(256), chain


def random_step(choose: random.Random) -> Step:
    if choose.random() < 0.25:
        return Step("index", tuple(random_item(choose) for _ in range(choose.randrange(5))))
    return Step(choose.choice(KINDS), seed=choose.randrange(2**16))


def random_item(choose: random.Random) -> object:
    kind = choose.random()
    if kind < 0.2:
        return choose.randrange(-6, 6)
    if kind < 0.4:
        return choose.choice([..., None])
    return slice(choose.choice(BOUNDS), choose.choice(BOUNDS), choose.choice(STRIDES))


def array_of(axes: list[tuple[int, int]], seed: int, structure_seed: int) -> Array:
    return lay_out(DTYPES[structure_seed % len(DTYPES)], axes, seed)


def fails(axes: list[tuple[int, int]], seed: int, at: int, chain: list[Step]) -> bool:
    try:
        walk(array_of(axes, seed, at), chain, str)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return True
    return False


def report(at: int) -> None:
    """The shortest chain and the smallest array found that still differ, as a script."""
    axes, seed, chain = structure(at)
    # A step less, an axis less, a plainer axis: as long as one of them still fails.
    shrunk = True
    while shrunk:
        shrunk = False
        smaller = [(axes, chain[:i] + chain[i + 1 :]) for i in range(len(chain))]
        smaller += [(axes[:i] + axes[i + 1 :], chain) for i in range(len(axes))]
        smaller += [
            ([*axes[:i], plain, *axes[i + 1 :]], chain)
            for i, (n, step) in enumerate(axes)
            for plain in [(n, 1), (max(n - 1, 1), step)]
            if plain != (n, step)
        ]
        for candidate in smaller:
            if fails(candidate[0], seed, at, candidate[1]):
                (axes, chain), shrunk = candidate, True
                break
    print(f"structure {at} differs from NumPy; to see it again:\n")
    print(
        "from tests.helpers.oracle import walk\nfrom tests.helpers.strategies import DTYPES, Step,"
        " lay_out\n"
    )
    print(
        f"array = lay_out(DTYPES[{at % len(DTYPES)}], {axes}, {seed})  # {DTYPES[at % len(DTYPES)]}"
    )
    print(f"walk(array, {chain}, print)\n", flush=True)
    try:
        walk(array_of(axes, seed, at), chain, str)
    except BaseException:
        traceback.print_exc()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--structures", type=int, default=100_000, help="how many arrays and chains to try"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the first one's seed; the others follow it"
    )
    arguments = parser.parse_args()
    seen: Counter[str] = Counter()
    began = time.perf_counter()
    for done in range(1, arguments.structures + 1):
        at = arguments.seed + done - 1
        axes, seed, chain = structure(at)
        try:
            walk(array_of(axes, seed, at), chain, lambda event: seen.update([event]))
        except KeyboardInterrupt:
            raise
        except BaseException:  # A panic is no Exception.
            report(at)
            return 1
        if done % 10_000 == 0:
            print(f"{done:,} structures, {time.perf_counter() - began:.0f} s", flush=True)
    for event, count in sorted(seen.items()):
        print(f"{event:28} {count:9,}")
    print(
        f"{arguments.structures:,} structures, 0 differences, {time.perf_counter() - began:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
