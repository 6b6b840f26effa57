# SPDX-License-Identifier: MIT
"""PyTorch: a small network is trained as on the CPU; ResNet-50 steps; GPT-2 small decodes."""

import math

import torch
from snippet import check, end, result, steady, timed
from torch import nn
from torch.nn import functional

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = False
torch.manual_seed(2)


def step(model, optimizer, inputs, labels):
    optimizer.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()
    return loss


# ---- A perceptron, with the same losses as on the CPU


def perceptron():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))


inputs, labels = torch.randn(64, 784), torch.randint(0, 10, (64,))
losses = {}
for where in "cpu", "cuda":
    model = perceptron().to(where)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    there = inputs.to(where), labels.to(where)
    losses[where] = [step(model, optimizer, *there).item() for _ in range(20)]
result("losses", *losses["cuda"][::5])
check("the losses are the CPU's", all(math.isclose(x, y, rel_tol=1e-3, abs_tol=1e-4)
                                      for x, y in zip(losses["cpu"], losses["cuda"])), str(losses))
check("and fall", losses["cuda"][-1] < losses["cuda"][0] / 2)
adam = torch.optim.Adam(model.parameters())
for _ in range(20):
    step(model, adam, *there)
timed("step of a perceptron, batch 64", lambda: step(model, adam, *there), 50, torch.cuda.synchronize)
steady("step of a perceptron", lambda: step(model, adam, *there), 100, torch.cuda.synchronize)


# ---- ResNet-50


class Bottleneck(nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width))
        self.short = nn.Identity() if inside == 4 * width and stride == 1 else nn.Sequential(
            nn.Conv2d(inside, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x):
        return functional.relu(self.body(x) + self.short(x))


def resnet50():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for width, blocks, stride in (64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2):
        for block in range(blocks):
            layers.append(Bottleneck(inside, width, stride if block == 0 else 1))
            inside = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 1000))


model = resnet50().cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
images, classes = torch.randn(32, 3, 224, 224, device="cuda"), torch.randint(0, 1000, (32,), device="cuda")
trail = [step(model, optimizer, images, classes).item() for _ in range(8)]
check("ResNet-50 learns its batch", all(map(math.isfinite, trail)) and min(trail) < trail[0], str(trail))
timed("step of ResNet-50, batch 32", lambda: step(model, optimizer, images, classes), 10, torch.cuda.synchronize)
steady("step of ResNet-50", lambda: step(model, optimizer, images, classes), 10, torch.cuda.synchronize)
del model, optimizer, images


# ---- GPT-2 small, one token at a time with the keys and values kept


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, kept):
        batch, length, width = x.shape
        query, key, value = (part.view(batch, length, self.heads, -1).transpose(1, 2)
                             for part in self.qkv(self.norm1(x)).split(width, 2))
        if kept is not None:
            key, value = torch.cat((kept[0], key), 2), torch.cat((kept[1], value), 2)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=kept is None)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x)))), (key, value)


class Gpt(nn.Module):
    def __init__(self, layers, width, heads, words=50257, places=1024):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(places, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens, start, kept):
        x = self.words(tokens) + self.places(torch.arange(start, start + tokens.shape[1], device=tokens.device))
        now = []
        for block, before in zip(self.blocks, kept):
            x, pair = block(x, before)
            now.append(pair)
        return self.norm(x[:, -1]) @ self.words.weight.T, now


@torch.no_grad()
def decode(model, prompt, count):
    scores, kept = model(prompt, 0, [None] * len(model.blocks))
    tokens, start = [], prompt.shape[1]
    for _ in range(count):
        token = scores.argmax(1, keepdim=True)
        tokens.append(token)
        scores, kept = model(token, start, kept)
        start += 1
    return torch.cat(tokens, 1)


torch.manual_seed(4)
tiny, prompt = Gpt(2, 64, 4, words=500).eval(), torch.tensor([[3, 14, 159, 265]])
want = decode(tiny, prompt, 24)
have = decode(tiny.cuda(), prompt.cuda(), 24).cpu()
check("a tiny GPT decodes what it does on the CPU", torch.equal(want, have), f"{want.tolist()} {have.tolist()}")
result("its tokens", *have[0, :12].tolist())
small = Gpt(12, 768, 12).eval().cuda()
prompt = prompt.cuda()
first = decode(small, prompt, 16)
check("GPT-2 small decodes the same twice", torch.equal(first, decode(small, prompt, 16)))
timed("GPT-2 small, 32 tokens of batch 1", lambda: decode(small, prompt, 32), 5, torch.cuda.synchronize)
steady("32 tokens of GPT-2 small", lambda: decode(small, prompt, 32), 5, torch.cuda.synchronize)
end()
