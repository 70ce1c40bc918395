"""Whether a teacher can teach its student anything, where the success of both is known."""

from __future__ import annotations

WEAK = 0.5
"""Success below which a teacher loses more than it wins."""


def doubt(teacher: float, student: float | None = None, when: str = "at the start", *, won_alone: bool = False) -> str:
    """One line on a teacher that has little to teach; "" where it is ahead of its student and wins most of its tasks.

    Args:
        teacher: its success, a share.
        student: that of the student before it learns; None where it is not known.
        when: that was.
        won_alone: the student learns from won episodes alone, which may carry it past a weak teacher.

    >>> doubt(0.62, 0.7)
    'the student wins 70% at the start, its teacher 62%: there is little to learn from it; a better teacher is needed'
    >>> doubt(0.3)
    'the teacher wins 30%: a student learns its errors, too; record won episodes alone, or take a better teacher'
    >>> doubt(0.9, 0.7), doubt(0.9), doubt(0.3, won_alone=True)
    ('', '', '')
    """
    if student is not None and student >= teacher:
        shares = f"the student wins {student:.0%} {when}, its teacher {teacher:.0%}"
        return f"{shares}: there is little to learn from it; a better teacher is needed"
    if teacher < WEAK and not won_alone:
        return (
            f"the teacher wins {teacher:.0%}: a student learns its errors, too; record won episodes alone, or take a"
            " better teacher"
        )
    return ""
