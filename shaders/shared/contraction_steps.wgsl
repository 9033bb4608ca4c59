// The steps of a workgroup through its split: what the kernels with tiles in workgroup memory walk.
// A position within the split: a segment and the first k of a step.
struct Step {
    segment: u32,
    k: i32,
}

// Number of k of a segment for a matrix of the batch.
fn length_of(segment: u32, batch: u32) -> i32 {
    return select(0, segment_end(segment), takes_segment(segment, batch));
}

// The step at `at`, or the first one of the next segment that has one; `end` is the end of the split.
fn existing_step(at: Step, end: u32, batch: u32) -> Step {
    var step = at;
    while (step.segment < end && step.k >= length_of(step.segment, batch)) {
        step = Step(step.segment + 1u, 0);
    }
    return step;
}
