"""Reads ATIF documents from a file of JSON lines with the models of the package harbor, and prints how many it took.

Harbor needs a Python of its own: the interpreter that SAD_HARBOR_PYTHON names runs this file.
"""

import sys

from harbor.models.trajectories import Trajectory

taken = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        taken += len(Trajectory.model_validate_json(line).steps) > 1
print(taken)
