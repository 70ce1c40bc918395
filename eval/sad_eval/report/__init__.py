"""Reports of one or several runs: HTML, LaTeX, CSV, Markdown, JSON and the terminal."""
