"""Data: episodes as labelled rows, batches, and the order in which they come."""
