"""Average precisions by pycocotools of the random boxes in src/tasks/detection/precision.rs, which expects these figures.

    pip install pycocotools numpy
    python benches/accuracy/coco_figures.py
"""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def noise(seed):
    """The numbers of `case::noise`."""
    state = (seed * 747_796_405 + 2_891_336_453) % 2**32
    while True:
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        yield (state >> 8) / 2**24


numbers = noise(17)


def draw():
    return next(numbers)


annotations, found = [], []
for image in range(40):
    for _ in range(int(1.0 + 7.0 * draw())):
        x, y, w, h = 80.0 * draw(), 80.0 * draw(), 12.0 + 40.0 * draw(), 12.0 + 40.0 * draw()
        label = int(3.0 * draw())
        crowd = draw() < 0.15
        annotations.append(
            dict(id=len(annotations) + 1, image_id=image, category_id=label, bbox=[x, y, w, h], area=w * h, iscrowd=int(crowd))
        )
        for _ in range(int(2.5 * draw())):
            a, b, c, d = (9.0 * s * s - 3.0 for s in (draw(), draw(), draw(), draw()))
            own = label if draw() < 0.9 else 2 - label
            score = np.round(np.float32(draw()) * np.float32(100.0)) / np.float32(100.0)
            box = [x + a, y + b, (x + w + c) - (x + a), (y + h + d) - (y + b)]
            found.append(dict(image_id=image, category_id=own, bbox=box, score=float(score)))

with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=i) for i in range(40)], annotations=annotations, categories=[dict(id=c) for c in range(3)]
    )
    truth.createIndex()
    results = truth.loadRes(found)
    judge = COCOeval(truth, results, "bbox")
    judge.evaluate()
    judge.accumulate()
# [threshold, recall, class, area, detections]
precision = judge.eval["precision"][:, :, :, 0, -1]
for label in range(3):
    own = precision[:, :, label].mean(axis=1)
    print(f"({own[0]:.9}, {own.mean():.9}),")
