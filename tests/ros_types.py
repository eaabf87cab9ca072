"""Message classes that behave like those of rclpy, made from the true definitions in rosbags:
default values, no other attributes than the definition has, and the same types asked of them."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

_MOVEIT = {
    "moveit_msgs/msg/GripperTranslation": """
geometry_msgs/Vector3Stamped direction
float32 desired_distance
float32 min_distance
""",
    "moveit_msgs/msg/Grasp": """
string id
trajectory_msgs/JointTrajectory pre_grasp_posture
trajectory_msgs/JointTrajectory grasp_posture
geometry_msgs/PoseStamped grasp_pose
float64 grasp_quality
moveit_msgs/GripperTranslation pre_grasp_approach
moveit_msgs/GripperTranslation post_grasp_retreat
moveit_msgs/GripperTranslation post_place_retreat
float32 max_contact_force
string[] allowed_touch_objects
""",
}

STORE = get_typestore(Stores.ROS2_HUMBLE)
for _name, _text in _MOVEIT.items():
    STORE.register(get_types_from_msg(_text, _name))

_CLASSES: dict[str, type] = {}


def message(name: str) -> type:
    """The class of ``package/Kind``."""
    full = name if "/msg/" in name else name.replace("/", "/msg/")
    if full not in _CLASSES:
        _CLASSES[full] = _make(full)
    return _CLASSES[full]


def _make(full: str) -> type:
    definition = dict(STORE.fielddefs[full][1])

    def __init__(self: Any, **values: Any) -> None:
        for name, kind in definition.items():
            object.__setattr__(self, name, _default(kind))
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if name not in definition:
            raise AttributeError(f"{full} has no field {name!r}")
        _check(definition[name], value, f"{full}.{name}")
        object.__setattr__(self, name, value)

    space = {"__init__": __init__, "__setattr__": __setattr__, "kind": full}
    return type(full.rsplit("/", 1)[1], (), space)


def _default(kind: Any) -> Any:
    node, detail = kind
    if node == Nodetype.NAME:
        return message(detail)()
    if node == Nodetype.BASE:
        return {"s": "", "f": 0.0, "b": False}.get(detail[0][0], 0)
    return [_default(detail[0]) for _ in range(detail[1] if node == Nodetype.ARRAY else 0)]


def _check(kind: Any, value: Any, where: str) -> None:
    node, detail = kind
    if node == Nodetype.NAME:
        assert isinstance(value, message(detail)), f"{where}: {value!r}"
    elif node == Nodetype.BASE:
        wanted = {"s": str, "f": float, "b": bool}.get(detail[0][0], int)
        assert type(value) is wanted, f"{where}: {value!r} is no {wanted.__name__}"
    elif isinstance(value, array):
        assert (value.typecode, detail[0][1][0]) in {("B", "uint8"), ("d", "float64")}, where
    else:
        assert isinstance(value, list | tuple), f"{where}: {value!r}"
        for entry in value:
            _check(detail[0], entry, where)


def over_the_wire(given: Any) -> Any:
    """The message as another node gets it: serialised (CDR) and read again by rosbags."""
    return STORE.deserialize_cdr(STORE.serialize_cdr(_stored(given), given.kind), given.kind)


def _stored(given: Any) -> Any:
    """The same message of the store's own class, which rosbags can serialise."""
    values = {}
    for name, (node, detail) in STORE.fielddefs[given.kind][1]:
        value = getattr(given, name)
        if node == Nodetype.NAME:
            value = _stored(value)
        elif node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            inner, kind = detail[0]
            if inner == Nodetype.NAME:
                value = [_stored(entry) for entry in value]
            elif kind[0] != "string":
                value = np.array(value, dtype=kind[0])
            else:
                value = list(value)
        values[name] = value
    return STORE.types[given.kind](**values)
