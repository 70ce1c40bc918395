"""What a person knows of any household: which room this is, where a thing usually is, which receptacle takes what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from statistics import fmean

from sad_env.alfworld.households import households
from sad_env.alfworld.memory import kind

OPENING_KINDS = frozenset(("cabinet", "drawer", "fridge", "microwave", "safe"))
"""Types of receptacles that are closed at first."""

_TELLING = (("toilet", "bathroom"), ("fridge", "kitchen"), ("bed", "bedroom"), ("sofa", "livingroom"))
_ANYWHERE = 0.01
"""Chance left for a place where a thing was never seen to lie, so that a search leaves nothing out."""


def room_of(receptacles: Iterable[str]) -> str:
    """The room, judged by its receptacles.

    >>> room_of(["drawer 1", "toilet 1"])
    'bathroom'
    """
    kinds = {kind(name) for name in receptacles}
    return next((room for sign, room in _TELLING if sign in kinds), "livingroom")


@cache
def likelihood(room: str, thing: str, place: str) -> float:
    """How likely a thing of this type is to lie in a receptacle of this type, in such a room.

    Shares are those of the official train split, whatever the split that is played.
    """
    usual = households().places[room].get(f"{thing}type", {})
    return _ANYWHERE + usual.get(f"{place}type", 0) / max(1, sum(usual.values()))


@cache
def search_order(room: str, thing: str) -> tuple[str, ...]:
    """Types of receptacles that such a room can have, by the chance of finding the thing there for each step it takes.

    The order is that of rooms in general and does not depend on what is in this one.

    >>> search_order("bathroom", "toiletpaper")[:2]
    ('toilet', 'countertop')
    """
    plans = [plan for plan in households().plans.values() if plan.room == room]
    counts: dict[str, list[int]] = {}
    for plan in plans:
        for type_, number in Counter(place.kind.lower() for place in plan.places).items():
            counts.setdefault(type_, []).append(number)

    def promise(type_: str) -> float:
        steps = 2.1 if type_ in OPENING_KINDS else 1.1
        return likelihood(room, thing, type_) / fmean(counts[type_]) / steps

    return tuple(sorted(counts, key=lambda type_: (-promise(type_), type_)))


@cache
def accepts(place: str, thing: str) -> bool:
    """Whether a receptacle of this type may hold a thing of this type."""
    return any(
        thing in (type_.lower() for type_ in inside)
        for name, inside in households().accepts.items()
        if name.lower() == place
    )
