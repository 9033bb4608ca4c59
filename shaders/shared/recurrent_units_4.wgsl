// Four F of units for each sample of an invocation, 8 apart.
#import shared/recurrent_columns_4

fn finish(sample: u32, u: u32, sums: Sums) {
    finish_unit(sample, u, sums.a);
    finish_unit(sample, u + 8u, sums.b);
    finish_unit(sample, u + 16u, sums.c);
    finish_unit(sample, u + 24u, sums.d);
}
