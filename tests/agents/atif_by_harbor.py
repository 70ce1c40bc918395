"""Reads ATIF documents from a file of JSON lines with the models of the package harbor, and prints how many it took.

Harbor needs a Python of its own: the interpreter that SAD_HARBOR_PYTHON names runs this file.
"""

import sys


def main(path: str) -> None:
    from harbor.models.trajectories import Trajectory  # only the Python that runs this file has it

    with open(path, encoding="utf-8") as lines:
        print(sum(len(Trajectory.model_validate_json(line).steps) > 1 for line in lines))


if __name__ == "__main__":
    main(sys.argv[1])
