"""Masks for new images: of any size and kind, tile by tile where they are large."""
