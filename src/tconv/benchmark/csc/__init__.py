"""Sparse coding and dictionary learning beside SPORCO and alphacsc: time to the same quality, and memory.

All contenders solve the same problems, atoms inside the images (SPORCO's NoBndryCross), in float32, each in a process
of its own and in turns. How many steps a contender needs is found beforehand, without a clock, so that none is charged
for looking at its objective.
"""
