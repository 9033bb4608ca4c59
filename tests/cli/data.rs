//! Data sets that can't be used.

use super::sandbox::{Sandbox, idx};

const IMAGES: &str = "good/train-images-idx3-ubyte";
const LABELS: &str = "good/train-labels-idx1-ubyte";

#[test]
fn a_data_folder_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    let args = "train tiny.toml --data nowhere --batch 8 --device cpu --out run";
    sandbox
        .wgrad(args)
        .fails(1, &["no data folder at nowhere", "IDX"]);
    sandbox.holds_no_run();
}

#[test]
fn damaged_and_mislabelled_files_are_named_with_what_is_wrong() {
    let whole = |sandbox: &Sandbox| std::fs::read(sandbox.path(IMAGES)).unwrap();
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(Damage, &str); 6] = [
        (|b| b[..500].to_vec(), "cut short"),
        (|b| [b, vec![0]].concat(), "holds more than"),
        (|_| b"<!DOCTYPE html>".to_vec(), "not an IDX file"),
        (|_| vec![], "cut short"),
        (|_| idx(&[24], &[0; 24]), "swapped"),
        (|_| idx(&[u32::MAX; 3], &[]), "over the limit"),
    ];
    for (damage, complaint) in damages {
        let sandbox = Sandbox::new();
        sandbox.write(IMAGES, damage(whole(&sandbox)));
        sandbox.train("").fails(1, &[IMAGES, complaint]);
        sandbox.holds_no_run();
    }
    let sandbox = Sandbox::new();
    std::fs::remove_file(sandbox.path(LABELS)).unwrap();
    sandbox.train("").fails(1, &["no training labels in good"]);
}

#[test]
fn counts_that_differ_are_both_told() {
    let sandbox = Sandbox::new();
    sandbox.write(LABELS, idx(&[23], &[0; 23]));
    sandbox.train("").fails(1, &["24 images", "23 labels"]);
    sandbox.holds_no_run();
}

#[test]
fn images_and_classes_that_the_model_is_not_made_for_are_told_before_anything_is_said() {
    let sandbox = Sandbox::new();
    sandbox.data_set("wide", [8, 9], 3);
    sandbox.data_set("five", [8, 8], 5);
    let train = |data: &str| {
        sandbox.wgrad(&format!(
            "train tiny.toml --data {data} --batch 8 --device cpu --out run"
        ))
    };
    let told = train("wide").fails(2, &["takes [8, 8, 1]", "are [8, 9, 1]"]);
    assert_eq!(told.out, "");
    train("five").fails(2, &["5 classes", "3 units", "give its last layer 5"]);
    sandbox.holds_no_run();
}

#[test]
fn labels_that_the_model_has_no_output_for_are_told_by_eval() {
    let sandbox = Sandbox::new();
    sandbox.data_set("five", [8, 8], 5);
    sandbox
        .trained()
        .wgrad("eval run --data five")
        .fails(1, &["test image 3 is labelled 3", "3 outputs"]);
}

#[test]
fn a_batch_larger_than_the_data_is_answered_with_one_that_is_not() {
    let sandbox = Sandbox::new();
    let args = "train tiny.toml --data good --batch 25 --device cpu --out run";
    sandbox.wgrad(args).fails(2, &["--batch 24"]);
    sandbox.holds_no_run();
}
