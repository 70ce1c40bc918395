"""`python -m sad_distill` is `sad-distill`."""

import sys

from sad_distill.commands.main import main

sys.exit(main())
