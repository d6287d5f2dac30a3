"""`python -m ndlens` is the command `ndlens`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
