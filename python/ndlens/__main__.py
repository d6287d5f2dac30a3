"""`python -m ndlens` is the command `ndlens`."""

import sys

from .cli import main

sys.exit(main())
