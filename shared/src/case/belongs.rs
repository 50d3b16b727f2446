//! Whether a snapshot is evidence of a case. Its tags say which case to look into; only the case says yes.
//!
//! Whoever may tag snapshots can tag one of his own as evidence, so nothing follows from tags alone (CONTAINMENT B19, E).
//! Looked at are the plan and the steps that were carried out: both are made of ids that AWS gave to us, while finding and
//! original state hold text that an attacker may have written.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize as _;
use serde_json::Value;

use super::sealed::{CopyRecord, Provenance, Role, SealRecord};
use super::{CaseId, Entry, EntryKind, OpenCase};
use crate::id::{AccountId, InstanceId, SnapshotId, VolumeId};
use crate::step::{INCIDENT_TAG, INSTANCE_TAG, Step};

/// The tag of a copy that names its source.
pub const COPY_OF_TAG: &str = "ir:copy-of";
/// The tag of a copy that says which one it is.
pub const STAGE_TAG: &str = "ir:stage";
/// The tag of a copy that names the instance's account.
pub const ACCOUNT_TAG: &str = "ir:account";

/// What a snapshot's tags say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The case.
    pub case: CaseId,
    /// The instance.
    pub instance: InstanceId,
    /// The instance's account.
    pub account: AccountId,
    /// Which snapshot it is.
    pub role: Role,
    /// The snapshot taken of the volume: itself, or for a copy its source.
    pub source: SnapshotId,
}

impl Claim {
    /// Reads the tags of a snapshot that `holder` owns.
    ///
    /// # Errors
    /// With why they claim nothing.
    pub fn of(
        snapshot: &SnapshotId,
        tags: &BTreeMap<String, String>,
        holder: &AccountId,
        is_forensics: bool,
    ) -> Result<Self, String> {
        let tag = |key: &str| tags.get(key).map(String::as_str);
        let need = |key: &'static str| tag(key).ok_or_else(|| format!("it has no tag {key}"));
        let case = CaseId::parse(need(INCIDENT_TAG)?).map_err(|error| error.to_string())?;
        let instance = InstanceId::parse(need(INSTANCE_TAG)?).map_err(|error| error.to_string())?;
        let role = match tag(STAGE_TAG) {
            None => Role::Source,
            Some("transit") => Role::Transit,
            Some("forensic") => Role::Forensic,
            Some(_) => return Err(format!("its tag {STAGE_TAG} says nothing that is known")),
        };
        if (role == Role::Forensic) != is_forensics {
            return Err(format!("its tag {STAGE_TAG} does not fit account {holder}"));
        }
        let (source, account) = match role {
            Role::Source => (snapshot.clone(), holder.clone()),
            Role::Transit => (SnapshotId::parse(need(COPY_OF_TAG)?).map_err(|error| error.to_string())?, holder.clone()),
            Role::Forensic => (
                SnapshotId::parse(need(COPY_OF_TAG)?).map_err(|error| error.to_string())?,
                AccountId::parse(need(ACCOUNT_TAG)?).map_err(|error| error.to_string())?,
            ),
        };
        Ok(Self { case, instance, account, role, source })
    }

    /// The key of the open case it must be found under.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}/instance/{}", self.account, self.instance)
    }
}

/// What a case says of a snapshot that claims to belong to it.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<'a> {
    /// What its tags say.
    pub claim: &'a Claim,
    /// The snapshot.
    pub snapshot: &'a SnapshotId,
    /// The volume EC2 names.
    pub volume: Option<&'a VolumeId>,
    /// The key EC2 names.
    pub key: Option<&'a str>,
    /// The account that owns it.
    pub holder: &'a AccountId,
}

/// What says that the snapshot belongs to the case, if anything does.
#[must_use]
pub fn provenance(claimed: Claimed<'_>, open: &OpenCase, entries: &[Entry]) -> Option<Provenance> {
    let Claimed { claim, snapshot, .. } = claimed;
    if open.case != claim.case || open.target != claim.target() {
        return None;
    }
    if claim.role == Role::Source {
        let named = recorded_sets(Some(open), entries).into_iter().flatten().any(|named| named == *snapshot);
        let of_its_volumes = || claimed.volume.is_some_and(|volume| of_plan(open).volumes.contains(volume));
        return if named {
            Some(Provenance::Snapshot)
        } else if of_its_volumes() {
            Some(Provenance::Volume)
        } else {
            None
        };
    }
    let is_this = |copy: &&CopyRecord| copy.of == claim.source && copy.role == claim.role && copy.account == *claimed.holder;
    let records: Vec<_> = entries.iter().filter_map(SealRecord::of).collect();
    let begun: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            SealRecord::Copied(copy) => Some(copy).filter(is_this),
            _ => None,
        })
        .collect();
    if begun.iter().any(|copy| copy.snapshot.as_ref() == Some(snapshot)) {
        return Some(Provenance::Snapshot);
    }
    let intended = records.iter().rev().find_map(|record| match record {
        SealRecord::Copying(copy) => Some(copy).filter(is_this),
        _ => None,
    });
    // Nobody in the account can have made a snapshot under the forensics key but through us. An intent is carried out once.
    let is_open = |copy: &&CopyRecord| !begun.iter().any(|begun| begun.instead_of == copy.instead_of);
    intended.filter(is_open).filter(|copy| claimed.key == Some(copy.key.as_str())).map(|_| Provenance::Intent)
}

/// The snapshot sets that a case records, each with the snapshots taken together. `open` is its open case, where it still
/// is the one of its target.
#[must_use]
pub fn recorded_sets(open: Option<&OpenCase>, entries: &[Entry]) -> Vec<BTreeSet<SnapshotId>> {
    let mut sets = open.map(|open| of_plan(open).sets).unwrap_or_default();
    for entry in entries.iter().filter(|entry| entry.entry == EntryKind::Acted) {
        let steps = entry.what.get("steps").and_then(Value::as_array).into_iter().flatten();
        let steps: Vec<Step> = steps.filter_map(|step| Step::deserialize(step.get("step")?).ok()).collect();
        let named = Named::by(&steps);
        sets.extend(named.sets);
        // Locks name their snapshots one by one; those locked at one time were taken at one time.
        sets.push(named.locked);
    }
    merged(sets)
}

fn of_plan(open: &OpenCase) -> Named {
    let mut named = Named::by(open.plan.steps());
    let locked = std::mem::take(&mut named.locked);
    named.sets.extend(locked.into_iter().map(|snapshot| BTreeSet::from([snapshot])));
    named
}

/// Sets that share a snapshot are one.
fn merged(sets: Vec<BTreeSet<SnapshotId>>) -> Vec<BTreeSet<SnapshotId>> {
    let mut out: Vec<BTreeSet<SnapshotId>> = Vec::new();
    for mut set in sets.into_iter().filter(|set| !set.is_empty()) {
        out.retain_mut(|other| {
            let apart = other.is_disjoint(&set);
            if !apart {
                set.append(other);
            }
            apart
        });
        out.push(set);
    }
    out
}

/// The snapshots and volumes that steps name.
#[derive(Default)]
struct Named {
    sets: Vec<BTreeSet<SnapshotId>>,
    locked: BTreeSet<SnapshotId>,
    volumes: BTreeSet<VolumeId>,
}

impl Named {
    fn by<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let mut named = Self::default();
        for step in steps {
            match step {
                Step::SnapshotVolumes(step) => {
                    named.sets.push(step.snapshots.iter().cloned().collect());
                    named.volumes.extend(step.volumes.iter().cloned());
                }
                Step::LockSnapshot(step) => drop(named.locked.insert(step.snapshot.clone())),
                _ => {}
            }
        }
        named
    }
}
