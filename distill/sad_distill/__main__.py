"""`python -m sad_distill` is `sad-distill`."""

import sys

from sad_distill.command import main

sys.exit(main())
