//! One step of gradient descent as a graph, and its plan.

use wgrad::autodiff::gradients;
use wgrad::graph::Builder;
use wgrad::plan::{Plan, Target};
use wgrad::tensor::TensorType;

fn main() -> wgrad::Result<()> {
    let builder = Builder::new();
    let x = builder.input("x", TensorType::f32([32, 784]));
    let w = builder.variable("w", TensorType::f32([10, 784]))?;
    let y = x.linear(w)?.relu()?;
    let loss = y.mul(y)?.sum_all()?;
    let gradient = gradients(loss, &[w])?[0];
    builder.update(w, w.sub(gradient.scale(1e-3)?)?)?;
    builder.output("loss", loss);
    let plan = Plan::new(&builder.finish()?, &Target::portable())?;
    println!("{plan}");
    Ok(())
}
