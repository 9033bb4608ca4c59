//! Constants among the arguments of a call.

use crate::onnx::array::Array;
use crate::onnx::element::Element;
use serde_json::Value as Json;

/// Lists may be nested this deeply.
const DEEPEST: usize = 16;

/// The array that `json` is: a number, or what Keras writes for an array of NumPy.
///
/// # Errors
/// If it is neither, as the rest of a sentence about the layer.
pub(super) fn array(json: &Json) -> Result<Array, String> {
    let refused = || "reads a constant that is no array of numbers".to_string();
    let (value, dtype) = match json.get("class_name").and_then(Json::as_str) {
        Some("__numpy__" | "__tensor__") => {
            let config = json.get("config").ok_or_else(refused)?;
            let dtype = config.get("dtype").and_then(Json::as_str);
            (config.get("value").ok_or_else(refused)?, dtype)
        }
        _ => (json, None),
    };
    let mut dims = Vec::new();
    let mut inner = value;
    while let Json::Array(list) = inner {
        dims.push(list.len());
        match list.first() {
            Some(first) if dims.len() < DEEPEST => inner = first,
            _ => return Err(refused()),
        }
    }
    let mut numbers = Vec::new();
    collect(value, &dims, &mut numbers).ok_or_else(refused)?;
    let element = match dtype {
        Some(dtype) if dtype.contains("int") => Element::Int64,
        _ => Element::Float,
    };
    Ok(Array::new(element, dims, numbers))
}

/// Adds the numbers of `json`, nested lists of `dims`.
fn collect(json: &Json, dims: &[usize], numbers: &mut Vec<f64>) -> Option<()> {
    match (json, dims) {
        (Json::Array(list), [count, rest @ ..]) if list.len() == *count => {
            list.iter().try_for_each(|one| collect(one, rest, numbers))
        }
        (Json::Bool(flag), []) => {
            numbers.push(f64::from(u8::from(*flag)));
            Some(())
        }
        (number, []) => {
            numbers.push(number.as_f64()?);
            Some(())
        }
        _ => None,
    }
}
