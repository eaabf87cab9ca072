"""`python -m graspling`: the command line."""

import sys

from graspling.cli import main

if __name__ == "__main__":
    sys.exit(main())
