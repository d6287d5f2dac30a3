"""The table of docs/images.md: how far our pixels are from those of Pillow and torchvision.

    python tests/images/table.py            # prints it
    python tests/images/table.py --write    # puts it into the page

The images are those of `tests/helpers/image_corpus.py`, in RGB, and in "L" where that is a choice.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

# Also as a script, which finds them only now.
from tests.helpers import decoded, image_corpus  # noqa: E402
from tests.helpers.decoded import Array, Difference, difference, ours  # noqa: E402
from tests.helpers.image_corpus import Encoded  # noqa: E402

PAGE = ROOT / "docs" / "images.md"
BLOCK = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.DOTALL)


def corpus() -> Iterator[Encoded]:
    return itertools.chain(
        image_corpus.pngs(), image_corpus.jpegs(), image_corpus.cmyk_jpegs(), image_corpus.webps()
    )


def of_8_bits(pixels: Array) -> Array:
    """torchvision gives 16 bits where the file has them."""
    return (pixels >> 8).astype("u1") if pixels.dtype == np.uint16 else pixels


def all_of(differences: Iterable[Difference]) -> str:
    """The largest difference of each channel, and the share of equal pixels of all images."""
    found = list(differences)
    largest = [max(channel) for channel in zip(*(one.largest for one in found), strict=True)]
    share = 100 * sum(one.equal for one in found) / len(found)
    text = "100" if share == 100 else f"{min(share, 99.99):.2f}"
    return f"{', '.join(map(str, largest))} | {text} %"


def table() -> str:
    rows = [
        "| images | count | beside Pillow: largest difference of each channel | equal pixels "
        "| beside torchvision: largest difference | equal pixels |",
        "|---|---|---|---|---|---|",
    ]
    forms: dict[str, list[tuple[Difference, Difference]]] = {}
    for form, _, data in corpus():
        for mode in ("RGB", "L") if form == "JPEG 4:2:0" else ("RGB",):
            own = ours(data, mode)
            of_torch = of_8_bits(decoded.by_torchvision(data, mode))
            beside = (difference(own, decoded.by_pillow(data, mode)), difference(own, of_torch))
            row = form if mode == "RGB" else f'{form}, in `mode="{mode}"`'
            forms.setdefault(row, []).append(beside)
    for form, found in forms.items():
        cells = [all_of(part) for part in zip(*found, strict=True)]
        rows.append(f"| {form} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"puts it into {PAGE.name}")
    made = table()
    if not parser.parse_args().write:
        print(made, end="")
        return
    page, count = BLOCK.subn(lambda found: f"{found[1]}\n{made}\n{found[2]}", PAGE.read_text())
    assert count == 1, f"{PAGE} has no place for the table"
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
