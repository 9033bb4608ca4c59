//! Faults planted in translated kernels, as a broken driver would make: instructions of SPIR-V modules are changed on their way to
//! the driver. `PLANT=OPCODE:N:CHANGE` changes the N-th instruction (from 0) of an opcode in each module that has as many, or with `@V`
//! for N the constants that are V.

/// A change of an instruction, whose words are counted from its opcode, word 0.
#[derive(Clone, Copy)]
enum Change {
    /// `nop`: leaves the instruction out. It must have no result.
    LeaveOut,
    /// `opcode=C`: another opcode with the same operands.
    Opcode(u32),
    /// `add=I,D`: adds D to word I.
    Add(usize, i32),
    /// `swap=I,J`: swaps words I and J.
    Swap(usize, usize),
}

/// Which of the instructions of an opcode.
enum Which {
    Number(usize),
    /// Those whose word 3, the value of a constant, is this.
    Value(u32),
}

/// A fault: which instructions are changed, and how.
struct Planted {
    opcode: u32,
    which: Which,
    change: Change,
}

impl Planted {
    /// The fault that the environment asks for.
    fn asked_for() -> Option<Planted> {
        let text = std::env::var("PLANT").ok()?;
        let [opcode, number, change] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
        let two = |text: &str| -> Option<(usize, i32)> {
            let (a, b) = text.split_once(',')?;
            Some((a.parse().ok()?, b.parse().ok()?))
        };
        let change = match change.split_once('=') {
            None => Change::LeaveOut,
            Some(("opcode", opcode)) => Change::Opcode(opcode.parse().ok()?),
            Some(("add", operands)) => {
                let (word, difference) = two(operands)?;
                Change::Add(word, difference)
            }
            Some((_, operands)) => {
                let (word, other) = two(operands)?;
                Change::Swap(word, other as usize)
            }
        };
        Some(Planted {
            opcode: opcode.parse().ok()?,
            which: match number.strip_prefix('@') {
                Some(value) => Which::Value(value.parse().ok()?),
                None => Which::Number(number.parse().ok()?),
            },
            change,
        })
    }

    fn apply(&self, instruction: &mut [u32]) {
        match self.change {
            Change::LeaveOut => instruction.fill(NOP),
            Change::Opcode(opcode) => instruction[0] = instruction[0] & 0xffff_0000 | opcode,
            Change::Add(word, difference) => {
                instruction[word] = instruction[word].wrapping_add_signed(difference);
            }
            Change::Swap(word, other) => instruction.swap(word, other),
        }
    }
}

/// `OpNop`, one word.
const NOP: u32 = 1 << 16;
/// Words before the first instruction.
const HEADER: usize = 5;

/// The module `words` with the fault that the environment asks for, which is said on standard error where the module has such an
/// instruction; `None` if it asks for none.
pub fn planted(words: &[u32]) -> Option<Vec<u32>> {
    let fault = Planted::asked_for()?;
    let mut words = words.to_vec();
    let (mut at, mut seen) = (HEADER, 0);
    while at < words.len() {
        let (length, opcode) = ((words[at] >> 16) as usize, words[at] & 0xffff);
        if opcode == fault.opcode {
            let is_meant = match fault.which {
                Which::Number(number) => number == seen,
                Which::Value(value) => words[at..at + length].get(3) == Some(&value),
            };
            if is_meant {
                fault.apply(&mut words[at..at + length]);
                eprintln!("planted");
            }
            seen += 1;
        }
        at += length;
    }
    Some(words)
}
