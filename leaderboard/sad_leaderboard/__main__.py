"""`python -m sad_leaderboard`."""

import sys

from sad_leaderboard.command import main

sys.exit(main())
