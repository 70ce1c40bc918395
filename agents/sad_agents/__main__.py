"""`python -m sad_agents` is `sad-collect`."""

import sys

from sad_agents.collect_command import main

if __name__ == "__main__":
    sys.exit(main())
