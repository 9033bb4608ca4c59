//! `wgrad explain` for models of tables: the importance of columns, partial dependence, and single rows.

use super::super::table::TextTable;
use super::super::{note, print_line};
use super::{Explained, Kind};
use crate::cli::predict::given::Given;
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::Part;
use wgrad::device::Engine;
use wgrad::explain::{
    ExplainedRow, ExplainedTable, Importances, PartialDependence, TableExplainer, TableMethod,
    TableSample,
};
use wgrad::files::write_whole;
use wgrad::html::plot::significant;
use wgrad::run::RunParts;

/// Rows that are computed at once.
const BATCH: usize = 1024;
/// Rows on which columns are explained, unless the user says how many.
const ROWS: usize = 5000;
/// How often a column is put in another order, unless the user says so.
const REPEATS: usize = 5;
/// Columns of a row that are printed.
const STRONGEST: usize = 5;

pub(super) fn run(
    mut run: Explained<'_>,
    parts: RunParts,
    engine: &Engine,
) -> anyhow::Result<ExitCode> {
    let args = run.args;
    let asked = run.asked_class()?;
    let single = !args.files.is_empty();
    let of_columns = [
        TableMethod::PermutationImportance,
        TableMethod::PartialDependence,
    ];
    let known = TableMethod::ALL.map(|method| (method.name(), method));
    let mut methods = args.methods(Kind::Tables, &known)?;
    let unfit = |method: &TableMethod| of_columns.contains(method) == single;
    if let Some(method) = methods
        .iter()
        .find(|method| unfit(method) && !args.method.is_empty())
    {
        let message = match single {
            true => "explains the columns of a part of the run's data; leave the file out",
            false => "explains single rows; name a CSV file with them",
        };
        return Err(Error::Config(format!("--method {} {message}", method.name())).into());
    }
    methods.retain(|method| !unfit(method));
    let given = match single || args.part.is_some() {
        true => args.given(&mut run.settings, &parts)?,
        false => {
            let given = Given::part(Part::Test, &mut run.settings)?;
            given.notes.iter().for_each(note);
            given
        }
    };
    let most = match single {
        true => args.most(),
        false => args.samples.map_or(ROWS, |samples| samples as usize),
    };
    if given.set.len() > most {
        note(format_args!(
            "only the first {most} of {} rows are used; --samples N takes more",
            given.set.len()
        ));
    }
    let sample = TableSample::of(&given.set, most)?;
    let fitted = parts.fitted.clone();
    let mut explainer = TableExplainer::new(parts.row_model(engine, BATCH)?, &fitted)?;
    let mut table = ExplainedTable {
        drawn: drawn(&explainer, &run, asked),
        quantity: match run.classes.is_empty() {
            true => "mean prediction".to_string(),
            false => "mean probability".to_string(),
        },
        ..ExplainedTable::default()
    };
    for method in methods {
        match method {
            TableMethod::PermutationImportance => {
                let repeats = args.repeats.map_or(REPEATS, usize::from);
                let found = explainer.importance(&sample, repeats, run.settings.seed)?;
                print_importances(&found, args.json)?;
                table.importances = Some(found);
            }
            TableMethod::PartialDependence => {
                table.dependences = dependences(&mut explainer, &sample, &table)?;
                print_dependences(&table, explainer.outputs(), args.json)?;
            }
            TableMethod::IntegratedGradients => {
                let names = given.items.iter().map(|item| item.name.to_string());
                for (index, name) in names.take(sample.len()).enumerate() {
                    let row = row(&run, &mut explainer, &sample, (index, name), asked)?;
                    print_row(&row, args.json)?;
                    table.rows.push(row);
                }
            }
        }
    }
    if let Some(path) = &args.html {
        write_whole(path, table.page(&run.settings.title()).as_bytes())?;
        if !args.json {
            print_line(format_args!("wrote {}", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The predictions whose curves are drawn: of two classes the second one, or else all.
fn drawn(
    explainer: &TableExplainer<'_>,
    run: &Explained<'_>,
    asked: Option<u32>,
) -> Vec<(usize, String)> {
    let outputs = explainer.outputs().iter().cloned().enumerate();
    let asked = asked.map(|class| class as usize);
    let wanted = match (asked, run.classes.len()) {
        (None, 2) => Some(1),
        (asked, _) => asked,
    };
    outputs
        .filter(|(output, _)| wanted.is_none_or(|wanted| *output == wanted))
        .collect()
}

/// The partial dependence on each column, in the order of their importance if that is known.
fn dependences(
    explainer: &mut TableExplainer<'_>,
    sample: &TableSample,
    table: &ExplainedTable,
) -> wgrad::Result<Vec<PartialDependence>> {
    let columns = explainer.column_names().count();
    let mut found = Vec::with_capacity(columns);
    for column in 0..columns {
        found.extend(explainer.dependence(sample, column)?);
    }
    if let Some(importances) = &table.importances {
        let rank = |own: &PartialDependence| {
            let mut columns = importances.columns.iter();
            columns.position(|known| known.column == own.column)
        };
        found.sort_by_key(rank);
    }
    Ok(found)
}

/// Explains the row at `index` of the sample.
fn row(
    run: &Explained<'_>,
    explainer: &mut TableExplainer<'_>,
    sample: &TableSample,
    (index, name): (usize, String),
    asked: Option<u32>,
) -> wgrad::Result<ExplainedRow> {
    let found = explainer.predictions(sample, index)?;
    let (predictions, output) = match run.classes.is_empty() {
        false => {
            let ranked = Explained::ranked(&found);
            let best = ranked.first().map_or(0, |(class, _)| *class);
            let asked = asked.map(|class| class as usize);
            (
                super::in_words(&run.named_top(&ranked)),
                asked.unwrap_or(best),
            )
        }
        true => {
            let named = explainer.outputs().iter().zip(&found);
            let named = named.map(|(name, x)| format!("{name} {}", significant(*x, 5)));
            (named.collect::<Vec<String>>().join(", "), 0)
        }
    };
    let steps = run.args.integration_steps();
    Ok(ExplainedRow {
        name,
        predictions,
        explained: explainer.outputs().get(output).cloned().unwrap_or_default(),
        cells: explainer.cells(sample, index),
        attributions: explainer.attributions(sample, index, output, steps)?,
    })
}

fn print_importances(found: &Importances, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return found.columns.iter().try_for_each(|own| {
            print_line(json!({
                "event": "explanation",
                "method": TableMethod::PermutationImportance.name(),
                "input": own.column,
                "class": null,
                "file": null,
                "completeness": null,
                "score": found.score,
                "baseline": found.baseline,
                "mean": own.mean,
                "deviation": own.deviation,
                "repeats": found.repeats,
                "rows": found.rows,
            }))
        });
    }
    print_line(format_args!(
        "{} {} on {} rows; it falls where the cells of a column are in another order, over {} orders:",
        found.score,
        significant(found.baseline, 4),
        found.rows,
        found.repeats
    ))?;
    let mut table = TextTable::new(["column", "fall", "deviation"].map(String::from));
    for own in &found.columns {
        table.push([
            own.column.clone(),
            format!("{:.4}", own.mean),
            format!("{:.4}", own.deviation),
        ]);
    }
    table
        .lines(TextTable::columns())
        .iter()
        .try_for_each(print_line)
}

fn print_dependences(
    table: &ExplainedTable,
    outputs: &[String],
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        return table.dependences.iter().try_for_each(|own| {
            let values = outputs.iter().enumerate().map(|(output, name)| {
                let means = own.means.iter().map(|means| means.get(output).copied());
                (name.clone(), json!(means.collect::<Vec<Option<f64>>>()))
            });
            print_line(json!({
                "event": "explanation",
                "method": TableMethod::PartialDependence.name(),
                "input": own.column,
                "class": null,
                "file": null,
                "completeness": null,
                "cells": own.cells,
                "numbers": if own.numbers.is_empty() { Value::Null } else { json!(own.numbers) },
                "values": values.collect::<Map<String, Value>>(),
            }))
        });
    }
    let Some((output, name)) = table.drawn.first() else {
        return Ok(());
    };
    print_line(format_args!(
        "{} of {name} by the cell of a column:",
        table.quantity
    ))?;
    let head = ["column", "lowest", "at", "highest", "at"];
    let mut text = TextTable::new(head.map(String::from));
    for own in &table.dependences {
        let means = own.cells.iter().zip(&own.means);
        let means: Vec<(&String, f64)> = means
            .filter_map(|(cell, means)| Some((cell, *means.get(*output)?)))
            .collect();
        let low = means.iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
        let high = means.iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
        if let (Some(low), Some(high)) = (low, high) {
            text.push([
                own.column.clone(),
                significant(low.1, 4),
                low.0.clone(),
                significant(high.1, 4),
                high.0.clone(),
            ]);
        }
    }
    text.lines(TextTable::columns())
        .iter()
        .try_for_each(print_line)
}

fn print_row(row: &ExplainedRow, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let columns: Vec<&String> = row.cells.iter().map(|(column, _)| column).collect();
        let cells: Vec<&String> = row.cells.iter().map(|(_, cell)| cell).collect();
        return print_line(json!({
            "event": "explanation",
            "method": TableMethod::IntegratedGradients.name(),
            "input": row.name,
            "class": row.explained,
            "file": null,
            "completeness": 1.0 - row.attributions.completeness,
            "columns": columns,
            "cells": cells,
            "values": row.attributions.values,
        }));
    }
    print_line(format_args!("{}: {}", row.name, row.predictions))?;
    let strongest = row.in_order().into_iter().take(STRONGEST);
    let strongest: Vec<String> = strongest
        .map(|((column, cell), value)| format!("{column}={cell} {value:+.3}"))
        .collect();
    print_line(format_args!(
        "  adds to {}, sum {:.2}% off: {}",
        row.explained,
        100.0 * row.attributions.completeness,
        strongest.join("  ")
    ))
}
