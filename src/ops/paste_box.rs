//! Pastes a box of another picture into a picture: cutmix (Yun et al. 2019). All boxes have the given height and width.
//! The upper left corner of the box of sample b follows from the words of the Philox4x32-10 block with the counter
//! `(b, step, 0xffff_ffff, 4)` and the seed as key. The box always lies inside, so that it covers the same share of
//! every picture. It has no gradient.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::{Purpose, Stream, halves, philox4x32, unit_f32};
use crate::tensor::{DType, TensorType};

/// See the module. Operands: x and other `f32 [batch, height, width, channels]`; step, and the height and width of the
/// box, `u32 []`.
#[derive(Debug)]
pub struct PasteBox {
    /// Seed of the run.
    pub seed: u64,
}

const WORKGROUP: usize = 64;

impl Op for PasteBox {
    fn name(&self) -> &'static str {
        "paste_box"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, other, step, height, width] = operands(inputs)?;
        let scalars = [step, height, width]
            .iter()
            .all(|ty| **ty == TensorType::u32([]));
        if x.dtype != DType::F32 || x.shape.rank() != 4 || other != x || !scalars {
            return Err(format!(
                "takes two f32[batch,height,width,channels] and three u32[], was given {x}, {other}, {step}, {height} and {width}"
            ));
        }
        Ok(x.clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("paste_box")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let [step, box_height, box_width] = [2, 3, 4].map(|input| inputs[input].indices()[0]);
        let [height, width, channels] = [1, 2, 3].map(|axis| output.dims()[axis]);
        let (box_height, box_width) = (box_height.min(height as u32), box_width.min(width as u32));
        let mut values = inputs[0].reals().to_vec();
        let length = height * width * channels;
        for (b, picture) in values.chunks_mut(length.max(1)).enumerate() {
            let words = philox4x32(
                [b as u32, step, u32::MAX, Purpose::Augmentation as u32],
                halves(self.seed),
            );
            let first = |word: u32, room: u32| (unit_f32(word) * (room + 1) as f32) as usize;
            let top = first(words[0], height as u32 - box_height);
            let left = first(words[1], width as u32 - box_width);
            for y in top..top + box_height as usize {
                let row = (y * width + left) * channels;
                let run = box_width as usize * channels;
                picture[row..][..run]
                    .copy_from_slice(&inputs[1].reals()[b * length + row..][..run]);
            }
        }
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let out = cx.output()?;
        let inputs: Vec<_> = (0..5).map(|input| cx.input(input)).collect();
        let [low, high] = halves(self.seed);
        let elements = out.ty.elements();
        let names = ["x", "other", "step", "box_height", "box_width"];
        let launch = Launch::new("paste_box/paste_box");
        let launch = names
            .into_iter()
            .zip(&inputs)
            .fold(launch, |launch, (name, input)| {
                launch.read(name, input.value, 0)
            });
        cx.launch(
            launch
                .write("out", out.value)
                .param("elements", elements)
                .param("height", out.dims()[1])
                .param("width", out.dims()[2])
                .param("channels", out.dims()[3])
                .param("seed_low", low)
                .param("seed_high", high)
                .invocations(elements, WORKGROUP),
        )
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let seed = u64::from(stream.next_u32()) << 32 | u64::from(stream.next_u32());
    let odd = 1 + stream.below(5) as usize;
    let case = |shape: [usize; 4], size: [u32; 2]| {
        let scalar = |x: u32| Operand::index([], Values::Fixed(vec![f64::from(x)]));
        let picture = || Operand::uniform(shape).constant();
        let [height, width] = size;
        Case::new(
            PasteBox { seed },
            [
                picture(),
                picture(),
                scalar(77),
                scalar(height),
                scalar(width),
            ],
        )
    };
    vec![
        case([3, 6, 5, 3], [4, 2]),
        case([odd, 4, 4, 1], [4, 4]),
        case([2, 3, odd, 2], [0, 1]),
        case([70, 2, 2, 1], [1, 1]),
        // Larger than the picture.
        case([1, 1, 1, 1], [9, 9]),
    ]
}
