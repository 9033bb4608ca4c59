//! Output of `wgrad bench` for good and bad arguments, and the files that it writes.

use super::sandbox::Sandbox;

const WORKLOAD: &str = "softmax_cross_entropy_128x10";

/// A line of `wgrad bench --json` in which [`WORKLOAD`] takes an hour.
const HOUR: &str = r#"{"workload":"softmax_cross_entropy_128x10","adapter":"an abacus","median_ms":3.6e6,"min_ms":3.5e6,"max_ms":3.7e6,"q1_ms":3.5e6,"q3_ms":3.7e6,"runs":3,"flops":0,"bytes":20000,"gflops":null,"gb_per_s":0.0,"attainable_gflops":null,"ceiling_ms":0.001,"percent_of_ceiling":0.0,"bound":"memory"}"#;

#[test]
fn a_baseline_that_is_none_is_answered_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    sandbox.write("cut.json", format!("{HOUR}\n{}", &HOUR[..100]));
    sandbox.write("other.json", "{\"event\":\"epoch\",\"loss\":0.3}\n");
    sandbox.write("empty.json", "");
    sandbox.write("bytes.json", [0xff, 0xfe, 0x00]);
    for (file, said) in [
        ("nowhere.json", "cannot read nowhere.json"),
        ("cut.json", "cut.json is truncated in line 2"),
        ("other.json", "no measurement of a workload in line 1"),
        ("empty.json", "empty.json holds no measurement"),
        ("bytes.json", "bytes.json is not text"),
    ] {
        let output = sandbox.wgrad(&format!("bench --baseline {file} --adapter nosuch"));
        output.fails(1, &[said]);
    }
}

#[test]
fn files_that_can_not_be_written_are_answered_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("folder.svg")).unwrap();
    for (args, code, said) in [
        ("--roofline r.png", 2, "r.png must end in .svg"),
        ("--trace trace", 2, "trace must end in .json"),
        ("--roofline folder.svg", 2, "folder.svg is a folder"),
        ("--trace none/t.json", 1, "cannot write none/t.json"),
        ("--runs 0", 2, "--runs must be at least 1"),
        ("nosuch", 2, "no workload named nosuch"),
    ] {
        let output = sandbox.wgrad(&format!("bench {args} --adapter nosuch"));
        output.fails(code, &[said]);
    }
}

#[test]
fn a_measurement_comes_with_ceilings_changes_a_picture_and_a_timeline() {
    let sandbox = Sandbox::new();
    if !sandbox.has_adapter() {
        return;
    }
    sandbox.write("old.json", format!("{HOUR}\n"));
    let files = "--baseline old.json --roofline r.svg --trace t.json";
    let output = sandbox.wgrad(&format!(
        "bench {WORKLOAD} --runs 3 --launches --json {files}"
    ));
    let lines = output.succeeds().json();
    let (ceilings, record) = (&lines[0], &lines[lines.len() - 1]);
    let roof = &ceilings["ceilings"];
    assert!(roof["gflops"].as_f64().unwrap() > 0.0);
    for bandwidth in roof["bandwidths"].as_array().unwrap() {
        assert!(bandwidth["gb_per_s"].as_f64() <= roof["gb_per_s"].as_f64());
    }
    assert_eq!(record["workload"], WORKLOAD);
    let ms = |key: &str| record[key].as_f64().unwrap();
    let order = ["min_ms", "q1_ms", "median_ms", "q3_ms", "max_ms"].map(ms);
    assert!(order.is_sorted() && order[0] > 0.0, "{order:?}");
    let percent = 100.0 * ms("ceiling_ms") / ms("median_ms");
    assert!((ms("percent_of_ceiling") - percent).abs() < 1e-9);
    let change = &record["baseline"];
    assert!(change["speedup"].as_f64().unwrap() > 1.0);
    assert_eq!(change["beyond_spread"], true);
    assert_eq!(change["other_adapter"], true);
    let launches = &lines[1..lines.len() - 1];
    for (index, launch) in launches.iter().enumerate() {
        assert_eq!(launch["step"], index);
        assert_eq!(launch["clock"], ceilings["launch_clock"]);
    }
    let picture = std::fs::read_to_string(sandbox.path("r.svg")).unwrap();
    assert!(picture.contains(WORKLOAD));
    let trace = std::fs::read(sandbox.path("t.json")).unwrap();
    let trace: serde_json::Value = serde_json::from_slice(&trace).unwrap();
    let events = trace["traceEvents"].as_array().unwrap().iter();
    let spans = events.filter(|event| event["ph"] == "X");
    assert_eq!(spans.count(), launches.len());

    // Its output is a baseline for the next run, which prints a table of changes.
    sandbox.write("new.json", format!("{ceilings}\n{record}\n"));
    let output = sandbox.wgrad(&format!("bench {WORKLOAD} --runs 3 --baseline new.json"));
    let output = output.succeeds();
    let (_, changes) = output.out.split_once("against the baseline").unwrap();
    assert!(changes.contains(WORKLOAD), "{}", output.out);
    assert!(!changes.contains("not in the baseline"), "{}", output.out);
}

#[test]
fn a_folder_without_a_report_is_answered_and_a_report_is_not_replaced() {
    let sandbox = Sandbox::new();
    let output = sandbox.wgrad("bench --report .");
    output.fails(1, &["cannot read ./report.jsonl"]);
    sandbox.write("report.jsonl", "no JSON\n");
    let output = sandbox.wgrad("bench --report .");
    output.fails(1, &["holds no step", "scripts/gpu-report.sh"]);
    sandbox.write(
        "report.jsonl",
        "{\"begin\":\"bench\",\"command\":\"wgrad\"}\n",
    );
    sandbox.wgrad("bench --report .").succeeds();
    let output = sandbox.wgrad("bench --report .");
    output.fails(2, &["report.json already exists", "--overwrite"]);
}

/// The script with the options `args`, in the sandbox.
fn gpu_report(sandbox: &Sandbox, args: &[&str]) -> std::process::Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/gpu-report.sh");
    let mut command = std::process::Command::new("bash");
    command
        .arg(script)
        .args(args)
        .arg(env!("CARGO_BIN_EXE_wgrad"));
    command.current_dir(sandbox.path(".")).output().unwrap()
}

#[test]
fn the_script_that_measures_a_gpu_refuses_options_that_it_does_not_have() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("old")).unwrap();
    sandbox.write("old/report.jsonl", "");
    for (args, said) in [
        (["--fast"].as_slice(), "error: there is no option --fast"),
        (&["--seconds", "soon"], "whole numbers above 0, not soon"),
        (&["--jobs", "0"], "whole numbers above 0, not 0"),
        (&["--out", "old"], "old holds a report already"),
    ] {
        let output = gpu_report(&sandbox, args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {err}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
}

#[test]
fn the_script_that_measures_a_gpu_writes_a_report_step_by_step() {
    let sandbox = Sandbox::new();
    if !sandbox.has_adapter() {
        return;
    }
    let output = gpu_report(&sandbox, &["--quick", "--out", "r"]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    let text = std::fs::read_to_string(sandbox.path("r/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    for step in report["steps"].as_array().unwrap() {
        assert_eq!(step["outcome"], "ok", "{step}");
    }
    assert_eq!(report["damaged_lines"], 0);
    assert!(report["check"]["rows"].as_u64().unwrap() > 0);
    assert_eq!(report["check"]["failed"].as_array().unwrap().len(), 0);
    assert_eq!(report["workloads"][0]["wgrad"]["workload"], WORKLOAD);
    assert!(report["training"][0]["seconds_to_first_step"].is_f64());
    assert!(report["memory"]["host_peak_kib"].as_u64().unwrap() > 1000);
    let page = std::fs::read_to_string(sandbox.path("r/report.md")).unwrap();
    assert!(page.contains(&format!("| `{WORKLOAD}` |")), "{page}");

    // Without time for them, steps are left out, and the report says so.
    let output = gpu_report(&sandbox, &["--quick", "--out", "s", "--seconds", "1"]);
    assert!(output.status.success());
    let page = std::fs::read_to_string(sandbox.path("s/report.md")).unwrap();
    assert!(page.contains("| bench | left out |"), "{page}");
}
