"""The networks of the training steps of `wgrad bench`, in PyTorch."""

import torch.nn.functional as F
from torch import nn


def cnn():
    """The Keras MNIST CNN."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 5 * 5, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


class Lstm(nn.Module):
    """128 units over rows of 28 numbers, and a dense layer on the last state."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Transformer(nn.Module):
    """A block of 4 causal heads, 128 wide: attention, then two dense layers, each after a normalization and beside a shortcut."""

    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(128), nn.LayerNorm(128)
        self.qkv, self.proj = nn.Linear(128, 3 * 128), nn.Linear(128, 128)
        self.up, self.down = nn.Linear(128, 4 * 128), nn.Linear(4 * 128, 128)

    def forward(self, x):
        batch, time, width = x.shape
        heads = (part.view(batch, time, 4, 32).transpose(1, 2) for part in self.qkv(self.n1(x)).split(width, dim=2))
        y = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(batch, time, width))
        return x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh"))


class Gpt(nn.Module):
    """4 blocks over 128 of 65 letters."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(65, 128), nn.Embedding(128, 128)
        self.blocks = nn.Sequential(*(Transformer() for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 65, bias=False)

    def forward(self, letters):
        x = self.tokens(letters) + self.positions.weight
        return self.head(self.norm(self.blocks(x)))


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity()
        if stride != 1:
            conv = nn.Conv2d(channels, filters, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(filters))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    """For images of 32 x 32: a first convolution of 3 x 3 without stride, and no pooling after it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths, layers = [64, 64, 128, 256, 512], []
        for stage in range(4):
            stride = 1 if stage == 0 else 2
            layers.append(Residual(widths[stage], widths[stage + 1], stride))
            layers.append(Residual(widths[stage + 1], widths[stage + 1], 1))
        self.layers, self.fc = nn.Sequential(*layers), nn.Linear(512, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layers(x).mean((2, 3)))
