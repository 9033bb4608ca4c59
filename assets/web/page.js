// The page: a picture is dropped or chosen, and the network's answer is shown.

'use strict';

import { loadNetwork } from './wgrad.js';
import { fitted, normalised, pixelsOf } from './picture.js';

const element = (id) => document.getElementById(id);

// The network's answer to a picture: the picture as the network takes it, its outputs, and the time in milliseconds.
export async function answer(network, bitmap) {
  const { page, input, plan } = network.description;
  const [, height, width, channels] = plan.inputs[input].shape;
  const picture = fitted(pixelsOf(bitmap, page.background), width, height, page.crop);
  const numbers = normalised(picture, channels, page.mean, page.std);
  const start = performance.now();
  const outputs = await network.run({ [input]: numbers });
  return { picture, outputs, milliseconds: performance.now() - start };
}

// Probabilities of classes.
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function draw(canvas, { width, height, pixels }) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at += 1) {
    image.data.set([pixels[at * 3], pixels[at * 3 + 1], pixels[at * 3 + 2], 255], at * 4);
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
}

function row(name, share, text) {
  const line = document.createElement('tr');
  const label = document.createElement('td');
  label.textContent = name;
  const bar = document.createElement('td');
  const meter = document.createElement('meter');
  meter.value = share;
  bar.append(meter);
  const value = document.createElement('td');
  value.textContent = text;
  line.append(label, bar, value);
  return line;
}

// Which class each place of a mask has, as a grey picture.
function mask(values, [height, width, classes]) {
  const pixels = new Uint8Array(height * width * 3);
  for (let at = 0; at < height * width; at += 1) {
    const scores = values.subarray(at * classes, (at + 1) * classes);
    const best = classes === 1 ? Number(scores[0] > 0) : scores.indexOf(Math.max(...scores));
    pixels.fill((best * 255) / Math.max(classes - 1, 1), at * 3, at * 3 + 3);
  }
  return { width, height, pixels };
}

function show(network, { picture, outputs, milliseconds }) {
  const { page, plan } = network.description;
  draw(element('picture'), picture);
  const [name] = Object.keys(plan.outputs);
  const values = outputs[name];
  const shape = plan.outputs[name].shape.slice(1);
  const rows = element('rows');
  rows.replaceChildren();
  element('mask').hidden = true;
  if (page.classes.length === values.length && values.length > 1) {
    const shares = softmax(values);
    const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, 10);
    rows.append(...order.map((at) => row(page.classes[at], shares[at], `${(shares[at] * 100).toFixed(1)}%`)));
  } else if (shape.length === 3) {
    draw(element('mask'), mask(values, shape));
    element('mask').hidden = false;
  } else {
    rows.append(...Array.from(values.slice(0, 20), (value, at) => row(`${name} ${at}`, 0, value.toPrecision(6))));
  }
  element('answer').hidden = false;
  element('status').textContent = `${milliseconds.toFixed(0)} ms`;
}

async function main() {
  const status = element('status');
  try {
    const network = await loadNetwork('.', (ready, all) => {
      status.textContent = `compiling kernels: ${ready} of ${all}`;
    });
    const { page } = network.description;
    document.title = page.title;
    element('title').textContent = page.title;
    status.textContent = 'ready';
    const take = async (file) => {
      try {
        show(network, await answer(network, await createImageBitmap(file)));
      } catch (error) {
        status.textContent = `${file.name}: ${error.message}`;
      }
    };
    const drop = element('drop');
    element('file').addEventListener('change', ({ target }) => target.files[0] && take(target.files[0]));
    drop.addEventListener('dragover', (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
    drop.addEventListener('dragleave', () => drop.classList.remove('over'));
    drop.addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('over');
      const [file] = event.dataTransfer.files;
      if (file) {
        take(file);
      }
    });
  } catch (error) {
    status.textContent = error.message;
  }
}

if (document.getElementById('drop')) {
  main();
}
