//! `wgrad eval`

use super::naive::Floors;
use super::{DeviceArgs, RunArg, choice, note, print_line};
use std::process::ExitCode;
use wgrad::data::Part;
use wgrad::device::Engine;
use wgrad::nn::Network;
use wgrad::train::{Details, RunFolder, Session, mean_area_under_curve};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Another data set, whose test part to take
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// The part of the data to measure on [default: what the run says, else test]
    #[arg(long, value_parser = choice::part())]
    part: Option<Part>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, mut settings) = RunFolder::open(&args.run.run)?;
    settings.init = Some(folder.model_path());
    if let Some(data) = args.data {
        // Mean and standard deviation stay those that the network was trained with.
        settings.data.source = data;
        settings.data.unsplit = true;
    }
    settings.data.evaluate = args.part.unwrap_or(settings.data.evaluate);
    args.device.apply(&mut settings);
    settings.check()?;
    let network = Network::new(settings.model.clone())?;
    let dataset = settings.load_data()?;
    let (engine, told) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    told.iter().chain(&dataset.notes).for_each(note);
    let (noun, part) = (dataset.test.noun(), settings.data.evaluate.name());
    let labels = dataset.test.labels().map(<[u32]>::to_vec);
    let floors = Floors::of(&dataset.test, &settings.data);
    let mut session = Session::evaluation(&engine, settings, network, dataset.test)?;
    let mut logits: Vec<f32> = Vec::new();
    // The area under the curve needs the scores of all samples at once.
    let test = session.evaluate_with(|batch, valid| {
        if batch.shape.rank() == 2 {
            logits.extend(&batch.reals()[..valid * batch.shape.last()]);
        }
        Ok(())
    })?;
    let details = session.details()?;
    let area = labels.and_then(|labels| {
        let classes = logits.len() / labels.len().max(1);
        mean_area_under_curve(&logits, classes, &labels)
    });
    let name = test.measure.name();
    let perplexity = test.measure.perplexity(test.loss);
    if args.json {
        let mut line = details.to_json();
        line["part"] = part.into();
        line["test_loss"] = test.loss.into();
        line[format!("test_{name}")] = test.score.into();
        line["count"] = test.count.into();
        line["auc"] = area.into();
        floors.add_to(&mut line, &details);
        line["perplexity"] = perplexity.into();
        print_line(line)?;
        return Ok(ExitCode::SUCCESS);
    }
    print_line(format_args!(
        "{part} loss {:.4}, {part} {name} {} of {} {noun} of {} ({})",
        test.loss,
        test.measure.show(test.score),
        test.count,
        dataset.name,
        engine.name()
    ))?;
    if let Some(perplexity) = perplexity {
        print_line(format_args!("perplexity {perplexity:.3}"))?;
    }
    floors.print(&details)?;
    print_details(&details, area, &dataset.classes)?;
    Ok(ExitCode::SUCCESS)
}

fn print_details(details: &Details, area: Option<f64>, classes: &[String]) -> anyhow::Result<()> {
    /// The most classes whose matrix fits a terminal.
    const MOST_SHOWN: usize = 20;
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    let mut parts = Vec::new();
    parts.extend(
        details
            .top_5
            .map(|share| format!("top-5 accuracy {}", percent(share))),
    );
    parts.extend(area.map(|area| format!("AUC {area:.4}")));
    parts.extend(details.macro_scores().map(|scores| {
        format!(
            "mean precision {}, recall {}, F1 {}",
            percent(scores.precision),
            percent(scores.recall),
            percent(scores.f1)
        )
    }));
    if !parts.is_empty() {
        print_line(parts.join(", "))?;
    }
    let (Some(matrix), Some(scores)) = (&details.confusion, details.class_scores()) else {
        return Ok(());
    };
    if matrix.len() > MOST_SHOWN {
        return Ok(());
    }
    let name = |class: usize| {
        let name = classes
            .get(class)
            .cloned()
            .unwrap_or_else(|| class.to_string());
        name.chars().take(14).collect::<String>()
    };
    let heads: String = (0..matrix.len())
        .map(|class| format!("{:>7.6}", name(class)))
        .collect();
    print_line(format_args!(
        "{:<14}{heads}  precision  recall     F1",
        "class, as"
    ))?;
    for (class, (row, scores)) in matrix.iter().zip(scores).enumerate() {
        let counts: String = row.iter().map(|count| format!("{count:>7}")).collect();
        print_line(format_args!(
            "{:<14}{counts}  {:>8.1}% {:>6.1}% {:>5.1}%",
            name(class),
            100.0 * scores.precision,
            100.0 * scores.recall,
            100.0 * scores.f1
        ))?;
    }
    Ok(())
}
