//! `wgrad verify`

use super::progress::{ProgressPrinter, Unreported};
use super::{interrupt, note, print_line};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::provenance::{
    LedgerKey, LedgerRecord, LedgerScan, LinkCheck, PartContents, Verification, VerifiedLedger,
    verify_file, verify_ledger,
};
use wgrad::run::RunFolder;
use wgrad::settings::Settings;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Folder of a run, file of a ledger (.jsonl), or a file that a run wrote: weights, a checkpoint, an exported model
    #[arg(value_name = "RUN|FILE")]
    path: PathBuf,
    /// Exported files: the folder of the run that wrote it [default: the folder in which the file lies]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// Runs: where the data are now, if not where they were
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// File of the public key of somebody who may sign; can be repeated. Then every link must be signed by one of them
    #[arg(long, value_name = "PUBLIC")]
    key: Vec<PathBuf>,
    /// Runs: a shared ledger that must name the run with its root
    #[arg(long, value_name = "LEDGER")]
    ledger: Option<PathBuf>,
    /// Runs: train again in a temporary folder, from data and settings alone, and compare the bits of the last checkpoint
    #[arg(long)]
    replay: bool,
    /// Print a JSON line for each link and nothing else
    #[arg(long)]
    json: bool,
}

/// What is verified.
enum Subject {
    Run(PathBuf),
    Ledger(PathBuf),
    /// A file, with the ledger of its run.
    File(PathBuf, PathBuf),
}

impl Args {
    fn subject(&self) -> wgrad::Result<Subject> {
        let path = &self.path;
        let subject = if path.is_dir() {
            Subject::Run(RunFolder::open(path)?.require_ledger()?)
        } else if !path.exists() {
            return Err(wgrad::Error::missing(
                path,
                "a run folder, a ledger or a file that a run wrote",
            ));
        } else if path.extension().is_some_and(|ending| ending == "jsonl") {
            Subject::Ledger(path.clone())
        } else {
            let folder = self.run.clone().unwrap_or_else(|| home_of(path));
            let found = RunFolder::open(&folder).map_err(|_| {
                wgrad::Error::Config(format!(
                    "{} does not lie in a run folder; name the run that wrote it with --run",
                    path.display()
                ))
            })?;
            Subject::File(path.clone(), found.require_ledger()?)
        };
        let unused = [
            ("--data", self.data.is_some()),
            ("--ledger", self.ledger.is_some()),
            ("--replay", self.replay),
        ];
        match unused.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if !matches!(subject, Subject::Run(_)) => {
                Err(wgrad::Error::Config(format!(
                    "{option} is for runs, and {} is a file; leave it out, or name the run folder",
                    path.display()
                )))
            }
            _ => Ok(subject),
        }
    }
}

/// The run folder in which a file lies: checkpoints lie in a folder of their own there.
fn home_of(file: &Path) -> PathBuf {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match folder.file_name().is_some_and(|name| name == "checkpoints") {
        true => folder.join(".."),
        false => folder.to_owned(),
    }
}

/// Prints outcomes, and counts those that are broken.
struct Printer {
    json: bool,
    broken: u64,
    /// How printing went so far.
    printed: anyhow::Result<()>,
}

impl Printer {
    fn print(&mut self, check: &LinkCheck) {
        self.broken += u64::from(!check.is_ok());
        if self.printed.is_ok() {
            self.printed = match self.json {
                true => print_line(json_line(check)),
                false => print_text(check),
            };
        }
    }

    /// Verifies the ledger at `path`.
    fn verify(&mut self, path: &Path, with: &Verification<'_>) -> wgrad::Result<VerifiedLedger> {
        verify_ledger(path, with, &mut |check| {
            self.print(check);
            Ok(())
        })
    }

    /// Prints what was found in all.
    fn end(self, path: &Path, verified: &VerifiedLedger) -> anyhow::Result<ExitCode> {
        self.printed?;
        let (broken, links) = (self.broken, verified.links);
        let shown = path.display();
        let signed = match &verified.authors[..] {
            [] => "not signed".to_string(),
            [author] => format!("signed by {author}"),
            several => format!("signed by {} keys", several.len()),
        };
        match (self.json, broken) {
            (true, _) => print_line(json!({
                "event": "verified",
                "path": shown.to_string(),
                "links": links,
                "broken": broken,
                "root": verified.root,
                "authors": verified.authors,
                "ended": verified.is_ended,
            }))?,
            (false, 0) => print_line(format_args!(
                "{shown}: all of {links} links are whole, {signed}; root {}",
                verified.root
            ))?,
            (false, _) => print_line(format_args!("{shown}: {broken} broken, of {links} links"))?,
        }
        Ok(match broken {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }
}

/// Prints problems and notes; links that are whole are counted alone.
fn print_text(check: &LinkCheck) -> anyhow::Result<()> {
    let what = match (check.link, check.kind.as_str()) {
        (Some(link), "") => format!("link {link}"),
        (Some(link), kind) => format!("link {link} ({kind})"),
        (None, kind) => kind.to_string(),
    };
    for problem in &check.problems {
        print_line(format_args!("BROKEN {what}: {problem}"))?;
    }
    check
        .notes
        .iter()
        .for_each(|text| note(format_args!("{what}: {text}")));
    Ok(())
}

fn json_line(check: &LinkCheck) -> Value {
    json!({
        "event": "verify",
        "link": check.link,
        "kind": check.kind,
        "ok": check.is_ok(),
        "problems": check.problems,
        "notes": check.notes,
    })
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let keys = args.key.iter().map(|path| LedgerKey::read(path));
    let keys = keys.collect::<wgrad::Result<Vec<_>>>()?;
    let subject = args.subject()?;
    let mut printer = Printer {
        json: args.json,
        broken: 0,
        printed: Ok(()),
    };
    let with = Verification {
        keys: &keys,
        ..Verification::default()
    };
    let verified = match &subject {
        Subject::Ledger(path) => printer.verify(path, &with)?,
        Subject::File(path, ledger) => {
            let verified = printer.verify(ledger, &with)?;
            printer.print(&verify_file(path, ledger)?);
            verified
        }
        Subject::Run(ledger) => verify_run(&args, ledger, with, &mut printer)?,
    };
    printer.end(&args.path, &verified)
}

/// Verifies the run folder that `args` name, with the ledger `ledger`.
fn verify_run(
    args: &Args,
    ledger: &Path,
    with: Verification<'_>,
    printer: &mut Printer,
) -> anyhow::Result<VerifiedLedger> {
    let (path, source) = (&args.path, args.data.as_deref());
    if RunFolder::open(path)?.is_locked() {
        note("a run is writing in the folder, so that its last files may not be there yet");
    }
    let parts = || -> wgrad::Result<PartContents> {
        let (_, settings) = Settings::open_run(path)?;
        settings.data_contents(source)
    };
    let with = Verification {
        folder: Some(path),
        data: source,
        parts: Some(&parts),
        ..with
    };
    let verified = printer.verify(ledger, &with)?;
    if !verified.is_ended {
        note("the run has not ended, and has no root yet");
    }
    if let Some(shared) = &args.ledger {
        printer.print(&named_in(shared, ledger)?);
    }
    match (args.replay, printer.broken) {
        (true, 0) => {
            interrupt::listen()?;
            let mut progress = Unreported(ProgressPrinter::new(args.json));
            let trained = Settings::train_again(path, source, &mut progress);
            progress.0.finish();
            let trained = trained?;
            printer.print(&trained.check);
            if trained.check.is_ok() && !args.json {
                print_line(format_args!(
                    "training again gives the same bits after step {}",
                    trained.checkpoint.step
                ))?;
            }
        }
        (true, _) => {
            note("the run is not trained again, because something is broken already");
        }
        (false, 0) if !args.json => print_line(
            "the weights come from these data by these settings, if the ledger is honest; --replay shows it",
        )?,
        (false, _) => {}
    }
    Ok(verified)
}

/// Whether the ledger `shared` names the run whose own ledger is `own`, with its root.
fn named_in(shared: &Path, own: &Path) -> wgrad::Result<LinkCheck> {
    let verified = verify_ledger(shared, &Verification::default(), &mut |_| Ok(()))?;
    let carried = LedgerScan::of(own)?.carried();
    let mut found = None;
    if verified.broken == 0 {
        LedgerScan::each(shared, &mut |link, record| {
            if let LedgerRecord::Run(run) = record
                && run.root == carried.root
            {
                found = Some(link);
            }
        })?;
    }
    let shown = shared.display();
    let problem = match (verified.broken, found) {
        (0, Some(_)) => None,
        (0, None) => Some(format!(
            "{shown} names no run with the root {}",
            carried.root
        )),
        _ => Some(format!(
            "{} of the links of {shown} are broken; `wgrad verify {shown}` names them",
            verified.broken
        )),
    };
    Ok(LinkCheck::of("ledger", problem.into_iter().collect()))
}
