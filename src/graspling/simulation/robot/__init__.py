"""An arm with a parallel-jaw gripper that picks objects from a table and places them into a box:
whether the grasps of a detector hold. Needs the extra ``sim``.
"""
