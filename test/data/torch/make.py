"""Makes gradients.json: what PyTorch says of small random problems. Run by hand: python make.py (needs torch, CPU)."""
import json, random
import torch
import torch.nn.functional as F

torch.manual_seed(1)
random.seed(1)


def numbers(t):
    return {"shape": list(t.shape), "data": [round(v, 7) for v in t.detach().double().flatten().tolist()]}


def case(op, inputs, options, run):
    leaves = [t.clone().requires_grad_() for t in inputs]
    y = run(*leaves)
    weights = torch.randn(y.shape)
    (y * weights).sum().backward()
    return {"op": op, "options": options, "inputs": [numbers(t) for t in inputs], "output": numbers(y), "weights": numbers(weights), "gradients": [numbers(t.grad) for t in leaves]}


cases = []
while len(cases) < 25:
    g = random.choice([1, 1, 2, 3])
    cin, cout = g * random.randint(1, 3), g * random.randint(1, 3)
    k = [random.randint(1, 3), random.randint(1, 3)]
    o = {"stride": [random.randint(1, 3), random.randint(1, 2)], "padding": [random.randint(0, 2), random.randint(0, 2)], "dilation": [random.randint(1, 2), 1], "groups": g}
    x, w, b = torch.randn(random.randint(1, 2), cin, random.randint(5, 8), random.randint(5, 8)), torch.randn(cout, cin // g, *k), torch.randn(cout)
    cases.append(case("conv2d", [x, w, b], o, lambda x, w, b: F.conv2d(x, w, b, **o)))
for _ in range(8):
    s = random.randint(1, 3)
    o = {"stride": s, "padding": random.randint(0, 1), "outputPadding": random.randint(0, s - 1), "groups": 2}
    x, w = torch.randn(1, 4, 4, 5), torch.randn(4, 2, 3, 3)
    cases.append(case("convTranspose2d", [x, w], o, lambda x, w: F.conv_transpose2d(x, w, stride=s, padding=o["padding"], output_padding=o["outputPadding"], groups=2)))
for _ in range(8):
    k = random.randint(2, 3)
    o = {"stride": random.randint(1, 3), "padding": random.randint(0, 1), "ceilMode": random.random() < 0.5}
    x = torch.randn(2, 2, 7, 8)
    cases.append(case("maxPool2d", [x], {"kernelSize": k, **o}, lambda x: F.max_pool2d(x, k, o["stride"], o["padding"], ceil_mode=o["ceilMode"])))
    p = {**o, "countIncludePad": random.random() < 0.5}
    cases.append(case("avgPool2d", [x], {"kernelSize": k, **p}, lambda x: F.avg_pool2d(x, k, p["stride"], p["padding"], p["ceilMode"], p["countIncludePad"])))
cases.append(case("batchNorm", [torch.randn(3, 4, 3, 2), torch.rand(4) + 0.5, torch.randn(4)], {}, lambda x, w, b: F.batch_norm(x, torch.zeros(4), torch.ones(4), w, b, True)))
cases.append(case("linear", [torch.randn(3, 5), torch.randn(4, 5), torch.randn(4)], {}, F.linear))
target = torch.tensor([2, 0, 3, -100])
cases.append(case("crossEntropy", [torch.randn(4, 5)], {"target": target.tolist(), "labelSmoothing": 0.1}, lambda x: F.cross_entropy(x, target, label_smoothing=0.1)))
for name in ["gelu", "silu", "elu", "selu", "celu", "mish", "softplus", "hardswish", "hardsigmoid", "tanh", "sigmoid", "softsign"]:
    cases.append(case(name, [torch.randn(20) * 2], {}, getattr(F, name)))

paths = []
for name, options in [("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}), ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.2}), ("Adam", {"lr": 0.05, "weight_decay": 0.1}), ("AdamW", {"lr": 0.05})]:
    p = torch.tensor([1.0, -0.5, 2.0], requires_grad=True)
    optimizer = getattr(torch.optim, name)([p], **options)
    path = []
    for _ in range(10):
        optimizer.zero_grad()
        (p * p * torch.tensor([1.0, 2.0, 0.5])).sum().backward()
        optimizer.step()
        path.append(p.detach().tolist())
    paths.append({"name": name, "options": options, "path": path})
json.dump({"torch": torch.__version__, "cases": cases, "paths": paths}, open("gradients.json", "w"))
