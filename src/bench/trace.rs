//! A step as a timeline in Chrome's trace event format, for chrome://tracing and Perfetto.

use super::{Clock, Cost, Profile, Roof};
use crate::gpu::Span;
use crate::plan::{Plan, Step};
use serde_json::{Value, json};

/// The timeline of one step of a workload.
#[derive(Clone, Debug)]
pub struct Timeline {
    workload: String,
    clock: Clock,
    events: Vec<Event>,
}

#[derive(Clone, Debug)]
struct Event {
    label: String,
    kernel: String,
    workgroups: Option<u64>,
    span: Span,
    cost: Cost,
}

/// The label of a step of the plan, and its kernel or kind of copy.
pub fn describe(plan: &Plan, step: &Step) -> (String, String) {
    let copied = |value: usize, kind: &str| (plan.values[value].label.clone(), kind.to_string());
    match step {
        Step::Launch(launch) => (launch.label.clone(), launch.shader.name.clone()),
        Step::Copy { to, .. } => copied(to.index(), "buffer copy"),
        Step::Texture(value) => copied(value.index(), "texture copy"),
    }
}

impl Timeline {
    /// The timeline of `plan` as measured in `profile`.
    pub fn new(workload: &str, plan: &Plan, profile: &Profile) -> Timeline {
        let events = plan.steps.iter().zip(&profile.spans).map(|(step, &span)| {
            let (label, kernel) = describe(plan, step);
            let workgroups = match step {
                Step::Launch(launch) => Some(launch.workgroups),
                _ => None,
            };
            Event {
                label,
                kernel,
                workgroups,
                span,
                cost: Cost::of_step(plan, step),
            }
        });
        Timeline {
            workload: workload.to_string(),
            clock: profile.clock,
            events: events.collect(),
        }
    }
}

/// The timelines as one trace, each as a separate process, with the percentage of `roof` that every launch reaches.
/// Times are in microseconds.
pub fn trace(adapter: &str, roof: Roof, timelines: &[Timeline]) -> Value {
    let mut events = Vec::new();
    for (process, timeline) in (1..).zip(timelines) {
        let how = match timeline.clock {
            Clock::Timestamps => "the adapter's timestamps, each launch in a pass of its own",
            Clock::Wall => "wall clock, each launch alone and repeated, placed end to end",
        };
        for (kind, name) in [("process_name", &*timeline.workload), ("thread_name", how)] {
            events.push(json!({
                "name": kind,
                "ph": "M",
                "pid": process,
                "tid": 1,
                "args": { "name": name },
            }));
        }
        for event in &timeline.events {
            let ms = event.span.ms();
            events.push(json!({
                "name": event.label,
                "cat": event.kernel,
                "ph": "X",
                "pid": process,
                "tid": 1,
                "ts": event.span.start_ns / 1e3,
                "dur": ms * 1e3,
                "args": {
                    "kernel": event.kernel,
                    "workgroups": event.workgroups,
                    "flops": event.cost.flops,
                    "bytes": event.cost.bytes,
                    "gflops": event.cost.gflops(ms),
                    "gb_per_s": event.cost.gb_per_s(ms),
                    // The ceilings are rates of kernels; they do not apply to copy commands.
                    "percent_of_ceiling": event.workgroups.map(|_| roof.percent(event.cost, ms)),
                },
            }));
        }
    }
    json!({
        "displayTimeUnit": "ms",
        "otherData": { "adapter": adapter, "gflops": roof.gflops, "gb_per_s": roof.gb_per_s },
        "traceEvents": events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Timing, workloads};
    use crate::plan::Target;

    #[test]
    fn every_launch_is_an_event_with_its_kernel_and_work() {
        let all = workloads();
        let workload = all.iter().find(|w| w.name() == "cnn_train_b32").unwrap();
        let plan = Plan::new(&workload.graph().unwrap(), &Target::lavapipe()).unwrap();
        let span = |at: usize| Span {
            start_ns: 1e6 * at as f64,
            end_ns: 1e6 * (at as f64 + 0.5),
        };
        let profile = Profile {
            whole: Timing::of(vec![1.0]),
            steps: vec![Timing::of(vec![0.5]); plan.steps.len()],
            spans: (0..plan.steps.len()).map(span).collect(),
            clock: Clock::Timestamps,
        };
        let roof = Roof {
            gflops: 100.0,
            gb_per_s: 20.0,
        };
        let timeline = Timeline::new("cnn", &plan, &profile);
        let text = trace("an adapter", roof, &[timeline.clone(), timeline]).to_string();
        let trace: Value = serde_json::from_str(&text).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let spans: Vec<&Value> = events.iter().filter(|e| e["ph"] == "X").collect();
        assert_eq!(spans.len(), 2 * plan.steps.len());
        assert_eq!(events.len() - spans.len(), 4);
        for (n, event) in spans.iter().enumerate() {
            let process = 1 + n / plan.steps.len();
            assert_eq!(event["pid"], process);
            assert_eq!(event["ts"], 1e3 * (n % plan.steps.len()) as f64);
            assert_eq!(event["dur"], 500.0);
            assert!(event["args"]["kernel"].is_string());
            assert!(event["args"]["bytes"].as_u64().unwrap() > 0);
        }
        let flops = |e: &&Value| e["args"]["flops"].as_u64().unwrap();
        let counted: u64 = spans[..plan.steps.len()].iter().map(flops).sum();
        assert_eq!(counted, Cost::of_plan(&plan).flops);
    }
}
