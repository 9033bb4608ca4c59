//! Convolutions, pooling and scaling.

use super::super::tensor::{Kept, KerasArg};
use super::super::write::{LAYERS, NUMPY};
use super::{Made, Site, channels_last};
use crate::onnx::array::Array;
use serde_json::{Value as Json, json};

/// `[O, I, KH, KW]` as `[KH, KW, I, O]`.
fn kernel(filters: &Array) -> Array {
    let rank = filters.dims.len();
    let order: Vec<usize> = (2..rank).chain([1, 0]).collect();
    filters.permuted(&order)
}

fn made(layer: usize, rank: usize) -> Made {
    Ok(Kept::Tensor {
        layer,
        order: channels_last(rank),
    })
}

/// Pads of the axes: before and after.
fn pads(site: &Site<'_>, axes: usize) -> Result<Vec<[usize; 2]>, String> {
    let auto = site.text("auto_pad");
    if !matches!(auto.as_str(), "" | "NOTSET" | "VALID") {
        return Err(format!(
            "has auto_pad = {auto}, which is not written for Keras"
        ));
    }
    let list = site.counts("pads", 2 * axes, 0);
    Ok((0..axes)
        .map(|axis| [list[axis], list[axis + axes]])
        .collect())
}

/// The layer `x` with zeros, or `value`, around its images.
fn padded(site: &mut Site<'_>, x: usize, pads: &[[usize; 2]], value: f64) -> usize {
    if pads.iter().all(|pair| *pair == [0, 0]) {
        return x;
    }
    if value == 0.0 && pads.len() == 2 {
        return site.add(
            LAYERS,
            "ZeroPadding2D",
            &[("padding", json!(pads))],
            vec![KerasArg::Layer(x)],
        );
    }
    let widths: Vec<[usize; 2]> = [[0, 0]]
        .into_iter()
        .chain(pads.iter().copied())
        .chain([[0, 0]])
        .collect();
    let config = [("pad_width", json!(widths)), ("mode", json!("constant"))];
    let layer = site.add(NUMPY, "Pad", &config, vec![KerasArg::Layer(x)]);
    let named = &mut site.writer.layers[layer].kwargs;
    named.insert("constant_values".to_string(), json!(value));
    layer
}

fn axes_of(site: &Site<'_>) -> Result<(usize, usize), String> {
    let rank = site.operand(0)?.rank();
    match rank {
        3 | 4 => Ok((rank, rank - 2)),
        _ => Err(format!(
            "works on values with {rank} axes, which is not written for Keras"
        )),
    }
}

pub(super) fn conv(site: &mut Site<'_>) -> Made {
    let (rank, axes) = axes_of(site)?;
    let filters = site.constant(1)?;
    let x = site.layer_in(0, &channels_last(rank))?;
    let pads = pads(site, axes)?;
    let x = padded(site, x, &pads, 0.0);
    let groups = usize::try_from(site.int("group", 1)).unwrap_or(1);
    let (strides, dilations) = (
        site.counts("strides", axes, 1),
        site.counts("dilations", axes, 1),
    );
    let size = &filters.dims[2..];
    let mut config: Vec<(&str, Json)> = vec![
        ("kernel_size", json!(size)),
        ("strides", json!(strides)),
        ("dilation_rate", json!(dilations)),
        ("padding", json!("valid")),
        ("use_bias", json!(site.has(2))),
    ];
    let is_depthwise = groups > 1 && filters.dims[1] == 1 && filters.dims[0] % groups == 0;
    let (class, own) = match (is_depthwise, axes) {
        (true, _) => {
            let each = filters.dims[0] / groups;
            config.push(("depth_multiplier", json!(each)));
            // [C M, 1, KH, KW] as [KH, KW, C, M].
            let mut dims = vec![groups, each];
            dims.extend(size);
            let order: Vec<usize> = (2..2 + axes).chain([0, 1]).collect();
            let own = filters.reshaped(&dims).permuted(&order);
            (
                if axes == 1 {
                    "DepthwiseConv1D"
                } else {
                    "DepthwiseConv2D"
                },
                own,
            )
        }
        (false, _) => {
            config.push(("filters", json!(filters.dims[0])));
            config.push(("groups", json!(groups)));
            (
                if axes == 1 { "Conv1D" } else { "Conv2D" },
                kernel(&filters),
            )
        }
    };
    let mut weights = vec![own];
    if site.has(2) {
        weights.push(site.constant(2)?.as_ref().clone());
    }
    let layer = site.weighted(class, &config, x, weights);
    made(layer, rank)
}

pub(super) fn transposed(site: &mut Site<'_>) -> Made {
    let (rank, axes) = axes_of(site)?;
    let filters = site.constant(1)?;
    if site.int("group", 1) != 1 || axes != 2 {
        return Err("is a transposed convolution with groups or over one axis, which is not written for Keras".to_string());
    }
    let x = site.layer_in(0, &channels_last(rank))?;
    let pads = pads(site, axes)?;
    let more = site.counts("output_padding", axes, 0);
    let config = [
        ("filters", json!(filters.dims[1])),
        ("kernel_size", json!(&filters.dims[2..])),
        ("strides", json!(site.counts("strides", axes, 1))),
        ("dilation_rate", json!(site.counts("dilations", axes, 1))),
        ("padding", json!("valid")),
        ("use_bias", json!(false)),
    ];
    // [I, O, KH, KW] as [KH, KW, O, I].
    let own = filters.permuted(&[2, 3, 1, 0]);
    let mut layer = site.weighted("Conv2DTranspose", &config, x, vec![own]);
    // The full result without what is cut off, and with rows that no input reaches.
    let cut: Vec<[usize; 2]> = (0..axes)
        .map(|axis| [pads[axis][0], pads[axis][1].saturating_sub(more[axis])])
        .collect();
    let added: Vec<[usize; 2]> = (0..axes)
        .map(|axis| [0, more[axis].saturating_sub(pads[axis][1])])
        .collect();
    if cut.iter().any(|pair| *pair != [0, 0]) {
        layer = site.add(
            LAYERS,
            "Cropping2D",
            &[("cropping", json!(cut))],
            vec![KerasArg::Layer(layer)],
        );
    }
    layer = padded(site, layer, &added, 0.0);
    if site.has(2) {
        let bias = site.constant(2)?;
        let args = vec![
            KerasArg::Layer(layer),
            KerasArg::Value(super::written(&bias, &[0])),
        ];
        layer = site.add(NUMPY, "Add", &[], args);
    }
    made(layer, rank)
}

pub(super) fn pool(site: &mut Site<'_>, kind: &str) -> Made {
    let (rank, axes) = axes_of(site)?;
    let x = site.layer_in(0, &channels_last(rank))?;
    let pads = pads(site, axes)?;
    let is_padded = pads.iter().any(|pair| *pair != [0, 0]);
    if site.int("ceil_mode", 0) != 0 || site.counts("dilations", axes, 1).iter().any(|&d| d != 1) {
        return Err("has ceil_mode or dilations, which is not written for Keras".to_string());
    }
    let is_max = kind == "MaxPooling";
    if is_padded && !is_max && site.int("count_include_pad", 0) == 0 {
        return Err("leaves padding out of averages, which is not written for Keras".to_string());
    }
    // A maximum ignores the lowest number.
    let lowest = f64::from(f32::MIN);
    let x = padded(site, x, &pads, if is_max { lowest } else { 0.0 });
    let config = [
        ("pool_size", json!(site.counts("kernel_shape", axes, 1))),
        ("strides", json!(site.counts("strides", axes, 1))),
        ("padding", json!("valid")),
    ];
    let class = match (is_max, axes) {
        (true, 1) => "MaxPooling1D",
        (true, _) => "MaxPooling2D",
        (false, 1) => "AveragePooling1D",
        (false, _) => "AveragePooling2D",
    };
    let layer = site.add(LAYERS, class, &config, vec![KerasArg::Layer(x)]);
    made(layer, rank)
}

pub(super) fn global(site: &mut Site<'_>) -> Made {
    let (rank, axes) = axes_of(site)?;
    let x = site.layer_in(0, &channels_last(rank))?;
    let class = if axes == 1 {
        "GlobalAveragePooling1D"
    } else {
        "GlobalAveragePooling2D"
    };
    let layer = site.add(
        LAYERS,
        class,
        &[("keepdims", json!(true))],
        vec![KerasArg::Layer(x)],
    );
    made(layer, rank)
}

pub(super) fn resize(site: &mut Site<'_>) -> Made {
    let (rank, axes) = axes_of(site)?;
    let scales: Vec<f64> = match site.has(2) {
        true => site.constant(2)?.iter().collect(),
        false => return Err("scales to a size, which is not written for Keras".to_string()),
    };
    let whole = scales.len() == rank
        && scales[..2] == [1.0, 1.0]
        && scales[2..].iter().all(|s| s.fract() == 0.0 && *s >= 1.0);
    if !whole || axes != 2 {
        return Err(format!(
            "scales by {scales:?}, which is not written for Keras"
        ));
    }
    let x = site.layer_in(0, &channels_last(rank))?;
    let way = site.text("coordinate_transformation_mode");
    let interpolation = match (site.text("mode").as_str(), way.as_str()) {
        ("nearest" | "", _) => "nearest",
        ("linear", "half_pixel" | "" | "pytorch_half_pixel") => "bilinear",
        (mode, way) => {
            return Err(format!(
                "interpolates {mode} by {way}, which is not written for Keras"
            ));
        }
    };
    let factors: Vec<usize> = scales[2..].iter().map(|&s| s as usize).collect();
    let config = [
        ("size", json!(factors)),
        ("interpolation", json!(interpolation)),
    ];
    let layer = site.add(LAYERS, "UpSampling2D", &config, vec![KerasArg::Layer(x)]);
    made(layer, rank)
}
