"""Engines behind `tconv.nn.engine`, one module for each type of device."""
