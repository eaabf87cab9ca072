"""What runs a network: ONNX Runtime in the base install, OpenVINO as an extra, PyTorch in the lab.

All take a prepared tensor and give maps; :func:`open_backend` checks the file, picks one and says
why.
"""

from graspling.backends.base import Backend, Maps
from graspling.backends.choose import BACKENDS, check_precision, open_backend

__all__ = ["BACKENDS", "Backend", "Maps", "check_precision", "open_backend"]
