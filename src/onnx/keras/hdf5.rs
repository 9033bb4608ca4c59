//! The content of an HDF5 file: groups with arrays and texts.

use crate::guard::guarded;
use crate::host_memory;
use crate::onnx::array::{Array, Numbers};
use crate::onnx::element::Element;
use hdf5_pure::{DType, File};
use std::collections::BTreeMap;

/// What a file begins with.
pub const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Groups may be nested this deeply.
const DEEPEST: usize = 64;
/// The most groups and arrays of a file.
const MOST: usize = 200_000;

/// A group.
#[derive(Debug, Default)]
pub struct HdfGroup {
    /// Texts by name.
    pub attributes: BTreeMap<String, String>,
    /// Groups in it.
    pub groups: BTreeMap<String, HdfGroup>,
    /// Arrays in it.
    pub arrays: BTreeMap<String, Array>,
}

impl HdfGroup {
    /// Reads a file.
    ///
    /// # Errors
    /// Says what is wrong, as a sentence.
    pub fn read(bytes: Vec<u8>) -> Result<HdfGroup, String> {
        let mut left = Left {
            objects: MOST,
            // What is compressed may be larger than the file; deflate makes at most 1,032 bytes of one.
            bytes: (bytes.len() as u64).saturating_mul(1032),
        };
        let damaged = |why: String| {
            format!("its HDF5 part can't be read ({why}); it may be damaged: save it again")
        };
        let read = || {
            let file = File::from_bytes(bytes).map_err(|e| e.to_string())?;
            group(&file.root(), 0, &mut left)
        };
        guarded(read).and_then(|group| group).map_err(damaged)
    }

    /// The group at `path`, names with slashes between.
    pub fn group(&self, path: &str) -> Option<&HdfGroup> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(self, |group, name| group.groups.get(name))
    }

    /// All arrays in it and the groups below, with their paths.
    pub fn all_arrays(&self) -> Vec<(String, &Array)> {
        let mut found: Vec<(String, &Array)> = self
            .arrays
            .iter()
            .map(|(name, array)| (name.clone(), array))
            .collect();
        for (name, group) in &self.groups {
            let below = group.all_arrays().into_iter();
            found.extend(below.map(|(path, array)| (format!("{name}/{path}"), array)));
        }
        found
    }
}

/// What may still be read.
struct Left {
    objects: usize,
    bytes: u64,
}

fn group(group: &hdf5_pure::Group, depth: usize, left: &mut Left) -> Result<HdfGroup, String> {
    let text = |e: hdf5_pure::Error| e.to_string();
    if depth > DEEPEST {
        return Err(format!("groups are nested more than {DEEPEST} deep"));
    }
    let mut read = HdfGroup::default();
    for (name, value) in group.attrs().map_err(text)? {
        if let Some(value) = value.as_str() {
            read.attributes.insert(name, value.to_string());
        }
    }
    for name in group.datasets().map_err(text)? {
        let dataset = group.dataset(&name).map_err(text)?;
        left.objects = left
            .objects
            .checked_sub(1)
            .ok_or("it has too many arrays")?;
        let (shape, ty) = (
            dataset.shape().map_err(text)?,
            dataset.dtype().map_err(text)?,
        );
        if !matches!(
            ty,
            DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::Other(_)
        ) {
            continue;
        }
        let count = shape.iter().try_fold(4_u64, |n, &d| n.checked_mul(d));
        let count = count.filter(|&bytes| bytes <= left.bytes);
        let count =
            count.ok_or_else(|| format!("{name} is declared larger than the file can be"))?;
        left.bytes -= count;
        host_memory::check(count.saturating_mul(2))?;
        // Types that are no numbers, such as those of an optimizer's seeds, are not weights.
        let Ok(values) = dataset.read_f32() else {
            continue;
        };
        let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        if values.len() != dims.iter().product::<usize>() {
            return Err(format!("{name} is cut short"));
        }
        let array = Array {
            element: Element::Float,
            dims,
            numbers: Numbers::Single(values),
        };
        read.arrays.insert(name, array);
    }
    for name in group.groups().map_err(text)? {
        left.objects = left
            .objects
            .checked_sub(1)
            .ok_or("it has too many groups")?;
        let below = self::group(&group.group(&name).map_err(text)?, depth + 1, left)?;
        read.groups.insert(name, below);
    }
    Ok(read)
}
