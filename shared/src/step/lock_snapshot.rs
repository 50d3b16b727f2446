//! Lock a snapshot, so that nobody deletes the evidence (CONTAINMENT B18).

use serde::{Deserialize, Serialize};

use super::{Change, Release, Undo};
use crate::guardrails::LockMode;
use crate::id::{Region, SnapshotId};

/// How many hours a lock in compliance mode can still be taken back: the longest there is. Without one, a lock by mistake
/// would be final at once.
pub const COOL_OFF_HOURS: i32 = 72;

/// Who may unlock. Ordered: what is further down is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// Whoever has `ec2:UnlockSnapshot`.
    Governance,
    /// Nobody, once the cooling-off period is over.
    Compliance,
}

impl Lock {
    /// The lock the guardrails ask for, if they ask for one.
    #[must_use]
    pub fn of(mode: LockMode) -> Option<Self> {
        match mode {
            LockMode::Governance => Some(Self::Governance),
            LockMode::Compliance => Some(Self::Compliance),
            LockMode::None => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "governance",
            Self::Compliance => "compliance",
        }
    }
}

/// A lock as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Who may unlock.
    pub mode: Lock,
    /// For how many days, from the snapshot's completion.
    pub days: i32,
    /// The cooling-off period in hours.
    pub cool_off: Option<i32>,
}

impl Asked {
    /// What to ask for where a snapshot is in `state` with a lock of `days` (unknown where AWS does not say), so that
    /// `wanted` holds. None where it holds already: asking again could shorten the lock or make it less strict, for
    /// `LockSnapshot` changes a lock that is there.
    #[must_use]
    pub fn beyond(state: Option<&str>, days: Option<i32>, wanted: &LockSnapshot) -> Option<Self> {
        let current = match state {
            Some("governance") => Some(Lock::Governance),
            Some("compliance" | "compliance-cooloff") => Some(Lock::Compliance),
            _ => None,
        };
        let is_final = state == Some("compliance");
        let days = if current.is_some() { days.unwrap_or(i32::MAX) } else { 0 };
        let mode = current.map_or(wanted.mode, |mode| mode.max(wanted.mode));
        if current == Some(mode) && days >= i32::from(wanted.days) {
            return None;
        }
        let days = if days == i32::MAX { i32::from(wanted.days) } else { days.max(i32::from(wanted.days)) };
        Some(Self { mode, days, cool_off: (mode == Lock::Compliance && !is_final).then_some(COOL_OFF_HOURS) })
    }
}

/// Locks a snapshot for some days. It may still be pending: the days count from when it is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSnapshot {
    /// The Region.
    pub region: Region,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Who may unlock.
    pub mode: Lock,
    /// For how many days.
    pub days: u16,
}

impl Change for LockSnapshot {
    const NAME: &'static str = "lock_snapshot";

    fn on(&self) -> String {
        format!("{} in {} mode for {} days", self.snapshot, self.mode.as_str(), self.days)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:LockSnapshot", "ec2:DescribeLockedSnapshots"]
    }

    fn command(&self) -> String {
        let cool_off = match self.mode {
            Lock::Governance => String::new(),
            Lock::Compliance => format!(" --cool-off-period {COOL_OFF_HOURS}"),
        };
        format!(
            "aws ec2 lock-snapshot --region {} --snapshot-id {} --lock-mode {} --lock-duration {}{cool_off}",
            self.region,
            self.snapshot,
            self.mode.as_str(),
            self.days
        )
    }

    fn undo(&self) -> Undo {
        let note = match self.mode {
            Lock::Governance => "the snapshot is evidence: it stays locked until its time is over",
            Lock::Compliance => {
                "the snapshot is evidence: it stays locked until its time is over; after 72 hours nobody can unlock it"
            }
        };
        Undo { commands: Vec::new(), note: Some(note) }
    }

    fn release(&self) -> Release {
        Release::Stays("the snapshot is evidence: it stays locked until its time is over")
    }
}

#[cfg(feature = "instance")]
impl LockSnapshot {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        use aws_sdk_ec2::types::{LockMode as Mode, LockState, LockedSnapshotsInfo};
        let locked = aws.ec2.describe_locked_snapshots().snapshot_ids(self.snapshot.as_str()).send().await?;
        let lock = locked.snapshots().iter().find(|lock| lock.snapshot_id() == Some(self.snapshot.as_str()));
        let state = lock.and_then(LockedSnapshotsInfo::lock_state).map(LockState::as_str);
        let Some(asked) = Asked::beyond(state, lock.and_then(LockedSnapshotsInfo::lock_duration), self) else {
            return Ok(super::Applied::already());
        };
        let mode = match asked.mode {
            Lock::Governance => Mode::Governance,
            Lock::Compliance => Mode::Compliance,
        };
        let request = aws.ec2.lock_snapshot().snapshot_id(self.snapshot.as_str()).lock_mode(mode);
        let output = request.lock_duration(asked.days).set_cool_off_period(asked.cool_off).send().await?;
        Ok(super::Applied::changed(&output))
    }
}
