//! The published layout of GPT-2 (Radford et al. 2019), as the `transformers` package saves it: the weights of its dense layers are
//! `[inputs, outputs]` ("Conv1D"), where PyTorch's `Linear` and this program have `[outputs, inputs]`.

use super::formats::Tensors;

/// Ends of the names of those weights.
const TRANSPOSED: [&str; 4] = [
    "attn.c_attn.weight",
    "attn.c_proj.weight",
    "mlp.c_fc.weight",
    "mlp.c_proj.weight",
];
/// Ends of the names of masks, which are no weights.
const MASKS: [&str; 2] = [".attn.bias", ".attn.masked_bias"];
/// What the names of the whole model begin with; those of the model without its last layer lack it.
const PREFIX: &str = "transformer.";

/// Brings `tensors` into the layout of this program if they are those of GPT-2: transposes the weights of dense layers, completes
/// names, and removes masks.
pub(super) fn rearrange(tensors: &mut Tensors) {
    // Queries, keys and values come from one layer, which is three times as wide as its input: its shape tells the layout.
    let is_published = tensors.iter().any(|(name, tensor)| {
        let wide = |inputs: usize, outputs: usize| outputs == 3 * inputs;
        name.ends_with(TRANSPOSED[0])
            && matches!(tensor.shape[..], [inputs, outputs] if wide(inputs, outputs))
    });
    if !is_published {
        return;
    }
    tensors.retain(|name, _| !MASKS.iter().any(|mask| name.ends_with(mask)));
    for (name, tensor) in tensors.iter_mut() {
        if TRANSPOSED.iter().any(|end| name.ends_with(end)) {
            tensor.transpose();
        }
    }
    if tensors.contains_key("wte.weight") {
        let named = std::mem::take(tensors).into_iter();
        *tensors = named
            .map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::stored::{StoredTensor, StoredType};
    use super::*;

    fn tensors(shapes: &[(&str, &[usize])]) -> Tensors {
        let each = shapes.iter().map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            let bytes: Vec<u8> = (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect();
            let tensor = StoredTensor::new(StoredType::F32, shape.to_vec(), bytes);
            (name.to_string(), tensor)
        });
        each.collect()
    }

    #[test]
    fn published_weights_are_transposed_and_named() {
        let mut own = tensors(&[
            ("wte.weight", &[5, 2]),
            ("h.0.attn.bias", &[1, 1, 4, 4]),
            ("h.0.attn.c_attn.weight", &[2, 6]),
            ("h.0.attn.c_proj.weight", &[2, 2]),
            ("h.0.ln_1.weight", &[2]),
        ]);
        rearrange(&mut own);
        let names: Vec<&str> = own.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "transformer.h.0.attn.c_attn.weight",
                "transformer.h.0.attn.c_proj.weight",
                "transformer.h.0.ln_1.weight",
                "transformer.wte.weight"
            ]
        );
        assert_eq!(own["transformer.h.0.attn.c_attn.weight"].shape, [6, 2]);
        let square = own["transformer.h.0.attn.c_proj.weight"].floats().unwrap();
        assert_eq!(square.unwrap(), [0.0, 2.0, 1.0, 3.0]);
    }

    #[test]
    fn others_stay_as_they_are() {
        let shapes: [(&str, &[usize]); 2] = [
            ("transformer.h.0.attn.c_attn.weight", &[6, 2]),
            ("transformer.h.0.attn.bias", &[1, 1, 4, 4]),
        ];
        let mut own = tensors(&shapes);
        rearrange(&mut own);
        assert!(own == tensors(&shapes));
    }
}
