//! Pooling.

use super::image;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::attributes::{PaddingSpec, Pair, bounded};
use crate::nn::layer::LayerType;
use crate::nn::site::Site;
use crate::ops::{avg_pool2d, max_pool2d};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum over windows. PyTorch `MaxPool2d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// Height and width of the window.
    pub size: Pair,
    /// Steps between windows; the size if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Rows and columns added around the input.
    #[serde(default)]
    pub padding: PaddingSpec,
}

/// Mean over windows; padding is not counted. PyTorch `AvgPool2d(count_include_pad=False)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// Height and width of the window.
    pub size: Pair,
    /// Steps between windows; the size if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Rows and columns added around the input.
    #[serde(default)]
    pub padding: PaddingSpec,
}

/// Mean over height and width: `[channels]`. PyTorch `AdaptiveAvgPool2d(1)` and a flatten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPool2d {}

/// Mean over windows that divide an image of any size into a given number of parts. PyTorch `AdaptiveAvgPool2d`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the result.
    pub size: Pair,
}

impl MaxPool2d {
    /// Windows that do not overlap, without padding.
    pub fn new(size: impl Into<Pair>) -> MaxPool2d {
        MaxPool2d {
            size: size.into(),
            stride: None,
            padding: PaddingSpec::default(),
        }
    }
}

impl AvgPool2d {
    /// Windows that do not overlap, without padding.
    pub fn new(size: impl Into<Pair>) -> AvgPool2d {
        AvgPool2d {
            size: size.into(),
            stride: None,
            padding: PaddingSpec::default(),
        }
    }
}

impl LayerType for MaxPool2d {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [height, width, _] = image(inputs[0])?;
        let [kernel, stride] = window(self.size, self.stride, self.padding)?;
        inputs[0].max_pool2d(max_pool2d::MaxPool2d {
            kernel,
            stride,
            padding: self.padding.sides([height, width], kernel, stride, [1, 1]),
        })
    }
}

impl LayerType for AvgPool2d {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [height, width, _] = image(inputs[0])?;
        let [kernel, stride] = window(self.size, self.stride, self.padding)?;
        inputs[0].avg_pool2d(avg_pool2d::AvgPool2d {
            kernel,
            stride,
            padding: self.padding.sides([height, width], kernel, stride, [1, 1]),
            count_include_pad: false,
        })
    }
}

impl LayerType for AdaptiveAvgPool2d {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        let [height, width, _] = image(inputs[0])?;
        let size = self.size.each();
        bounded(1, "size", &size).map_err(Site::misfit)?;
        if size == [height, width] {
            return Ok(inputs[0]);
        }
        inputs[0].adaptive_avg_pool2d(size)
    }
}

impl LayerType for GlobalAvgPool2d {
    fn stem(&self) -> &'static str {
        "pool"
    }

    fn build<'g>(&self, _site: &mut Site<'g, '_>, inputs: &[Var<'g>]) -> Result<Var<'g>> {
        image(inputs[0])?;
        inputs[0].mean(&[1, 2])
    }
}

/// Sizes and strides of the windows of a pooling layer.
fn window(size: Pair, stride: Option<Pair>, padding: PaddingSpec) -> Result<[[usize; 2]; 2]> {
    let stride = stride.unwrap_or(size);
    bounded(1, "size", &size.each())
        .and_then(|()| bounded(1, "stride", &stride.each()))
        .and_then(|()| padding.check())
        .map_err(Site::misfit)?;
    Ok([size.each(), stride.each()])
}
