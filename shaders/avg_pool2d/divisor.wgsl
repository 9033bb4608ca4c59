// The divisor of the sum over a window.

// Also count padding: every window has kernel_y * kernel_x positions.
override COUNT_INCLUDE_PAD: bool = true;

fn divisor(ys: Range, xs: Range) -> f32 {
    if (COUNT_INCLUDE_PAD) {
        return f32(KERNEL_Y * KERNEL_X);
    }
    return f32((ys.end - ys.start) * (xs.end - xs.start));
}
