//! What `wgrad predict` is given, as samples for the model of a run.

use super::Args;
use crate::cli::note;
use anyhow::Context as _;
use std::io::BufRead as _;
use std::path::Path;
use wgrad::Error;
use wgrad::data::{
    ImageSet, PictureShape, Samples, image_files, read_last_window, read_pictures, read_rows,
    read_text_rows, read_texts,
};
use wgrad::nn::Network;
use wgrad::settings::Settings;

/// What is to be predicted, in the order in which it was given.
pub(super) struct Inputs {
    pub items: Vec<Item>,
    /// A sample for each item without trouble.
    pub set: Samples,
}

/// An image, a row, a text or a series.
pub(super) struct Item {
    /// What it is called: a file, a row of one, or the text itself.
    pub name: String,
    /// The key of its name in a line of JSON.
    pub key: &'static str,
    /// Why it can't be predicted: a sentence.
    pub trouble: Option<String>,
}

impl Item {
    fn file(name: impl ToString) -> Item {
        Item {
            name: name.to_string(),
            key: "file",
            trouble: None,
        }
    }

    /// A text that is its own name.
    fn text(text: impl ToString) -> Item {
        Item {
            key: "text",
            ..Item::file(text)
        }
    }

    fn but(self, trouble: impl ToString) -> Item {
        Item {
            trouble: Some(trouble.to_string()),
            ..self
        }
    }
}

/// Whether `path` stands for standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The image files, as the model takes them.
pub(super) fn pictures(
    args: &Args,
    network: &Network,
    settings: &Settings,
) -> anyhow::Result<Inputs> {
    let Some([height, width, channels]) = network.spec.input.image() else {
        return Err(
            Error::Config(format!("model {} does not take images", network.spec.name)).into(),
        );
    };
    if channels != 1 && channels != 3 {
        return Err(Error::Config(format!(
            "the model takes images of {channels} channels; image files give 1 or 3"
        ))
        .into());
    }
    let shape = PictureShape {
        height,
        width,
        channels,
        fit: settings.data.fit,
    };
    let mut items = Vec::new();
    let mut images = Vec::new();
    for path in &args.files {
        let name = || Item::file(path.display());
        let files = match path.is_dir() {
            true => image_files(path),
            false => Ok(vec![path.clone()]),
        };
        match files {
            Err(e) => items.push(name().but(e)),
            Ok(files) if files.is_empty() => {
                items.push(name().but(format!("{} holds no image files", path.display())));
            }
            Ok(files) => read_pictures(&files, shape, |path, picture| {
                let item = Item::file(path.display());
                items.push(match picture {
                    Ok(bytes) => {
                        images.extend(bytes);
                        item
                    }
                    Err(why) => item.but(format!(
                        "{} can't be read as an image: {why}",
                        path.display()
                    )),
                });
                Ok(())
            })?,
        }
    }
    if args.invert {
        images.iter_mut().for_each(|byte| *byte = 255 - *byte);
    }
    let set = ImageSet {
        labels: vec![0; images.len() / (height * width * channels)],
        images,
        height,
        width,
        channels,
    };
    Ok(Inputs {
        items,
        set: set.into(),
    })
}

/// The rows of a table, with the columns that the run learned.
pub(super) fn rows(args: &Args, settings: &Settings) -> anyhow::Result<Inputs> {
    let [path] = &args.files[..] else {
        return Err(Error::Config("this run reads tables: name one CSV file".to_string()).into());
    };
    let (set, notes) = read_rows(path, &settings.data).map_err(Error::from)?;
    notes.iter().for_each(note);
    let rows = 1..=set.starts.len();
    Ok(Inputs {
        items: rows.map(|row| Item::file(row_name(path, row))).collect(),
        set: set.into(),
    })
}

fn row_name(path: &Path, row: usize) -> String {
    format!("{} row {row}", path.display())
}

/// The last rows of a series.
pub(super) fn window(args: &Args, settings: &Settings) -> anyhow::Result<Inputs> {
    let [path] = &args.files[..] else {
        return Err(Error::Config("this run reads series: name one CSV file".to_string()).into());
    };
    let set = read_last_window(path, &settings.data).map_err(Error::from)?;
    Ok(Inputs {
        items: vec![Item::file(path.display())],
        set: set.into(),
    })
}

/// Texts as they were given, files of one text each, the rows of tables, or the lines of standard input.
pub(super) fn texts(args: &Args, settings: &Settings) -> anyhow::Result<Inputs> {
    let mut items: Vec<Item> = args.text.iter().map(Item::text).collect();
    // Each with what messages call it.
    let given = args.text.iter().zip(1..);
    let mut texts: Vec<(String, String)> = given
        .map(|(text, n)| (format!("text {n}"), text.clone()))
        .collect();
    for path in &args.files {
        let file = || Item::file(path.display());
        if is_stdin(path) {
            for (line, n) in std::io::stdin().lock().split(b'\n').zip(1..) {
                let line = line.context("cannot read standard input")?;
                let place = format!("line {n} of standard input");
                match String::from_utf8(line) {
                    Ok(line) => {
                        let line = line.trim_end_matches('\r').to_string();
                        items.push(Item::text(&line));
                        texts.push((place, line));
                    }
                    Err(_) => items.push(Item::text(&place).but(format!("{place} is not UTF-8"))),
                }
            }
            continue;
        }
        match read_text_rows(path, &settings.data) {
            Err(e) => items.push(file().but(e)),
            Ok(Some(rows)) => {
                for (text, row) in rows.into_iter().zip(1..) {
                    items.push(Item::file(row_name(path, row)));
                    texts.push((row_name(path, row), text));
                }
            }
            Ok(None) => match std::fs::read_to_string(path) {
                Err(e) => items
                    .push(file().but(format!("{} can't be read as a text: {e}", path.display()))),
                Ok(text) => {
                    items.push(file());
                    texts.push((path.display().to_string(), text));
                }
            },
        }
    }
    if items.is_empty() {
        return Err(Error::Config("standard input has no line to classify".to_string()).into());
    }
    let read = read_texts(&texts, &settings.data).map_err(Error::from)?;
    read.notes.iter().for_each(note);
    let readable = items.iter_mut().filter(|item| item.trouble.is_none());
    for ((index, item), (place, _)) in readable.enumerate().zip(&texts) {
        if read.empty.binary_search(&index).is_ok() {
            item.trouble = Some(format!("{place} is an empty text: give it a word"));
        }
    }
    Ok(Inputs {
        items,
        set: read.set.into(),
    })
}
