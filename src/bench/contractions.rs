//! Workloads with one contraction: matrix products and convolutions.

use super::{Workload, with_gradients};
use crate::error::Result;
use crate::graph::{Builder, Graph};
use crate::ops::conv2d::Conv2d;
use crate::ops::matmul::Matmul;
use crate::tensor::TensorType;

pub(super) fn workloads() -> Vec<Box<dyn Workload>> {
    products()
        .map(|w| Box::new(w) as Box<dyn Workload>)
        .chain(convolutions().map(|w| Box::new(w) as Box<dyn Workload>))
        .collect()
}

/// A product that keeps a large GPU busy.
const LARGE: [usize; 3] = [4096; 3];

fn products() -> impl Iterator<Item = Product> {
    let plain = Product {
        batch: None,
        extents: [512; 3],
        op: Matmul {
            transpose_a: false,
            transpose_b: false,
        },
    };
    // A square product, the first dense layer of an MLP, one sample of a large layer, and few columns.
    let extents = [
        [256; 3],
        [512; 3],
        [1024; 3],
        LARGE,
        [128, 784, 128],
        [8, 4096, 1024],
        [4096, 1024, 8],
    ];
    let shapes = extents.map(|extents| Product { extents, ..plain });
    let transposes = [(true, false), (false, true), (true, true)];
    let transposed = transposes.map(|(transpose_a, transpose_b)| Product {
        op: Matmul {
            transpose_a,
            transpose_b,
        },
        ..plain
    });
    // Attention scores of 32 heads.
    let batched = Product {
        batch: Some(32),
        extents: [128, 32, 128],
        op: Matmul {
            transpose_a: false,
            transpose_b: true,
        },
    };
    shapes.into_iter().chain(transposed).chain([batched])
}

/// `[m, k]` times `[k, n]`, with either operand optionally transposed, alone or as a batch.
#[derive(Clone, Copy)]
struct Product {
    batch: Option<usize>,
    /// m, k and n.
    extents: [usize; 3],
    op: Matmul,
}

impl Workload for Product {
    /// The name marks transposed operands as BLAS does: `nt` if the second is transposed.
    fn name(&self) -> String {
        let [m, k, n] = self.extents;
        let letter = |transposed| if transposed { "t" } else { "n" };
        let (a, b) = (letter(self.op.transpose_a), letter(self.op.transpose_b));
        let sides = match (a, b) {
            ("n", "n") => String::new(),
            _ => format!("{a}{b}_"),
        };
        let batch = self.batch.map_or(String::new(), |b| format!("{b}x"));
        format!("matmul_{sides}{batch}{m}x{k}x{n}")
    }

    fn needs_gpu(&self) -> bool {
        self.extents == LARGE
    }

    fn graph(&self) -> Result<Graph> {
        let [m, k, n] = self.extents;
        let ty = |rows: usize, columns: usize, transposed: bool| {
            let matrix = if transposed {
                [columns, rows]
            } else {
                [rows, columns]
            };
            let dims: Vec<usize> = self.batch.into_iter().chain(matrix).collect();
            TensorType::f32(dims)
        };
        let builder = Builder::new();
        let a = builder.variable("a", ty(m, k, self.op.transpose_a))?;
        let b = builder.variable("b", ty(k, n, self.op.transpose_b))?;
        builder.output("y", a.matmul_with(b, self.op)?);
        builder.finish()
    }
}

fn convolutions() -> impl Iterator<Item = Convolution> {
    let plain = Convolution {
        batch: 16,
        channels: 64,
        size: 32,
        filters: 64,
        kernel: 3,
        stride: 1,
        padding: 1,
        groups: 1,
        backward: false,
    };
    let forward = [
        // The two layers of the CNN that `wgrad train` trains, and a layer of a ResNet.
        Convolution {
            batch: 32,
            channels: 1,
            size: 28,
            filters: 32,
            padding: 0,
            ..plain
        },
        Convolution {
            batch: 32,
            channels: 32,
            size: 13,
            padding: 0,
            ..plain
        },
        plain,
        // Deeper layers of a ResNet, with more channels and fewer pixels.
        Convolution {
            batch: 8,
            channels: 128,
            size: 16,
            filters: 128,
            ..plain
        },
        Convolution {
            batch: 8,
            channels: 512,
            size: 4,
            filters: 512,
            ..plain
        },
        // The first layer of a ResNet, with three channels.
        Convolution {
            channels: 3,
            ..plain
        },
        Convolution {
            kernel: 1,
            padding: 0,
            ..plain
        },
        Convolution {
            channels: 32,
            size: 16,
            kernel: 5,
            padding: 2,
            ..plain
        },
        Convolution {
            filters: 128,
            stride: 2,
            ..plain
        },
        // Depthwise.
        Convolution {
            groups: 64,
            ..plain
        },
    ];
    forward.into_iter().flat_map(|forward| {
        [false, true].map(|backward| Convolution {
            backward,
            ..forward
        })
    })
}

/// A convolution of square images, alone or with both gradients.
#[derive(Clone, Copy)]
struct Convolution {
    batch: usize,
    channels: usize,
    /// Height and width.
    size: usize,
    filters: usize,
    /// Height and width.
    kernel: usize,
    stride: usize,
    /// Padding on every side.
    padding: usize,
    groups: usize,
    backward: bool,
}

impl Workload for Convolution {
    fn name(&self) -> String {
        let pass = if self.backward { "fwdbwd" } else { "fwd" };
        let mut name = format!(
            "conv2d_{pass}_{}x{}x{}x{}_to{}_k{}_p{}",
            self.batch,
            self.channels,
            self.size,
            self.size,
            self.filters,
            self.kernel,
            self.padding
        );
        for (letter, value) in [("s", self.stride), ("g", self.groups)] {
            if value != 1 {
                name += &format!("_{letter}{value}");
            }
        }
        name
    }

    fn graph(&self) -> Result<Graph> {
        let builder = Builder::new();
        let x = [self.batch, self.size, self.size, self.channels];
        let x = builder.variable("x", TensorType::f32(x))?;
        let kernel = [self.kernel, self.kernel];
        let w = [
            self.filters,
            kernel[0],
            kernel[1],
            self.channels / self.groups,
        ];
        let w = builder.variable("w", TensorType::f32(w))?;
        let conv = Conv2d {
            stride: [self.stride; 2],
            padding: [[self.padding; 2]; 2],
            groups: self.groups,
            ..Conv2d::default()
        };
        let y = x.conv2d(w, conv)?;
        if self.backward {
            with_gradients(&builder, y, &[x, w])?;
        } else {
            builder.output("y", y);
        }
        builder.finish()
    }
}
