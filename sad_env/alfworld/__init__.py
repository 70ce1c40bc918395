"""ALFWorld: household tasks in text, from the game files of the original or generated."""
