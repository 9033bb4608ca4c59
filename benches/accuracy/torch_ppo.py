"""Proximal policy optimization on CartPole-v1 in PyTorch, with CleanRL's recipe, as examples/cart-pole.toml has it.

    pip install torch gymnasium numpy
    python torch_ppo.py --seed 1

Prints a line every 25,000 steps and, at the end, the mean return of the last 100 episodes.
"""

import argparse
import time

import gymnasium
import numpy
import torch
from torch import nn

ENVIRONMENTS, ROLLOUT, PASSES, BATCH = 4, 128, 4, 128
GAMMA, LAMBDA, CLIP, ENTROPY, VALUE = 0.99, 0.95, 0.2, 0.01, 0.5
RATE, NORM = 2.5e-4, 0.5


def layer(inputs, outputs, gain=2**0.5):
    made = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(made.weight, gain)
    nn.init.zeros_(made.bias)
    return made


def network(inputs, outputs, gain):
    return nn.Sequential(layer(inputs, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, outputs, gain))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=500_000)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(1)
    environments = [gymnasium.make("CartPole-v1") for _ in range(ENVIRONMENTS)]
    columns = environments[0].observation_space.shape[0]
    actor, critic = network(columns, environments[0].action_space.n, 0.01), network(columns, 1, 1.0)
    weights = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(weights, lr=RATE, eps=1e-5)
    seen = numpy.stack([made.reset(seed=given.seed + i)[0] for i, made in enumerate(environments)])
    done = numpy.zeros(ENVIRONMENTS, dtype=numpy.float32)
    totals, returns, begun = numpy.zeros(ENVIRONMENTS), [], time.time()
    iterations = given.steps // (ROLLOUT * ENVIRONMENTS)
    for iteration in range(iterations):
        optimizer.param_groups[0]["lr"] = RATE * (1 - iteration / iterations)
        rows, taken, logs, values, rewards, dones = [], [], [], [], [], []
        for _ in range(ROLLOUT):
            x = torch.tensor(seen)
            with torch.no_grad():
                policy = torch.distributions.Categorical(logits=actor(x))
                action = policy.sample()
                logs.append(policy.log_prob(action))
                values.append(critic(x)[:, 0])
            rows.append(x)
            taken.append(action)
            dones.append(torch.tensor(done))
            reward = numpy.zeros(ENVIRONMENTS, dtype=numpy.float32)
            for i, made in enumerate(environments):
                observation, reward[i], terminated, truncated, _ = made.step(int(action[i]))
                totals[i] += reward[i]
                done[i] = float(terminated or truncated)
                if done[i]:
                    returns.append(totals[i])
                    totals[i] = 0
                    observation, _ = made.reset()
                seen[i] = observation
            rewards.append(torch.tensor(reward))
        with torch.no_grad():
            values.append(critic(torch.tensor(seen))[:, 0])
        dones.append(torch.tensor(done))
        advantages, later = [None] * ROLLOUT, 0
        for t in reversed(range(ROLLOUT)):
            goes_on = 1 - dones[t + 1]
            error = rewards[t] + GAMMA * goes_on * values[t + 1] - values[t]
            later = error + GAMMA * LAMBDA * goes_on * later
            advantages[t] = later
        rows, taken, logs, advantages = (torch.cat(x) for x in (rows, taken, logs, advantages))
        values = torch.cat(values[:-1])
        wanted = advantages + values
        for _ in range(PASSES):
            for places in torch.randperm(len(rows)).split(BATCH):
                policy = torch.distributions.Categorical(logits=actor(rows[places]))
                ratio = (policy.log_prob(taken[places]) - logs[places]).exp()
                gain = advantages[places]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                policy_loss = torch.max(-gain * ratio, -gain * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                value, old = critic(rows[places])[:, 0], values[places]
                near = old + (value - old).clamp(-CLIP, CLIP)
                errors = torch.max((value - wanted[places]) ** 2, (near - wanted[places]) ** 2)
                loss = policy_loss - ENTROPY * policy.entropy().mean() + VALUE * 0.5 * errors.mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(weights, NORM)
                optimizer.step()
        steps = (iteration + 1) * ROLLOUT * ENVIRONMENTS
        if steps // 25_000 > (steps - ROLLOUT * ENVIRONMENTS) // 25_000:
            print(f"{steps} steps  last 100: {numpy.mean(returns[-100:]):.2f}  {time.time() - begun:.0f} s", flush=True)
    print(f"seed {given.seed}: mean return of the last 100 episodes {numpy.mean(returns[-100:]):.2f} after {time.time() - begun:.0f} s")


main()
