//! Finding the images that annotations name.

use crate::data::DataError;
use crate::data::files::name_as_text;
use crate::data::picture::has_image_ending;
use crate::data::source::Tree;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The image files below a folder, by their names with and without endings.
pub(in crate::data::formats) struct PictureIndex<'t> {
    named: BTreeMap<String, Vec<&'t Path>>,
    stems: BTreeMap<String, Vec<&'t Path>>,
}

impl<'t> PictureIndex<'t> {
    /// The image files below `root`.
    ///
    /// # Errors
    /// If a folder can't be read.
    pub fn of(tree: &'t Tree, root: &'t Path) -> Result<PictureIndex<'t>, DataError> {
        let mut index = PictureIndex {
            named: BTreeMap::new(),
            stems: BTreeMap::new(),
        };
        for (path, _) in tree.files_below(root)? {
            if !has_image_ending(path) {
                continue;
            }
            let name = |part: Option<&std::ffi::OsStr>| name_as_text(part.unwrap_or_default());
            let (named, stems) = (&mut index.named, &mut index.stems);
            named.entry(name(path.file_name())).or_default().push(path);
            stems.entry(name(path.file_stem())).or_default().push(path);
        }
        Ok(index)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// The image that `annotations` call `name`, which may begin with folders and lack its ending. Of several, it is the one in the
    /// folders that the name gives, or else in a folder that the annotations are named after, or that lies nearest to them.
    pub fn find(&self, name: &str, annotations: &Path) -> Option<PathBuf> {
        let wanted = name.replace('\\', "/");
        let wanted = Path::new(&wanted);
        let base = name_as_text(wanted.file_name()?);
        let found = self.named.get(&base).or_else(|| self.stems.get(&base))?;
        let stem = name_as_text(annotations.file_stem().unwrap_or_default());
        let nearness = |path: &Path| {
            let same =
                |(own, other): &(std::path::Component<'_>, std::path::Component<'_>)| own == other;
            // Folders that the name gives, from its end; then folders shared with the annotations.
            let named = wanted.parent().unwrap_or(Path::new(""));
            let folders = path.parent().unwrap_or(Path::new(""));
            let as_named = named.components().rev().zip(folders.components().rev());
            let shared = folders.components().zip(annotations.components());
            let folder = name_as_text(folders.file_name().unwrap_or_default());
            (
                as_named.take_while(same).count(),
                !folder.is_empty() && stem.contains(&folder),
                shared.take_while(same).count(),
            )
        };
        // The first of equally near ones.
        let best = found.iter().rev().max_by_key(|path| nearness(path))?;
        Some(best.to_path_buf())
    }
}
