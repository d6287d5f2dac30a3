"""ndlens with a GPU: correct batches, the hand-off, a training step, and scale over threads.

What it shows. Whether batches of `device="cuda"` are those of the CPU; how near the copy to the GPU
comes to a plain pinned copy of the same bytes; images a second, and the processor's seconds for
1,000 images, of crops and resized crops into the GPU; the share of a training step that waits for
data; and the rates of 1 to 16 threads beside the limit of the memory.

Compared with. torch's DataLoader with pin_memory=True and its best number of workers, torchvision
v2 on the GPU with whole images, tensors that are on the device already.

How. It needs ndlens, PyTorch and torchvision, and no network; JPEGs also OpenCV. Checks come first:
one that fails is named, and the program ends with status 1. A part takes the seconds that
`--seconds` gives it, and the start of its processes. The tables come last, and as JSON in a file.

    python3 benches/gpu.py                                   # all: 140 s of it are measurements
    python3 benches/gpu.py --only checks scale
    python3 benches/gpu.py --seconds handoff=90 --json out.json
    python3 benches/gpu.py --device cpu                      # tiny, to try the program itself
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# Also as a script, which finds its neighbours only now.
from benches.device import checks, handoff, scale, training  # noqa: E402
from benches.device.ground import Ground, about, table  # noqa: E402

# Seconds of measurements in each part; the checks run in whole.
PARTS = {"checks": 0.0, "handoff": 60.0, "training": 50.0, "scale": 30.0}
TINY = {"checks": 0.0, "handoff": 3.0, "training": 2.0, "scale": 2.0}


def seconds_of(text: str) -> tuple[str, float]:
    part, _, number = text.partition("=")
    if part not in PARTS:
        raise argparse.ArgumentTypeError(f"{part!r} is no part; there are {', '.join(PARTS)}")
    return part, float(number)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the program")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument(
        "--seconds", type=seconds_of, nargs="*", default=[], metavar="PART=S", help="of a part"
    )
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="where figures go")
    options = parser.parse_args()
    start = time.monotonic()

    import torch

    from ndlens.cli.render import render
    from ndlens.cli.report import Report

    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error("torch finds no GPU; --device cpu tries the program without one")
    tiny = options.device == "cpu"
    if tiny:
        torch.set_num_threads(1)
    seconds = {**(TINY if tiny else PARTS), **dict(options.seconds)}
    figures: dict[str, Any] = {"machine": about(options.device), "seconds": seconds}
    print(json.dumps(figures["machine"], indent=1), flush=True)
    wrong: list[str] = []
    report = Report([], figures)
    ground = Ground(torch.device(options.device), tiny)
    for name, part in (
        ("checks", checks.run),
        ("handoff", handoff.run),
        ("training", training.run),
        ("scale", scale.run),
    ):
        if name not in options.only:
            continue
        began = time.monotonic()
        rows, failures = part(ground, seconds[name])
        figures[name] = {"rows": rows, "failures": failures}
        wrong += [f"{name}: {failure}" for failure in failures]
        report.tables.append(table(name, rows))
        figures[name]["took_s"] = round(time.monotonic() - began, 1)
        print(f"{name}: {figures[name]['took_s']} s, {len(failures)} failures", flush=True)
    figures["took_s"] = round(time.monotonic() - start, 1)
    options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print()
    render(report, "text", sys.stdout)
    print(f"{figures['took_s']} s; figures in {options.json}")
    print("\n".join(f"FAILED {failure}" for failure in wrong) or "every check that ran holds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
