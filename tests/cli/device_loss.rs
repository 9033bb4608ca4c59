//! Calls of Vulkan that fail at every stage: a run goes on with the same result, and every other command ends with a sentence.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use super::sandbox::{CommandOutput, Sandbox};

const DEVICE_LOST: i32 = -4;
const OUT_OF_HOST_MEMORY: i32 = -1;
const OUT_OF_DEVICE_MEMORY: i32 = -2;

impl Sandbox {
    /// Runs the command with the call number `first` of `function`, and `count` in all or every later one for 0, failing with
    /// `result`.
    fn with_fault(
        &self,
        args: &str,
        (function, first, result, count): (&str, u32, i32, u32),
    ) -> CommandOutput {
        let mut command = self.with_layer(args);
        command.env("FAULT", format!("{function}:{first}:{result}:{count}"));
        CommandOutput::from(command.output().unwrap())
    }
}

const TRAIN: &str = "train tiny.toml --data good --device gpu --batch 8 --epochs 3 --out";

/// A sandbox with the layer and an undisturbed run in the folder `whole`, and the weights of that run; `None` without an adapter.
fn trained() -> Option<(Sandbox, Vec<u8>)> {
    let sandbox = Sandbox::new().with_fault_layer();
    if !sandbox.has_adapter() {
        return None;
    }
    sandbox.wgrad(&format!("{TRAIN} whole")).succeeds();
    let weights = std::fs::read(sandbox.path("whole/model.safetensors")).unwrap();
    Some((sandbox, weights))
}

#[test]
fn a_run_whose_device_is_lost_goes_on_with_the_same_result() {
    let Some((sandbox, whole)) = trained() else {
        return;
    };
    let mut reopened = 0;
    for fault in [
        ("QueueSubmit", 4, DEVICE_LOST, 1),
        ("QueueSubmit", 30, DEVICE_LOST, 1),
        ("QueueSubmit", 40, OUT_OF_DEVICE_MEMORY, 1),
        ("QueueSubmit", 60, OUT_OF_HOST_MEMORY, 1),
        ("WaitSemaphores", 1, DEVICE_LOST, 1),
        ("WaitSemaphores", 6, DEVICE_LOST, 1),
        ("WaitSemaphores", 12, OUT_OF_HOST_MEMORY, 1),
        ("GetSemaphoreCounterValue", 10, OUT_OF_DEVICE_MEMORY, 1),
        ("GetSemaphoreCounterValue", 40, DEVICE_LOST, 1),
        ("BeginCommandBuffer", 50, OUT_OF_HOST_MEMORY, 1),
        ("EndCommandBuffer", 50, DEVICE_LOST, 1),
        ("CreateComputePipelines", 5, DEVICE_LOST, 1),
        ("AllocateMemory", 5, DEVICE_LOST, 1),
        ("MapMemory", 5, OUT_OF_HOST_MEMORY, 1),
    ] {
        let message = sandbox
            .with_fault(&format!("{TRAIN} run"), fault)
            .succeeds();
        let weights = std::fs::read(sandbox.path("run/model.safetensors")).unwrap();
        assert!(weights == whole, "{fault:?} changes the weights");
        reopened += u32::from(message.err.contains("the device is opened again"));
        std::fs::remove_dir_all(sandbox.path("run")).unwrap();
    }
    assert!(reopened >= 8, "few of the faults were met: {reopened}");
}

#[test]
fn a_device_that_stays_lost_ends_the_run_with_a_sentence() {
    let Some((sandbox, _)) = trained() else {
        return;
    };
    for fault in [
        ("CreateInstance", 1, DEVICE_LOST, 0),
        ("CreateDevice", 1, DEVICE_LOST, 0),
        ("CreateSemaphore", 2, DEVICE_LOST, 1),
        ("BeginCommandBuffer", 1, DEVICE_LOST, 1),
        ("QueueSubmit", 1, DEVICE_LOST, 0),
        ("WaitSemaphores", 1, DEVICE_LOST, 0),
    ] {
        let message = sandbox.with_fault(&format!("{TRAIN} run"), fault);
        message.fails(1, &[]);
        sandbox.holds_no_run();
        // A run that has a checkpoint keeps it.
        let resume = "train --resume whole --epochs 9";
        sandbox.with_fault(resume, fault).fails(1, &[]);
    }
    let fault = ("WaitSemaphores", 1, DEVICE_LOST, 0);
    sandbox
        .with_fault("train --resume whole --epochs 9", fault)
        .fails(1, &["resume with wgrad train --resume whole"]);
    sandbox.wgrad("train --resume whole --epochs 9").succeeds();
}

#[test]
fn other_commands_on_a_lost_device_end_with_a_sentence() {
    let Some((sandbox, _)) = trained() else {
        return;
    };
    for command in [
        "eval whole --device gpu",
        "predict whole good --device gpu",
        "check relu",
        "bench matmul --runs 1",
        "devices",
    ] {
        for fault in [
            ("CreateDevice", 1, DEVICE_LOST, 0),
            ("QueueSubmit", 3, DEVICE_LOST, 0),
            ("WaitSemaphores", 1, DEVICE_LOST, 0),
        ] {
            let message = sandbox.with_fault(command, fault);
            let shown = format!("{command} with {fault:?}: {}{}", message.out, message.err);
            assert!([Some(0), Some(1)].contains(&message.code), "{shown}");
            assert!(!message.err.contains("panicked"), "{shown}");
        }
    }
}

#[test]
fn a_run_without_room_on_the_device_names_the_batch_that_has() {
    const MIB: u64 = 1 << 20;
    let sandbox = Sandbox::new().with_fault_layer();
    if !sandbox.has_adapter() {
        return;
    }
    let limited = |args: &str, bytes: u64| {
        let mut command = sandbox.with_layer(args);
        command.env("MEMORY_LIMIT", bytes.to_string());
        CommandOutput::from(command.output().unwrap())
    };
    let train = "train --device gpu --steps 1";
    let refused = limited(&format!("{train} --out run --batch 1000"), 150 * MIB);
    let refused = refused.fails(1, &["is out of memory for", "and with accumulate = "]);
    sandbox.holds_no_run();
    let number = |after: &str| {
        let (_, rest) = refused.err.split_once(after).unwrap();
        rest.split([' ', '\n'])
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let (batch, accumulate) = (number("--batch "), number("accumulate = "));
    assert!((100..1000).contains(&batch), "{}", refused.err);
    assert_eq!(batch * accumulate, 1000);
    let smaller = format!("{train} --out run --batch {batch} --set accumulate={accumulate}");
    limited(&smaller, 150 * MIB).succeeds();
}
