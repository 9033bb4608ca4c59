//! Panics inside other crates, turned into errors at one place: a lost device or an unexpected result of a driver can cause one in
//! wgpu, a damaged file in a decoder of images.

use std::cell::Cell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether the thread is in a guarded call, whose panic is not printed.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Makes a call. If it panics, the result is the message, and nothing is printed.
pub(crate) fn guarded<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                before(panic);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        // The last line is the cause.
        let line = text.and_then(|text| text.trim_end().lines().last());
        line.unwrap_or("it failed").trim().to_string()
    })
}

/// A value whose destructor may panic, without effect.
pub(crate) struct Guarded<T>(Option<T>);

impl<T> Guarded<T> {
    pub fn new(value: T) -> Self {
        Guarded(Some(value))
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // Only `drop` takes it.
        self.0.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        // There is nothing left to do with a device that fails while it is closed.
        let _ = guarded(|| drop(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_last_line() {
        assert_eq!(guarded(|| 3), Ok(3));
        let failed: Result<(), String> = guarded(|| panic!("\nError in poll\n  lost: {}\n", 4));
        assert_eq!(failed, Err("lost: 4".to_string()));
        let failed: Result<(), String> = guarded(|| panic!("lost"));
        assert_eq!(failed, Err("lost".to_string()));
    }

    #[test]
    fn a_destructor_that_panics_is_ignored() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("not now");
            }
        }
        drop(Guarded::new(Bad));
        assert_eq!(*Guarded::new(3), 3);
    }
}
