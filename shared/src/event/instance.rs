//! EC2 instances, as findings name them: by id or by ARN, with or without the instance profile.
//!
//! A finding is believed about its own account and Region only (CONTAINMENT H1): an instance of another one is none of
//! its instances.

use super::json::Json;
use crate::finding::{Instance, Target};
use crate::id::{AccountId, Arn, InstanceId, Partition, Region};

/// The longest name of an instance profile (CONTAINMENT B13).
const LONGEST_PROFILE_NAME: usize = 128;

/// Where a finding's instances are: in its account and its Region.
pub(super) struct Whereabouts<'a> {
    pub(super) account: &'a AccountId,
    pub(super) region: &'a Region,
}

impl Whereabouts<'_> {
    pub(super) fn partition(&self) -> Partition {
        Partition::of_region(self.region)
    }

    /// The instance that `named` (an id, or an ARN of this account and Region) names, with the profile that `profile`
    /// claims; nothing where it names none.
    pub(super) fn instance(&self, named: Option<String>, profile: Option<String>) -> Option<Target> {
        let id = self.id(&named?)?;
        Some(Target::Instance(Instance { id, profile: profile.and_then(|profile| self.profile(&profile)) }))
    }

    /// Whether what a feed says of a resource beside its name, if it says it under these paths, is this account, Region
    /// and partition.
    pub(super) fn has(&self, resource: Json<'_>, account: &str, region: &str, partition: &str) -> bool {
        let agrees = |path: &str, own: &str| resource.text(path).is_none_or(|stated| stated == own);
        agrees(account, self.account.as_str())
            && agrees(region, self.region.as_str())
            && agrees(partition, self.partition().as_str())
    }

    fn id(&self, named: &str) -> Option<InstanceId> {
        if !named.starts_with("arn:") {
            return InstanceId::parse(named).ok();
        }
        let arn = Arn::parse(named).ok()?;
        let id = InstanceId::parse(arn.resource().strip_prefix("instance/")?).ok()?;
        (arn == Arn::instance(self.partition(), self.region, self.account, &id)).then_some(id)
    }

    /// A profile that is none of this account's is a claim that would mislead whoever looks it up; it may have a path.
    fn profile(&self, text: &str) -> Option<Arn> {
        let arn = Arn::parse(text).ok()?;
        let name = arn.resource().strip_prefix("instance-profile/")?.rsplit('/').next()?;
        let is_name = (1..=LONGEST_PROFILE_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
        let is_own =
            (arn.partition(), arn.service(), arn.region(), arn.account()) == (self.partition(), "iam", "", self.account.as_str());
        (is_name && is_own).then_some(arn)
    }
}
