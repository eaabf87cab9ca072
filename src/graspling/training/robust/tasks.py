"""From a recipe's file to a task: ``task: critic`` or ``task: grasp``."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from graspling.errors import InputError
from graspling.training.recipe import from_mapping, read_settings
from graspling.training.robust.critic import CriticRecipe, CriticTask
from graspling.training.robust.curriculum import GraspTask
from graspling.training.robust.grasp_recipe import GraspRecipe
from graspling.training.robust.loop import Task

TaskRecipe = CriticRecipe | GraspRecipe


def task_names() -> list[str]:
    """Recipes of tasks that come with the package."""
    folder = resources.files("graspling.training.robust") / "recipes"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if "yaml" in f.name)


def task_settings(name: str | Path) -> dict[str, Any] | None:
    """The settings of a task's recipe by name or path; None when it is another kind of recipe."""
    if str(name) in task_names():
        folder = resources.files("graspling.training.robust") / "recipes"
        with resources.as_file(folder / f"{name}.yaml") as path:
            return read_settings(path)
    if Path(name).suffix not in (".yaml", ".yml"):
        return None
    settings = read_settings(name)
    return settings if "task" in settings else None


def task_recipe(settings: dict[str, Any], where: str) -> TaskRecipe:
    """Checked settings.

    Raises:
        InputError: no such task, a key that is no setting, a value of another type.
    """
    kinds: dict[str, type[TaskRecipe]] = {"critic": CriticRecipe, "grasp": GraspRecipe}
    if settings.get("task") not in kinds:
        raise InputError(
            f"{where}: task is {settings.get('task')!r}, expected one of {', '.join(kinds)}"
        )
    return from_mapping(kinds[settings["task"]], settings, where)


def make_task(recipe: TaskRecipe) -> Task:
    """What the loop runs."""
    return CriticTask(recipe) if isinstance(recipe, CriticRecipe) else GraspTask(recipe)
