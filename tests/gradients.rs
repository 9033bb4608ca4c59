//! Every gradient rule against central differences in double precision. Needs no adapter.

use wgrad::check::check_gradients;
use wgrad::ops::REGISTRY;
use wgrad::random::Stream;

#[test]
fn every_gradient_rule_agrees_with_differences() {
    let mut checked = 0;
    let mut failures = Vec::new();
    for op in REGISTRY {
        for (n, case) in (op.cases)(&mut Stream::new(7, 1)).iter().enumerate() {
            if !case.inputs.iter().any(|i| i.differentiable) {
                continue;
            }
            checked += 1;
            match check_gradients(case, n as u64) {
                Ok(Ok(())) => {}
                Ok(Err(e)) => failures.push(format!("{}: {case:?}: {e:?}", op.name)),
                Err(e) => failures.push(format!("{}: {case:?}: {e}", op.name)),
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {checked} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(
        checked >= REGISTRY.len(),
        "only {checked} cases were checked"
    );
}
