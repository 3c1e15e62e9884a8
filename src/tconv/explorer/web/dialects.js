// The layer in other frameworks' words, numbers included, ready to paste.

import {extent, range} from "./relation.js";

const SPELLED = 200; // numbers that are written out; larger arrays are drawn at random

export const FRAMEWORKS = {PyTorch: torch, Keras: keras, JAX: jax, ONNX: onnx};

const tuple = (list) => (list.length === 1 ? `(${list[0]},)` : `(${list.join(", ")})`);
const list = (values) => `[${values.join(", ")}]`;
const some = (name, values, usual) => (values.every((v) => v === usual) ? [] : [`${name}=${tuple(values)}`]);
const crops = (layer) => layer.axes.map((axis) => [axis.lo, axis.hi]);

/** A nested list of numbers in Python, and null where it would be too long. */
function nested(values, shape) {
  if (values.length > SPELLED) return null;
  if (shape.length === 1) return list(values.map(spelled));
  const part = values.length / shape[0];
  return `[${range(shape[0]).map((n) => nested(values.slice(n * part, (n + 1) * part), shape.slice(1))).join(", ")}]`;
}

const spelled = (value) => (Number.isInteger(value) ? `${value}.` : String(value));

function arrays(layer) {
  const shapes = {x: [1, layer.ci, ...layer.shape.x], w: [layer.ci, layer.co / layer.g, ...layer.shape.w], b: [layer.co]};
  return Object.fromEntries(Object.entries(shapes).filter(([name]) => layer[name]).map(
    ([name, shape]) => [name, {shape, text: nested(layer[name], shape)}]));
}

function numpy(layer) {
  return Object.entries(arrays(layer)).map(([name, {shape, text}]) => (
    `${name} = ${text ? `np.array(${text}, np.float32)` : `np.random.rand(${shape.join(", ")}).astype(np.float32)`}`
  ));
}

function torch(layer) {
  const given = Object.entries(arrays(layer)).map(
    ([name, {shape, text}]) => `${name} = ${text ? `torch.tensor(${text})` : `torch.rand(${shape.join(", ")})`}`);
  const call = `F.conv_transpose${layer.ndim}d`;
  const always = [...some("stride", layer.s, 1), ...some("dilation", layer.d, 1), ...(layer.g > 1 ? [`groups=${layer.g}`] : [])];
  const pad = layer.axes.map((axis) => axis.lo);
  const extra = layer.axes.map((axis) => axis.lo - axis.hi);
  const plain = layer.axes.every((axis, a) => axis.lo >= 0 && extra[a] >= 0 && extra[a] < Math.max(axis.s, axis.d));
  const head = ["import torch", "import torch.nn.functional as F", "", ...given];
  if (plain) {
    const options = [...some("padding", pad, 0), ...some("output_padding", extra, 0), ...always];
    return [...head, `y = ${call}(${["x", "w", ...(layer.b ? ["b"] : []), ...options].join(", ")})`].join("\n");
  }
  const cut = [...layer.axes].reverse().flatMap((axis) => [-axis.lo, -axis.hi]);
  return [
    ...head, `y = ${call}(${["x", "w", ...always].join(", ")})`,
    `y = F.pad(y, ${tuple(cut)})  # no padding crops like this: a negative number cuts, a positive one adds`,
    ...(layer.b ? [`y = y + b.reshape(${[-1, ...layer.s.map(() => 1)].join(", ")})`] : []),
  ].join("\n");
}

/** Keras's own padding that crops every axis as this layer does: {padding, output_padding}; null if there is none. */
export function kerasPadding(layer) {
  for (const [padding, given] of [["valid", false], ["same", false], ["valid", true], ["same", true]]) {
    const extra = layer.axes.map((axis) => kerasExtra(axis, padding, given));
    if (extra.every((op) => op !== null)) return {padding, output_padding: given ? extra : null};
  }
  return null;
}

/** The output_padding with which this axis is cropped (anything but null where it is not to be given). */
function kerasExtra(axis, padding, given) {
  const size = extent(axis);
  for (const op of given ? range(axis.s) : [0]) {
    const same = given ? size % 2 + op : axis.s;
    const cells = padding === "same" ? same : given ? size + op : Math.max(size, axis.s);
    const low = Math.floor(Math.max(size - cells, 0) / 2);
    if (low === axis.lo && size - cells - low === axis.hi) return op;
  }
  return null;
}

function keras(layer) {
  const found = kerasPadding(layer);
  const both = Math.max(...layer.s) > 1 && Math.max(...layer.d) > 1;
  if (layer.g > 1) return "# Keras's layer has no groups: make one layer per group, and concatenate what they give.";
  if (both) return "# Keras's layer refuses strides together with dilation_rate: put zeros between the taps of w instead.";
  const last = range(layer.ndim).map((a) => a + 2);
  const options = [
    layer.co, tuple(layer.k), `strides=${tuple(layer.s)}`, `padding="${found ? found.padding : "valid"}"`,
    ...(found?.output_padding ? [`output_padding=${tuple(found.output_padding)}`] : found ? [] : ["output_padding=0"]),
    ...some("dilation_rate", layer.d, 1), ...(layer.b && found ? [] : ["use_bias=False"]),
  ];
  const lines = [
    "import keras", "import numpy as np", "", ...numpy(layer),
    `layer = keras.layers.Conv${layer.ndim}DTranspose(${options.join(", ")})`,
    `x = x.transpose(${[0, ...last, 1].join(", ")})  # Keras keeps the channels last`,
    `layer.build(x.shape)`,
    `layer.set_weights([w.transpose(${[...last, 1, 0].join(", ")})${layer.b && found ? ", b" : ""}])`,
    "y = layer(x)",
  ];
  if (found) return lines.join("\n");
  const around = crops(layer).map(([lo, hi]) => [Math.max(-lo, 0), Math.max(-hi, 0)]);
  const cuts = crops(layer).map(([lo, hi]) => `${Math.max(lo, 0) || ""}:${hi > 0 ? -hi : ""}`);
  if (around.flat().some(Boolean)) lines.push(`y = keras.ops.pad(y, [${["(0, 0)", ...around.map(tuple), "(0, 0)"].join(", ")}])`);
  if (cuts.some((cut) => cut !== ":")) lines.push(`y = y[:, ${cuts.join(", ")}]  # no padding of Keras's crops like this`);
  return [...lines, ...(layer.b ? ["y = y + b"] : [])].join("\n");
}

function jax(layer) {
  const letters = "DHW".slice(-layer.ndim);
  const specs = layer.ndim === 1 ? ["NCH", "OIH", "NCH"] : [`NC${letters}`, `OI${letters}`, `NC${letters}`];
  const numbers = `("${specs.join('", "')}")`;
  const padding = `[${layer.axes.map((axis) => tuple([extent(axis) - 1 - axis.lo, extent(axis) - 1 - axis.hi])).join(", ")}]`;
  const head = ["import numpy as np", "from jax import lax", "", ...numpy(layer)];
  const tail = layer.b ? [`y = y + b.reshape(${[-1, ...layer.s.map(() => 1)].join(", ")})`] : [];
  if (layer.g === 1) {
    return [...head,
      `y = lax.conv_transpose(x, w, ${tuple(layer.s)}, padding=${padding}, rhs_dilation=${tuple(layer.d)},`,
      `                       dimension_numbers=${numbers}, transpose_kernel=True)`, ...tail].join("\n");
  }
  const kernel = tuple([layer.co, layer.ci / layer.g, ...layer.k]);
  return [...head,
    `w = w.reshape(${[layer.g, layer.ci / layer.g, layer.co / layer.g, ...layer.k].join(", ")}).swapaxes(1, 2).reshape${kernel}`,
    `w = np.flip(w, ${tuple(range(layer.ndim).map((a) => a + 2))})  # conv_transpose has no groups; this is the same layer`,
    `y = lax.conv_general_dilated(x, w, ${tuple(layer.s.map(() => 1))}, padding=${padding}, lhs_dilation=${tuple(layer.s)},`,
    `                             rhs_dilation=${tuple(layer.d)}, dimension_numbers=${numbers}, feature_group_count=${layer.g})`,
    ...tail].join("\n");
}

function onnx(layer) {
  const plain = layer.axes.every((axis) => axis.lo >= 0 && -axis.hi < Math.max(axis.s, axis.d));
  const pads = plain ? [...layer.axes.map((axis) => axis.lo), ...layer.axes.map((axis) => Math.max(axis.hi, 0))] : null;
  const options = [
    `kernel_shape=${list(layer.k)}`, `strides=${list(layer.s)}`, ...(pads ? [`pads=${list(pads)}`] : []),
    ...(pads ? [`output_padding=${list(layer.axes.map((axis) => Math.max(-axis.hi, 0)))}`] : []),
    `dilations=${list(layer.d)}`, `group=${layer.g}`,
  ].join(", ");
  const fused = plain && layer.b;
  const nodes = [`helper.make_node("ConvTranspose", ["x", "w"${fused ? ', "b"' : ""}], ["${plain ? "y" : "full"}"], ${options})`];
  const weights = ["w", ...(fused ? ["b"] : [])].map((name) => `numpy_helper.from_array(${name}, "${name}")`);
  if (!plain) {
    const cut = [0, 0, ...layer.axes.map((axis) => -axis.lo), 0, 0, ...layer.axes.map((axis) => -axis.hi)];
    nodes.push(`helper.make_node("Pad", ["full", "cut"], ["${layer.b ? "window" : "y"}"])`);
    weights.push(`numpy_helper.from_array(np.array(${list(cut)}), "cut")`);
    if (layer.b) {
      nodes.push('helper.make_node("Add", ["window", "b"], ["y"])');
      weights.push(`numpy_helper.from_array(b.reshape(${[-1, ...layer.s.map(() => 1)].join(", ")}), "b")`);
    }
  }
  return [
    "import numpy as np", "import onnxruntime", "from onnx import TensorProto, helper, numpy_helper", "", ...numpy(layer),
    `nodes = [\n    ${nodes.join(",\n    ")},\n]`, `weights = [${weights.join(", ")}]`,
    'ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, None)] for name in ("x", "y")]',
    'graph = helper.make_graph(nodes, "layer", *ends, weights)',
    'model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)',
    'y = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]',
  ].join("\n");
}
