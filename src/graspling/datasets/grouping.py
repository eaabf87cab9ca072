"""Samples that show several objects, grouped so that no object is in two groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def tied(contents: Mapping[str, Iterable[str]], names: Mapping[str, str]) -> dict[str, str]:
    """The group of each sample: those that are tied, directly or through others, by an object.

    Args:
        contents: object ids of each sample, possibly none.
        names: what a group is called by its least sample id, unless it has one object only, whose
            id is then its name. Samples without objects and with equal names are one group.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    nodes = {}
    for sample, objects in contents.items():
        # the prefixes keep a name and an object that are spelt alike apart
        members = [f"object {name}" for name in objects] or [f"name {names[sample]}"]
        nodes[sample] = members[0]
        for member in members[1:]:
            parent[root(member)] = root(members[0])
    sizes: dict[str, int] = {}
    for node in list(parent):
        sizes[root(node)] = sizes.get(root(node), 0) + 1
    for node in set(nodes.values()):
        sizes.setdefault(root(node), 1)
    groups: dict[str, str] = {}
    for sample in sorted(contents):
        end = root(nodes[sample])
        single = sizes[end] == 1 and end.startswith("object ")
        groups.setdefault(end, end.removeprefix("object ") if single else names[sample])
    return {sample: groups[root(nodes[sample])] for sample in contents}
