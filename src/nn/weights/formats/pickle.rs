//! Python's pickles (protocols 0 to 5), read without running anything: classes and functions are names, and what would be a call
//! is kept as a call.
//!
//! The operations are those of Python's `pickletools`.

use std::collections::HashMap;

/// A place among the values of a pickle.
pub type At = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Pickled {
    /// `None`
    None,
    /// A boolean or an integer; integers of over 64 bits are not read.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes, which are not kept.
    Bytes,
    /// A tuple, list or set.
    Sequence(Vec<At>),
    /// A dictionary.
    Map(Vec<(At, At)>),
    /// A class or function: module and name.
    Global(String),
    /// A call of a class or function, or a new object of a class.
    Call {
        /// What is called.
        function: At,
        /// Its arguments.
        arguments: At,
        /// What the object is then told to be, as by `__setstate__`.
        state: Option<At>,
        /// Entries that are then added.
        entries: Vec<(At, At)>,
    },
    /// Something that the pickle names and that is stored elsewhere.
    Persistent(At),
}

/// The values of a pickle.
#[derive(Debug)]
pub struct Pickle {
    values: Vec<Pickled>,
    /// The whole.
    pub root: At,
    /// Bytes that it takes.
    pub length: usize,
}

/// The most values of a pickle: a large network's has some ten thousand.
const MOST_VALUES: usize = 4 << 20;

impl Pickle {
    /// Reads the pickle at the beginning of `bytes`.
    ///
    /// # Errors
    /// Says what is wrong, as the rest of a sentence about the file.
    pub fn read(bytes: &[u8]) -> Result<Pickle, String> {
        let mut reader = Reader {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            if reader.values.len() > MOST_VALUES {
                return Err(format!(
                    "has over {MOST_VALUES} values, which weights do not have"
                ));
            }
            if reader.step()? {
                break;
            }
        }
        let root = reader.pop()?;
        Ok(Pickle {
            values: reader.values,
            root,
            length: reader.at,
        })
    }

    /// The value at `at`.
    pub fn get(&self, at: At) -> &Pickled {
        self.values.get(at).unwrap_or(&Pickled::None)
    }

    /// The text at `at`, if it is one.
    pub fn text(&self, at: At) -> Option<&str> {
        match self.get(at) {
            Pickled::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number at `at`, if it is a count.
    pub fn count(&self, at: At) -> Option<usize> {
        match self.get(at) {
            Pickled::Int(x) => usize::try_from(*x).ok(),
            _ => None,
        }
    }

    /// The elements of the sequence at `at`.
    pub fn sequence(&self, at: At) -> Option<&[At]> {
        match self.get(at) {
            Pickled::Sequence(elements) => Some(elements),
            _ => None,
        }
    }

    /// The counts in the sequence at `at`.
    pub fn counts(&self, at: At) -> Option<Vec<usize>> {
        let elements = self.sequence(at)?.iter();
        elements.map(|&at| self.count(at)).collect()
    }

    /// The name of the class or function at `at`.
    pub fn global(&self, at: At) -> Option<&str> {
        match self.get(at) {
            Pickled::Global(name) => Some(name),
            _ => None,
        }
    }

    /// What the call at `at` calls, and its arguments.
    pub fn call(&self, at: At) -> Option<(&str, &[At])> {
        match self.get(at) {
            Pickled::Call {
                function,
                arguments,
                ..
            } => Some((self.global(*function)?, self.sequence(*arguments)?)),
            _ => None,
        }
    }

    /// The entries of the dictionary at `at`, also of one that is an object.
    pub fn entries(&self, at: At) -> &[(At, At)] {
        match self.get(at) {
            Pickled::Map(entries) | Pickled::Call { entries, .. } => entries,
            _ => &[],
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    values: Vec<Pickled>,
    stack: Vec<At>,
    marks: Vec<usize>,
    memo: HashMap<u64, At>,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    fn take(&mut self, count: u64) -> Read<&[u8]> {
        let end = usize::try_from(count)
            .ok()
            .and_then(|count| self.at.checked_add(count));
        let end = end.filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("is a pickle that is cut short")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A number of `bytes` bytes, lowest first.
    fn number(&mut self, bytes: u64) -> Read<u64> {
        let taken = self.take(bytes)?.iter().rev();
        Ok(taken.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A number of `bytes` bytes with a sign.
    fn signed(&mut self, bytes: u64) -> Read<i64> {
        let unused = 64 - 8 * bytes as u32;
        let number = self.number(bytes)?;
        Ok(match bytes {
            0 => 0,
            _ => (number << unused).cast_signed() >> unused,
        })
    }

    fn line(&mut self) -> Read<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or("is a pickle that is cut short")?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(line)
    }

    fn text(&mut self, length: u64) -> Read<Pickled> {
        let text = self.take(length)?;
        Ok(Pickled::Text(String::from_utf8_lossy(text).into_owned()))
    }

    fn bytes(&mut self, length: u64) -> Read<Pickled> {
        self.take(length)?;
        Ok(Pickled::Bytes)
    }

    fn push(&mut self, value: Pickled) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Read<At> {
        let lowest = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > lowest {
            true => Ok(self.stack.pop().unwrap_or_default()),
            false => Err("is a damaged pickle: a value is missing".to_string()),
        }
    }

    fn top(&self) -> Read<At> {
        let top = self.stack.last().copied();
        top.ok_or_else(|| "is a damaged pickle: a value is missing".to_string())
    }

    fn since_mark(&mut self) -> Read<Vec<At>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        let mark = mark.ok_or("is a damaged pickle: a mark is missing")?;
        Ok(self.stack.split_off(mark))
    }

    fn sequence(&mut self, elements: Vec<At>) {
        self.push(Pickled::Sequence(elements));
    }

    fn last(&mut self, count: usize) -> Read<()> {
        let mut elements = (0..count).map(|_| self.pop()).collect::<Read<Vec<At>>>()?;
        elements.reverse();
        self.sequence(elements);
        Ok(())
    }

    fn extend(&mut self, more: Vec<At>) -> Read<()> {
        let top = self.top()?;
        if let Pickled::Sequence(elements) = &mut self.values[top] {
            elements.extend(more);
        }
        Ok(())
    }

    fn add_entries(&mut self, pairs: &[At]) -> Read<()> {
        let top = self.top()?;
        if let Pickled::Map(entries) | Pickled::Call { entries, .. } = &mut self.values[top] {
            entries.extend(pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        }
        Ok(())
    }

    fn map(&mut self, pairs: &[At]) {
        let entries = pairs.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        self.push(Pickled::Map(entries.collect()));
    }

    fn call(&mut self, function: At, arguments: At) {
        // A dictionary that keeps its order is a dictionary.
        let is_dictionary = matches!(self.values.get(function),
            Some(Pickled::Global(name)) if name == "collections.OrderedDict");
        let made = match is_dictionary {
            true => Pickled::Map(Vec::new()),
            false => Pickled::Call {
                function,
                arguments,
                state: None,
                entries: Vec::new(),
            },
        };
        self.push(made);
    }

    fn remember(&mut self, key: u64) -> Read<()> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Read<()> {
        let known = self.memo.get(&key).copied();
        let known = known.ok_or("is a damaged pickle: it recalls what it did not keep")?;
        self.stack.push(known);
        Ok(())
    }

    /// Does one operation; true after the last.
    fn step(&mut self) -> Read<bool> {
        let operation = self.number(1)? as u8;
        match operation {
            b'.' => return Ok(true),
            0x80 => drop(self.number(1)?),
            0x95 => drop(self.number(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Pickled::None),
            0x88 => self.push(Pickled::Int(1)),
            0x89 => self.push(Pickled::Int(0)),
            b'I' | b'L' => {
                let line = self.line()?;
                let number = line.trim_end_matches('L').trim().parse();
                self.push(number.map_or(Pickled::None, Pickled::Int));
            }
            b'J' => {
                let number = self.signed(4)?;
                self.push(Pickled::Int(number));
            }
            b'K' | b'M' => {
                let number = self.number(if operation == b'K' { 1 } else { 2 })?;
                self.push(Pickled::Int(number.cast_signed()));
            }
            0x8a | 0x8b => {
                let length = self.number(if operation == 0x8a { 1 } else { 4 })?;
                let value = match length {
                    0..=8 => Pickled::Int(self.signed(length)?),
                    _ => {
                        self.take(length)?;
                        Pickled::None
                    }
                };
                self.push(value);
            }
            b'F' => {
                let line = self.line()?;
                self.push(line.trim().parse().map_or(Pickled::None, Pickled::Float));
            }
            b'G' => {
                let bits = self.number(8)?.swap_bytes();
                self.push(Pickled::Float(f64::from_bits(bits)));
            }
            b'S' | b'V' => {
                let line = self.line()?;
                let text = line.trim_matches(['\'', '"']).to_string();
                self.push(Pickled::Text(text));
            }
            b'T' | b'X' | b'U' | 0x8c | 0x8d => {
                let length = self.number(match operation {
                    b'U' | 0x8c => 1,
                    0x8d => 8,
                    _ => 4,
                })?;
                let text = self.text(length)?;
                self.push(text);
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = self.number(match operation {
                    b'C' => 1,
                    b'B' => 4,
                    _ => 8,
                })?;
                let bytes = self.bytes(length)?;
                self.push(bytes);
            }
            b')' | b']' | 0x8f => self.sequence(Vec::new()),
            b't' | b'l' | 0x91 => {
                let elements = self.since_mark()?;
                self.sequence(elements);
            }
            0x85..=0x87 => self.last(usize::from(operation - 0x84))?,
            b'a' => {
                let element = self.pop()?;
                self.extend(vec![element])?;
            }
            b'e' | 0x90 => {
                let elements = self.since_mark()?;
                self.extend(elements)?;
            }
            b'}' => self.map(&[]),
            b'd' => {
                let pairs = self.since_mark()?;
                self.map(&pairs);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.add_entries(&[key, value])?;
            }
            b'u' => {
                let pairs = self.since_mark()?;
                self.add_entries(&pairs)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Pickled::Global(format!("{module}.{name}")));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |at: At| match self.values.get(at) {
                    Some(Pickled::Text(text)) => text.as_str(),
                    _ => "?",
                };
                let name = format!("{}.{}", text(module), text(name));
                self.push(Pickled::Global(name));
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments);
            }
            0x92 => {
                let (_, arguments, function) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(function, arguments);
            }
            b'i' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                let arguments = self.since_mark()?;
                self.push(Pickled::Global(name));
                let function = self.pop()?;
                self.sequence(arguments);
                let arguments = self.pop()?;
                self.call(function, arguments);
            }
            b'o' => {
                let mut elements = self.since_mark()?.into_iter();
                let function = elements.next();
                let function = function.ok_or("is a damaged pickle: a class is missing")?;
                self.sequence(elements.collect());
                let arguments = self.pop()?;
                self.call(function, arguments);
            }
            b'b' => {
                let told = self.pop()?;
                let top = self.top()?;
                if let Pickled::Call { state, .. } = &mut self.values[top] {
                    *state = Some(told);
                }
            }
            b'p' | b'g' => {
                let key = self.line()?.trim().parse();
                let key = key.map_err(|_| "is a damaged pickle: a key is no number")?;
                match operation {
                    b'p' => self.remember(key)?,
                    _ => self.recall(key)?,
                }
            }
            b'q' | b'r' => {
                let key = self.number(if operation == b'q' { 1 } else { 4 })?;
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' | b'j' => {
                let key = self.number(if operation == b'h' { 1 } else { 4 })?;
                self.recall(key)?;
            }
            b'P' => {
                let line = self.line()?;
                self.push(Pickled::Text(line));
                let named = self.pop()?;
                self.push(Pickled::Persistent(named));
            }
            b'Q' => {
                let named = self.pop()?;
                self.push(Pickled::Persistent(named));
            }
            other => {
                return Err(format!(
                    "is a damaged pickle: it has no operation {other:#04x}"
                ));
            }
        }
        Ok(false)
    }
}
