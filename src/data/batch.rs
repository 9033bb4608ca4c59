//! Batches in a graph: the fields of the samples of a step as nodes, gathered from data on the device, or fed.

use super::field::{Field, FieldValues};
use super::{Samples, WindowRows};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::gather_batch::GatherBatch;
use crate::tensor::{DType, TensorType};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Layout of a set of samples on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct SetLayout {
    /// Prefix of its variables: `train` or `test`.
    pub set: String,
    /// Number of samples in the set or, if it is streamed, in the current batch.
    pub samples: usize,
    /// Samples in a step.
    pub batch: usize,
    /// Places in the order of a pass, as many as samples unless a pass may visit some of them several times.
    visits: usize,
    fields: Vec<FieldLayout>,
}

#[derive(Clone, Debug, PartialEq)]
struct FieldLayout {
    name: &'static str,
    /// Shape of one sample's value.
    shape: Vec<usize>,
    place: Storage,
}

/// Storage of a field on the device.
#[derive(Clone, Debug, PartialEq)]
enum Storage {
    /// Bytes, four to a word, which are normalised to `(byte / 255 - mean) / std`.
    Bytes { mean: Vec<f64>, std: Vec<f64> },
    /// A class index for each sample.
    Labels,
    /// Windows of the rows of a variable.
    Windows {
        /// Part of the variable's name.
        table: &'static str,
        ty: TensorType,
        offset: usize,
        length: usize,
    },
}

/// Mean and standard deviation for normalising pixels, which are scaled to [0, 1]: one per channel.
#[derive(Clone, Copy, Debug)]
pub struct Normalization<'a> {
    /// Subtracted from each channel.
    pub mean: &'a [f32],
    /// Divides each channel after that.
    pub std: &'a [f32],
}

impl SetLayout {
    /// The layout of a set called `set` without fields, for plans without data.
    pub fn new(set: &str, samples: usize, batch: usize) -> SetLayout {
        SetLayout {
            set: set.to_string(),
            samples,
            batch,
            visits: samples,
            fields: Vec::new(),
        }
    }

    /// The same set, of which a pass visits up to `visits` samples.
    #[must_use]
    pub fn with_visits(self, visits: usize) -> SetLayout {
        SetLayout { visits, ..self }
    }

    /// Places in the order of a pass.
    pub fn visits(&self) -> usize {
        self.visits
    }

    /// Adds bytes of any shape, which are normalised like pixels.
    #[must_use]
    pub fn bytes(
        self,
        name: &'static str,
        shape: &[usize],
        normal: Normalization<'_>,
    ) -> SetLayout {
        let doubles = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect();
        let place = Storage::Bytes {
            mean: doubles(normal.mean),
            std: doubles(normal.std),
        };
        self.with(name, shape.to_vec(), place)
    }

    /// Adds a class index for each sample.
    #[must_use]
    pub fn labels(self, name: &'static str) -> SetLayout {
        self.with(name, Vec::new(), Storage::Labels)
    }

    /// Adds windows of a text of `rows` tokens, each of `length` tokens from `offset` tokens after the start of its sample.
    #[must_use]
    pub fn tokens(
        self,
        name: &'static str,
        rows: usize,
        offset: usize,
        length: usize,
    ) -> SetLayout {
        let place = Storage::Windows {
            table: super::field::TOKENS,
            ty: TensorType::u32([rows]),
            offset,
            length,
        };
        self.with(name, vec![length], place)
    }

    /// Adds rows of numbers, one for each sample, or windows of them: `shape` is `[columns]` or `[rows, columns]`.
    #[must_use]
    pub fn numbers(self, name: &'static str, shape: &[usize]) -> SetLayout {
        let columns = shape.last().copied().unwrap_or(1);
        let length = shape.iter().product::<usize>() / columns.max(1);
        let place = Storage::Windows {
            table: name,
            ty: TensorType::f32([self.samples + length - 1, columns]),
            offset: 0,
            length,
        };
        self.with(name, shape.to_vec(), place)
    }

    fn with(mut self, name: &'static str, shape: Vec<usize>, place: Storage) -> SetLayout {
        self.fields.push(FieldLayout { name, shape, place });
        self
    }

    /// The same set, of whose windows of tokens batches only have the first `length`.
    pub(crate) fn shortened(&self, length: usize) -> SetLayout {
        let mut layout = self.clone();
        for field in &mut layout.fields {
            if let Storage::Windows {
                ty, length: own, ..
            } = &mut field.place
                && ty.dtype == DType::U32
            {
                *own = length.min(*own);
                field.shape = vec![*own];
            }
        }
        layout
    }

    /// The same set in batches of `batch`.
    pub fn with_batch(&self, batch: usize) -> SetLayout {
        SetLayout {
            batch,
            ..self.clone()
        }
    }

    /// The layout of `samples` as the set called `set`: whole or, if they are streamed, one batch.
    pub fn of(
        set: &str,
        samples: &Samples,
        normal: Normalization<'_>,
        batch: usize,
        streamed: bool,
    ) -> SetLayout {
        let count = if streamed { batch } else { samples.len() };
        let mut layout = SetLayout::new(set, count, batch);
        for field in samples.fields() {
            let place = match &field.values {
                FieldValues::Pixels { shape, .. } => {
                    layout = layout.bytes(field.name, shape, normal);
                    continue;
                }
                FieldValues::Files(files) => {
                    layout = layout.bytes(field.name, &files.shape(), normal);
                    continue;
                }
                FieldValues::ByteClasses { .. } => Storage::Bytes {
                    mean: vec![0.0],
                    std: vec![1.0 / 255.0],
                },
                FieldValues::Labels(_) => Storage::Labels,
                FieldValues::Windows {
                    rows,
                    offset,
                    length,
                } => {
                    let span = samples.starts().map_or(*length, |starts| starts.span);
                    let count = if streamed { batch * span } else { rows.len() };
                    Storage::Windows {
                        table: table_name(samples, rows),
                        ty: match **rows {
                            WindowRows::Floats { columns, .. } => TensorType::f32([count, columns]),
                            WindowRows::Tokens { .. } => TensorType::u32([count]),
                        },
                        offset: *offset,
                        length: *length,
                    }
                }
            };
            layout = layout.with(field.name, field.shape(), place);
        }
        layout
    }

    /// Whether all tensors of the set are at most this large; otherwise it is streamed.
    pub fn fits(samples: &Samples, most_bytes: u64) -> bool {
        let starts = samples.starts().map_or(0, |starts| starts.first.len());
        let fields = samples.fields().iter().map(Field::device_bytes);
        fields.max().unwrap_or(0).max(4 * starts as u64) <= most_bytes
    }

    /// Name of one of the set's variables.
    pub fn name(&self, part: &str) -> String {
        format!("data.{}.{part}", self.set)
    }

    /// Names of the fields.
    pub fn field_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.fields.iter().map(|field| field.name)
    }

    /// Shape of one sample's value of the field `name`.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let found = self.fields.iter().find(|field| field.name == name);
        found.map(|field| &field.shape[..])
    }
}

/// The part of the name of the variable that holds `rows`: the name of the first field that is windows of them.
pub(super) fn table_name(samples: &Samples, rows: &Arc<WindowRows>) -> &'static str {
    let of_them = |field: &&Field| match &field.values {
        FieldValues::Windows { rows: own, .. } => Arc::ptr_eq(own, rows),
        _ => false,
    };
    let first = samples.fields().iter().find(of_them);
    first.map_or("rows", |field| field.name)
}

/// The samples of a step as nodes of its graph. Only the first [`valid`](Batch::valid) of them count, because the last batch of a
/// pass is padded with repetitions.
pub struct Batch<'g> {
    builder: &'g Builder,
    size: usize,
    valid: Var<'g>,
    source: FieldSource<'g>,
    values: RefCell<BTreeMap<String, Var<'g>>>,
    /// The fields as they were loaded.
    loaded: RefCell<Vec<Var<'g>>>,
}

enum FieldSource<'g> {
    /// Variables of the device.
    Set {
        layout: SetLayout,
        order: OnceCell<Var<'g>>,
        cursor: OnceCell<Var<'g>>,
        starts: OnceCell<Var<'g>>,
    },
    /// Inputs of the step.
    Fed(BTreeMap<String, TensorType>),
}

impl<'g> Batch<'g> {
    /// The batch that begins at the scalar input `cursor` of a set on the device.
    pub fn of_set(builder: &'g Builder, layout: &SetLayout) -> Batch<'g> {
        Batch {
            builder,
            size: layout.batch,
            valid: builder.input("valid", TensorType::u32([])),
            source: FieldSource::Set {
                layout: layout.clone(),
                order: OnceCell::new(),
                cursor: OnceCell::new(),
                starts: OnceCell::new(),
            },
            values: RefCell::default(),
            loaded: RefCell::default(),
        }
    }

    /// A batch of `size` samples whose fields are inputs of the step, with the batch as their first axis.
    pub fn fed(
        builder: &'g Builder,
        size: usize,
        fields: impl IntoIterator<Item = (String, TensorType)>,
    ) -> Batch<'g> {
        Batch {
            builder,
            size,
            valid: builder.input("valid", TensorType::u32([])),
            source: FieldSource::Fed(fields.into_iter().collect()),
            values: RefCell::default(),
            loaded: RefCell::default(),
        }
    }

    /// Size of the batch, including padding.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of valid samples: a scalar `u32`.
    pub fn valid(&self) -> Var<'g> {
        self.valid
    }

    /// The number of valid rows, for a value with `each` rows per sample: a scalar `u32`.
    pub fn valid_rows(&self, each: usize) -> Var<'g> {
        let name = format!("{VALID_ROWS}{each}");
        self.cached(&name, || Ok(self.builder.input(&name, TensorType::u32([]))))
            .unwrap_or(self.valid)
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        match &self.source {
            FieldSource::Set { layout, .. } => layout.shape(name).is_some(),
            FieldSource::Fed(fields) => fields.contains_key(name),
        }
    }

    /// Mean and standard deviation of the channels of the images in the field `name`, by which their values, scaled to [0, 1], were
    /// normalised. `None` for other fields, and for those that are fed.
    pub fn normalisation(&self, name: &str) -> Option<(&[f64], &[f64])> {
        let FieldSource::Set { layout, .. } = &self.source else {
            return None;
        };
        let field = layout.fields.iter().find(|field| field.name == name)?;
        match &field.place {
            Storage::Bytes { mean, std } => Some((mean, std)),
            Storage::Labels | Storage::Windows { .. } => None,
        }
    }

    /// The values of a field, `[batch, ...]`.
    ///
    /// # Errors
    /// If there is none of that name; the message lists the existing ones.
    pub fn field(&self, name: &str) -> Result<Var<'g>> {
        self.cached(name, || {
            let loaded = match &self.source {
                FieldSource::Set { layout, .. } => {
                    let field = layout.fields.iter().find(|field| field.name == name);
                    self.gathered(layout, field.ok_or_else(|| self.missing(name))?)?
                }
                FieldSource::Fed(fields) => {
                    let ty = fields.get(name).ok_or_else(|| self.missing(name))?;
                    self.builder.input(name, ty.clone())
                }
            };
            self.loaded.borrow_mut().push(loaded);
            Ok(loaded)
        })
    }

    /// The fields that were asked for so far, as they were loaded.
    pub fn loaded(&self) -> Vec<Var<'g>> {
        self.loaded.borrow().clone()
    }

    /// Replaces the field `name` by `value`, such as an augmented image.
    pub fn put(&self, name: &str, value: Var<'g>) {
        self.values.borrow_mut().insert(name.to_string(), value);
    }

    fn cached(&self, name: &str, make: impl FnOnce() -> Result<Var<'g>>) -> Result<Var<'g>> {
        if let Some(&known) = self.values.borrow().get(name) {
            return Ok(known);
        }
        let made = make()?;
        self.put(name, made);
        Ok(made)
    }

    fn missing(&self, name: &str) -> Error {
        let known: Vec<String> = match &self.source {
            FieldSource::Set { layout, .. } => layout.field_names().map(str::to_string).collect(),
            FieldSource::Fed(fields) => fields.keys().cloned().collect(),
        };
        Error::Config(format!(
            "the data have no field {name}; they have {}",
            known.join(", ")
        ))
    }

    fn gathered(&self, layout: &SetLayout, field: &FieldLayout) -> Result<Var<'g>> {
        let builder = self.builder;
        let variable = |part: &str, ty| builder.variable(&layout.name(part), ty);
        let per_sample = || TensorType::u32([layout.samples]);
        let FieldSource::Set {
            order,
            cursor,
            starts,
            ..
        } = &self.source
        else {
            return Err(self.missing(field.name));
        };
        let order = *match order.get() {
            Some(known) => known,
            None => {
                let made = variable("order", TensorType::u32([layout.visits]))?;
                order.get_or_init(|| made)
            }
        };
        let cursor = *cursor.get_or_init(|| builder.input("cursor", TensorType::u32([])));
        match &field.place {
            Storage::Bytes { mean, std } => {
                let bytes = layout.samples * field.shape.iter().product::<usize>();
                let words = TensorType::u32([bytes.div_ceil(4)]);
                let gather = GatherBatch {
                    batch: layout.batch,
                    item: field.shape.clone().into(),
                    mean: mean.clone(),
                    std: std.clone(),
                };
                variable(field.name, words)?.gather_batch(order, cursor, gather)
            }
            Storage::Labels => {
                variable(field.name, per_sample())?.gather_labels(order, cursor, layout.batch)
            }
            Storage::Windows {
                table,
                ty,
                offset,
                length,
            } => {
                let rows = variable(table, ty.clone())?;
                let starts = *match starts.get() {
                    Some(known) => known,
                    None => {
                        let all = variable("starts", per_sample())?;
                        let made = all.gather_labels(order, cursor, layout.batch)?;
                        starts.get_or_init(|| made)
                    }
                };
                let dims = [&[layout.batch], &field.shape[..]].concat();
                rows.gather_windows(starts, *offset, *length)?.reshape(dims)
            }
        }
    }
}

/// Prefix of the scalar inputs of [`Batch::valid_rows`]; the rows of a sample follow.
pub(crate) const VALID_ROWS: &str = "valid_rows.";
