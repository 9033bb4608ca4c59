//! Every gradient rule against central differences in double precision. Needs no adapter.

use wgrad::check::check_gradient_rules;

#[test]
fn every_gradient_rule_agrees_with_differences() {
    let (mut groups, mut failures) = (0, Vec::new());
    let report = |group: wgrad::check::Group| {
        groups += 1;
        failures.extend(group.failure);
    };
    check_gradient_rules(7, |_| true, report).expect("every case is a graph");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(groups > 30, "only {groups} operations have a gradient");
}
