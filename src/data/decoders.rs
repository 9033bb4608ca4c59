//! Threads that work ahead and give their results in order, such as those that decode the pictures of a pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};

/// Threads, each with a bounded channel of its own: thread k of n makes the results k, k + n, k + 2n and so on, and the receiver
/// takes them from the channels in turn. So they come in order, and never are more than n * (ahead + 1) in memory.
pub(super) struct Decoders<T> {
    results: Vec<Receiver<T>>,
    next: usize,
    waited: Waited,
}

/// The time that threads waited for room in their channels, in nanoseconds, over all threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Waited(Arc<AtomicU64>);

impl Waited {
    fn add(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The time so far.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl<T: Send + 'static> Decoders<T> {
    /// Starts `threads` threads, which make a result of each of `items`; each is at most `ahead` results ahead of [`next`].
    ///
    /// [`next`]: Decoders::next
    pub fn start(
        items: Arc<[u32]>,
        threads: usize,
        ahead: usize,
        make: impl Fn(u32) -> T + Send + Sync + 'static,
    ) -> Decoders<T> {
        let (make, waited) = (Arc::new(make), Waited::default());
        let results = (0..threads.max(1)).map(|first| {
            let (sender, receiver) = mpsc::sync_channel(ahead.max(1));
            let (items, make, waited) = (items.clone(), make.clone(), waited.clone());
            std::thread::spawn(move || {
                for &item in items.iter().skip(first).step_by(threads.max(1)) {
                    if !send(&sender, make(item), &waited) {
                        // The run ended before the end of the epoch.
                        return;
                    }
                }
            });
            receiver
        });
        Decoders {
            results: results.collect(),
            next: 0,
            waited: waited.clone(),
        }
    }

    /// The next result, in the order of the items; `None` after the last one, or if a thread ended early.
    pub fn next(&mut self) -> Option<T> {
        let result = self.results[self.next].recv().ok();
        self.next = (self.next + 1) % self.results.len();
        result
    }

    /// The time that the threads waited for room.
    pub fn waited(&self) -> Waited {
        self.waited.clone()
    }
}

/// Sends `result`, waiting for room if there is none; false if nobody receives any more.
fn send<T>(sender: &SyncSender<T>, result: T, waited: &Waited) -> bool {
    match sender.try_send(result) {
        Ok(()) => true,
        Err(TrySendError::Disconnected(_)) => false,
        Err(TrySendError::Full(result)) => {
            let start = Instant::now();
            let sent = sender.send(result).is_ok();
            waited.add(start.elapsed());
            sent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn results_come_in_order_whatever_the_delays() {
        let items: Arc<[u32]> = crate::data::shuffled(200, 3, 0).into();
        for threads in [1, 2, 3, 8] {
            let make = |item: u32| {
                let delay = Stream::new(u64::from(item), 7).below(300);
                std::thread::sleep(Duration::from_micros(delay.into()));
                item
            };
            let mut decoders = Decoders::start(items.clone(), threads, 2, make);
            let results: Vec<u32> = std::iter::from_fn(|| decoders.next()).collect();
            assert_eq!(results, *items, "{threads} threads");
        }
    }

    /// A result that counts how many of its kind exist.
    struct Counted(Arc<AtomicUsize>);

    impl Counted {
        fn new(count: &Arc<AtomicUsize>, most: &AtomicUsize) -> Counted {
            most.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            Counted(count.clone())
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn no_more_results_wait_than_there_is_room_for_and_the_waiting_is_counted() {
        let (threads, ahead) = (3, 2);
        let (count, most) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let items: Arc<[u32]> = (0..100).collect();
        let make = {
            let (count, most) = (Arc::clone(&count), most.clone());
            move |_| Counted::new(&count, &most)
        };
        let mut decoders = Decoders::start(items, threads, ahead, make);
        let mut received = 0;
        while let Some(result) = decoders.next() {
            std::thread::sleep(Duration::from_micros(500));
            received += 1;
            drop(result);
        }
        // The receiver holds one, too.
        let most = most.load(Ordering::SeqCst);
        assert_eq!(received, 100);
        assert!(most <= threads * (ahead + 1) + 1, "{most}");
        assert!(decoders.waited().time() > Duration::ZERO);
    }

    #[test]
    fn threads_end_when_nobody_receives_any_more() {
        let count = Arc::default();
        let items: Arc<[u32]> = (0..1000).collect();
        let make = {
            let count = Arc::clone(&count);
            move |_| Counted::new(&count, &AtomicUsize::new(0))
        };
        let mut decoders = Decoders::start(items, 2, 1, make);
        assert!(decoders.next().is_some());
        drop(decoders);
        for _ in 0..1000 {
            // The closure itself holds the other reference.
            if Arc::strong_count(&count) == 1 {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("a thread still runs");
    }
}
