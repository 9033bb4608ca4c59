//! The command line.

pub struct Args {
    pub backend: String,
    pub runs: usize,
    /// Parts of the names of the selected workloads; all are selected if there are none.
    pub filters: Vec<String>,
}

impl Args {
    pub fn from_command_line() -> Result<Self, String> {
        let mut args = Args {
            backend: "wgpu".to_string(),
            runs: 9,
            filters: Vec::new(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--backend" => args.backend = value()?,
                "--runs" => {
                    let number = value()?;
                    let runs = number.parse().ok().filter(|&runs| runs > 0);
                    args.runs = runs.ok_or(format!("--runs is a number above 0, not {number}"))?;
                }
                _ if word.starts_with('-') => return Err(format!("there is no option {word}")),
                _ => args.filters.push(word),
            }
        }
        Ok(args)
    }
}
