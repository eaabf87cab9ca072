"""Generated tabletop data: objects, settled scenes, frames, labels, a gripper that tries them.

Needs the extra ``sim`` (MuJoCo); without it the modules import and say so at first use.
"""
