"""`python -m sad_env` is `sad-data`."""

import sys

from sad_env.data_command import main

sys.exit(main())
