"""Commands of `sad-eval` and `sad-play`."""
