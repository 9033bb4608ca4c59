//! The messages of event files, as far as a run writes them. Names and numbers of the fields are those of TensorBoard's
//! `event.proto`, `summary.proto`, `histogram.proto`, `tensor.proto` and `plugin_data.proto` of its plugin HParams.

use prost::{Enumeration, Message, Oneof};
use std::collections::BTreeMap;

/// A record of an event file.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Steps of the run.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// What happened.
    #[prost(oneof = "EventContent", tags = "3, 5, 7")]
    pub what: Option<EventContent>,
}

/// What an event says.
#[derive(Clone, PartialEq, Oneof)]
pub enum EventContent {
    /// The version of the format, in the first record of a file.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Values of a step.
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// A start or resume.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// A start or resume: earlier events of its step and of later ones no longer count.
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    /// What it reports.
    #[prost(enumeration = "SessionStatus", tag = "1")]
    pub status: i32,
}

/// What a [`SessionLog`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum SessionStatus {
    /// Nothing.
    Unspecified = 0,
    /// Training starts.
    Start = 1,
}

/// Values of a step.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// One value for each name.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<SummaryValue>,
}

/// A named value.
#[derive(Clone, PartialEq, Message)]
pub struct SummaryValue {
    /// Its name; TensorBoard shows names with the same text before the first `/` together.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The plugin that shows it; TensorBoard knows that of the older kinds of values.
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<SummaryMetadata>,
    /// The value.
    #[prost(oneof = "SummaryContent", tags = "2, 4, 5, 8")]
    pub content: Option<SummaryContent>,
}

/// The value of a summary.
#[derive(Clone, PartialEq, Oneof)]
pub enum SummaryContent {
    /// A number.
    #[prost(float, tag = "2")]
    Scalar(f32),
    /// An image file.
    #[prost(message, tag = "4")]
    Image(SummaryImage),
    /// A distribution.
    #[prost(message, tag = "5")]
    Histogram(HistogramProto),
    /// Anything else, such as a text.
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
}

/// An image file.
#[derive(Clone, PartialEq, Message)]
pub struct SummaryImage {
    /// Rows.
    #[prost(int32, tag = "1")]
    pub height: i32,
    /// Columns.
    #[prost(int32, tag = "2")]
    pub width: i32,
    /// Channels.
    #[prost(int32, tag = "3")]
    pub colorspace: i32,
    /// The file, a PNG.
    #[prost(bytes = "vec", tag = "4")]
    pub encoded_image_string: Vec<u8>,
}

/// A distribution of numbers.
#[derive(Clone, PartialEq, Message)]
pub struct HistogramProto {
    /// The smallest.
    #[prost(double, tag = "1")]
    pub min: f64,
    /// The largest.
    #[prost(double, tag = "2")]
    pub max: f64,
    /// How many there are.
    #[prost(double, tag = "3")]
    pub num: f64,
    /// Their sum.
    #[prost(double, tag = "4")]
    pub sum: f64,
    /// The sum of their squares.
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    /// The upper end of each bucket, which is where the next begins.
    #[prost(double, repeated, tag = "6")]
    pub bucket_limit: Vec<f64>,
    /// How many numbers each bucket holds.
    #[prost(double, repeated, tag = "7")]
    pub bucket: Vec<f64>,
}

/// How a value is shown.
#[derive(Clone, PartialEq, Message)]
pub struct SummaryMetadata {
    /// By which plugin.
    #[prost(message, optional, tag = "1")]
    pub plugin_data: Option<PluginData>,
    /// What kind of data it is.
    #[prost(enumeration = "DataClass", tag = "4")]
    pub data_class: i32,
}

/// Kinds of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum DataClass {
    /// Not known.
    Unknown = 0,
    /// A number for each step.
    Scalar = 1,
    /// A tensor for each step.
    Tensor = 2,
}

/// A plugin of TensorBoard.
#[derive(Clone, PartialEq, Message)]
pub struct PluginData {
    /// Its name.
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    /// What it needs to know, in a message of its own.
    #[prost(bytes = "vec", tag = "2")]
    pub content: Vec<u8>,
}

/// A tensor, of texts or without elements.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Type of the elements.
    #[prost(enumeration = "DataType", tag = "1")]
    pub dtype: i32,
    /// Its shape.
    #[prost(message, optional, tag = "2")]
    pub tensor_shape: Option<TensorShapeProto>,
    /// The elements that are texts.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub string_val: Vec<Vec<u8>>,
}

/// Types of the elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum DataType {
    /// None.
    Invalid = 0,
    /// f32
    Float = 1,
    /// Texts.
    String = 7,
}

/// The shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// Its axes.
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<TensorAxis>,
}

/// An axis of a tensor.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct TensorAxis {
    /// Its length.
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// What the plugin HParams needs to know.
#[derive(Clone, PartialEq, Message)]
pub struct HParamsPluginData {
    /// Version of the format, 0.
    #[prost(int32, tag = "1")]
    pub version: i32,
    /// The start or the end of a run.
    #[prost(oneof = "HParamsContent", tags = "3, 4")]
    pub data: Option<HParamsContent>,
}

/// The start or the end of a run.
#[derive(Clone, PartialEq, Oneof)]
pub enum HParamsContent {
    /// The start.
    #[prost(message, tag = "3")]
    SessionStartInfo(SessionStartInfo),
    /// The end.
    #[prost(message, tag = "4")]
    SessionEndInfo(SessionEndInfo),
}

/// The start of a run.
#[derive(Clone, PartialEq, Message)]
pub struct SessionStartInfo {
    /// Its hyper-parameters by name.
    #[prost(btree_map = "string, message", tag = "1")]
    pub hparams: BTreeMap<String, HParam>,
    /// Seconds since 1970.
    #[prost(double, tag = "5")]
    pub start_time_secs: f64,
}

/// The value of a hyper-parameter: `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
pub struct HParam {
    /// The value.
    #[prost(oneof = "HParamValue", tags = "2, 3, 4")]
    pub kind: Option<HParamValue>,
}

/// Kinds of values of hyper-parameters.
#[derive(Clone, PartialEq, Oneof)]
pub enum HParamValue {
    /// A number.
    #[prost(double, tag = "2")]
    Number(f64),
    /// A text.
    #[prost(string, tag = "3")]
    Text(String),
    /// Yes or no.
    #[prost(bool, tag = "4")]
    Flag(bool),
}

/// The end of a run.
#[derive(Clone, PartialEq, Message)]
pub struct SessionEndInfo {
    /// How it ended.
    #[prost(enumeration = "HParamsStatus", tag = "1")]
    pub status: i32,
    /// Seconds since 1970.
    #[prost(double, tag = "2")]
    pub end_time_secs: f64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum HParamsStatus {
    /// Not known.
    Unknown = 0,
    /// All was trained.
    Success = 1,
}
