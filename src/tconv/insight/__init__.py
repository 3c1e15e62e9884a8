"""What a network sees: features sent back to the pixels that set them off.

    project(model, x, layer): one activation, sent back by the deconvnet, guided backpropagation or the gradient
    top_activations(model, images, layer): where channels are strongest, what they see there, and what of it counts
    occlusion(model, x, score): where covering the image lowers a score
    evolution(checkpoints, images, layer): a feature through training
    sheet(...): all of it as a picture, SVG or PNG
    layers(model, x): what there is to be seen, with receptive fields

Models are run as people write them, and are afterwards as they were. `tconv see ...` is the command line.
"""

from tconv.insight.drawing import Sheet, sheet
from tconv.insight.evolving import Evolution, evolution
from tconv.insight.fields import Field
from tconv.insight.loading import Loaded, load_model
from tconv.insight.occluding import occlusion
from tconv.insight.overview import LayerView, layers
from tconv.insight.projecting import project
from tconv.insight.rules import METHODS
from tconv.insight.strongest import Sighting, Strongest, top_activations

__all__ = [
    "METHODS",
    "Evolution",
    "Field",
    "LayerView",
    "Loaded",
    "Sheet",
    "Sighting",
    "Strongest",
    "evolution",
    "layers",
    "load_model",
    "occlusion",
    "project",
    "sheet",
    "top_activations",
]
