//! The page of a report in Markdown, a section for `docs/performance.md`.

use serde_json::Value;

/// Precisions of PyTorch in the order of the columns: name in the report, and title.
const PRECISIONS: [(&str, &str); 4] = [
    ("float32", "PyTorch"),
    ("tf32", "PyTorch TF32"),
    ("float16", "PyTorch f16"),
    ("bfloat16", "PyTorch bf16"),
];

/// The page of the report that `Measured::json` gives.
pub(super) fn page(report: &Value) -> String {
    let ceilings = &report["ceilings"];
    let adapter = [&ceilings["adapter"], &report["adapters"][0]["name"]];
    let adapter = adapter.iter().find_map(|name| name.as_str());
    let mut page = format!("## {}\n\n", cell(adapter.unwrap_or("No adapter")));
    for line in facts(report) {
        page += &wrapped(&line);
    }
    page += &training(&report["training"]);
    page += &workloads(report);
    page += &steps(&report["steps"]);
    page
}

/// The items of the list at the top.
fn facts(report: &Value) -> Vec<String> {
    let (machine, ceilings) = (&report["machine"], &report["ceilings"]);
    let mut facts = Vec::new();
    let first = &report["adapters"][0];
    facts.push(format!(
        "{}, {} processor cores; {}, driver {}; {}.",
        text(&machine["system"]),
        machine["cores"],
        text(&first["backend"]),
        text(&first["driver_info"]),
        text(&machine["wgrad"]),
    ));
    let rates = &ceilings["ceilings"];
    if let (Some(gflops), Some(bandwidth)) = (rates["gflops"].as_f64(), rates["gb_per_s"].as_f64())
    {
        facts.push(format!(
            "Ceilings, measured in the same run: {} GFLOP/s of multiply-adds, {} GB/s.",
            grouped(gflops),
            grouped(bandwidth)
        ));
    }
    facts.extend(check(&report["check"]));
    facts.extend(tuning(&report["tuning"]));
    let memory = &report["memory"]["host_peak_kib"];
    if let Some(kib) = memory.as_f64() {
        facts.push(format!(
            "Largest resident memory of a training run: {} MiB.",
            grouped(kib / 1024.0)
        ));
    }
    for fault in list(&report["self_test"]["known_faults"]) {
        facts.push(format!("Known fault of the driver: {}.", text(fault)));
    }
    facts
}

fn check(check: &Value) -> Vec<String> {
    let (rows, cases) = (check["rows"].as_u64().unwrap_or(0), &check["cases"]);
    let (failed, broken) = (list(&check["failed"]), list(&check["broken_parts"]));
    let verdict = match (failed.len(), rows) {
        (_, 0) => "nothing was checked".to_string(),
        (0, _) => "all rows are right".to_string(),
        (n, _) => format!("{n} of {rows} rows failed"),
    };
    let mut facts = vec![format!(
        "`wgrad check`: {verdict}; {rows} rows, {cases} cases."
    )];
    facts.extend(failed.iter().map(|row| {
        let failure = text(&row["failure"]);
        format!(
            "`{}` {} {}: {failure}",
            text(&row["op"]),
            text(&row["pass"]),
            text(&row["variant"])
        )
    }));
    facts.extend(broken.iter().map(|part| {
        format!(
            "part {} ended with code {}: {}",
            text(&part["part"]),
            part["exit"],
            text(&part["message"])
        )
    }));
    facts
}

fn tuning(lines: &Value) -> Option<String> {
    let lines = list(lines);
    let done = lines.iter().find(|line| line["event"] == "done")?;
    let changed = lines
        .iter()
        .filter(|l| l["chosen"].is_string() && l["chosen"] != l["default"]);
    Some(format!(
        "`wgrad tune`: of {} operations {} got another kernel, which saves {} ms in a training and an evaluation step.",
        done["operations"],
        changed.count(),
        number(done["saved_ms"].as_f64())
    ))
}

fn training(runs: &Value) -> String {
    let runs = list(runs);
    if runs.is_empty() {
        return String::new();
    }
    let mut table = String::from(
        "\n| training run | first step, s | whole, s | samples per s | accuracy | GPU memory, MiB |\n|---|---|---|---|---|---|\n",
    );
    for run in runs {
        table += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            text(&run["name"]),
            number(run["seconds_to_first_step"].as_f64()),
            number(run["seconds"].as_f64()),
            run["samples_per_s"].as_f64().map_or(String::new(), grouped),
            run["best_accuracy"]
                .as_f64()
                .map_or(String::new(), |a| format!("{:.2}%", 100.0 * a)),
            run["peak_gpu_bytes"]
                .as_f64()
                .map_or(String::new(), |b| format!("{:.1}", b / f64::from(1 << 20))),
        );
    }
    table
}

/// Kernels and training steps; a column for each precision of PyTorch that was measured.
fn workloads(report: &Value) -> String {
    let rows = list(&report["workloads"]);
    if rows.is_empty() {
        return String::new();
    }
    let measured = |precision: &str| rows.iter().any(|row| row["pytorch"][precision].is_object());
    let columns: Vec<_> = PRECISIONS
        .iter()
        .filter(|(name, _)| measured(name))
        .collect();
    let mixed = rows.iter().any(|row| row["mixed"].is_object());
    let mut table = String::from("\n| workload | wgrad, ms | TFLOP/s | reached |");
    if mixed {
        table += " wgrad mixed, ms | wgrad / mixed |";
    }
    for (_, title) in &columns {
        table += &format!(" {title}, ms | / wgrad |");
    }
    let further = columns.len() + usize::from(mixed);
    table += &format!("\n|{}\n", "---|".repeat(4 + 2 * further));
    for row in rows {
        let ours = &row["wgrad"];
        let ms = ours["median_ms"].as_f64();
        table += &format!(
            "| `{}` | {} | {} | {} |",
            text(&ours["workload"]),
            number(ms),
            number(ours["gflops"].as_f64().map(|g| g / 1e3)),
            ours["percent_of_ceiling"]
                .as_f64()
                .map_or(String::new(), |p| format!("{p:.0}%")),
        );
        if mixed {
            let mixed = row["mixed"]["median_ms"].as_f64();
            let ratio = ms
                .zip(mixed)
                .map(|(ms, mixed)| format!("{:.2}", ms / mixed));
            table += &format!(" {} | {} |", number(mixed), ratio.unwrap_or_default());
        }
        for (precision, _) in &columns {
            let theirs = row["pytorch"][precision]["median_ms"].as_f64();
            let ratio = theirs
                .zip(ms)
                .map(|(theirs, ours)| format!("{:.2}", theirs / ours));
            table += &format!(" {} | {} |", number(theirs), ratio.unwrap_or_default());
        }
        table += "\n";
    }
    table
}

fn steps(steps: &Value) -> String {
    let mut table = String::from("\n| step | outcome | seconds | message |\n|---|---|---|---|\n");
    for step in list(steps) {
        table += &format!(
            "| {} | {} | {} | {} |\n",
            text(&step["name"]),
            text(&step["outcome"]),
            step["seconds"]
                .as_f64()
                .map_or(String::new(), |s| format!("{s:.1}")),
            text(&step["message"]),
        );
    }
    table
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The text of `value` for a cell; empty if it is none.
fn text(value: &Value) -> String {
    cell(value.as_str().unwrap_or(""))
}

/// `text` without what would end a cell or a line.
fn cell(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ").replace('|', "/")
}

/// About three digits.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else {
        return String::new();
    };
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        v if v >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

/// A whole number, its thousands divided by commas.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// An item of a list, broken into lines of less than 120 characters where it has spaces.
fn wrapped(item: &str) -> String {
    const LONGEST: usize = 116;
    let (mut text, mut length) = (String::from("-"), 1);
    for word in item.split_whitespace() {
        let own = word.chars().count();
        if length + 1 + own > LONGEST {
            text += "\n ";
            length = 1;
        }
        text += &format!(" {word}");
        length += 1 + own;
    }
    text + "\n"
}
