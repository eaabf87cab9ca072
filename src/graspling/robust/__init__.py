"""Detectors that judge grasps by a critic: one grasp in one pass, sampling, re-ranking, fallback.

They run without PyTorch, as :mod:`graspling.detector` does, and behave as its ``Detector``.
"""
