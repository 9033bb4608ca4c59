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
    let other = dir.join("other");
    let floats: Vec<u8> = (0..96_u8)
        .flat_map(|i| (f32::from(i) / 95.0).to_be_bytes())
        .collect();
    let mut pixels = idx(&[6, 4, 4], &floats);
    pixels[2] = 13;
    let pixels = write(
        &other.join("emnist-letters-train-images-idx3-float"),
        pixels,
    );
    write(
        &other.join("emnist-letters-mapping.txt"),
        "1 65 97\n2 66 98\n",
    );
    let labels = idx(&[6], &[1, 2, 1, 2, 1, 2]);
    write(
        &other.join("emnist-letters-train-labels-idx1-ubyte"),
        labels,
    );
    vec![
        data("idx_floats", &other, pixels, ""),
        data(
            "idx_mapping",
            &other,
            other.join("emnist-letters-mapping.txt"),
            "",
        ),
        rows_of_arrays(dir),
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
    ordered("False", kind, shape, bytes)
}

/// The same, column by column if `fortran_order` is `True`.
fn ordered(fortran_order: &str, kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '{kind}', 'fortran_order': {fortran_order}, 'shape': {shape}, }}\n");
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

/// Arrays of NumPy beside one another, one of which holds rows of a table.
fn rows_of_arrays(dir: &Path) -> Target {
    let folder = dir.join("npy");
    let floats: Vec<u8> = (0..24)
        .flat_map(|i| (i as f32 * 0.5).to_le_bytes())
        .collect();
    let file = write(&folder.join("X.npy"), npy("<f4", "(12, 2)", &floats));
    write(
        &folder.join("y.npy"),
        npy("|S3", "(12,)", &b"no\0yes".repeat(6)),
    );
    let turned = ordered("True", "<f4", "(12, 2)", &floats);
    data("npy_rows", &folder, file, "").and([turned])
}

fn rows(row: impl Fn(u32) -> String) -> String {
    (0..24).map(row).collect()
}

fn table() -> String {
    let city = |i: u32| ["Rome", "Oslo"][i as usize % 2];
    "age,city,label\n".to_string()
        + &rows(|i| format!("{}.5,\"{}\",{}\n", i * 7 % 30, city(i), i % 3))
}

/// [`table`], packed by `xz`.
const TABLE_XZ: &[u8] = b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x0c\x00\x00\x00\x8f\x98A\x9c\xe0\x01V\x00{]\x000\x99\xc8\xd6\x14ZT\xd7G*\xfa'\xf1\x01}\xc4W\xe4\xb0z?\xbd\x15|\x96\xea\xab\xee\xe2\x07d\xbdh$\x09\x80\x11\x08\x13\xb1\xcb:Oy>\xbdj\xe2\x9aT\xfe\xed\xbf\xc0\xba\xda\xa0\xbf\xce\x05\xc8\xf9\xcbn\x17qp\xa2\xd0\x86So*t\x07\xbar\xe1jSR>\x9bK\xef\xed\xed_>\x03\x0a\x88\xc7\xaeV\xe3\xb8\xf7'HX\x09qKT\xf4\x8a\xa0\xa6\xe4\xa8\x04c\xf3\xd0\xf3Z2\xb4\x00:\xe4\xa0\x00\x00s\xda\x5c\xb2T\xa7\xa7a\x00\x01\x97\x01\xd7\x02\x00\x00\xd8\x8eQF\xb1\xc4g\xfb\x02\x00\x00\x00\x00\x04YZ";

fn zipped(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default())
        .unwrap();
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap().into_inner()
}

/// The rows of [`table`] as a sheet of Excel: a zip archive with the least files that make a workbook.
fn workbook() -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const DOC: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let link = |kind: &str, to: &str| {
        format!(
            "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"a\" Type=\"{DOC}/{kind}\" Target=\"{to}\"/></Relationships>"
        )
    };
    let cells = |line: &str| -> String {
        let cell = |cell: &str| match cell.parse::<f64>() {
            Ok(number) => format!("<c><v>{number}</v></c>"),
            Err(_) => format!("<c t=\"inlineStr\"><is><t>{cell}</t></is></c>"),
        };
        line.replace('"', "").split(',').map(cell).collect()
    };
    let row = |line: &str| format!("<row>{}</row>", cells(line));
    let rows: String = table().lines().map(row).collect();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("_rels/.rels", link("officeDocument", "xl/workbook.xml")),
        (
            "xl/_rels/workbook.xml.rels",
            link("worksheet", "worksheets/sheet1.xml"),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{DOC}\"><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"a\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>"),
        ),
    ] {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored);
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The rows of [`table`] as objects.
fn objects() -> String {
    let city = |i: u32| ["Rome", "Oslo"][i as usize % 2];
    let row = |i| {
        format!(
            "{{\"age\": {i}.5, \"city\": \"{}\", \"label\": {}}}\n",
            city(i),
            i % 3
        )
    };
    rows(row)
}

/// Tables in compressed files, in JSON and in Excel; texts in UTF-16, and in folders.
pub fn more_tables(dir: &Path) -> Vec<Target> {
    let packed = |name: &str, file: &str, bytes: Vec<u8>| {
        let file = write(&dir.join(file), bytes);
        data(name, &file.clone(), file, "").within(COMPRESSED)
    };
    let sheet = |ending: &str, bytes: &[u8]| {
        let file = write(&dir.join("w").join(format!("people.{ending}")), bytes);
        data(ending, &file.clone(), file, "sheet = 2")
    };
    let array = format!("[{}]", objects().trim().replace("}\n", "},\n"));
    let lines = write(&dir.join("j/lines.jsonl"), objects());
    let marked = "\u{feff}".to_string() + &rows(|i| format!("Zeile {i} für die Katze\n"));
    let utf16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = write(&dir.join("u/prose.txt"), utf16);
    for i in 0..8 {
        let class = ["neg", "pos"][i % 2];
        write(
            &dir.join(format!("f/{class}/{i}.txt")),
            format!("{class} film {i}"),
        );
    }
    vec![
        packed("table_gzip", "g/table.csv.gz", gzipped(table().as_bytes())),
        packed("table_xz", "g2/table.csv.xz", TABLE_XZ.to_vec()),
        packed(
            "table_zip",
            "g3/table.csv.zip",
            zipped("table.csv", table().as_bytes()),
        ),
        packed("xlsx", "e/table.xlsx", workbook()),
        sheet("xls", include_bytes!("../fixtures/workbooks/people.xls")),
        sheet("xlsb", include_bytes!("../fixtures/workbooks/people.xlsb")).within(COMPRESSED),
        sheet("ods", include_bytes!("../fixtures/workbooks/people.ods")).within(COMPRESSED),
        data("json", &lines.clone(), lines, "").and([array.into_bytes()]),
        data("text_utf16", &utf16.clone(), utf16, "context = 8"),
        data(
            "text_folder",
            &dir.join("f"),
            dir.join("f/pos/1.txt"),
            "context = 8",
        ),
    ]
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

/// Descriptions of boxes in images.
pub fn boxes(dir: &Path) -> Vec<Target> {
    let png = picture(ImageFormat::Png);
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    let mut table = "filename,class,xmin,ymin,xmax,ymax\n".to_string();
    for i in 0..6 {
        for folder in ["voc", "coco/images", "yolo/images", "table"] {
            write(&dir.join(format!("{folder}/{i}.png")), &png);
        }
        let xml = format!(
            "<annotation><filename>{i}.png</filename><object><name>c&amp;{}</name><difficult>0</difficult><bndbox><xmin>1</xmin>\
             <ymin>2</ymin><xmax>9.5</xmax><ymax>7</ymax></bndbox></object></annotation>",
            i % 2
        );
        write(&dir.join(format!("voc/{i}.xml")), xml);
        let label = format!("{} 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.5 0.1 0.5 0.5\n", i % 2);
        write(&dir.join(format!("yolo/labels/{i}.txt")), label);
        table += &format!("{i}.png,{},1,2,9,7\n", i % 2);
        images.push(format!("{{\"id\":{i},\"file_name\":\"{i}.png\"}}"));
        annotations.push(format!(
            "{{\"id\":{i},\"image_id\":{i},\"category_id\":3,\"bbox\":[1,2,4.5,5],\"iscrowd\":0}}"
        ));
    }
    let coco = format!(
        "{{\"images\":[{}],\"annotations\":[{}],\"categories\":[{{\"id\":3,\"name\":\"cat\"}}]}}",
        images.join(","),
        annotations.join(",")
    );
    write(&dir.join("coco/all.json"), coco);
    write(
        &dir.join("yolo/data.yaml"),
        "train: images\nnc: 2\nnames:\n  0: cat\n  1: dog\n",
    );
    write(&dir.join("table/boxes.csv"), table);
    let target = |name: &str, source: &str, file: &str, format: &str| {
        let source = dir.join(source);
        data(
            name,
            &source,
            source.join(file),
            &format!("format = \"{format}\""),
        )
    };
    vec![
        target("voc", "voc", "0.xml", "voc"),
        target("coco", "coco", "all.json", "coco"),
        target("yolo_labels", "yolo", "labels/0.txt", "yolo"),
        target("yolo_names", "yolo", "data.yaml", "yolo"),
        target("box_table", "table", "boxes.csv", "box_table"),
    ]
}

/// Tagged words, and sentences with translations.
pub fn sentences(dir: &Path) -> Vec<Target> {
    let tagged =
        "EU NNP B-ORG\nrejects VBZ O\n\nPeter NNP B-PER\nBlackburn NNP I-PER\n\n".repeat(6);
    write(&dir.join("tagged/train.conll"), tagged);
    for (language, line) in [("de", "Ein Hund läuft.\n"), ("en", "A dog runs.\n")] {
        for part in ["train", "test"] {
            write(
                &dir.join(format!("pairs/{part}.{language}")),
                line.repeat(8),
            );
        }
    }
    let target = |name: &str, source: &str, file: &str| {
        let source = dir.join(source);
        let settings = format!("format = \"{name}\"\ncontext = 8");
        data(name, &source, source.join(file), &settings)
    };
    vec![
        target("conll", "tagged", "train.conll"),
        target("parallel", "pairs", "train.en"),
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
        write(&dir.join(format!("image_pairs/target/{i}.png")), &png);
        write(&dir.join(format!("image_pairs/input/{i}.png")), &png);
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
        target("image_pairs", "image_pairs", "input/0.png").within(COMPRESSED),
        target("manifest", "manifest", "list.csv"),
        target("cifar", "cifar", "data_batch_1.bin"),
    ]
}
