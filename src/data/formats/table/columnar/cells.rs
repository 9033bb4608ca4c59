//! The values of an array of Arrow as cells of a table.

use crate::data::formats::table::dates::in_iso;
use arrow_array::cast::AsArray;
use arrow_array::iterator::ArrayIter;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DecimalType, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayAccessor};
use arrow_schema::{DataType, TimeUnit};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// The values of `array` as cells, empty where they are missing; `None` if they are lists, structures or bytes. Dates and times are
/// written as in ISO 8601, times of the day and durations as numbers of seconds.
pub(super) fn cells(array: &dyn Array) -> Option<Vec<String>> {
    use DataType as T;
    use TimeUnit as U;
    Some(match array.data_type() {
        T::Null => vec![String::new(); array.len()],
        T::Boolean => texts(array.as_boolean(), |is_true| is_true.to_string()),
        T::Int8 => numbers::<Int8Type>(array),
        T::Int16 => numbers::<Int16Type>(array),
        T::Int32 => numbers::<Int32Type>(array),
        T::Int64 => numbers::<Int64Type>(array),
        T::UInt8 => numbers::<UInt8Type>(array),
        T::UInt16 => numbers::<UInt16Type>(array),
        T::UInt32 => numbers::<UInt32Type>(array),
        T::UInt64 => numbers::<UInt64Type>(array),
        T::Float16 => texts(array.as_primitive::<Float16Type>(), |x| {
            f64::from(x).to_string()
        }),
        T::Float32 => texts(array.as_primitive::<Float32Type>(), |x| {
            f64::from(x).to_string()
        }),
        T::Float64 => numbers::<Float64Type>(array),
        T::Decimal32(..) => decimals::<Decimal32Type>(array),
        T::Decimal64(..) => decimals::<Decimal64Type>(array),
        T::Decimal128(..) => decimals::<Decimal128Type>(array),
        T::Decimal256(..) => decimals::<Decimal256Type>(array),
        T::Utf8 => texts(array.as_string::<i32>(), |text| text.trim().to_string()),
        T::LargeUtf8 => texts(array.as_string::<i64>(), |text| text.trim().to_string()),
        T::Utf8View => texts(array.as_string_view(), |text| text.trim().to_string()),
        T::Date32 => texts(array.as_primitive::<Date32Type>(), |days| {
            in_iso(i64::from(days) * 86_400, 0)
        }),
        T::Date64 => moments::<Date64Type>(array, 1000),
        T::Timestamp(U::Second, _) => moments::<TimestampSecondType>(array, 1),
        T::Timestamp(U::Millisecond, _) => moments::<TimestampMillisecondType>(array, 1000),
        T::Timestamp(U::Microsecond, _) => moments::<TimestampMicrosecondType>(array, 1_000_000),
        T::Timestamp(U::Nanosecond, _) => moments::<TimestampNanosecondType>(array, SECOND),
        T::Time32(U::Second) => seconds::<Time32SecondType>(array, 1.0),
        T::Time32(_) => seconds::<Time32MillisecondType>(array, 1e3),
        T::Time64(U::Microsecond) => seconds::<Time64MicrosecondType>(array, 1e6),
        T::Time64(_) => seconds::<Time64NanosecondType>(array, 1e9),
        T::Duration(U::Second) => seconds::<DurationSecondType>(array, 1.0),
        T::Duration(U::Millisecond) => seconds::<DurationMillisecondType>(array, 1e3),
        T::Duration(U::Microsecond) => seconds::<DurationMicrosecondType>(array, 1e6),
        T::Duration(U::Nanosecond) => seconds::<DurationNanosecondType>(array, 1e9),
        T::Dictionary(..) => {
            let array = array.as_any_dictionary();
            let values = cells(array.values())?;
            let keys = array.normalized_keys();
            let cell = |(row, key): (usize, usize)| match array.is_null(row) {
                true => String::new(),
                false => values.get(key).cloned().unwrap_or_default(),
            };
            keys.into_iter().enumerate().map(cell).collect()
        }
        _ => return None,
    })
}

fn texts<A: ArrayAccessor>(array: A, text: impl Fn(A::Item) -> String) -> Vec<String> {
    let values = ArrayIter::new(array);
    values
        .map(|value| value.map(&text).unwrap_or_default())
        .collect()
}

fn numbers<T: ArrowPrimitiveType<Native: ToString>>(array: &dyn Array) -> Vec<String> {
    texts(array.as_primitive::<T>(), |number| number.to_string())
}

fn decimals<T: DecimalType>(array: &dyn Array) -> Vec<String> {
    let array = array.as_primitive::<T>();
    let cell = |row: usize| match array.is_null(row) {
        true => String::new(),
        false => array.value_as_string(row),
    };
    (0..array.len()).map(cell).collect()
}

/// Moments of which `unit` are a second.
fn moments<T: ArrowPrimitiveType<Native = i64>>(array: &dyn Array, unit: i64) -> Vec<String> {
    texts(array.as_primitive::<T>(), |moment| {
        let nanoseconds = moment.rem_euclid(unit) * (SECOND / unit);
        in_iso(moment.div_euclid(unit), nanoseconds)
    })
}

/// Times of which `unit` are a second.
fn seconds<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &dyn Array, unit: f64) -> Vec<String> {
    texts(array.as_primitive::<T>(), |time| {
        let time: i64 = time.into();
        (time as f64 / unit).to_string()
    })
}
