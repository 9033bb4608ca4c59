use super::*;
use crate::cpu::Tensor;
use crate::data::{ColumnKind, NumberForm, RowSet, Targets, WindowRows};
use crate::device::Engine;
use crate::nn::{ModelSpec, Network};
use crate::tasks::{Models, TaskSettings, named};
use crate::toml_text::parse;
use serde::Deserialize;

/// What scikit-learn finds of the same model and rows (tests/fixtures/make_table_explanations.py).
#[derive(Deserialize)]
struct Recorded {
    columns: Vec<Scale>,
    rows: Vec<f32>,
    labels: Vec<u32>,
    values: Vec<f32>,
    classes: Found,
    numbers: Found,
}

#[derive(Deserialize)]
struct Found {
    weights: Vec<Vec<f32>>,
    score: f64,
    /// Of each column, over 200 orders.
    importance: Vec<f64>,
    deviation: Vec<f64>,
    /// Of the second and the third column: the mean prediction for each of their cells.
    dependence: Vec<Vec<f64>>,
}

const REPEATS: usize = 200;

fn recorded() -> Recorded {
    let text = include_str!("../../../tests/fixtures/table_explanations.json");
    serde_json::from_str(text).unwrap()
}

fn fitted(recorded: &Recorded) -> Fitted {
    let number = |(name, scale): (&str, &Scale)| Column {
        name: name.to_string(),
        kind: ColumnKind::Number {
            mean: scale.mean,
            std: scale.std,
            missing: false,
            pieces: Vec::new(),
            form: NumberForm::default(),
        },
    };
    let mut columns: Vec<Column> = ["size", "count"]
        .into_iter()
        .zip(&recorded.columns)
        .map(number)
        .collect();
    columns.push(Column {
        name: "kind".to_string(),
        kind: ColumnKind::Category {
            values: ["a", "b", "c"].map(String::from).to_vec(),
        },
    });
    Fitted {
        columns,
        classes: vec!["no".to_string(), "yes".to_string()],
        target: Some("price".to_string()),
        scale: Some(Scale {
            mean: 100.0,
            std: 20.0,
        }),
        ..Fitted::default()
    }
}

fn explainer(recorded: &Recorded, task: &str) -> TableExplainer<'static> {
    let (found, units) = match task {
        "classification" => (&recorded.classes, 2),
        _ => (&recorded.numbers, 1),
    };
    let spec: ModelSpec = parse(
        &format!(
            "name = \"tiny\"\ninput = [5]\nlayer = [{{ type = \"dense\", units = 6, activation = \"relu\" }}, \
             {{ type = \"dense\", units = {units} }}]"
        ),
        "the model",
    )
    .unwrap();
    let models = Models::one(Network::new(spec).unwrap());
    let task = (named(task).unwrap().make)(&TaskSettings::default()).unwrap();
    let values: Vec<Tensor<f32>> = models
        .state()
        .zip(&found.weights)
        .map(|(part, values)| Tensor::real(part.ty.shape.clone(), values.clone()))
        .collect();
    let model = RowModel::new(Engine::Cpu.device(), task.into(), models, &values, 32);
    TableExplainer::new(model.unwrap(), &fitted(recorded)).unwrap()
}

fn sample(recorded: &Recorded, targets: Targets) -> TableSample {
    let rows = RowSet {
        rows: WindowRows::Floats {
            values: recorded.rows.clone(),
            columns: 5,
        },
        starts: (0..60).collect(),
        random_starts: false,
        length: 1,
        targets,
    };
    TableSample::of(&rows.into(), 1000).unwrap()
}

fn classes(recorded: &Recorded) -> TableSample {
    sample(recorded, Targets::Classes(recorded.labels.clone()))
}

fn numbers(recorded: &Recorded) -> TableSample {
    let values = recorded.values.clone();
    sample(
        recorded,
        Targets::Values {
            values,
            columns: 1,
            offset: 0,
            length: 1,
        },
    )
}

/// Both draw other orders: means over 200 of them differ by a few of their standard errors.
fn assert_importances(found: &Importances, wanted: &Found) {
    assert!((found.baseline - wanted.score).abs() < 1e-5, "{found:?}");
    for (at, name) in ["size", "count", "kind"].into_iter().enumerate() {
        let own = found.columns.iter().find(|own| own.column == name).unwrap();
        let error = wanted.deviation[at] * (2.0 / REPEATS as f64).sqrt();
        let off = (own.mean - wanted.importance[at]).abs();
        assert!(off < 4.0 * error + 1e-9, "{own:?} is {off} off, {error}");
        let ratio = own.deviation / wanted.deviation[at];
        assert!((0.75..1.35).contains(&ratio), "{own:?}: {ratio}");
    }
    let means: Vec<f64> = found.columns.iter().map(|own| own.mean).collect();
    assert!(means.is_sorted_by(|a, b| a >= b), "{means:?}");
}

#[test]
fn importances_are_those_of_scikit_learn() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, "classification");
    let found = explainer
        .importance(&classes(&recorded), REPEATS, 1)
        .unwrap();
    assert_eq!((found.score, found.rows), ("accuracy", 60));
    assert_importances(&found, &recorded.classes);
    // The same orders every time.
    let again = explainer.importance(&classes(&recorded), REPEATS, 1);
    assert_eq!(again.unwrap().columns, found.columns);
    let mut explainer = self::explainer(&recorded, "regression");
    let found = explainer
        .importance(&numbers(&recorded), REPEATS, 1)
        .unwrap();
    assert_eq!(found.score, "r2");
    assert_importances(&found, &recorded.numbers);
}

#[test]
fn dependences_are_those_of_scikit_learn() {
    let recorded = recorded();
    for (task, output) in [("classification", 1), ("regression", 0)] {
        let mut explainer = explainer(&recorded, task);
        let (sample, wanted) = match output {
            1 => (classes(&recorded), &recorded.classes),
            _ => (numbers(&recorded), &recorded.numbers),
        };
        for (column, wanted) in [1, 2].into_iter().zip(&wanted.dependence) {
            let found = explainer.dependence(&sample, column).unwrap().unwrap();
            assert_eq!(found.means.len(), wanted.len(), "{found:?}");
            for (means, wanted) in found.means.iter().zip(wanted) {
                let off = (means[output] - wanted).abs();
                assert!(off < 1e-5 * wanted.abs().max(1.0), "{found:?} {wanted}");
            }
        }
        let cells = |column| {
            let found = explainer.dependence(&sample, column);
            found.unwrap().unwrap().cells
        };
        let mut cells = cells;
        assert_eq!(cells(2), ["a", "b", "c"]);
        assert_eq!(cells(1)[..2], ["0", "1"]);
        // More different numbers than are tried.
        assert_eq!(cells(0).len(), 20);
    }
}

#[test]
fn attributions_of_a_row_add_up_in_the_unit_of_the_target() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, "regression");
    let sample = numbers(&recorded);
    let found = explainer.attributions(&sample, 3, 0, 500).unwrap();
    assert!(found.completeness < 0.02, "{found:?}");
    let prediction = explainer.predictions(&sample, 3).unwrap()[0];
    let zero = explainer.model.predict(&[0.0; 5]).unwrap()[0];
    let difference = prediction - (100.0 + 20.0 * f64::from(zero));
    let sum: f64 = found.values.iter().sum();
    assert!(
        (sum - difference).abs() <= 0.02 * difference.abs(),
        "{sum} {difference}"
    );
    assert_eq!(explainer.cells(&sample, 3).len(), 3);
}

#[test]
fn rows_without_a_target_have_no_importances() {
    let recorded = recorded();
    let mut explainer = explainer(&recorded, "classification");
    let error = explainer.importance(&sample(&recorded, Targets::None), 2, 1);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no column to predict"), "{error}");
}
