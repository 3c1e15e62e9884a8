"""ONNX: models from files on tconv's engine, and faster files for ONNX Runtime.

tconv.onnx.load("model.onnx")        a PyTorch module that runs on the engine, with NumPy arrays in and out
tconv.onnx.optimize("model.onnx")    the model with exact folds, as plain ONNX, where ONNX Runtime is faster with it
tconv.onnx.optimization(...)         that, with the report of what was tried
tconv.onnx.save(model, path)         a model as a file that appears whole or not at all
"""

from tconv.onnx.loading import load
from tconv.onnx.model import OnnxModel, Port
from tconv.onnx.optimising import optimization, optimize
from tconv.onnx.report import Report
from tconv.onnx.saving import save

__all__ = ["OnnxModel", "Port", "Report", "load", "optimization", "optimize", "save"]
