//! Named values of event files, each in the form that TensorBoard's plugin for it reads.

use super::messages::{
    DataClass, DataType, HParamsContent, HParamsPluginData, PluginData, SummaryContent,
    SummaryMetadata, SummaryValue, TensorAxis, TensorProto, TensorShapeProto,
};
use prost::Message as _;

/// A value whose plugin TensorBoard knows by its kind: a number, an image or a histogram.
pub(super) fn value(tag: &str, content: SummaryContent) -> SummaryValue {
    SummaryValue {
        tag: tag.to_string(),
        metadata: None,
        content: Some(content),
    }
}

/// A number.
pub(super) fn scalar(tag: &str, number: f64) -> SummaryValue {
    value(tag, SummaryContent::Scalar(number as f32))
}

/// A text in Markdown.
pub(super) fn text(tag: &str, markdown: &str) -> SummaryValue {
    let tensor = TensorProto {
        dtype: DataType::String.into(),
        tensor_shape: Some(TensorShapeProto::default()),
        string_val: vec![markdown.as_bytes().to_vec()],
    };
    of_plugin(tag, "text", Vec::new(), tensor)
}

/// The start or the end of a run, for the plugin HParams. It reads the metadata, so that the tensor has no elements.
pub(super) fn hparams(content: HParamsContent) -> SummaryValue {
    let tag = match content {
        HParamsContent::SessionStartInfo(_) => "_hparams_/session_start_info",
        HParamsContent::SessionEndInfo(_) => "_hparams_/session_end_info",
    };
    let data = HParamsPluginData {
        version: 0,
        data: Some(content),
    };
    let tensor = TensorProto {
        dtype: DataType::Float.into(),
        tensor_shape: Some(TensorShapeProto {
            dim: vec![TensorAxis { size: 0 }],
        }),
        string_val: Vec::new(),
    };
    of_plugin(tag, "hparams", data.encode_to_vec(), tensor)
}

fn of_plugin(tag: &str, plugin: &str, content: Vec<u8>, tensor: TensorProto) -> SummaryValue {
    SummaryValue {
        tag: tag.to_string(),
        metadata: Some(SummaryMetadata {
            plugin_data: Some(PluginData {
                plugin_name: plugin.to_string(),
                content,
            }),
            data_class: DataClass::Tensor.into(),
        }),
        content: Some(SummaryContent::Tensor(tensor)),
    }
}
