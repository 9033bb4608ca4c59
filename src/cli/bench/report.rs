//! `wgrad bench --report`: what `scripts/gpu-report.sh` measured, as one JSON file and one page of Markdown.

mod markdown;

use crate::cli::{OverwriteArg, print_line};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use wgrad::Error;
use wgrad::files::write_whole;

/// The file that the script writes: JSON lines of all steps, each step between a line `begin` and a line `end`.
const MEASURED: &str = "report.jsonl";
/// Size limit of that file, which has some hundred KiB.
const LARGEST_BYTES: u64 = 64 << 20;

/// Writes `report.json` and `report.md` into `folder`.
pub(super) fn write(folder: &Path, overwrite: OverwriteArg) -> anyhow::Result<()> {
    let path = folder.join(MEASURED);
    let outputs = [folder.join("report.json"), folder.join("report.md")];
    for output in &outputs {
        overwrite.check(output)?;
    }
    let refuse = |what: &str| {
        let path = path.display();
        Error::Data(format!(
            "{path} {what}; --report needs the folder that scripts/gpu-report.sh wrote"
        ))
    };
    let size = fs::metadata(&path).map_err(Error::io("read", &path))?.len();
    if size > LARGEST_BYTES {
        return Err(refuse(&format!("is {} MiB long", size >> 20)).into());
    }
    let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
    let measured = Measured::parse(&String::from_utf8_lossy(&bytes));
    if measured.steps.is_empty() {
        return Err(refuse("holds no step").into());
    }
    let report = measured.json();
    write_whole(&outputs[0], format!("{report:#}\n").as_bytes())?;
    write_whole(&outputs[1], markdown::page(&report).as_bytes())?;
    for output in &outputs {
        print_line(output.display())?;
    }
    Ok(())
}

/// A step of the script.
#[derive(Default)]
struct Step {
    name: String,
    command: Value,
    /// Its last line; `None` if the script was stopped within the step.
    end: Option<Value>,
    /// What it printed.
    lines: Vec<Value>,
}

impl Step {
    /// How it ended, in a word.
    fn outcome(&self) -> &'static str {
        match self.end.as_ref().map(|end| end["exit"].as_i64()) {
            None => "not finished",
            Some(None) => "left out",
            Some(Some(0)) => "ok",
            Some(Some(124 | 137)) => "out of time",
            Some(Some(_)) => "failed",
        }
    }
}

/// The content of the file.
#[derive(Default)]
struct Measured {
    machine: Value,
    steps: Vec<Step>,
    /// Lines that are not JSON, such as one that was being written when the script was stopped.
    damaged: usize,
}

impl Measured {
    fn parse(text: &str) -> Measured {
        let mut measured = Measured::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let Ok(value) = serde_json::from_str::<Value>(line) else {
                measured.damaged += 1;
                continue;
            };
            if value["machine"].is_object() {
                measured.machine = value["machine"].clone();
            } else if let Some(name) = value["begin"].as_str() {
                measured.steps.push(Step {
                    name: name.to_string(),
                    command: value["command"].clone(),
                    ..Step::default()
                });
            } else if let Some(step) = measured.steps.last_mut() {
                if value["end"].is_string() {
                    step.end = Some(value);
                } else {
                    step.lines.push(value);
                }
            }
        }
        measured
    }

    /// The lines of the steps whose name begins with `name`.
    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        let steps = self.steps.iter().filter(move |s| s.name.starts_with(name));
        steps.flat_map(|step| &step.lines)
    }

    /// The report: everything by subject.
    fn json(&self) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                let end = step.end.as_ref();
                json!({
                    "name": step.name,
                    "command": step.command,
                    "outcome": step.outcome(),
                    "exit": end.map(|e| e["exit"].clone()),
                    "seconds": end.map(|e| e["seconds"].clone()),
                    "message": end.map(|e| e["message"].clone()),
                })
            })
            .collect();
        let ceilings = self
            .lines("bench")
            .find(|line| line["ceilings"].is_object());
        json!({
            "machine": self.machine,
            "adapters": self.lines("devices").collect::<Vec<_>>(),
            "self_test": self.lines("doctor").next(),
            "check": self.check(),
            "ceilings": ceilings,
            "workloads": self.workloads(),
            "decoding": self.lines("bench").find(|line| line["device_waited"].is_f64()),
            "training": self.training(),
            "tuning": self.lines("tune").collect::<Vec<_>>(),
            "memory": self.lines("memory").next(),
            "steps": steps,
            "damaged_lines": self.damaged,
        })
    }

    /// Rows and cases of `wgrad check`, with the rows and the parts that failed.
    fn check(&self) -> Value {
        let rows: Vec<&Value> = self
            .lines("check")
            .filter(|l| l["op"].is_string())
            .collect();
        let failed: Vec<_> = rows.iter().filter(|row| row["ok"] != true).collect();
        let broken: Vec<_> = self
            .lines("check")
            .filter(|l| l["part"].is_string())
            .collect();
        json!({
            "rows": rows.len(),
            "cases": rows.iter().filter_map(|row| row["cases"].as_u64()).sum::<u64>(),
            "failed": failed,
            "broken_parts": broken,
        })
    }

    /// The measurements of each workload: wgrad's record, that in mixed precision, and PyTorch's by precision.
    fn workloads(&self) -> Vec<Value> {
        let in_precision = |name: &'static str| {
            let records = self.lines("bench").filter(|l| l["median_ms"].is_f64());
            records.filter(move |l| l["precision"].as_str().unwrap_or("float32") == name)
        };
        in_precision("float32")
            .map(|record| {
                let mut peers = Map::new();
                let of_same = |line: &&Value| line["workload"] == record["workload"];
                for line in self.lines("pytorch").filter(of_same) {
                    let precision = line["precision"].as_str().unwrap_or("float32");
                    peers.insert(precision.to_string(), line.clone());
                }
                let mixed = in_precision("mixed").find(of_same);
                json!({ "wgrad": record, "mixed": mixed, "pytorch": peers })
            })
            .collect()
    }

    /// The last lines of the training runs, with their names and the rates of their last epochs.
    fn training(&self) -> Vec<Value> {
        let runs = self.steps.iter().filter(|s| s.name.starts_with("train"));
        runs.filter_map(|step| {
            let event = |name: &str| step.lines.iter().rfind(|line| line["event"] == name);
            let mut done = event("done")?.clone();
            done["name"] = json!(step.name);
            done["samples_per_s"] = json!(event("epoch").map(|epoch| &epoch["samples_per_s"]));
            Some(done)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOPPED: &str = r#"{"machine":{"system":"Linux x86_64","cores":16,"wgrad":"wgrad 0.1.0","mode":"full"}}
{"begin":"devices","command":"wgrad devices --json"}
{"number":0,"name":"A | B","backend":"Vulkan","driver_info":"1.2"}
{"end":"devices","exit":0,"seconds":0.1,"message":""}
{"begin":"check","command":"wgrad check --part 1/2"}
{"op":"add","pass":"forward","variant":"","cases":12,"ok":true}
{"op":"mul","pass":"forward","variant":"fast","cases":3,"ok":false,"failure":"1 instead of 2"}
{"part":"2/2","exit":139,"message":"crashed"}
{"end":"check","exit":1,"seconds":3.0,"message":""}
{"begin":"train cold","command":"wgrad train"}
{"event":"epoch","samples_per_s":1000.0}
{"event":"done","seconds":2.0,"seconds_to_first_step":0.5,"best_accuracy":0.99,"peak_gpu_bytes":1048576}
{"end":"train cold","exit":0,"seconds":2.1,"message":""}
{"begin":"bench","command":"wgrad bench --json"}
{"ceilings":{"gflops":1000.0,"gb_per_s":100.0},"adapter":"A | B","driver":"1.2"}
{"workload":"matmul_8","median_ms":2.0,"gflops":500.0,"percent_of_ceiling":50.0}
{"end":"bench","exit":124,"seconds":60.0,"message":""}
{"begin":"pytorch float32","command":"python3 torch_bench.py"}
{"peer":"PyTorch 2","workload":"matmul_8","precision":"float32","median_ms":3.0}
{"end":"pytorch float32","exit":0,"seconds":9.0,"message":""}
{"begin":"pytorch tf32","command":"python3 torch_bench.py"}
{"peer":"PyTorch 2","workl"#;

    #[test]
    fn a_report_of_a_script_that_was_stopped_holds_what_was_measured() {
        let report = Measured::parse(STOPPED).json();
        assert_eq!(report["damaged_lines"], 1);
        assert_eq!(report["check"]["rows"], 2);
        assert_eq!(report["check"]["cases"], 15);
        assert_eq!(report["check"]["failed"][0]["op"], "mul");
        assert_eq!(report["check"]["broken_parts"][0]["part"], "2/2");
        assert_eq!(report["training"][0]["samples_per_s"], 1000.0);
        let workload = &report["workloads"][0];
        assert_eq!(workload["wgrad"]["gflops"], 500.0);
        assert_eq!(workload["pytorch"]["float32"]["median_ms"], 3.0);
        let outcomes: Vec<_> = report["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| &s["outcome"])
            .collect();
        assert_eq!(
            outcomes,
            ["ok", "failed", "ok", "out of time", "ok", "not finished"]
        );
    }

    #[test]
    fn the_page_has_tables_whose_rows_are_whole_and_lines_that_fit() {
        let page = markdown::page(&Measured::parse(STOPPED).json());
        for part in [
            "## A / B",
            "1,000 GFLOP/s",
            "1 of 2 rows failed",
            "`mul` forward fast: 1 instead of 2",
            "part 2/2 ended with code 139: crashed",
            "| `matmul_8` | 2.00 | 0.500 | 50% | 3.00 | 1.50 |",
            "| train cold | 0.500 | 2.00 | 1,000 | 99.00% | 1.0 |",
            "| pytorch tf32 | not finished |",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        for line in page.lines() {
            assert!(line.starts_with('|') || line.len() < 120, "{line}");
        }
    }

    #[test]
    fn steps_without_results_make_a_page_too() {
        let report =
            Measured::parse("{\"begin\":\"devices\",\"command\":\"wgrad devices\"}\n").json();
        assert!(markdown::page(&report).contains("| devices | not finished |"));
    }
}
