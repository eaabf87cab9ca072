"""Training of what is no dense network: critics, and networks that say one grasp by a critic.

Their recipes are files in ``recipes/`` beside this one; the key ``task`` says which kind.
"""
