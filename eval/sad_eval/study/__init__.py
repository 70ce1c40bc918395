"""A study: experts, a teacher, students by every method, evaluation, tables. One command, resumable at every stage."""

from sad_eval.study.config import StudyConfig
from sad_eval.study.runner import run_study

__all__ = ["StudyConfig", "run_study"]
