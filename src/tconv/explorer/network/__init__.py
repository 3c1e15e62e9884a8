"""A layer in its network: a U-Net or a fully convolutional network, level by level, for images of any size."""

from tconv.explorer.network.explanation import NetworkExplanation, explain_network

__all__ = ["NetworkExplanation", "explain_network"]
