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
