//! Continual learning: runs that go on from each other, what they keep of earlier data, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use wgrad::nn::weights;
use wgrad::run::{EpochReport, GroupFolder, GroupKind, Observer, RunFolder, StepReport};
use wgrad::settings::{SessionObserver, Settings, Stages, StagesSummary, TaskScores};
use wgrad::{Error, Result};

/// Stops after so many reported steps; keeps the last results on all tasks.
#[derive(Default)]
struct Session {
    steps: Option<u32>,
    scores: Option<TaskScores>,
}

impl Observer for Session {
    fn step(&mut self, _: &StepReport) {
        self.steps = self.steps.map(|left| left.saturating_sub(1));
    }

    fn epoch(&mut self, _: &EpochReport) -> Result<()> {
        Ok(())
    }

    fn stops(&self) -> bool {
        self.steps == Some(0)
    }
}

impl SessionObserver for Session {
    fn tasks(&mut self, scores: &TaskScores) {
        self.scores = Some(scores.clone());
    }
}

/// Digits in two permutations, of which a small network learns one after the other.
const STAGES: &str = r#"
batch = 20
epochs = 12
device = "cpu"
data = { source = "digits", train = 600, test = 200 }
optimizer = { name = "adam", lr = 0.01 }

[model]
name = "small"
input = [28, 28, 1]
layer = [
    { type = "flatten" },
    { type = "dense", units = 32, activation = "relu" },
    { type = "dense", units = "classes" },
]

[continual]
samples = 200
memory = 100
stage = [
    { name = "one", set = { "data.permutation" = 1 } },
    { name = "two", set = { data.permutation = 2 } },
]
"#;

fn read(folder: &Path, text: &str) -> Settings {
    let file = folder.join("settings.toml");
    fs::write(&file, text).unwrap();
    Settings::read(&file).unwrap()
}

fn stages(folder: &Path, out: &str, changes: &[&str]) -> Settings {
    let mut settings = read(folder, STAGES);
    settings.out = Some(folder.join(out));
    let changes: Vec<String> = changes.iter().map(|text| text.to_string()).collect();
    settings.assign(&changes).unwrap();
    settings
}

fn trained(stages: Stages) -> StagesSummary {
    let train = |prepared: wgrad::settings::Prepared| prepared.train(&mut Session::default());
    stages.train(train).unwrap()
}

fn matrix(summary: &StagesSummary) -> Vec<Vec<f64>> {
    let row = |row: &TaskScores| row.tasks.iter().map(|score| score.value).collect();
    summary.rows.iter().map(row).collect()
}

#[test]
fn what_was_learned_first_is_kept_by_consolidation_and_by_replay() {
    let dir = tempfile::tempdir().unwrap();
    let run = |out: &str, changes: &[&str]| {
        let settings = stages(dir.path(), out, changes);
        matrix(&trained(Stages::begin(settings).unwrap()))
    };
    let plain = run("plain", &[]);
    let ewc = run("ewc", &["continual.method=ewc", "continual.strength=300"]);
    let replay = run("replay", &["continual.method=replay"]);
    for matrix in [&plain, &ewc, &replay] {
        // The first stage has nothing to keep.
        assert_eq!((matrix.len(), &matrix[0]), (2, &plain[0]));
        assert!(matrix[0][0] > 0.7, "{matrix:?}");
        assert!(matrix[1][1] > 0.6, "{matrix:?}");
    }
    let kept = |matrix: &[Vec<f64>]| matrix[1][0];
    assert!(kept(&ewc) > kept(&plain) + 0.05, "{plain:?} {ewc:?}");
    assert!(kept(&replay) > kept(&plain) + 0.05, "{plain:?} {replay:?}");
    let held = dir.path().join("ewc/stage-2/anchor.safetensors");
    assert!(held.is_file() && !dir.path().join("ewc/stage-1/anchor.safetensors").exists());
    let page = fs::read_to_string(dir.path().join("ewc/report.html")).unwrap();
    assert!(
        page.contains("<td>two</td>") || page.contains("\"name\">two</td>"),
        "{page}"
    );
}

#[test]
fn stages_that_were_stopped_end_with_the_same_bits() {
    for method in ["ewc", "replay"] {
        let dir = tempfile::tempdir().unwrap();
        let changes = [&format!("continual.method={method}")[..], "epochs=2"];
        let whole = trained(Stages::begin(stages(dir.path(), "whole", &changes)).unwrap());
        let begun = Stages::begin(stages(dir.path(), "stopped", &changes)).unwrap();
        let mut runs = 0;
        let stopped = begun.train(|prepared| -> Result<_> {
            runs += 1;
            // In the middle of the first epoch of the second stage.
            let steps = (runs == 2).then_some(2);
            prepared.train(&mut Session {
                steps,
                scores: None,
            })
        });
        assert!(matches!(stopped, Err(Error::Stopped(_))), "{method}");
        let path = dir.path().join("stopped");
        assert!(GroupFolder::open(GroupKind::Stages, &path).is_some());
        let resumed = Stages::resume(&path, |_| {}).unwrap();
        assert!(
            resumed.notes[0].contains("1 of 2 stages"),
            "{:?}",
            resumed.notes
        );
        let resumed = trained(resumed);
        assert_eq!(matrix(&resumed), matrix(&whole), "{method}");
        let weights = |out: &str| fs::read(dir.path().join(out).join("stage-2/model.safetensors"));
        assert_eq!(
            weights("stopped").unwrap(),
            weights("whole").unwrap(),
            "{method}"
        );
        // Another setting is refused, and the same ones find everything done.
        let other = stages(
            dir.path(),
            "stopped",
            &["epochs=2", "continual.method=fine_tuning"],
        );
        let refused = Stages::begin(other).err().unwrap().to_string();
        assert!(refused.contains("continual.method"), "{refused}");
        let again = Stages::begin(stages(dir.path(), "stopped", &changes)).unwrap();
        assert!(
            again.notes[0].contains("2 of 2 stages"),
            "{:?}",
            again.notes
        );
    }
}

/// A run over the table `table.csv`.
const ROWS: &str = r#"
batch = 8
epochs = 4
device = "cpu"
data = { source = "table.csv", target = "class" }
optimizer = { name = "adam", lr = 0.05 }

[model]
name = "rows"
input = "auto"
layer = [{ type = "dense", units = 8, activation = "relu" }, { type = "dense", units = "classes", name = "head" }]
"#;

/// A table of 60 rows whose class is the largest of as many columns as there are `classes`, in `file`.
fn table(folder: &Path, file: &str, classes: &[&str], first: u64) {
    let rows = (0..60u64).map(|i| {
        let number = |k: u64| ((i * 37 + k * 101 + first) * 2_654_435_761 % 1000) as f64 / 100.0;
        let numbers = [number(0), number(1), number(2)];
        let of = &numbers[..classes.len()];
        let largest = (0..of.len())
            .max_by(|&a, &b| of[a].total_cmp(&of[b]))
            .unwrap();
        let [a, b, c] = numbers;
        format!("{a},{b},{c},{}\n", classes[largest])
    });
    let text = format!("a,b,c,class\n{}", rows.collect::<String>());
    fs::write(folder.join(file), text).unwrap();
}

fn rows(folder: &Path, out: &str, changes: &[&str]) -> Settings {
    let mut settings = read(folder, ROWS);
    settings.out = Some(folder.join(out));
    let changes: Vec<String> = changes.iter().map(|text| text.to_string()).collect();
    settings.assign(&changes).unwrap();
    settings
}

fn after(folder: &Path, run: &str) -> String {
    format!("continual.after={}", folder.join(run).display())
}

/// A folder with a trained run `first` over `table.csv`, of the classes no and yes.
fn first_run() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    table(dir.path(), "table.csv", &["yes", "no"], 0);
    table(dir.path(), "new.csv", &["maybe", "yes", "an other"], 5);
    let settings = rows(dir.path(), "first", &[]);
    settings
        .prepare()
        .unwrap()
        .train(&mut Session::default())
        .unwrap();
    dir
}

fn source(folder: &Path, file: &str) -> String {
    format!("data.source={}", folder.join(file).display())
}

/// Number of training rows of a run on `file`.
fn own_rows(folder: &Path, file: &str) -> usize {
    let prepared = rows(folder, "counted", &[&source(folder, file)]).prepare();
    prepared.unwrap().run.dataset().train.len()
}

#[test]
fn new_classes_follow_those_that_are_known() {
    let dir = first_run();
    for method in ["fine_tuning", "ewc", "replay"] {
        let method_set = format!("continual.method={method}");
        let changes = [
            &source(dir.path(), "new.csv"),
            &after(dir.path(), "first"),
            &method_set,
            "continual.memory=20",
        ];
        let prepared = rows(dir.path(), method, &changes).prepare().unwrap();
        let classes = ["no", "yes", "an other", "maybe"].map(str::to_string);
        assert_eq!(prepared.settings.fitted.classes, classes);
        let found = prepared.initialisation.as_ref().unwrap();
        let grown: Vec<&str> = found.missing.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(grown, ["head.weight", "head.bias"]);
        assert!(
            found.remarks[0].ends_with("an other, maybe"),
            "{:?}",
            found.remarks
        );
        // The weights of the classes that are known are those of the first run.
        let (folder, settings) = Settings::open_run(&dir.path().join("first")).unwrap();
        let parts = settings.resolve_trained(&folder.best_path()).unwrap();
        let before = weights::load(&folder.best_path(), parts.models.spec()).unwrap();
        let mut state = parts.models.state().zip(&before);
        let bias = state.find(|(part, _)| part.name == "head.bias").unwrap().1;
        let place = parts
            .models
            .state()
            .position(|part| part.name == "head.bias")
            .unwrap();
        assert_eq!(found.values[place].reals()[..2], bias.reals()[..]);
        assert_eq!(found.values[place].reals().len(), 4);
        // Rows are scaled as the first run scaled its own.
        assert_eq!(prepared.settings.fitted.columns, settings.fitted.columns);
        let replayed = if method == "replay" { 20 } else { 0 };
        let train = prepared.run.dataset().train.len();
        assert_eq!(train, own_rows(dir.path(), "new.csv") + replayed);

        let mut session = Session::default();
        prepared.train(&mut session).unwrap();
        let scores = session.scores.unwrap();
        let tasks: Vec<&str> = scores.tasks.iter().map(|score| &score.task[..]).collect();
        assert_eq!(
            (&scores.after[..], &tasks[..]),
            (method, &["first", method][..])
        );
        let folder = RunFolder::open(&dir.path().join(method)).unwrap();
        assert_eq!(TaskScores::read(&folder).unwrap(), Some(scores));
        // Read again, the classes are in the same order.
        let (_, mut settings) = Settings::open_run(&dir.path().join(method)).unwrap();
        let labels = |set: &wgrad::data::Samples| set.labels().unwrap().to_vec();
        let dataset = settings.load_data().unwrap();
        assert_eq!(dataset.classes, classes);
        assert!(labels(&dataset.train).iter().all(|&label| label > 0));
    }
}

#[test]
fn a_chain_of_three_holds_the_weights_of_both_earlier_runs() {
    let dir = first_run();
    table(dir.path(), "third.csv", &["no", "yes"], 11);
    let go_on = |out: &str, run: &str, file: &str| {
        let changes = [
            &source(dir.path(), file),
            &after(dir.path(), run),
            "continual.method=ewc",
        ];
        let mut session = Session::default();
        let prepared = rows(dir.path(), out, &changes).prepare().unwrap();
        prepared.train(&mut session).unwrap();
        session.scores.unwrap()
    };
    go_on("second", "first", "new.csv");
    let scores = go_on("third", "second", "third.csv");
    assert_eq!(scores.tasks.len(), 3);
    let held = |run: &str| {
        let folder = RunFolder::open(&dir.path().join(run)).unwrap();
        let terms = folder.read_anchor().unwrap().unwrap();
        let head = terms
            .into_iter()
            .find(|term| term.name == "head.bias")
            .unwrap();
        head.importance.reals().to_vec()
    };
    let (second, third) = (held("second"), held("third"));
    // New classes were not important before.
    assert_eq!((second.len(), &second[2..]), (4, &[0.0, 0.0][..]));
    let mut pairs = second.iter().zip(&third);
    assert!(pairs.all(|(a, b)| a <= b), "{second:?} {third:?}");
    assert!(
        third[1] > second[1] && third[2] > 0.0 && third[3] > 0.0,
        "{second:?} {third:?}"
    );
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let dir = first_run();
    let folder = dir.path();
    let first = after(folder, "first");
    let refused = |changes: &[&str]| {
        let settings = rows(folder, "refused", changes);
        let error = settings.prepare().err().expect("it was not refused");
        assert!(!folder.join("refused").exists());
        error.to_string()
    };
    let missing = refused(&[&after(folder, "nowhere")]);
    assert!(
        missing.contains("continual.after: ") && missing.contains("is not a run folder"),
        "{missing}"
    );
    let target = refused(&[&first, "data.target=c"]);
    assert!(
        target.contains("first predicts the column class, and this run c"),
        "{target}"
    );
    let task = refused(&[&first, "task=pseudo_labels", "data.labelled=8"]);
    let said = "is a run of the task classification, and this one of pseudo_labels";
    assert!(task.contains(said), "{task}");
    let model = refused(&[
        &first,
        "model.layer=[{ type = \"dense\", units = \"classes\" }]",
    ]);
    assert!(model.contains("first has another model"), "{model}");
    let known = own_rows(folder, "table.csv");
    let more = format!("continual.memory={}", known + 1);
    let memory = refused(&[&first, "continual.method=replay", &more]);
    let said = format!("is {}, but first has {known} training rows", known + 1);
    assert!(memory.contains(&said), "{memory}");
    let share = refused(&[
        &first,
        "continual.method=replay",
        "continual.memory=8",
        "continual.share=0.01",
    ]);
    assert!(
        share.contains("continual.share = 0.01 of a batch of 8 is 0 samples"),
        "{share}"
    );
    let classes = refused(&[&first, "data.known_classes=[\"yes\"]"]);
    assert!(
        classes.contains("knows the classes no, yes, and this run others"),
        "{classes}"
    );
    let ordered = refused(&[
        &first,
        "continual.method=replay",
        "continual.memory=8",
        "shuffle=false",
    ]);
    assert!(ordered.contains("--no-shuffle"), "{ordered}");

    // A run whose own data are gone, or changed.
    let moved: PathBuf = folder.join("moved.csv");
    fs::rename(folder.join("table.csv"), &moved).unwrap();
    let new = source(folder, "new.csv");
    let gone = refused(&[&new, &first]);
    assert!(
        gone.contains("from which this run goes on") && gone.contains("not there any more"),
        "{gone}"
    );
    table(folder, "table.csv", &["yes", "no"], 3);
    let changed = refused(&[
        &new,
        &first,
        "continual.method=replay",
        "continual.memory=8",
    ]);
    assert!(
        changed.contains("is not the one with which the run began"),
        "{changed}"
    );
    fs::rename(&moved, folder.join("table.csv")).unwrap();

    let mut looped = fs::read_to_string(folder.join("first/run.toml")).unwrap();
    looped += "\n[continual]\nafter = \".\"\n";
    fs::write(folder.join("first/run.toml"), looped).unwrap();
    let looped = refused(&[&after(folder, "first/.")]);
    assert!(looped.contains("goes on from itself"), "{looped}");
}

#[test]
fn stages_are_refused_where_one_run_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let settings = stages(dir.path(), "run", &[]);
    let error = settings.prepare().err().unwrap().to_string();
    assert!(error.contains("names several runs"), "{error}");
    let folds = wgrad::settings::Folds::begin(stages(dir.path(), "run", &[]), GroupKind::Folds, 3);
    let error = folds.err().unwrap().to_string();
    assert!(error.contains("leave one of them out"), "{error}");
}
