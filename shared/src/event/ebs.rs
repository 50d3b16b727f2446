//! What EBS says about snapshots: one was made or copied, or a set of them, or that failed.
//!
//! An event of EBS is no finding: it accuses nobody, and says only which snapshot to look at.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json::Json;
use super::{Ignored, IgnoredReason, LARGEST_EVENT};
use crate::id::{AccountId, Arn, Region, SnapshotId};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// What EBS reports the end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotEventKind {
    /// One snapshot of a volume.
    CreateSnapshot,
    /// A set of snapshots, of one instance's volumes.
    CreateSnapshots,
    /// A copy of a snapshot, in this account and Region.
    CopySnapshot,
}

/// One snapshot that an event names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRef {
    /// Its id.
    pub snapshot: SnapshotId,
    /// The volume it is of, or the snapshot it is a copy of.
    pub source: Option<Arn>,
    /// Whether this one is complete: of a set that failed, some may be.
    pub completed: bool,
}

/// An event of EBS about snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotEvent {
    /// What came to its end.
    pub kind: SnapshotEventKind,
    /// Whether it went well, for every snapshot of the event.
    pub succeeded: bool,
    /// Why not, in the words of EBS, made printable.
    pub cause: Option<String>,
    /// The snapshots, each once. A set that failed may name fewer than it was to have.
    pub snapshots: Vec<SnapshotRef>,
    /// The account whose snapshots they are.
    pub account: AccountId,
    /// The Region they are in: that of the event, since old events name another one in their ARNs.
    pub region: Region,
    /// When EBS said so.
    pub at: Timestamp,
}

/// Reads an event of EBS about snapshots. Never panics.
///
/// # Errors
/// With the reason to ignore it: what is no such event, or does not name a snapshot of its own account.
pub fn parse_snapshot_event(bytes: &[u8]) -> Result<SnapshotEvent, Ignored> {
    if bytes.len() > LARGEST_EVENT {
        return Err(ignored(IgnoredReason::TooLarge, &format!("{} bytes", bytes.len())));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| ignored(IgnoredReason::Malformed, &error.to_string()))?;
    read(Json(&value))
}

fn read(event: Json<'_>) -> Result<SnapshotEvent, Ignored> {
    let text = |path: &str| event.text(path).unwrap_or_default();
    let (source, detail_type, name) = (text("source"), text("detail-type"), text("detail.event"));
    let kind = match (source.as_str(), detail_type.as_str(), name.as_str()) {
        ("aws.ec2", "EBS Snapshot Notification", "createSnapshot") => SnapshotEventKind::CreateSnapshot,
        ("aws.ec2", "EBS Snapshot Notification", "copySnapshot") => SnapshotEventKind::CopySnapshot,
        ("aws.ec2", "EBS Multi-Volume Snapshots Completion Status", "createSnapshots") => SnapshotEventKind::CreateSnapshots,
        _ => return Err(ignored(IgnoredReason::UnknownEnvelope, &format!("{source} `{detail_type}` {name}"))),
    };
    let succeeded = match text("detail.result").as_str() {
        "succeeded" => true,
        "failed" => false,
        other => return Err(incomplete(&format!("`detail.result` is neither succeeded nor failed but `{other}`"))),
    };
    let account = AccountId::parse(&text("account")).map_err(|error| incomplete(&error.to_string()))?;
    let region = Region::parse(&text("region")).map_err(|error| incomplete(&error.to_string()))?;
    let at = event.time("time").or_else(|| event.time("detail.endTime")).ok_or_else(|| incomplete("`time` is missing"))?;
    let snapshots = match (kind, event.at("detail")) {
        (SnapshotEventKind::CreateSnapshots, Some(detail)) => of_set(detail, succeeded, &account)?,
        (_, Some(detail)) => vec![snapshot(detail, succeeded, &account)?],
        (_, None) => Vec::new(),
    };
    if snapshots.is_empty() {
        return Err(incomplete("no snapshot is named"));
    }
    Ok(SnapshotEvent {
        succeeded: succeeded && snapshots.iter().all(|snapshot| snapshot.completed),
        cause: event.text("detail.cause").map(|cause| printable(&cause, 200)),
        kind,
        snapshots,
        account,
        region,
        at,
    })
}

/// The snapshots of a set. One that succeeded names them all; one that failed names those that were begun.
fn of_set(detail: Json<'_>, succeeded: bool, account: &AccountId) -> Result<Vec<SnapshotRef>, Ignored> {
    let mut seen = BTreeSet::new();
    let mut snapshots = Vec::new();
    for element in detail.each("snapshots") {
        let completed = element.text("status").map_or(succeeded, |status| status == "completed");
        match snapshot(element, completed, account) {
            Ok(snapshot) if seen.insert(snapshot.snapshot.clone()) => snapshots.push(snapshot),
            Err(ignored) if succeeded => return Err(ignored),
            _ => {}
        }
    }
    Ok(snapshots)
}

fn snapshot(element: Json<'_>, completed: bool, account: &AccountId) -> Result<SnapshotRef, Ignored> {
    let named = element.text("snapshot_id").ok_or_else(|| incomplete("`snapshot_id` is missing"))?;
    let id = named_in(&named, account).ok_or_else(|| incomplete(&format!("`{named}` is no snapshot of account {account}")))?;
    let source = element.text("source").and_then(|arn| Arn::parse(&arn).ok());
    let is_source = |arn: &Arn| {
        arn.service() == "ec2" && (arn.resource().starts_with("volume/vol-") || arn.resource().starts_with("snapshot/snap-"))
    };
    Ok(SnapshotRef { snapshot: id, source: source.filter(is_source), completed })
}

/// The snapshot that an id names, or an ARN: `arn:aws:ec2:R::snapshot/snap-…`, and in older events `arn:aws:ec2::R:…`,
/// with the Region where the account should be. One that names another account is none of ours.
fn named_in(named: &str, account: &AccountId) -> Option<SnapshotId> {
    if !named.starts_with("arn:") {
        return SnapshotId::parse(named).ok();
    }
    let arn = Arn::parse(named).ok().filter(|arn| arn.service() == "ec2")?;
    let is_own = AccountId::parse(arn.account()).is_err() || arn.account() == account.as_str();
    SnapshotId::parse(arn.resource().strip_prefix("snapshot/")?).ok().filter(|_| is_own)
}

fn incomplete(detail: &str) -> Ignored {
    ignored(IgnoredReason::IncompleteEvent, detail)
}

fn ignored(reason: IgnoredReason, detail: &str) -> Ignored {
    Ignored { reason, detail: printable(detail, 200) }
}
