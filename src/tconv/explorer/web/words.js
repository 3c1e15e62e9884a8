// All sentences of the page, in English and Chinese. {name} is replaced by a value.

const WORDS = {
  title: ["Transposed convolution explorer", "转置卷积探索器"],
  tagline: ["Input i and tap k meet at output o. Everything below is this one relation, with your numbers.",
    "输入 i 与卷积核元素 k 在输出 o 处相遇。下面的一切都是这一个关系，用的是你的数字。"],
  skip: ["Skip to the layer", "跳到该层"],
  settings: ["Settings", "设置"],
  layer: ["The layer", "该层"],
  language: ["Language", "语言"], theme: ["Colours", "配色"],
  auto: ["as the system", "跟随系统"], light: ["light", "浅色"], dark: ["dark", "深色"],
  axes: ["spatial axes", "空间维数"],
  axis0of1: ["length", "长度"], axis0of2: ["height", "高"], axis1of2: ["width", "宽"],
  axis0of3: ["depth", "深"], axis1of3: ["height", "高"], axis2of3: ["width", "宽"],
  link: ["same for all axes", "各轴相同"], asymmetric: ["asymmetric padding", "非对称填充"],
  n: ["input size", "输入大小"], k: ["kernel", "卷积核"], s: ["stride", "步幅"], padding: ["padding", "填充 (padding)"],
  lo: ["padding before", "前端填充"], hi: ["padding after", "后端填充"], op: ["output_padding", "输出填充 (output_padding)"],
  d: ["dilation", "膨胀率"], ci: ["input channels", "输入通道"], co: ["output channels", "输出通道"], g: ["groups", "分组"],
  bias: ["bias", "偏置"], channels: ["both channel counts", "两个通道数"],
  fill_x: ["fill the input", "填充输入的数字"], fill_w: ["fill the kernel", "填充卷积核的数字"],
  ramp: ["1 2 3 …", "1 2 3 …"], ones: ["ones", "全一"], random: ["random", "随机"], impulse: ["a single 1", "单个 1"],
  image: ["image patch", "图像块"], bilinear: ["bilinear", "双线性"],
  paste: ["paste numbers", "粘贴数字"], paste_hint: ["numbers in brackets or in lines", "括号或分行书写的数字"],
  into_x: ["into the input", "写入输入"], into_w: ["into the kernel", "写入卷积核"],
  not_numbers: ["That is not a list of numbers; write them as in 1, 2, 3.", "这不是数字列表；请写成 1, 2, 3。"],
  wrong_count: ["{got} numbers were pasted, and {want} are wanted; change the size first, or paste as many.",
    "粘贴了 {got} 个数字，需要 {want} 个；请先改变大小，或粘贴同样多的数字。"],
  bad_link: ["This link could not be read in full, and was ignored where it could not: {what}",
    "此链接无法完整读取，无法读取的部分已忽略：{what}"],
  bad_state: ["The layer in this link breaks a law; the one before is shown instead.", "链接中的层违反规则，因此显示之前的层。"],
  law_output_padding: [
    "{axis}: output_padding {op} must be smaller than max(stride {s}, dilation {d}). It only chooses among the sizes that one stride leaves open.",
    "{axis}：输出填充 {op} 必须小于 max(步幅 {s}, 膨胀率 {d})。它只在一个步幅留下的几种大小中选择。"],
  law_empty: [
    "{axis}: the output would have {out} cells, {s}*({n}-1) + {d}*({k}-1) + 1 - {lo} - {hi}; it must have at least 1.",
    "{axis}：输出将有 {out} 个元素，{s}*({n}-1) + {d}*({k}-1) + 1 - {lo} - {hi}；至少要有 1 个。"],
  law_groups: ["groups {g} must divide the {ci} input channels and the {co} output channels.",
    "分组数 {g} 必须整除 {ci} 个输入通道和 {co} 个输出通道。"],
  law_large: ["{cells} cells and {products} products are more than this page draws; the pattern repeats.",
    "{cells} 个元素和 {products} 次乘法超出本页能画的范围；图案会重复。"],
  repair: ["set {name} to {value}", "把{name}设为 {value}"],
  still_shown: ["Shown below is the last layer that works.", "下面显示的是最后一个可行的层。"],
  edit_hint: ["Point at a cell to see where it comes from and where it goes; press Enter or double-click to change a number of x or w.",
    "指向一个元素，看它从哪里来、到哪里去；按回车或双击可修改 x 或 w 的数字。"],
  play: ["play", "播放"], pause: ["pause", "暂停"], back: ["step back", "后退一步"], step: ["step", "前进一步"],
  stop: ["whole", "完整"], scrub: ["position", "位置"], speed: ["speed", "速度"],
  by: ["step through", "逐个经过"], by_x: ["inputs (stamp)", "输入（盖章）"], by_p: ["outputs (gather)", "输出（聚集）"],
  by_w: ["taps", "卷积核元素"],
  view: ["view", "视图"], all: ["all views", "全部视图"],
  stamp: ["Stamp", "盖章（散射）"], gather: ["Gather", "聚集"], steps: ["Four steps", "四步法"], matrix: ["Matrix", "矩阵"],
  phases: ["Phases", "相位（亚像素）"], col2im: ["col2im", "col2im"], forward: ["Forward convolution", "正向卷积"],
  coverage: ["Coverage", "覆盖次数"], undo: ["Can it be undone?", "能否还原？"],
  sizes: ["Sizes", "大小"], solver: ["Shape solver", "形状求解"], code: ["Code", "代码"],
  about_stamp: ["Every input stamps the kernel, scaled by its value; where stamps overlap they add up. The frame is the output: padding moves its edges inwards and crops, output_padding moves the far edge out again.",
    "每个输入按自身的值缩放卷积核并盖章；重叠处相加。方框是输出：padding 把边向内移并裁剪，output_padding 再把远端的边向外移。"],
  about_gather: ["Every output collects the inputs and taps that meet there: the input under each tap, times the tap, added up.",
    "每个输出收集在此相遇的输入与卷积核元素：每个核元素下的输入乘以该元素，再相加。"],
  about_steps: ["An ordinary convolution at stride 1: put stride-1 zeros between the inputs, pad with dilation*(kernel-1)-padding zeros, flip the kernel, convolve.",
    "步幅为 1 的普通卷积：在输入之间插入 stride-1 个零，四周补 dilation*(kernel-1)-padding 个零，翻转卷积核，再卷积。"],
  about_matrix: ["The forward convolution is a matrix C; this layer is its transpose, hence the name. C undoes C^T only if C C^T is the identity.",
    "正向卷积是矩阵 C；本层是它的转置，因此得名。只有 C C^T 是单位矩阵时，C 才能还原 C^T。"],
  about_phases: ["Outputs of one colour use the same taps. Each colour is a small ordinary convolution of the input, and they interleave (sub-pixel); no zero is inserted.",
    "同色的输出使用相同的核元素。每种颜色是对输入的一个小卷积，再交错排列（亚像素）；没有插入零。"],
  about_col2im: ["How most frameworks compute it: every tap times every input in one matrix product, then each product is added to its place.",
    "多数框架的算法：一次矩阵乘法得到每个核元素与每个输入的乘积，再把每个乘积加到它的位置。"],
  about_forward: ["The convolution that this layer is the transpose of, with the same kernel, not flipped. It reads y and has the size of x back, not its values.",
    "本层所转置的正向卷积，同一个卷积核，不翻转。它读取 y，得到 x 的大小，而不是 x 的值。"],
  about_coverage: ["How many pairs of input and tap meet at each output. Unevenness with a period is a checkerboard; a cell without any is a hole that holds the bias only.",
    "每个输出处有多少对输入与核元素相遇。周期性的不均匀就是棋盘格；一对也没有的是空洞，只有偏置。"],
  about_undo: ["Up by the layer, down by its transpose, and down by the pseudo-inverse: what comes back of x?",
    "用该层向上，用它的转置向下，再用伪逆向下：x 还剩多少？"],
  input: ["input", "输入"], kernel: ["kernel", "卷积核"], output: ["output", "输出"], canvas: ["canvas", "画布"],
  one_stamp: ["stamp of {name}", "{name} 的印记"], frame_is: ["the frame is {y}", "方框是 {y}"],
  under_taps: ["inputs under the taps", "核元素下的输入"], products: ["products", "乘积"],
  inserted: ["1 zeros between", "1 中间插零"], padded: ["2 zeros around", "2 四周补零"], flipped: ["3 flipped w", "3 翻转的 w"],
  convolved: ["4 convolved", "4 卷积结果"], goes_to: ["added to y at", "加到 y 的位置"], folded: ["folded", "折叠后"],
  phase: ["phase {n}", "相位 {n}"], interleaved: ["interleaved", "交错后"], identity: ["identity", "单位矩阵"],
  padded_y: ["y with padding", "补零的 y"], too_large: ["{what} is too large to show: {rows} by {columns}.", "{what} 太大，无法显示：{rows} × {columns}。"],
  this_layer: ["this layer", "该层"], stack_of: ["stack of {n} layers, {sizes}", "{n} 层堆叠，{sizes}"],
  add_layer: ["add this layer to the stack", "把该层加入堆叠"], clear_stack: ["empty the stack", "清空堆叠"],
  stack_axis: ["The last axis of each layer is stacked.", "堆叠使用每层的最后一个轴。"],
  cover_even: ["Even: away from the borders every output gets {most}. The geometry draws no checkerboard; weights still can.",
    "均匀：远离边界处每个输出得到 {most} 次。几何本身不产生棋盘格；权重仍可能产生。"],
  cover_uneven: ["Uneven: away from the borders outputs get {least} to {most}, with period {period}: a checkerboard.",
    "不均匀：远离边界处输出得到 {least} 到 {most} 次，周期 {period}：棋盘格。"],
  cover_holes: ["Holes: nothing meets at {count} of {all} cells; they hold the bias only.", "空洞：{all} 个元素中有 {count} 个没有任何相遇，只有偏置。"],
  field: ["An output cell sees {field} input cells at most.", "一个输出元素最多看到 {field} 个输入元素（感受野）。"],
  reachable: ["output_padding 0 to {most} chooses from the sizes {from} to {to}.", "输出填充 0 到 {most} 可选大小 {from} 到 {to}。"],
  forward_from: ["The forward convolution maps {from} to {to} cells all to {n}: that is why output_padding exists.",
    "正向卷积把 {from} 到 {to} 个元素都映射为 {n}：这就是输出填充存在的原因。"],
  macs: ["{macs} multiplications, none with an inserted zero; the four steps make {wasted}.", "{macs} 次乘法，没有一次乘以插入的零；四步法要做 {wasted} 次。"],
  from_size: ["from", "从"], to_size: ["to", "到"], any_kernel: ["any", "任意"], solve: ["find layers", "求解"],
  found: ["{n} layers lead from {from} to {to}, best first; choose one to load it.", "{n} 个层从 {from} 到 {to}，最好的在前；点击可载入。"],
  none_found: ["No layer leads from {from} to {to} within kernel 1-7, stride 1-4, padding 0-3, output_padding 0-3.",
    "在卷积核 1-7、步幅 1-4、填充 0-3、输出填充 0-3 范围内，没有从 {from} 到 {to} 的层。"],
  near_found: ["The nearest are {sizes}.", "最接近的是 {sizes}。"],
  even: ["even", "均匀"], uneven: ["uneven", "不均匀"], wasteful: ["cuts inputs, or ends in bias-only cells", "裁掉整个输入，或末端只有偏置"],
  load: ["load", "载入"], macs_head: ["MACs", "乘加次数"], remarks: ["remarks", "备注"],
  copy: ["copy", "复制"], copied: ["copied", "已复制"], copy_link: ["copy link", "复制链接"], link_is: ["The link is in the address bar.", "链接在地址栏中。"],
  save_svg: ["save as SVG", "保存为 SVG"], save_png: ["save as PNG", "保存为 PNG"],
  back_by_transpose: ["C y, down by the transpose", "C y，用转置还原"], back_by_inverse: ["pinv(C^T) y, by the pseudo-inverse", "pinv(C^T) y，用伪逆还原"],
  residual_is: ["{what}: ||back - x|| / ||x|| = {value}", "{what}：||还原 - x|| / ||x|| = {value}"],
  rank_is: ["C^T is {rows} by {columns}, rank {rank}; condition number {condition}.", "C^T 为 {rows} × {columns}，秩 {rank}；条件数 {condition}。"],
  undo_yes: ["Yes: no input is lost, and the pseudo-inverse gives every x back. The transpose does not.", "能：没有丢失任何输入，伪逆可还原每个 x。转置则不能。"],
  undo_both: ["Yes, even by the transpose: C C^T is the identity.", "能，用转置就行：C C^T 是单位矩阵。"],
  undo_no: ["Not every x: inputs from a space of dimension {lost} vanish, C^T x = 0.", "并非每个 x 都能：维数为 {lost} 的输入空间会消失，C^T x = 0。"],
  says_hole: ["{name} = {value}: nothing meets here, it holds the bias only (a hole)", "{name} = {value}：此处没有相遇，只有偏置（空洞）"],
  says_cropped: [": cropped by the padding", "：被填充裁掉"],
  says_outside: ["canvas[{at}]: no stamp reaches here", "canvas[{at}]：没有印记到达"],
  says_input: ["{name} = {value} stamps the kernel on {count} cells, {cropped} of them cropped", "{name} = {value} 在 {count} 个元素上盖章，其中 {cropped} 个被裁剪"],
  says_tap: ["{name} = {value} is used {count} times, for {cropped} cropped cells", "{name} = {value} 被使用 {count} 次，其中 {cropped} 次落在被裁剪处"],
  says_pair: ["{x} * {w} = {value} goes to {to}", "{x} * {w} = {value}，加到 {to}"],
  cropped_cell: ["a cropped cell", "被裁剪的元素"],
  grid_label: ["{title}, {size}. Arrow keys move.", "{title}，{size}。方向键移动。"],
  grid_label_edit: ["{title}, {size}. Arrow keys move, Enter changes the number.", "{title}，{size}。方向键移动，回车修改数字。"],
  new_value: ["new value of {name}", "{name} 的新值"], legend: ["Colours", "颜色"],
  role_input: ["input", "输入"], role_kernel: ["kernel", "卷积核"], role_output: ["output", "输出"], role_cropped: ["cropped", "被裁剪"],
  role_hole: ["bias only", "只有偏置"], role_zero: ["inserted zero", "插入的零"], role_lit: ["takes part", "参与计算"],
  formula: ["output size", "输出大小"],
};

let language = 0;

export const speak = (code) => { language = code === "zh" ? 1 : 0; };

/** The sentence under `key` in the chosen language, with its values. */
export function say(key, values = {}) {
  const text = WORDS[key]?.[language] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => (name in values ? String(values[name]) : `{${name}}`));
}

export const knows = (key) => key in WORDS;

/** Integers in full, other numbers with four digits, as Python's %.4g. */
export function number(value) {
  if (value === Math.round(value) && Math.abs(value) < 1e6) return String(value === 0 ? 0 : value);
  if (!Number.isFinite(value)) return value > 0 ? "∞" : String(value);
  const [mantissa, exponent] = value.toExponential(3).split("e");
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const e = Number(exponent);
  if (e >= -4 && e < 4) return trimmed(value.toPrecision(4));
  return `${trimmed(mantissa)}e${e < 0 ? "-" : "+"}${String(Math.abs(e)).padStart(2, "0")}`;
}

export const factor = (value) => (value < 0 ? `(${number(value)})` : number(value));
export const by = (shape) => shape.join("x");
export const named = (letter, index, channel = null) => `${letter}[${(channel === null ? index : [channel, ...index]).join(",")}]`;
