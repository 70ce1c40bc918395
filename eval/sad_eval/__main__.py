"""`python -m sad_eval` is `sad-eval`."""

import sys

from sad_eval.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
