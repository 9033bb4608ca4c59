//! The folder: the page, the network, and what the page must know of pictures.

use super::plan::web_network;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::nn::Model;
use serde::Serialize;
use serde_json::json;
use std::fs;
use std::path::Path;

/// What a page shows and does with a picture.
#[derive(Clone, Debug, Serialize)]
pub struct WebPage {
    /// Title of the page.
    pub title: String,
    /// The task, which decides how outputs are shown.
    pub task: String,
    /// Names of the classes; may be empty.
    pub classes: Vec<String>,
    /// Mean of each channel, of pixels from 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub std: Vec<f32>,
    /// Whether pictures are cropped in the middle, or else stretched.
    pub crop: bool,
    /// The colour under transparent pictures: red, green and blue.
    pub background: [u8; 3],
}

const INDEX: &str = include_str!("../../assets/web/index.html");
const RUNNER: &str = include_str!("../../assets/web/wgrad.js");
const PICTURE: &str = include_str!("../../assets/web/picture.js");
const PAGE: &str = include_str!("../../assets/web/page.js");

/// Writes `page` with `model` and the `values` of its state into `folder`, and returns the number of bytes.
///
/// # Errors
/// If the model takes no pictures, its plan exceeds the limits of WebGPU, or the folder can't be written.
pub fn write(
    folder: &Path,
    page: &WebPage,
    model: &dyn Model,
    values: &[Tensor<f32>],
) -> Result<u64> {
    let [input] = model.inputs() else {
        return Err(Error::Config(format!(
            "a page runs a network with one input, and this one has {}; export it as ONNX",
            model.inputs().len()
        )));
    };
    let channels = match input.spec.image() {
        Some([_, _, channels @ (1 | 3)]) => channels,
        _ => {
            return Err(Error::Config(
                "a page runs a network on pictures, and this one takes none with 1 or 3 channels; export it as ONNX"
                    .to_string(),
            ));
        }
    };
    if page.mean.len() != channels || page.std.len() != channels {
        return Err(Error::Config(format!(
            "the network takes {channels} channels, and the run has a mean for {}; train it again",
            page.mean.len()
        )));
    }
    let network = web_network(model, values)?;
    fs::create_dir_all(folder.join("kernels")).map_err(Error::io("create", folder))?;
    let described = json!({
        "format": 1,
        "page": page,
        "input": input.name,
        "plan": network.plan,
        "weights": network.weights.len(),
    });
    let described = serde_json::to_vec(&described)
        .map_err(|e| Error::Graph(format!("the network can't be written: {e}")))?;
    let mut files: Vec<(&str, &[u8])> = vec![
        ("index.html", INDEX.as_bytes()),
        ("wgrad.js", RUNNER.as_bytes()),
        ("picture.js", PICTURE.as_bytes()),
        ("page.js", PAGE.as_bytes()),
        ("network.json", &described),
        ("weights.bin", &network.weights),
    ];
    files.extend(
        network
            .kernels
            .iter()
            .map(|(file, text)| (file.as_str(), text.as_bytes())),
    );
    for (name, bytes) in &files {
        write_whole(&folder.join(name), bytes)?;
    }
    Ok(files.iter().map(|(_, bytes)| bytes.len() as u64).sum())
}
