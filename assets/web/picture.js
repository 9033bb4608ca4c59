// A picture as the numbers that a network takes, computed as `wgrad predict` does: scaled with a triangle filter whose width
// follows from the scale, cropped in the middle or stretched, made grey if the network takes one channel, and normalised.

'use strict';

// The pixels of a picture, red, green and blue, on the colour `background`.
export function pixelsOf(bitmap, background) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const pixels = new Uint8Array(bitmap.width * bitmap.height * 3);
  for (let at = 0; at < bitmap.width * bitmap.height; at += 1) {
    const alpha = data[at * 4 + 3] / 255;
    for (let channel = 0; channel < 3; channel += 1) {
      pixels[at * 3 + channel] = Math.round(data[at * 4 + channel] * alpha + background[channel] * (1 - alpha));
    }
  }
  return { width: bitmap.width, height: bitmap.height, pixels };
}

// The weights of the pixels of a line of `from` pixels for each pixel of a line of `to`.
function taps(from, to) {
  const ratio = from / to;
  const width = Math.max(ratio, 1);
  return Array.from({ length: to }, (_, at) => {
    const centre = (at + 0.5) * ratio;
    const left = Math.min(Math.max(Math.floor(centre - width), 0), from - 1);
    const right = Math.min(Math.max(Math.ceil(centre + width), left + 1), from);
    const weights = [];
    for (let pixel = left; pixel < right; pixel += 1) {
      weights.push(Math.max(0, 1 - Math.abs((pixel - (centre - 0.5)) / width)));
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { left, weights: weights.map((weight) => weight / sum) };
  });
}

// `picture` with `width` columns and `height` rows.
export function resized({ width: from, height: rows, pixels }, width, height) {
  if (from === width && rows === height) {
    return { width, height, pixels };
  }
  const tall = new Float32Array(from * height * 3);
  taps(rows, height).forEach(({ left, weights }, row) => {
    for (let at = 0; at < from * 3; at += 1) {
      let sum = 0;
      weights.forEach((weight, tap) => {
        sum += weight * pixels[(left + tap) * from * 3 + at];
      });
      tall[row * from * 3 + at] = sum;
    }
  });
  const result = new Uint8Array(width * height * 3);
  taps(from, width).forEach(({ left, weights }, column) => {
    for (let row = 0; row < height; row += 1) {
      for (let channel = 0; channel < 3; channel += 1) {
        let sum = 0;
        weights.forEach((weight, tap) => {
          sum += weight * tall[(row * from + left + tap) * 3 + channel];
        });
        result[(row * width + column) * 3 + channel] = Math.min(Math.max(Math.round(sum), 0), 255);
      }
    }
  });
  return { width, height, pixels: result };
}

// The middle of `picture`, with `width` columns and `height` rows.
function cropped(picture, width, height) {
  const left = Math.floor((picture.width - width) / 2);
  const top = Math.floor((picture.height - height) / 2);
  const pixels = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row += 1) {
    const start = ((row + top) * picture.width + left) * 3;
    pixels.set(picture.pixels.subarray(start, start + width * 3), row * width * 3);
  }
  return { width, height, pixels };
}

// `picture` in the size that the network takes.
export function fitted(picture, width, height, crop) {
  if (!crop || (picture.width === width && picture.height === height)) {
    return resized(picture, width, height);
  }
  const scale = Math.max(width / picture.width, height / picture.height);
  const wide = Math.max(Math.round(picture.width * scale), 1);
  const high = Math.max(Math.round(picture.height * scale), 1);
  return cropped(resized(picture, wide, high), width, height);
}

// The numbers that a network with `channels` channels takes.
export function normalised({ width, height, pixels }, channels, mean, std) {
  const numbers = new Float32Array(width * height * channels);
  for (let at = 0; at < width * height; at += 1) {
    const [red, green, blue] = pixels.subarray(at * 3, at * 3 + 3);
    const values = channels === 1
      ? [(red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16]
      : [red, green, blue];
    values.forEach((value, channel) => {
      numbers[at * channels + channel] = (value / 255 - mean[channel]) / std[channel];
    });
  }
  return numbers;
}
