"""The best grasps in one frame with ONNX Runtime, NumPy and OpenCV alone; graspling stays out.

python onnxruntime_only.py MODEL.onnx COLOUR.png
python onnxruntime_only.py MODEL.onnx COLOUR_OR_- DEPTH.png METRES_OF_ONE_COUNT
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime


def shrunk(image, side):
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def filled(total, known):  # the mean of known pixels; where there is none, that of a coarser image
    mean, side = total / np.maximum(known, 1e-9), len(known)
    if known.min() > 0 or side == 1:
        return mean
    coarse = filled(shrunk(total, side // 2), shrunk(known, side // 2))
    return np.where(known > 0, mean, cv2.resize(coarse, (side, side)))


if len(sys.argv) not in (3, 5):
    sys.exit(__doc__)
model, rgb_file, depth_file, unit = (*sys.argv[1:], "", "")[:4]
onnxruntime.set_default_logger_severity(3)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
card = json.loads(session.get_modelmeta().custom_metadata_map["graspling"])
how, planes, frame = card["preparation"], [], None
if how["crop"] != "centre":
    sys.exit(f"{model}: takes a frame by {how['crop']}; this example cuts out the centre alone")
if "rgb" in how["modality"]:
    frame = cv2.imread(rgb_file)[..., ::-1]
if how["modality"] != "rgb":
    depth = cv2.imread(depth_file, cv2.IMREAD_UNCHANGED).astype(np.float32) * float(unit)
    known = np.float32(depth > 0)
height, width = (depth if frame is None else frame).shape[:2]
side, size = min(height, width), how["size"]
small = side // max(side // size, 1)  # whole blocks of pixels are averaged, the rest is linear
left, top = (width - side) // 2, (height - side) // 2
square = np.s_[top : top + side, left : left + side]  # the largest centred one
if "rgb" in how["modality"]:  # minus the mean of all channels, divided by 255
    colour = cv2.resize(shrunk(np.float32(frame[square]), small), (size, size))
    planes += [(colour[..., c] - colour.mean()) / 255 for c in range(3)]
if how["modality"] != "rgb":  # nearer is larger, in units of how far the nearest pixels rise
    depth = filled(*(shrunk(image[square], small) for image in (depth * known, known)))
    depth = cv2.resize(depth, (size, size))
    rise = np.median(depth) - np.quantile(depth, 1 - how["depth_quantile"])
    scaled = (np.median(depth) - depth) / max(rise, how["depth_floor"])
    planes.append(np.clip(scaled, -how["depth_clip"], how["depth_clip"]))
grasps = session.run(["grasps"], {"image": np.float32(planes)[None]})[0][0]
scale = side / size
for u, v, angle, jaw_width, _jaw, quality in grasps[grasps[:, 5] > card["threshold"]]:
    u, v = (u + 0.5) * scale - 0.5 + left, (v + 0.5) * scale - 0.5 + top
    print(f"{u:.1f} {v:.1f} {np.degrees(angle):.1f} {jaw_width * scale:.1f} {quality:.3f}")
