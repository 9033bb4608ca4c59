//! Tests of tagged words in columns.

use super::super::tests::in_folder;
use super::*;
use crate::data::{Fitted, load};

fn settings(context: usize) -> DataSettings {
    DataSettings {
        context: Some(context),
        ..DataSettings::default()
    }
}

/// The words with their tags of each sample.
fn tagged(set: &Samples, classes: &[String]) -> Vec<String> {
    let sentence = |index: usize| {
        let name = set.name(index);
        let words: Vec<String> = name
            .value
            .as_str()
            .unwrap()
            .split(' ')
            .map(str::to_string)
            .collect();
        let tags = set.indices(field::TAGS, index).unwrap();
        assert!(
            set.tokens(index).unwrap()[..words.len()]
                .iter()
                .all(|&token| token != PADDING)
        );
        let pairs = words.iter().zip(tags);
        let pairs = pairs.map(|(word, &tag)| format!("{word}/{}", classes[tag as usize]));
        pairs.collect::<Vec<_>>().join(" ")
    };
    (0..set.len()).map(sentence).collect()
}

const TEXT: &str = "\
-DOCSTART- -X- -X- O

# a comment
EU NNP I-NP B-ORG
rejects VBZ I-VP O
German JJ I-NP B-MISC
call NN I-NP O
. . O O

# NN I-NP O
Peter NNP I-NP B-PER
Blackburn NNP I-NP I-PER

";

#[test]
fn the_last_column_tags_the_first_and_long_sentences_are_divided() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("eng.train", &TEXT.repeat(2));
    write("eng.testa", TEXT);
    write("eng.testb", &TEXT.replace('\n', "\r\n"));
    let settings = DataSettings {
        source: dir.path().display().to_string(),
        ..settings(4)
    };
    let mut fitted = Fitted::default();
    let set = load(&settings, &mut fitted, 1).unwrap();
    assert_eq!(fitted.format.unwrap().name(), "conll");
    assert_eq!(set.classes, ["O", "B-MISC", "B-ORG", "B-PER", "I-PER"]);
    let wanted = [
        "EU/B-ORG rejects/O German/B-MISC call/O",
        "./O",
        "#/O Peter/B-PER Blackburn/I-PER",
    ];
    assert_eq!(tagged(&set.test, &set.classes), wanted);
    assert_eq!(tagged(&set.validation.unwrap(), &set.classes), wanted);
    assert_eq!((set.train.len(), set.train.noun()), (6, "sentences"));
    let counts = set.test.class_counts(5).unwrap();
    assert_eq!([0, 1, 4].map(|tag| counts[tag]), [4, 1, 1]);
    assert!(
        set.notes[0].starts_with("4 sentences are longer than the context of 4 words"),
        "{:?}",
        set.notes
    );
    assert_eq!(
        (fitted.text.as_deref(), fitted.target.as_deref()),
        (Some("1"), Some("4"))
    );
    // The chunks in the third column are tags, too.
    let other = DataSettings {
        target: Some("3".to_string()),
        ..settings
    };
    let set = load(&other, &mut Fitted::default(), 1).unwrap();
    assert_eq!(set.classes, ["O", "I-NP", "I-VP"]);
}

#[test]
fn tags_without_marks_are_one_for_each_word_if_the_format_is_named() {
    let text = "the\tDET\ndog\tNOUN\n\nNew York\tPROPN\n\n".repeat(3);
    let named = DataSettings {
        format: crate::data::FormatName::named("conll"),
        ..settings(4)
    };
    let set = in_folder("words.tsv", &text, &named).unwrap();
    assert_eq!(set.classes, ["DET", "NOUN", "PROPN"]);
    assert!(set.found[0].ends_with("one for each word"));
    let all = [
        tagged(&set.train, &set.classes),
        tagged(&set.test, &set.classes),
    ]
    .concat();
    assert!(all.contains(&"New\u{a0}York/PROPN".to_string()), "{all:?}");
    assert_eq!(
        in_folder("words.conll", &text, &settings(4))
            .unwrap()
            .classes
            .len(),
        3
    );
}

#[test]
fn bad_lines_are_named() {
    let message = |text: &str| {
        in_folder(
            "words.conll",
            text,
            &DataSettings {
                format: crate::data::FormatName::named("conll"),
                ..settings(4)
            },
        )
        .unwrap_err()
    };
    let text = "a O\nb B-X\n\nc O\n\n";
    for (text, wanted) in [
        (
            text.replace("c O", "c"),
            "words.conll has 1 columns at line 4, but 2 at line 1",
        ),
        (
            text.replace("c O", "c PER"),
            "has \"PER\" at line 4 in column 2, which is no tag of an entity",
        ),
        (text.replace("c O", "\tO"), "has no word at line 4"),
        ("# nothing\n\n".to_string(), "words.conll holds no words"),
        (String::new(), "words.conll holds no words"),
        ("a\nb\n\nc\n".to_string(), "has 1 column at line 1"),
        (
            (0..1200).map(|n| format!("w t{n}\n\n")).collect(),
            "holds 1200 different tags in column 2",
        ),
    ] {
        let found = message(&text);
        assert!(found.contains(wanted), "{found}");
    }
    // A mistake among many good lines is found where the format is detected, too.
    let long = format!("{}c\n", "a O\nb B-X\n\n".repeat(8));
    let found = in_folder("train.txt", &long, &settings(4)).unwrap_err();
    assert!(
        found.contains("train.txt has 1 columns at line 25"),
        "{found}"
    );
    for (target, wanted) in [
        ("7", "tags from column 7"),
        ("tag", "data.target is tag"),
        ("1", "tags from column 1"),
    ] {
        let settings = DataSettings {
            target: Some(target.to_string()),
            ..settings(4)
        };
        let found = in_folder("words.conll", text, &settings).unwrap_err();
        assert!(found.contains(wanted), "{found}");
    }
    let mut fitted = Fitted::default();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("words.conll");
    std::fs::write(&path, text).unwrap();
    let settings = DataSettings {
        source: path.display().to_string(),
        ..settings(4)
    };
    load(&settings, &mut fitted, 1).unwrap();
    std::fs::write(&path, text.replace("B-X", "B-Y")).unwrap();
    let found = load(&settings, &mut fitted, 1).unwrap_err().to_string();
    assert!(found.contains("has the tag B-Y at line 2 in column 2, which did not occur in training: the tags are O, B-X"), "{found}");
}

#[test]
fn inputs_are_texts_lines_or_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        PredictInput::Path(path)
    };
    let words = ["U.S.", "U.S.", "Mr.", "Mr."].into_iter();
    let fitted = Fitted {
        tokenizer: Some(Tokenizer::of_words(10, words)),
        ..Fitted::default()
    };
    let settings = settings(5);
    let cx = InputContext {
        settings: &settings,
        fitted: &fitted,
        model: "m",
        image: None,
        invert: false,
    };
    let inputs = [
        PredictInput::Text("\"In the U.S. (Mr. A.)\"".to_string()),
        path("lines.txt", "one, two\n\nthree\n"),
        path("words.conll", "Mr.\nA\n\nB\n"),
        path("tagged.txt", TEXT),
        PredictInput::Text(" ".to_string()),
    ];
    let read = Conll.read_inputs(&inputs, &cx).unwrap();
    let names: Vec<String> = (0..read.set.len())
        .map(|index| read.set.name(index).to_string())
        .collect();
    assert_eq!(
        names,
        [
            "\" In the U.S. (",
            "one , two",
            "three",
            "Mr. A",
            "B",
            "EU rejects German call .",
            "# Peter Blackburn"
        ]
    );
    assert_eq!(
        read.notes,
        ["text 1 has 10 words, but the model takes 5: its end is cut off"]
    );
    assert!(
        read.items[7]
            .trouble
            .as_ref()
            .unwrap()
            .contains("text 5 is an empty text")
    );
    assert_eq!(read.set.tokens(3).unwrap()[2..], [PADDING; 3]);
}
