//! Features of samples: how well classes are told apart by the nearest neighbour, and a picture of their two main components.

use crate::html::plot::{Axis, COLOURS, Curve, Plot};
use crate::tasks::Section;
use rayon::prelude::*;

/// Samples of which neighbours are searched, the first ones: every one is compared with every other.
const MOST_COMPARED: usize = 4096;
/// Samples that are drawn, the first ones.
const MOST_DRAWN: usize = 1500;
/// Steps of the power iteration. The error shrinks in each by the ratio of neighbouring variances.
const ITERATIONS: usize = 100;

/// The share of samples whose most similar other sample, by the cosine of their features, has the same label; of the first samples, if
/// there are many. `values` are `width` features of each sample. `None` for fewer than two samples.
pub fn nearest_neighbour_accuracy(values: &[f32], width: usize, labels: &[u32]) -> Option<f64> {
    let count = (values.len() / width.max(1))
        .min(labels.len())
        .min(MOST_COMPARED);
    if count < 2 {
        return None;
    }
    let mut rows = values[..count * width].to_vec();
    for row in rows.chunks_exact_mut(width) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= length.max(1e-12));
    }
    let row = |index: usize| &rows[index * width..][..width];
    let nearest = |index: usize| {
        let others = (0..count).filter(|&other| other != index);
        let similar = others.map(|other| {
            let products = row(index).iter().zip(row(other)).map(|(a, b)| a * b);
            (products.sum::<f32>(), other)
        });
        similar.reduce(|best, next| if next.0 > best.0 { next } else { best })
    };
    let right = (0..count)
        .into_par_iter()
        .filter(|&index| nearest(index).is_some_and(|(_, other)| labels[other] == labels[index]));
    Some(right.count() as f64 / count as f64)
}

/// The two directions in which features vary most, and the coordinates of the samples along them.
#[derive(Clone, Debug)]
pub struct Components {
    /// The coordinates of each sample.
    pub points: Vec<[f64; 2]>,
    /// The share of the variance in each direction.
    pub shares: [f64; 2],
}

impl Components {
    /// The main components of `values`, `width` features of each sample; `None` if they do not vary, or are not finite.
    pub fn of(values: &[f32], width: usize) -> Option<Components> {
        let rows: Vec<&[f32]> = values.chunks_exact(width.max(1)).collect();
        let count = rows.len() as f64;
        let mut mean = vec![0.0; width];
        for row in &rows {
            mean.iter_mut()
                .zip(*row)
                .for_each(|(sum, &x)| *sum += f64::from(x) / count);
        }
        let centred: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| {
                row.iter()
                    .zip(&mean)
                    .map(|(&x, m)| f64::from(x) - m)
                    .collect()
            })
            .collect();
        let total: f64 = centred.iter().flatten().map(|x| x * x).sum();
        if !(total > 0.0 && total.is_finite()) {
            return None;
        }
        let first = direction(&centred, width, None);
        let second = direction(&centred, width, Some(&first));
        let along = |row: &[f64], axis: &[f64]| dot(row, axis);
        let points: Vec<[f64; 2]> = centred
            .iter()
            .map(|row| [along(row, &first), along(row, &second)])
            .collect();
        let share =
            |axis: usize| points.iter().map(|point| point[axis].powi(2)).sum::<f64>() / total;
        Some(Components {
            shares: [share(0), share(1)],
            points,
        })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The unit vector along which centred `rows` vary most, at right angles to `first`, by power iteration.
fn direction(rows: &[Vec<f64>], width: usize, first: Option<&[f64]>) -> Vec<f64> {
    // Any start that is not at right angles to the direction will do.
    let mut axis: Vec<f64> = (0..width).map(|at| 1.0 + (at % 7) as f64 / 7.0).collect();
    for _ in 0..ITERATIONS {
        let mut next = vec![0.0; width];
        for row in rows {
            let share = dot(row, &axis);
            next.iter_mut()
                .zip(row)
                .for_each(|(sum, x)| *sum += share * x);
        }
        if let Some(first) = first {
            let share = dot(&next, first);
            next.iter_mut()
                .zip(first)
                .for_each(|(x, f)| *x -= share * f);
        }
        let length = dot(&next, &next).sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return vec![0.0; width];
        }
        axis = next.into_iter().map(|x| x / length).collect();
    }
    axis
}

/// A chart of the two main components of `values`, `width` features of each sample, in the colours of their classes.
pub(in crate::tasks) fn components_section(
    values: &[f32],
    width: usize,
    labels: &[u32],
    classes: &[String],
) -> Option<Section> {
    let drawn = (values.len() / width.max(1)).min(MOST_DRAWN);
    let components = Components::of(&values[..drawn * width], width)?;
    let known = labels.len() >= drawn && !classes.is_empty();
    let groups = match known {
        true => classes.len(),
        false => 1,
    };
    let curves = (0..groups).map(|class| {
        let of_class = |index: &usize| !known || labels[*index] as usize == class;
        let points = (0..drawn).filter(of_class).map(|index| {
            let [x, y] = components.points[index];
            (x, y)
        });
        let name = classes.get(class).filter(|_| known);
        let radius = 2.0 + 1.5 * (class / COLOURS) as f64;
        let colour = format!("c{}", class % COLOURS);
        let name = name.map_or("", |name| name.as_str());
        Curve::dots(name, &colour, points.collect(), radius)
    });
    let [first, second] = components.shares.map(|share| 100.0 * share);
    let axis = |number: usize, share: f64| {
        let values = components.points.iter().map(|point| point[number]);
        let title = ["first", "second"][number];
        Axis::over(
            &format!("{title} component, {share:.0}% of the variance"),
            values,
        )
    };
    let plot = Plot {
        title: format!("{width} features of {drawn} samples"),
        x: axis(0, first)?,
        y: axis(1, second)?,
        bars: Vec::new(),
        curves: curves.collect(),
    };
    Some(Section {
        title: "Main components of the features".to_string(),
        html: plot.html(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_the_class_of_their_nearest_neighbour_or_not() {
        let values = [1.0, 0.0, 0.9, 0.1, 0.0, 2.0, 0.1, 1.0, 0.1, 0.9];
        let accuracy = |labels: &[u32]| nearest_neighbour_accuracy(&values, 2, labels).unwrap();
        assert_eq!(accuracy(&[0, 0, 1, 1, 1]), 1.0);
        assert_eq!(accuracy(&[0, 1, 1, 1, 1]), 0.6);
        assert_eq!(nearest_neighbour_accuracy(&values[..2], 2, &[0]), None);
    }

    /// numpy: the squares of `np.linalg.svd(x - x.mean(0))[1]`.
    #[test]
    fn components_are_those_of_a_singular_value_decomposition() {
        let values = [
            2.0, 0.0, 1.0, -2.0, 0.5, 1.0, 0.0, 1.0, -1.0, 0.0, -1.5, -1.0,
        ];
        let found = Components::of(&values, 3).unwrap();
        let sum = |axis: usize| found.points.iter().map(|p| p[axis].powi(2)).sum::<f64>();
        assert!((sum(0) - 8.222_910_43).abs() < 1e-7, "{}", sum(0));
        assert!((sum(1) - 4.676_747_03).abs() < 1e-7, "{}", sum(1));
        assert!(Components::of(&[1.0; 6], 3).is_none());
        assert!(Components::of(&[f32::NAN; 6], 3).is_none());
    }

    #[test]
    fn a_section_names_the_classes() {
        let values: Vec<f32> = (0..30).map(|i| (i * i % 7) as f32).collect();
        let classes = ["red".to_string(), "<blue>".to_string()];
        let labels: Vec<u32> = (0..10).map(|i| i % 2).collect();
        let section = components_section(&values, 3, &labels, &classes).unwrap();
        assert!(section.html.contains("red") && section.html.contains("&lt;blue&gt;"));
        assert_eq!(section.html.matches("<circle").count(), 10);
    }
}
