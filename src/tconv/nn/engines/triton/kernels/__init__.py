"""Triton kernels, one idea each. Whoever imports one needs Triton.

What all of them share: arrays have a batch, channels and three spatial axes, and any strides. A stride comes in units,
which the kernel multiplies by a constant power of two, so that the compiler sees for itself what an address is a
multiple of; sizes that matter for it come the same way. Nothing is promised to the compiler that does not follow from
such a product or from a pointer that Triton itself has looked at.
"""
