//! Verification of ledgers: of the chain, of signatures, and of the files and data that the links name. A ledger is read line by line,
//! twice: first to find the last link about each file, then to check each link.

use super::ledger::{LedgerLine, LedgerLink, LedgerReader, NO_PARENT};
use super::merkle::MerkleTree;
use super::record::{
    CodeRecord, DataRecord, EvaluationRecord, ExportRecord, LedgerRecord, SettingsRecord,
    StartRecord, figures_of_line,
};
use super::signature::LedgerKey;
use super::{digest_of, digest_of_file};
use crate::checksum::from_hex;
use crate::data::{Listing, PartContent};
use crate::error::{Error, Result};
use crate::files::read_text;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};

/// The ledger of a run, in its folder.
pub const LEDGER_FILE: &str = "provenance.jsonl";

/// The content of each part of the data, by its name.
pub type PartContents = BTreeMap<String, PartContent>;

/// Files, epochs and roots that a ledger may name.
const MOST_NAMED: usize = 1_000_000;
/// Checkpoints before a start among which its own is looked for.
const RECENT: usize = 64;
/// Lines that do not follow the one before, for which the line that they follow is looked for.
const MOST_SEARCHES: usize = 100;

/// What a ledger is compared with.
#[derive(Default)]
pub struct Verification<'a> {
    /// The run folder in which the files lie that it names.
    pub folder: Option<&'a Path>,
    /// Where the data are, if not where they were.
    pub data: Option<&'a str>,
    /// The public keys of those who may sign; if there are any, every link must be signed by one of them.
    pub keys: &'a [LedgerKey],
    /// Loads the data of the run, for those that are not in files.
    pub parts: Option<&'a dyn Fn() -> Result<PartContents>>,
}

/// The outcome for a link, or for a file that should have one.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkCheck {
    /// The number of its line, from 1; `None` for what is not in the ledger.
    pub link: Option<u64>,
    /// Its kind; empty if it can't be read.
    pub kind: String,
    /// What is broken, each the rest of a sentence about it.
    pub problems: Vec<String>,
    /// What could not be compared, or may surprise.
    pub notes: Vec<String>,
}

impl LinkCheck {
    /// The outcome for `what` beside the ledger.
    pub fn of(kind: &str, problems: Vec<String>) -> LinkCheck {
        LinkCheck {
            link: None,
            kind: kind.to_string(),
            problems,
            notes: Vec::new(),
        }
    }

    /// Whether nothing is broken.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The outcome for a ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedLedger {
    /// Number of links.
    pub links: u64,
    /// How many of them, and of the files beside, are broken.
    pub broken: u64,
    /// The root at the end of the training, which models carry; over all links if there is none, as in a shared ledger.
    pub root: String,
    /// The public keys of the authors, sorted.
    pub authors: Vec<String>,
    /// Whether the training that the last start began has an end.
    pub is_ended: bool,
}

/// The last links about a file.
struct OfFile {
    link: u64,
    sha256: String,
    /// The last other digest before.
    before: Option<String>,
}

/// What the first reading finds: the last link about each thing.
#[derive(Default)]
struct Latest {
    files: BTreeMap<String, OfFile>,
    evaluations: BTreeMap<u64, u64>,
    settings: u64,
    data: u64,
    device: u64,
    end: u64,
    start: u64,
    /// Numbers of first links whose root is asked for.
    roots: BTreeSet<u64>,
}

impl Latest {
    fn read(path: &Path) -> Result<Latest> {
        let mut latest = Latest::default();
        let mut reader = LedgerReader::open(path)?;
        let mut number = 0;
        while let Some(line) = reader.next_line()? {
            number += 1;
            let LedgerLine::Whole(line) = line else {
                continue;
            };
            let link = LedgerLink::parse(&line).ok();
            let record = link.and_then(|link| link.record().ok().flatten());
            latest.take(number, record);
            let named = latest.files.len() + latest.evaluations.len() + latest.roots.len();
            if named > MOST_NAMED {
                return Err(Error::Config(format!(
                    "{} names more than {MOST_NAMED} files and epochs, which is more than a run has",
                    path.display()
                )));
            }
        }
        Ok(latest)
    }

    fn take(&mut self, number: u64, record: Option<LedgerRecord>) {
        let Some(record) = record else { return };
        match record {
            LedgerRecord::Settings(_) => self.settings = number,
            LedgerRecord::Data(_) => self.data = number,
            LedgerRecord::Device(_) => self.device = number,
            LedgerRecord::Start(_) => self.start = number,
            LedgerRecord::Evaluation(found) => {
                if let Some(epoch) = found.epoch {
                    self.evaluations.insert(epoch, number);
                }
            }
            LedgerRecord::Weights(found) => self.file(number, found.file, found.sha256),
            LedgerRecord::Checkpoint(found) => self.file(number, found.file, found.sha256),
            LedgerRecord::Export(found) => {
                self.roots.insert(found.links);
                if found.inside {
                    self.file(number, found.file, found.sha256);
                }
            }
            LedgerRecord::End(found) => {
                self.end = number;
                self.roots.insert(found.links);
            }
            LedgerRecord::Code(_) | LedgerRecord::Run(_) => {}
        }
    }

    fn file(&mut self, link: u64, file: String, sha256: String) {
        // A run that is killed writes the same again when it is resumed.
        let before = match self.files.remove(&file) {
            Some(same) if same.sha256 == sha256 => same.before,
            other => other.map(|other| other.sha256),
        };
        let found = OfFile {
            link,
            sha256,
            before,
        };
        self.files.insert(file, found);
    }
}

/// What is known before a line while links are checked.
struct Checker<'a> {
    path: &'a Path,
    with: &'a Verification<'a>,
    latest: Latest,
    /// The hash that the next link must name; `None` after a line that is no link.
    parent: Option<String>,
    /// The number of the link before.
    link: u64,
    tree: MerkleTree,
    roots: BTreeMap<u64, String>,
    /// The root at the end of the training, unless another start follows.
    end: Option<String>,
    checkpoints: VecDeque<(u64, String)>,
    has_start: bool,
    /// Whether the run began before the ledger.
    is_late: bool,
    authors: BTreeSet<String>,
    searches: usize,
    /// The figures of each epoch in `metrics.jsonl`.
    metrics: Option<BTreeMap<u64, String>>,
}

/// Checks every link of the ledger at `path`, and passes each outcome to `report`, in order.
///
/// # Errors
/// If it can't be read or is empty, or names too many files; or the error of `report`.
pub fn verify_ledger(
    path: &Path,
    with: &Verification<'_>,
    report: &mut dyn FnMut(&LinkCheck) -> Result<()>,
) -> Result<VerifiedLedger> {
    let latest = Latest::read(path)?;
    let is_ended = latest.end > latest.start;
    let mut checker = Checker {
        path,
        with,
        latest,
        parent: Some(NO_PARENT.to_string()),
        link: 0,
        tree: MerkleTree::default(),
        roots: BTreeMap::new(),
        end: None,
        checkpoints: VecDeque::new(),
        has_start: false,
        is_late: false,
        authors: BTreeSet::new(),
        searches: 0,
        metrics: with.folder.and_then(figures_of_epochs),
    };
    let mut reader = LedgerReader::open(path)?;
    let (mut number, mut broken) = (0, 0);
    while let Some(line) = reader.next_line()? {
        number += 1;
        let check = checker.line(number, &line)?;
        broken += u64::from(!check.is_ok());
        report(&check)?;
    }
    if number == 0 {
        return Err(Error::Config(format!(
            "{} is empty: a ledger has a line for each link",
            path.display()
        )));
    }
    for check in checker.unnamed_files() {
        broken += u64::from(!check.is_ok());
        report(&check)?;
    }
    Ok(VerifiedLedger {
        links: number,
        broken,
        root: checker.end.unwrap_or_else(|| checker.tree.root()),
        authors: checker.authors.into_iter().collect(),
        is_ended,
    })
}

impl Checker<'_> {
    fn line(&mut self, number: u64, line: &LedgerLine) -> Result<LinkCheck> {
        let mut check = LinkCheck {
            link: Some(number),
            kind: String::new(),
            problems: Vec::new(),
            notes: Vec::new(),
        };
        let parsed = match line {
            LedgerLine::Whole(line) => LedgerLink::parse(line),
            LedgerLine::Cut => Err("the line is cut off in the middle".to_string()),
            LedgerLine::TooLong => Err("the line is longer than any link".to_string()),
            LedgerLine::NoText => Err("the line is no text".to_string()),
        };
        match parsed {
            Ok(link) => self.link(number, &link, &mut check)?,
            Err(why) => {
                check.problems.push(why);
                (self.parent, self.link) = (None, self.link + 1);
            }
        }
        Ok(check)
    }

    fn link(&mut self, number: u64, link: &LedgerLink, check: &mut LinkCheck) -> Result<()> {
        check.kind.clone_from(&link.kind);
        if let Err(why) = link.check() {
            check.problems.push(why);
        }
        match &self.parent {
            Some(parent) if *parent != link.parent => {
                check.problems.push(self.misplaced(number, &link.parent)?);
            }
            _ if self.link + 1 != link.link => check.problems.push(format!(
                "it has the number {} in the place of {}",
                link.link,
                self.link + 1
            )),
            _ => {}
        }
        (self.parent, self.link) = (Some(link.hash.clone()), link.link);
        self.check_author(link, check);
        match link.record() {
            Ok(Some(record)) => self.record(number, &record, check),
            Ok(None) => check.notes.push(format!(
                "this version of wgrad does not know links of the kind {}",
                link.kind
            )),
            Err(why) => check.problems.push(why),
        }
        // A hash that is none was found to be wrong above.
        self.tree
            .add(&from_hex::<32>(&link.hash).unwrap_or_default());
        if self.latest.roots.contains(&number) {
            self.roots.insert(number, self.tree.root());
        }
        Ok(())
    }

    /// Why link `number` has another parent than the line before.
    fn misplaced(&mut self, number: u64, parent: &str) -> Result<String> {
        self.searches += 1;
        let before = match self.searches <= MOST_SEARCHES {
            true => line_of(self.path, parent, number)?,
            false => None,
        };
        Ok(match before {
            Some(0) => "it begins another history: the ledger forks at its beginning".to_string(),
            Some(at) => format!(
                "it follows line {at} and not the line before it: the ledger forks after line {at}"
            ),
            None => "it does not follow the line before it: a line between them is missing, or was changed".to_string(),
        })
    }

    fn check_author(&mut self, link: &LedgerLink, check: &mut LinkCheck) {
        if let Some(author) = &link.author
            && self.authors.len() < MOST_SEARCHES
        {
            self.authors.insert(author.clone());
        }
        if self.with.keys.is_empty() {
            return;
        }
        match &link.author {
            None => check.problems.push("it is not signed".to_string()),
            Some(author) if !self.with.keys.iter().any(|key| key.to_string() == *author) => {
                check
                    .problems
                    .push(format!("it is signed by another key, {author}"));
            }
            Some(_) => {}
        }
    }

    fn record(&mut self, number: u64, record: &LedgerRecord, check: &mut LinkCheck) {
        match record {
            LedgerRecord::Code(code) => {
                if *code != CodeRecord::own() {
                    check.notes.push(format!(
                        "the run was made by another build of wgrad, version {}",
                        code.version
                    ));
                }
            }
            LedgerRecord::Settings(settings) => self.settings(number, settings, check),
            LedgerRecord::Data(data) => self.data(number, data, check),
            LedgerRecord::Device(device) => {
                if let (Some(folder), Some(variants)) = (self.with.folder, &device.variants)
                    && number == self.latest.device
                {
                    compare(&folder.join("variants.toml"), variants, check);
                }
            }
            LedgerRecord::Start(start) => {
                self.end = None;
                self.start(start, check);
                if self.with.folder.is_some() && number == self.latest.start {
                    inputs(start, check);
                }
            }
            LedgerRecord::Evaluation(found) => self.evaluation(number, found, check),
            LedgerRecord::Weights(found) => {
                self.file(number, &found.file, &found.sha256, true, check);
            }
            LedgerRecord::Checkpoint(found) => {
                self.checkpoints
                    .push_back((found.step, found.values.clone()));
                if self.checkpoints.len() > RECENT {
                    self.checkpoints.pop_front();
                }
                self.file(number, &found.file, &found.sha256, false, check);
            }
            LedgerRecord::End(end) => {
                self.end = Some(end.root.clone());
                self.root(number, end.links, &end.root, check);
            }
            LedgerRecord::Export(export) => self.export(number, export, check),
            LedgerRecord::Run(_) => {}
        }
    }

    fn settings(&self, number: u64, settings: &SettingsRecord, check: &mut LinkCheck) {
        let Some(folder) = self.with.folder.filter(|_| number == self.latest.settings) else {
            return;
        };
        for (file, sha256) in &settings.files {
            match inside(folder, file) {
                Some(path) => compare(&path, sha256, check),
                None => check.problems.push(outside(file)),
            }
        }
    }

    fn data(&self, number: u64, data: &DataRecord, check: &mut LinkCheck) {
        let Some(folder) = self.with.folder.filter(|_| number == self.latest.data) else {
            return;
        };
        let Some(listing) = data.listing.as_ref().filter(|_| data.files > 0) else {
            return self.parts(data, check);
        };
        let file = folder.join("data-files.json");
        let text = read_text(&file).unwrap_or_default();
        let recorded = match digest_of(text.as_bytes()) == *listing {
            true => serde_json::from_str::<Listing>(&text).ok(),
            false => {
                compare(&file, listing, check);
                None
            }
        };
        let source = self.with.data.unwrap_or(&data.source);
        let now = match Listing::of(source) {
            Ok(now) => now,
            Err(error) if self.with.data.is_some() => {
                check.problems.push(error.to_string());
                return;
            }
            Err(_) => {
                check.notes.push(format!(
                    "the data are not at {source} any more, and were not compared; name them with --data"
                ));
                return;
            }
        };
        let difference = match recorded {
            Some(recorded) => recorded.difference(&now),
            None => {
                let text = now.to_text().unwrap_or_default();
                let same = digest_of(text.as_bytes()) == *listing;
                (!same).then(|| "their list of files differs".to_string())
            }
        };
        if let Some(difference) = difference {
            check.problems.push(format!(
                "the data at {source} are not those of the training: {difference}"
            ));
        }
    }

    /// Compares the content of the parts, where it is in no files.
    fn parts(&self, data: &DataRecord, check: &mut LinkCheck) {
        let Some(load) = self.with.parts else {
            check
                .notes
                .push("the data are in no files that could be compared".to_string());
            return;
        };
        match load() {
            Ok(now) => {
                let other = data
                    .parts
                    .iter()
                    .find(|(part, content)| now.get(*part) != Some(content));
                if let Some((part, _)) = other {
                    check.problems.push(format!(
                        "the {part} part of {} is not the one of the training",
                        data.source
                    ));
                }
            }
            Err(error) if self.with.data.is_some() => check.problems.push(error.to_string()),
            Err(error) => check.notes.push(format!(
                "the data can't be loaded, and were not compared: {error}"
            )),
        }
    }

    fn start(&mut self, start: &StartRecord, check: &mut LinkCheck) {
        let first = !std::mem::replace(&mut self.has_start, true);
        if start.cut > 0 {
            check.notes.push(format!(
                "{} bytes of an incomplete line before it were cut off: the process that wrote it was killed",
                start.cut
            ));
        }
        if start.step == 0 {
            return;
        }
        let own = |(step, values): &(u64, String)| {
            *step == start.step && Some(values) == start.values.as_ref()
        };
        match self.checkpoints.iter().any(own) {
            true => {}
            false if first && self.checkpoints.is_empty() => {
                self.is_late = true;
                check.notes.push(format!(
                    "the first {} steps were taken by a version without a ledger, and nothing is known of them",
                    start.step
                ));
            }
            false => check.problems.push(format!(
                "it goes on after step {} from a checkpoint that no link before it made",
                start.step
            )),
        }
    }

    fn evaluation(&self, number: u64, found: &EvaluationRecord, check: &mut LinkCheck) {
        let latest = |epoch| self.latest.evaluations.get(&epoch) == Some(&number);
        let Some(epoch) = found.epoch.filter(|&epoch| latest(epoch)) else {
            return;
        };
        if self.with.folder.is_none() {
            return;
        }
        let written = self.metrics.as_ref().and_then(|all| all.get(&epoch));
        let figures = serde_json::to_string(&found.figures).unwrap_or_default();
        match written {
            Some(written) if *written == figures => {}
            Some(_) => check
                .problems
                .push(format!("metrics.jsonl has other figures for epoch {epoch}")),
            None if self.latest.end > number => check
                .problems
                .push(format!("metrics.jsonl has no line for epoch {epoch}")),
            None => check.notes.push(format!(
                "metrics.jsonl has no line for epoch {epoch}, in which the run was interrupted"
            )),
        }
    }

    fn export(&self, number: u64, export: &ExportRecord, check: &mut LinkCheck) {
        self.root(number, export.links, &export.root, check);
        if !export.inside {
            check.notes.push(format!(
                "{} lies elsewhere; `wgrad verify FILE --run RUN` checks it",
                export.file
            ));
        } else if export.format != "web" {
            self.file(number, &export.file, &export.sha256, false, check);
        } else if let Some(folder) = self.with.folder
            && let Some(path) = inside(folder, &export.file)
            && path.is_dir()
        {
            let listing = Listing::of(&path.display().to_string());
            let text = listing.and_then(|listing| listing.to_text());
            if text.is_ok_and(|text| digest_of(text.as_bytes()) != export.sha256) {
                check
                    .problems
                    .push(format!("{} was changed since", export.file));
            }
        }
    }

    /// Compares `root` with that of the first `links` links.
    fn root(&self, number: u64, links: u64, root: &str, check: &mut LinkCheck) {
        let own = self.roots.get(&links).filter(|_| links < number);
        if own.is_none_or(|own| own != root) {
            check.problems.push(format!(
                "its root is not that of the first {links} links before it"
            ));
        }
    }

    /// Compares a file of the run with its last link.
    fn file(&self, number: u64, file: &str, sha256: &str, needed: bool, check: &mut LinkCheck) {
        let latest = self.latest.files.get(file);
        let Some(latest) = latest.filter(|latest| latest.link == number) else {
            return;
        };
        let Some(folder) = self.with.folder else {
            return;
        };
        let Some(path) = inside(folder, file) else {
            check.problems.push(outside(file));
            return;
        };
        let interrupted = self.latest.end < number;
        if !path.exists() {
            if needed && !(interrupted && latest.before.is_none()) {
                check.problems.push(format!("{file} is missing"));
            }
            return;
        }
        match digest_of_file(&path) {
            Ok(now) if now == sha256 => {}
            Ok(now) if interrupted && latest.before.as_ref() == Some(&now) => {
                check.notes.push(format!(
                    "{file} is the one before, as a process leaves it that was killed while it wrote"
                ));
            }
            Ok(_) => check.problems.push(changed(file)),
            Err(error) => check.problems.push(error.to_string()),
        }
    }

    /// Weights and checkpoints in the folder that no link names.
    fn unnamed_files(&self) -> Vec<LinkCheck> {
        let Some(folder) = self.with.folder else {
            return Vec::new();
        };
        let mut found: Vec<String> = ["model.safetensors", "best.safetensors"]
            .map(String::from)
            .into();
        let entries = std::fs::read_dir(folder.join("checkpoints"));
        let entries = entries.into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names
            .filter(|name| name.ends_with(".safetensors") && !name.starts_with('.'))
            .map(|name| format!("checkpoints/{name}"))
            .take(MOST_NAMED)
            .collect();
        names.sort();
        found.extend(names);
        let unnamed =
            |file: &String| folder.join(file).is_file() && !self.latest.files.contains_key(file);
        let found = found.into_iter().filter(unnamed);
        let check = |file: String| {
            let said = vec![format!("no link names {file}")];
            let check = LinkCheck::of("file", Vec::new());
            match self.is_late {
                true => LinkCheck {
                    notes: said,
                    ..check
                },
                false => LinkCheck {
                    problems: said,
                    ..check
                },
            }
        };
        found.map(check).collect()
    }
}

fn changed(file: &str) -> String {
    format!("{file} is not the file that the run wrote: it was changed")
}

fn outside(file: &str) -> String {
    format!("it names {file}, which lies outside of the run folder")
}

/// The path of `file` in `folder`; `None` if it lies elsewhere.
fn inside(folder: &Path, file: &str) -> Option<PathBuf> {
    let mut parts = Path::new(file).components();
    let is_inside = !file.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)));
    is_inside.then(|| folder.join(file))
}

/// Notes which weights that a run read are others now.
fn inputs(start: &StartRecord, check: &mut LinkCheck) {
    for (path, sha256) in &start.inputs {
        match digest_of_file(Path::new(path)) {
            Ok(now) if now == *sha256 => {}
            Ok(_) => check
                .notes
                .push(format!("{path}, whose weights it read, was changed since")),
            Err(_) => check.notes.push(format!(
                "{path}, whose weights it read, is not there any more"
            )),
        }
    }
}

/// Compares the file at `path` with its digest.
fn compare(path: &Path, sha256: &str, check: &mut LinkCheck) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match digest_of_file(path) {
        Ok(now) if now == sha256 => {}
        Ok(_) => check.problems.push(changed(&name)),
        Err(_) if !path.exists() => check.problems.push(format!("{name} is missing")),
        Err(error) => check.problems.push(error.to_string()),
    }
}

/// The line before line `number` whose link has this hash, 0 for that of the beginning; `None` if there is none.
fn line_of(path: &Path, hash: &str, number: u64) -> Result<Option<u64>> {
    if hash == NO_PARENT {
        return Ok(Some(0));
    }
    let mut reader = LedgerReader::open(path)?;
    for at in 1..number {
        match reader.next_line()? {
            Some(LedgerLine::Whole(line)) => {
                if LedgerLink::parse(&line).is_ok_and(|link| link.hash == hash) {
                    return Ok(Some(at));
                }
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(None)
}

/// The figures of each epoch in the `metrics.jsonl` of a run folder; `None` if it can't be read.
fn figures_of_epochs(folder: &Path) -> Option<BTreeMap<u64, String>> {
    let mut reader = LedgerReader::open(&folder.join("metrics.jsonl")).ok()?;
    let mut found = BTreeMap::new();
    while let Some(line) = reader.next_line().ok()? {
        let LedgerLine::Whole(line) = line else {
            continue;
        };
        let line: Option<Value> = serde_json::from_str(&line).ok();
        let line = line.as_ref().and_then(Value::as_object);
        if let Some((line, epoch)) =
            line.and_then(|line| Some((line, line.get("epoch")?.as_u64()?)))
        {
            let figures = serde_json::to_string(&figures_of_line(line)).unwrap_or_default();
            found.insert(epoch, figures);
        }
        if found.len() > MOST_NAMED {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests;
