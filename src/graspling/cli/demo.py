"""`graspling demo`: grasps in the sample frames that are part of the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import graspling
from graspling.cli.detect import Detect, detect
from graspling.cli.output import say
from graspling.cli.parse import File, Json, Text

SAMPLES = Path(graspling.__file__).parent / "samples"


@dataclass(frozen=True)
class Demo:
    """Find grasps in the sample frames of the package; print a table and write pictures."""

    out: File = "demo-output"
    """Folder for the pictures."""
    top: int = 3
    """At most this many grasps an image."""
    model: Text = ""
    """Shipped name, .onnx or .safetensors file; by default the best shipped one."""
    json: Json = ""


def demo(options: Demo) -> None:
    """`graspling detect` with the sample frames filled in."""
    folder = str(SAMPLES)
    found = Detect(
        rgb=(folder,),
        depth=(folder,),
        camera=str(SAMPLES / "camera.json"),
        top=options.top,
        model=options.model,
        json=options.json,
        picture=options.out,
    )
    detect(found)
    say(f"The pictures are in {Path(options.out).resolve()}", json_target=options.json)
