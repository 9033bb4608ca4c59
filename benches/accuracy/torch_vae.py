"""Train the variational autoencoder of a wgrad run in PyTorch, by the run's own settings.

    python torch_vae.py RUN [--seed N] [--threads N]

RUN is the folder of a run of the built-in models `vae-encoder` and `vae-decoder` on IDX files: data, batch, epochs, Adam's learning
rate and `task.kl_weight` are read in its run.toml. Weights are drawn here by the same rule, PyTorch's own.
Printed after each epoch are the evidence lower bound of the test images and its two parts, in nats for each image, with one
sample of the latent numbers.

Needs torch and numpy; Python 3.11 for tomllib.
"""

import argparse
import sys
import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from torch_data import load
from torch_train import factor_of, optimizer_of


class Encoder(nn.Module):
    """assets/models/vae-encoder.toml"""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 400)
        self.mean = nn.Linear(400, 20)
        self.log_variance = nn.Linear(400, 20)

    def forward(self, x):
        x = self.hidden(x.flatten(1)).relu()
        return self.mean(x), self.log_variance(x)


class Decoder(nn.Module):
    """assets/models/vae-decoder.toml"""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 400)
        self.pixels = nn.Linear(400, 784)

    def forward(self, z):
        return self.pixels(self.hidden(z).relu())


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x):
        """Cross-entropy and divergence of each image."""
        mean, log_variance = self.encoder(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        entropy = F.binary_cross_entropy_with_logits(self.decoder(z), x.flatten(1), reduction="none").sum(1)
        return entropy, 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    settings = tomllib.loads((arguments.run / "run.toml").read_text())
    names = [settings["models"][role]["name"] for role in ("encoder", "decoder")]
    if names != ["vae-encoder", "vae-decoder"]:
        sys.exit("these are the built-in models vae-encoder and vae-decoder in PyTorch; the run has others")
    torch.manual_seed(settings["seed"] if arguments.seed is None else arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    (train, _), (test, _) = load(settings["data"])
    train, test = train.float() / 255, test.float() / 255
    weight = settings["task"].get("kl_weight", 1.0)
    model = Vae()
    optimizer = optimizer_of(settings["optimizer"], model.parameters())
    base, batch, epochs = settings["optimizer"]["lr"], settings["batch"], settings["epochs"]
    each = -(-len(train) // batch)
    step = 0
    for epoch in range(epochs):
        for rows in torch.randperm(len(train)).split(batch):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = base * factor_of(settings["schedule"], step, epochs * each)
            entropy, kl = model(train[rows])
            loss = (entropy + weight * kl).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            entropy, kl = (torch.cat(part).double().mean() for part in zip(*(model(x) for x in test.split(500))))
        print(f"epoch {epoch + 1}/{epochs}  elbo {-(entropy + kl):.2f}  reconstruction {entropy:.2f}  kl {kl:.2f}", flush=True)


if __name__ == "__main__":
    main()
