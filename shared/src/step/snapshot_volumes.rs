//! Snapshot every volume of an instance at one point in time: the evidence (CONTAINMENT B16).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ec2::tags_option;
use super::{Change, Origin, Release, Undo};
use crate::guardrails::EvidenceLock;
use crate::id::{InstanceId, Region, SnapshotId, VolumeId};
use crate::text::shell_word;

/// The key of the tag that names the instance a snapshot is of.
pub const INSTANCE_TAG: &str = "ir:instance";

/// Takes one set of snapshots, root included, crash-consistent across the instance. A set that the case has already is
/// not taken twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotVolumes {
    /// The Region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
    /// Its volumes.
    pub volumes: Vec<VolumeId>,
    /// The case.
    pub origin: Origin,
    /// How they are locked once they are there.
    pub lock: EvidenceLock,
    /// The snapshots; none until they are taken.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub snapshots: Vec<SnapshotId>,
}

impl SnapshotVolumes {
    /// The tags of the snapshots. Those of the volumes are not copied: whoever holds the account writes them.
    #[must_use]
    pub fn tags(&self) -> Vec<(String, String)> {
        let mut tags = self.origin.tags();
        tags.push((INSTANCE_TAG.to_owned(), self.instance.to_string()));
        tags
    }

    /// The description of the snapshots.
    #[must_use]
    pub fn description(&self) -> String {
        format!("{} evidence of {}", self.origin.case, self.instance)
    }

    /// The volumes that none of `taken` covers.
    #[must_use]
    pub fn uncovered(&self, taken: &BTreeMap<SnapshotId, Option<VolumeId>>) -> Vec<VolumeId> {
        let covered: BTreeSet<_> = taken.values().flatten().collect();
        self.volumes.iter().filter(|volume| !covered.contains(volume)).cloned().collect()
    }
}

impl Change for SnapshotVolumes {
    const NAME: &'static str = "snapshot_volumes";

    fn on(&self) -> String {
        let volumes = if self.volumes.len() == 1 { "volume" } else { "volumes" };
        let snapshots: Vec<_> = self.snapshots.iter().map(SnapshotId::as_str).collect();
        let by = if snapshots.is_empty() { String::new() } else { format!(": {}", snapshots.join(", ")) };
        format!("{} {volumes} of {}{by}", self.volumes.len(), self.instance)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:CreateSnapshots", "ec2:CreateSnapshot", "ec2:CreateTags", "ec2:DescribeSnapshots"]
    }

    fn command(&self) -> String {
        format!(
            "aws ec2 create-snapshots --region {} --instance-specification InstanceId={} --description {} {}",
            self.region,
            self.instance,
            shell_word(&self.description()),
            tags_option("snapshot", &self.tags())
        )
    }

    fn undo(&self) -> Undo {
        Undo { commands: Vec::new(), note: Some("the snapshots are evidence: they stay until the case is closed") }
    }

    fn release(&self) -> Release {
        Release::Stays("the snapshots are evidence")
    }
}

#[cfg(feature = "instance")]
mod calls {
    use std::collections::BTreeMap;

    use aws_sdk_ec2::types::{InstanceSpecification, ResourceType, SnapshotState, TagSpecification};
    use aws_types::request_id::RequestId as _;
    use futures_util::future::join_all;

    use super::super::Applied;
    use super::super::ec2::{filter, read, tagged};
    use super::{INSTANCE_TAG, SnapshotVolumes};
    use crate::aws::{Compute, Fault, FaultClass};
    use crate::id::{SnapshotId, VolumeId};
    use crate::step::INCIDENT_TAG;
    use crate::text::printable;

    /// Snapshots, and the volume each is of.
    type Taken = BTreeMap<SnapshotId, Option<VolumeId>>;

    /// A snapshot in AWS's answer. One that failed is no evidence.
    fn note(taken: &mut Taken, id: Option<&str>, volume: Option<&str>, state: Option<&SnapshotState>) -> Result<(), Fault> {
        if state != Some(&SnapshotState::Error) {
            taken.insert(read(id, SnapshotId::parse)?, volume.and_then(|volume| VolumeId::parse(volume).ok()));
        }
        Ok(())
    }

    impl SnapshotVolumes {
        pub(in super::super) async fn apply(&self, aws: &Compute) -> Result<Applied, Fault> {
            let mut taken = self.find(aws).await?;
            let (mut changed, mut request_id, mut refused) = (false, None, None);
            if taken.is_empty() {
                match self.take_all(aws, &mut taken).await {
                    Ok(by) => (changed, request_id) = (true, by),
                    Err(fault) if fault.is_retryable() => return Err(fault),
                    Err(fault) => {
                        tracing::warn!(%fault, instance = %self.instance, "no set of snapshots: taking one volume at a time");
                        refused = Some(fault);
                    }
                }
            }
            // A set may lack a volume that was detached since, or that an earlier delivery failed at.
            let missing = self.uncovered(&taken);
            if !missing.is_empty() {
                let by = self.take_each(aws, &missing, &mut taken, refused.as_ref()).await?;
                (changed, request_id) = (true, request_id.or(by));
            } else if let Some(fault) = refused {
                return Err(fault);
            }
            let done = Self { snapshots: taken.into_keys().collect(), ..self.clone() };
            Ok(Applied { changed, request_id, as_done: (done != *self).then(|| done.into()) })
        }

        /// The snapshots the case has of the instance. `CreateSnapshots` knows no idempotency token: this look is what
        /// keeps a second delivery from taking a second set (CONTAINMENT D3).
        async fn find(&self, aws: &Compute) -> Result<Taken, Fault> {
            let filters = vec![
                filter(&format!("tag:{INCIDENT_TAG}"), self.origin.case.as_str()),
                filter(&format!("tag:{INSTANCE_TAG}"), self.instance.as_str()),
            ];
            let request = aws.ec2.describe_snapshots().owner_ids("self").set_filters(Some(filters));
            let mut pages = request.into_paginator().send();
            let mut taken = Taken::new();
            while let Some(page) = pages.next().await {
                for found in page?.snapshots() {
                    note(&mut taken, found.snapshot_id(), found.volume_id(), found.state())?;
                }
            }
            Ok(taken)
        }

        fn specification(&self) -> TagSpecification {
            tagged(ResourceType::Snapshot, self.tags())
        }

        async fn take_all(&self, aws: &Compute, taken: &mut Taken) -> Result<Option<String>, Fault> {
            let of = InstanceSpecification::builder().instance_id(self.instance.as_str()).exclude_boot_volume(false).build();
            let request = aws.ec2.create_snapshots().instance_specification(of).description(self.description());
            let output = request.tag_specifications(self.specification()).send().await?;
            for made in output.snapshots() {
                note(taken, made.snapshot_id(), made.volume_id(), made.state())?;
            }
            Ok(output.request_id().map(str::to_owned))
        }

        /// One snapshot of each volume, side by side. One that fails keeps no other from being taken; the fault names all
        /// that failed, and what was taken is found by its tags the next time.
        async fn take_each(
            &self,
            aws: &Compute,
            volumes: &[VolumeId],
            taken: &mut Taken,
            refused: Option<&Fault>,
        ) -> Result<Option<String>, Fault> {
            let take = |volume: VolumeId| async move {
                let request = aws.ec2.create_snapshot().volume_id(volume.as_str()).description(self.description());
                let answer = request.tag_specifications(self.specification()).send().await.map_err(Fault::from);
                (volume, answer)
            };
            let (mut request_id, mut failed) = (None, Vec::new());
            for (volume, answer) in join_all(volumes.iter().cloned().map(take)).await {
                match answer {
                    Ok(made) => {
                        note(taken, made.snapshot_id(), Some(volume.as_str()), made.state())?;
                        request_id = made.request_id().map(str::to_owned);
                    }
                    Err(fault) => failed.push((volume, fault)),
                }
            }
            let Some((_, first)) = failed.first() else { return Ok(request_id) };
            let class = if failed.iter().any(|(_, fault)| fault.is_retryable()) { FaultClass::Retryable } else { first.class };
            let each: Vec<_> = failed.iter().map(|(volume, fault)| format!("{volume}: {fault}")).collect();
            let set = refused.map(|fault| format!("; of all at once: {fault}")).unwrap_or_default();
            let message = format!("no snapshot of {}{set}; {} taken", each.join(", "), taken.len());
            Err(Fault { code: first.code.clone(), message: printable(&message, 800), class })
        }
    }
}
