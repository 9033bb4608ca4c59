//! Ledgers: files of JSON lines to which links are added and in which none is ever changed. Each holds the hash of the one before.
//!
//! A line is `{"link":N,"parent":P,"author":A,"kind":K,"body":B,"hash":H,"signature":S}`, without spaces and in this order; author and
//! signature are left out where nobody signs. H is the SHA-256 of the line up to the comma before `"hash"`, with `}` after it. P is the
//! hash of the line before, or 64 zeros. S is the signature of A, a public key, for H. A line that is written in another way is refused,
//! so that two that look different never have the same hash.

use super::record::LedgerRecord;
use super::signature::{LedgerKey, LedgerSigner};
use crate::checksum::sha256_digits;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a line, at most.
pub const LONGEST_LINE: usize = 1 << 20;
/// Bytes of the end of a file that are read first to find the last line.
const FIRST_READ: u64 = 1 << 13;

/// The parent of the first link.
pub(super) const NO_PARENT: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// A link of a ledger, as a line holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerLink {
    /// Its number, from 1.
    pub link: u64,
    /// The hash of the link before.
    pub parent: String,
    /// The public key of who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What the body is.
    pub kind: String,
    /// What it says.
    pub body: Box<RawValue>,
    /// The hash of all of the above.
    pub hash: String,
    /// The signature of the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// What is hashed of a link, in its order.
#[derive(Serialize)]
struct Hashed<'a> {
    link: u64,
    parent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    kind: &'a str,
    body: &'a RawValue,
}

impl Hashed<'_> {
    /// # Errors
    /// If it can't be written.
    fn hash(&self) -> Result<String> {
        let text = serde_json::to_string(self).map_err(unwritable)?;
        Ok(sha256_digits(text.as_bytes()))
    }
}

fn unwritable(e: serde_json::Error) -> Error {
    Error::Config(format!("a link of a ledger can't be written: {e}"))
}

impl LedgerLink {
    /// The link after the one with the number and the hash `before`.
    fn new(
        before: &(u64, String),
        record: &LedgerRecord,
        signer: Option<&LedgerSigner>,
    ) -> Result<LedgerLink> {
        let author = signer.map(|signer| signer.key().to_string());
        let body = record.body()?;
        let (link, parent) = (before.0 + 1, before.1.clone());
        let hashed = Hashed {
            link,
            parent: &parent,
            author: author.as_deref(),
            kind: record.kind(),
            body: &body,
        };
        let hash = hashed.hash()?;
        Ok(LedgerLink {
            signature: signer.map(|signer| signer.sign(&hash)),
            link,
            parent,
            author,
            kind: record.kind().to_string(),
            body,
            hash,
        })
    }

    /// The link in a line.
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub fn parse(line: &str) -> Result<LedgerLink, String> {
        let link: LedgerLink =
            serde_json::from_str(line).map_err(|e| format!("it is no link of a ledger ({e})"))?;
        match serde_json::to_string(&link) {
            Ok(written) if written == line => Ok(link),
            _ => Err("it is not written as a link is".to_string()),
        }
    }

    /// Checks the hash, and the signature if there is one.
    ///
    /// # Errors
    /// Says which one is wrong.
    pub fn check(&self) -> Result<(), String> {
        let hashed = Hashed {
            link: self.link,
            parent: &self.parent,
            author: self.author.as_deref(),
            kind: &self.kind,
            body: &self.body,
        };
        if hashed.hash().map_err(|e| e.to_string())? != self.hash {
            return Err("its content does not have its hash: it was changed".to_string());
        }
        match (&self.author, &self.signature) {
            (None, None) => Ok(()),
            (Some(author), Some(signature)) => match LedgerKey::parse(author) {
                Some(key) if key.has_signed(&self.hash, signature) => Ok(()),
                Some(_) => Err("its signature is not that of its author".to_string()),
                None => Err("its author is no public key".to_string()),
            },
            (Some(_), None) => Err("it names an author and has no signature".to_string()),
            (None, Some(_)) => Err("it has a signature and names no author".to_string()),
        }
    }

    /// What it says; `None` if this version does not know its kind.
    ///
    /// # Errors
    /// If the body is of another kind.
    pub fn record(&self) -> Result<Option<LedgerRecord>, String> {
        LedgerRecord::parse(&self.kind, &self.body)
    }
}

/// A line of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerLine {
    /// A complete one.
    Whole(String),
    /// The last one, which ends without a line break.
    Cut,
    /// One of over [`LONGEST_LINE`] bytes.
    TooLong,
    /// One that is not UTF-8.
    NoText,
}

/// Reads the lines of a ledger, one at a time, up to the length that the file has when it is opened.
pub struct LedgerReader {
    path: PathBuf,
    lines: io::Take<BufReader<File>>,
}

impl LedgerReader {
    /// Opens the ledger at `path`.
    ///
    /// # Errors
    /// If it is not a file, or can't be read.
    pub fn open(path: &Path) -> Result<LedgerReader> {
        super::check_file(path, "a ledger")?;
        let open = || -> io::Result<_> {
            let file = File::open(path)?;
            // Another process may be writing a line. Where files can't be locked, it is read as it is.
            let locked = file.lock_shared().is_ok();
            let length = file.metadata()?.len();
            if locked {
                file.unlock()?;
            }
            Ok(BufReader::new(file).take(length))
        };
        Ok(LedgerReader {
            lines: open().map_err(Error::io("read", path))?,
            path: path.to_owned(),
        })
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn next_line(&mut self) -> Result<Option<LedgerLine>> {
        self.read().map_err(Error::io("read", &self.path))
    }

    fn read(&mut self) -> io::Result<Option<LedgerLine>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.lines).take(LONGEST_LINE as u64 + 1);
        bounded.read_until(b'\n', &mut line)?;
        Ok(match line.pop() {
            None => None,
            Some(b'\n') => Some(match String::from_utf8(line) {
                Ok(text) => LedgerLine::Whole(text),
                Err(_) => LedgerLine::NoText,
            }),
            Some(_) if line.len() < LONGEST_LINE => Some(LedgerLine::Cut),
            Some(_) => {
                self.skip_line()?;
                Some(LedgerLine::TooLong)
            }
        })
    }

    /// Skips what is left of a line.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let block = self.lines.fill_buf()?;
            let end = block.iter().position(|&byte| byte == b'\n');
            let (length, done) = (block.len(), end.is_some() || block.is_empty());
            self.lines.consume(end.map_or(length, |end| end + 1));
            if done {
                return Ok(());
            }
        }
    }
}

/// A ledger to which links are added.
#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
    signer: Option<Arc<LedgerSigner>>,
}

impl Ledger {
    /// The ledger at `path`, which need not exist yet. What is added is signed by `signer`, if there is one.
    pub fn new(path: &Path, signer: Option<Arc<LedgerSigner>>) -> Ledger {
        Ledger {
            path: path.to_owned(),
            signer,
        }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds links. The file is locked meanwhile, so that processes and machines that share it add theirs one after the other.
    ///
    /// # Errors
    /// If its last line is damaged or cut off, or it can't be written; then it stays as it was.
    pub fn append(&self, records: &[LedgerRecord]) -> Result<()> {
        let path = &self.path;
        if path.exists() {
            super::check_file(path, "a ledger")?;
        }
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(Error::io("write", path))?;
        file.lock().map_err(Error::io("lock", path))?;
        let mut before = self.last(&mut file)?;
        let mut text = String::new();
        for record in records {
            let link = LedgerLink::new(&before, record, self.signer.as_deref())?;
            let line = serde_json::to_string(&link).map_err(unwritable)?;
            if line.len() >= LONGEST_LINE {
                return Err(Error::Config(format!(
                    "a link of the kind {} is too long for {}: {} bytes, and {LONGEST_LINE} is the limit",
                    link.kind,
                    path.display(),
                    line.len()
                )));
            }
            text.push_str(&line);
            text.push('\n');
            before = (link.link, link.hash);
        }
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let written = file.write_all(text.as_bytes());
        if written.is_err() {
            // On a full disk, a part of a line may be there now.
            let _ = file.set_len(length);
        }
        written.map_err(Error::io("write", path))
    }

    /// Brings what was added to the disk.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn sync(&self) -> Result<()> {
        let file = File::options().append(true).open(&self.path);
        let synced = file.and_then(|file| file.sync_data());
        synced.map_err(Error::io("write", &self.path))
    }

    /// Cuts an incomplete last line off, as a process leaves one that was killed, and returns the number of its bytes.
    ///
    /// # Errors
    /// If the last line is too long to be one, or the file can't be written.
    pub fn repair(&self) -> Result<u64> {
        let path = &self.path;
        if !path.exists() {
            return Ok(0);
        }
        super::check_file(path, "a ledger")?;
        let cut = || -> io::Result<Option<u64>> {
            let mut file = File::options().read(true).write(true).open(path)?;
            file.lock()?;
            let length = file.metadata()?.len();
            let most = length.min(LONGEST_LINE as u64);
            let end = tail(&mut file, most)?;
            let complete = end.iter().rposition(|&byte| byte == b'\n');
            let kept = match complete {
                Some(at) => length - most + at as u64 + 1,
                None if length < LONGEST_LINE as u64 => 0,
                None => return Ok(None),
            };
            if kept < length {
                file.set_len(kept)?;
                file.sync_data()?;
            }
            Ok(Some(length - kept))
        };
        let cut = cut().map_err(Error::io("repair", path))?;
        cut.ok_or_else(|| self.damaged("it is too long to be one"))
    }

    /// Number and hash of the last link.
    fn last(&self, file: &mut File) -> Result<(u64, String)> {
        let mut most = FIRST_READ;
        loop {
            let end = tail(file, most).map_err(Error::io("read", &self.path))?;
            let whole = (end.len() as u64) < most;
            let Some((last, lines)) = end.split_last() else {
                return Ok((0, NO_PARENT.to_string()));
            };
            if *last != b'\n' {
                return Err(Error::Config(format!(
                    "the last line of {} is cut off, as a process leaves it that was killed: remove that line, or resume the run whose \
                     ledger it is",
                    self.path.display()
                )));
            }
            let before = lines.iter().rposition(|&byte| byte == b'\n');
            let line = match before {
                Some(at) => &lines[at + 1..],
                None if whole => lines,
                None if most <= LONGEST_LINE as u64 => {
                    most *= 2;
                    continue;
                }
                None => return Err(self.damaged("it is too long to be one")),
            };
            let line = std::str::from_utf8(line).map_err(|_| self.damaged("it is no text"))?;
            let link = LedgerLink::parse(line).map_err(|why| self.damaged(&why))?;
            link.check().map_err(|why| self.damaged(&why))?;
            return Ok((link.link, link.hash));
        }
    }

    fn damaged(&self, why: &str) -> Error {
        Error::Config(format!(
            "the last line of {} is damaged, so that nothing can be added ({why}); restore the file, or move it away to begin a new one",
            self.path.display()
        ))
    }
}

/// The last bytes of `file`, `most` at most.
fn tail(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut end = Vec::new();
    file.take(most).read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provenance::EndRecord;

    fn end(step: u64) -> LedgerRecord {
        LedgerRecord::End(EndRecord {
            step,
            links: 0,
            root: String::new(),
        })
    }

    fn lines(path: &Path) -> Vec<LedgerLine> {
        let mut reader = LedgerReader::open(path).unwrap();
        std::iter::from_fn(|| reader.next_line().unwrap()).collect()
    }

    #[test]
    fn each_link_holds_the_hash_of_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(&dir.path().join("a.jsonl"), None);
        ledger.append(&[end(1), end(2)]).unwrap();
        ledger.append(&[end(3)]).unwrap();
        ledger.sync().unwrap();
        let text = std::fs::read_to_string(ledger.path()).unwrap();
        let mut parent = NO_PARENT.to_string();
        for (number, line) in (1..).zip(text.lines()) {
            let link = LedgerLink::parse(line).unwrap();
            link.check().unwrap();
            assert_eq!((link.link, &link.parent), (number, &parent));
            // The rule as the module says it.
            let (hashed, _) = line.split_once(",\"hash\":").unwrap();
            assert_eq!(link.hash, sha256_digits(format!("{hashed}}}").as_bytes()));
            assert_eq!(link.record(), Ok(Some(end(number))));
            parent = link.hash;
        }
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_line_that_is_cut_off_is_repaired_and_one_that_is_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(&dir.path().join("a.jsonl"), None);
        assert_eq!(ledger.repair().unwrap(), 0);
        ledger.append(&[end(1), end(2)]).unwrap();
        assert_eq!(ledger.repair().unwrap(), 0);
        let text = std::fs::read_to_string(ledger.path()).unwrap();
        for cut in 1..text.len() {
            std::fs::write(ledger.path(), &text[..cut]).unwrap();
            let complete = text[..cut].rfind('\n').map_or(0, |at| at + 1);
            if cut > complete {
                let message = ledger.append(&[end(3)]).unwrap_err().to_string();
                assert!(message.contains("is cut off"), "{message}");
                assert_eq!(lines(ledger.path()).last(), Some(&LedgerLine::Cut));
            }
            assert_eq!(ledger.repair().unwrap(), (cut - complete) as u64);
            ledger.append(&[end(3)]).unwrap();
        }
        std::fs::write(ledger.path(), text.replace("\"step\":2", "\"step\":3")).unwrap();
        assert_eq!(ledger.repair().unwrap(), 0);
        let message = ledger.append(&[end(3)]).unwrap_err().to_string();
        assert!(message.contains("does not have its hash"), "{message}");
    }

    #[test]
    fn long_lines_and_bytes_that_are_no_text_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let long = "x".repeat(LONGEST_LINE);
        let much = "x".repeat(3 * LONGEST_LINE);
        let bytes = [
            long.as_bytes(),
            b"\n",
            much.as_bytes(),
            b"\n\xff\na\n",
            &[b'y'; 9],
        ]
        .concat();
        std::fs::write(&path, bytes).unwrap();
        let found = lines(&path);
        assert_eq!(found[0], LedgerLine::Whole(long));
        let rest = [
            LedgerLine::TooLong,
            LedgerLine::NoText,
            LedgerLine::Whole("a".to_string()),
            LedgerLine::Cut,
        ];
        assert_eq!(found[1..], rest);
        std::fs::write(&path, &much).unwrap();
        assert_eq!(lines(&path), [LedgerLine::TooLong]);
        let ledger = Ledger::new(&path, None);
        assert!(
            ledger
                .repair()
                .unwrap_err()
                .to_string()
                .contains("too long")
        );
        std::fs::write(&path, format!("{much}\n")).unwrap();
        let message = ledger.append(&[end(1)]).unwrap_err().to_string();
        assert!(message.contains("too long"), "{message}");
    }

    #[test]
    fn several_that_share_a_file_add_to_one_chain() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let add = |step| {
            let ledger = Ledger::new(&path, None);
            for _ in 0..20 {
                ledger.append(&[end(step)]).unwrap();
            }
        };
        std::thread::scope(|scope| {
            for party in 0..4 {
                scope.spawn(move || add(party));
            }
        });
        let mut parent = NO_PARENT.to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let link = LedgerLink::parse(line).unwrap();
            assert_eq!(link.parent, parent);
            parent = link.hash;
        }
        assert_eq!(text.lines().count(), 80);
    }
}
