//! Every variant of every kernel, forward and backward, against the reference.

mod support;

use wgrad::check::check_kernels;

#[test]
fn every_kernel_agrees_with_the_reference() {
    let Some(gpu) = support::gpu() else { return };
    let mut failures = Vec::new();
    let mut groups = 0;
    for seed in [1, 2] {
        check_kernels(
            gpu,
            seed,
            |_| true,
            |group| {
                groups += 1;
                if !group.ok {
                    failures.push(format!("{group:?}"));
                }
            },
        )
        .expect("the device works");
    }
    assert!(groups > 0);
    assert!(
        failures.is_empty(),
        "{} of {groups} groups:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
