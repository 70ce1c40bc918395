"""HotPotQA: questions to answer by reading an encyclopedia, as ReAct plays them."""
