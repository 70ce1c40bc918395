"""Analysis of finished runs: comparison and faithfulness."""
