"""ALFWorld: household tasks in text, exact and fast.

From file to play: `problem` (what a game file says), `game` (compiled), `engine` (rules and texts), `session` (one
game being played), `env` (the Gymnasium face). `sources` opens a `store` or a `pack`; `generator` (on `households`)
makes games. `planner` is the oracle; `expert` plays by `memory`, `habits` and `phrases`. `reference` is the original
engine.
"""
