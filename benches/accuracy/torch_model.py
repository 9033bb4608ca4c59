"""A model of a wgrad run file as a module of PyTorch, with the same names of weights."""

import sys

import torch
import torch.nn.functional as F
from torch import nn

PREFIX = {"max_pool2d": "pool", "avg_pool2d": "pool", "conv2d": "conv"}
ACTIVATIONS = {
    "none": lambda x: x,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
}


def filled(value, values):
    """`value` of a layer of a block, with its parameters filled in."""
    if isinstance(value, str) and value.startswith("$"):
        return values[value[1:]]
    return value


def expanded(layers, blocks, scope="", entry="input"):
    """Layers with blocks written out: (name, names of what it takes, table). Gives them, the name of the last result, and that of
    the result of each layer."""
    result, counts, names, last = [], {}, {"input": entry}, entry
    for layer in layers:
        layer = dict(layer)
        kind = layer["type"]
        short = PREFIX.get(kind, kind)
        counts[short] = counts.get(short, 0) + 1
        own = layer.pop("name", f"{short}{counts[short]}")
        taken = layer.pop("inputs", None) or ([layer.pop("input")] if "input" in layer else None)
        taken = [names[name] for name in taken] if taken else [last]
        if layer.pop("when", True) is False:
            names[own] = taken[0]
            last = taken[0]
            continue
        name = scope + own
        if kind == "block":
            block, repeat = blocks[layer["block"]], layer.get("repeat")
            at = taken[0]
            for i in range(repeat or 1):
                values = block.get("defaults", {}) | layer.get("with", {})
                values |= layer.get("first", {}) if i == 0 else {}
                inner = [{key: filled(v, values) for key, v in item.items()} for item in block["layer"]]
                parts, at, _ = expanded(inner, blocks, f"{name}.{i}." if repeat else f"{name}.", at)
                result += parts
            names[own] = last = at
            continue
        result.append((name, taken, layer))
        names[own] = last = name
    return result, last, names


def pair(value):
    return tuple(value) if isinstance(value, list) else (value, value)


def padding_of(layer, kernel, dilation=(1, 1)):
    """What F.pad takes: left, right, top, bottom."""
    padding = layer.get("padding", "valid")
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel)]
        sides = [[t // 2, t - t // 2] for t in total]
    else:
        sides = padding if isinstance(padding, list) else [[padding, padding]] * 2
    return (*sides[1], *sides[0])


def start(weight, rule):
    """Draws the start of a weight."""
    rules = {
        "glorot_uniform": nn.init.xavier_uniform_,
        "glorot_normal": nn.init.xavier_normal_,
        "kaiming_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
        "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
        "kaiming_normal_fan_out": lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
        "pytorch": lambda w: w,
    }
    rules[rule](weight)


class Model(nn.Module):
    """Takes pictures [N, C, H, W], gives logits: a list of them if the model has several outputs."""

    def __init__(self, spec):
        super().__init__()
        self.layers, last, names = expanded(spec["layer"], spec.get("block", {}))
        self.outputs = [names[name] for name in spec.get("outputs", [])] or [last]
        self.sizes = {key: spec[key] for key in ("classes", "targets") if key in spec}
        size = spec["input"]
        height, width, channels = size["shape"] if isinstance(size, dict) else size
        shapes = {"input": (channels, height, width)}
        for name, taken, layer in self.layers:
            shapes[name] = self.add(name, layer, [shapes[t] for t in taken], spec.get("weight_init", "glorot_uniform"))

    def put(self, name, module):
        """Under a name with dots, where PyTorch wants a module for each."""
        parent = self
        *path, last = name.split(".")
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        parent.add_module(last, module)

    def add(self, name, layer, shapes, rule):
        """Makes the module of a layer, and gives the shape of its result."""
        kind, shape = layer["type"], shapes[0]
        if kind in ("conv2d", "max_pool2d", "avg_pool2d"):
            kernel = pair(layer["kernel" if kind == "conv2d" else "size"])
            stride = pair(layer.get("stride", 1 if kind == "conv2d" else layer["size"]))
            dilation = pair(layer.get("dilation", 1))
            pads = padding_of(layer, kernel, dilation)
            sides = [
                (shape[1 + i] + pads[2 - 2 * i] + pads[3 - 2 * i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
                for i in range(2)
            ]
        if kind == "conv2d":
            filters = self.sizes.get(layer["filters"], layer["filters"])
            module = nn.Conv2d(
                shape[0], filters, kernel, stride, 0, dilation, layer.get("groups", 1), layer.get("bias", True)
            )
            result = (filters, *sides)
        elif kind == "conv_transpose2d":
            kernel, stride = pair(layer["kernel"]), pair(layer.get("stride", 1))
            asked = {key for key in ("padding", "output_padding", "dilation", "groups") if layer.get(key) not in DEFAULTS[key]}
            if asked:
                sys.exit(f"{name}: {', '.join(sorted(asked))} of transposed convolutions are not here yet")
            module = nn.ConvTranspose2d(shape[0], layer["filters"], kernel, stride, bias=layer.get("bias", True))
            result = (layer["filters"], *((shape[1 + i] - 1) * stride[i] + kernel[i] for i in range(2)))
        elif kind in ("max_pool2d", "avg_pool2d"):
            if kind == "avg_pool2d" and any(pads):
                sys.exit(f"{name}: avg_pool2d with padding is not here yet")
            return (shape[0], *sides)
        elif kind == "global_avg_pool2d":
            return (shape[0],)
        elif kind == "flatten":
            return (shape[0] * shape[1] * shape[2],)
        elif kind == "dense":
            module = nn.Linear(shape[0], layer["units"], layer.get("bias", True))
            result = (layer["units"],)
        elif kind == "batch_norm":
            types = {1: nn.BatchNorm1d, 3: nn.BatchNorm2d}
            module = types[len(shape)](
                shape[0], layer.get("eps", 1e-5), layer.get("momentum", 0.1), layer.get("affine", True)
            )
            self.put(name, module)
            return shape
        elif kind == "local_response_norm":
            self.put(name, nn.LocalResponseNorm(layer["size"], *(layer.get(k, d) for k, d in LRN)))
            return shape
        elif kind == "dropout":
            self.put(name, nn.Dropout(layer["rate"]))
            return shape
        elif kind == "pad_channels":
            return (layer["channels"], *shape[1:])
        elif kind in ("activation", "add", "multiply"):
            return shape
        elif kind == "upsample":
            factor = pair(layer["factor"])
            return (shape[0], shape[1] * factor[0], shape[2] * factor[1])
        elif kind == "concat":
            return (sum(s[0] for s in shapes), *shape[1:])
        else:
            sys.exit(f"{name}: layers of type {kind} are not here yet")
        rule = layer.get("weight_init", rule)
        if isinstance(rule, dict):
            nn.init.normal_(module.weight, std=rule["normal"])
        else:
            start(module.weight, rule)
        if module.bias is not None and rule != "pytorch":
            nn.init.constant_(module.bias, layer.get("bias_init", 0))
        self.put(name, module)
        return result

    def forward(self, x):
        values = {"input": x}
        for name, taken, layer in self.layers:
            values[name] = self.run(name, layer, [values[t] for t in taken])
        results = [values[name] for name in self.outputs]
        return results if len(results) > 1 else results[0]

    def run(self, name, layer, inputs):
        kind, x = layer["type"], inputs[0]
        if kind == "conv2d":
            module = self.get_submodule(name)
            x = module(F.pad(x, padding_of(layer, module.kernel_size, module.dilation)))
        elif kind in ("max_pool2d", "avg_pool2d"):
            size = pair(layer["size"])
            pads = padding_of(layer, size)
            pool = F.max_pool2d if kind == "max_pool2d" else F.avg_pool2d
            if any(pads):
                x = F.pad(x, pads, value=float("-inf"))
            x = pool(x, size, pair(layer.get("stride", layer["size"])))
        elif kind == "global_avg_pool2d":
            x = x.mean((2, 3))
        elif kind == "flatten":
            x = x.flatten(1)
        elif kind == "pad_channels":
            more = layer["channels"] - x.shape[1]
            x = F.pad(x, (0, 0, 0, 0, more // 2, more - more // 2))
        elif kind == "add":
            x = sum(inputs[1:], x)
        elif kind == "multiply":
            for other in inputs[1:]:
                x = x * other
        elif kind == "concat":
            x = torch.cat(inputs, 1)
        elif kind == "upsample":
            bilinear = layer.get("mode", "nearest") == "bilinear"
            options = dict(mode="bilinear", align_corners=False) if bilinear else dict(mode="nearest")
            x = F.interpolate(x, scale_factor=tuple(map(float, pair(layer["factor"]))), **options)
        elif kind != "activation":
            x = self.get_submodule(name)(x)
        function = layer.get("function", layer.get("activation", "none"))
        return ACTIVATIONS[function](x)


# What a transposed convolution has where its table says nothing of it.
DEFAULTS = {"padding": (None, "valid", 0), "output_padding": (None, 0), "dilation": (None, 1), "groups": (None, 1)}

# Arguments of nn.LocalResponseNorm after the size, with their defaults.
LRN = [("alpha", 1e-4), ("beta", 0.75), ("k", 1.0)]
