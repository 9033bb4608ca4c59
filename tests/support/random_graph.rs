//! Random graphs from a seed, on which fusion, memory planning and updates in place are tested.

use wgrad::Result;
use wgrad::autodiff::gradients;
use wgrad::cpu::Tensor;
use wgrad::graph::{Builder, Graph, Var};
use wgrad::ops::Operand;
use wgrad::random::Stream;
use wgrad::tensor::Shape;

/// A graph with values for its leaves.
pub struct RandomGraph {
    /// The graph.
    pub graph: Graph,
    /// Variables by name.
    pub variables: Vec<(String, Tensor<f32>)>,
    /// Inputs that are not scalars, by name.
    pub inputs: Vec<(String, Tensor<f32>)>,
}

/// Shapes of the leaves, which can often be broadcast, multiplied and reshaped into one another.
const SHAPES: [&[usize]; 12] = [
    &[],
    &[1],
    &[4],
    &[8],
    &[3, 8],
    &[8, 3],
    &[3, 1],
    &[2, 3, 8],
    &[2, 3, 1],
    &[5, 8],
    &[3, 3],
    &[8, 8],
];

/// The graph of `seed`: pointwise operations, products, sums and reshapes of each other's results, some of which update
/// variables, sometimes with gradients. Every value stays within a few units of 0. Scalar inputs are called `scalar0`,
/// `scalar1`, ….
pub fn random_graph(seed: u64) -> Result<RandomGraph> {
    let mut stream = Stream::new(seed, 0);
    let builder = Builder::new();
    let (mut variables, mut inputs) = (Vec::new(), Vec::new());
    let (mut pool, mut leaves) = (Vec::new(), Vec::new());
    for n in 0..3 + stream.below(4) {
        let operand = Operand::uniform(shape(&mut stream));
        let name = format!("v{n}");
        let leaf = builder.variable(&name, operand.ty.clone())?;
        variables.push((name, operand.sample(&mut stream)));
        pool.push(leaf);
        leaves.push(leaf);
    }
    for n in 0..stream.below(3) {
        let operand = Operand::uniform(shape(&mut stream));
        if operand.ty.shape.rank() == 0 {
            pool.push(builder.input(&format!("scalar{n}"), operand.ty));
        } else {
            let name = format!("i{n}");
            pool.push(builder.input(&name, operand.ty.clone()));
            inputs.push((name, operand.sample(&mut stream)));
        }
    }
    for _ in 0..4 + stream.below(30) {
        let value = operation(&mut stream, &pool)?;
        pool.push(value);
    }
    if stream.below(2) == 0 {
        let loss = pick(&mut stream, &pool);
        let elements = loss.ty().elements() as f64;
        pool.extend(gradients(loss.sum_all()?.scale(1.0 / elements)?, &leaves)?);
    }
    for &variable in &leaves {
        let fitting: Vec<Var<'_>> = pool
            .iter()
            .copied()
            .filter(|v| v.ty() == variable.ty())
            .collect();
        match stream.below(4) {
            0 => {}
            // The new value is a scaled value of the pool, or the mean of such a value and the variable.
            1 => builder.update(variable, pick(&mut stream, &fitting).scale(0.75)?)?,
            _ => {
                let next = pick(&mut stream, &fitting).add(variable)?.scale(0.5)?;
                builder.update(variable, next)?;
                pool.push(next);
            }
        }
    }
    for n in 0..1 + stream.below(4) {
        builder.output(&format!("y{n}"), pick(&mut stream, &pool));
    }
    Ok(RandomGraph {
        graph: builder.finish()?,
        variables,
        inputs,
    })
}

fn shape(stream: &mut Stream) -> Shape {
    SHAPES[stream.below(SHAPES.len() as u32) as usize].into()
}

fn pick<'g>(stream: &mut Stream, pool: &[Var<'g>]) -> Var<'g> {
    pool[stream.below(pool.len() as u32) as usize]
}

/// One of the values that `fits` accepts, preferably a later one; `otherwise` if there is none.
fn partner<'g>(
    stream: &mut Stream,
    pool: &[Var<'g>],
    otherwise: Var<'g>,
    fits: impl Fn(&Shape) -> bool,
) -> Var<'g> {
    let fitting: Vec<Var<'g>> = pool.iter().copied().filter(|v| fits(&v.shape())).collect();
    match fitting.len() {
        0 => otherwise,
        n if stream.below(2) == 0 => fitting[n - 1],
        _ => pick(stream, &fitting),
    }
}

fn operation<'g>(stream: &mut Stream, pool: &[Var<'g>]) -> Result<Var<'g>> {
    let a = pick(stream, pool);
    let shape = a.shape();
    let b = |stream: &mut Stream| partner(stream, pool, a, |s| s.broadcast(&shape).is_some());
    match stream.below(12) {
        0 => a.tanh(),
        1 => a.relu(),
        2 => a.neg(),
        3 => a.tanh()?.exp()?.scale(0.5),
        4 => a.add(b(stream))?.scale(0.5),
        5 => a.sub(b(stream))?.scale(0.5),
        6 => a.tanh()?.mul(b(stream)),
        7 => a.maximum(b(stream)),
        8 => a.reshape(match shape.dims() {
            [] => Shape::from([1]),
            [8, 8] => Shape::from([2, 8, 4]),
            dims => dims.iter().rev().copied().collect::<Vec<_>>().into(),
        }),
        9 if shape.rank() > 0 => {
            let axis = stream.below(shape.rank() as u32) as usize;
            let mean = 1.0 / shape.dims()[axis] as f64;
            if stream.below(2) == 0 {
                a.sum(&[axis])?.scale(mean)
            } else {
                a.sum_keep(&[axis])?.scale(mean)
            }
        }
        10 if shape.rank() < 3 => a.broadcast_to(&[&[2], shape.dims()].concat().into()),
        11 if shape.rank() >= 2 => {
            let k = shape.last();
            let fits = |s: &Shape| s.rank() == 2 && s.dims()[0] == k;
            let b = partner(stream, pool, a, fits);
            if fits(&b.shape()) {
                a.matmul(b)?.scale(1.0 / k as f64)
            } else {
                a.abs()
            }
        }
        _ => a.abs(),
    }
}
