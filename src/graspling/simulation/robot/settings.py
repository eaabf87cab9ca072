"""What ``graspling simulate`` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from graspling.errors import InputError
from graspling.simulation.robot.choosing import ORACLE, Approach
from graspling.simulation.robot.looking import LookSettings
from graspling.simulation.robot.pick import PickSettings

Protocol = Literal["single", "cluttered", "stacked"]


@dataclass(frozen=True)
class Settings:
    """All that decides about a run's numbers.

    Attributes:
        model: as for ``graspling.robust.open_detector``, "oracle", or "" for the best shipped depth
            model.
        rerank, fallback, critic: of ``graspling.robust.open_detector``.
        protocol: "single": one object at a time, ``poses`` random poses each; "cluttered" (side
            by side) and "stacked" (dropped on each other): take objects until the table is empty,
            two attempts in a row failed, or twice as many attempts were made as there were
            objects.
        objects: "procedural" (those that no training data holds) or a folder of meshes.
        seed: of everything random.
        gripper: name or YAML file.
        look: of the camera.
        approach: along the camera's axis, or along gravity (not with the oracle).
        closed_loop: look again on the way, twice, and follow the grasp.
        moving: speed of a single object while the robot looks, m/s.
        poses: of an object (single).
        count: objects in a scene (cluttered, stacked).
        pictures: keep a picture of each failure.
        pick: of the attempts.

    Raises:
        InputError: a value out of its range.
    """

    model: str = "oracle"
    rerank: bool = False
    fallback: str = ""
    critic: str = ""
    protocol: Protocol = "single"
    objects: str = "procedural"
    seed: int = 0
    gripper: str = "panda"
    look: LookSettings = field(default_factory=LookSettings)
    approach: Approach = "camera"
    closed_loop: bool = False
    moving: float = 0.0
    poses: int = 20
    count: int = 8
    pictures: bool = False
    pick: PickSettings = field(default_factory=PickSettings)

    def __post_init__(self) -> None:
        choices = (("protocol", get_args(Protocol)), ("approach", get_args(Approach)))
        for name, known in choices:
            if getattr(self, name) not in known:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected {', '.join(known)}")
        for name, least, most in (("seed", 0, 2**31), ("poses", 1, 10_000), ("count", 1, 20)):
            if not least <= getattr(self, name) <= most:
                raise InputError(f"{name} is {getattr(self, name)}, expected {least} to {most}")
        if self.model == ORACLE and (self.rerank or self.fallback or self.critic):
            raise InputError("the oracle needs no critic; leave out --rerank, --fallback, --critic")
        if self.model == ORACLE and self.approach != "camera":
            raise InputError("the oracle grasps along the camera's axis; leave out --approach")
        if not 0 <= self.moving <= 0.2:
            raise InputError(f"moving is {self.moving} m/s, expected 0 to 0.2")
        if self.moving and self.protocol != "single":
            raise InputError("only a single object can move; give --protocol single")
