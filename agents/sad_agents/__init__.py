"""Who acts: ReAct agents over language models, experts, and the rollouts that drive them through worlds."""
