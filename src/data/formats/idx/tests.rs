use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::data::{DataSettings, real_set};

/// An IDX file: magic with `shape.len()` dimensions, the shape, the elements.
fn idx(shape: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder with a valid set of three training and two test images of 2 x 3 pixels and three classes.
fn good_folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(
        &dir,
        "train-images-idx3-ubyte",
        &idx(&[3, 2, 3], &(0..18).collect::<Vec<u8>>()),
    );
    put(&dir, "train-labels-idx1-ubyte", &idx(&[3], &[2, 0, 1]));
    put(&dir, "t10k-images-idx3-ubyte", &idx(&[2, 2, 3], &[7; 12]));
    put(&dir, "t10k-labels-idx1-ubyte", &idx(&[2], &[1, 2]));
    dir
}

fn put(dir: &TempDir, name: &str, bytes: &[u8]) {
    std::fs::write(dir.path().join(name), bytes).unwrap();
}

/// Loads the valid folder with one file replaced, and returns the message of the error.
fn message_with(name: &str, bytes: &[u8]) -> String {
    let dir = good_folder();
    put(&dir, name, bytes);
    message(&dir)
}

/// The message of the error of loading, which is one sentence that names the folder.
fn message(dir: &TempDir) -> String {
    let message = load_idx_dir(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains(dir.path().to_str().unwrap()),
        "no path in: {message}"
    );
    assert!(
        !message.contains('\n') && !message.ends_with('.'),
        "not one sentence: {message}"
    );
    message
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn plain_files_load() {
    let dir = good_folder();
    let set = load_idx_dir(dir.path()).unwrap();
    assert_eq!(set.name, dir.path().file_name().unwrap().to_str().unwrap());
    assert_eq!(set.train.images, (0..18).collect::<Vec<u8>>());
    assert_eq!(set.train.labels, [2, 0, 1]);
    assert_eq!(
        (set.train.height, set.train.width, set.train.channels),
        (2, 3, 1)
    );
    assert_eq!(set.train.image(1), [6, 7, 8, 9, 10, 11]);
    assert_eq!(set.test.labels, [1, 2]);
    assert_eq!(set.classes, ["0", "1", "2"]);
}

#[test]
fn gzipped_files_and_names_with_a_dot_load_the_same() {
    let plain = good_folder();
    let other = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(plain.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry
            .file_name()
            .into_string()
            .unwrap()
            .replace("-idx", ".idx")
            + ".gz";
        put(&other, &name, &gzip(&std::fs::read(entry.path()).unwrap()));
    }
    let (plain, other) = (
        load_idx_dir(plain.path()).unwrap(),
        load_idx_dir(other.path()).unwrap(),
    );
    assert_eq!(plain.train, other.train);
    assert_eq!(plain.test, other.test);
}

#[test]
fn gzip_is_detected_by_content_and_not_by_name() {
    let dir = good_folder();
    put(&dir, "t10k-labels-idx1-ubyte", &gzip(&idx(&[2], &[1, 2])));
    assert_eq!(load_idx_dir(dir.path()).unwrap().test.labels, [1, 2]);
}

#[test]
fn a_missing_folder_is_named() {
    let missing = tempfile::tempdir().unwrap().path().join("nowhere");
    let message = load_idx_dir(&missing).unwrap_err().to_string();
    assert_says(&message, &["no data at", missing.to_str().unwrap()]);
}

#[test]
fn a_missing_file_is_reported_with_the_names_looked_for() {
    for (file, what) in [
        ("train-images-idx3-ubyte", "no training images"),
        ("train-labels-idx1-ubyte", "no training labels"),
        ("t10k-images-idx3-ubyte", "no test images"),
        ("t10k-labels-idx1-ubyte", "no test labels"),
    ] {
        let dir = good_folder();
        std::fs::remove_file(dir.path().join(file)).unwrap();
        let dotted = file.replace("-idx", ".idx") + ".gz";
        assert_says(&message(&dir), &[what, file, &dotted]);
    }
}

#[test]
fn a_file_cut_short_is_reported_with_both_lengths() {
    let whole = idx(&[3, 2, 3], &[0; 18]);
    for (kept, declared) in [(0, 16), (3, 16), (9, 16), (16, 34), (33, 34)] {
        let kept_says = format!("it holds {kept};");
        let declared_says = format!("declares {declared} bytes");
        let message = message_with("train-images-idx3-ubyte", &whole[..kept]);
        assert_says(
            &message,
            &[
                "train-images-idx3-ubyte is cut short",
                &kept_says,
                &declared_says,
            ],
        );
        let message = message_with("train-images-idx3-ubyte", &gzip(&whole[..kept]));
        assert_says(
            &message,
            &[
                "train-images-idx3-ubyte is cut short",
                &kept_says,
                &declared_says,
            ],
        );
    }
}

#[test]
fn a_gzip_file_cut_short_is_reported() {
    // Deflate can't compress noise, so half of the file holds half of the elements.
    let noise: Vec<u8> = (0..6000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let packed = gzip(&idx(&[3, 50, 40], &noise));
    for kept in [5, 12, packed.len() / 2, packed.len() - 1] {
        assert_says(
            &message_with("train-images-idx3-ubyte", &packed[..kept]),
            &["train-images-idx3-ubyte is cut short", "download it again"],
        );
    }
}

#[test]
fn a_gzip_file_with_wrong_bytes_is_reported() {
    let packed = gzip(&idx(&[3, 2, 3], &(0..18).collect::<Vec<u8>>()));
    let mut wrong_checksum = packed.clone();
    let checksum = packed.len() - 8;
    wrong_checksum[checksum] ^= 1;
    let mut wrong_block = packed.clone();
    wrong_block[10] = 0xff;
    for damaged in [wrong_checksum, wrong_block] {
        assert_says(
            &message_with("train-images-idx3-ubyte", &damaged),
            &["is damaged gzip", "download it again"],
        );
    }
}

#[test]
fn a_file_that_is_not_idx_is_reported() {
    let message = message_with(
        "train-images-idx3-ubyte",
        b"<!DOCTYPE html><html>Not found</html>",
    );
    assert_says(
        &message,
        &["is not an IDX file", "0x3c21444f", "0x00000803"],
    );
    let no_type = [0, 0, 0x0a, 3, 0, 0, 0, 1];
    assert_says(
        &message_with("train-images-idx3-ubyte", &no_type),
        &["is not an IDX file", "0x00000a03"],
    );
}

#[test]
fn labels_under_the_name_of_images_are_reported_as_swapped() {
    let message = message_with("t10k-images-idx3-ubyte", &idx(&[2], &[1, 2]));
    assert_says(
        &message,
        &[
            "t10k-images-idx3-ubyte should hold test images",
            "3 dimension(s), but has 1",
            "swapped",
        ],
    );
    let message = message_with("train-labels-idx1-ubyte", &idx(&[3, 2, 3], &[0; 18]));
    assert_says(
        &message,
        &[
            "train-labels-idx1-ubyte should hold training labels",
            "1 dimension(s), but has 3",
        ],
    );
}

#[test]
fn bytes_after_the_data_are_reported() {
    let mut long = idx(&[3, 2, 3], &[0; 18]);
    long.push(0);
    for bytes in [gzip(&long), long] {
        assert_says(
            &message_with("train-images-idx3-ubyte", &bytes),
            &["holds more than the 34 bytes"],
        );
    }
}

#[test]
fn a_set_without_images_or_pixels_is_reported() {
    for (shape, shown) in [
        ([0, 28, 28], "0 x 28 x 28"),
        ([3, 0, 28], "3 x 0 x 28"),
        ([3, 28, 0], "3 x 28 x 0"),
    ] {
        let message = message_with("train-images-idx3-ubyte", &idx(&shape, &[]));
        assert_says(&message, &["so it is empty", shown]);
    }
}

#[test]
fn more_images_than_labels_are_reported_with_both_counts() {
    let message = message_with("train-labels-idx1-ubyte", &idx(&[2], &[0, 1]));
    assert_says(
        &message,
        &[
            "train-images-idx3-ubyte holds 3 images",
            "train-labels-idx1-ubyte holds 2 labels",
        ],
    );
}

#[test]
fn a_hostile_size_is_refused_before_memory_is_set_aside() {
    let past_64_bits = idx(&[u32::MAX; 3], &[0; 18]);
    let past_the_limit = idx(&[1 << 16, 1 << 8, (1 << 8) + 1], &[0; 18]);
    for bytes in [&past_64_bits, &past_the_limit, &gzip(&past_64_bits)] {
        assert_says(
            &message_with("train-images-idx3-ubyte", bytes),
            &["over the limit of 4294967296 bytes"],
        );
    }
    // Within the limit, but far more than the file can hold.
    let past_the_file = idx(&[3, 1 << 15, 1 << 15], &[0; 18]);
    assert_says(
        &message_with("train-images-idx3-ubyte", &past_the_file),
        &["is cut short", "it holds 34;"],
    );
    assert_says(
        &message_with("train-images-idx3-ubyte", &gzip(&past_the_file)),
        &["is cut short", "it holds at most "],
    );
}

/// 64 MiB of zeros in 64 KiB, with a header that declares 18 bytes: reading must end one byte after those.
#[test]
fn a_gzip_bomb_is_read_no_further_than_declared() {
    let bomb = gzip(&idx(&[3, 2, 3], &vec![0; 64 << 20]));
    let dir = good_folder();
    put(&dir, "train-images-idx3-ubyte", &bomb);
    let path = dir.path().join("train-images-idx3-ubyte");
    let opened = IdxFile::open(path, Role::Inputs, "training images").unwrap();
    assert!(matches!(
        opened.read(),
        Err(DataError::TooLong { declared: 34, .. })
    ));
    assert_says(&message(&dir), &["holds more than the 34 bytes"]);
}

#[test]
fn a_test_label_past_the_training_classes_is_reported() {
    let message = message_with("t10k-labels-idx1-ubyte", &idx(&[2], &[1, 3]));
    assert_says(
        &message,
        &[
            "label 3 at index 1",
            "t10k-labels-idx1-ubyte",
            "the training labels have 3 class(es)",
            "go up to 2",
        ],
    );
}

#[test]
fn test_images_of_another_size_are_reported() {
    let message = message_with("t10k-images-idx3-ubyte", &idx(&[2, 3, 3], &[0; 18]));
    assert_says(
        &message,
        &[
            "training images are 2 x 3",
            "t10k-images-idx3-ubyte are 3 x 3",
        ],
    );
}

#[test]
fn a_classes_file_names_the_classes() {
    let dir = good_folder();
    put(
        &dir,
        "classes.txt",
        "\u{feff}T-shirt/top\r\nTrouser\r\nPullover\r\nDress\n\n".as_bytes(),
    );
    let set = load_idx_dir(dir.path()).unwrap();
    assert_eq!(set.classes, ["T-shirt/top", "Trouser", "Pullover", "Dress"]);
}

#[test]
fn a_classes_file_that_does_not_fit_is_reported() {
    for (text, says) in [
        (b"" as &[u8], "classes.txt is empty"),
        (b"zero\n\ntwo\n", "classes.txt has a blank line 2"),
        (b"\xff\xfe\n", "classes.txt is not UTF-8 text"),
        (
            &b"a\n".repeat(1 << 16),
            "classes.txt is over 65536 bytes long",
        ),
    ] {
        assert_says(
            &message_with("classes.txt", text),
            &[says, "one class name a line"],
        );
    }
    let message = message_with("classes.txt", b"zero\none\n");
    assert_says(
        &message,
        &[
            "label 2 at index 0",
            "train-labels-idx1-ubyte",
            "the file of class names has 2 class(es)",
        ],
    );
}

/// The set of the files in a folder, loaded as a run does it.
fn loaded(files: &[(&str, Vec<u8>)]) -> crate::Result<Dataset<Samples>> {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        put(&dir, name, bytes);
    }
    let settings = DataSettings {
        source: dir.path().display().to_string(),
        ..DataSettings::default()
    };
    crate::data::load(&settings, &mut Fitted::default(), 1)
}

#[test]
fn emnist_is_transposed_and_its_labels_have_the_names_of_the_mapping() {
    let name = |part: &str, role: &str| format!("emnist-letters-{part}-{role}-ubyte.gz");
    let files = [
        (
            name("train", "images-idx3"),
            gzip(&idx(&[2, 2, 3], &(0..12).collect::<Vec<u8>>())),
        ),
        (name("train", "labels-idx1"), gzip(&idx(&[2], &[2, 1]))),
        (name("test", "images-idx3"), gzip(&idx(&[1, 2, 3], &[7; 6]))),
        (name("test", "labels-idx1"), gzip(&idx(&[1], &[2]))),
        (
            "emnist-letters-mapping.txt".to_string(),
            b"1 65 97\n2 66 98\n".to_vec(),
        ),
    ];
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, b)| (&**n, b.clone())).collect();
    let set = loaded(&files).unwrap();
    assert_eq!(set.classes, ["A", "B"]);
    assert_eq!(set.train.labels(), Some(&[1, 0][..]));
    let images = set.train.pictures().unwrap();
    assert_eq!(
        (images.shape, &images.bytes[..6]),
        ([3, 2, 1], &[0, 3, 1, 4, 2, 5][..])
    );
    assert_eq!(set.test.labels(), Some(&[1][..]));
    assert!(
        set.found.iter().any(|line| line.contains("transposed")),
        "{:?}",
        set.found
    );
    // Without the mapping, classes are named by their labels.
    let set = loaded(&files[..4]).unwrap();
    assert_eq!(
        (set.classes, set.train.labels().unwrap()),
        (vec!["1".to_string(), "2".into()], &[1, 0][..])
    );
    assert!(
        set.found
            .contains(&"labels are counted from 1 to 2".to_string()),
        "{:?}",
        set.found
    );
}

#[test]
fn files_of_any_name_and_type_are_read_and_a_test_part_is_split_off() {
    let shorts: Vec<u8> = (0..40_u16).flat_map(|i| (i * 100).to_be_bytes()).collect();
    let mut images = idx(&[10, 2, 2], &shorts);
    images[2] = 0x0b;
    let mut labels = idx(&[10, 2], &[0, 1, 1, 0].repeat(5));
    labels[2] = 0x09;
    let set = loaded(&[("pictures", images), ("answers.bin", labels)]).unwrap();
    assert_eq!(
        (set.train.len(), set.test.len(), set.classes.len()),
        (8, 2, 2)
    );
    assert!(
        set.found.iter().any(|line| line.contains("from 0 to 4095")),
        "{:?}",
        set.found
    );
    assert!(
        set.found.iter().any(|line| line.contains("one-hot")),
        "{:?}",
        set.found
    );
    // Four dimensions, floats from 0 to 1.
    let floats: Vec<u8> = (0..375)
        .flat_map(|i| (i as f32 / 374.0).to_be_bytes())
        .collect();
    let mut images = idx(&[5, 3, 5, 5], &floats);
    images[2] = 0x0d;
    let labels = idx(&[5], &[0, 1, 0, 1, 1]);
    let set = loaded(&[
        ("a-images-idx4-float", images),
        ("a-labels-idx1-ubyte", labels),
    ])
    .unwrap();
    assert_eq!(set.train.shape(), [5, 5, 3]);
    assert!(
        set.found.iter().any(|line| line.contains("from 0 to 1")),
        "{:?}",
        set.found
    );
}

#[test]
fn the_first_column_of_the_labels_of_qmnist_is_the_class() {
    let rows: Vec<u8> = [3_u32, 0, 1, 0]
        .iter()
        .flat_map(|n| n.to_be_bytes())
        .collect();
    let mut labels = idx(&[2, 2], &rows);
    labels[2] = 0x0c;
    let dir = tempfile::tempdir().unwrap();
    put(
        &dir,
        "qmnist-train-images-idx3-ubyte",
        &idx(&[2, 1, 1], &[7, 9]),
    );
    put(&dir, "qmnist-train-labels-idx2-int", &labels);
    let set = load_idx_dir(dir.path()).unwrap();
    assert_eq!((set.train.labels, set.test.len()), (vec![2, 0], 2));
}

#[track_caller]
fn assert_is_mnist_like(set: &Dataset, mean: f32, std: f32) {
    assert_eq!((set.train.len(), set.test.len()), (60_000, 10_000));
    assert_eq!(
        (set.train.height, set.train.width, set.train.channels),
        (28, 28, 1)
    );
    assert_eq!(set.train.images.len(), 60_000 * 28 * 28);
    assert_eq!(set.classes.len(), 10);
    let stats = set.mean_std();
    assert!(
        (stats.mean[0] - mean).abs() < 5e-5,
        "mean {}",
        stats.mean[0]
    );
    assert!(
        (stats.std[0] - std).abs() < 5e-5,
        "standard deviation {}",
        stats.std[0]
    );
}

#[test]
fn the_real_mnist_has_its_known_size_and_statistics() {
    let Some(dir) = real_set("mnist") else { return };
    let set = load_idx_dir(&dir).unwrap();
    assert_is_mnist_like(&set, 0.1307, 0.3081);
    assert_eq!(set.train.labels[..5], [5, 0, 4, 1, 9]);
    assert_eq!(set.test.labels[..5], [7, 2, 1, 0, 4]);
}

#[test]
fn the_real_fashion_mnist_has_its_known_size_and_statistics() {
    let Some(dir) = real_set("fashion-mnist") else {
        return;
    };
    let set = load_idx_dir(&dir).unwrap();
    assert_is_mnist_like(&set, 0.2860, 0.3530);
    assert_eq!(set.train.labels[..5], [9, 0, 0, 3, 0]);
}
