"""Training: everything around the game that knows no model: loop, seeds, devices, checkpoints, logs."""
