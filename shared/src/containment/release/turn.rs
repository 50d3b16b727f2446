//! Shown first, done at the second word: which of the two a request is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// How long what was shown stands for what is done.
pub const SHOWN_FOR: Duration = Duration::from_hours(1);

/// A release that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The digest of the picture.
    pub digest: String,
    /// When.
    pub at: Timestamp,
    /// By which request: the id of the click's event, or of the invocation. The same one again is no second word.
    pub request: String,
}

/// What a request for a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The first word: show.
    Show,
    /// Shown before, but the target has changed since, or it was too long ago: show again.
    ShowAgain,
    /// This very request has shown it: nothing to do.
    WasShown,
    /// The second word: do.
    Do,
}

/// Whether `request` shows or does. `digest` is of the picture as it is now.
#[must_use]
pub fn turn(shown: Option<&Shown>, request: &str, digest: &str, now: Timestamp) -> Turn {
    match shown {
        None => Turn::Show,
        Some(shown) if shown.request == request => Turn::WasShown,
        Some(shown) if shown.digest == digest && now <= shown.at.plus(SHOWN_FOR) => Turn::Do,
        Some(_) => Turn::ShowAgain,
    }
}
