"""All kinds of procedural objects by name: ``KINDS[kind](Draw(rng))`` gives parts.

A new kind is a function in one of the files below and a line in its table; its name is in object
ids for ever, and a change to its function changes the objects of published ids.
"""

from __future__ import annotations

from collections.abc import Callable

from graspling.simulation import kinds_house, kinds_plain, kinds_workshop
from graspling.simulation.parts import Part
from graspling.simulation.solids import Draw

__all__ = ["KINDS", "Draw"]

KINDS: dict[str, Callable[[Draw], list[Part]]] = {
    **kinds_plain.KINDS,
    **kinds_house.KINDS,
    **kinds_workshop.KINDS,
}
