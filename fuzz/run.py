"""Builds the fuzzer with AddressSanitizer, runs every target, and prints a table.

`make fuzz SECONDS=20` is `python fuzz/run.py --seconds 20`. It ends with status 1 if a promise was
broken, and says how to run the input again. `--merge` makes the corpora that are in git anew, of
what was found: as few inputs as reach the same code.

The flags are those of cargo-fuzz, which is not needed. libFuzzer is C++: its crate compiles it.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HOME = Path(__file__).parent
ROOT = HOME.parent
PLATFORM = "x86_64-unknown-linux-gnu"
BUILT = HOME / "target"
PROGRAM = BUILT / PLATFORM / "release" / "ndlens-fuzzer"

# Coverage of edges and comparisons for libFuzzer, and AddressSanitizer.
FLAGS = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg=fuzzing",
    "-Zsanitizer=address",
]

# Seconds for one input, and megabytes for the process.
TIMEOUT = 20
MEMORY = 3000

# Lines of a finding that are printed.
SHOWN = 40

# ndlens handles SIGBUS itself, and an allocation that fails is an error, not the end.
SANITIZER = "handle_sigbus=0:allocator_may_return_null=1:detect_stack_use_after_return=1"

NEEDS_CXX = """\
make fuzz needs a C++ compiler, for libFuzzer, and there is no `c++` here.
On Debian and Ubuntu: apt-get install g++
Without one, `cargo test -p ndlens-fuzz` runs the corpus and all inputs that once failed.\
"""


@dataclass
class Result:
    """What a run of one target gave."""

    name: str
    executions: int = 0
    coverage: int = 0
    inputs: int = 0
    size: str = "0b"
    findings: list[Path] = field(default_factory=list)
    log: str = ""
    status: int = 0


def build() -> None:
    if shutil.which("c++") is None:
        sys.exit(NEEDS_CXX)
    began = time.monotonic()
    print("Building the fuzzer with AddressSanitizer in fuzz/target (700 MB) ..", flush=True)
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": " ".join(FLAGS)}
    command = ["cargo", "build", "--release", "--quiet", "--locked", "--target", PLATFORM]
    command += ["--target-dir", str(BUILT)]
    if subprocess.run(command, cwd=HOME, env=environment, check=False).returncode != 0:
        sys.exit("the fuzzer could not be built")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    print(f"built in {time.monotonic() - began:.0f} s, {cpu:.0f} s of CPU time", flush=True)


def environment(target: str) -> dict[str, str]:
    return os.environ | {"NDLENS_FUZZ": target, "ASAN_OPTIONS": SANITIZER}


def targets() -> dict[str, int]:
    """The names of all targets, and the largest input of each in bytes."""
    listed = subprocess.run(
        [PROGRAM], env=environment(""), check=True, stdout=subprocess.PIPE, text=True
    )
    lines = [line.split("\t") for line in listed.stdout.splitlines()]
    return {name: int(most) for name, most in lines}


def folders(name: str) -> list[str]:
    """The folders of inputs of a target, the first of which takes what is found."""
    found = BUILT / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    kept = [HOME / "corpus" / name, HOME / "regressions" / name]
    return [str(folder) for folder in (found, *kept) if folder.is_dir()]


def run(name: str, max_len: int, seconds: int) -> Result:
    failed = BUILT / "artifacts" / name
    failed.mkdir(parents=True, exist_ok=True)
    before = set(failed.iterdir())
    command = [str(PROGRAM), f"-max_total_time={seconds}", f"-max_len={max_len}"]
    command += [f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}", "-print_final_stats=1"]
    command += ["-handle_bus=0", "-print_funcs=0", f"-artifact_prefix={failed}/"]
    words = HOME / "dictionaries" / f"{name}.dict"
    if words.is_file():
        command.append(f"-dict={words}")
    done = subprocess.run(
        [*command, *folders(name)],
        env=environment(name),
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    result = Result(name, log=done.stderr, status=done.returncode)
    result.findings = sorted(set(failed.iterdir()) - before)
    seen = re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)/(\w+)", done.stderr)
    if seen:
        result.coverage, result.inputs, result.size = (
            int(seen[-1][0]),
            int(seen[-1][1]),
            seen[-1][2],
        )
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    executed = executed or re.search(r"^#(\d+)\b(?!.*^#)", done.stderr, re.MULTILINE | re.DOTALL)
    result.executions = int(executed[1]) if executed else 0
    return result


def report(result: Result) -> None:
    """Says what was broken, and how to see it again."""
    print(f"\n{result.name}: a promise is broken, status {result.status}")
    lines = [
        line for line in result.log.splitlines() if not re.match(r"#\d+\s+(NEW|REDUCE|pulse)", line)
    ]
    # From the panic's message or the sanitizer's finding on, not the frames of libFuzzer.
    starts = (n for n, line in enumerate(lines) if re.search(r"panicked at|==ERROR: \w", line))
    start = next(starts, max(0, len(lines) - SHOWN))
    print("\n".join(line[:2000] for line in lines[start : start + SHOWN]))
    for finding in result.findings:
        path = finding.relative_to(ROOT)
        program = PROGRAM.relative_to(ROOT)
        print(f"to see it again:    cargo run -p ndlens-fuzz {result.name} {path}")
        print(f"with the sanitizer: NDLENS_FUZZ={result.name} {program} -handle_bus=0 {path}")
        print(f"once mended:        mv {path} fuzz/regressions/{result.name}/WHAT-IT-SHOWS")


def merge(name: str, max_len: int) -> None:
    """Replaces the corpus that is in git by as few of all inputs as reach the same code."""
    kept = HOME / "corpus" / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as fresh:
        # Edges alone, not how often each is taken, which would keep ten times as many.
        command = [str(PROGRAM), "-set_cover_merge=1", "-use_counters=0", f"-max_len={max_len}"]
        command += ["-handle_bus=0", fresh, *folders(name)]
        subprocess.run(
            command,
            env=environment(name),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for old in kept.iterdir():
            old.unlink()
        for input_ in sorted(Path(fresh).iterdir()):
            shutil.copyfile(input_, kept / input_.name[:12])
    sizes = [file.stat().st_size for file in kept.iterdir()]
    print(f"{name:12} {len(sizes):5} inputs, {sum(sizes):7} bytes", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for each target")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--merge", action="store_true", help="make the corpora anew and stop")
    parser.add_argument("names", nargs="*", help="targets; all if none is named")
    arguments = parser.parse_args()
    build()
    known = targets()
    chosen = arguments.names or list(known)
    if unknown := sorted(set(chosen) - set(known)):
        sys.exit(f"no target {', '.join(unknown)}; there are {', '.join(known)}")
    if arguments.merge:
        for name in chosen:
            merge(name, known[name])
        return 0
    results = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for result in pool.map(lambda name: run(name, known[name], arguments.seconds), chosen):
            results.append(result)
            if result.status != 0:
                report(result)
    print(f"\n{'target':12} {'executions':>11} {'coverage':>9} {'corpus':>14}  findings")
    for result in results:
        corpus = f"{result.inputs} / {result.size}"
        findings = len(result.findings) or (1 if result.status else 0)
        counts = f"{result.executions:11,} {result.coverage:9,} {corpus:>14}"
        print(f"{result.name:12} {counts}  {findings}")
    return 1 if any(result.status for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
