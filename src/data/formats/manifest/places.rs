//! Where the image files that a table names lie.

use crate::data::picture::{has_image_ending, image_endings};
use std::fs;
use std::path::{Path, PathBuf};

/// Names of columns that may hold image files without their endings.
const NAMES: [&str; 15] = [
    "file",
    "filename",
    "file_name",
    "image",
    "image_name",
    "image_id",
    "image_path",
    "img",
    "id",
    "name",
    "path",
    "filepath",
    "file_path",
    "picture",
    "photo",
];
/// Maximum number of folders beside a table in which files are looked for.
const MOST_FOLDERS: usize = 16;

/// The folders in which the files of a table are looked for: its own, and those beside it.
pub(in crate::data::formats) struct Places {
    folders: Vec<PathBuf>,
}

impl Places {
    /// Those of the table `path`.
    pub fn of(path: &Path) -> Places {
        let own = path.parent().unwrap_or(Path::new(""));
        let listed = match own.as_os_str().is_empty() {
            true => fs::read_dir("."),
            false => fs::read_dir(own),
        };
        let entries = listed.into_iter().flatten().flatten();
        let is_folder = |entry: &fs::DirEntry| {
            let kind = entry.file_type();
            kind.is_ok_and(|kind| kind.is_dir() || kind.is_symlink() && entry.path().is_dir())
        };
        let folders = entries.filter(|entry| {
            !entry.file_name().to_string_lossy().starts_with('.') && is_folder(entry)
        });
        let mut beside: Vec<PathBuf> = folders.map(|entry| own.join(entry.file_name())).collect();
        beside.sort();
        beside.truncate(MOST_FOLDERS);
        let mut folders = vec![own.to_owned()];
        folders.extend(beside);
        Places { folders }
    }

    /// Whether `cell`, in a column with this name, names an image file.
    pub fn has_image(&self, cell: &str, column: Option<&str>) -> bool {
        let may_lack_ending = column.is_some_and(|column| {
            let name = column.trim().to_lowercase().replace([' ', '-'], "_");
            NAMES.contains(&&*name)
        });
        (has_image_ending(Path::new(cell)) || may_lack_ending) && self.found(cell).is_some()
    }

    /// The image file that `cell` names: one that exists, or else the one in the folder of the table.
    pub fn file(&self, cell: &str) -> PathBuf {
        self.found(cell)
            .unwrap_or_else(|| self.folders[0].join(cell))
    }

    fn found(&self, cell: &str) -> Option<PathBuf> {
        if cell.is_empty() {
            return None;
        }
        // Tables that were written on Windows separate folders by backslashes.
        let with_slashes = cell.replace('\\', "/");
        let own = has_image_ending(Path::new(cell)).then_some("");
        let paths = self.folders.iter().flat_map(|folder| {
            let join = |ending: &str| match ending {
                "" => folder.join(&with_slashes),
                _ => folder.join(format!("{with_slashes}.{ending}")),
            };
            let endings = match own {
                Some(_) => &[""][..],
                None => image_endings(),
            };
            endings.iter().map(move |ending| join(ending))
        });
        let exact = self.folders[0].join(cell);
        let mut paths = own.map(|_| exact).into_iter().chain(paths);
        paths.find(|path| path.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_beside_the_table_and_without_their_endings() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["1.png", "images/2.jpg", "images/deep/3.PNG", "train/4.png"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let places = Places::of(&dir.path().join("labels.csv"));
        let at = |cell: &str| {
            let path = places.file(cell);
            let path = path.strip_prefix(dir.path()).unwrap();
            path.display().to_string()
        };
        assert_eq!(at("1.png"), "1.png");
        assert_eq!(at("2.jpg"), "images/2.jpg");
        assert_eq!(at("2"), "images/2.jpg");
        assert_eq!(at("deep\\3.PNG"), "images/deep/3.PNG");
        assert_eq!(at("4"), "train/4.png");
        assert_eq!(at("5.png"), "5.png");
        assert!(places.has_image("2", Some("Image ID")));
        assert!(!places.has_image("2", Some("age")) && !places.has_image("2", None));
        assert!(places.has_image("2.jpg", None) && !places.has_image("", Some("id")));
    }
}
