//! Matrix products and convolutions.

use crate::bench::{Bench, uniform};
use burn::prelude::*;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

pub fn run(bench: &Bench) {
    for [m, k, n] in [
        [256, 256, 256],
        [512, 512, 512],
        [1024, 1024, 1024],
        [128, 784, 128],
        [8, 4096, 1024],
        [4096, 1024, 8],
    ] {
        let name = format!("matmul_{m}x{k}x{n}");
        if bench.wanted(&name) {
            let a = uniform([m, k], &bench.device);
            let b = uniform([k, n], &bench.device);
            bench.measure(&name, || a.clone().matmul(b.clone()));
        }
    }
    for transposed in ["tn", "nt", "tt"] {
        product_transposed(bench, transposed);
    }
    product_batched(bench);
    for [n, c, size, o, k, p, s, g] in [
        [32, 1, 28, 32, 3, 0, 1, 1],
        [32, 32, 13, 64, 3, 0, 1, 1],
        [16, 64, 32, 64, 3, 1, 1, 1],
        [8, 128, 16, 128, 3, 1, 1, 1],
        [8, 512, 4, 512, 3, 1, 1, 1],
        [16, 3, 32, 64, 3, 1, 1, 1],
        [16, 64, 32, 64, 1, 0, 1, 1],
        [16, 32, 16, 64, 5, 2, 1, 1],
        [16, 64, 32, 128, 3, 1, 2, 1],
        [16, 64, 32, 64, 3, 1, 1, 64],
    ] {
        Convolution {
            input: [n, c, size, size],
            weights: [o, c / g, k, k],
            padding: p,
            stride: s,
            groups: g,
        }
        .run(bench);
    }
}

/// `transposed` says which operand is transposed, as in BLAS: `nt` if the second one is.
fn product_transposed(bench: &Bench, transposed: &str) {
    let name = format!("matmul_{transposed}_512x512x512");
    if bench.wanted(&name) {
        let side = |is_transposed: bool| {
            let stored: Tensor<2> = uniform([512, 512], &bench.device);
            if is_transposed {
                stored.transpose()
            } else {
                stored
            }
        };
        let a = side(transposed.starts_with('t'));
        let b = side(transposed.ends_with('t'));
        bench.measure(&name, || a.clone().matmul(b.clone()));
    }
}

/// Scores of 32 attention heads.
fn product_batched(bench: &Bench) {
    let name = "matmul_nt_32x128x32x128";
    if bench.wanted(name) {
        let a: Tensor<3> = uniform([32, 128, 32], &bench.device);
        let b: Tensor<3> = uniform([32, 128, 32], &bench.device);
        bench.measure(name, || a.clone().matmul(b.clone().swap_dims(1, 2)));
    }
}

/// A convolution of square images, alone and with both gradients.
struct Convolution {
    input: [usize; 4],
    weights: [usize; 4],
    padding: usize,
    stride: usize,
    groups: usize,
}

impl Convolution {
    fn name(&self, pass: &str) -> String {
        let ([n, c, height, width], [o, _, k, _]) = (self.input, self.weights);
        let p = self.padding;
        let mut name = format!("conv2d_{pass}_{n}x{c}x{height}x{width}_to{o}_k{k}_p{p}");
        for (letter, value) in [('s', self.stride), ('g', self.groups)] {
            if value != 1 {
                name += &format!("_{letter}{value}");
            }
        }
        name
    }

    fn run(&self, bench: &Bench) {
        let forward = |x: &Tensor<4>, w: &Tensor<4>| {
            let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
            let options = ConvOptions::new(stride, padding, [1, 1], self.groups);
            conv2d(x.clone(), w.clone(), None, options)
        };
        let name = self.name("fwd");
        if bench.wanted(&name) {
            let x = uniform(self.input, &bench.device);
            let w = uniform(self.weights, &bench.device);
            bench.measure(&name, || forward(&x, &w));
        }
        let name = self.name("fwdbwd");
        if bench.wanted(&name) {
            let x = uniform(self.input, &bench.autodiff).require_grad();
            let w = uniform(self.weights, &bench.autodiff).require_grad();
            bench.measure(&name, || {
                let y = forward(&x, &w);
                let grads = y.backward();
                (y, x.grad(&grads), w.grad(&grads))
            });
        }
    }
}
