"""Sampling from a local model: KV cache, batches, speculative decoding, scores of actions."""
