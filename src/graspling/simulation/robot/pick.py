"""One attempt: approach, close, lift, shake, carry, release; and why it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from graspling.simulation.robot import panda
from graspling.simulation.robot.cell import Cell
from graspling.simulation.robot.plan import Plan
from graspling.simulation.trial import TrialSettings

Floats = NDArray[np.float64]
Cause = Literal[
    "no grasp",
    "unreachable",
    "collision on approach",
    "slipped",
    "dropped",
    "wrong object moved",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)


@dataclass(frozen=True)
class PickSettings:
    """Of an attempt; metres, seconds, newtons.

    Attributes:
        hand: fingers, friction and engine.
        force: a contact force on the way down that is a collision.
        guard: a contact force at which the hand stops on the last ``near`` metres and closes
            there, as a guarded motion does.
        near: length of the guarded end of the approach, metres; twice as much of it is slow.
        speed, slow: of the hand on straight lines, and on the last 2 x ``near`` metres.
        hover: least length of the approach.
        lift: how far up.
        shake, shake_rate: amplitude, and hertz.
        haste: share of the joints' speed limits on the way to the box.
        moved: an object that is further away than this from where it was has been moved.
    """

    hand: TrialSettings = TrialSettings()
    force: float = 20.0
    guard: float = 8.0
    near: float = 0.01
    speed: float = 0.25
    slow: float = 0.05
    hover: float = 0.10
    lift: float = 0.15
    shake: float = 0.01
    shake_rate: float = 3.0
    haste: float = 0.5
    moved: float = 0.03


@dataclass(frozen=True)
class Outcome:
    """Of one attempt.

    Attributes:
        success: lifted, held through the shake, placed in the box, within the force limit.
        lifted: the object was in the air after the lift (what DSC-GraspNet counts).
        cause: why not, "" after a success.
        target: number of the object that the grasp was for, -1 any.
        placed: numbers of the objects that are in the box now.
        force: largest contact force on the way down, newtons.
    """

    success: bool
    lifted: bool
    cause: Cause | Literal[""]
    target: int
    placed: tuple[int, ...]
    force: float


def failed(cause: Cause, target: int = -1) -> Outcome:
    """An attempt that did not begin."""
    return Outcome(False, False, cause, target, (), 0.0)


def pick(cell: Cell, plan: Plan, width: float, target: int, settings: PickSettings) -> Outcome:
    """Execute a planned grasp. Afterwards the arm is at home and the objects are at rest.

    Args:
        width: opening on the way down, metres.
        target: number of the object that should end in the box; -1 any.
    """
    attempt = _Attempt(cell, plan, settings, target)
    outcome = attempt.run(min(max(width, cell.gripper.min_opening), cell.gripper.opening))
    cell.put(panda.HOME, cell.gripper.opening)
    cell.rest()
    return outcome


class _Attempt:
    def __init__(self, cell: Cell, plan: Plan, settings: PickSettings, target: int) -> None:
        self.cell, self.plan, self.settings, self.target = cell, plan, settings, target
        self.start = cell.places()

    def run(self, width: float) -> Outcome:
        cell, plan, settings = self.cell, self.plan, self.settings
        cell.put(plan.down[0], width)
        force = self.descend()
        if force >= settings.force:
            return self.outcome("collision on approach", force)
        self.close()
        self.straight(plan.up, plan.lift)
        up = self.risen()
        if not self.mine(up):
            wrong = up.any() or self.others_moved()
            return self.outcome("wrong object moved" if wrong else "slipped", force)
        self.shake(plan.up[-1])
        if not self.mine(self.risen()):
            return self.outcome("dropped", force, lifted=True)
        self.carry(plan.up[-1], plan.over)
        self.release()
        placed = self.placed()
        held = bool(placed) if self.target < 0 else self.target in placed
        if held:
            return Outcome(True, True, "", self.target, placed, force)
        return self.outcome("wrong object moved" if placed else "dropped", force, lifted=True)

    def outcome(self, cause: Cause, force: float, lifted: bool = False) -> Outcome:
        return Outcome(False, lifted, cause, self.target, self.placed(), force)

    # ---- stages ---------------------------------------------------------------------------------

    def descend(self) -> float:
        """Down along the approach; returns the largest contact force, as the mean of two looks
        20 ms apart. The last 2 x ``near`` metres are slow, the last ``near`` guarded. Stops where
        it is too large."""
        cell, settings = self.cell, self.settings
        fast = max(self.plan.hover - 2 * settings.near, 0.0)
        stretches = ((0.0, fast, settings.speed), (fast, self.plan.hover, settings.slow))
        largest = before = 0.0
        for begin, end, speed in stretches:
            for at in _moments(begin, end, speed, cell.tick):
                cell.command(*_on(self.plan.down, at / self.plan.hover, speed / self.plan.hover))
                cell.step()
                now = cell.force()
                largest, before = max(largest, (now + before) / 2), now
                if largest >= settings.force:
                    return largest
                if now > settings.guard and self.plan.hover - at <= settings.near:
                    cell.command(np.array(cell.data.qpos[:7]))
                    return largest
        cell.command(self.plan.down[-1])
        cell.step(2)
        return max(largest, cell.force())

    def close(self) -> None:
        """Until the fingers rest."""
        self.cell.fingers(-1.0)
        for tick in range(30):
            self.cell.step()
            if tick > 5 and self.cell.finger_speed < 1e-3:
                break

    def straight(self, path: Floats, length: float) -> None:
        """Along poses that are evenly apart."""
        cell, speed = self.cell, self.settings.speed
        for at in _moments(0.0, length, speed, cell.tick):
            cell.command(*_on(path, at / length, speed / length))
            cell.step()
        cell.command(path[-1])
        cell.step(5)

    def shake(self, joints: Floats) -> None:
        """Two periods along the opening, two along the jaw."""
        cell, settings = self.cell, self.settings
        inverse = np.linalg.pinv(cell.kinematics.jacobian(joints))
        axes = cell.kinematics.pose(joints)[:3, :2].T
        rate = 2 * np.pi * settings.shake_rate
        ticks = int(2 / settings.shake_rate / cell.tick)
        for axis in axes:
            aside = inverse[:, :3] @ axis * settings.shake
            for tick in range(1, ticks + 1):
                phase = rate * cell.tick * tick
                cell.command(joints + aside * np.sin(phase), aside * rate * np.cos(phase))
                cell.step()
        cell.command(joints)
        cell.step(2)

    def carry(self, start: Floats, end: Floats) -> None:
        """From joint angles to others, all joints at once, without a jerk."""
        cell, way = self.cell, end - start
        limit = panda.SPEED * self.settings.haste
        seconds = max(0.4, float((np.abs(way) / limit).max()) * np.pi / 2)
        ticks = int(np.ceil(seconds / cell.tick))
        for tick in range(1, ticks + 1):
            phase = np.pi * tick / ticks
            speed = way * (np.pi / 2 / (ticks * cell.tick) * np.sin(phase))
            cell.command(start + way * (1 - np.cos(phase)) / 2, speed)
            cell.step()
        cell.command(end)
        cell.step(5)

    def release(self) -> None:
        """Open, and wait for what falls."""
        self.cell.fingers(self.cell.gripper.opening)
        self.cell.step(22)

    # ---- what happened --------------------------------------------------------------------------

    def risen(self) -> NDArray[np.bool_]:
        """(N,) objects that hang in the air."""
        rise = self.cell.places()[:, 2] - self.start[:, 2]
        return np.asarray((rise > 0.7 * self.settings.lift) & self.cell.present)

    def others_moved(self) -> bool:
        """Whether an object that was not meant is elsewhere."""
        way = np.linalg.norm(self.cell.places() - self.start, axis=1)
        if self.target < 0:
            return False
        way[self.target] = 0
        return bool((way[self.cell.present] > self.settings.moved).any())

    def mine(self, objects: NDArray[np.bool_]) -> bool:
        return bool(objects.any() if self.target < 0 else objects[self.target])

    def placed(self) -> tuple[int, ...]:
        cell = self.cell
        places = cell.places()
        return tuple(
            number
            for number in np.flatnonzero(cell.present).tolist()
            if cell.bin.holds(places[number])
        )


def _moments(begin: float, end: float, speed: float, tick: float) -> Floats:
    """Where one is after each tick."""
    count = max(1, int(np.ceil((end - begin) / speed / tick)))
    return begin + (end - begin) * np.arange(1, count + 1) / count


def _on(path: Floats, share: float, rate: float) -> tuple[Floats, Floats]:
    """Joint angles and speeds at a share of a path whose poses are evenly apart."""
    last = len(path) - 1
    place = min(share, 1.0) * last
    row = min(int(place), last - 1)
    step = path[row + 1] - path[row]
    return path[row] + (place - row) * step, step * last * rate
