//! The report of a detector, and the sample case of the task.

use super::draw::{DrawnBox, draw};
use super::{ObjectDetection, PICTURE, of_classes, true_boxes};
use crate::data::{Field, FieldValues, Samples, Starts, WindowRows, field};
use crate::error::Result;
use crate::tasks::case::noise;
use crate::tasks::{Evaluated, Section, TaskCase, figures};
use std::fmt::Write as _;
use std::sync::Arc;

/// Number of images in the report.
pub(super) const SHOWN: usize = 6;
/// Side of the images of the report, at least.
const SIDE: u32 = 240;

/// The sections of the report.
pub(super) fn sections(task: &ObjectDetection, found: &Evaluated<'_>) -> Vec<Section> {
    let mut sections = Vec::new();
    sections.extend(table(found));
    sections.extend(pictures(task, found));
    sections
}

/// The average precisions as a table.
fn table(found: &Evaluated<'_>) -> Option<Section> {
    let classes = of_classes(found.counters);
    if classes.is_empty() {
        return None;
    }
    let mut html = String::from(
        "<table><tr><th>class</th><th>AP at IoU 0.5</th><th>AP at IoU 0.5 to 0.95</th></tr>",
    );
    for (class, own) in classes.iter().enumerate() {
        let name = found.fitted.classes.get(class).cloned();
        let name = crate::html::escape(&name.unwrap_or_else(|| class.to_string()));
        let _ = match own {
            Some([at_50, mean]) => write!(
                html,
                "<tr><td>{name}</td><td>{:.2}%</td><td>{:.2}%</td></tr>",
                100.0 * at_50,
                100.0 * mean
            ),
            None => write!(
                html,
                "<tr><td>{name}</td><td colspan=\"2\">does not occur</td></tr>"
            ),
        };
    }
    html.push_str("</table>");
    Some(Section {
        title: "Average precision".to_string(),
        html,
    })
}

/// The first images, with the true and the found boxes side by side.
fn pictures(task: &ObjectDetection, found: &Evaluated<'_>) -> Option<Section> {
    let (_, shape, pixels) = found.outputs.iter().find(|(name, ..)| name == PICTURE)?;
    let each = shape.iter().product::<usize>().max(1);
    let mut rows = Vec::new();
    for (index, pixels) in pixels.chunks(each).take(SHOWN).enumerate() {
        let bytes = figures::bytes(pixels, found.fitted);
        let picture = figures::colours(shape, Some(&bytes))?;
        let outputs: Vec<(&str, &[usize], &[f32])> = found
            .outputs
            .iter()
            .filter_map(|(name, shape, values)| {
                let each = shape.iter().product::<usize>();
                let own = values.get(index * each..(index + 1) * each)?;
                Some((&**name, &shape[..], own))
            })
            .collect();
        let predicted = task.found(&outputs, [shape[0], shape[1]]).ok()?;
        let name = |class: usize| found.fitted.classes.get(class).cloned().unwrap_or_default();
        let truth = true_boxes(found.samples, index)
            .into_iter()
            .map(|own| DrawnBox {
                corners: own.corners,
                class: own.class,
                text: name(own.class),
            });
        let predicted = predicted.iter().rev().map(|own| DrawnBox {
            corners: own.corners,
            class: own.class,
            text: format!("{} {:.2}", name(own.class), own.score),
        });
        let drawn = [truth.collect::<Vec<_>>(), predicted.collect()].map(|boxes| {
            let factor = SIDE
                .div_ceil(picture.width().min(picture.height()).max(1))
                .max(1);
            let mut large = image::imageops::resize(
                &picture,
                picture.width() * factor,
                picture.height() * factor,
                image::imageops::FilterType::Nearest,
            );
            let scaled = boxes.into_iter().map(|own| DrawnBox {
                corners: own.corners.map(|x| x * f64::from(factor)),
                ..own
            });
            draw(&mut large, &scaled.collect::<Vec<_>>());
            figures::encoded(&large.into())
        });
        let [truth, predicted] = drawn;
        rows.push([truth.ok()?, predicted.ok()?]);
    }
    figures::pairs(
        "Boxes of the data, and those found",
        ["data", "found"],
        &rows,
    )
}

/// Dark pictures with a bright and a grey square, each in another place.
pub(super) fn sample() -> Result<TaskCase> {
    const SIZE: usize = 16;
    const COUNT: usize = 12;
    let mut numbers = noise(23);
    let mut below = |most: usize| (numbers.next().unwrap_or(0.0) * most as f32) as usize;
    let (mut bytes, mut values) = (vec![0_u8; COUNT * SIZE * SIZE], Vec::new());
    for index in 0..COUNT {
        let mut boxes = 0;
        for (class, grey, side) in [(0.0, 255, 5), (1.0, 128, 7)] {
            // Some pictures have only one of the two.
            if (index + boxes) % 4 == 3 {
                continue;
            }
            // One in the upper half, one in the lower.
            let (x, y) = (below(SIZE - side), below(2) + 8 * boxes);
            for row in y..(y + side).min(SIZE) {
                let start = (index * SIZE + row) * SIZE + x;
                bytes[start..start + side].fill(grey);
            }
            let bottom = (y + side).min(SIZE);
            values.extend([
                x as f32,
                y as f32,
                (x + side) as f32,
                bottom as f32,
                class,
                0.0,
            ]);
            boxes += 1;
        }
        values.extend((boxes..2).flat_map(|_| field::NO_BOX));
    }
    let image = Field {
        name: field::IMAGE,
        values: FieldValues::Pixels {
            bytes,
            shape: [SIZE, SIZE, 1],
        },
    };
    let boxes = Field {
        name: field::BOXES,
        values: FieldValues::Windows {
            rows: Arc::new(WindowRows::Floats { values, columns: 6 }),
            offset: 0,
            length: 2,
        },
    };
    let starts = Starts {
        first: (0..COUNT as u32).map(|index| 2 * index).collect(),
        anywhere: false,
        span: 2,
        rows: 2 * COUNT,
    };
    let samples = Samples::new(COUNT, vec![image, boxes], Some(starts));
    let mut case = TaskCase::new("detection", samples)?
        .classes(&["bright", "grey"])
        .pixels(1, 0.2, 0.3)
        .model(
            "",
            r#"
            name = "tiny"
            input = [16, 16, 1]
            outputs = ["classes4", "boxes4", "classes8", "boxes8"]
            layer = [
                { type = "conv2d", filters = 8, kernel = 3, stride = 2, padding = "same", activation = "relu" },
                { name = "fine", type = "conv2d", filters = 16, kernel = 5, stride = 2, padding = "same", activation = "relu" },
                { name = "coarse", type = "conv2d", filters = 16, kernel = 3, stride = 2, padding = "same", activation = "relu" },
                { name = "classes4", type = "conv2d", input = "fine", filters = "classes", kernel = 3, padding = "same", bias_init = -2 },
                { name = "boxes4", type = "conv2d", input = "fine", filters = 5, kernel = 3, padding = "same" },
                { name = "classes8", type = "conv2d", input = "coarse", filters = "classes", kernel = 1, bias_init = -2 },
                { name = "boxes8", type = "conv2d", input = "coarse", filters = 5, kernel = 1 },
            ]
            classes = 2
            "#,
        )?;
    case.reaches = ("map_50", 0.9);
    case.epochs = 80;
    Ok(case)
}
