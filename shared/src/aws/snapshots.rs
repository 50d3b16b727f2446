//! The snapshots of one account in one Region: what EC2 says of them, and the few changes that seal them.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::retry::RetryConfig;
use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, Filter, LockMode as AwsLockMode, LockState, ResourceType,
    SnapshotAttributeName, SnapshotState, Tag, TagSpecification,
};

use super::blocks::patient;
use super::{Access, Blocks, Fault, FaultClass};
use crate::id::{AccountId, Arn, Region, SnapshotId, VolumeId};
use crate::step::{Asked, Lock, LockSnapshot};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// The snapshots of one account in one Region.
#[derive(Debug)]
pub struct Snapshots {
    ec2: aws_sdk_ec2::Client,
    region: Region,
    /// What is in them.
    pub blocks: Blocks,
}

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On its way.
    Pending,
    /// Whole.
    Completed,
    /// It failed.
    Error,
    /// In the recycle bin, or a state this version does not know.
    Elsewhere,
}

/// One snapshot as EC2 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// How far it is.
    pub state: State,
    /// What EC2 says of its state. Why a key could not be used is said here, and nowhere else (CONTAINMENT B17).
    pub message: Option<String>,
    /// The volume; of a copy it is any.
    pub volume: Option<VolumeId>,
    /// The volume's size in GiB.
    pub gibibytes: u64,
    /// The key it is encrypted with, as an ARN.
    pub key: Option<String>,
    /// When it was begun.
    pub started: Option<Timestamp>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A copy to be made, in the same Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copying<'a> {
    /// The snapshot to copy.
    pub from: &'a SnapshotId,
    /// The key to encrypt the copy with.
    pub key: &'a Arn,
    /// The copy's tags: those of its source are not copied.
    pub tags: &'a [(String, String)],
    /// What it is, for a person.
    pub description: &'a str,
}

impl Snapshots {
    /// Those of the account behind `access`. The clients share the connections of every other one.
    #[must_use]
    pub fn new(access: &Access, region: &Region) -> Self {
        let config = access.config_in(region);
        let ec2 = aws_sdk_ec2::config::Builder::from(&config).interceptor(access.calls.clone()).build();
        let ebs = patient(aws_sdk_ebs::config::Builder::from(&config)).interceptor(access.calls.clone()).build();
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            region: region.clone(),
            blocks: Blocks::new(aws_sdk_ebs::Client::from_conf(ebs)),
        }
    }

    /// Those of these ids that the account owns. One that is not there, or another's, is left out and no error.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn named(&self, ids: &[SnapshotId]) -> Result<Vec<Snapshot>, Fault> {
        let ids = ids.iter().map(|id| id.as_str().to_owned()).collect();
        self.described(Filter::builder().name("snapshot-id").set_values(Some(ids)).build(), None).await
    }

    /// Those the account owns that have these tags.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn tagged(&self, tag: (&str, &str), and: Option<(&str, &str)>) -> Result<Vec<Snapshot>, Fault> {
        let filter = |(key, value): (&str, &str)| Filter::builder().name(format!("tag:{key}")).values(value).build();
        self.described(filter(tag), and.map(filter)).await
    }

    async fn described(&self, filter: Filter, and: Option<Filter>) -> Result<Vec<Snapshot>, Fault> {
        let request = self.ec2.describe_snapshots().owner_ids("self").filters(filter);
        let request = match and {
            Some(filter) => request.filters(filter),
            None => request,
        };
        let mut pages = request.into_paginator().send();
        let mut snapshots = Vec::new();
        while let Some(page) = pages.next().await {
            snapshots.extend(page?.snapshots().iter().filter_map(snapshot));
        }
        Ok(snapshots)
    }

    /// Which of these are locked.
    ///
    /// # Errors
    /// When EC2 cannot be asked.
    pub async fn locked(&self, ids: &[SnapshotId]) -> Result<BTreeSet<SnapshotId>, Fault> {
        let ids = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let (mut locked, mut token) = (BTreeSet::new(), None);
        let request = self.ec2.describe_locked_snapshots().set_snapshot_ids(Some(ids));
        loop {
            let page = request.clone().set_next_token(token).send().await?;
            for info in page.snapshots() {
                let holds = matches!(
                    info.lock_state(),
                    Some(LockState::Governance | LockState::Compliance | LockState::ComplianceCooloff)
                );
                locked.extend(info.snapshot_id().filter(|_| holds).and_then(|id| SnapshotId::parse(id).ok()));
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(locked);
            }
        }
    }

    /// Makes sure that a snapshot, pending or complete, is locked as `wanted` or better (CONTAINMENT B18). Says whether
    /// anything had to be changed.
    ///
    /// # Errors
    /// When EC2 refuses.
    pub async fn lock(&self, wanted: &LockSnapshot) -> Result<bool, Fault> {
        let id = wanted.snapshot.as_str();
        let known = self.ec2.describe_locked_snapshots().snapshot_ids(id).send().await?;
        let lock = known.snapshots().iter().find(|lock| lock.snapshot_id() == Some(id));
        let state = lock.and_then(|lock| lock.lock_state()).map(LockState::as_str);
        let days = lock.and_then(aws_sdk_ec2::types::LockedSnapshotsInfo::lock_duration);
        let Some(asked) = Asked::beyond(state, days, wanted) else { return Ok(false) };
        let mode = match asked.mode {
            Lock::Governance => AwsLockMode::Governance,
            Lock::Compliance => AwsLockMode::Compliance,
        };
        let request = self.ec2.lock_snapshot().snapshot_id(id).lock_mode(mode);
        request.lock_duration(asked.days).set_cool_off_period(asked.cool_off).send().await?;
        Ok(true)
    }

    /// Sets tags.
    ///
    /// # Errors
    /// When EC2 refuses.
    pub async fn tag(&self, id: &SnapshotId, tags: &[(String, String)]) -> Result<(), Fault> {
        self.ec2.create_tags().resources(id.as_str()).set_tags(Some(aws_tags(tags))).send().await?;
        Ok(())
    }

    /// Begins a copy, encrypted and tagged from its first moment. EC2 says here that it began, and nothing of whether
    /// the key can be used.
    ///
    /// # Errors
    /// When EC2 refuses.
    pub async fn copy(&self, copying: &Copying<'_>) -> Result<SnapshotId, Fault> {
        let tags =
            TagSpecification::builder().resource_type(ResourceType::Snapshot).set_tags(Some(aws_tags(copying.tags))).build();
        let request = self.ec2.copy_snapshot().source_region(self.region.as_str()).source_snapshot_id(copying.from.as_str());
        let request = request.encrypted(true).kms_key_id(copying.key.as_str()).description(copying.description);
        // There is no client token: a request tried again after a lost answer would make a second copy. Another delivery
        // looks for the first.
        let once = aws_sdk_ec2::config::Builder::new().retry_config(RetryConfig::disabled());
        let output = request.tag_specifications(tags).customize().config_override(once).send().await?;
        let id = output.snapshot_id().and_then(|id| SnapshotId::parse(id).ok());
        id.ok_or_else(|| Fault {
            code: "Unreadable".to_owned(),
            message: "CopySnapshot answered without a snapshot".to_owned(),
            class: FaultClass::Retryable,
        })
    }

    /// Lets another account copy a snapshot.
    ///
    /// # Errors
    /// When EC2 refuses.
    pub async fn share(&self, id: &SnapshotId, with: &AccountId) -> Result<(), Fault> {
        let permission = CreateVolumePermission::builder().user_id(with.as_str()).build();
        let change = CreateVolumePermissionModifications::builder().add(permission).build();
        let request = self.ec2.modify_snapshot_attribute().snapshot_id(id.as_str());
        let request = request.attribute(SnapshotAttributeName::CreateVolumePermission).create_volume_permission(change);
        request.send().await?;
        Ok(())
    }
}

fn aws_tags(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn snapshot(described: &aws_sdk_ec2::types::Snapshot) -> Option<Snapshot> {
    let id = SnapshotId::parse(described.snapshot_id()?).ok()?;
    let state = match described.state() {
        Some(SnapshotState::Pending) => State::Pending,
        Some(SnapshotState::Completed) => State::Completed,
        Some(SnapshotState::Error) => State::Error,
        _ => State::Elsewhere,
    };
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()));
    Some(Snapshot {
        state,
        message: described.state_message().filter(|message| !message.is_empty()).map(|message| printable(message, 200)),
        volume: described.volume_id().and_then(|id| VolumeId::parse(id).ok()),
        gibibytes: described.volume_size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        key: described.kms_key_id().map(str::to_owned),
        started: described.start_time().and_then(|time| Timestamp::from_unix(time.secs())),
        tags: described.tags().iter().filter_map(pair).collect(),
        id,
    })
}
