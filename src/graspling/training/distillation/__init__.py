"""Learning from a bigger network and from images without labels.

A distillation is a teacher, a student, pairs of feature taps and weighted terms; a recipe states
them (:mod:`settings`), :mod:`terms` computes them, :mod:`lesson` puts them together for the
training loop. Semi-supervision is in :mod:`semi`, learning on the job in :mod:`continual`.
"""
