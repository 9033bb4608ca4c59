use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::data::real_set;

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
        &["is not an IDX file of bytes", "0x3c21444f", "0x00000803"],
    );
    let floats = [0, 0, 0x0d, 3, 0, 0, 0, 1];
    assert_says(
        &message_with("train-images-idx3-ubyte", &floats),
        &["is not an IDX file of bytes", "0x00000d03"],
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
    let opened = IdxFile::open(dir.path(), &TRAIN_IMAGES).unwrap();
    assert!(matches!(
        opened.read_elements(),
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
        (&b"a\n".repeat(257), "classes.txt names 257 classes"),
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
            "classes.txt names 2 class(es)",
        ],
    );
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
