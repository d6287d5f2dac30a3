"""The parts of benches/gpu.py: checks, the hand-off, training, and scale over threads."""
