"""What `bench/gpu.py` is made of: a device with a clock, layers, models, choices of tiles, tables."""
