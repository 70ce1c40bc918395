"""A fictional encyclopedia and questions on it, from a seed: no model can have memorised it.

The worlds that ask questions share it: `fiction` has the facts, `writer` the articles, `quiz` the questions, `plans`
and `reading` the grammar that reads both again, `walks` how an expert follows a question from fact to fact.
"""
