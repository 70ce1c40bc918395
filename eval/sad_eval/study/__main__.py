"""`python -m sad_eval.study` is `sad-study`."""

import sys

from sad_eval.study.command import main

sys.exit(main())
