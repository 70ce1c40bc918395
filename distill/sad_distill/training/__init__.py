"""Training: the learner, its run, and where its rows come from."""
