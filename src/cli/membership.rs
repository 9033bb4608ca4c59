//! `wgrad membership`

use super::progress::{ProgressPrinter, Unreported};
use super::table::TextTable;
use super::{DeviceArgs, OverwriteArg, RunArg, interrupt, note, print_line};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::membership::{LikelihoodRatios, MembershipFinding, by_loss, membership_page};
use wgrad::settings::{MembershipOptions, MembershipSubject};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Attack another run, too, for a comparison; can be repeated
    #[arg(long, value_name = "RUN")]
    with: Vec<PathBuf>,
    /// Attack also by likelihood ratios (LiRA), for which this many shadow runs are trained as the run was: an even number, 4 or more
    #[arg(long, value_name = "N")]
    shadows: Option<u16>,
    /// Most samples of the training part, and of the test part, that are judged
    #[arg(long, value_name = "N", default_value_t = 2000)]
    samples: u32,
    /// Attack the weights of the last epoch instead of the best one
    #[arg(long)]
    last: bool,
    /// Write a page with ROC curves, histograms of the scores and a table
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line for each attack and run and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.html {
        args.overwrite.check(path)?;
    }
    let options = MembershipOptions {
        samples: args.samples as usize,
        shadows: args.shadows.map(usize::from),
        last: args.last,
    };
    let paths = [&args.run.run].into_iter().chain(&args.with);
    let subjects = paths.map(|path| {
        MembershipSubject::open(path, options, |settings| {
            args.device.clone().apply(settings);
        })
    });
    let subjects = subjects.collect::<wgrad::Result<Vec<MembershipSubject>>>()?;
    if options.shadows.is_some() {
        interrupt::listen()?;
    }
    let mut findings = Vec::new();
    let mut devices = Vec::new();
    for subject in &subjects {
        subject.notes.iter().for_each(note);
        let (engine, device_note) = subject.open_engine()?;
        device_note.iter().for_each(note);
        devices.push(engine.name());
        for finding in attacked(subject, &engine, options, args.json)? {
            if args.json {
                print_line(finding.to_json())?;
            }
            findings.push(finding);
        }
    }
    if let Some(path) = &args.html {
        let titles: Vec<String> = subjects.iter().map(MembershipSubject::title).collect();
        let title = format!(
            "Members of the training data of {}",
            titles.join(" and of ")
        );
        write_whole(path, membership_page(&title, &findings).as_bytes())?;
    }
    if args.json {
        return Ok(ExitCode::SUCCESS);
    }
    for (subject, device) in subjects.iter().zip(&devices) {
        let (count, noun) = (subject.pool.count(), subject.pool.members.noun());
        print_line(format_args!(
            "{}: {count} {noun} of its training part and {count} others ({device})",
            subject.name
        ))?;
    }
    let lines = table(&findings).lines(TextTable::columns());
    lines.iter().try_for_each(print_line)?;
    if let Some(path) = &args.html {
        print_line(format_args!("wrote {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the attacks find out about a run.
fn attacked(
    subject: &MembershipSubject,
    engine: &Engine,
    options: MembershipOptions,
    json: bool,
) -> anyhow::Result<Vec<MembershipFinding>> {
    let confidences = subject.confidences(engine)?;
    let mut findings = vec![by_loss(&subject.name, confidences.clone(), subject.seed())];
    let Some(shadows) = options.shadows else {
        return Ok(findings);
    };
    let count = subject.pool.count();
    let mut ratios = LikelihoodRatios::new(count, count);
    let is_plain = json || !std::io::stderr().is_terminal();
    for number in 0..shadows {
        // Results alone go to standard output.
        let mut progress = Unreported(ProgressPrinter::new(is_plain));
        progress.0.note(format_args!(
            "training shadow run {} of {shadows} of {}",
            number + 1,
            subject.name
        ));
        let shadow = subject.shadow(engine, number, &mut progress);
        progress.0.finish();
        ratios.add(&shadow?);
    }
    findings.push(ratios.finding(&subject.name, &confidences, subject.seed()));
    Ok(findings)
}

fn table(findings: &[MembershipFinding]) -> TextTable {
    let heads = [
        "run",
        "attack",
        "AUC",
        "95% interval",
        "accuracy",
        "TPR at 1% FPR",
        "TPR at 0.1% FPR",
        "loss of members",
        "of others",
    ];
    let mut table = TextTable::new(heads.map(str::to_string));
    for finding in findings {
        let [low, high] = finding.interval;
        let share = |share: f64| format!("{:.2}%", 100.0 * share);
        let [of_members, of_others] = match finding.losses {
            Some(losses) => losses.map(|loss| format!("{loss:.4}")),
            None => ["-", "-"].map(str::to_string),
        };
        table.push([
            finding.run.clone(),
            finding.attack.title().to_string(),
            format!("{:.4}", finding.auc),
            format!("{low:.4} to {high:.4}"),
            share(finding.accuracy),
            share(finding.tpr_at_1_percent),
            share(finding.tpr_at_0_1_percent),
            of_members,
            of_others,
        ]);
    }
    table
}
