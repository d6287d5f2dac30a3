"""One turn in a fresh interpreter: calls a function that the benchmark names, prints its result.

python -P -m ndlens.cli.bench.apart '["module", "function", [arguments]]'
"""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Call it, with all that it prints sent to standard error."""
    module, function, arguments = json.loads(sys.argv[1])
    printed, sys.stdout = sys.stdout, sys.stderr
    result = getattr(importlib.import_module(module), function)(*arguments)
    print(json.dumps(result), file=printed, flush=True)


if __name__ == "__main__":
    main()
