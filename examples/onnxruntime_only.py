"""The best grasps in one frame with ONNX Runtime, NumPy and OpenCV alone; graspling stays out.

python onnxruntime_only.py MODEL.onnx COLOUR.png
python onnxruntime_only.py MODEL.onnx COLOUR_OR_- DEPTH.png METRES_OF_ONE_COUNT
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

if len(sys.argv) not in (3, 5):
    sys.exit(__doc__)
model, rgb_file, depth_file, unit = (*sys.argv[1:], "", "")[:4]
onnxruntime.set_default_logger_severity(3)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
card = json.loads(session.get_modelmeta().custom_metadata_map["graspling"])
how, planes, frame = card["preparation"], [], None
if "rgb" in how["modality"]:  # minus the mean of all channels, divided by 255
    frame = cv2.imread(rgb_file)[..., ::-1]
if how["modality"] != "rgb":  # nearer is larger, in units of how far the nearest pixels rise
    depth = cv2.imread(depth_file, cv2.IMREAD_UNCHANGED).astype(np.float32) * float(unit)
    depth[depth <= 0] = np.median(depth[depth > 0])
    frame = depth if frame is None else np.dstack([frame.astype(np.float32), depth])
side = min(frame.shape[:2])  # the largest centred square
top, left = (np.array(frame.shape[:2]) - side) // 2
square = frame[top : top + side, left : left + side]
square = cv2.resize(square, (how["size"],) * 2, interpolation=cv2.INTER_AREA)
if "rgb" in how["modality"]:
    planes += [(square[..., c] - square[..., :3].mean()) / 255 for c in range(3)]
if how["modality"] != "rgb":
    depth = square if square.ndim == 2 else square[..., 3]
    rise = np.median(depth) - np.quantile(depth, 1 - how["depth_quantile"])
    scaled = (np.median(depth) - depth) / max(rise, how["depth_floor"])
    planes.append(np.clip(scaled, -how["depth_clip"], how["depth_clip"]))
grasps = session.run(["grasps"], {"image": np.float32(planes)[None]})[0][0]
scale = side / how["size"]
for u, v, angle, width, _jaw, quality in grasps[grasps[:, 5] > card["threshold"]]:
    u, v = (u + 0.5) * scale - 0.5 + left, (v + 0.5) * scale - 0.5 + top
    print(f"{u:.1f} {v:.1f} {np.degrees(angle):.1f} {width * scale:.1f} {quality:.3f}")
