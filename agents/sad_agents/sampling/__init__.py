"""Sampling from a local model: KV cache, batches, drafts, scores of actions."""
