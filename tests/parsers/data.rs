//! Data sets.

use super::pictures::{mask, picture};
use super::{COMPRESSED, Target, write};
use image::ImageFormat;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use wgrad::data::{DataSettings, Fitted, InputContext, PredictInput, load};

/// The settings of the text `settings` for the data `source`.
fn settings(source: &Path, settings: &str) -> DataSettings {
    DataSettings {
        source: source.display().to_string(),
        ..toml::from_str(settings).unwrap()
    }
}

/// A parser that loads the data `source` with the settings of the text `text`; `file` is one of its files.
fn data(name: &str, source: &Path, file: PathBuf, text: &str) -> Target {
    let settings = settings(source, text);
    Target::new(name, file, move || {
        load(&settings, &mut Fitted::default(), 1).is_ok()
    })
}

/// An IDX file of bytes.
fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    [&file, bytes].concat()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// IDX files, and NumPy archives.
pub fn arrays(dir: &Path) -> Vec<Target> {
    let dirs = ["plain", "gzip"].map(|name| dir.join(name));
    for folder in &dirs {
        for (part, count) in [("train", 6), ("t10k", 2)] {
            let labels: Vec<u8> = (0..count).map(|i| i % 2).collect();
            let images = idx(&[u32::from(count), 4, 4], &vec![7; usize::from(count) * 16]);
            write(&folder.join(format!("{part}-images-idx3-ubyte")), images);
            let labels = idx(&[u32::from(count)], &labels);
            write(&folder.join(format!("{part}-labels-idx1-ubyte")), labels);
        }
        write(&folder.join("classes.txt"), "no\nyes\n");
    }
    let [plain, gzip] = &dirs;
    let images = gzip.join("train-images-idx3-ubyte");
    write(&images, gzipped(&std::fs::read(&images).unwrap()));
    let target = |name: &str, file: &str| data(name, plain, plain.join(file), "");
    vec![
        target("idx_images", "train-images-idx3-ubyte"),
        target("idx_labels", "train-labels-idx1-ubyte"),
        target("class_names", "classes.txt"),
        data("idx_gzip", gzip, images, "").within(COMPRESSED),
        npz("npz_stored", dir, zip::CompressionMethod::Stored),
        npz("npz_deflated", dir, zip::CompressionMethod::Deflated).within(COMPRESSED),
    ]
}

/// An array file of NumPy.
fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
}

fn npz(name: &str, dir: &Path, method: zip::CompressionMethod) -> Target {
    let archive = |arrays: &[(&str, Vec<u8>)]| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, array) in arrays {
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(array).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let bytes = |count: u8| -> Vec<u8> { (0..count).map(|i| i % 2).collect() };
    let one = archive(&[
        ("images", npy("|u1", "(8, 2, 2)", &bytes(32))),
        ("labels", npy("|u1", "(8,)", &bytes(8))),
    ]);
    let parts = archive(&[
        ("x_train", npy("|u1", "(2, 3, 5, 5)", &bytes(150))),
        ("y_train", npy("<i4", "(2, 1)", &[1, 0, 0, 0, 0, 0, 0, 0])),
        ("x_test", npy("|u1", "(1, 3, 5, 5)", &bytes(75))),
        ("y_test", npy("<f4", "(1,)", &1.0_f32.to_le_bytes())),
    ]);
    let file = write(&dir.join(format!("{name}.npz")), one);
    data(name, &file.clone(), file, "").and([parts])
}

fn rows(row: impl Fn(u32) -> String) -> String {
    (0..24).map(row).collect()
}

fn table() -> String {
    let city = |i: u32| ["Rome", "Oslo"][i as usize % 2];
    "age,city,label\n".to_string()
        + &rows(|i| format!("{}.5,\"{}\",{}\n", i * 7 % 30, city(i), i % 3))
}

fn series() -> String {
    "date,a,b\n".to_string() + &rows(|i| format!("2020-01-{:02},{i},{}\n", i + 1, i * i))
}

fn texts() -> String {
    let of = |words: [&'static str; 2], i: u32| words[i as usize % 2];
    let row = |i| {
        let [word, class] = [of(["very", "not"], i), of(["no", "yes"], i)];
        format!("\"{word} fine, {i}\",{class}\n")
    };
    "text,label\n".to_string() + &rows(row)
}

const SERIES: &str = "format = \"series\"\ncontext = 4\nhorizon = 2";

/// CSV files and texts.
pub fn tables(dir: &Path) -> Vec<Target> {
    let prose = rows(|i| format!("In line {i} the cat sat on mat {}.\n", i * i));
    let single = |name: &str, file: &str, text: &str, settings: &str| {
        let file = write(&dir.join(file), text);
        data(name, &file.clone(), file, settings)
    };
    let pairs = "context = 8\ntokens = \"byte_pairs\"\nvocabulary = 280";
    vec![
        single("table", "t/table.csv", &table(), ""),
        single("series", "s/series.csv", &series(), SERIES),
        single("text_table", "x/texts.csv", &texts(), "tokens = \"words\""),
        single("text", "p/prose.txt", &prose, pairs),
        single("characters", "c/prose.txt", &prose, "context = 8"),
    ]
}

/// Tables from which a trained model predicts.
pub fn predicted(dir: &Path) -> Vec<Target> {
    let target = |name: &str, text: &str, text_of_settings: &str| {
        let source = write(&dir.join(format!("trained/{name}.csv")), text);
        let settings = settings(&source, text_of_settings);
        let mut fitted = Fitted::default();
        load(&settings, &mut fitted, 1).unwrap();
        let file = write(&dir.join(format!("{name}.csv")), text);
        let path = file.clone();
        Target::new(&format!("predict_{name}"), file, move || {
            let Some(format) = fitted.format else {
                return false;
            };
            let cx = InputContext {
                settings: &settings,
                fitted: &fitted,
                model: "m",
                image: None,
                invert: false,
            };
            let inputs = [PredictInput::Path(path.clone())];
            format.read_inputs(&inputs, &cx).is_ok()
        })
    };
    vec![
        target("table", &table(), ""),
        target("series", &series(), SERIES),
        target("texts", &texts(), "tokens = \"words\""),
    ]
}

/// Folders of images, manifests and CIFAR-10.
pub fn folders(dir: &Path) -> Vec<Target> {
    let png = picture(ImageFormat::Png);
    for class in ["cat", "dog"] {
        for i in 0..4 {
            write(&dir.join(format!("classes/{class}/{i}.png")), &png);
        }
    }
    let mut manifest = "file,age,label\n".to_string();
    for i in 0..6 {
        write(&dir.join(format!("masks/image/{i}.png")), &png);
        write(&dir.join(format!("masks/mask/{i}.png")), mask());
        write(&dir.join(format!("manifest/{i}.png")), &png);
        manifest += &format!("{i}.png,{i},{}\n", i % 2);
    }
    write(&dir.join("manifest/list.csv"), manifest);
    let cifar = |record: u8| [vec![record % 2], vec![record; 3072]].concat();
    write(&dir.join("cifar/test_batch.bin"), cifar(1));
    write(
        &dir.join("cifar/data_batch_1.bin"),
        [cifar(0), cifar(1)].concat(),
    );
    let target = |name: &str, source: &str, file: &str| {
        let source = dir.join(source);
        data(name, &source, source.join(file), "")
    };
    vec![
        target("folder", "classes", "cat/0.png").within(COMPRESSED),
        target("masks", "masks", "mask/0.png").within(COMPRESSED),
        target("manifest", "manifest", "list.csv"),
        target("cifar", "cifar", "data_batch_1.bin"),
    ]
}
