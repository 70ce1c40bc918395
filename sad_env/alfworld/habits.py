"""What a person knows of any household: which room this is, where a thing usually lies, what takes what."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from sad_env.alfworld.households import households
from sad_env.alfworld.memory import kind

_TELLING = (("toilet", "bathroom"), ("fridge", "kitchen"), ("bed", "bedroom"), ("sofa", "livingroom"))
_ANYWHERE = 0.01
"""Chance left for a place where a thing was never seen to lie, so that a search leaves nothing out."""


def room_of(receptacles: Iterable[str]) -> str:
    """The room, judged by what stands in it.

    >>> room_of(["drawer 1", "toilet 1"])
    'bathroom'
    """
    kinds = {kind(one) for one in receptacles}
    return next((room for sign, room in _TELLING if sign in kinds), "livingroom")


@cache
def likelihood(room: str, thing: str, place: str) -> float:
    """How likely a thing of this type is to lie in a receptacle of this type, in such a room.

    Shares are those of the official train split, whatever the split that is played.
    """
    usual = households().places[room].get(f"{thing}type", {})
    return _ANYWHERE + usual.get(f"{place}type", 0) / max(1, sum(usual.values()))


@cache
def accepts(place: str, thing: str) -> bool:
    """Whether a receptacle of this type may hold a thing of this type."""
    return any(
        thing in (one.lower() for one in inside)
        for name, inside in households().accepts.items()
        if name.lower() == place
    )
