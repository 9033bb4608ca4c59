//! Mean and covariance of rows of features, and the distance between two normal distributions.

use crate::error::{Error, Result};

/// Sweeps over all pairs of axes after which an eigen-decomposition gives up; ten are plenty for matrices of any size.
const MOST_SWEEPS: usize = 64;

/// A symmetric matrix, row by row.
#[derive(Clone, Debug)]
struct Symmetric {
    size: usize,
    values: Vec<f64>,
}

impl Symmetric {
    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.size + column]
    }

    fn trace(&self) -> f64 {
        (0..self.size).map(|at| self.at(at, at)).sum()
    }

    /// `self other self`.
    fn around(&self, other: &Symmetric) -> Symmetric {
        let size = self.size;
        let times = |a: &[f64], b: &[f64]| {
            let mut product = vec![0.0; size * size];
            for (row, out) in a.chunks_exact(size).zip(product.chunks_exact_mut(size)) {
                for (factor, line) in row.iter().zip(b.chunks_exact(size)) {
                    for (sum, value) in out.iter_mut().zip(line) {
                        *sum += factor * value;
                    }
                }
            }
            product
        };
        Symmetric {
            size,
            values: times(&times(&self.values, &other.values), &self.values),
        }
    }

    /// Eigenvalues, and their vectors as rows, by Jacobi's rotations (Golub and Van Loan, "Matrix Computations", 8.5).
    fn eigen(&self) -> (Vec<f64>, Vec<f64>) {
        let size = self.size;
        let mut a = self.values.clone();
        let mut vectors = vec![0.0; size * size];
        for at in 0..size {
            vectors[at * size + at] = 1.0;
        }
        let total: f64 = a.iter().map(|x| x * x).sum();
        for _ in 0..MOST_SWEEPS {
            let off = |a: &[f64]| -> f64 {
                let pairs = (0..size).flat_map(|p| (0..p).map(move |q| (p, q)));
                pairs.map(|(p, q)| a[p * size + q].powi(2)).sum()
            };
            if off(&a) <= 1e-30 * total {
                break;
            }
            for p in 0..size {
                for q in p + 1..size {
                    rotate(&mut a, &mut vectors, size, p, q);
                }
            }
        }
        let values = (0..size).map(|at| a[at * size + at]).collect();
        (values, vectors)
    }

    /// The square root of a matrix without negative eigenvalues; those that rounding made negative count as 0.
    fn root(&self) -> Symmetric {
        let size = self.size;
        let (values, vectors) = self.eigen();
        let mut root = vec![0.0; size * size];
        for (value, vector) in values.iter().zip(vectors.chunks_exact(size)) {
            let scale = value.max(0.0).sqrt();
            for (x, out) in vector.iter().zip(root.chunks_exact_mut(size)) {
                for (y, sum) in vector.iter().zip(out) {
                    *sum += scale * x * y;
                }
            }
        }
        Symmetric { size, values: root }
    }
}

/// Makes the element at `p`, `q` of the symmetric matrix `a` zero by a rotation, which is applied to the rows of `vectors` too.
fn rotate(a: &mut [f64], vectors: &mut [f64], size: usize, p: usize, q: usize) {
    let apq = a[p * size + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * size + q] - a[p * size + p]) / (2.0 * apq);
    let sign = if theta < 0.0 { -1.0 } else { 1.0 };
    let tangent = sign / (theta.abs() + theta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for k in 0..size {
        let (x, y) = (a[k * size + p], a[k * size + q]);
        a[k * size + p] = cosine * x - sine * y;
        a[k * size + q] = sine * x + cosine * y;
    }
    for matrix in [a, vectors] {
        for k in 0..size {
            let (x, y) = (matrix[p * size + k], matrix[q * size + k]);
            matrix[p * size + k] = cosine * x - sine * y;
            matrix[q * size + k] = sine * x + cosine * y;
        }
    }
}

/// Mean and covariance of rows of features.
#[derive(Clone, Debug)]
pub struct FeatureMoments {
    mean: Vec<f64>,
    covariance: Symmetric,
}

impl FeatureMoments {
    /// Those of `rows`, one after another, of `features` numbers each. The covariance is divided by the number of rows less one.
    ///
    /// # Errors
    /// If there are fewer than two rows.
    pub fn of(rows: &[f32], features: usize) -> Result<FeatureMoments> {
        let size = features.max(1);
        let count = rows.len() / size;
        if count < 2 {
            return Err(Error::Config(format!(
                "a Fréchet distance needs at least two images on each side, not {count}"
            )));
        }
        let mut mean = vec![0.0; size];
        for row in rows.chunks_exact(size) {
            for (sum, &x) in mean.iter_mut().zip(row) {
                *sum += f64::from(x) / count as f64;
            }
        }
        let mut values = vec![0.0; size * size];
        let mut apart = vec![0.0; size];
        for row in rows.chunks_exact(size) {
            for (apart, (&x, mean)) in apart.iter_mut().zip(row.iter().zip(&mean)) {
                *apart = f64::from(x) - mean;
            }
            for (&x, out) in apart.iter().zip(values.chunks_exact_mut(size)) {
                for (sum, y) in out.iter_mut().zip(&apart) {
                    *sum += x * y / (count - 1) as f64;
                }
            }
        }
        Ok(FeatureMoments {
            mean,
            covariance: Symmetric { size, values },
        })
    }

    /// The squared Fréchet distance of the normal distributions with these moments (Dowson and Landau 1982), as Heusel et al. ("GANs
    /// Trained by a Two Time-Scale Update Rule", 2017) use it: `|m1 - m2|² + tr(C1 + C2 - 2 √(C1 C2))`. The trace of the root is that
    /// of the symmetric `√C1 C2 √C1`.
    ///
    /// # Errors
    /// If they have different numbers of features.
    pub fn distance(&self, other: &FeatureMoments) -> Result<f64> {
        if self.mean.len() != other.mean.len() {
            return Err(Error::Config(format!(
                "rows of {} features can't be compared with rows of {}",
                self.mean.len(),
                other.mean.len()
            )));
        }
        let pairs = self.mean.iter().zip(&other.mean);
        let apart: f64 = pairs.map(|(a, b)| (a - b).powi(2)).sum();
        let (values, _) = self.covariance.root().around(&other.covariance).eigen();
        let root: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
        let distance = apart + self.covariance.trace() + other.covariance.trace() - 2.0 * root;
        Ok(distance.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 rows of 6 numbers, multiples of `factor` modulo 97, with the columns scaled by 1 to 6.
    fn rows(factor: usize) -> Vec<f32> {
        (0..240)
            .map(|i| (i * i * factor % 97) as f32 / 96.0 * (1 + i % 6) as f32)
            .collect()
    }

    #[test]
    fn the_distance_is_that_by_the_matrix_root_of_scipy() {
        let moments = |factor| FeatureMoments::of(&rows(factor), 6).unwrap();
        let (a, b) = (moments(31), moments(53));
        // |m1 - m2|² + tr(C1 + C2 - 2 scipy.linalg.sqrtm(C1 C2)), covariances by numpy.cov.
        let distance = a.distance(&b).unwrap();
        assert!((distance - 0.4262990725453547).abs() < 1e-9, "{distance}");
        let back = b.distance(&a).unwrap();
        assert!((back - 0.4262990725453547).abs() < 1e-9, "{back}");
        assert!(a.distance(&a).unwrap() < 1e-9);
    }

    #[test]
    fn the_root_of_a_matrix_multiplied_by_itself_is_the_matrix_also_where_it_is_singular() {
        // Rank one of size three, and a diagonal.
        let one: Vec<f64> = [1.0, 2.0, 3.0]
            .iter()
            .flat_map(|x| [1.0, 2.0, 3.0].map(|y| x * y))
            .collect();
        let diagonal = vec![4.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0];
        for values in [one, diagonal] {
            let root = Symmetric {
                size: 3,
                values: values.clone(),
            }
            .root();
            let identity = Symmetric {
                size: 3,
                values: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            };
            let square = root.around(&identity);
            for (a, b) in square.values.iter().zip(&values) {
                assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
        }
    }

    #[test]
    fn distributions_that_differ_in_one_way_have_the_distance_of_it() {
        let line = |shift: f32, scale: f32| -> Vec<f32> {
            let at = |i: usize| shift + scale * (i as f32 - 4.0);
            (0..9).map(at).collect()
        };
        let of = |shift, scale| FeatureMoments::of(&line(shift, scale), 1).unwrap();
        // Variance 7.5: deviations 2.7386 and twice that.
        let shifted = of(0.0, 1.0).distance(&of(3.0, 1.0)).unwrap();
        assert!((shifted - 9.0).abs() < 1e-9, "{shifted}");
        let wider = of(0.0, 1.0).distance(&of(0.0, 2.0)).unwrap();
        assert!((wider - 7.5).abs() < 1e-9, "{wider}");
    }

    #[test]
    fn one_row_and_other_numbers_of_features_are_refused() {
        let error = FeatureMoments::of(&[1.0, 2.0], 2).unwrap_err().to_string();
        assert!(error.contains("at least two images"), "{error}");
        let (a, b) = (
            FeatureMoments::of(&rows(31), 6).unwrap(),
            FeatureMoments::of(&rows(31), 5).unwrap(),
        );
        assert!(a.distance(&b).is_err());
    }
}
