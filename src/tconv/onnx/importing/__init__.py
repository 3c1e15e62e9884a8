"""The importer: a graph of ONNX operators as the straight code of a PyTorch module."""
