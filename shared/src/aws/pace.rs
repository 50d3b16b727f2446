//! A pace that requests keep, so that a quota is used and not run against.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// So many starts a second, evenly spaced, whoever asks.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// `per_second` starts a second.
    pub(super) fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), next: Mutex::new(None) }
    }

    /// Waits for the next start.
    pub(super) async fn step(&self) {
        let at = {
            let mut next = self.next.lock().await;
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.interval);
            at
        };
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_as_far_apart_as_the_quota_says() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (begun, pace) = (Instant::now(), Pace::new(100));
        runtime.block_on(async { futures_util::future::join_all((0..6).map(|_| pace.step())).await });
        assert!(begun.elapsed() >= Duration::from_millis(50), "six starts need five intervals: {:?}", begun.elapsed());
    }
}
